//! What the lab says to a person: plain lines, coloured on a terminal only.

use std::io::{IsTerminal as _, Write as _};

/// Where lines go.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    colour: bool,
}

impl Default for Console {
    /// Returns the console of the standard output.
    fn default() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour }
    }
}

impl Console {
    /// Returns whether a person is watching on a terminal.
    pub fn is_terminal(self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Returns whether colours are wanted.
    pub fn has_colour(self) -> bool {
        self.colour
    }

    /// Writes a line; that nobody reads it any more stops nothing.
    pub fn line(self, text: impl AsRef<str>) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", text.as_ref());
        let _ = out.flush();
    }

    /// Replaces the current line of a terminal: that of the standard output, else that of the errors, where the output is
    /// kept in a file as well; without one, says nothing.
    pub fn replace(self, text: impl AsRef<str>) {
        let line = format!("\r\x1b[K{}", text.as_ref());
        let show = |out: &mut dyn std::io::Write| {
            let _ = out.write_all(line.as_bytes());
            let _ = out.flush();
        };
        if self.is_terminal() {
            show(&mut std::io::stdout().lock());
        } else if std::io::stderr().is_terminal() {
            show(&mut std::io::stderr().lock());
        }
    }

    /// Writes an error where errors go.
    pub fn complain(text: &str) {
        let _ = writeln!(std::io::stderr(), "dlan-lab: {text}");
    }

    /// Writes a heading.
    pub fn heading(self, text: &str) {
        self.line(format!("\n{}", self.bold(text)));
    }

    /// Returns `text` in bold.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Returns `text` in green.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Returns `text` in red.
    pub fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    /// Returns `text` in bold green.
    pub fn way(self, text: &str) -> String {
        self.paint("32;1", text)
    }

    /// Returns `text` in grey.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
