//! What the kernel's WireGuard carries between two machines, with and without VXLAN, and what it costs their processors.

use super::TOPOLOGY;
use crate::command;
use crate::error::LabError;
use crate::node::Node;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "throughput",
    claim: "What one machine sends another arrives, octet for octet in number: bare, by WireGuard, and by VXLAN in WireGuard.",
    topology: TOPOLOGY,
    run: throughput,
}];

const FROM: &str = "r2";
const TO: &str = "r3";
const PORT: &str = "5001";
/// How much, in MiB.
const AMOUNT: u64 = 24;

fn throughput(stage: &mut Stage) -> Result<(), LabError> {
    let topology = &stage.lab.topology;
    let bare =
        topology.router(TO).and_then(|router| router.wan_addresses()).map(|(ipv4, _)| ipv4.to_string());
    let (from, to) = (stage.lab.node(FROM)?.clone(), stage.lab.node(TO)?.clone());
    let mut lines = Vec::new();
    for (what, address) in [
        ("bare", bare.unwrap_or_default()),
        ("WireGuard", address(&to, "dlan-wg")?),
        ("VXLAN in WireGuard", address(&to, "dlan-vx2")?),
    ] {
        let count =
            "rm -f /tmp/count /tmp/idle; mkfifo /tmp/idle; nc -l -p 5001 <>/tmp/idle | wc -c > /tmp/count";
        let mut listener = to.command("sh", &["-c", count]);
        listener.stdin(std::process::Stdio::null());
        let broken = |source| LabError::Asked(format!("cannot run nc: {source}"));
        let mut listener = listener.spawn().map_err(broken)?;
        wait::until(super::LIMIT, "nc to listen", || {
            let listens = to.succeeds("sh", &["-c", "netstat -ltn | grep -q ':5001 '"]);
            if listens { Ok(()) } else { Err("it does not".to_owned()) }
        })?;
        let (used_from, used_to) = (busy(&from)?, busy(&to)?);
        let send =
            format!("time dd if=/dev/zero bs=64k count={} 2>/dev/null | nc {address} {PORT}", AMOUNT * 16);
        let said = command::output(&mut from.command("bash", &["-c", &send]), "")?;
        listener.wait().map_err(broken)?;
        let arrived: u64 = to.read("/tmp/count")?.trim().parse().unwrap_or_default();
        claim(arrived == AMOUNT << 20, || format!("{what}: {arrived} octets of {} arrived", AMOUNT << 20))?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let seconds = real(&said).ok_or_else(|| LabError::Claim(format!("no time in {said:?}")))?;
        let share = |before: f64, after: f64| 100.0 * (after - before) / seconds.max(0.01);
        let rate = f64::from(u32::try_from(AMOUNT << 23).unwrap_or(u32::MAX)) / seconds / 1e6;
        let shares = (share(used_from, busy(&from)?), share(used_to, busy(&to)?));
        lines.push((what, rate, shares));
    }
    for (what, rate, (used_from, used_to)) in lines {
        stage.saw(format!("{what}: {AMOUNT} MiB have arrived"));
        stage.figure(
            format!("{FROM} to {TO}, {what}"),
            format!("{rate:.0} Mbit/s, processors {used_from:.0} % and {used_to:.0} % busy"),
        );
    }
    Ok(())
}

/// Returns the IPv4 address of a machine's device.
fn address(node: &Node, device: &str) -> Result<String, LabError> {
    let said = node.run("ip", &["-4", "-o", "addr", "show", "dev", device])?;
    let address =
        said.split_whitespace().find_map(|word| word.split_once('/').map(|(address, _)| address.to_owned()));
    address.ok_or_else(|| LabError::Claim(format!("{device} has no address: {said}")))
}

/// Returns for how many seconds a machine's processor has been busy, interrupts included, since it booted.
fn busy(node: &Node) -> Result<f64, LabError> {
    let text = node.read("/proc/stat")?;
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    // User, nice, system, idle, waiting for disks, interrupts: in hundredths of a second.
    let idle: f64 = fields.iter().skip(3).take(2).sum();
    Ok((fields.iter().sum::<f64>() - idle) / 100.0)
}

/// Returns the seconds that bash's `time` says something took.
fn real(said: &str) -> Option<f64> {
    let (minutes, seconds) =
        said.lines().find_map(|line| line.strip_prefix("real"))?.trim().split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.strip_suffix('s')?.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bash_says_of_time_is_read() {
        assert_eq!(real("\nreal\t1m2.500s\nuser\t0m0.010s\n"), Some(62.5));
        assert_eq!(real("user 1"), None);
    }
}
