//! Routers die, links are cut, and the mesh heals.

use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::lab::Lab;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim, connected_pairs, family, in_parallel};
use crate::transfer::Transfer;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kill-r4",
        claim: "R4 dies while transfers R1 to R2 run: they go on through R5; when R4 returns, no ping is lost.",
        topology: "reference",
        run: kill_r4,
    },
    Scenario {
        name: "cut-any-link",
        claim: "Whichever single link is cut, every pair still connected in the graph still talks.",
        topology: "reference",
        run: cut_any_link,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// A TCP sender doubles its wait with each retransmission that is lost: after seconds of silence on a busy machine the next one may
/// be half a minute away.
const TRANSFER_LIMIT: Duration = Duration::from_secs(150);

fn kill_r4(stage: &mut Stage) -> Result<(), LabError> {
    // A scenario before this one may have had traffic go another way.
    wait_for_way(stage)?;
    let mut transfers = Vec::new();
    for is_ipv6 in [true, false] {
        transfers.push((is_ipv6, Transfer::start(&stage.lab, "s1", "s3", is_ipv6, u64::MAX)?));
    }
    for (_, transfer) in &transfers {
        wait_for_more(transfer, 2_000_000)?;
    }
    stage.lab.power_off("r4")?;
    let begun = Instant::now();
    for (_, transfer) in &transfers {
        // What is on its way when r4 dies may still arrive: more than any buffer holds must follow.
        wait_for_more(transfer, 20_000_000)?;
    }
    stage.saw(format!(
        "r4 off; both transfers carried 20 MB more within {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    for (is_ipv6, transfer) in transfers {
        let done = transfer.stop()?;
        let pause = done.longest_pause.as_secs_f64();
        stage.saw(format!("{}: longest pause {pause:.1} s, {} octets checked", family(is_ipv6), done.octets));
    }
    let pings = ["s3", "s7"].map(|to| start_pings(&stage.lab, to));
    stage.lab.power_on("r4")?;
    stage.lab.start_agent("r4")?;
    stage.lab.wait_for_routes(LIMIT)?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    wait_for_way(stage)?;
    for pings in pings {
        for (what, ping) in pings? {
            let count = ping.stop()?;
            claim(count.lost == 0, || {
                format!("{what}: {} of {} pings lost while r4 returned", count.lost, count.sent)
            })?;
            stage.saw(format!("r4 returns; {what}: {} pings at 10 ms, none lost", count.sent));
        }
    }
    Ok(())
}

fn start_pings(lab: &Lab, to: &str) -> Result<Vec<(String, PingRun)>, LabError> {
    let node = lab.node("s1")?;
    [true, false]
        .into_iter()
        .map(|is_ipv6| {
            let ping = PingRun::start(node, lab.address_of(to, is_ipv6)?, 10)?;
            Ok((format!("s1 to {to}, {}", family(is_ipv6)), ping))
        })
        .collect()
}

fn wait_for_more(transfer: &Transfer, octets: u64) -> Result<(), LabError> {
    let goal = transfer.received() + octets;
    wait::until(TRANSFER_LIMIT, "the transfer to go on", || {
        let received = transfer.received();
        if received >= goal || transfer.has_ended() {
            Ok(())
        } else {
            Err(format!("{received} of {goal} octets"))
        }
    })
}

fn wait_for_way(stage: &Stage) -> Result<(), LabError> {
    wait::until(LIMIT, "r1 to send by r4", || {
        let seen = stage.lab.route_devices("r1", "10.2.2.0/24").map_err(|error| error.with_causes())?;
        if seen == ["dlan-vx4"] { Ok(()) } else { Err(format!("it sends by {}", seen.join(" and "))) }
    })
}

fn cut_any_link(stage: &mut Stage) -> Result<(), LabError> {
    let links = stage.lab.topology.links.clone();
    for link in links {
        let (a, b) = (&link.between.0, &link.between.1);
        stage.lab.set_cut(a, b, true)?;
        let begun = Instant::now();
        let pairs = connected_pairs(&stage.lab);
        let count = pairs.len();
        let lab = &stage.lab;
        // The cut is noticed within RouterDeadInterval: ask until all talk, then ask all once more.
        let failures = in_parallel(pairs.clone(), 16, |pair| answered_in_time(lab, pair));
        claim(failures.is_empty(), || format!("{} cut: no answer: {}", link.name(), failures.join(", ")))?;
        let failures = in_parallel(pairs, 16, |(from, to, is_ipv6)| match lab.pings(from, to, *is_ipv6) {
            Ok(true) => Ok(()),
            _ => Err(format!("{from} -> {to} {}", family(*is_ipv6))),
        });
        claim(failures.is_empty(), || format!("{} cut: not for good: {}", link.name(), failures.join(", ")))?;
        let took = begun.elapsed().as_secs_f64();
        stage.saw(format!("{} cut: {count} pairs talk, the last after {took:.1} s", link.name()));
        stage.lab.set_cut(a, b, false)?;
        stage.lab.wait_for_adjacencies(LIMIT)?;
        stage.lab.wait_for_routes(LIMIT)?;
    }
    Ok(())
}

fn answered_in_time(lab: &Lab, (from, to, is_ipv6): &(String, String, bool)) -> Result<(), String> {
    let what = format!("{from} -> {to} {}", family(*is_ipv6));
    wait::until(LIMIT, &what, || match lab.pings(from, to, *is_ipv6) {
        Ok(true) => Ok(()),
        Ok(false) => Err("no answer".to_owned()),
        Err(error) => Err(error.with_causes()),
    })
    .map_err(|error| error.with_causes())
}
