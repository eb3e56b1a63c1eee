//! The lab's command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Brings a distributed LAN up on this machine, in network namespaces; breaks it, heals it, tests it.
#[derive(Debug, Parser)]
#[command(name = "dlan-lab", version, max_term_width = 100)]
pub struct Cli {
    /// Which running lab is meant, where several are up; also the environment variable DLAN_LAB.
    #[arg(long, global = true)]
    pub lab: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the lab can be told.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring up the mesh of a topology file.
    Up {
        /// The file; a plain name is one of the shipped ones.
        #[arg(default_value = "reference")]
        topology: PathBuf,
        /// Only the nodes and cables: no agent is started.
        #[arg(long)]
        bare: bool,
    },
    /// Take a lab down, whatever state it is in.
    Down {
        /// The lab; left out: all that are up.
        lab: Option<String>,
    },
    /// Show what runs.
    Status,
    /// Run a command in a node.
    Exec {
        /// The node.
        node: String,
        /// The command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Open a shell in a node.
    Shell {
        /// The node.
        node: String,
    },
    /// Cut a link: nothing passes between its two routers.
    Cut {
        /// The link, such as r1-r4.
        link: String,
    },
    /// Heal a link that was cut.
    Heal {
        /// The link, such as r1-r4.
        link: String,
    },
    /// Switch a node off, as a power cut does.
    PowerOff {
        /// The node.
        node: String,
    },
    /// Switch a node on again.
    PowerOn {
        /// The node.
        node: String,
    },
    /// The process a node lives in; started by the lab itself.
    #[command(hide = true)]
    NodeInit {
        /// Whether the namespaces are there and this is their first process.
        #[arg(long)]
        first: bool,
        /// The lab the node belongs to.
        lab: String,
        /// The node.
        node: String,
        /// The directory that becomes its `/etc`.
        etc: PathBuf,
    },
}
