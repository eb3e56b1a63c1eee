//! What a run of scenarios came to, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::error::LabError;
use crate::lab::write_file;

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
    /// Why the claim does not hold; `None` when it does.
    pub failure: Option<String>,
}

/// Writes a report: JSON where the file's name ends so, else Markdown.
pub fn write(path: &Path, outcomes: &[Outcome]) -> Result<(), LabError> {
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let text =
        if is_json { serde_json::to_string_pretty(outcomes).unwrap_or_default() } else { markdown(outcomes) };
    write_file(path, &text)
}

/// Returns the last line of a run.
pub fn summary(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    format!("{} passed, {failed} failed", outcomes.len() - failed)
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
        if let Some(failure) = &outcome.failure {
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
            failure: failure.map(str::to_owned),
        };
        let outcomes = [outcome(None), outcome(Some("s1 is silent"))];
        assert_eq!(summary(&outcomes), "1 passed, 1 failed");
        assert!(markdown(&outcomes).contains("s1 is silent"));
    }
}
