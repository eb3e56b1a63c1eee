//! The `dlan` program: arguments, logging and exit codes; nothing else.

use std::process::ExitCode;

use clap::Parser as _;
use dlan_agent::cli::{Cli, Command};
use dlan_agent::{commands, logging};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match &cli.command {
        Command::Agent(agent) => agent.log.as_str(),
        Command::Wireguard(_) => logging::LEVEL_AGENT,
        _ => logging::LEVEL_COMMANDS,
    };
    if let Err(error) = logging::start(level) {
        return commands::usage(&error.to_string());
    }
    ExitCode::from(commands::run(cli))
}
