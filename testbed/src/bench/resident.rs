//! What a whole router's routing holds in memory when its area is large: the agent, BIRD and FRR on the same link, with every
//! route of the area in the kernel.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::cpu::{Memory, resident_memory};
use super::failover::{Case, Subject};
use super::played::{self, DEVICE, Player, gone, wait_until_idle};
use super::player::INTERVALS;
use super::shapes;
use crate::console::Console;
use crate::error::LabError;
use crate::foreign::{Link, Maker};
use crate::lab::{Lab, RUN_DIR};
use crate::node::Node;
use crate::topology::Topology;
use crate::wait;

/// The lab's name.
const LAB: &str = "bench-resident";
/// The router that is measured, its neighbor, which brings the area, and the one that plays it.
const ROUTER: &str = "r1";
const NEIGHBOR: &str = "r2";
const PLAYER: &str = "player";
/// What every prefix of a played area begins with, as the kernel writes it.
const PREFIXES: &str = "fd00:0:2:";
/// How long anything may take: BIRD and FRR take in ten thousand routers slowly.
const LIMIT: Duration = Duration::from_secs(1200);
/// How long a daemon is left alone before its memory counts.
const QUIET: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Sizes of the area.
    pub routers: Vec<usize>,
    /// Whom.
    pub subjects: Vec<Subject>,
}

/// Measures areas of these sizes and prints a table.
pub fn measure(console: Console, orders: &Orders) -> Result<(), LabError> {
    console.heading("Resident memory of a router in a large area, every route in its kernel");
    console.line("routers  daemon             resident   private");
    for &routers in &orders.routers {
        for &subject in &orders.subjects {
            console.replace(format!("{routers} routers, {}: loading", subject.name()));
            let result = measure_one(routers, subject);
            Lab::down(LAB)?;
            let memory = result?;
            console.replace("");
            console.line(format!(
                "{routers:>7}  {:<17}  {:>5.1} MB  {:>5.1} MB",
                subject.name(),
                super::megabytes(memory.resident),
                super::megabytes(memory.private),
            ));
        }
    }
    Ok(())
}

/// Has BIRD bring an area to the measured router, over a link that the agents have made; the caller takes the lab down.
fn measure_one(routers: usize, subject: Subject) -> Result<Memory, LabError> {
    Lab::down(LAB)?;
    let text =
        shapes::topology(LAB, "ospf_secret = false\nhello_interval = 1\ndead_interval = 4\n", &[(1, 2)], &[]);
    let mut lab = Lab::up(Topology::parse(&text, LAB)?, &|_| ())?;
    lab.start_mesh(&|_| ())?;
    lab.wait_for_adjacencies(LIMIT)?;
    let both = [ROUTER, NEIGHBOR].map(str::to_owned);
    Subject::Dlan.stop(&lab, &both)?;
    let player = Node::start(LAB, PLAYER, &Path::new(RUN_DIR).join(LAB).join(PLAYER), "")?;
    played::cable(&player, lab.node(NEIGHBOR)?)?;
    bring(&mut lab)?;
    subject.start(&mut lab, Case::Hello, &both[..1])?;
    let mut player = Player::start(&player, routers)?;
    player.wait_for("full")?;
    let router = lab.node(ROUTER)?;
    wait_for_routes(router, routers)?;
    let pids = processes(&lab, subject)?;
    for pid in &pids {
        wait_until_idle(router, *pid)?;
    }
    sleep(QUIET);
    let each = pids.iter().map(|pid| resident_memory(*pid));
    each.sum::<std::io::Result<Memory>>().map_err(|error| gone(router, &error))
}

/// Starts BIRD in the neighbor, on the link to the measured router and the cable to the player.
fn bring(lab: &mut Lab) -> Result<(), LabError> {
    let mut plan = Subject::Bird.plan(lab, Case::Hello, NEIGHBOR)?;
    let seconds = |interval: Duration| u16::try_from(interval.as_secs()).unwrap_or(u16::MAX);
    plan.links.push(Link {
        device: DEVICE.to_owned(),
        cost: 10,
        intervals: (seconds(INTERVALS.0), seconds(INTERVALS.1)),
        authentication: None,
        instance: None,
    });
    let neighbor = lab.node(NEIGHBOR)?;
    // The agent's filter, which outlives it, lets OSPF in by links only, and the cable is none.
    neighbor.run("nft", &["delete", "table", "inet", "dlan"])?;
    Maker::Bird.start(neighbor, &plan)
}

fn wait_for_routes(router: &Node, wanted: usize) -> Result<(), LabError> {
    wait::every(Duration::from_secs(1), LIMIT, "every route of the area in the kernel", || {
        let text = router.run("ip", &["-6", "route", "show", "table", "all"]).unwrap_or_default();
        let there = text.lines().filter(|line| line.starts_with(PREFIXES)).count();
        if there >= wanted { Ok(()) } else { Err(format!("{there} of {wanted}")) }
    })
}

fn processes(lab: &Lab, subject: Subject) -> Result<Vec<i32>, LabError> {
    match subject {
        Subject::Dlan => lab.agents(ROUTER),
        Subject::Bird => Ok(Maker::Bird.processes(lab.node(ROUTER)?)),
        Subject::Frr => Ok(Maker::Frr.processes(lab.node(ROUTER)?)),
    }
}
