//! `dlan-lab`: arguments and exit codes; nothing else.

use std::process::ExitCode;

use clap::Parser as _;
use dlan_testbed::cli::Cli;
use dlan_testbed::console::Console;
use dlan_testbed::run::run;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            Console::complain(&error.with_causes());
            ExitCode::FAILURE
        }
    }
}
