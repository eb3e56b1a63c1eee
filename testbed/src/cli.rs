//! The lab's command line.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand};

use crate::bench::failover::{Case, Shape, Subject};
use crate::bench::rest::Situation;

/// Brings a distributed LAN up on this machine, in network namespaces or with virtual machines as routers; breaks it, heals
/// it, tests it.
#[derive(Debug, Parser)]
#[command(name = "dlan-lab", version, max_term_width = 100)]
pub struct Cli {
    /// Which running lab is meant, where several are up; for `up`, what the lab is called, else by its topology; for
    /// `test`, what goes before the names of its labs, so that two runs do not meet. Also the environment variable
    /// DLAN_LAB.
    #[arg(long, global = true)]
    pub lab: Option<String>,
    /// Make the routers virtual machines, with a kernel and a WireGuard of their own; for `up` and `test`.
    #[arg(long, global = true)]
    pub machines: bool,
    /// Have the machines boot this root tree of OpenWrt's: a directory, or a file with an archive, a squashfs or an ext4 file
    /// system. It boots under Debian's kernel unless it has one, and installs this project's package.
    #[arg(long, global = true, value_name = "PATH")]
    pub image: Option<PathBuf>,
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
        /// Keep what there is when it does not come up.
        #[arg(long)]
        keep: bool,
    },
    /// Take a lab down, whatever state it is in.
    Down {
        /// The lab; left out: that of --lab or DLAN_LAB, or where neither is given, all that are up.
        name: Option<String>,
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
    /// Kill a router's agent, which gets no chance to do anything; everything else in the router stays.
    KillAgent {
        /// The router.
        router: String,
    },
    /// Start a router's agent.
    StartAgent {
        /// The router.
        router: String,
    },
    /// Send something by TCP from one host to another and check every octet.
    Transfer {
        /// The sending host.
        from: String,
        /// The receiving host.
        to: String,
        /// How much, in MB.
        #[arg(long, default_value_t = 100)]
        megabytes: u64,
        /// By IPv4 instead of IPv6.
        #[arg(long)]
        ipv4: bool,
    },
    /// Send VXLAN frames made by hand, as an intruder would.
    InjectVxlan {
        /// The node they are sent from.
        node: String,
        /// Where to.
        to: Ipv4Addr,
        /// With which VXLAN network identifier.
        vni: u32,
        /// How many.
        #[arg(long, default_value_t = 10)]
        count: usize,
    },
    /// Bring the reference mesh up, show it, break it, show it heal, and end at a prompt.
    Demo {
        /// End and clean up instead of a prompt.
        #[arg(long)]
        once: bool,
        /// Where the picture goes.
        #[arg(long, value_name = "FILE", default_value = "target/demo.svg")]
        svg: PathBuf,
    },
    /// Draw the mesh: in the terminal, or as SVG.
    Draw {
        /// Write an SVG document there instead.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Draw a topology file instead of the lab that is up.
        topology: Option<PathBuf>,
    },
    /// Run scenarios: bring a mesh up, try what the README promises, report.
    Test {
        /// Which; left out: all.
        scenarios: Vec<String>,
        /// Only list them.
        #[arg(long)]
        list: bool,
        /// Where none is named, also those on machines that take long.
        #[arg(long)]
        all: bool,
        /// Write a report: JSON, or a page for a browser, if the name ends so (.json, .html), else Markdown.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// The first try decides; otherwise what fails is tried once more, and told at the end if it holds then.
        #[arg(long)]
        strict: bool,
        /// How many scenarios run side by side, each on a lab of its own; what fails then is tried again when nothing else runs.
        #[arg(long, short, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
        jobs: u8,
        /// Where to leave what is known about failures.
        #[arg(long, value_name = "DIRECTORY", default_value = "target/lab")]
        traces: PathBuf,
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
    /// Join this terminal with a machine's serial console; Ctrl-] leaves it.
    Console {
        /// The router.
        router: String,
    },
    /// Log in to a machine by ssh, from a host on its LAN.
    Ssh {
        /// The router.
        router: String,
        /// What to run there; left out: a shell.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Cut a machine's power and switch it on again.
    Reset {
        /// The router.
        router: String,
        /// What its clock says then, in UTC, such as 1970-01-01T00:00:00.
        #[arg(long, value_name = "TIME")]
        clock: Option<String>,
        /// A kernel module that is not there then.
        #[arg(long, value_name = "MODULE")]
        without: Option<String>,
    },
    /// Keep the state of a machine, its memory and its disk, under a name.
    Snapshot {
        /// The router.
        router: String,
        /// The name.
        #[arg(default_value = "kept")]
        name: String,
    },
    /// Put a machine back into a state that was kept.
    Restore {
        /// The router.
        router: String,
        /// Its name.
        #[arg(default_value = "kept")]
        name: String,
    },
    /// Make the image that machines boot, unless it is there already.
    Image,
    /// Measure, side by side with BIRD.
    #[command(subcommand)]
    Bench(Bench),
    /// Speaks OSPF without an agent; started by scenarios.
    #[command(hide = true)]
    Speak {
        /// The file that says over which devices, and where to write what is known.
        orders: PathBuf,
    },
    /// Carries out commands for the lab; runs in a machine.
    #[command(hide = true)]
    MachineControl,
    /// Lists the processes of a machine; runs there.
    #[command(hide = true)]
    MachineProcesses,
    /// Runs a command in a machine; started by the lab itself.
    #[command(hide = true)]
    InMachine {
        /// The first process of its cabinet.
        cabinet: i32,
        /// The command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
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

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// What a change costs a router whose area is large.
    Database {
        /// Sizes of the area.
        #[arg(long, value_delimiter = ',', default_values_t = [1000, 5000, 10_000])]
        routers: Vec<usize>,
        /// How many windows with each change, and how many without; the median counts.
        #[arg(long, default_value_t = 5)]
        windows: usize,
    },
    /// What a router's routing holds in memory when its area is large.
    Resident {
        /// Sizes of the area.
        #[arg(long, value_delimiter = ',', default_values_t = [100, 1000, 10_000])]
        routers: Vec<usize>,
        /// Whom to measure.
        #[arg(long, value_delimiter = ',', default_value = "dlan,bird,frr")]
        subjects: Vec<Subject>,
    },
    /// How soon a mesh converges and heals, and what its routers hold in memory.
    Mesh,
    /// How soon everyone in a grid of routers knows everything from cold start.
    Cold {
        /// How many routers.
        #[arg(long, value_delimiter = ',', default_values_t = [30, 60])]
        routers: Vec<usize>,
        /// HelloIntervals in seconds; RouterDeadInterval is four times as long.
        #[arg(long, value_delimiter = ',', default_values_t = [10, 1])]
        hello: Vec<u16>,
        /// How often; the median counts.
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// How long a change takes on a router with many links and services, planned and applied.
    Apply {
        /// How many links.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=250))]
        links: u16,
        /// How many services.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=1000))]
        services: u16,
    },
    /// Names answered in a second by the agent's name server, beside dnsmasq alone.
    Names {
        /// How long each is asked.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// What a service carries, and how many connections a second, beside the same nginx configured by hand.
    Proxy {
        /// How long each is measured.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// What routing uses while nothing happens, and while links flap, beside BIRD and FRR.
    Rest {
        /// How long a window is in which each is watched; a multiple of 4, in which every link flaps once.
        #[arg(long, default_value_t = 20, value_parser = whole_turns)]
        seconds: u64,
        /// How many windows; the median counts.
        #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
        runs: usize,
        /// How many links the measured router has.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=40))]
        links: u8,
        /// Whom to measure.
        #[arg(long, value_delimiter = ',', default_value = "dlan,bird,frr")]
        subjects: Vec<Subject>,
        /// What happens meanwhile, with which timers.
        #[arg(long, value_delimiter = ',', default_value = "hello,bfd,flaps,flaps-bfd")]
        situations: Vec<Situation>,
    },
    /// How long traffic is away when a link fails, beside BIRD and FRR.
    Failover {
        /// How often each failure is made; the median counts.
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Whom to measure.
        #[arg(long, value_delimiter = ',', default_value = "dlan,bird,frr")]
        subjects: Vec<Subject>,
        /// Which failures, with which timers.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "carrier,bfd50,bfd100,bfd300,one-way,hello,shipped"
        )]
        cases: Vec<Case>,
        /// In which meshes.
        #[arg(long, value_delimiter = ',', default_value = "ring,mesh")]
        shapes: Vec<Shape>,
        /// How many prefixes lie behind the failed neighbor; only 0 for none of these measurements.
        #[arg(long, value_delimiter = ',', default_values_t = [0, 10, 1000, 10_000])]
        prefixes: Vec<usize>,
        /// How often each failure is made with prefixes.
        #[arg(long, default_value_t = 5)]
        prefix_runs: usize,
        /// How many changes of a prefix are followed from the Update into the kernel; 0 for none.
        #[arg(long, default_value_t = 6)]
        changes: usize,
    },
    /// Plays an area of many routers; started by the measurement itself.
    #[command(hide = true)]
    Play {
        /// The device to the listener.
        device: String,
        /// Its address.
        address: std::net::Ipv6Addr,
        /// How many routers there are.
        routers: usize,
    },
    /// Listens to a played area; started by the measurement itself.
    #[command(hide = true)]
    Listen {
        /// The device to the player.
        device: String,
        /// Its address.
        address: std::net::Ipv6Addr,
    },
}

/// Takes how long links flap: whole turns, after which each of them is there again.
fn whole_turns(seconds: &str) -> Result<u64, String> {
    let taken = seconds.parse().ok().filter(|seconds: &u64| *seconds > 0 && seconds.is_multiple_of(4));
    taken.ok_or_else(|| "seconds in which every link flaps: 4, or a multiple of it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_in_which_links_flap_is_whole_turns() {
        let of = |seconds| Cli::try_parse_from(["dlan-lab", "bench", "rest", "--seconds", seconds]);
        assert!(["4", "20", "60"].into_iter().all(|seconds| of(seconds).is_ok()));
        for wrong in ["0", "5", "-4", "soon"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(of("5").unwrap_err().to_string().contains("4, or a multiple of it"));
    }

    #[test]
    fn every_command_of_the_lab_that_the_documents_show_is_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut names = vec![root.join("README.md")];
        names.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
        let mut count = 0;
        for name in names.into_iter().filter(|name| name.extension().is_some_and(|end| end == "md")) {
            let text = std::fs::read_to_string(&name).unwrap();
            let spans = text.split('`').filter(|span| !span.contains('\n'));
            for line in text.lines().chain(spans) {
                let line = line.trim().split(" #").next().unwrap().trim();
                // What may be left out is.
                let line = line.split(" [").next().unwrap();
                let words: Vec<&str> = line.split_whitespace().collect();
                let [program @ ("testbed/run" | "dlan-lab"), _, ..] = words[..] else { continue };
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{}: `{line}`: {program}: {}", name.display(), parsed.unwrap_err());
                count += 1;
            }
        }
        assert!(count > 8, "only {count} commands were found");
    }

    #[test]
    fn a_lab_is_named_before_the_command_or_behind_it() {
        for (line, expected) in [
            (&["dlan-lab", "--lab", "mine", "down"][..], (Some("mine"), None)),
            (&["dlan-lab", "down", "--lab", "mine"][..], (Some("mine"), None)),
            (&["dlan-lab", "down", "mine"][..], (None, Some("mine"))),
            (&["dlan-lab", "down"][..], (None, None)),
        ] {
            let cli = Cli::try_parse_from(line).ok();
            let given = cli.as_ref().and_then(|cli| match &cli.command {
                Command::Down { name } => Some((cli.lab.as_deref(), name.as_deref())),
                _ => None,
            });
            assert_eq!(given, Some(expected), "{line:?}");
        }
    }
}
