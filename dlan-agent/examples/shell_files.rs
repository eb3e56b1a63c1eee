//! Writes the man pages and the shells' completions into a directory: `cargo run --example shell_files -- DIRECTORY`.
//!
//! Packages are built with it; the router's own binary does without.

use std::path::PathBuf;
use std::{fs, io};

use clap::{CommandFactory as _, Parser, ValueEnum as _};
use clap_complete::Shell;
use dlan_agent::cli::Cli;

/// Writes man pages and completions.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to write them; it is made when it is not there.
    directory: PathBuf,
}

fn main() -> io::Result<()> {
    let directory = Arguments::parse().directory;
    fs::create_dir_all(&directory)?;
    clap_mangen::generate_to(Cli::command(), &directory)?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut Cli::command(), "dlan", &directory)?;
    }
    Ok(())
}
