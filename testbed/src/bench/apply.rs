//! How long a router takes to say what a configuration with many links and services would change, and to change it.

use std::time::{Duration, Instant};

use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::observe::COLD_START_LIMIT;
use crate::scenarios::{many_links, many_services};
use crate::wait;

/// How often everything is measured; the median counts.
const RUNS: usize = 5;
const ROUTER: &str = "r1";
/// The host id of the first neighbor that does not exist.
const FIRST: u16 = 3;
/// The first service's port.
const PORT: u16 = 9001;
const LIMIT: Duration = Duration::from_secs(60);

/// What is measured, as `dlan` is called.
const MEASURED: [(&str, &str); 4] = [
    ("plan", "plan all, one link standing"),
    ("apply", "apply them, verified"),
    ("plan", "plan with all standing: nothing"),
    ("apply", "apply that: nothing"),
];

/// Measures a router with this many links whose far ends do not exist, beside one that does, and with so many services.
pub fn measure(console: Console, links: u16, services: u16) -> Result<(), LabError> {
    super::on_two_routers(console, "bench-apply", |lab| measure_in(console, lab, (links, services)))
}

fn measure_in(console: Console, lab: &Lab, (links, services): (u16, u16)) -> Result<(), LabError> {
    lab.start_mesh(&|step| console.replace(step))?;
    lab.wait_for_adjacencies(COLD_START_LIMIT)?;
    let one = lab.read_config(ROUTER)?;
    let links_there = many_links(&one, FIRST..FIRST + links.saturating_sub(1));
    let all = links_there + &many_services(PORT..PORT + services, lab.address_of("s2", false)?);
    let mut seconds: [Vec<f64>; 4] = Default::default();
    for run in 0..RUNS {
        console.replace(format!("run {} of {RUNS}", run + 1));
        lab.write_config(ROUTER, &all)?;
        for (taken, (command, _)) in seconds.iter_mut().zip(MEASURED) {
            wait_until_idle(lab)?;
            let begun = Instant::now();
            lab.dlan(ROUTER, &[command])?;
            taken.push(begun.elapsed().as_secs_f64());
        }
        lab.write_config(ROUTER, &one)?;
        lab.dlan(ROUTER, &["apply"])?;
    }
    console.replace("");
    console.line(format!(
        "\nA router with {links} links and {services} services: `dlan plan` and `dlan apply`, from the command line, median of {RUNS}"
    ));
    for (mut taken, (command, what)) in seconds.into_iter().zip(MEASURED) {
        taken.sort_by(f64::total_cmp);
        let (median, most) = (taken.get(RUNS / 2), taken.last());
        let milliseconds = |seconds: Option<&f64>| seconds.copied().unwrap_or_default() * 1000.0;
        console.line(format!(
            "  {command:<6} {what:<36} {:>6.0} ms, at most {:>6.0} ms",
            milliseconds(median),
            milliseconds(most)
        ));
    }
    Ok(())
}

/// Waits until the router answers and nothing of the change before is under way.
fn wait_until_idle(lab: &Lab) -> Result<(), LabError> {
    wait::until(LIMIT, "a router at rest", || match lab.dlan_json(ROUTER, &["window"]) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.with_causes()),
    })
}
