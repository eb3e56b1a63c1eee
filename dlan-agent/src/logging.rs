//! Where logs go: to standard error, which the service manager takes, filtered by what was asked for.

use std::{fmt, io};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::writer::EitherWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How much the agent logs when nothing else is said.
pub const LEVEL_AGENT: &str = "info";
/// How much the other commands log: their result is what they print.
pub const LEVEL_COMMANDS: &str = "error";

/// For whom is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Whoever reads standard error, with the time in each line.
    Person,
    /// A service manager, which adds the time and, as procd does, takes standard error for errors: warnings and errors are
    /// written there, everything else to standard output.
    Manager,
}

/// Starts logging; `levels` is one level, or a list like `info,ospf_lite=debug`.
pub fn start(levels: &str, reader: Reader) -> Result<(), ParseError> {
    let filter: Targets = levels.parse()?;
    let lines = tracing_subscriber::fmt::layer().with_timer(reader).with_writer(reader).with_ansi(false);
    // Logging that was started before stays as it is.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
    Ok(())
}

impl FormatTime for Reader {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        match self {
            Self::Person => SystemTime.format_time(writer),
            Self::Manager => Ok(()),
        }
    }
}

impl MakeWriter<'_> for Reader {
    type Writer = EitherWriter<io::Stderr, io::Stdout>;

    fn make_writer(&self) -> Self::Writer {
        EitherWriter::A(io::stderr())
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> Self::Writer {
        match self {
            // What is more verbose is greater.
            Self::Manager if *metadata.level() > Level::WARN => EitherWriter::B(io::stdout()),
            _ => self.make_writer(),
        }
    }
}
