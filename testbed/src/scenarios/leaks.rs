//! What is internal stays inside, also when a route goes away.

use std::time::Duration;

use crate::capture::Capture;
use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "no-leak",
    claim: "When a route goes away, nothing for the hosts it led to leaves by the WAN.",
    topology: "reference",
    run: no_leak,
}];

const LIMIT: Duration = Duration::from_secs(60);

fn no_leak(stage: &mut Stage) -> Result<(), LabError> {
    let internal = "dst net 10.0.0.0/8 or dst net fc00::/7";
    let leaks = [("r1", "wan"), ("r2", "wan"), ("r4", "wan")].map(|(router, device)| {
        Capture::start(&stage.lab, router, device, internal).map(|capture| (router, capture))
    });
    let control = Capture::start(&stage.lab, "r1", "wan", "dst host 203.0.113.6 and icmp")?;
    // What is not internal does leave by the WAN, so a leak would be seen.
    let _ = stage.lab.node("s1")?.succeeds("ping", &["-n", "-c", "3", "-i", "0.2", "-W", "1", "203.0.113.6"]);
    claim(control.stop()?.packets() > 0, || {
        "nothing at all leaves r1 by its WAN: nothing is tried here".to_owned()
    })?;
    stage.lab.set_cut("r2", "r3", true)?;
    for (router, host) in [("r1", "s1"), ("r2", "s3"), ("r4", "s6")] {
        for is_ipv6 in [true, false] {
            let address = stage.lab.address_of("s5", is_ipv6)?.to_string();
            wait::until(LIMIT, &format!("{router}'s {} route to r3's LAN to go", family(is_ipv6)), || {
                // Pinging all the time, so that a leak in between is seen as well.
                stage
                    .lab
                    .node(host)
                    .map_err(|error| error.with_causes())?
                    .succeeds("ping", &["-n", "-c", "5", "-i", "0.02", "-W", "1", &address]);
                let prefix = if is_ipv6 { "fd79:2de7:db86:3::/64" } else { "10.2.3.0/24" };
                let routes = stage.lab.kernel_routes(router).map_err(|error| error.with_causes())?;
                if routes.iter().any(|route| route == prefix) { Err("it stands".to_owned()) } else { Ok(()) }
            })?;
            let gone = !stage
                .lab
                .node(host)?
                .succeeds("ping", &["-n", "-c", "10", "-i", "0.02", "-W", "1", &address]);
            claim(gone, || format!("{host} still reaches {address} over a cut link"))?;
        }
    }
    for leak in leaks {
        let (router, capture) = leak?;
        let packets = capture.stop()?.packets();
        claim(packets == 0, || format!("{packets} packets to internal addresses left {router} by its WAN"))?;
    }
    stage.saw(
        "r2-r3 cut: r1, r2 and r4 withdraw the route; not one packet to 10.0.0.0/8 or fc00::/7 on their WANs",
    );
    stage.lab.set_cut("r2", "r3", false)?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}
