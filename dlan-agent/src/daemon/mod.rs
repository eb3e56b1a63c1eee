//! The composition root: builds the parts and ties them together; what to do is decided by the parts.

mod calls;
mod configuration;
mod confirm;
mod done;
mod drain;
mod engine_view;
#[cfg(test)]
mod faults;
mod idle;
mod measured;
mod names;
mod ospf;
mod pref64;
mod requests;
mod services;
pub mod snapshot;
mod startup;
mod transaction;
mod work;
mod zones_view;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ospf_lite::config::Config as EngineConfig;
use ospf_lite::driver::{Alarm, Clock, DriverEnded, DriverEvent, DriverHandle};
use ospf_lite::io::{Leaving, PrivateContent};
use ospf_lite::ospf::lsa::RestartReason;
use ospf_lite::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tracing::{info, warn};
use vxlan::link::LinkName;

use self::confirm::Unreturned;
use self::idle::Idle;
use self::names::Names;
use self::startup::Started;
use self::transaction::Applying;
use self::work::Done;
use crate::config::{Config, HostId};
use crate::control::protocol::{Reply, Request};
use crate::control::server::{BindError, Call, Server};
use crate::endpoints::{EndpointAction, Endpoints};
use crate::lock::{AgentLock, LockError};
use crate::mtu::MtuFollower;
use crate::openings::Openings;
use crate::pref64::server::Advertisements;
use crate::problems::watch::RefusalWatch;
use crate::reconcile::Reconciler;
use crate::round_trips::RoundTrips;
use crate::routing::InterfaceFeed;
use crate::services::Services;
use crate::system::System;
use crate::unhurried::{self, Unhurried};
use crate::window::OpenWindow;

pub use self::measured::forget as forget_round_trips;
pub use self::startup::{AgentPaths, CHECKPOINT_FILE, StartError, last_good, recover, system_config};

/// How often WireGuard and the engines are asked how things stand, and it is looked for changes of which nobody tells, or nobody
/// hurries to hear: drift is repaired within 5 s.
const TICK: Duration = unhurried::WAIT_MAX;
/// How much earlier than it is due what does not matter so much is done with what is due now: one wake-up instead of two.
const EARLY: Duration = Duration::from_millis(100);
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
    let (calls_in, mut calls) = mpsc::channel(CALLS_MAX);
    tokio::spawn(server.serve(calls_in));
    let mut signals = Signals::listen().map_err(AgentError::Signals)?;
    let mut life = match start {
        Started::Configured(start) => Life::Working(Daemon::working(paths, *start)),
        Started::Unconfigured(idle) => Life::Idle(idle),
    };
    info!(version = env!("CARGO_PKG_VERSION"), "agent runs");
    loop {
        life = match life {
            Life::Working(daemon) => match daemon.run(&mut calls, &mut signals).await? {
                Some(idle) => Life::Idle(idle),
                None => break,
            },
            Life::Idle(idle) => match idle.run(&mut calls, &mut signals).await {
                Some(daemon) => Life::Working(daemon),
                None => break,
            },
        };
    }
    info!("agent ends; links and routes stay");
    Ok(())
}

/// What an agent is while it runs.
enum Life {
    Working(Box<Daemon>),
    /// Without a configuration.
    Idle(Box<Idle>),
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    look: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            look: signal(SignalKind::user_defined1())?,
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
    alarm: Alarm,
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
    /// The configuration to bring about, with its text: the one that was last read whole, or, where that one came to nothing, the
    /// one before it.
    config: Config,
    text: String,
    /// The text of the configuration that the reconciler falls back on: the last one that was brought about whole, and is not on
    /// trial.
    good: Option<String>,
    config_errors: Vec<String>,
    mtus: MtuFollower,
    round_trips: RoundTrips,
    refusals: RefusalWatch,
    names: Names,
    advertisements: Advertisements,
    peers: BTreeMap<HostId, vxlan::wireguard::PeerStatus>,
    repaired: Option<(Instant, Vec<String>)>,
    /// What a firewall of the system's own was told to let in, or asks by itself when the service is started.
    openings_told: Openings,
    /// What the mesh was told of the zones of this router's LANs.
    zones_told: Option<PrivateContent>,
    ground: Ground,
    /// The apply that is not through.
    applying: Option<Applying>,
    /// The apply that is not confirmed.
    window: Option<OpenWindow>,
    /// Files that could not be put back: it is tried again until it can be done.
    unreturned: Option<Unreturned>,
    is_finding_out: bool,
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
    /// The links that were lost or came back, and whether they can carry packets, of which the engines were not told yet.
    carriers: Vec<(LinkName, bool)>,
    unhurried: Unhurried,
    next_tick: Instant,
    /// When the engines are to be looked at for signs of trouble, if before the next tick.
    signs_at: Option<Instant>,
    /// When it is to be read what routers tell of themselves.
    read_at: Option<Instant>,
}

/// What a configuration that is tried stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// There is one to return to, or it is the one that was found at the start.
    Configuration,
    /// It is the first one of this router: what it returns to is none at all.
    Nothing,
    /// It was the first one, and is given up.
    GivenUp,
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
    /// Makes an agent that brings about the configuration it starts with.
    fn working(paths: AgentPaths, start: startup::Start) -> Box<Self> {
        let mut daemon = Box::new(Self::new(paths, start));
        daemon.bring_about();
        daemon.reopen();
        daemon
    }

    /// Makes an agent that has nothing to bring about yet.
    fn new(paths: AgentPaths, start: startup::Start) -> Self {
        let (done_in, done) = mpsc::channel(DONE_MAX);
        let clock = Clock::start();
        if start.is_recovered {
            work::reload_system(&done_in, &start.loaded.config.mesh.reload_program);
        }
        let openings_told = match start.is_recovered {
            // The service was started before the files were put back.
            true => Openings::default(),
            false => Openings::of(&start.loaded.config),
        };
        Self {
            openings_told,
            system: start.system,
            paths,
            clock,
            alarm: Alarm::new(clock),
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
            good: None,
            config_errors: start.errors,
            mtus: MtuFollower::default(),
            round_trips: RoundTrips::adopt(&start.round_trips),
            refusals: RefusalWatch::default(),
            names: Names::default(),
            advertisements: Advertisements::new(clock),
            peers: BTreeMap::new(),
            repaired: None,
            zones_told: None,
            ground: Ground::Configuration,
            applying: None,
            window: None,
            unreturned: start.unreturned,
            is_finding_out: false,
            has_asked_peers: false,
            epoch: start.epoch,
            is_drained: start.is_drained,
            installed_due: false,
            interfaces_due: false,
            carriers: Vec::new(),
            unhurried: Unhurried::default(),
            next_tick: clock.now(),
            signs_at: None,
            read_at: None,
        }
    }

    /// Works until the agent is told to end, or until its first configuration is given up: then there is nothing to do.
    async fn run(
        mut self: Box<Self>,
        calls: &mut mpsc::Receiver<Call>,
        signals: &mut Signals,
    ) -> Result<Option<Box<Idle>>, AgentError> {
        work::watch(&self.system, &self.done_in);
        self.is_finding_out = true;
        work::find_out(&self.system, &self.done_in, Some(self.config.mesh.wg_device.clone()));
        while self.ground != Ground::GivenUp {
            self.pump().await?;
            match self.wait(calls, signals).await {
                Wake::Ended => {
                    let leaving = Leaving::Restart(RestartReason::SoftwareRestart);
                    self.end(Some(leaving).filter(|_| self.config.mesh.graceful_restart)).await?;
                    return Ok(None);
                }
                Wake::Reload => self.reload(),
                Wake::Call(Call { request: Request::Stop {}, answer, .. }) => {
                    // The client may have gone away; the agent ends all the same.
                    let _ = answer.send(Reply::Stopping);
                    let_answers_out().await;
                    self.advertisements.take_back();
                    self.end(Some(Leaving::ForGood)).await?;
                    return Ok(None);
                }
                Wake::Call(call) => self.handle_call(call),
                Wake::Done(done) => {
                    self.handle_done(done);
                    // Whatever waits already was told at the same time.
                    while let Ok(done) = self.done.try_recv() {
                        self.handle_done(done);
                    }
                }
                Wake::Driver(event) => self.handle_driver(event).await?,
                Wake::DriverEnded => return Err(DriverEnded.into()),
                Wake::Timeout => self.handle_timeout().await?,
            }
        }
        self.advertisements.take_back();
        self.end(Some(Leaving::ForGood)).await?;
        Ok(Some(Box::new(Idle::after(*self))))
    }

    async fn wait(&mut self, calls: &mut mpsc::Receiver<Call>, signals: &mut Signals) -> Wake {
        let window = self.window.as_ref().map(OpenWindow::poll_timeout);
        let deadlines = [
            self.reconciler.poll_timeout(),
            self.endpoints.poll_timeout(),
            self.services.poll_timeout(),
            self.round_trips.poll_timeout(),
            Some(self.next_tick),
            self.signs_at,
            self.read_at,
            self.names.poll_timeout(),
            window,
        ];
        let deadline = deadlines.into_iter().flatten().min();
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
            // Something may be different: a WAN that came up is on another device, say.
            _ = signals.look.recv() => Wake::Done(Done::Hint),
            event = event => event,
            Some(done) = self.done.recv() => Wake::Done(done),
            Some(call) = calls.recv() => Wake::Call(call),
            () = self.alarm.wait_until(deadline) => Wake::Timeout,
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
        self.handle_names_timeout();
        if self.read_at.is_some_and(|at| at <= now) {
            self.read_routes().await?;
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.give_back_again();
            self.hear_late();
            self.system.hear_aside();
            self.find_out();
            self.bound_replaced_workers();
            self.read_routes().await?;
            self.signs_at = Some(now);
        }
        if self.signs_at.take_if(|at| *at <= now + EARLY).is_some() {
            self.read_engines().await?;
        }
        Ok(())
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
}

/// Lets the task that writes the last answer have its turn before the runtime ends.
async fn let_answers_out() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
