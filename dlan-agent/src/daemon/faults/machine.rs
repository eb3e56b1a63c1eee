//! A router whose process can die, start again, and be asked: its kernel and its disk stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::fixture;
use super::plans::{Case, first, kind};
use crate::addressing;
use crate::caller::Caller;
use crate::config::uci::Document;
use crate::config::{Config, Loaded};
use crate::control::protocol::{ApplyOrders, Reply};
use crate::daemon::idle::without_sides;
use crate::daemon::startup::{Start, StartError, Written, configuration, return_from_window};
use crate::daemon::transaction::Candidate;
use crate::daemon::work::{Checked, Done};
use crate::daemon::{AgentPaths, Daemon, Ground};
use crate::desired::RoutingInput;
use crate::plan::Plan;
use crate::plan::change::Act;
use crate::plan::diff::diff;
use crate::reconcile::{Action, Health};
use crate::round_trips::Settled;
use crate::state::State;
use crate::store::durable;
use crate::store::history::History;
use crate::store::snapshot::{FileContent, FileSnapshot};
use crate::system::fake::FakeSystem;
use crate::system::file::faults::{self, Fault, Files};
use crate::system::{System, SystemConfig};

/// Other programs' files that go with the configuration.
pub const OTHERS: [&str; 2] = ["network", "firewall"];
/// More than a process ever does for one configuration.
const ACTIONS_MAX: usize = 200;

/// How an apply is asked for, and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Without a window.
    Plain,
    /// In a window that is confirmed.
    Confirmed,
    /// In a window that nobody confirms.
    TimedOut,
    /// In a window that stays open.
    Open,
}

/// What outlives the process.
#[derive(Debug)]
pub struct Machine {
    root: tempfile::TempDir,
    pub kernel: FakeSystem,
    /// What was made in the kernel since the last start.
    pub kinds: BTreeSet<(&'static str, Act)>,
}

/// A process, unless it has died.
pub type Alive = Option<Daemon>;

/// What a process does once it has started.
pub enum Begun {
    Working(Box<Daemon>),
    /// It has no configuration.
    Idle,
}

/// Which of the two states a router is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// Runs a test where the daemon's tasks have their place.
pub fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test())
}

/// Returns the steps to try: one of so many, another one each time, or all of them when `DLAN_FAULTS` is `all`.
pub fn sample(seed: usize, one_of: usize) -> impl Iterator<Item = usize> {
    let one_of = if std::env::var_os("DLAN_FAULTS").is_some_and(|which| which == "all") { 1 } else { one_of };
    (seed % one_of..).step_by(one_of)
}

impl Machine {
    /// A router that has settled on the first configuration of every case.
    pub async fn settled() -> Self {
        static SETTLED: OnceLock<(Files, State)> = OnceLock::new();
        if let Some((files, state)) = SETTLED.get() {
            return Self::with(files, state.clone());
        }
        let mut machine = Self::with(&Files::new(), State::default());
        machine.write("etc/config/dlan", &fixture::with_keys(&first()));
        for name in OTHERS {
            machine.write(&format!("etc/config/{name}"), "before");
        }
        machine.start().await.unwrap();
        SETTLED.get_or_init(|| (machine.files(), machine.kernel.state.clone()));
        machine
    }

    /// A router with these files, and this in its kernel.
    pub fn with(files: &Files, state: State) -> Self {
        faults::begin(Fault::None);
        let root = tempfile::tempdir().unwrap();
        let machine = Self { root, kernel: FakeSystem::new(state), kinds: BTreeSet::new() };
        machine.put(files);
        machine
    }

    /// Has the disk hold these files, given by their paths below its root, and no others.
    pub fn put(&self, files: &Files) {
        for path in self.files().keys() {
            fs::remove_file(self.root.path().join(path)).unwrap();
        }
        for (path, octets) in files {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }
    }

    /// Returns the files of the disk, by their paths below its root.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        let mut directories = vec![self.root.path().join("etc")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => directories.push(entry.path()),
                    false => drop(files.insert(self.below(&entry.path()), fs::read(entry.path()).unwrap())),
                }
            }
        }
        files
    }

    /// Returns a path below the root.
    pub fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root.path()).unwrap().to_owned()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        fs::create_dir_all(self.path(below).parent().unwrap()).unwrap();
        fs::write(self.path(below), text).unwrap();
    }

    fn paths(&self) -> AgentPaths {
        AgentPaths {
            config: self.path("etc/config/dlan"),
            checkpoint: self.path("etc/dlan/last-good-config"),
            window: self.path("etc/dlan/window"),
            history: self.path("etc/dlan/history"),
            drained: self.path("etc/dlan/drained"),
            run_directory: self.path("run"),
            control_socket: self.path("run/control.sock"),
            init_script: self.path("init.d/dlan"),
        }
    }

    /// Starts the process with its configuration and lets it work until it rests. A process that has died is no error.
    pub async fn start(&mut self) -> Result<Alive, StartError> {
        match self.begin().await? {
            Some(Begun::Working(daemon)) => Ok(Some(*daemon)),
            Some(Begun::Idle) => panic!("it has no configuration"),
            None => Ok(None),
        }
    }

    /// Starts the process and lets it work until it rests.
    pub async fn begin(&mut self) -> Result<Option<Begun>, StartError> {
        self.kinds.clear();
        let paths = self.paths();
        let (is_recovered, unreturned) = return_from_window(&paths)?;
        let (loaded, errors) = match configuration(&paths, unreturned.as_ref()) {
            Written::Good(loaded, errors) => (loaded, errors),
            Written::Nothing => {
                assert!(unreturned.is_none(), "{unreturned:?}");
                return Ok(self.tidy_up().await.then_some(Begun::Idle));
            }
            Written::Rejected(errors) => panic!("{errors}"),
        };
        let Some(start) = self.loaded(*loaded) else { return Ok(None) };
        let mut daemon = Daemon::working(paths, Start { errors, is_recovered, unreturned, ..start });
        let is_alive = self.work(&mut daemon).await;
        Ok(is_alive.then_some(Begun::Working(daemon)))
    }

    /// Removes what is ours, as a process without a configuration does; returns whether it lives.
    pub async fn tidy_up(&mut self) -> bool {
        for _ in 0..ACTIONS_MAX {
            let outcome = self.kernel.apply(&Plan::removal(&self.kernel.state)).await;
            if self.kernel.die_after == Some(0) || faults::is_dead() {
                return false;
            }
            if outcome.is_success() {
                return true;
            }
        }
        panic!("it cannot be removed: {:?}", self.kernel.state);
    }

    /// Returns the process of a router without a configuration that is asked for the first apply.
    pub fn first(&mut self, case: &Case) -> Daemon {
        let (_, text) = case.texts();
        let config = fixture::config_of(&text);
        let file = "etc/config/dlan".to_owned();
        let first = Loaded { config, file, text, document: Document::default() };
        *Daemon::first(self.paths(), self.loaded(without_sides(&first)).unwrap())
    }

    /// Returns how a process starts with a configuration, unless it dies.
    fn loaded(&self, loaded: Loaded) -> Option<Start> {
        let config = SystemConfig {
            root: self.path(""),
            run_dir: self.path("run"),
            state_dir: self.path("etc/dlan"),
            ..SystemConfig::default()
        };
        // The kernel in its place is the one in memory; this one is only opened.
        let system = System::open(config);
        (!faults::is_dead()).then(|| Start {
            system: Arc::new(system.unwrap()),
            epoch: 0,
            loaded,
            round_trips: Settled::default(),
            is_drained: false,
            errors: Vec::new(),
            is_recovered: false,
            unreturned: None,
        })
    }

    /// Does what the process wants done, until it rests; returns whether it lives.
    pub async fn work(&mut self, daemon: &mut Daemon) -> bool {
        for _ in 0..ACTIONS_MAX {
            if daemon.ground == Ground::GivenUp {
                return true;
            }
            let action = self.next_action(daemon);
            while let Some(report) = daemon.reconciler.poll_report() {
                daemon.handle_report(report);
            }
            if faults::is_dead() {
                return false;
            }
            let Some(action) = action else { return true };
            let Some(action) = action else { continue };
            let done = match action {
                Action::Gather(config) => Done::Gathered(Ok(Box::new(fixture::facts(&config)))),
                Action::Observe(_) => Done::Observed(Ok(Box::new(self.kernel.state.clone()))),
                Action::Apply(plan) => {
                    self.kinds.extend(plan.steps().iter().map(kind));
                    Done::Applied(self.kernel.apply(&plan).await)
                }
            };
            if self.kernel.die_after == Some(0) {
                return false;
            }
            daemon.handle_done(done);
        }
        panic!("the process never rests: {:?}", daemon.reconciler.health());
    }

    /// Returns the next thing to do, none in this moment, or that there is nothing left; the routing protocol has its say, and
    /// waits are cut short.
    fn next_action(&self, daemon: &mut Daemon) -> Option<Option<Action>> {
        let reconciler = &mut daemon.reconciler;
        let action = reconciler.poll_action().or_else(|| {
            let config = reconciler.config()?.clone();
            reconciler.handle_routes(daemon.clock.now(), routing(&config));
            reconciler.poll_action()
        });
        let is_at_rest = matches!(reconciler.health(), Health::Settled | Health::Reverted(_))
            && reconciler.program_errors().is_empty();
        match (action, reconciler.poll_timeout()) {
            (Some(action), _) => Some(Some(action)),
            (None, Some(at)) if !is_at_rest => {
                reconciler.handle_timeout(at);
                Some(None)
            }
            (None, _) => None,
        }
    }

    /// Has a case applied, and ended, as the control socket would.
    pub async fn apply(
        &mut self,
        daemon: &mut Daemon,
        case: &Case,
        way: Way,
        is_staged: bool,
    ) -> Option<Reply> {
        let (_, text) = case.texts();
        let loaded = daemon.parse(&text).unwrap();
        let mut staged = Vec::new();
        if is_staged {
            let names = ["dlan"].iter().chain(&OTHERS);
            staged.extend(names.map(|name| FileSnapshot {
                path: self.path(&format!("etc/config/{name}")),
                content: Some(FileContent {
                    text: if *name == "dlan" { text.clone() } else { "after".to_owned() },
                    mode: 0o644,
                    owner: None,
                }),
            }));
        } else {
            fs::write(self.path("etc/config/dlan"), &text).unwrap();
        }
        (case.drift)(&mut self.kernel.state);
        let confirm = (way != Way::Plain).then_some(if way == Way::TimedOut { 0 } else { 3600 });
        let orders = ApplyOrders { confirm, force: true, ..ApplyOrders::default() };
        let (facts, observed) = (fixture::facts(&loaded.config), self.kernel.state.clone());
        let checked = Checked { config: loaded.config.clone(), facts, observed, first_hop: None };
        let (answer, mut answered) = oneshot::channel();
        let candidate = Box::new(Candidate { loaded, staged, orders });
        daemon.applying = Some(daemon.applying(Caller::default(), answer, Some(candidate)));
        daemon.handle_checked(Ok(checked));
        if faults::is_dead() || !self.work(daemon).await {
            return None;
        }
        if way == Way::TimedOut {
            daemon.handle_window_timeout();
        } else if way == Way::Open {
            return answered.try_recv().ok();
        } else if let Some(token) = daemon.window.as_ref().map(|open| open.window.token.clone()) {
            let reply = daemon.confirm(&token, &Caller::default(), true);
            return (!faults::is_dead()).then_some(reply);
        }
        if faults::is_dead() || !self.work(daemon).await {
            return None;
        }
        answered.try_recv().ok()
    }

    /// Says in which of the two states of a case the router is, which it must be wholly.
    pub fn side(&self, daemon: &Daemon, case: &Case, is_staged: bool, what: &str) -> Side {
        let (before, after) = case.texts();
        let text = fs::read_to_string(self.path("etc/config/dlan")).unwrap();
        let is_reverted = matches!(daemon.reconciler.health(), Health::Reverted(_));
        assert!(is_reverted || *daemon.reconciler.health() == Health::Settled, "{what}");
        // Without staged files the operator's own file stays as the operator wrote it.
        let runs = if is_reverted && !is_staged { &before } else { &text };
        assert!(runs == &after || runs == &before, "{what}: the configuration is neither");
        let side = if runs == &before { Side::Before } else { Side::After };
        assert!(
            daemon.window.is_none() && !self.path("etc/dlan/window").exists(),
            "{what}: a window is left"
        );
        if before != after {
            let others =
                OTHERS.map(|name| fs::read_to_string(self.path(&format!("etc/config/{name}"))).unwrap());
            let expected = if side == Side::After && is_staged { "after" } else { "before" };
            assert_eq!(others, [expected; 2], "{what}: the files are between");
        }
        let good = durable::read(&self.path("etc/dlan/last-good-config")).unwrap();
        assert_eq!(good.as_ref(), Some(runs), "{what}: the last good configuration");
        assert_eq!(&daemon.text, runs, "{what}: the agent takes another configuration for its own");
        assert_eq!(daemon.config, fixture::config_of(runs), "{what}: so do its parts");
        History::read(&self.path("etc/dlan/history")).unwrap();
        let (wanted, seen) = (wanted(runs), self.kernel.state.clone());
        // Prefixes once learned are guarded for good, by routes and in the ruleset: that these hold is what settled means.
        let seen = State {
            routes: wanted.routes.clone(),
            next_hops: wanted.next_hops.clone(),
            ruleset: wanted.ruleset.clone(),
            ..seen
        };
        assert_eq!(diff(&seen, &wanted), [], "{what}: the kernel is between");
        side
    }
}

/// What a router has that was always on this configuration.
fn wanted(text: &str) -> State {
    let config = fixture::config_of(text);
    let facts = crate::state::facts::Facts { endpoints: [].into(), ..fixture::facts(&config) };
    crate::desired::desired(&config, &facts, &routing(&config), &State::default()).unwrap()
}

/// Returns what the routing protocol finds: a prefix behind each neighbor, and one behind all of them.
fn routing(config: &Config) -> RoutingInput {
    let mut all = Vec::new();
    let mut one: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for link in &config.links {
        let at = addressing::link(&config.mesh, link.host_id).unwrap();
        let hop = (at.device.to_string(), at.neighbor_link_local.to_string());
        one.push((format!("10.3.{}.0/24", link.host_id), vec![hop.clone()]));
        all.push(hop);
    }
    one.push(("10.4.0.0/24".to_owned(), all));
    let hops: Vec<Vec<(&str, &str)>> = one
        .iter()
        .map(|(_, hops)| hops.iter().map(|(on, via)| (on.as_str(), via.as_str())).collect())
        .collect();
    let routes: Vec<(&str, &[(&str, &str)])> =
        one.iter().zip(&hops).map(|((prefix, _), hops)| (prefix.as_str(), hops.as_slice())).collect();
    fixture::routing(&routes)
}
