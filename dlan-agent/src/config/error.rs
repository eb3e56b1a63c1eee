//! The errors of one file: where each is, and all of them together.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::problem::Problem;

/// The most errors that are told of one file; what is behind them is told when these are mended.
pub const ERRORS_MAX: usize = 100;

/// One error with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// The character in the line, from 1, where the text is not UCI.
    pub column: Option<usize>,
    /// The section, as people call it: `link 'r4'`.
    pub section: Option<String>,
    /// The option's name.
    pub option: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl ConfigError {
    /// Returns an error of the file as a whole.
    pub fn file(problem: Problem) -> Self {
        Self { line: None, column: None, section: None, option: None, problem }
    }

    /// Returns what is wrong in words, without the place.
    pub fn message(&self) -> String {
        self.problem.to_string()
    }
}

impl fmt::Display for ConfigError {
    /// Writes everything but the file's name and the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(section) = &self.section {
            write!(f, "{section}: ")?;
        }
        if let Some(option) = &self.option {
            write!(f, "option {option}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl Serialize for ConfigError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ConfigError", 5)?;
        fields.serialize_field("line", &self.line)?;
        fields.serialize_field("column", &self.column)?;
        fields.serialize_field("section", &self.section)?;
        fields.serialize_field("option", &self.option)?;
        fields.serialize_field("message", &self.message())?;
        fields.end()
    }
}

/// Every error of a file, in the order of its lines; one line of text for each.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConfigErrors {
    /// The file's name.
    pub file: String,
    /// The errors, never none.
    pub errors: Vec<ConfigError>,
    /// How many more there are than are told.
    pub more: usize,
}

impl ConfigErrors {
    /// Orders the errors of a file.
    pub fn new(file: &str, mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| (error.line.unwrap_or_default(), error.column));
        errors.dedup();
        let more = errors.len().saturating_sub(ERRORS_MAX);
        errors.truncate(ERRORS_MAX);
        Self { file: file.to_owned(), errors, more }
    }

    /// Returns the one error of a file that cannot be read at all.
    pub fn file(file: &str, problem: Problem) -> Self {
        Self::new(file, vec![ConfigError::file(problem)])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(line) = error.line {
                write!(f, ":{line}")?;
            }
            if let Some(column) = error.column {
                write!(f, ":{column}")?;
            }
            write!(f, ": {error}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n{}: {more} more errors are not shown", self.file),
        }
    }
}

impl std::error::Error for ConfigErrors {}
