//! The parts that sentences about a rejected file are made of.

use std::fmt;

use crate::config::value::Rejection;

/// Where a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this line.
    Line(usize),
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Default => f.write_str("the default"),
        }
    }
}

pub(super) struct Default(pub(super) bool);

impl fmt::Display for Default {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { " (the default)" } else { "" })
    }
}

/// The most of a value that is repeated in an error, in characters.
const SHOWN_MAX: usize = 60;

/// Shows a text of the operator's in quotes: escaped, and no more of it than helps.
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for character in self.0.chars().take(SHOWN_MAX) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if self.0.chars().nth(SHOWN_MAX).is_some() {
            f.write_str("...")?;
        }
        f.write_str("'")
    }
}

pub(super) struct Keys<'a>(pub(super) &'a [u16]);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f
                .write_str("there is none at all: set ospf_secret_file, or write a section config ospf_key");
        }
        let ids: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "there are {}", ids.join(", "))
    }
}

pub(super) struct Written<'a> {
    pub(super) value: &'a str,
    pub(super) rejection: &'a Rejection,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rejection.hides_value {
            return f.write_str("what is written (not shown, it may be a secret)");
        }
        Shown(self.value).fmt(f)
    }
}

pub(super) struct DidYouMean<'a>(pub(super) &'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(suggestion) => write!(f, "; did you mean {}?", Shown(suggestion)),
            None => Ok(()),
        }
    }
}

pub(super) struct Why<'a> {
    pub(super) allowed: &'a str,
    pub(super) rejection: &'a Rejection,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, rejection } = self;
        match &rejection.because {
            Some(because) => write!(f, "cannot be used: {because}; allowed is {allowed}"),
            None => write!(f, "is not {allowed}"),
        }
    }
}

pub(super) struct Meant<'a> {
    pub(super) suggestion: &'a Option<String>,
    pub(super) elsewhere: &'a Option<&'static str>,
}

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.suggestion, self.elsewhere) {
            (Some(_), _) => DidYouMean(self.suggestion).fmt(f),
            (None, Some(kind)) => write!(f, "; it belongs in a section config {kind}."),
            (None, None) => f.write_str("."),
        }
    }
}
