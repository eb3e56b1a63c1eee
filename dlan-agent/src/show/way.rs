//! The way to a host as text, with what came of trying it.

use std::fmt::Write as _;

use super::table::{Table, milliseconds, or_dash};
use crate::control::report::{PathHop, PathReport};

/// What came of sending to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// It answered, after so many microseconds.
    Answered {
        /// The round trip's time.
        micros: u64,
    },
    /// It did not.
    Silent,
    /// This system does not let the command ask.
    NotSent,
}

/// Returns the way; `probe` is nothing when none was sent.
pub fn path(path: &PathReport, probe: Option<Probe>) -> String {
    let mut text = String::new();
    let to = path.destination;
    match (&path.prefix, path.hops.last()) {
        (Some(prefix), Some(last)) => {
            let last = last.name.clone().unwrap_or_else(|| last.router_id.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{to} is in {prefix} of {last}, distance {}", path.distance);
            if path.equal_ways > 1 {
                let _ = writeln!(text, "{} ways of this cost are used:", path.equal_ways);
            }
            text.push_str(&hops(&path.hops));
            for other in &path.others {
                let _ = write!(text, "or\n{}", hops(other));
            }
        }
        _ => {
            let _ = writeln!(text, "{to}: the mesh announces no way there");
        }
    }
    match probe {
        Some(Probe::Answered { micros }) => {
            let _ = writeln!(text, "{to} answers: {}", milliseconds(micros));
        }
        Some(Probe::Silent) => {
            let _ = writeln!(text, "{to} does not answer");
        }
        Some(Probe::NotSent) => {
            let _ = writeln!(text, "{to} was not asked: sending an ICMP echo is not allowed here");
        }
        None => {}
    }
    text
}

fn hops(hops: &[PathHop]) -> String {
    let mut table = Table::new(&[">HOP", "ROUTER", ">COST", ">DISTANCE", "ADDRESS"]);
    for (at, hop) in hops.iter().enumerate() {
        table.row([
            at.to_string(),
            hop.name.clone().unwrap_or_else(|| hop.router_id.to_string()),
            or_dash(hop.cost),
            hop.distance.to_string(),
            or_dash(hop.address),
        ]);
    }
    table.render(2)
}
