//! Where commands write: text or JSON to standard output, errors to standard error. A closed pipe is no error.

use std::io::Write as _;

use serde::Serialize;

use crate::control::protocol::Refusal;

/// How wide text is when the terminal does not say.
const WIDTH_DEFAULT: usize = 100;
/// The least width that text is broken at.
const WIDTH_MIN: usize = 40;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Writes a result: as text, or as JSON when that was asked for.
    pub(super) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) {
        if self.json {
            match serde_json::to_string_pretty(value) {
                Ok(json) => self.text(&(json + "\n")),
                Err(error) => self.error(&format!("cannot write JSON: {error}")),
            }
        } else {
            self.text(&text());
        }
    }

    /// Writes text as it is.
    pub(super) fn text(&self, text: &str) {
        // Whoever closed the pipe has read enough.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes an error.
    pub(super) fn error(&self, text: &str) {
        if self.json {
            #[derive(Serialize)]
            struct Failure<'a> {
                error: &'a str,
            }
            self.result(&Failure { error: text }, String::new);
        } else {
            let _ = writeln!(std::io::stderr().lock(), "dlan: {text}");
        }
    }

    /// Writes why the agent refused; the lines of a rejected configuration stand as `config check` prints them.
    pub(super) fn refusal(&self, refusal: &Refusal) {
        if self.json {
            #[derive(Serialize)]
            struct Failure<'a> {
                error: &'a Refusal,
            }
            self.result(&Failure { error: refusal }, String::new);
        } else if refusal.kind == crate::control::protocol::RefusalKind::ConfigRejected {
            let _ = writeln!(std::io::stderr().lock(), "{}", refusal.message);
        } else {
            self.error(&refusal.message);
        }
    }

    /// Writes what to do about the error before it.
    pub(super) fn hint(&self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "  -> {text}");
        }
    }

    /// Writes lines to standard error as they are.
    pub(super) fn lines_to_error(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Returns whether JSON was asked for.
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Returns how many columns there are.
    pub(super) fn width(&self) -> usize {
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        columns.unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN)
    }
}
