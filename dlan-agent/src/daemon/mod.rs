//! The composition root: builds the parts and ties them together; what to do is decided by the parts.

mod calls;
mod confirm;
mod drain;
mod engine_view;
#[cfg(test)]
mod faults;
mod measured;
mod names;
mod ospf;
mod requests;
mod services;
pub mod snapshot;
mod startup;
mod transaction;
mod work;
mod zones_view;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ospf_lite::config::Config as EngineConfig;
use ospf_lite::driver::{Clock, DriverEnded, DriverEvent, DriverHandle};
use ospf_lite::io::{Leaving, PrivateContent};
use ospf_lite::ospf::lsa::RestartReason;
use ospf_lite::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tracing::{error, info, warn};

use self::confirm::Unreturned;
use self::names::Names;
use self::transaction::Applying;
use self::work::Done;
use crate::config::service::openings;
use crate::config::{self, Config, HostId, Loaded};
use crate::control::protocol::{Reply, Request};
use crate::control::server::{BindError, Call, Server};
use crate::endpoints::{EndpointAction, Endpoints};
use crate::lock::{AgentLock, LockError};
use crate::mtu::MtuFollower;
use crate::plan::reroute::Loss;
use crate::problems::watch::RefusalWatch;
use crate::reconcile::Reconciler;
use crate::round_trips::{Echoes, RoundTrips};
use crate::routing::InterfaceFeed;
use crate::services::Services;
use crate::system::System;
use crate::window::OpenWindow;

pub use self::measured::forget as forget_round_trips;
pub use self::startup::{AgentPaths, CHECKPOINT_FILE, StartError, last_good, recover, system_config};

/// How often WireGuard and the engines are asked how things stand.
const TICK: Duration = Duration::from_secs(5);
/// Results of tasks that wait for the main loop.
const DONE_MAX: usize = 64;
/// Calls of the control socket that wait for the main loop.
const CALLS_MAX: usize = 16;

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Another agent runs.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The control socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The signals cannot be had.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The OSPF task ended by itself.
    #[error("the agent cannot go on")]
    Driver(#[from] DriverEnded),
}

/// Runs the agent until it is told to end; links and routes stay.
pub async fn run(paths: AgentPaths) -> Result<(), AgentError> {
    LocalSet::new().run_until(run_here(paths)).await
}

async fn run_here(paths: AgentPaths) -> Result<(), AgentError> {
    let _lock = AgentLock::take(&paths.run_directory)?;
    let start = startup::start(&paths)?;
    let server = Server::bind(&paths.control_socket)?;
    let (calls_in, calls) = mpsc::channel(CALLS_MAX);
    tokio::spawn(server.serve(calls_in));
    let signals = Signals::listen().map_err(AgentError::Signals)?;
    let mut daemon = Daemon::new(paths, start);
    info!(version = env!("CARGO_PKG_VERSION"), name = %daemon.config.mesh.name, "agent runs");
    let ended = daemon.run(calls, signals).await;
    info!("agent ends; links and routes stay");
    ended
}

/// Returns the ports on which WireGuard is to be reached.
fn ports(config: &Config) -> BTreeSet<u16> {
    config.wans.iter().map(|wan| wan.listen_port).collect()
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

struct Engine {
    /// What it has for its whole life, as the IPv6 family's.
    config: EngineConfig,
    driver: DriverHandle,
    events: mpsc::Receiver<DriverEvent>,
}

struct Daemon {
    paths: AgentPaths,
    clock: Clock,
    system: Arc<System>,
    done_in: mpsc::Sender<Done>,
    done: mpsc::Receiver<Done>,
    reconciler: Reconciler,
    endpoints: Endpoints,
    /// What is known of services' upstreams.
    services: Services,
    /// How often nginx was told to read its configuration again.
    reloads: u64,
    feed: InterfaceFeed,
    engine: Option<Engine>,
    /// The configuration that was last read whole, with its text.
    config: Config,
    text: String,
    config_errors: Vec<String>,
    mtus: MtuFollower,
    round_trips: RoundTrips,
    refusals: RefusalWatch,
    names: Names,
    peers: BTreeMap<HostId, vxlan::wireguard::PeerStatus>,
    repaired: Option<(Instant, Vec<String>)>,
    /// What the mesh was told of the zones of this router's LANs.
    zones_told: Option<PrivateContent>,
    /// The apply that is not through.
    applying: Option<Applying>,
    /// The apply that is not confirmed.
    window: Option<OpenWindow>,
    /// Files that could not be put back: it is tried again until it can be done.
    unreturned: Option<Unreturned>,
    is_asking_peers: bool,
    /// Whether WireGuard was asked at all: before that nobody is called, for an adopted device may have its peers.
    has_asked_peers: bool,
    /// The number of the engines' start, see [`System::advance_epoch`].
    epoch: u32,
    /// Whether other routers' traffic is kept away.
    is_drained: bool,
    /// Whether the engines must be told that their routes are in use.
    installed_due: bool,
    /// Whether the engines' interfaces may differ from what was told.
    interfaces_due: bool,
    next_tick: Instant,
}

enum Wake {
    Ended,
    Reload,
    Call(Call),
    Done(Done),
    Driver(DriverEvent),
    DriverEnded,
    Timeout,
}

impl Daemon {
    fn new(paths: AgentPaths, start: startup::Start) -> Self {
        let (done_in, done) = mpsc::channel(DONE_MAX);
        let clock = Clock::start();
        if start.is_recovered {
            work::reload_system(&done_in, &start.loaded.config.mesh.reload_program);
        }
        let mut daemon = Self {
            system: Arc::new(start.system),
            paths,
            clock,
            done_in,
            done,
            reconciler: Reconciler::new(),
            endpoints: Endpoints::default(),
            services: Services::default(),
            reloads: 0,
            feed: InterfaceFeed::default(),
            engine: None,
            config: start.loaded.config,
            text: start.loaded.text,
            config_errors: start.errors,
            mtus: MtuFollower::default(),
            round_trips: RoundTrips::adopt(&start.round_trips),
            refusals: RefusalWatch::default(),
            names: Names::default(),
            peers: BTreeMap::new(),
            repaired: None,
            zones_told: None,
            applying: None,
            window: None,
            unreturned: start.unreturned,
            is_asking_peers: false,
            has_asked_peers: false,
            epoch: start.epoch,
            is_drained: start.is_drained,
            installed_due: false,
            interfaces_due: false,
            next_tick: clock.now(),
        };
        daemon.bring_about();
        daemon
    }

    async fn run(&mut self, mut calls: mpsc::Receiver<Call>, mut signals: Signals) -> Result<(), AgentError> {
        work::watch(&self.system, &self.done_in);
        self.is_asking_peers = true;
        work::peers(&self.system, &self.done_in, self.config.mesh.wg_device.clone());
        loop {
            self.pump().await?;
            match self.wait(&mut calls, &mut signals).await {
                Wake::Ended => {
                    let leaving = Leaving::Restart(RestartReason::SoftwareRestart);
                    return self.end(Some(leaving).filter(|_| self.config.mesh.graceful_restart)).await;
                }
                Wake::Reload => self.reload(),
                Wake::Call(Call { request: Request::Stop {}, answer, .. }) => {
                    // The client may have gone away; the agent ends all the same.
                    let _ = answer.send(Reply::Stopping);
                    self.let_answers_out().await;
                    return self.end(Some(Leaving::ForGood)).await;
                }
                Wake::Call(call) => self.handle_call(call),
                Wake::Done(done) => self.handle_done(done),
                Wake::Driver(event) => self.handle_driver(event).await?,
                Wake::DriverEnded => return Err(DriverEnded.into()),
                Wake::Timeout => self.handle_timeout().await?,
            }
        }
    }

    async fn wait(&mut self, calls: &mut mpsc::Receiver<Call>, signals: &mut Signals) -> Wake {
        let now = self.clock.now();
        let window = self.window.as_ref().map(OpenWindow::poll_timeout);
        let deadlines = [
            self.reconciler.poll_timeout(),
            self.endpoints.poll_timeout(),
            self.services.poll_timeout(),
            self.round_trips.poll_timeout(),
            Some(self.next_tick),
            window,
        ];
        let rest = deadlines.into_iter().flatten().min().map_or(TICK, |at| at.since(now));
        let event = async {
            match &mut self.engine {
                Some(engine) => engine.events.recv().await.map_or(Wake::DriverEnded, Wake::Driver),
                None => pending().await,
            }
        };
        tokio::select! {
            _ = signals.terminate.recv() => Wake::Ended,
            _ = signals.interrupt.recv() => Wake::Ended,
            _ = signals.hangup.recv() => Wake::Reload,
            event = event => event,
            Some(done) = self.done.recv() => Wake::Done(done),
            Some(call) = calls.recv() => Wake::Call(call),
            () = tokio::time::sleep(rest) => Wake::Timeout,
        }
    }

    /// Hands out everything that the machines want done.
    async fn pump(&mut self) -> Result<(), AgentError> {
        self.feed_engine().await?;
        while let Some(action) = self.endpoints.poll_action() {
            match action {
                EndpointAction::Resolve { peer, endpoint } => work::resolve(&self.done_in, peer, endpoint),
                EndpointAction::SetEndpoint { peer, address } => {
                    let link = self.config.links.iter().find(|link| link.public_key == peer);
                    if let Some(neighbor) = link.map(|link| link.host_id) {
                        info!(%neighbor, %address, "endpoint");
                        self.reconciler.handle_endpoint(self.clock.now(), neighbor, address);
                    }
                }
            }
        }
        self.pump_services();
        while let Some(action) = self.reconciler.poll_action() {
            work::act(&self.system, &self.done_in, action);
        }
        while let Some(report) = self.reconciler.poll_report() {
            self.handle_report(report);
        }
        if let Some(engine) = self.engine.as_ref().filter(|_| self.installed_due) {
            engine.driver.installed().await?;
            self.installed_due = false;
        }
        Ok(())
    }

    async fn handle_timeout(&mut self) -> Result<(), AgentError> {
        let now = self.clock.now();
        self.reconciler.handle_timeout(now);
        self.endpoints.handle_timeout(now);
        self.services.handle_timeout(now);
        if self.round_trips.handle_timeout(now) {
            work::measure(&self.done_in, &self.config, now.as_micros());
        }
        self.handle_window_timeout();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.give_back_again();
            self.ask_peers();
            self.bound_replaced_workers();
            self.read_routes().await?;
            self.read_engines().await?;
        }
        Ok(())
    }

    fn ask_peers(&mut self) {
        let device = &self.config.mesh.wg_device;
        let is_there = self.reconciler.known().is_some_and(|known| known.links.contains_key(device));
        if is_there && !std::mem::replace(&mut self.is_asking_peers, true) {
            work::peers(&self.system, &self.done_in, device.clone());
        }
    }

    fn handle_done(&mut self, done: Done) {
        let now = self.clock.now();
        match done {
            Done::Gathered(Ok(facts)) => {
                self.reconciler.handle_facts(now, *facts);
                self.interfaces_due = true;
            }
            Done::Gathered(Err(error)) => self.reconciler.handle_facts_failed(now, error),
            Done::Observed(Ok(state)) => {
                self.reconciler.handle_observed(now, *state);
                self.interfaces_due = true;
            }
            Done::Observed(Err(error)) => self.reconciler.handle_observe_failed(now, error),
            Done::Applied(outcome) => {
                self.reconciler.handle_applied(now, outcome);
                self.interfaces_due = true;
            }
            Done::Rerouted(outcome) => self.reconciler.handle_rerouted(now, &outcome),
            Done::Hint => self.reconciler.handle_hint(now),
            Done::DeviceDown(device) if self.reconciler.is_up(&device) => {
                self.handle_lost(&device, Loss::Device);
                self.interfaces_due = true;
            }
            Done::DeviceDown(_) => {}
            Done::Resolved(peer, answer) => {
                if let Err(error) = &answer {
                    warn!(%error, "endpoint not resolved");
                }
                self.endpoints.handle_resolved(now, &peer, answer);
            }
            Done::Name(name, answer) => self.services.handle_name(now, &name, answer),
            Done::Health(subject, answer) => self.services.handle_health(now, &subject, answer),
            Done::Peers(answer) => self.handle_peers(now, answer),
            Done::Echoes(echoes) => self.handle_echoes(now, echoes),
            Done::Previewed(checked, answer) => self.handle_previewed(*checked, answer),
            Done::Checked(checked) => self.handle_checked(checked.map(|checked| *checked)),
            Done::Required(name) => self.handle_required(&name),
            Done::Reloaded(result) => self.handle_reloaded(result),
        }
    }

    fn handle_echoes(&mut self, now: Instant, echoes: Result<Echoes, String>) {
        let echoes = echoes.unwrap_or_else(|error| {
            warn!(%error, "neighbors cannot be asked for an echo");
            Echoes::default()
        });
        if self.round_trips.handle_echoes(now, &echoes) {
            self.interfaces_due = true;
            self.tell();
            if let Err(error) = measured::write(&self.paths.run_directory, &self.round_trips.settled()) {
                warn!(%error, "round-trip times are measured afresh by the next start");
            }
        }
    }

    fn handle_peers(&mut self, now: Instant, answer: Result<work::Peers, String>) {
        self.is_asking_peers = false;
        match answer {
            Ok(peers) => {
                self.endpoints.handle_peers(now, &peers);
                let links = self.config.links.iter();
                let of_link = |link: &config::LinkConfig| Some((link.host_id, *peers.get(&link.public_key)?));
                self.peers = links.filter_map(of_link).collect();
            }
            // At the start there may be no device yet.
            Err(_) if !self.has_asked_peers => {}
            Err(error) => warn!(%error, "WireGuard does not say how its peers are"),
        }
        if !std::mem::replace(&mut self.has_asked_peers, true) {
            self.endpoints.handle_config(now, &self.config);
        }
    }

    /// Makes the configuration in `self.config` the one to bring about, and returns its number.
    fn bring_about(&mut self) -> u64 {
        let now = self.clock.now();
        let config = self.mtus.effective(&self.config);
        if self.has_asked_peers {
            self.endpoints.handle_config(now, &config);
        }
        self.round_trips.handle_config(now, &config);
        self.services.handle_config(now, &config);
        self.interfaces_due = true;
        let generation = self.reconciler.handle_config(now, config);
        if self.window.is_some() {
            self.reconciler.handle_trial();
        }
        generation
    }

    fn reload(&mut self) {
        if self.applying.is_some() || self.window.is_some() || self.unreturned.is_some() {
            warn!(
                "told to read the configuration while an apply is not through, not confirmed or not undone: not read"
            );
            return;
        }
        match config::load(&self.paths.config) {
            Ok(loaded) => {
                self.take_config(loaded);
            }
            Err(errors) => self.reject_config(&errors),
        }
    }

    fn take_config(&mut self, loaded: Loaded) -> u64 {
        self.config_errors.clear();
        let before = std::mem::replace(&mut self.config, loaded.config);
        self.text = loaded.text;
        if openings(&before) != openings(&self.config) || ports(&before) != ports(&self.config) {
            // A firewall of the system's own opens them by the file.
            work::reload_system(&self.done_in, &self.config.mesh.reload_program);
        }
        self.mtus.handle_config(&before, &self.config);
        let generation = self.bring_about();
        self.tell();
        generation
    }

    /// Tells the mesh what this router says of itself.
    fn tell(&self) {
        let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
        work::tell(&driver, &self.config, &self.round_trips.settled());
    }

    fn reject_config(&mut self, errors: &config::ConfigErrors) {
        self.config_errors = errors.to_string().lines().map(str::to_owned).collect();
        for error in &self.config_errors {
            error!(%error, "configuration rejected, nothing changes");
        }
    }

    /// Tells the neighbors by BFD that this end is no failure, and by OSPF how it is to be taken.
    async fn end(&self, leaving: Option<Leaving>) -> Result<(), AgentError> {
        if let Some(engine) = &self.engine {
            engine.driver.disable_bfd().await?;
            if let Some(leaving) = leaving
                && !engine.driver.leave(leaving).await?
            {
                warn!(?leaving, "not every neighbor has acknowledged it");
            }
        }
        Ok(())
    }

    /// Lets the task that writes the last answer have its turn before the runtime ends.
    async fn let_answers_out(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
