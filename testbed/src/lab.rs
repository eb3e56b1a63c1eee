//! A running lab: brought up from a topology, found again by later commands, taken down whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::LabError;
pub use crate::files::{read_file, write_file};
use crate::impairment;
use crate::layout::{Cable, Layout, NodePlan, Plug, Role};
use crate::machine::plan;
use crate::machine::qemu::{Fleet, Start};
use crate::machine::{self, disk, login, openwrt};
use crate::node::{self, Node};
use crate::topology::Topology;

/// Where labs keep their files.
pub const RUN_DIR: &str = "/run/dlan-lab";

/// How often it is tried again to make a directory whose parent others take away.
const MAKE_TRIES: usize = 100;
/// The file of a lab that says which process builds it, until it is built.
const BUILDER: &str = "builder";

/// What a lab's routers are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Backend {
    /// Network namespaces, like everything else.
    #[default]
    Namespaces,
    /// Virtual machines with kernels of their own: made of Debian packages, or of a root tree of OpenWrt's that is given.
    Machines(Option<PathBuf>),
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    /// What it was built from.
    pub topology: Topology,
    /// How.
    pub layout: Layout,
    /// Its running nodes, by name.
    pub nodes: BTreeMap<String, Node>,
    directory: PathBuf,
    /// Its machines, where the routers are some.
    fleet: Option<Fleet>,
}

impl Lab {
    /// Builds all nodes and cables of a lab that is not up; `progress` hears of each step.
    pub fn up(topology: Topology, progress: &dyn Fn(&str)) -> Result<Self, LabError> {
        Self::up_on(&Backend::Namespaces, topology, progress)
    }

    /// Builds all nodes and cables of a lab that is not up, and boots its machines, if its routers are some.
    pub fn up_on(
        backend: &Backend,
        mut topology: Topology,
        progress: &dyn Fn(&str),
    ) -> Result<Self, LabError> {
        needs_root()?;
        if let Backend::Machines(_) = backend {
            machine::leave_room(&mut topology.mesh);
        }
        let directory = Path::new(RUN_DIR).join(&topology.name);
        remove_directory(&directory)?;
        make_directory(&directory.join("log"))?;
        write_file(&directory.join(BUILDER), &std::process::id().to_string())?;
        write_file(
            &directory.join("topology.json"),
            &serde_json::to_string_pretty(&topology).unwrap_or_default(),
        )?;
        let mut lab = Self::of(topology, directory, BTreeMap::new());
        if let Backend::Machines(tree) = backend {
            lab.prepare_machines(tree.as_deref(), progress)?;
        }
        for (name, plan) in lab.layout.nodes.clone() {
            progress(&format!("starting {name}"));
            lab.start_node(&name, &plan, &Start { words: vec!["lab.hold".to_owned()], ..Start::default() })?;
        }
        progress("plugging cables");
        lab.plug(&lab.layout.cables.clone())?;
        progress("setting delays and losses");
        lab.write_cuts(&BTreeSet::new())?;
        for machine in lab.nodes.values().filter(|node| node.is_machine) {
            progress(&format!("waiting for {} to boot", machine.name));
            lab.fleet()?.wait(machine, &lab.log(&machine.name))?;
            lab.install(machine, progress)?;
        }
        Ok(lab)
    }

    /// Returns a lab whose files are in a directory, with these nodes running.
    fn of(topology: Topology, directory: PathBuf, nodes: BTreeMap<String, Node>) -> Self {
        let mut layout = Layout::new(&topology);
        let machines = directory.join("machines");
        let fleet = machines.exists().then(|| Fleet::new(machines));
        if fleet.is_some() {
            plan::split(&mut layout);
        }
        Self { topology, layout, nodes, directory, fleet }
    }

    /// Makes the image and the disks of the machines that the routers are to be.
    fn prepare_machines(&mut self, tree: Option<&Path>, progress: &dyn Fn(&str)) -> Result<(), LabError> {
        progress("making the machines' image");
        let fleet = Fleet::begin(self.directory.join("machines"), tree)?;
        let (image, _) = fleet.prepare()?;
        let key = login::make_key(&self.file("machines/key"))?;
        for (name, boot) in plan::split(&mut self.layout) {
            progress(&format!("making {name}'s disk"));
            let disk = fleet.file(&name, "disk");
            match &image.tree {
                Some(_) => openwrt::make_disk(&disk, &image.system, (&name, &boot), &key)?,
                None => disk::make(&disk, &name, &boot, &key)?,
            }
        }
        self.fleet = Some(fleet);
        Ok(())
    }

    /// Has a machine install this project's package, if it boots a root tree that has none.
    fn install(&self, machine: &Node, progress: &dyn Fn(&str)) -> Result<(), LabError> {
        let Some(tree) = &self.fleet()?.prepare()?.0.tree else { return Ok(()) };
        progress(&format!("{} installs the package, {}", machine.name, tree.release.name));
        let words = tree.release.packages.install(&tree.package);
        let (program, arguments) =
            words.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
        command::run(&mut machine.command(program, arguments), "").map(drop).map_err(LabError::from)
    }

    /// Returns the machines.
    pub fn fleet(&self) -> Result<&Fleet, LabError> {
        self.fleet
            .as_ref()
            .ok_or_else(|| LabError::Asked("the routers of this lab are no machines".to_owned()))
    }

    /// Notes that what there is of a lab is to outlive who built it.
    pub fn keep(name: &str) -> Result<(), LabError> {
        let note = Path::new(RUN_DIR).join(name).join(BUILDER);
        fs::remove_file(&note).map_err(|source| LabError::File { act: "remove", path: note, source })
    }

    /// Returns whether what there is of a lab is left over: who built it is gone, and had not come to an end.
    pub fn is_left_over(name: &str) -> bool {
        is_left_over(&Path::new(RUN_DIR).join(name))
    }

    /// Finds the running lab called `name`, or the only one that runs.
    pub fn open(name: Option<&str>) -> Result<Self, LabError> {
        needs_root()?;
        let running: BTreeSet<String> = node::holders(None).into_iter().map(|(_, lab, _)| lab).collect();
        let name = match (name, running.first()) {
            (Some(name), _) => name.to_owned(),
            (None, Some(only)) if running.len() == 1 => only.clone(),
            (None, None) => return Err(LabError::Asked("no lab is up: `dlan-lab up` starts one".to_owned())),
            (None, Some(_)) => {
                let names: Vec<_> = running.into_iter().collect();
                return Err(LabError::Asked(format!(
                    "several labs are up: say --lab with one of {}",
                    names.join(", ")
                )));
            }
        };
        let directory = Path::new(RUN_DIR).join(&name);
        let mut nodes: BTreeMap<_, _> = node::holders(Some(&name))
            .into_iter()
            .map(|(pid, _, node)| (node.clone(), Node { name: node, pid, is_machine: false }))
            .collect();
        if nodes.is_empty() {
            return Err(LabError::Asked(format!("the lab '{name}' is not up")));
        }
        let topology: Topology = serde_json::from_str(&read_file(&directory.join("topology.json"))?)
            .map_err(|error| {
                LabError::Asked(format!("the lab '{name}' is damaged ({error}): `dlan-lab down {name}`"))
            })?;
        if directory.join("machines").exists() {
            for node in nodes.values_mut() {
                node.is_machine = topology.router(&node.name).is_some();
            }
        }
        Ok(Self::of(topology, directory, nodes))
    }

    /// Takes a lab down, whatever state it is in, and returns how many nodes it ended.
    pub fn down(name: &str) -> Result<usize, LabError> {
        let mut ended = 0;
        // A node may just be starting: look again until none is left.
        loop {
            let holders = node::holders(Some(name));
            if holders.is_empty() {
                break;
            }
            ended += holders.len();
            for (pid, _, node) in holders {
                Node { name: node, pid, is_machine: false }.end();
            }
        }
        remove_directory(&Path::new(RUN_DIR).join(name))?;
        // The directory of all labs goes with the last one.
        let _ = fs::remove_dir(RUN_DIR);
        Ok(ended)
    }

    /// Returns a running node.
    pub fn node(&self, name: &str) -> Result<&Node, LabError> {
        let lower = name.to_ascii_lowercase();
        self.nodes.get(&lower).ok_or_else(|| {
            let state =
                if self.layout.nodes.contains_key(&lower) { "is switched off" } else { "is not in this lab" };
            let names: Vec<_> = self.nodes.keys().map(String::as_str).collect();
            LabError::Asked(format!("'{name}' {state}; running: {}", names.join(" ")))
        })
    }

    /// Returns a file of the lab's directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Returns where a node's program logs to.
    pub fn log(&self, node: &str) -> PathBuf {
        self.directory.join("log").join(format!("{node}.log"))
    }

    /// Switches a node off, as a power cut does: its kernel state is gone, its `/etc` stays.
    pub fn power_off(&mut self, name: &str) -> Result<(), LabError> {
        let node = self.node(name)?.clone();
        // The kernel takes a namespace apart at its leisure; a cable is gone at once with either end.
        for Cable(a, b) in self.layout.cables.iter().filter(|cable| cable.touches(&node.name)) {
            let far = if a.node == node.name { b } else { a };
            if let Some(other) = self.nodes.get(&far.node) {
                other.cabinet().run("ip", &["link", "delete", &far.device])?;
            }
        }
        node.end();
        self.nodes.remove(&node.name);
        Ok(())
    }

    /// Switches a node on again and plugs its cables in.
    pub fn power_on(&mut self, name: &str) -> Result<(), LabError> {
        self.power_on_after(name, |_| Ok(()))
    }

    /// Cuts the power of a machine and switches it on again, its cables staying where they are; returns when it has booted.
    pub fn reset(&self, name: &str, start: &Start) -> Result<(), LabError> {
        self.cut_power(name)?;
        self.boot(name, start)?;
        self.wait_for_boot(name)
    }

    /// Cuts the power of a machine: what it had not written to its disk is gone.
    pub fn cut_power(&self, name: &str) -> Result<(), LabError> {
        self.fleet()?.cut_power(&self.node(name)?.cabinet());
        Ok(())
    }

    /// Switches a machine on whose power was cut, and does not wait.
    pub fn boot(&self, name: &str, start: &Start) -> Result<(), LabError> {
        self.switch_on(&self.node(name)?.cabinet(), start)
    }

    /// Waits until a machine has booted.
    pub fn wait_for_boot(&self, name: &str) -> Result<(), LabError> {
        let node = self.node(name)?;
        self.fleet()?.wait(node, &self.log(&node.name))
    }

    fn switch_on(&self, cabinet: &Node, start: &Start) -> Result<(), LabError> {
        let host_id = self.topology.router(&cabinet.name).map_or(0, |router| router.host_id);
        self.fleet()?.start(cabinet, host_id, &self.log(&cabinet.name), start)
    }

    /// Switches a node on again, and plugs its cables in once `boot` is done there.
    pub fn power_on_after(
        &mut self,
        name: &str,
        boot: impl FnOnce(&Node) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        let plan = match self.layout.nodes.get(name) {
            Some(plan) if !self.nodes.contains_key(name) => plan.clone(),
            Some(_) => return Err(LabError::Asked(format!("'{name}' is on already"))),
            None => return Err(LabError::Asked(format!("'{name}' is not in this lab"))),
        };
        self.start_node(name, &plan, &Start::default())?;
        if self.node(name)?.is_machine {
            self.wait_for_boot(name)?;
        }
        boot(self.node(name)?)?;
        let cables: Vec<Cable> = self
            .layout
            .cables
            .iter()
            .filter(|cable| {
                cable.touches(name)
                    && self.nodes.contains_key(&cable.0.node)
                    && self.nodes.contains_key(&cable.1.node)
            })
            .cloned()
            .collect();
        self.plug(&cables)?;
        self.write_cuts(&self.cuts())
    }

    /// Returns the links that are cut, by name.
    pub fn cuts(&self) -> BTreeSet<String> {
        fs::read_to_string(self.file("cuts")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Cuts a link in the one direction from `a` to `b`, or heals that.
    pub fn set_cut_one_way(&self, a: &str, b: &str, cut: bool) -> Result<(), LabError> {
        let mut cuts = self.cuts();
        let name = impairment::one_way(a, b);
        if cut {
            cuts.insert(name);
        } else {
            cuts.remove(&name);
        }
        self.write_cuts(&cuts)
    }

    /// Cuts a link, or heals it: nothing of the path below passes between its two routers.
    pub fn set_cut(&self, a: &str, b: &str, cut: bool) -> Result<String, LabError> {
        let link = self.topology.link(a, b).ok_or_else(|| {
            let names: Vec<_> = self.topology.links.iter().map(crate::topology::Link::name).collect();
            LabError::Asked(format!("there is no link {a}-{b}; there are {}", names.join(" ")))
        })?;
        let mut cuts = self.cuts();
        if cut {
            cuts.insert(link.name());
        } else {
            cuts.remove(&link.name());
        }
        self.write_cuts(&cuts)?;
        Ok(link.name())
    }

    /// Sets the share of packets that is lost each way on the path below a link, in percent.
    pub fn set_loss(&mut self, a: &str, b: &str, percent: f64) -> Result<(), LabError> {
        let links = self.topology.links.iter_mut();
        for link in links.filter(|link| link.joins(a, b)) {
            link.loss_percent = percent;
        }
        self.write_cuts(&self.cuts())
    }

    /// Returns whether the topology wants delays that this machine's kernel cannot make.
    pub fn lacks_delays(&self) -> bool {
        let wants = self.topology.links.iter().any(|link| link.delay_ms > 0);
        wants && self.nodes.values().next().is_some_and(|node| !impairment::can_delay(node))
    }

    fn write_cuts(&self, cuts: &BTreeSet<String>) -> Result<(), LabError> {
        for (name, orders) in impairment::orders(&self.topology, cuts) {
            if let Some(node) = self.nodes.get(&name) {
                node.feed("nft", &["-f", "-"], &orders.nftables)?;
                if !orders.traffic_control.is_empty() && impairment::can_delay(node) {
                    node.feed("tc", &["-force", "-batch", "-"], &orders.traffic_control)?;
                }
            }
        }
        let text: Vec<_> = cuts.iter().map(String::as_str).collect();
        write_file(&self.file("cuts"), &text.join("\n"))
    }

    fn start_node(&mut self, name: &str, plan: &NodePlan, start: &Start) -> Result<(), LabError> {
        let etc = self.directory.join("etc").join(name);
        let mut node = Node::start(&self.topology.name, name, &etc, &plan.hosts)?;
        for (path, value) in &plan.settings {
            let path = PathBuf::from("/proc/sys").join(path);
            node.inside(|| write_file(&path, value))??;
        }
        node.ip(&plan.ip)?;
        if !plan.nftables.is_empty() {
            node.feed("nft", &["-f", "-"], &plan.nftables)?;
        }
        if self.fleet.is_some() && plan.role == Role::Router {
            self.switch_on(&node, start)?;
            node.is_machine = true;
        }
        self.nodes.insert(name.to_owned(), node);
        Ok(())
    }

    /// Plugs cables in whose ends run.
    pub fn plug(&self, cables: &[Cable]) -> Result<(), LabError> {
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for Cable(a, b) in cables {
            let (near, far) = (self.node(&a.node)?, self.node(&b.node)?);
            let end =
                |plug: &Plug, node: &Node| [plug.device.clone(), "netns".to_owned(), node.pid.to_string()];
            let mut command = Command::new("ip");
            command
                .args(["link", "add"])
                .args(end(a, near))
                .args(["type", "veth", "peer", "name"])
                .args(end(b, far));
            command::run(&mut command, "")?;
            for plug in [a, b] {
                lines.entry(&plug.node).or_default().extend(plug.ip.iter().cloned());
            }
        }
        // Addresses come before the routes that need them.
        for (name, lines) in lines {
            self.node(name)?.cabinet().ip(&lines)?;
        }
        Ok(())
    }
}

/// Returns whether whoever builds the lab in a directory is gone.
fn is_left_over(directory: &Path) -> bool {
    let builder = read_file(&directory.join(BUILDER)).unwrap_or_default();
    builder.parse().is_ok_and(node::has_ended)
}

fn needs_root() -> Result<(), LabError> {
    if nix::unistd::Uid::effective().is_root() {
        return Ok(());
    }
    Err(LabError::Asked("network namespaces need root: run this with sudo".to_owned()))
}

/// Makes a directory and those above it. That of all labs goes with a lab that ends, perhaps just before what is to be in it.
fn make_directory(path: &Path) -> Result<(), LabError> {
    let mut tries = 0..MAKE_TRIES;
    loop {
        match fs::create_dir_all(path) {
            Err(source) if source.kind() == ErrorKind::NotFound && tries.next().is_some() => {}
            made => {
                return made.map_err(|source| LabError::File { act: "make", path: path.to_owned(), source });
            }
        }
    }
}

fn remove_directory(path: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(LabError::File { act: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;

    #[test]
    fn a_directory_is_made_while_another_takes_its_parent_away() {
        let parent = std::env::temp_dir().join(format!("dlan-lab-parent-{}", std::process::id()));
        let end = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !end.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = fs::remove_dir(&parent);
                    std::thread::sleep(std::time::Duration::from_micros(20));
                }
            });
            let made: Vec<_> = (0..2000)
                .map(|number| {
                    let made = make_directory(&parent.join(number.to_string()));
                    let _ = fs::remove_dir(parent.join(number.to_string()));
                    made
                })
                .collect();
            end.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(made.iter().all(Result::is_ok), "{:?}", made.iter().find(|made| made.is_err()));
        });
        let _ = fs::remove_dir(&parent);
    }

    #[test]
    fn a_lab_is_left_over_when_its_builder_is_gone_before_it_was_built() {
        let directory = std::env::temp_dir().join(format!("dlan-lab-left-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        assert!(!is_left_over(&directory), "one that is built has no builder");
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let mut unasked = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(unasked.id()).unwrap();
        let has_ended = || node::has_ended(pid).then_some(()).ok_or_else(String::new);
        wait::until(std::time::Duration::from_secs(60), "a program's end", has_ended).unwrap();
        for (builder, expected) in [(std::process::id(), false), (gone.id(), true), (unasked.id(), true)] {
            fs::write(directory.join(BUILDER), builder.to_string()).unwrap();
            assert_eq!(is_left_over(&directory), expected, "{builder}");
        }
        unasked.wait().unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
