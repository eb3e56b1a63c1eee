//! The `dlan` program: arguments, logging and exit codes; nothing else.

use std::process::ExitCode;

use clap::Parser as _;
use dlan_agent::cli::{Cli, Command};
use dlan_agent::logging::Reader;
use dlan_agent::{commands, logging};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (level, reader) = match &cli.command {
        Command::Agent(agent) if agent.supervised => (agent.log.as_str(), Reader::Manager),
        Command::Agent(agent) => (agent.log.as_str(), Reader::Person),
        Command::Wireguard(_) => (logging::LEVEL_AGENT, Reader::Person),
        _ => (logging::LEVEL_COMMANDS, Reader::Person),
    };
    if let Err(error) = logging::start(level, reader) {
        return commands::usage(&error.to_string());
    }
    ExitCode::from(commands::run(cli))
}
