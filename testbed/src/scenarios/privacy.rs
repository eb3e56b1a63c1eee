//! Nobody on the way reads along.

use crate::capture::Capture;
use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::transfer::{MARKER, Transfer};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "unreadable",
    claim: "Nothing of what hosts send each other is readable on the homes' networks or on the internet.",
    topology: "reference",
    run: unreadable,
}];

/// How much each transfer carries past the captures.
const OCTETS: u64 = 3_000_000;

fn unreadable(stage: &mut Stage) -> Result<(), LabError> {
    // Every frame between a router and its home or the internet passes one of these devices.
    let outside =
        [("h1", "p-r1"), ("h2", "p-r2"), ("h2", "p-r3"), ("h1", "wan"), ("h2", "wan"), ("internet", "to-r4")];
    let captures = outside.map(|(node, device)| Capture::start(&stage.lab, node, device, ""));
    // What can be read on a host's own LAN shows that the search finds what is there.
    let control = Capture::start(&stage.lab, "r2", "lan-s3", "")?;
    for is_ipv6 in [true, false] {
        for (from, to) in [("s1", "s3"), ("s3", "s5"), ("s6", "s3")] {
            Transfer::start(&stage.lab, from, to, is_ipv6, OCTETS)?
                .wait()
                .map_err(|error| LabError::Claim(format!("{}: {}", family(is_ipv6), error.with_causes())))?;
        }
    }
    claim(control.stop()?.shows(MARKER), || {
        "the marker is not even found on the LAN it was sent on".to_owned()
    })?;
    for (capture, (node, device)) in captures.into_iter().zip(outside) {
        let seen = capture?.stop()?;
        claim(seen.octets() > 1_000_000, || {
            format!(
                "only {} octets were seen on {node}'s {device}: the transfers took another way",
                seen.octets()
            )
        })?;
        claim(!seen.shows(MARKER), || format!("the marker is readable on {node}'s {device}"))?;
        let megabytes = seen.octets() / 1_000_000;
        stage.saw(format!("{node} {device}: {} packets, {megabytes} MB, nothing readable", seen.packets()));
    }
    Ok(())
}
