//! What a run of scenarios came to, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::error::LabError;
use crate::files::write_file;
use crate::page;
use crate::topology::Topology;

/// The outcome of one scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The scenario's name.
    pub name: &'static str,
    /// What it claims.
    pub claim: &'static str,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was measured.
    pub evidence: Vec<String>,
    /// When each of that was noted, in seconds from its beginning.
    pub moments: Vec<f64>,
    /// Why it did not hold at the tries before, the first one first.
    pub earlier_failures: Vec<String>,
    /// Figures that are worth comparing: what, and how much.
    pub figures: Vec<(String, String)>,
    /// Why the claim does not hold; `None` when it does.
    pub failure: Option<String>,
}

impl Outcome {
    /// Returns whether the claim held, but not at the first try.
    fn is_late(&self) -> bool {
        self.failure.is_none() && !self.earlier_failures.is_empty()
    }
}

/// Writes a report: JSON or a page for a browser where the file's name ends so, else Markdown. `topologies` are those it was tried on.
pub fn write(path: &Path, outcomes: &[Outcome], topologies: &[Topology]) -> Result<(), LabError> {
    let text = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::to_string_pretty(outcomes).unwrap_or_default(),
        Some("html") => page::page(outcomes, topologies),
        _ => markdown(outcomes),
    };
    write_file(path, &text)
}

/// Returns the last line of a run.
pub fn summary(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let late = outcomes.iter().filter(|outcome| outcome.is_late()).count();
    let passed = outcomes.len() - failed;
    match late {
        0 => format!("{passed} passed, {failed} failed"),
        _ => format!("{passed} passed ({late} of them not at the first try), {failed} failed"),
    }
}

/// Returns a line for everything that failed, at whichever try: what a reader of the last lines must not miss.
pub fn complaints(outcomes: &[Outcome]) -> Vec<String> {
    let mut lines = Vec::new();
    for outcome in outcomes {
        let name = outcome.name;
        match &outcome.failure {
            Some(why) => lines.push(format!("failed: {name}: {why}")),
            None => lines.extend(
                outcome.earlier_failures.iter().map(|why| format!("held at a later try only: {name}: {why}")),
            ),
        }
    }
    lines
}

fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = format!("# What the lab showed\n\n{}\n", summary(outcomes));
    for outcome in outcomes {
        let verdict = if outcome.failure.is_some() { "does not hold" } else { "holds" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n## {}: {verdict} ({:.1} s)\n\n{}\n",
            outcome.name, outcome.seconds, outcome.claim
        );
        for line in &outcome.evidence {
            let _ = writeln!(text, "- {line}");
        }
        for (what, value) in &outcome.figures {
            let _ = writeln!(text, "- {what}: {value}");
        }
        for failure in outcome.earlier_failures.iter().chain(&outcome.failure) {
            let _ = writeln!(text, "\n```\n{failure}\n```");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_in_the_summary_and_in_the_report() {
        let outcome = |failure: Option<&str>| Outcome {
            name: "ping-all",
            claim: "All answer.",
            seconds: 1.0,
            evidence: vec!["84 pings".to_owned()],
            moments: vec![0.5],
            earlier_failures: Vec::new(),
            figures: vec![("all answered after".to_owned(), "0.7 s".to_owned())],
            failure: failure.map(str::to_owned),
        };
        let outcomes = [outcome(None), outcome(Some("s1 is silent"))];
        assert_eq!(summary(&outcomes), "1 passed, 1 failed");
        assert!(markdown(&outcomes).contains("s1 is silent"));
        let topology = Topology::find(Path::new("two")).unwrap();
        let page = page::page(&outcomes, &[topology]);
        for part in ["1 passed, 1 failed", "s1 is silent", "84 pings", "<svg", "0.5 s", "0.7 s"] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!page.contains("src=") && !page.contains("href="), "the page needs something else");
    }

    #[test]
    fn a_scenario_that_held_only_later_is_told_with_its_reason() {
        let late = Outcome {
            name: "ping-all",
            claim: "All answer.",
            seconds: 1.0,
            evidence: Vec::new(),
            moments: Vec::new(),
            figures: Vec::new(),
            earlier_failures: vec!["s1 is silent".to_owned()],
            failure: None,
        };
        assert_eq!(
            complaints(std::slice::from_ref(&late)),
            ["held at a later try only: ping-all: s1 is silent"]
        );
        assert_eq!(summary(&[late]), "1 passed (1 of them not at the first try), 0 failed");
    }
}
