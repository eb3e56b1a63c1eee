//! The agent's program is replaced by another version while the traffic flows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{LIMIT, TOPOLOGY, wait_for_agent, wait_until_settled, wait_until_whole, without_bfd};
use crate::error::LabError;
use crate::files::{failed, read_file};
use crate::lab::Lab;
use crate::scenarios::agents::{OTHER_VERSION, another_version};
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "upgrade",
    claim: "A router whose agent is replaced by another version, and by the former again, carries transfers on by the same devices of its kernel.",
    topology: TOPOLOGY,
    run: upgrade,
}];

const ROUTER: &str = "r2";
/// The two that talk through it alone while their own link is cut.
const AROUND: (&str, &str) = ("r1", "r3");
/// Where the other program is in the machine, in memory.
const OTHER: &str = "/run/other-dlan";

fn upgrade(stage: &mut Stage) -> Result<(), LabError> {
    bring_other(&stage.lab)?;
    let good = without_bfd(&stage.lab, ROUTER)?;
    stage.lab.set_cut(AROUND.0, AROUND.1, true)?;
    try_upgrade(stage)?;
    stage.lab.set_cut(AROUND.0, AROUND.1, false)?;
    stage.lab.node(ROUTER)?.run("rm", &["-f", OTHER])?;
    stage.lab.write_config(ROUTER, &good)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    wait_until_whole(&stage.lab)
}

fn try_upgrade(stage: &mut Stage) -> Result<(), LabError> {
    wait::until(LIMIT, "s1 to reach s3 around the cut", || match stage.lab.pings("s1", "s3", true) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let node = stage.lab.node(ROUTER)?.clone();
    let devices = node.run("ip", &["-br", "link", "show"])?;
    let transfers: Vec<_> = [true, false]
        .into_iter()
        .map(|is_ipv6| Ok((is_ipv6, Transfer::start(&stage.lab, "s1", "s3", is_ipv6, u64::MAX)?)))
        .collect::<Result<_, LabError>>()?;
    // What a package manager does: another file in the place of the program, then the service anew.
    for put in [format!("mount --bind {OTHER} /usr/bin/dlan"), "umount -l /usr/bin/dlan".to_owned()] {
        let before = wait_for_agent(&stage.lab, ROUTER)?;
        node.run("sh", &["-c", &put])?;
        stage.lab.stop_agent(ROUTER)?;
        stage.lab.start_agent(ROUTER)?;
        let after = wait_for_agent(&stage.lab, ROUTER)?;
        claim(after != before, || format!("the agent is still process {before}"))?;
        wait_until_settled(&stage.lab, ROUTER)?;
        stage.lab.wait_for_adjacencies(LIMIT)?;
        for (is_ipv6, transfer) in &transfers {
            let received = transfer.received();
            wait::until(LIMIT, &format!("the {} transfer to go on", family(*is_ipv6)), || {
                let more = transfer.received().saturating_sub(received);
                let is_over = more > 2_000_000 && !transfer.has_ended();
                if is_over { Ok(()) } else { Err(format!("{more} octets more")) }
            })?;
        }
    }
    let log = read_file(&stage.lab.log(ROUTER))?;
    claim(log.contains(OTHER_VERSION), || "the other version never ran".to_owned())?;
    for (is_ipv6, transfer) in transfers {
        let done = transfer.stop()?;
        stage.saw(format!(
            "{}: {} octets checked while the agent was two other ones, {:.1} s between two at most",
            family(is_ipv6),
            done.octets,
            done.longest_pause.as_secs_f64()
        ));
    }
    let now = node.run("ip", &["-br", "link", "show"])?;
    claim(now == devices, || format!("the devices are not the same:\n{devices}\n{now}"))
}

/// Puts a program that is another version into the machine.
fn bring_other(lab: &Lab) -> Result<(), LabError> {
    let path = another_version()?;
    let program = std::fs::read(&path).map_err(failed("read", &path))?;
    let take = format!("base64 -d > {OTHER} && chmod 755 {OTHER}");
    lab.node(ROUTER)?.feed("sh", &["-c", &take], &BASE64.encode(program))?;
    Ok(())
}
