//! What a WAN sees of a router that is closed towards it: what the configuration opens, at every moment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::agent::dlan_program;
use crate::agent_config::with_section_options;
use crate::error::LabError;
use crate::lab::write_file;
use crate::node::Node;
use crate::scan::{self, Answer};
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "wan-closed",
        claim: "A scan of every TCP port and the common UDP ports of every router, from its WAN, finds what is opened and nothing \
                else; so it does while configurations are applied, the agent is killed, and the router boots.",
        topology: "reference",
        run: wan_closed,
    },
    Scenario {
        name: "masquerade",
        claim: "A LAN reaches the internet under its router's address if asked for, and nothing is forwarded the other way.",
        topology: "reference",
        run: masquerade,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// From where each router is looked at: a stranger on its home network, or anywhere for those with public addresses.
const LOOKED_AT_FROM: [(&str, &str); 5] =
    [("r1", "x1"), ("r2", "x2"), ("r3", "x2"), ("r4", "x1"), ("r5", "x1")];
/// The UDP ports that scanners look at first, those of dlan's own protocols among them.
const UDP_PORTS: [u16; 32] = [
    53, 67, 68, 69, 111, 123, 137, 138, 161, 162, 177, 500, 514, 520, 546, 547, 623, 1194, 1434, 1645, 1701,
    1812, 1900, 3784, 4500, 4784, 4789, 5060, 5353, 5355, 8472, 51821,
];
/// The ports that are open, and that nothing listens on but the second.
const SSH: u16 = 2222;
const OPEN: u16 = 8443;
const CLOSED: &str = "\toption input 'drop'\n\toption ssh '2222'\n\tlist open 'tcp 8443'\n";
/// A range that takes a moment only.
const SOME_PORTS: std::ops::RangeInclusive<u16> = 1..=3000;

fn wan_closed(stage: &mut Stage) -> Result<(), LabError> {
    let before: BTreeMap<&str, String> = configs(stage)?;
    for (router, _) in LOOKED_AT_FROM {
        answer_every_udp_packet(stage.lab.node(router)?)?;
    }
    let x1 = stage.lab.node("x1")?.clone();
    let found = scan::tcp(&x1, wan(stage, "r4", false)?, SOME_PORTS)?;
    let udp = scan::udp(&x1, wan(stage, "r4", false)?, &UDP_PORTS)?;
    claim(found.len() > 2900 && udp.len() > UDP_PORTS.len() / 2, || {
        format!(
            "of a router that is not closed {} TCP and {} UDP ports answer: nothing is tried here",
            found.len(),
            udp.len()
        )
    })?;
    stage.saw(format!(
        "r4 before it is closed: {} of 3000 TCP and {} of 32 UDP ports answer",
        found.len(),
        udp.len()
    ));
    for (router, text) in &before {
        stage.lab.write_config(router, &with_section_options(text, "config wan 'wan0'", CLOSED))?;
        stage.lab.dlan(router, &["apply"])?;
    }
    let result = closed_at_every_moment(stage, before.get("r4").map_or("", String::as_str));
    for (router, text) in before {
        stage.lab.write_config(router, &text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    result
}

fn closed_at_every_moment(stage: &mut Stage, good: &str) -> Result<(), LabError> {
    let listener = stage.lab.node("r4")?.inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, OPEN)))?;
    let _listener = listener.map_err(|source| LabError::Asked(format!("cannot listen in r4: {source}")))?;
    for (router, from) in LOOKED_AT_FROM {
        scan_whole(stage, router, from)?;
    }
    let said = scan::tcp(stage.lab.node("x1")?, wan(stage, "r4", false)?, OPEN..=OPEN)?;
    claim(said.get(&OPEN) == Some(&Answer::Open), || {
        format!("where a program of r4 listens the answer is {said:?}")
    })?;
    stage.saw("closed: of 65535 TCP and 32 UDP ports of each of five routers, in both families, 2222 and 8443 answer");
    let x1 = stage.lab.node("x1")?.clone();
    let to = [wan(stage, "r4", false)?, wan(stage, "r4", true)?];
    let is_over = AtomicBool::new(false);
    let (happened, scanned) = std::thread::scope(|scope| {
        let scanner = scope.spawn(|| scan_until(&x1, to, &is_over));
        let happened = everything_that_happens(stage, good);
        is_over.store(true, Ordering::Relaxed);
        (happened, scanner.join().unwrap_or_else(|_| Err("the scanner ended in a panic".to_owned())))
    });
    let happened = happened?;
    let scans = scanned.map_err(LabError::Claim)?;
    stage.saw(format!("meanwhile {happened}: {scans} scans of 3000 TCP ports found nothing else"));
    scan_whole(stage, "r4", "x1")
}

/// Scans some ports of a router again and again; fails when one answers that is not opened.
fn scan_until(from: &Node, to: [IpAddr; 2], is_over: &AtomicBool) -> Result<usize, String> {
    let mut scans = 0;
    while !is_over.load(Ordering::Relaxed) {
        for address in to {
            let found = scan::tcp(from, address, SOME_PORTS).map_err(|error| error.with_causes())?;
            let wrong: Vec<_> = found.keys().filter(|port| **port != SSH).collect();
            if !wrong.is_empty() {
                return Err(format!(
                    "{address} answered on {} ports, {:?} first",
                    wrong.len(),
                    wrong.first()
                ));
            }
            scans += 1;
        }
    }
    Ok(scans)
}

/// Applies, kills and boots r4.
fn everything_that_happens(stage: &mut Stage, good: &str) -> Result<&'static str, LabError> {
    let variants = [
        format!("{CLOSED}\toption masquerade '1'\n"),
        format!("{CLOSED}\tlist open 'udp 5000-5010'\n"),
        CLOSED.to_owned(),
    ];
    for _ in 0..3 {
        for options in &variants {
            stage.lab.write_config("r4", &with_section_options(good, "config wan 'wan0'", options))?;
            stage.lab.dlan("r4", &["apply"])?;
        }
    }
    stage.lab.kill_agent("r4")?;
    stage.lab.start_agent("r4")?;
    wait_for_agent(stage)?;
    // What a system does at boot: the filter comes before the network, the agent after it.
    stage.lab.power_off("r4")?;
    let program = dlan_program()?;
    stage.lab.power_on_after("r4", |node| {
        node.run(&program.to_string_lossy(), &["firewall", "--load"])?;
        Ok(())
    })?;
    let _ = stage.lab.pings("x1", "s6", false);
    stage.lab.start_agent("r4")?;
    wait_for_agent(stage)?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    Ok("nine applies, an agent killed, a boot")
}

fn wait_for_agent(stage: &Stage) -> Result<(), LabError> {
    wait::until(LIMIT, "the agent of r4", || match stage.lab.plans_nothing("r4") {
        Ok(true) => Ok(()),
        Ok(false) => Err("it has plans".to_owned()),
        Err(error) => Err(error.with_causes()),
    })
}

/// Scans everything of a router in both families, and claims that only what is opened answers.
fn scan_whole(stage: &Stage, router: &str, from: &str) -> Result<(), LabError> {
    let from = stage.lab.node(from)?;
    for is_ipv6 in [false, true] {
        let to = wan(stage, router, is_ipv6)?;
        let found = scan::tcp(from, to, 1..=u16::MAX)?;
        let ports: BTreeSet<u16> = found.keys().copied().collect();
        claim(ports == BTreeSet::from([SSH, OPEN]), || {
            format!(
                "{} TCP ports of {router} answer in {}: {:?} ..",
                ports.len(),
                family(is_ipv6),
                ports.iter().take(9).collect::<Vec<_>>()
            )
        })?;
        let found = scan::udp(from, to, &UDP_PORTS)?;
        claim(found.is_empty(), || {
            format!("UDP ports of {router} answer in {}: {found:?}", family(is_ipv6))
        })?;
    }
    Ok(())
}

fn configs(stage: &Stage) -> Result<BTreeMap<&'static str, String>, LabError> {
    LOOKED_AT_FROM.iter().map(|(router, _)| Ok((*router, stage.lab.read_config(router)?))).collect()
}

/// Returns a router's WAN address.
fn wan(stage: &Stage, router: &str, is_ipv6: bool) -> Result<IpAddr, LabError> {
    let addresses = stage.lab.topology.router(router).and_then(crate::topology::Router::wan_addresses);
    let (ipv4, ipv6) = addresses.ok_or_else(|| LabError::Asked(format!("{router} has no WAN")))?;
    Ok(if is_ipv6 { ipv6.into() } else { ipv4.into() })
}

/// Has a router's kernel say of every UDP port on which nothing listens that nothing does, however many are asked.
fn answer_every_udp_packet(router: &Node) -> Result<(), LabError> {
    for setting in ["net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit"] {
        let path = std::path::Path::new("/proc/sys").join(setting);
        router.inside(|| write_file(&path, "0"))??;
    }
    Ok(())
}

fn masquerade(stage: &mut Stage) -> Result<(), LabError> {
    let good = stage.lab.read_config("r1")?;
    let masked =
        with_section_options(&good, "config wan 'wan0'", "\toption input 'drop'\n\toption masquerade '1'\n");
    let (out4, out6) = (wan(stage, "r5", false)?.to_string(), wan(stage, "r5", true)?.to_string());
    let reaches = |stage: &Stage, address: &str| -> Result<bool, LabError> {
        Ok(stage.lab.node("s1")?.succeeds("ping", &["-n", "-c", "3", "-i", "0.2", "-W", "1", address]))
    };
    claim(!reaches(stage, &out4)? && !reaches(stage, &out6)?, || {
        "s1 reaches the internet before anything is masqueraded: nothing is tried here".to_owned()
    })?;
    stage.lab.write_config("r1", &masked)?;
    stage.lab.dlan("r1", &["apply"])?;
    let result = masqueraded(stage, [&out4, &out6], reaches);
    stage.lab.write_config("r1", &good)?;
    stage.lab.dlan("r1", &["apply"])?;
    result
}

fn masqueraded(
    stage: &mut Stage,
    out: [&str; 2],
    reaches: impl Fn(&Stage, &str) -> Result<bool, LabError>,
) -> Result<(), LabError> {
    for address in out {
        claim(reaches(stage, address)?, || format!("s1 does not reach {address} under r1's address"))?;
    }
    claim(stage.lab.pings("s1", "s6", false)?, || "s1 does not reach s6 through the mesh".to_owned())?;
    stage.saw("s1 reaches r5's public addresses under r1's, and s6 through the mesh under its own");
    // A stranger on the home network takes r1 for the way to its LAN.
    let (x1, via) = (stage.lab.node("x1")?.clone(), wan(stage, "r1", false)?);
    x1.run("ip", &["route", "replace", "10.2.1.0/24", "via", &via.to_string()])?;
    let before = stage.lab.counted("r1", "from_wan")?;
    let found = scan::tcp(&x1, stage.lab.address_of("s1", false)?, 1..=200)?;
    x1.run("ip", &["route", "delete", "10.2.1.0/24"])?;
    let counted = stage.lab.counted("r1", "from_wan")?.saturating_sub(before);
    claim(found.is_empty(), || format!("s1 answers a stranger on {} ports", found.len()))?;
    claim(counted >= 200, || format!("of 400 packets from the WAN to s1 {counted} were counted as dropped"))?;
    stage.saw(format!("400 packets of a stranger to s1: none answered, {counted} counted as dropped"));
    Ok(())
}
