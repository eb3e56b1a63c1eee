//! Pings from a node that count what is lost and how long nothing came back.

use std::io::Read;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::lab::Lab;
use crate::node::Node;
use crate::wait;

/// Seconds after which a ping ends that nobody stops.
const LIFETIME: &str = "900";

/// A ping that runs in the background.
#[derive(Debug)]
pub struct PingRun {
    child: Child,
    /// What it has printed so far.
    printed: Arc<Mutex<Vec<u8>>>,
    /// Reads what it prints all the while: a pipe that is full would hold it up.
    reader: JoinHandle<()>,
    what: String,
}

/// What a ping came to. Packets still on their way when it was stopped are not counted.
#[derive(Debug, Clone, PartialEq)]
pub struct PingCount {
    /// Sent.
    pub sent: u64,
    /// Without an answer.
    pub lost: u64,
    /// The longest time between two answers, in seconds.
    pub longest_gap: f64,
    /// When answers stayed out: seconds since the epoch of the last answer before.
    pub lost_after: Vec<f64>,
}

impl PingRun {
    /// Starts pinging an address from a node, every `interval_ms` milliseconds.
    pub fn start(node: &Node, address: IpAddr, interval_ms: u32) -> Result<Self, LabError> {
        let what = format!("ping from {} to {address}", node.name);
        let interval = format!("{:.3}", f64::from(interval_ms) / 1000.0);
        let mut child = Command::new("nsenter")
            .args([
                "-t",
                &node.pid.to_string(),
                "-n",
                "--",
                // Not by ping's own deadline: with one it ends at the first ICMP error.
                "timeout",
                "--signal=INT",
                LIFETIME,
                "ping",
                "-D",
                "-n",
                "-i",
                &interval,
            ])
            .arg(address.to_string())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| LabError::Asked(format!("{what}: {source}")))?;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let (pipe, to) = (child.stdout.take(), Arc::clone(&printed));
        let reader = std::thread::spawn(move || read_all(pipe, &to));
        Ok(Self { child, printed, reader, what })
    }

    /// Waits until so many answers have come: what happens from then on shows as a gap behind them.
    pub fn wait_for_answers(&self, count: usize, limit: Duration) -> Result<(), LabError> {
        wait::until(limit, &format!("{count} answers to the {}", self.what), || {
            let seen = answers(&text_of(&self.printed)).count();
            if seen >= count { Ok(()) } else { Err(format!("{seen} came")) }
        })
    }

    /// Stops it and counts.
    pub fn stop(self) -> Result<PingCount, LabError> {
        let Self { mut child, printed, reader, what } = self;
        let pid = i32::try_from(child.id()).unwrap_or_default();
        // It prints its answers when it is interrupted; that it has ended already shows in the answers.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        child.wait().map_err(|source| LabError::Asked(format!("{what}: {source}")))?;
        // What was read before a panic counts all the same.
        let _ = reader.join();
        count_answers(&text_of(&printed)).ok_or_else(|| LabError::Asked(format!("{what}: no answer at all")))
    }
}

fn text_of(printed: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&printed.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// Reads what a ping prints until it ends.
fn read_all(pipe: Option<impl Read>, to: &Mutex<Vec<u8>>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 4096];
    loop {
        match pipe.read(&mut buffer) {
            Ok(count @ 1..) => {
                let octets = buffer.get(..count).unwrap_or_default();
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // What was read before an error counts all the same.
            _ => return,
        }
    }
}

/// Returns the lines that are answers.
fn answers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.contains(" bytes from "))
}

/// Counts what `ping -D` printed; `None` without any answer.
fn count_answers(text: &str) -> Option<PingCount> {
    let mut seen: Vec<(u64, f64)> = Vec::new();
    let mut wraps = 0;
    for line in answers(text) {
        let time: f64 = line.strip_prefix('[')?.split(']').next()?.parse().ok()?;
        let after = line.split("icmp_seq=").nth(1)?;
        let mut sequence: u64 = after.split(' ').next()?.parse().ok()?;
        sequence += wraps * 0x1_0000;
        if seen.last().is_some_and(|(last, _)| sequence + 0x8000 < *last) {
            wraps += 1;
            sequence += 0x1_0000;
        }
        seen.push((sequence, time));
    }
    let gaps = seen.iter().zip(seen.iter().skip(1)).map(|(a, b)| b.1 - a.1);
    let longest_gap = gaps.fold(0.0, f64::max);
    seen.sort_by_key(|(sequence, _)| *sequence);
    seen.dedup_by_key(|(sequence, _)| *sequence);
    let sent = seen.last()?.0;
    let holes = seen.iter().zip(seen.iter().skip(1)).filter(|(a, b)| b.0 > a.0 + 1);
    let lost_after = holes.map(|(before, _)| before.1).collect();
    Some(PingCount { sent, lost: sent.saturating_sub(seen.len() as u64), longest_gap, lost_after })
}

impl Lab {
    /// Returns a host's address, or a router's on its LAN.
    pub fn address_of(&self, name: &str, is_ipv6: bool) -> Result<IpAddr, LabError> {
        let host = self.topology.hosts.iter().find(|host| host.name == name);
        let addresses = match host {
            Some(host) => self.topology.host_addresses(host),
            None => self.topology.router(name).map(|router| (router.lan_ipv4.addr(), router.lan_ipv6.addr())),
        };
        let (ipv4, ipv6) =
            addresses.ok_or_else(|| LabError::Asked(format!("'{name}' has no address on a LAN")))?;
        Ok(if is_ipv6 { ipv6.into() } else { ipv4.into() })
    }

    /// Returns how long a host takes to answer another's ping, in milliseconds; `None` without an answer.
    pub fn round_trip(&self, from: &str, to: &str, is_ipv6: bool) -> Result<Option<f64>, LabError> {
        let address = self.address_of(to, is_ipv6)?.to_string();
        let mut command =
            self.node(from)?.command("ping", &["-n", "-c", "3", "-i", "0.05", "-W", "2", &address]);
        let output = crate::command::output(&mut command, "")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().rfind(|line| line.contains(" time="));
        Ok(last.and_then(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok()))
    }

    /// Returns whether a host answers another's ping within two seconds.
    pub fn pings(&self, from: &str, to: &str, is_ipv6: bool) -> Result<bool, LabError> {
        let address = self.address_of(to, is_ipv6)?.to_string();
        Ok(self.node(from)?.succeeds("ping", &["-n", "-c", "1", "-W", "2", &address]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_answers_and_the_longest_gap_are_counted() {
        let text = "PING x\n\
            [100.00] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1 ms\n\
            [100.01] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=1 ms\n\
            [100.51] 64 bytes from 10.0.0.1: icmp_seq=5 ttl=64 time=1 ms\n";
        let count = count_answers(text).unwrap();
        assert_eq!((count.sent, count.lost), (5, 2));
        assert!((count.longest_gap - 0.5).abs() < 1e-6);
    }

    #[test]
    fn sequence_numbers_that_wrap_are_no_loss() {
        let line =
            |time: u64, sequence: u64| format!("[{time}.0] 64 bytes from ::1: icmp_seq={sequence} ttl=64\n");
        let text = (1..=0x1_0010_u64).map(|number| line(number, number % 0x1_0000)).collect::<String>();
        let count = count_answers(&text).unwrap();
        assert_eq!((count.sent, count.lost), (0x1_0010, 0));
    }

    #[test]
    fn a_ping_without_an_answer_counts_nothing() {
        assert_eq!(count_answers("PING 10.0.0.1\n"), None);
    }
}
