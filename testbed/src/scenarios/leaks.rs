//! What is internal stays inside, also when a route goes away.

use std::time::Duration;

use crate::agent::dlan_program;
use crate::agent_config::with_section_options;
use crate::capture::{Capture, Seen};
use crate::error::LabError;
use crate::lab::read_file;
use crate::layout::HOME_LAN;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "no-leak",
        claim: "When a route goes away, nothing for the hosts it led to leaves by the WAN.",
        topology: "reference",
        run: no_leak,
    },
    Scenario {
        name: "no-leak-at-boot",
        claim: "A router that boots while the mesh cannot be reached forwards nothing for it to its WAN, though it was told of no \
                other LAN; where it is said what is inside, it sends nothing there itself either, and private networks beyond the \
                WAN are reached all the same.",
        topology: "reference",
        run: no_leak_at_boot,
    },
];

const LIMIT: Duration = Duration::from_secs(60);

/// What the LANs of the reference mesh lie in.
const INSIDE: [&str; 2] = ["10.2.0.0/16", "fd79:2de7:db86::/48"];
/// A private network somewhere beyond the WAN of r1, which is nothing of the mesh's.
const FOREIGN: &str = "10.99.0.1";
/// A machine on the WAN of r1 itself, x1.
const ON_WAN: &str = "192.168.178.66";
/// What an engine says when it knows all that it can know without its neighbors.
const SETTLED: &str = "the first routes are in";

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

fn no_leak_at_boot(stage: &mut Stage) -> Result<(), LabError> {
    let good = stage.lab.read_config("r1")?;
    let everything_private = "dst net 10.0.0.0/8 or dst net fc00::/7";
    let private = boot_alone(stage, everything_private)?;
    nothing_in(&private)?;
    stage.saw("r1 boots without a neighbor: not one packet to 10.0.0.0/8 or fc00::/7 on its home's network");
    wait::until(LIMIT, "r1 to let go of what is not the mesh's", || {
        arrives(stage, "s1", ("h1", HOME_LAN), FOREIGN)
    })?;

    let inside: String = INSIDE.iter().map(|net| format!("\tlist inside '{net}'\n")).collect();
    stage.lab.write_config("r1", &with_section_options(&good, "config mesh 'mesh'", &inside))?;
    let [ipv4, ipv6] = INSIDE;
    let leaked = boot_alone(stage, &format!("dst net {ipv4} or dst net {ipv6}"));
    stage.lab.write_config("r1", &good)?;
    stage.lab.dlan("r1", &["apply"])?;
    nothing_in(&leaked?)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn nothing_in(seen: &Seen) -> Result<(), LabError> {
    claim(seen.packets() == 0, || {
        let first: Vec<u8> = seen.records().next().map(|(_, frame)| frame.to_vec()).unwrap_or_default();
        format!("{} packets to private addresses left r1 by its WAN, the first: {first:02x?}", seen.packets())
    })
}

/// Boots r1 while none of its neighbors can be reached, lets s1, and r1 itself where it is told what is inside, speak to
/// everybody until r1 has given up waiting for them, and lets r1 into the mesh. Returns the packets of a kind that went out to r1's home.
fn boot_alone(stage: &mut Stage, kind: &str) -> Result<Seen, LabError> {
    let is_told = stage.lab.read_config("r1")?.contains("list inside");
    for neighbor in ["r4", "r5"] {
        stage.lab.set_cut("r1", neighbor, true)?;
    }
    stage.lab.power_off("r1")?;
    // The machine on the home's network answers s1 by way of its home.
    let leaks = Capture::start(&stage.lab, "h1", HOME_LAN, &format!("( {kind} ) and not src host {ON_WAN}"))?;
    let begun = read_file(&stage.lab.log("r1"))?.len();
    let program = dlan_program()?;
    stage.lab.power_on_after("r1", |node| {
        node.run(&program.to_string_lossy(), &["firewall", "--load"])?;
        Ok(())
    })?;
    // Of its own a router asks private addresses for what it cannot do without, unless it is told what is inside.
    let speakers = if is_told { &["s1", "r1"][..] } else { &["s1"] };
    speak(stage, speakers)?;
    stage.lab.start_agent("r1")?;
    wait::until(LIMIT, "r1 to know all that it can know alone", || {
        speak(stage, speakers).map_err(|error| error.with_causes())?;
        let said = read_file(&stage.lab.log("r1")).map_err(|error| error.with_causes())?;
        let settled = said.get(begun..).unwrap_or_default().matches(SETTLED).count();
        if settled >= 2 { Ok(()) } else { Err(format!("{settled} of two engines have")) }
    })?;
    speak(stage, speakers)?;
    // What is not private does leave, and so does what is on the WAN itself: a leak would be seen.
    let beyond = [("x1", "eth0", ON_WAN), ("h1", HOME_LAN, "203.0.113.6")].into_iter();
    for (node, device, address) in beyond.chain(is_told.then_some(("h1", HOME_LAN, FOREIGN))) {
        for speaker in speakers {
            wait::until(LIMIT, &format!("r1 to send on what {speaker} has for {address}"), || {
                arrives(stage, speaker, (node, device), address)
            })?;
        }
    }
    for neighbor in ["r4", "r5"] {
        stage.lab.set_cut("r1", neighbor, false)?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    for is_ipv6 in [false, true] {
        wait::until(LIMIT, "s1 to reach s6", || match stage.lab.pings("s1", "s6", is_ipv6) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
    }
    leaks.stop()
}

/// These send something to a host of another LAN, in both families.
fn speak(stage: &Stage, speakers: &[&str]) -> Result<(), LabError> {
    for is_ipv6 in [false, true] {
        let address = stage.lab.address_of("s6", is_ipv6)?.to_string();
        for node in speakers {
            let ping = ["-n", "-c", "3", "-i", "0.05", "-W", "1", &address];
            let _ = stage.lab.node(node)?.succeeds("ping", &ping);
        }
    }
    Ok(())
}

/// Looks for what somebody sends to an address on a node's device.
fn arrives(stage: &Stage, speaker: &str, (node, device): (&str, &str), address: &str) -> Result<(), String> {
    let seen = || -> Result<usize, LabError> {
        let capture = Capture::start(&stage.lab, node, device, &format!("icmp and dst host {address}"))?;
        let ping = ["-n", "-c", "3", "-i", "0.05", "-W", "1", address];
        let _ = stage.lab.node(speaker)?.succeeds("ping", &ping);
        Ok(capture.stop()?.packets())
    };
    match seen() {
        Ok(0) => Err(format!("nothing of it is seen on {node}'s {device}")),
        Ok(_) => Ok(()),
        Err(error) => Err(error.with_causes()),
    }
}
