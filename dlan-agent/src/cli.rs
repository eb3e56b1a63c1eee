//! The command line as types: every command, its options and the exit codes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ipnet::{Ipv4Net, Ipv6Net};
use vxlan::link::LinkName;

use crate::window::{WINDOW_MAX, WINDOW_MIN};

/// Everything went well.
pub const EXIT_OK: u8 = 0;
/// It was tried and failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line was not understood (clap's own code).
pub const EXIT_USAGE: u8 = 2;
/// The configuration was rejected; nothing changed.
pub const EXIT_CONFIG_REJECTED: u8 = 3;
/// No agent is running where one is needed.
pub const EXIT_NOT_RUNNING: u8 = 4;

/// What `--help` ends with.
const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 tried and failed; 2 not a command; 3 the configuration was rejected and nothing changed; \
4 no agent is running where one is needed.

First steps: `dlan init`, `dlan config check`, `dlan agent`, then `dlan status`.";

/// A distributed LAN: encrypted links between routers, OSPFv3 over them, routes to every LAN.
#[derive(Debug, Clone, Parser)]
#[command(name = "dlan", version, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/config/dlan")]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the agent: build the links, speak OSPF, keep the routes. Ends on SIGTERM and leaves everything standing
    Agent(AgentArgs),
    /// Write a first configuration from a few questions, or from options
    Init(InitArgs),
    /// Show this router's public key and the section to paste at a neighbor; makes the key when there is none
    Key,
    /// Show what `apply` would change
    Plan(PlanArgs),
    /// Read the configuration again and change the router to it
    Apply(ApplyArgs),
    /// Keep what `apply --confirm` brought about
    Confirm(ConfirmArgs),
    /// Undo an apply that waits to be confirmed; else return to the configuration before the present one
    Rollback {
        /// The apply of `dlan history` whose configuration comes back.
        number: Option<u64>,
    },
    /// Say whether an apply waits to be confirmed, and how long
    Window {
        /// Say nothing when none does, or when no agent runs: for login scripts.
        #[arg(long)]
        banner: bool,
    },
    /// Show the last applies: when, by whom, what came of them
    History {
        /// Show what this one changed.
        number: Option<u64>,
    },
    /// Return to the last confirmed state if an apply was cut short; for the boot, before the network starts
    Recover,
    /// Keep other routers' traffic away from this one, for maintenance; ends when the neighbors have been told
    Drain,
    /// Let other routers' traffic come back
    Undrain,
    /// Take the devices and routes over that the predecessor's WireGuard, VXLAN and BIRD left, once BIRD has ended: packets pass until
    /// the agent is started
    TakeOver,
    /// End the agent and remove everything that carries dlan's mark, and nothing else
    Down,
    /// Show one screen about this router: problems first, then links, LANs and routes
    Status,
    /// Show every link: handshake, state, cost, MTU, round-trip time, loss, traffic
    Links,
    /// Show every neighbor heard, in both address families
    Neighbors,
    /// Show the routes of the mesh and where they lead
    Routes,
    /// Show which host has which address from this router, and until when
    Leases,
    /// Show the link-state database
    Lsdb,
    /// Show who answers for which names of the mesh, and the answers that are kept
    Names,
    /// Show every service: where it listens, how its upstreams are
    Services,
    /// Show the zones: who is in them and what they reach, what passes the WANs, and what was dropped
    Zones,
    /// Print the filter that holds before any agent runs, for `nft -j -f -`
    Firewall {
        /// Give it to nftables unless the filter stands; for the boot, before the network starts.
        #[arg(long)]
        load: bool,
        /// Print what services need opened towards WANs instead, a line each: protocol, port, family and address or `-` for all;
        /// for a firewall of the system's own.
        #[arg(long, conflicts_with = "load")]
        openings: bool,
    },
    /// Show the whole mesh as this router sees it
    Topology(TopologyArgs),
    /// Show the way to a host, hop by hop, and whether a packet gets through
    Path(PathArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Carry a WireGuard device in user space until told to end; started by the agent
    #[command(hide = true)]
    Wireguard(WireguardArgs),
    /// Become another program, in a session of its own; started by the agent
    #[command(hide = true)]
    RunProgram(RunProgramArgs),
}

/// Options of `dlan agent`.
#[derive(Debug, Clone, Args)]
pub struct AgentArgs {
    /// How much to log: error, warn, info, debug or trace, or a list like `info,ospf_lite=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: String,
    /// For a service manager: end with the process that started this one, and log without times, warnings and errors to
    /// standard error, the rest to standard output.
    #[arg(long)]
    pub supervised: bool,
}

/// Options of `dlan plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// With the files below this directory, as `apply --stage` would put them in place; none is put.
    #[arg(long, value_name = "DIRECTORY")]
    pub stage: Option<PathBuf>,
}

/// Options of `dlan apply`.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// Undo everything unless `dlan confirm` comes within this time (5s to 60m), whatever happens to this router.
    #[arg(long, value_name = "TIME", value_parser = window_length)]
    pub confirm: Option<u64>,
    /// Confirm by itself once this link (by name) or address answers; may be given several times.
    #[arg(long, value_name = "LINK|ADDRESS", requires = "confirm")]
    pub require: Vec<String>,
    /// Put the files below this directory in place with it, and back again when it is undone.
    #[arg(long, value_name = "DIRECTORY")]
    pub stage: Option<PathBuf>,
    /// Even if it closes the path by which you came.
    #[arg(long)]
    pub force: bool,
}

/// Options of `dlan confirm`.
#[derive(Debug, Clone, Args)]
pub struct ConfirmArgs {
    /// The token that `apply` printed.
    pub token: String,
    /// Confirm from the router itself, which proves no way in.
    #[arg(long)]
    pub local: bool,
}

/// Options of `dlan init`. What is left out is asked for on a terminal, else found on the machine or defaulted.
#[derive(Debug, Clone, Default, Args)]
pub struct InitArgs {
    /// This router's number in the mesh, different from every other router's.
    #[arg(long, value_name = "NUMBER")]
    pub host_id: Option<u16>,
    /// This router's name; the system's host name when left out.
    #[arg(long)]
    pub name: Option<String>,
    /// The device towards the internet; the default route's when left out.
    #[arg(long, value_name = "DEVICE")]
    pub wan: Option<LinkName>,
    /// A device with hosts; may be given several times. Bridges with private addresses when left out.
    #[arg(long, value_name = "DEVICE")]
    pub lan: Vec<LinkName>,
    /// This router has no LAN.
    #[arg(long, conflicts_with_all = ["lan", "lan_ipv4", "lan_ipv6"])]
    pub no_lan: bool,
    /// The router's IPv4 address and prefix on the first LAN; the device's own when left out.
    #[arg(long, value_name = "ADDRESS/LENGTH")]
    pub lan_ipv4: Option<Ipv4Net>,
    /// The same for IPv6.
    #[arg(long, value_name = "ADDRESS/LENGTH")]
    pub lan_ipv6: Option<Ipv6Net>,
    /// The mesh's IPv6 prefix, the same on every router: a /56 of it is this router's, by its number, and a /64 of that each LAN's.
    /// A random one when left out, which the other routers are told then.
    #[arg(long, value_name = "PREFIX")]
    pub mesh_prefix: Option<Ipv6Net>,
    /// WireGuard's UDP port.
    #[arg(long, value_name = "PORT", default_value_t = 51820)]
    pub listen_port: u16,
    /// Replace a configuration that is there.
    #[arg(long)]
    pub force: bool,
}

/// Options of `dlan topology`.
#[derive(Debug, Clone, Args)]
pub struct TopologyArgs {
    /// Print a graph for Graphviz.
    #[arg(long, conflicts_with_all = ["svg", "json"])]
    pub dot: bool,
    /// Print a picture.
    #[arg(long, conflicts_with_all = ["dot", "json"])]
    pub svg: bool,
}

/// Options of `dlan path`.
#[derive(Debug, Clone, Args)]
pub struct PathArgs {
    /// An address, a router's name, or a host name.
    pub host: String,
    /// Send nothing: only show the way.
    #[arg(long)]
    pub no_probe: bool,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Read a configuration file and name every error in it
    Check {
        /// The file; the router's own configuration when left out.
        file: Option<PathBuf>,
    },
    /// Print the configuration
    Show {
        /// Fill in every default, and say where each value comes from.
        #[arg(long)]
        effective: bool,
    },
}

/// Arguments of the embedded WireGuard process.
#[derive(Debug, Clone, Args)]
pub struct WireguardArgs {
    /// The device to create.
    pub device: LinkName,
    /// Its MTU in octets, fixed for the device's life.
    #[arg(long)]
    pub mtu: u32,
}

/// Arguments of the process that becomes another program.
#[derive(Debug, Clone, Args)]
pub struct RunProgramArgs {
    /// The program's file and its arguments.
    #[arg(required = true, last = true)]
    pub command: Vec<OsString>,
}

/// Reads the length of a window, such as 90s or 5m, in seconds.
fn window_length(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let (least, most) = (WINDOW_MIN.as_secs(), WINDOW_MAX.as_secs());
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let is_allowed = |seconds: &u64| (least..=most).contains(seconds);
    seconds
        .filter(is_allowed)
        .ok_or_else(|| format!("a time from {least}s to {}m, such as 90s or 5m", most / 60))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_is_understood_before_and_behind_the_command() {
        for arguments in [["dlan", "--json", "status"], ["dlan", "status", "--json"]] {
            assert!(Cli::try_parse_from(arguments).unwrap().json);
        }
    }

    #[test]
    fn a_window_is_given_in_seconds_or_minutes_within_its_limits() {
        for (text, seconds) in [("90s", Some(90)), ("90", Some(90)), ("2m", Some(120)), ("60m", Some(3600))] {
            assert_eq!(window_length(text).ok(), seconds, "{text}");
        }
        for text in ["", "s", "4s", "61m", "-5", "1h", "99999999999999999999", "307445734561825861m"] {
            assert!(window_length(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_form_of_the_topology_at_a_time() {
        assert!(Cli::try_parse_from(["dlan", "topology", "--dot", "--svg"]).is_err());
        assert!(Cli::try_parse_from(["dlan", "topology", "--dot", "--json"]).is_err());
        assert!(Cli::try_parse_from(["dlan", "topology", "--json"]).is_ok());
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
