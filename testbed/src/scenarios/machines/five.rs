//! Five routers that start at once, and know nobody's address at first.

use std::time::{Duration, Instant};

use super::{LIMIT, wait_for_agent, wait_for_problem, wait_until_settled, wait_until_whole};
use crate::error::LabError;
use crate::machine::qemu::Start;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "five-without-names",
    claim: "Five routers that are switched on together and find no endpoint's name for the first minute come to a whole mesh by themselves once the names are there.",
    topology: "reference",
    run: five_without_names,
}];

/// How long no name is found, at least, from power-on.
const NAMELESS: Duration = Duration::from_secs(60);
/// Hosts of different routers, between which nothing passes meanwhile.
const HOSTS: [(&str, &str); 3] = [("s1", "s3"), ("s6", "s7"), ("s5", "s6")];

fn five_without_names(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let routers: Vec<String> = lab.topology.routers.iter().map(|router| router.name.clone()).collect();
    let mut callers = Vec::new();
    for router in &routers {
        let node = lab.node(router)?;
        let names = node.read("/etc/hosts")?;
        if lab.read_config(router)?.contains("option endpoint ") {
            node.write("/etc/hosts", "127.0.0.1 localhost\n")?;
            callers.push((node.clone(), names));
        }
    }
    for router in &routers {
        lab.cut_power(router)?;
    }
    let begun = Instant::now();
    for router in &routers {
        lab.boot(router, &Start::default())?;
    }
    for router in &routers {
        wait_for_agent(lab, router)?;
    }
    for (node, _) in &callers {
        wait_for_problem(lab, &node.name, "has no address")?;
    }
    wait::until(LIMIT, "the first minute to be over", || {
        let passed = begun.elapsed();
        if passed > NAMELESS { Ok(()) } else { Err(format!("{} s passed", passed.as_secs())) }
    })?;
    for (from, to) in HOSTS {
        claim(!lab.pings(from, to, true)?, || format!("{from} reaches {to} without any name"))?;
    }
    let nameless = begun.elapsed().as_secs_f64();
    for (node, names) in &callers {
        node.write("/etc/hosts", names)?;
    }
    let named = Instant::now();
    wait_until_whole(lab)?;
    for router in &routers {
        wait_until_settled(lab, router)?;
    }
    let whole = named.elapsed().as_secs_f64();
    stage.saw(format!(
        "{} routers from power-on without names for {nameless:.1} s: each that calls others says so, and no host reaches another's router",
        routers.len()
    ));
    stage.saw("with the names every neighbor is Full, every host reaches every other");
    stage.figure(
        "five machines that found no names at first: a whole mesh after the names",
        format!("{whole:.1} s"),
    );
    Ok(())
}
