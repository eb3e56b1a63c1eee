//! Replies as text for people: plain, aligned, without colour.

mod history;
mod leases;
mod lists;
mod map;
mod names;
mod services;
mod status;
pub mod table;
mod way;
mod zones;

pub use history::{history, history_entry, window};
pub use leases::leases;
pub use lists::{links, lsdb, neighbors, routes};
pub use map::topology;
pub use names::names;
pub use services::services;
pub use status::{problems, status};
pub use way::{Probe, path};
pub use zones::zones;

use crate::control::apply_report::{ApplyReport, DrainReport, PlanReport, SETTLED};

/// Returns what would change.
pub fn plan(report: &PlanReport) -> String {
    if report.steps == 0 {
        return "Nothing to do: the router is as configured.\n".to_owned();
    }
    let plural = if report.steps == 1 { "" } else { "s" };
    format!("{}{} step{plural}.\n", ended(&report.text), report.steps)
}

/// Returns what was changed, and what came out.
pub fn apply(report: &ApplyReport) -> String {
    match (report.done && report.plan.steps == 0, report.outcome == SETTLED) {
        (true, true) => return plan(&report.plan),
        // What there is to say is not about the router's being as configured.
        (true, false) => return ended(&report.outcome),
        (false, _) => {}
    }
    format!("{}{}\n", plan(&report.plan), report.outcome)
}

/// Returns what draining, or its end, came to.
pub fn drain(report: &DrainReport) -> String {
    let mut text = match report.drained {
        true => "Drained: traffic between other routers keeps away from this one. `dlan undrain` ends it.\n",
        false => "Not drained: traffic between other routers may pass through this one.\n",
    }
    .to_owned();
    if !report.acknowledged {
        text.push_str("Not every neighbor has acknowledged that yet (`dlan neighbors`).\n");
    }
    if !report.parted.is_empty() {
        text.push_str("It still carries what has no other way, between:\n");
        text.extend(report.parted.iter().map(|part| format!("  {}\n", part.join(", "))));
    }
    text
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests;
