//! Ties the clauses of the RFCs to the tests that show them: `write` makes `docs/conformance.md`, `check` says what is missing,
//! `mutants` breaks lines to see the tests fail.

mod clause;
mod coverage;
mod error;
mod mutant;
mod page;
mod test_name;

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

use error::Error;

const USAGE: &str = "usage: dlan-conformance write | check | mutants [STEP]: every STEP-th of them";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("write") => write(&root),
        Some("check") => check(&root),
        Some("mutants") => {
            match std::env::args().nth(2).map_or(Ok(1), |step| step.parse::<NonZeroUsize>().map(usize::from))
            {
                Ok(step) => mutant::run(&root, step, |line| {
                    let _ = writeln!(std::io::stdout(), "{line}");
                }),
                Err(_) => Ok(vec![USAGE.to_owned()]),
            }
        }
        _ => Ok(vec![USAGE.to_owned()]),
    };
    let problems = outcome.unwrap_or_else(|error| vec![error.to_string()]);
    let mut stderr = std::io::stderr().lock();
    for problem in &problems {
        let _ = writeln!(stderr, "conformance: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the page; returns what is missing.
fn write(root: &Path) -> Result<Vec<String>, Error> {
    let (text, problems) = page(root)?;
    let path = root.join(page::PAGE);
    std::fs::write(&path, text).map_err(|source| Error::write(&path, source))?;
    Ok(problems)
}

/// Returns what is missing, and whether the page is another than `write` would make.
fn check(root: &Path) -> Result<Vec<String>, Error> {
    let (text, mut problems) = page(root)?;
    let path = root.join(page::PAGE);
    let found = std::fs::read_to_string(&path).map_err(|source| Error::read(&path, source))?;
    if found != text {
        problems.push(format!("{} is not what the tests say: run `make conformance`", page::PAGE));
    }
    problems.extend(mutant::check(root, &mutant::read(root)?)?);
    Ok(problems)
}

fn page(root: &Path) -> Result<(String, Vec<String>), Error> {
    let documents = clause::read(root)?;
    let tests = test_name::read(root)?;
    let path = root.join(clause::DEPARTURES);
    let departures = std::fs::read_to_string(&path).map_err(|source| Error::read(&path, source))?;
    let (covered, mut problems) = coverage::cover(&documents, &tests);
    problems.extend(clause::check_departures(&documents, &departures));
    Ok((page::render(&covered), problems))
}
