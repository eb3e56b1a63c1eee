//! Carries out one command of the command line.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use crate::bench;
use crate::cli::{Cli, Command};
use crate::console::Console;
use crate::demo;
use crate::error::LabError;
use crate::inject;
use crate::lab::{Backend, Lab, write_file};
use crate::layout::Role;
use crate::machine::control;
use crate::machines;
use crate::node;
use crate::node_init;
use crate::observe::COLD_START_LIMIT;
use crate::picture::{self, Shown};
use crate::runner;
use crate::signals;
use crate::speaker;
use crate::topology::{self, Topology};
use crate::transfer::Transfer;

/// Carries out what the command line asks for and returns the exit code.
pub fn run(cli: Cli) -> Result<u8, LabError> {
    let console = Console::default();
    // Set to nothing is not set.
    let lab = cli.lab.or_else(|| std::env::var("DLAN_LAB").ok()).filter(|name| !name.is_empty());
    let lab = lab.as_deref();
    lab.map_or(Ok(()), topology::check_lab_name)?;
    let backend = match (cli.machines, cli.image) {
        (_, Some(tree)) => Backend::Machines(Some(tree)),
        (true, None) => Backend::Machines(None),
        (false, None) => Backend::Namespaces,
    };
    match cli.command {
        Command::NodeInit { first: true, node, etc, .. } => node_init::first(&node, &etc)?,
        Command::NodeInit { first: false, lab, node, etc } => node_init::make(&lab, &node, &etc)?,
        Command::Up { topology, bare, keep } => {
            return up(console, (&backend, Topology::find(&topology)?.called(lab)), (bare, keep));
        }
        Command::Down { name } => down(console, name.as_deref().or(lab))?,
        Command::Speak { orders } => bench::runtime()?.block_on(speaker::speak(&orders))?,
        Command::Bench(command) => return bench::run(console, command),
        Command::MachineControl => control::serve()?,
        Command::MachineProcesses => console.line(node::list_processes()),
        Command::InMachine { cabinet, command } => return machines::run_inside(cabinet, &command),
        Command::Console { router } => machines::console(&Lab::open(lab)?, &router)?,
        Command::Ssh { router, command } => return machines::ssh(&Lab::open(lab)?, &router, &command),
        Command::Reset { router, clock, without } => {
            machines::reset(console, &Lab::open(lab)?, &router, (clock, without))?;
        }
        Command::Snapshot { router, name } => machines::snapshot(console, &Lab::open(lab)?, &router, &name)?,
        Command::Restore { router, name } => machines::restore(console, &Lab::open(lab)?, &router, &name)?,
        Command::Image => machines::image(console, &backend)?,
        Command::Status => status(console, &Lab::open(lab)?),
        Command::Exec { node, command } => return exec(&Lab::open(lab)?, &node, &command),
        Command::Shell { node } => return exec(&Lab::open(lab)?, &node, &["bash".to_owned()]),
        Command::Cut { link } => set_cut(console, &Lab::open(lab)?, &link, true)?,
        Command::Heal { link } => set_cut(console, &Lab::open(lab)?, &link, false)?,
        Command::KillAgent { router } => {
            Lab::open(lab)?.kill_agent(&router)?;
            console.line(format!("the agent of {router} is killed"));
        }
        Command::StartAgent { router } => {
            Lab::open(lab)?.start_agent(&router)?;
            console.line(format!("the agent of {router} is started"));
        }
        Command::Transfer { from, to, megabytes, ipv4 } => {
            let done = Transfer::start(&Lab::open(lab)?, &from, &to, !ipv4, megabytes * 1_000_000)?.wait()?;
            let (seconds, rate) = (done.took.as_secs_f64(), done.megabits_per_second());
            console.line(format!(
                "{megabytes} MB from {from} to {to} in {seconds:.1} s: {rate:.0} Mbit/s, every octet checked"
            ));
        }
        Command::InjectVxlan { node, to, vni, count } => {
            inject::send(Lab::open(lab)?.node(&node)?, to, vni, b"injected by hand", count)?;
            console.line(format!("{count} frames with VNI {vni} sent from {node} to {to}"));
        }
        Command::Demo { once, svg } => return demo::run(console, once, &svg),
        Command::Draw { svg, topology } => draw(console, lab, svg.as_deref(), topology.as_deref())?,
        Command::Test { list: true, .. } => runner::list(console, &backend),
        Command::Test { scenarios, report, traces, all, strict, jobs, .. } => {
            let orders = runner::Orders {
                names: scenarios,
                report,
                traces,
                is_strict: strict,
                backend,
                all,
                prefix: lab.map(str::to_owned),
                jobs: usize::from(jobs),
            };
            return runner::run(console, &orders);
        }
        Command::PowerOff { node } => {
            Lab::open(lab)?.power_off(&node)?;
            console.line(format!("{node} is off"));
        }
        Command::PowerOn { node } => {
            let mut lab = Lab::open(lab)?;
            lab.power_on(&node)?;
            if lab.topology.router(&node).is_some() {
                lab.start_agent(&node)?;
            }
            console.line(format!("{node} is on"));
        }
    }
    Ok(0)
}

fn up(
    console: Console,
    (backend, topology): (&Backend, Topology),
    (bare, keep): (bool, bool),
) -> Result<u8, LabError> {
    let name = topology.name.clone();
    if signals::is_working_process()? {
        return build(console, (backend, topology), (bare, keep));
    }
    if Lab::is_left_over(&name) {
        Console::complain("taking down what another run of the lab has left");
        Lab::down(&name)?;
    }
    if !node::holders(Some(&name)).is_empty() {
        return Err(LabError::Asked(format!(
            "the lab '{name}' is up already: `dlan-lab down {name}` takes it down"
        )));
    }
    signals::supervise(&[name])
}

fn build(
    console: Console,
    (backend, topology): (&Backend, Topology),
    (bare, keep): (bool, bool),
) -> Result<u8, LabError> {
    let name = topology.name.clone();
    let brought_up = Lab::up_on(backend, topology, &|step| console.replace(step)).and_then(|lab| {
        if !bare {
            lab.start_mesh(&|step| console.replace(step))?;
            console.replace("waiting for routes");
            lab.wait_for_routes(COLD_START_LIMIT)?;
        }
        Lab::keep(&name)?;
        Ok(lab)
    });
    console.replace("");
    let lab = match brought_up {
        Ok(lab) => lab,
        Err(error) if keep => {
            // Of one that did not even begin there is nothing to keep.
            let _ = Lab::keep(&name);
            Console::complain(
                "it did not come up; what there is of it is kept: `dlan-lab down` takes it away",
            );
            return Err(error);
        }
        Err(error) => {
            Lab::down(&name)?;
            return Err(error);
        }
    };
    console.line(format!("lab '{name}' is up: {} nodes", lab.nodes.len()));
    if lab.lacks_delays() {
        console.line("this machine's kernel has no netem: the delays of the topology are left out");
    }
    Ok(0)
}

fn draw(
    console: Console,
    lab: Option<&str>,
    svg: Option<&Path>,
    topology: Option<&Path>,
) -> Result<(), LabError> {
    let (topology, shown) = match topology {
        Some(path) => (Topology::find(path)?, Shown::default()),
        None => {
            let lab = Lab::open(lab)?;
            let shown = Shown::of(&lab);
            (lab.topology, shown)
        }
    };
    match svg {
        Some(path) => write_file(path, &picture::svg::draw(&topology, &shown)),
        None => {
            console.line(picture::text::draw(&topology, &shown, console));
            Ok(())
        }
    }
}

fn down(console: Console, lab: Option<&str>) -> Result<(), LabError> {
    let labs: BTreeSet<String> = match lab {
        Some(lab) => BTreeSet::from([lab.to_owned()]),
        None => node::holders(None).into_iter().map(|(_, lab, _)| lab).collect(),
    };
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
