//! Which tests show which clause, and what is missing.

use std::collections::BTreeSet;

use crate::clause::{Clause, Document};
use crate::test_name::TestName;

/// The clauses of one RFC with the tests of each.
#[derive(Debug)]
pub struct Covered<'a> {
    /// The RFC.
    pub document: &'a Document,
    /// Its clauses in order.
    pub clauses: Vec<(&'a Clause, Vec<&'a TestName>)>,
}

/// Returns every RFC with its clauses and their tests, and in words what does not fit together.
pub fn cover<'a>(documents: &'a [Document], tests: &'a [TestName]) -> (Vec<Covered<'a>>, Vec<String>) {
    let mut problems = Vec::new();
    let mut covered = Vec::new();
    for document in documents {
        let mut clauses: Vec<(&Clause, Vec<&TestName>)> =
            document.clauses.iter().map(|clause| (clause, Vec::new())).collect();
        for test in tests.iter().filter(|test| test.rfc == document.rfc) {
            // The longest name is meant where one clause's begins with another's.
            let shown = clauses
                .iter_mut()
                .filter(|(clause, _)| clause.is_shown_by(&test.name))
                .max_by_key(|(clause, _)| clause.prefix().len());
            match shown {
                Some((_, tests)) => tests.push(test),
                None => problems
                    .push(format!("{}: {} names no clause of RFC {}", test.file, test.name, document.rfc)),
            }
        }
        check(document, &clauses, &mut problems);
        covered.push(Covered { document, clauses });
    }
    let known: BTreeSet<u16> = documents.iter().map(|document| document.rfc).collect();
    let unlisted: BTreeSet<(u16, &str)> = tests
        .iter()
        .filter(|test| !known.contains(&test.rfc))
        .map(|test| (test.rfc, test.file.as_str()))
        .collect();
    problems
        .extend(unlisted.into_iter().map(|(rfc, file)| format!("{file}: RFC {rfc} has no list of clauses")));
    (covered, problems)
}

fn check(document: &Document, clauses: &[(&Clause, Vec<&TestName>)], problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (clause, tests) in clauses {
        let place = format!("RFC {} section {}, {}", document.rfc, clause.section, clause.name);
        if !seen.insert(clause.prefix()) {
            problems.push(format!("{place}: there are two clauses of this name"));
        }
        let is_fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if clause.name.is_empty() || !clause.name.chars().all(is_fit) {
            problems.push(format!("{place}: a name has small letters, digits and dashes"));
        }
        let is_departure = !clause.departures.is_empty();
        match (&clause.unbound, tests.is_empty()) {
            (Some(_), _) if is_departure => {
                problems.push(format!("{place}: it is said not to bind us, and departed from"));
            }
            (None, true) if !is_departure => problems.push(format!(
                "{place}: no test is named {}_.., and no reason says why it does not bind us",
                clause.prefix()
            )),
            (Some(_), false) => {
                problems.push(format!("{place}: it is said not to bind us, and has tests"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(clauses: &[(&str, &str, Option<&str>)]) -> Document {
        let clauses = clauses.iter().map(|(section, name, unbound)| Clause {
            section: (*section).into(),
            name: (*name).into(),
            rule: "It is so.".into(),
            unbound: unbound.map(Into::into),
            departures: Vec::new(),
        });
        Document { rfc: 1, title: "One".into(), clauses: clauses.collect() }
    }

    fn test(rfc: u16, name: &str) -> TestName {
        TestName { rfc, file: "a/tests/rfc1.rs".into(), name: name.into() }
    }

    #[test]
    fn a_test_shows_the_clause_with_the_longest_name_that_fits() {
        let documents = [document(&[("A.1", "age", None), ("A.1", "age-of-copies", None)])];
        let tests = [test(1, "sa_1_age_is_kept"), test(1, "sa_1_age_of_copies_grows")];
        let (covered, problems) = cover(&documents, &tests);
        assert_eq!(problems, Vec::<String>::new());
        let shown: Vec<&str> = covered[0].clauses.iter().map(|(_, tests)| tests[0].name.as_str()).collect();
        assert_eq!(shown, ["sa_1_age_is_kept", "sa_1_age_of_copies_grows"]);
    }

    #[test]
    fn a_clause_without_test_or_reason_is_a_problem_and_one_with_both_is_too() {
        let documents =
            [document(&[("1", "shown", None), ("2", "excused", Some("No.")), ("3", "open", None)])];
        let tests = [test(1, "s1_shown"), test(1, "s2_excused_and_tested")];
        let (_, problems) = cover(&documents, &tests);
        assert_eq!(
            problems,
            [
                "RFC 1 section 2, excused: it is said not to bind us, and has tests",
                "RFC 1 section 3, open: no test is named s3_open_.., and no reason says why it does not bind us",
            ]
        );
    }

    #[test]
    fn a_departure_needs_no_test_and_binds() {
        let mut documents = [document(&[("1", "left", None), ("2", "unsure", Some("No."))])];
        documents[0].clauses.iter_mut().for_each(|clause| clause.departures.push("Another way".into()));
        let (_, problems) = cover(&documents, &[]);
        assert_eq!(problems, ["RFC 1 section 2, unsure: it is said not to bind us, and departed from"]);
        let shown = [test(1, "s1_left_for_another_way")];
        let (covered, _) = cover(&documents, &shown);
        assert_eq!(covered[0].clauses[0].1, [&shown[0]]);
    }

    #[test]
    fn a_test_without_a_clause_is_a_problem() {
        let documents = [document(&[("1", "shown", None)])];
        let tests = [test(1, "s1_shown"), test(1, "s1_showing_off"), test(2, "s1_shown")];
        let (_, problems) = cover(&documents, &tests);
        assert_eq!(
            problems,
            [
                "a/tests/rfc1.rs: s1_showing_off names no clause of RFC 1",
                "a/tests/rfc1.rs: RFC 2 has no list of clauses",
            ]
        );
    }
}
