//! Carries out one command of the command line.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use crate::cli::{Cli, Command};
use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::layout::Role;
use crate::node;
use crate::node_init;
use crate::signals;
use crate::topology::Topology;

/// Topologies that are part of the program.
const SHIPPED: [(&str, &str); 2] = [
    ("reference", include_str!("../topologies/reference.toml")),
    ("two", include_str!("../topologies/two.toml")),
];

/// Carries out what the command line asks for and returns the exit code.
pub fn run(cli: Cli) -> Result<u8, LabError> {
    let console = Console::default();
    let lab = cli.lab.or_else(|| std::env::var("DLAN_LAB").ok());
    let lab = lab.as_deref();
    match cli.command {
        Command::NodeInit { first: true, node, etc, .. } => node_init::first(&node, &etc)?,
        Command::NodeInit { first: false, lab, node, etc } => node_init::make(&lab, &node, &etc)?,
        Command::Up { topology, bare } => up(console, &topology, bare)?,
        Command::Down { lab } => down(console, lab)?,
        Command::Status => status(console, &Lab::open(lab)?),
        Command::Exec { node, command } => return exec(&Lab::open(lab)?, &node, &command),
        Command::Shell { node } => return exec(&Lab::open(lab)?, &node, &["bash".to_owned()]),
        Command::Cut { link } => set_cut(console, &Lab::open(lab)?, &link, true)?,
        Command::Heal { link } => set_cut(console, &Lab::open(lab)?, &link, false)?,
        Command::PowerOff { node } => {
            Lab::open(lab)?.power_off(&node)?;
            console.line(format!("{node} is off"));
        }
        Command::PowerOn { node } => {
            Lab::open(lab)?.power_on(&node)?;
            console.line(format!("{node} is on"));
        }
    }
    Ok(0)
}

/// Reads a topology file, or a shipped one by its plain name.
pub fn read_topology(path: &Path) -> Result<Topology, LabError> {
    let shipped = SHIPPED.iter().find(|(name, _)| path == Path::new(name));
    match shipped {
        Some((name, text)) if !path.exists() => Ok(Topology::parse(text, name)?),
        _ => Ok(Topology::read(path)?),
    }
}

fn up(console: Console, path: &Path, bare: bool) -> Result<(), LabError> {
    let topology = read_topology(path)?;
    let name = topology.name.clone();
    signals::take_down_when_interrupted(&name)?;
    let brought_up = Lab::up(topology, &|step| console.replace(step));
    console.replace("");
    let lab = match brought_up {
        Ok(lab) => lab,
        Err(error) => {
            Lab::down(&name)?;
            return Err(error);
        }
    };
    let _ = bare;
    console.line(format!("lab '{name}' is up: {} nodes", lab.nodes.len()));
    Ok(())
}

fn down(console: Console, lab: Option<String>) -> Result<(), LabError> {
    let mut labs: Vec<String> = match lab {
        Some(lab) => vec![lab],
        None => node::holders(None).into_iter().map(|(_, lab, _)| lab).collect(),
    };
    labs.dedup();
    labs.sort();
    labs.dedup();
    for lab in labs {
        let ended = Lab::down(&lab)?;
        console.line(format!("lab '{lab}' is down: {ended} nodes ended"));
    }
    Ok(())
}

fn status(console: Console, lab: &Lab) {
    console.line(format!("lab '{}'", lab.topology.name));
    for (name, plan) in &lab.layout.nodes {
        let role = match plan.role {
            Role::Internet => "the internet",
            Role::Home => "home gateway, NAT",
            Role::Stranger => "a stranger on a home network",
            Role::Router => "router",
            Role::Host => "host",
        };
        let state = lab.nodes.get(name).map_or("off".to_owned(), |node| format!("on, process {}", node.pid));
        console.line(format!("  {name:<10} {role:<30} {state}"));
    }
    let cuts = lab.cuts();
    for link in &lab.topology.links {
        let state = if cuts.contains(&link.name()) { console.bad("cut") } else { "whole".to_owned() };
        console.line(format!("  link {:<10} cost {:<5} {state}", link.name(), link.cost));
    }
}

fn exec(lab: &Lab, node: &str, command: &[String]) -> Result<u8, LabError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(LabError::Asked("say which command to run".to_owned()));
    };
    let mut command = lab.node(node)?.command(program, arguments);
    if let Some(directory) = programs_directory() {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", directory.display()));
    }
    let source = command.exec();
    Err(LabError::Asked(format!("cannot run nsenter: {source}")))
}

fn programs_directory() -> Option<PathBuf> {
    node::own_program().ok()?.parent().map(Path::to_owned)
}

fn set_cut(console: Console, lab: &Lab, link: &str, cut: bool) -> Result<(), LabError> {
    let (a, b) = link.split_once('-').ok_or_else(|| {
        LabError::Asked(format!("'{link}' is no link: two routers joined by '-', such as r1-r4"))
    })?;
    let name = lab.set_cut(a, b, cut)?;
    console.line(format!("link {name} is {}", if cut { "cut" } else { "whole" }));
    Ok(())
}
