//! The system itself: the only side effects of the agent. It looks, it makes steps, it tells that something changed.

mod addresses;
pub mod command;
mod epoch;
mod error;
mod execute;
mod facts;
pub mod fake;
pub mod file;
pub mod identity;
mod left_behind;
mod managed_files;
mod neighbors;
mod next_hops;
mod nft_generation;
pub mod nftables;
mod nginx;
mod nginx_workers;
mod notification_filter;
mod notifications;
mod process;
mod program_ends;
mod programs;
mod record;
mod reroute;
mod routes;
mod rtnl;
mod rtnl_dump;
mod rtnl_next_hop;
mod rules;
mod settings;
mod silent;
mod told;
mod uci;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::sync::{Mutex, MutexGuard, watch as watched};
use vxlan::link::LinkName;
use vxlan::netlink::{Links, LinksConfig, LinksError};
use vxlan::wireguard::WireGuardSeen;

pub use self::epoch::EpochError;
pub use self::error::SystemError;
use self::execute::Executor;
pub use self::facts::FactsError;
pub use self::left_behind::LeftRoute;
use self::process::Process;
pub use self::program_ends::ProgramEnds;
use self::record::Record;
use self::rtnl::{Devices, Rtnl};
use self::silent::Left;
pub use self::silent::{Peers, Untold};
pub use self::uci::openwrt_networks;
pub use self::watch::{Hint, Hints};
use crate::plan::Plan;
use crate::plan::change::{Change, Edit};
use crate::plan::outcome::Outcome;
use crate::state::State;
use crate::state::marks::Marks;
use crate::state::next_hop::NextHop;
use crate::state::route::{Route, RouteKey};
use crate::state::ruleset::Counted;

/// Where things are.
#[derive(Debug, Clone)]
pub struct SystemConfig {
    /// The root of the file system.
    pub root: PathBuf,
    /// What lives until the next boot.
    pub run_dir: PathBuf,
    /// What outlives a boot: keys and counts; only root may enter.
    pub state_dir: PathBuf,
    /// How link devices are made.
    pub links: LinksConfig,
    /// The `dlan` program, by which other programs are started.
    pub own_program: PathBuf,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            root: "/".into(),
            run_dir: "/run/dlan".into(),
            state_dir: "/etc/dlan".into(),
            links: LinksConfig::default(),
            own_program: "/proc/self/exe".into(),
        }
    }
}

/// The router that the agent runs on.
#[derive(Debug)]
pub struct System {
    config: SystemConfig,
    links: Links,
    rtnl: Rtnl,
    record: Mutex<Record>,
    /// What nobody tells of, as it was left.
    left: Mutex<Left>,
    /// When the nftables table was last as it was given.
    ruleset: Mutex<nftables::SeenAsGiven>,
    /// What nginx said of itself.
    nginx: Mutex<Option<nginx::Asked>>,
    /// The processes of programs.
    processes: watched::Sender<BTreeSet<Process>>,
    /// The numbers of the devices that nobody hurries to hear of.
    unhurried: watched::Sender<BTreeSet<u32>>,
}

impl System {
    /// Opens the system: the network namespace of the calling thread, within a runtime.
    pub fn open(config: SystemConfig) -> Result<Self, SystemError> {
        let directory = |path: &PathBuf| {
            file::make_private_directory(path)
                .map_err(|source| SystemError::Directory { path: path.clone(), source })
        };
        directory(&config.run_dir)?;
        let record = Record::read(&config.run_dir)?;
        let processes = watched::Sender::new(programs::processes(&record));
        let rtnl = Rtnl::open().map_err(SystemError::Open)?;
        let links = Links::new(config.links.clone());
        let (record, nginx) = (Mutex::new(record), Mutex::new(None));
        let (left, ruleset) = (Mutex::default(), Mutex::default());
        let unhurried = watched::Sender::default();
        Ok(Self { links, rtnl, record, left, ruleset, nginx, processes, unhurried, config })
    }

    /// Counts a start of the OSPF engines and returns its authentication epoch, higher than those of all earlier ones.
    pub fn advance_epoch(&self) -> Result<u32, SystemError> {
        let path = &self.config.state_dir;
        file::make_private_directory(path)
            .map_err(|source| SystemError::Directory { path: path.clone(), source })?;
        Ok(epoch::advance(path, &self.config.run_dir)?)
    }

    /// Returns the links, for what is asked of them beyond their state.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Looks at everything that carries these marks, or the marks under which something was made before.
    pub async fn observe(&self, marks: &Marks) -> Result<State, SystemError> {
        let mut record = self.record.lock().await;
        if record.marks.insert(marks.clone()) {
            self.persist(&record)?;
        }
        self.look(&record).await
    }

    /// Makes the steps of a plan in order. When one fails, those before it are taken back, last first.
    pub async fn apply(&self, plan: &Plan) -> Outcome {
        let record = self.record.lock().await;
        let devices = None;
        execute::execute(&mut Hands { system: self, record, devices }, plan).await
    }

    /// Makes the steps of a plan that sets groups and routes by groups. They are sent before this returns, whatever else
    /// is being done.
    pub fn reroute(&self, plan: Plan) -> impl Future<Output = Outcome> + use<> {
        reroute::send(&self.rtnl, plan)
    }

    /// Removes everything that is ours, and gives back what was before. Keys and configuration stay.
    pub async fn down(&self, marks: Option<&Marks>) -> Result<(Plan, Outcome), SystemError> {
        let observed = {
            let mut record = self.record.lock().await;
            record.marks.extend(marks.cloned());
            self.look(&record).await?
        };
        let plan = Plan::removal(&observed);
        let outcome = self.apply(&plan).await;
        if outcome.is_success() {
            *self.record.lock().await = Record::default();
            Record::remove(&self.config.run_dir).map_err(SystemError::Record)?;
            epoch::forget_starts(&self.config.run_dir)?;
            // What others have put into them stays.
            let _ = std::fs::remove_dir(&self.config.links.socket_directory);
            let _ = std::fs::remove_dir(&self.config.run_dir);
        }
        Ok((plan, outcome))
    }

    /// Returns the routes of the main table that programs made, ours not among them.
    pub async fn left_routes(&self) -> Result<Vec<LeftRoute>, SystemError> {
        let found = left_behind::observe(&self.devices().await?).await;
        found.map_err(|source| SystemError::Observe { what: "routes of others", source })
    }

    /// Removes routes that somebody else left.
    pub async fn remove_left(&self, routes: impl IntoIterator<Item = &LeftRoute>) -> Result<(), SystemError> {
        Ok(left_behind::remove(&self.rtnl, routes).await?)
    }

    /// Has the kernel tell a device's neighbors when its MAC address changes.
    pub fn announce(&self, device: &LinkName) -> std::io::Result<()> {
        left_behind::announce(&self.config.root, device)
    }

    /// Takes how the system was found and will be left, or repaired from.
    pub async fn remember(&self, found: &State) {
        self.left.lock().await.handle_observed(found);
    }

    /// Finds out what nobody tells of; without a WireGuard device nothing is to be found of that.
    pub async fn find_out(&self, wireguard: Option<&LinkName>) -> Untold {
        let asked = match wireguard {
            Some(name) => Some((name, self.links.wireguard(name).await)),
            None => None,
        };
        // A device that does not answer is another matter: the kernel tells of those that go.
        let is_other_device = |left: &Left| {
            let other = |(name, answer): &(&LinkName, Result<WireGuardSeen, LinksError>)| {
                answer.as_ref().is_ok_and(|seen| left.is_other_device(name, &seen.link))
            };
            asked.as_ref().is_some_and(other)
        };
        let has_drifted = match (self.record.try_lock(), self.left.try_lock()) {
            (Ok(record), Ok(left)) => {
                settings::have_drifted(&self.config.root, &record)
                    || left.is_other(&self.config.root, &record)
                    || is_other_device(&left)
            }
            // While something is made nothing is drift, and peers are told of nevertheless.
            _ => false,
        };
        Untold { has_drifted, peers: asked.map(|(_, answer)| answer.map(|seen| seen.peers)) }
    }

    /// Tells of changes in the kernel, made by whomever.
    pub fn watch(&self) -> Hints {
        Hints::start(self.rtnl.port(), self.unhurried.subscribe())
    }

    /// Lets what is told of the devices with these numbers wait until something else is told, and nobody wake up for it.
    pub fn hear_late(&self, devices: BTreeSet<u32>) {
        self.unhurried.send_replace(devices);
    }

    /// Has what waits be told.
    pub fn hear_aside(&self) {
        self.unhurried.send_if_modified(|devices| !devices.is_empty());
    }

    /// Tells of programs whose process ends.
    pub fn program_ends(&self) -> ProgramEnds {
        ProgramEnds::new(self.processes.subscribe())
    }

    /// Returns what each of the filter's counters has counted.
    pub async fn filter_counters(&self) -> Result<BTreeMap<String, Counted>, SystemError> {
        Ok(nftables::counters().await?)
    }

    async fn look(&self, record: &Record) -> Result<State, SystemError> {
        let (links, devices) = (self.links.observe().await?, self.devices().await?);
        let addresses = addresses::dump(&self.rtnl, &devices)
            .await
            .map_err(|source| SystemError::Observe { what: "addresses", source })?;
        let ours = addresses.into_iter().filter(|found| found.is_marked(&record.marks, &record.addresses));
        let addresses: BTreeSet<_> = ours.map(|found| found.at).collect();
        let next_hops = next_hops::observe(&self.rtnl, &devices, &record.marks).await.map_err(|source| {
            SystemError::Observe { what: "next hop objects (Linux 5.3 or later)", source }
        })?;
        let routes = routes::observe(&devices, &record.marks)
            .await
            .map_err(|source| SystemError::Observe { what: "routes", source })?;
        let rules = rules::observe(&self.rtnl, &record.marks)
            .await
            .map_err(|source| SystemError::Observe { what: "policy rules", source })?;
        Ok(State {
            without_carrier: links.keys().filter(|name| devices.is_without_carrier(name)).cloned().collect(),
            addresses: addresses.into_iter().filter(|at| !links.contains_key(&at.device)).collect(),
            links,
            next_hops,
            routes,
            rules,
            settings: settings::observe(&self.config.root, record),
            ruleset: nftables::observe(record.ruleset.as_ref(), &mut *self.ruleset.lock().await).await?,
            files: managed_files::observe(&self.config.root),
            uci: uci::observe(&self.config.root),
            programs: programs::observe_whole(&self.config.root, record, &devices),
        })
    }

    async fn devices(&self) -> Result<Devices, SystemError> {
        self.rtnl.devices().await.map_err(|source| SystemError::Observe { what: "devices", source })
    }

    fn persist(&self, record: &Record) -> Result<(), SystemError> {
        record.write(&self.config.run_dir).map_err(SystemError::Record)
    }
}

/// The system while it makes the steps of one plan.
struct Hands<'a> {
    system: &'a System,
    record: MutexGuard<'a, Record>,
    /// The devices, read at need and again after a link changed.
    devices: Option<Devices>,
}

impl Hands<'_> {
    async fn devices(&mut self) -> Result<Devices, SystemError> {
        if self.devices.is_none() {
            self.devices = Some(self.system.devices().await?);
        }
        Ok(self.devices.clone().unwrap_or_default())
    }

    /// Returns the number that addresses of ours carry.
    fn protocol(&self) -> u8 {
        self.record.marks.first().map_or(0, |marks| marks.route_protocol)
    }

    async fn make_address(
        &mut self,
        edit: &Edit<crate::state::DeviceAddress, ()>,
    ) -> Result<(), SystemError> {
        let (devices, protocol) = (self.devices().await?, self.protocol());
        addresses::apply(&self.system.rtnl, &devices, edit, protocol).await?;
        if edit.to.is_some() {
            self.record.addresses.insert(edit.key.clone());
        } else {
            self.record.addresses.remove(&edit.key);
        }
        self.system.persist(&self.record)
    }
}

impl Executor for Hands<'_> {
    type Error = SystemError;

    fn is_taken(error: &SystemError) -> bool {
        matches!(error, SystemError::Rtnl(error) if error.is_presence())
    }

    async fn check(&mut self, change: &Change) -> Result<(), SystemError> {
        match change {
            Change::Ruleset(Edit { to: Some(ruleset), .. }) => nftables::check(ruleset).await?,
            Change::Program(edit) => {
                if let Some(program) = &edit.to {
                    programs::check(&self.system.config.root, edit.key, program).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn make(&mut self, change: &Change) -> Result<(), SystemError> {
        let system = self.system;
        match change {
            Change::Link(change) => {
                self.devices = None;
                system.links.apply(change).await?;
            }
            Change::Address(edit) => self.make_address(edit).await?,
            Change::NextHop(edit) => {
                let way = edit.to.as_ref().and_then(NextHop::way);
                let devices = Devices::of(way.map(|way| &way.device));
                next_hops::apply(&system.rtnl, &devices, edit).await?;
            }
            Change::Route(edit) => {
                for result in self.make_routes(&[edit]).await {
                    result?;
                }
            }
            Change::Rule(edit) => rules::apply(&system.rtnl, edit).await?,
            Change::Setting(edit) => {
                let persist = |record: &Record| record.write(&system.config.run_dir);
                settings::apply(&system.config.root, &mut self.record, edit, persist)?;
            }
            Change::Ruleset(edit) => {
                self.record.ruleset = nftables::apply(edit.to.as_ref()).await?;
                self.record.write_ruleset(&system.config.run_dir).map_err(SystemError::Record)?;
            }
            Change::File(edit) => managed_files::apply(&system.config.root, edit)?,
            Change::Uci(edit) => uci::apply(&system.config.root, edit).await?,
            Change::Program(edit) => {
                let made = programs::apply((&system.config, &mut self.record), edit).await;
                system.processes.send_replace(programs::processes(&self.record));
                made?;
                self.devices = None;
                let device = edit.to.as_ref().filter(|program| program.is_running);
                if let Some(device) = device.and_then(|program| program.device.as_ref()) {
                    let index = self.devices().await?.index(device)?;
                    system.rtnl.set_up(index).await?;
                }
            }
        }
        Ok(())
    }

    async fn make_routes(&mut self, edits: &[&Edit<RouteKey, Route>]) -> Vec<Result<(), SystemError>> {
        let actions = edits.iter().filter_map(|edit| edit.to.as_ref());
        let devices = Devices::of(actions.flat_map(|route| route.action.devices()));
        let results = routes::apply(&self.system.rtnl, &devices, edits).await;
        results.into_iter().map(|result| result.map_err(SystemError::from)).collect()
    }
}
