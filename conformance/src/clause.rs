//! The clauses of the RFCs, as the lists in `docs/conformance` have them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;

/// Where the lists are, from the root of the repository.
pub const LISTS: &str = "docs/conformance";

/// Where the departures are told of, from the root of the repository.
pub const DEPARTURES: &str = "ARCHITECTURE.md";

/// One RFC and what it demands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The RFC's number.
    pub rfc: u16,
    /// Its title.
    pub title: String,
    /// What it demands, in its order.
    #[serde(rename = "clause")]
    pub clauses: Vec<Clause>,
}

/// One thing that an RFC demands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// The section: `4.2.2`, or `A.3.1` in an appendix.
    pub section: String,
    /// A name in lower case with dashes, one in its section.
    pub name: String,
    /// What is demanded.
    pub rule: String,
    /// Why it does not bind this router. Without a reason or a departure there is a test.
    pub unbound: Option<String>,
    /// The first words of the rows in [`DEPARTURES`] that say what is done instead, and why. Tests may show that.
    #[serde(default)]
    pub departures: Vec<String>,
}

impl Clause {
    /// Returns how the names of the clause's tests begin: `s4_2_2_version`.
    pub fn prefix(&self) -> String {
        let section = self.section.to_lowercase().replace('.', "_");
        format!("s{section}_{}", self.name.replace('-', "_"))
    }

    /// Returns whether a test of this name is about the clause.
    pub fn is_shown_by(&self, test: &str) -> bool {
        test.strip_prefix(&self.prefix()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

/// Returns the departures that the lists name and the text, which is that of [`DEPARTURES`], has no row for, in words.
pub fn check_departures(documents: &[Document], text: &str) -> Vec<String> {
    let has_row = |what: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_prefix(what))
            .any(|rest| rest.starts_with(" (`") || rest.starts_with(" |"))
    };
    let mut problems = Vec::new();
    for document in documents {
        for clause in &document.clauses {
            problems.extend(clause.departures.iter().filter(|what| !has_row(what)).map(|what| {
                let (rfc, section) = (document.rfc, &clause.section);
                format!("RFC {rfc} section {section}, {}: {DEPARTURES} has no row `{what}`", clause.name)
            }));
        }
    }
    problems
}

/// Reads every list, in the order of the RFCs' numbers.
pub fn read(root: &Path) -> Result<Vec<Document>, Error> {
    let folder = root.join(LISTS);
    let entries = std::fs::read_dir(&folder).map_err(|source| Error::read(&folder, source))?;
    let mut documents = Vec::new();
    for entry in entries {
        let path: PathBuf = entry.map_err(|source| Error::read(&folder, source))?.path();
        let is_list = path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("rfc"));
        if is_list && path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|source| Error::read(&path, source))?;
            documents.push(toml::from_str(&text).map_err(|source| Error::parse(&path, source))?);
        }
    }
    documents.sort_by_key(|document: &Document| document.rfc);
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::{Document, check_departures};

    #[test]
    fn a_departure_without_its_row_is_a_problem() {
        let list = "rfc = 1
title = 'One'
[[clause]]
section = '2'
name = 'late'
rule = 'Nobody is late.'
departures = ['Lateness', 'Haste', 'Slow']";
        let documents: [Document; 1] = [toml::from_str(list).unwrap()];
        let text = "| what | here |\n| Lateness (`late`) | some |\n| Haste | none |\n| Slowness | x |\n";
        assert_eq!(
            check_departures(&documents, text),
            ["RFC 1 section 2, late: ARCHITECTURE.md has no row `Slow`"]
        );
    }
}
