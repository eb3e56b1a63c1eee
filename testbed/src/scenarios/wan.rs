//! What passes a WAN that is closed and masqueraded.

use std::net::IpAddr;

use crate::agent_config::with_section_options;
use crate::error::LabError;
use crate::scan;
use crate::scenarios::{Scenario, Stage, claim};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "masquerade",
    claim: "A LAN reaches the internet under its router's address if asked for, and nothing is forwarded the other way.",
    topology: "reference",
    run: masquerade,
}];

/// Returns a router's WAN address.
fn wan(stage: &Stage, router: &str, is_ipv6: bool) -> Result<IpAddr, LabError> {
    let addresses = stage.lab.topology.router(router).and_then(crate::topology::Router::wan_addresses);
    let (ipv4, ipv6) = addresses.ok_or_else(|| LabError::Asked(format!("{router} has no WAN")))?;
    Ok(if is_ipv6 { ipv6.into() } else { ipv4.into() })
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
