//! VXLAN takes frames from the neighbor of a link and from nobody else.

use std::net::Ipv4Addr;

use crate::capture::Capture;
use crate::error::LabError;
use crate::inject;
use crate::scenarios::{Scenario, Stage, claim};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "vxlan-filter",
    claim: "Frames with the right VNI from a LAN host, from the WAN and from another router are dropped and counted.",
    topology: "reference",
    run: vxlan_filter,
}];

/// The VNI of the link between r2 and r4: 256 x 2 + 4.
const VNI: u32 = 516;
/// The device of that link at r2.
const DEVICE: &str = "dlan-vx4";
/// r2's WireGuard address.
const R2_WG: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const COUNT: usize = 20;

fn vxlan_filter(stage: &mut Stage) -> Result<(), LabError> {
    let from_neighbor = inject(stage, "r4", R2_WG, b"from-the-neighbor-itself")?;
    claim(from_neighbor.0 > 0, || {
        "a frame of the neighbor itself does not arrive: nothing is tried here".to_owned()
    })?;
    stage.saw(format!("from r4, the link's neighbor: {} frames on {DEVICE}", from_neighbor.0));
    for (who, node, to, words) in [
        ("a LAN host, to the LAN address", "s3", Ipv4Addr::new(10, 2, 2, 1), b"from-a-lan-host---------"),
        ("a LAN host, to the WireGuard address", "s3", R2_WG, b"from-a-lan-host-inside--"),
        ("a stranger on the WAN", "x2", Ipv4Addr::new(192, 168, 1, 2), b"from-the-wan------------"),
        ("another router, r3", "r3", R2_WG, b"from-another-router-----"),
    ] {
        let (arrived, counted) = inject(stage, node, to, words)?;
        claim(arrived == 0, || format!("from {who}: {arrived} frames arrived on {DEVICE}"))?;
        claim(counted >= COUNT as u64, || {
            format!("from {who}: {COUNT} frames sent, {counted} counted as dropped")
        })?;
        stage.saw(format!("from {who}: {COUNT} frames sent, none arrived, {counted} counted as dropped"));
    }
    Ok(())
}

/// Sends frames and returns how many arrived on the device, and by how many r2's counters of drops rose.
fn inject(stage: &Stage, node: &str, to: Ipv4Addr, words: &[u8]) -> Result<(usize, u64), LabError> {
    let before = stage.lab.dropped("r2")?;
    let capture = Capture::start(&stage.lab, "r2", DEVICE, "ether proto 0x88b5")?;
    inject::send(stage.lab.node(node)?, to, VNI, words, COUNT)?;
    // What was sent first has arrived, or been dropped, once an answer to something sent later is back.
    let _ = stage.lab.pings("s3", "s6", false)?;
    let _ =
        stage.lab.node(node)?.succeeds("ping", &["-n", "-c", "2", "-i", "0.2", "-W", "1", &to.to_string()]);
    let arrived = capture.stop()?.packets();
    Ok((arrived, stage.lab.dropped("r2")?.saturating_sub(before)))
}
