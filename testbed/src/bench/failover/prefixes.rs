//! How much longer traffic is away when many prefixes lie behind the failed neighbor.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;

use super::{Case, LIMIT, Orders, QUIET, Sample, Subject, row, wait_for_more, wait_for_way};
use crate::console::Console;
use crate::error::LabError;
use crate::foreign::Maker;
use crate::lab::Lab;
use crate::probe::Probe;
use crate::wait;

/// The routers that are measured; r2, behind which the prefixes lie, is BIRD each time.
const MEASURED: [&str; 3] = ["r1", "r3", "r4"];

/// Measures the loss of the carrier with each number of prefixes and prints a table.
pub(super) fn table(console: Console, lab: &mut Lab, orders: &Orders) -> Result<(), LabError> {
    console.heading(&format!(
        "The same, carrier lost, in the full mesh of four, with prefixes behind R2 (BIRD): the last one's traffic (median and \
         worst of {} runs)",
        orders.runs
    ));
    console.line("prefixes of each family       daemon             IPv6 median  worst  IPv4 median  worst  lost at return     CPU");
    let all = ["r1", "r2", "r3", "r4"].map(str::to_owned);
    Subject::Dlan.stop(lab, &all)?;
    let measured = MEASURED.map(str::to_owned);
    for &count in orders.prefixes.iter().filter(|count| **count > 0) {
        start_announcer(lab, count)?;
        // FRR's IPv4 is OSPFv2, which BIRD at r2 does not speak here.
        for subject in orders.subjects.iter().filter(|subject| **subject != Subject::Frr) {
            subject.start(lab, Case::Carrier, &measured)?;
            wait_for_all(lab, count)?;
            let mut samples = Vec::new();
            for run in 1..=orders.runs {
                console.replace(format!(
                    "{count} prefixes, {}: run {run} of {}",
                    subject.name(),
                    orders.runs
                ));
                samples.push(fail_once(lab, *subject, count)?);
            }
            console.replace("");
            console.line(row(&count.to_string(), subject.name(), &samples));
            subject.stop(lab, &measured)?;
        }
        Maker::Bird.stop(lab.node("r2")?)?;
    }
    Ok(())
}

/// Starts BIRD at r2 with so many prefixes of each family, the last of which lead to s2.
fn start_announcer(lab: &Lab, count: usize) -> Result<(), LabError> {
    let node = lab.node("r2")?;
    let mut plan = lab.foreign_plan("r2")?;
    plan.externals = (0..count).flat_map(prefixes).collect();
    Maker::Bird.start(node, &plan)?;
    for (prefix, address) in last(count) {
        let family = if address.is_ipv6() { "-6" } else { "-4" };
        let via = lab.address_of("s2", address.is_ipv6())?.to_string();
        node.run("ip", &[family, "route", "replace", &prefix, "via", &via, "metric", "1"])?;
        let with_length = format!("{address}/{}", if address.is_ipv6() { 128 } else { 32 });
        lab.node("s2")?.run("ip", &[family, "addr", "replace", &with_length, "dev", "eth0"])?;
    }
    Ok(())
}

fn prefixes(number: usize) -> [IpNet; 2] {
    let number = u32::try_from(number).unwrap_or_default();
    let ipv6 = Ipv6Addr::from(0x2001_0db9_0000_0000_0000_0000_0000_0000 | u128::from(number) << 64);
    // 172.24.0.0 and on, in /32s with an address each.
    let ipv4 = Ipv4Addr::from(0xac18_0000 + number);
    [IpNet::V6(Ipv6Net::new_assert(ipv6, 64)), IpNet::V4(Ipv4Net::new_assert(ipv4, 32))]
}

/// Returns the last prefix of each family, with an address in it.
fn last(count: usize) -> [(String, IpAddr); 2] {
    prefixes(count.saturating_sub(1)).map(|prefix| {
        let address = match prefix {
            IpNet::V6(net) => IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) | 1)),
            IpNet::V4(net) => IpAddr::V4(net.addr()),
        };
        let prefix = if prefix.prefix_len() == 32 { address.to_string() } else { prefix.to_string() };
        (prefix, address)
    })
}

/// Waits until r1 and its alternates have a route to every prefix.
fn wait_for_all(lab: &Lab, count: usize) -> Result<(), LabError> {
    for router in MEASURED {
        wait::until(LIMIT, &format!("{router} to have {count} routes of each family"), || {
            let seen = lab.kernel_routes(router).map_err(|error| error.with_causes())?;
            let of = |start: &str| seen.iter().filter(|prefix| prefix.starts_with(start)).count();
            let (ipv6, ipv4) =
                (of("2001:db9:"), of("172.24.") + of("172.25.") + of("172.26.") + of("172.27."));
            if ipv6.min(ipv4) >= count { Ok(()) } else { Err(format!("it has {ipv6} and {ipv4}")) }
        })?;
    }
    Ok(())
}

fn fail_once(lab: &Lab, subject: Subject, count: usize) -> Result<Sample, LabError> {
    let last = last(count);
    let prefixes = last.clone().map(|(prefix, _)| prefix);
    wait_for_way(lab, &prefixes, true)?;
    sleep(QUIET);
    let mut sample = Sample::default();
    let [(_, ipv6), (_, ipv4)] = last;
    let start = |address| Probe::start(lab.node("s1")?, lab.node("s2")?, address);
    let probes = [start(ipv6)?, start(ipv4)?];
    wait_for_more(&probes)?;
    let before = subject.processor_time(lab, "r1")?;
    Case::Carrier.fail(lab)?;
    wait_for_way(lab, &prefixes, false)?;
    wait_for_more(&probes)?;
    sample.processor = subject.processor_time(lab, "r1")?.saturating_sub(before);
    for (slot, probe) in sample.away.iter_mut().zip(probes) {
        *slot = probe.stop()?;
    }
    let probes = [start(ipv6)?, start(ipv4)?];
    wait_for_more(&probes)?;
    Case::Carrier.heal(lab)?;
    wait_for_way(lab, &prefixes, true)?;
    for (slot, probe) in sample.back.iter_mut().zip(probes) {
        *slot = probe.stop()?;
    }
    Ok(sample)
}
