//! Who can call whom, and which way the packets take.

use crate::capture::Capture;
use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::transfer::Transfer;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one-way-peering",
        claim: "R1 behind NAT joins by calling R4 and R5; no port is forwarded and nobody can call R1.",
        topology: "reference",
        run: one_way,
    },
    Scenario {
        name: "home-direct",
        claim: "R2 and R3 talk directly inside their home, not by way of the internet.",
        topology: "reference",
        run: home_direct,
    },
];

fn one_way(stage: &mut Stage) -> Result<(), LabError> {
    let rules = stage.lab.node("h1")?.run("nft", &["list", "ruleset"])?;
    claim(!rules.contains("dnat"), || "the home forwards a port".to_owned())?;
    for router in ["r4", "r5"] {
        let config = stage.lab.read_config(router)?;
        let section = config.split("config link 'r1'").nth(1).unwrap_or_default();
        let section = section.split("config link").next().unwrap_or_default();
        claim(section.contains("public_key") && !section.contains("endpoint"), || {
            format!("{router} is told where to call r1")
        })?;
        for address in ["192.168.178.2", "2001:db8:1::2"] {
            let reached = stage.lab.node(router)?.succeeds("ping", &["-n", "-c", "1", "-W", "1", address]);
            claim(!reached, || format!("{router} reaches r1's {address} without being called"))?;
        }
    }
    for (from, to) in [("s6", "s1"), ("s7", "s2")] {
        for is_ipv6 in [true, false] {
            claim(stage.lab.pings(from, to, is_ipv6)?, || format!("{from} -> {to} {}", family(is_ipv6)))?;
        }
    }
    stage.saw("h1 forwards no port; r4 and r5 know no address of r1; s6 -> s1 and s7 -> s2 answered");
    Ok(())
}

fn home_direct(stage: &mut Stage) -> Result<(), LabError> {
    let inside = Capture::start(&stage.lab, "h2", "p-r3", "host 192.168.1.2 or host 2001:db8:2::2")?;
    let outside = Capture::start(&stage.lab, "h2", "wan", "udp")?;
    for is_ipv6 in [true, false] {
        Transfer::start(&stage.lab, "s3", "s5", is_ipv6, 5_000_000)?.wait()?;
    }
    let (inside, outside) = (inside.stop()?.octets(), outside.stop()?.octets());
    claim(inside > 10_000_000, || format!("only {inside} octets passed between r2 and r3 inside the home"))?;
    claim(outside < 500_000, || format!("{outside} octets left the home meanwhile"))?;
    stage.saw(format!("10 MB s3 to s5: {inside} octets inside the home, {outside} by its way out"));
    Ok(())
}
