//! `docs/conformance.md`: every clause with its tests, or the reason why it does not bind us.

use std::fmt::Write as _;

use crate::coverage::Covered;

/// Where the page is, from the root of the repository.
pub const PAGE: &str = "docs/conformance.md";

const HEAD: &str = "# Conformance

Every rule of these RFCs that a router with point-to-point links in one area could break, with the tests that show that it is kept and that its breach is
refused; every rule that is departed from on purpose, with the row of [Departures](../ARCHITECTURE.md#departures-from-the-rfcs) that says what is done instead and why, and
the tests that show it; and every rule that does not bind such a router, with the reason. `make conformance` writes this page from `docs/conformance/*.toml` and the names
of the tests; `make check` fails when a rule has none of the three.

";

/// Renders the page.
pub fn render(documents: &[Covered<'_>]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "| RFC | title | rules | kept | departures | not binding | tests |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for covered in documents {
        let excused = covered.clauses.iter().filter(|(clause, _)| clause.unbound.is_some()).count();
        let departed = covered.clauses.iter().filter(|(clause, _)| !clause.departures.is_empty()).count();
        let tests: usize = covered.clauses.iter().map(|(_, tests)| tests.len()).sum();
        let (rfc, title) = (covered.document.rfc, &covered.document.title);
        let rules = covered.clauses.len();
        let _ = writeln!(
            text,
            "| [{rfc}](#rfc-{rfc}) | {title} | {rules} | {} | {departed} | {excused} | {tests} |",
            rules - departed - excused
        );
    }
    for covered in documents {
        render_document(covered, &mut text);
    }
    text
}

fn render_document(covered: &Covered<'_>, text: &mut String) {
    let _ = writeln!(text, "\n## RFC {}\n", covered.document.rfc);
    text.push_str("| section | rule | shown by |\n| --- | --- | --- |\n");
    for (clause, tests) in &covered.clauses {
        let tests = tests.iter().map(|test| format!("`{}`", test.name));
        let departures = clause.departures.iter().map(|what| format!("*departure:* {what}"));
        let shown = match &clause.unbound {
            Some(reason) => format!("*does not bind us:* {reason}"),
            None => departures.chain(tests).collect::<Vec<_>>().join("<br>"),
        };
        let _ = writeln!(text, "| {} {} | {} | {shown} |", clause.section, clause.name, clause.rule);
    }
    let mut files: Vec<&str> =
        covered.clauses.iter().flat_map(|(_, tests)| tests).map(|test| test.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    if !files.is_empty() {
        let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
        let _ = writeln!(text, "\nTests: {}.", files.join(", "));
    }
}
