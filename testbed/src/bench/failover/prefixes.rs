//! How much longer traffic is away when many prefixes lie behind the failed neighbor.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::case::Case;
use super::failure::{Flow, fail_once};
use super::lane::{Desk, Finding, Lane};
use super::subject::Subject;
use super::{LIMIT, LOOK_FOR_ROUTES, Orders};
use crate::error::LabError;
use crate::foreign::Maker;
use crate::lab::Lab;
use crate::wait;

/// The routers that are measured; r2, behind which the prefixes lie, is BIRD each time.
const MEASURED: [&str; 3] = ["r1", "r3", "r4"];

/// Measures failures with each number of prefixes, by the last one's traffic.
pub(super) fn measure(
    lab: &mut Lab,
    Lane { subject, purpose }: Lane,
    (orders, desk): (&Orders, &Desk),
) -> Result<(), LabError> {
    let measured = MEASURED.map(str::to_owned);
    let counts = orders.prefixes.iter().filter(|count| **count > 0);
    for (&count, case) in counts.flat_map(|count| orders.prefix_cases().map(move |case| (count, case))) {
        desk.undisturbed(|| {
            start_announcer(lab, (count, case))?;
            subject.start(lab, case, &measured)?;
            MEASURED.iter().try_for_each(|router| wait_for_all(lab, router, (subject, count)))
        })?;
        let flows = flows(subject, count);
        let mut samples = Vec::new();
        for _ in 0..orders.prefix_runs {
            samples.push(fail_once(lab, (subject, case), &flows, &desk.floor)?);
        }
        desk.file(Finding { purpose, case, prefixes: count, subject, samples });
        desk.undisturbed(|| {
            subject.stop(lab, &measured)?;
            Maker::Bird.stop(lab.node("r2")?)
        })?;
    }
    Ok(())
}

/// Returns what is sent to the last prefix of each family that the subject can be told of.
pub(super) fn flows(subject: Subject, count: usize) -> Vec<Flow> {
    let flows = last(count).map(|(prefix, address)| Flow { prefix, address });
    flows.into_iter().filter(|flow| flow.address.is_ipv6() || subject.has_ipv4_over_ospfv3()).collect()
}

/// Starts BIRD at r2 with so many prefixes of each family, the last of which lead to s2, and the timers of a case.
pub(super) fn start_announcer(lab: &mut Lab, (count, case): (usize, Case)) -> Result<(), LabError> {
    let mut plan = Subject::Bird.plan(lab, case, "r2")?;
    let node = lab.node("r2")?;
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

/// Waits until a router has a route to every prefix that its routing can be told of.
pub(super) fn wait_for_all(
    lab: &Lab,
    router: &str,
    (subject, count): (Subject, usize),
) -> Result<(), LabError> {
    wait::every(LOOK_FOR_ROUTES, LIMIT, &format!("{router} to have {count} routes of each family"), || {
        let seen = lab.kernel_routes(router).map_err(|error| error.with_causes())?;
        let of = |start: &str| seen.iter().filter(|prefix| prefix.starts_with(start)).count();
        let (ipv6, ipv4) = (of("2001:db9:"), of("172.24.") + of("172.25.") + of("172.26.") + of("172.27."));
        let has_all = ipv6 >= count && (ipv4 >= count || !subject.has_ipv4_over_ospfv3());
        if has_all { Ok(()) } else { Err(format!("it has {ipv6} and {ipv4}")) }
    })
}
