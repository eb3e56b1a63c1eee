//! Pings from a node that count what is lost and how long nothing came back.

use std::io::Read as _;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::lab::Lab;
use crate::node::Node;

/// Seconds after which a ping ends that nobody stops.
const LIFETIME: &str = "900";

/// A ping that runs in the background.
#[derive(Debug)]
pub struct PingRun {
    child: Child,
    /// Reads what it prints all the while: a pipe that is full would hold it up.
    answers: JoinHandle<Vec<u8>>,
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
        let mut printed = child.stdout.take();
        let answers = std::thread::spawn(move || {
            let mut octets = Vec::new();
            // What was read before an error counts all the same.
            let _ = printed.as_mut().map(|printed| printed.read_to_end(&mut octets));
            octets
        });
        Ok(Self { child, answers, what })
    }

    /// Stops it and counts.
    pub fn stop(mut self) -> Result<PingCount, LabError> {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        // It prints its answers when it is interrupted; that it has ended already shows in the answers.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        self.child.wait().map_err(|source| LabError::Asked(format!("{}: {source}", self.what)))?;
        let octets = self.answers.join().unwrap_or_default();
        let text = String::from_utf8_lossy(&octets);
        count_answers(&text).ok_or_else(|| LabError::Asked(format!("{}: no answer at all", self.what)))
    }
}

/// Counts what `ping -D` printed; `None` without any answer.
fn count_answers(text: &str) -> Option<PingCount> {
    let mut answers: Vec<(u64, f64)> = Vec::new();
    let mut wraps = 0;
    for line in text.lines().filter(|line| line.contains(" bytes from ")) {
        let time: f64 = line.strip_prefix('[')?.split(']').next()?.parse().ok()?;
        let after = line.split("icmp_seq=").nth(1)?;
        let mut sequence: u64 = after.split(' ').next()?.parse().ok()?;
        sequence += wraps * 0x1_0000;
        if answers.last().is_some_and(|(last, _)| sequence + 0x8000 < *last) {
            wraps += 1;
            sequence += 0x1_0000;
        }
        answers.push((sequence, time));
    }
    let gaps = answers.iter().zip(answers.iter().skip(1)).map(|(a, b)| b.1 - a.1);
    let longest_gap = gaps.fold(0.0, f64::max);
    answers.sort_by_key(|(sequence, _)| *sequence);
    answers.dedup_by_key(|(sequence, _)| *sequence);
    let sent = answers.last()?.0;
    let holes = answers.iter().zip(answers.iter().skip(1)).filter(|(a, b)| b.0 > a.0 + 1);
    let lost_after = holes.map(|(before, _)| before.1).collect();
    Some(PingCount { sent, lost: sent.saturating_sub(answers.len() as u64), longest_gap, lost_after })
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
