//! Where logs go: to standard error, which the service manager takes, filtered by what was asked for.

use std::io;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How much the agent logs when nothing else is said.
pub const LEVEL_AGENT: &str = "info";
/// How much the other commands log: their result is what they print.
pub const LEVEL_COMMANDS: &str = "error";

/// Starts logging; `levels` is one level, or a list like `info,ospf_lite=debug`.
pub fn start(levels: &str) -> Result<(), ParseError> {
    let filter: Targets = levels.parse()?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    // Logging that was started before stays as it is.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
    Ok(())
}
