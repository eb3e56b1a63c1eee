//! What an agent starts with: its files, its configuration or the last good one, its OSPF task.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ospf_lite::config::{Config as EngineConfig, GraceConfig};
use ospf_lite::driver::{self, DriverConfig, DriverEvent, DriverHandle};
use ospf_lite::ids::Family;
use tokio::sync::mpsc;
use tracing::{error, warn};
use vxlan::netlink::{LinksConfig, Program};

use super::confirm::Unreturned;
use super::idle::Idle;
use super::measured;
use crate::addressing;
use crate::causes::with_causes;
use crate::config::{self, Config, ConfigErrors, Loaded, Source};
use crate::control::CONTROL_SOCKET;
use crate::drain::{self, DRAINED_FILE};
use crate::lock::RUN_DIRECTORY;
use crate::round_trips::Settled;
use crate::store::durable::{self, StoreError};
use crate::store::history::{ApplyOutcome, HISTORY_FILE, ReturnReason};
use crate::store::recovery::{self, Attempt, Recovered};
use crate::store::snapshot::{FileContent, FileSnapshot};
use crate::system::{System, SystemConfig, SystemError, file};
use crate::window::WINDOW_FILE;

/// Where the last configuration that was brought about whole is kept, for a start with a rejected one: beside the keys, so that it
/// outlives a reboot.
pub const CHECKPOINT_FILE: &str = "/etc/dlan/last-good-config";

/// The service's script on OpenWrt.
const INIT_SCRIPT: &str = "/etc/init.d/dlan";

/// The agent's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPaths {
    /// The configuration.
    pub config: PathBuf,
    /// The last good configuration.
    pub checkpoint: PathBuf,
    /// The window that is open, if one is.
    pub window: PathBuf,
    /// The last applies.
    pub history: PathBuf,
    /// The mark of a drained router.
    pub drained: PathBuf,
    /// For the lock.
    pub run_directory: PathBuf,
    /// Where it is asked.
    pub control_socket: PathBuf,
    /// What is told on OpenWrt when other things than before are to be let in from WANs.
    pub init_script: PathBuf,
}

impl AgentPaths {
    /// Returns the files of a router with this configuration file.
    pub fn new(config: &Path) -> Self {
        Self {
            config: config.to_owned(),
            checkpoint: CHECKPOINT_FILE.into(),
            window: WINDOW_FILE.into(),
            history: HISTORY_FILE.into(),
            drained: DRAINED_FILE.into(),
            run_directory: RUN_DIRECTORY.into(),
            control_socket: CONTROL_SOCKET.into(),
            init_script: INIT_SCRIPT.into(),
        }
    }
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was before an unconfirmed apply cannot be brought back.
    #[error("cannot return to the state before an unconfirmed apply")]
    Recovery(#[source] StoreError),
    /// The system does not let the agent work.
    #[error("the system does not let the agent work")]
    System(#[source] Box<SystemError>),
}

/// What a start comes to.
pub(super) enum Started {
    /// This is to be run.
    Configured(Box<Start>),
    /// Nobody has written a configuration yet, the first one came to nothing, or it is rejected and there is no other.
    Unconfigured(Box<Idle>),
}

/// What configuration there is.
pub(super) enum Written {
    /// One to run, with the errors of that on disk, if it is the last good one in its place.
    Good(Box<Loaded>, Vec<String>),
    /// None, and none was ever brought about.
    Nothing,
    /// One that is rejected, without a good one from before.
    Rejected(ConfigErrors),
}

/// What to run.
pub(super) struct Start {
    pub(super) system: Arc<System>,
    /// This start's number, see [`System::advance_epoch`].
    pub(super) epoch: u32,
    pub(super) loaded: Loaded,
    /// What an earlier start had measured.
    pub(super) round_trips: Settled,
    /// Whether the router was drained before.
    pub(super) is_drained: bool,
    /// The errors of the configuration on disk, when the last good one runs in its place.
    pub(super) errors: Vec<String>,
    /// Whether files were put back that others have to read again.
    pub(super) is_recovered: bool,
    /// What could not be put back.
    pub(super) unreturned: Option<Unreturned>,
}

/// Opens the system, and reads the configuration or, when it is rejected, the last good one.
pub(super) fn start(paths: &AgentPaths) -> Result<Started, StartError> {
    let (is_recovered, unreturned) = return_from_window(paths)?;
    let written = configuration(paths, unreturned.as_ref());
    let failed = |error| StartError::System(Box::new(error));
    let system = Arc::new(System::open(system_config()).map_err(failed)?);
    let (loaded, errors) = match written {
        Written::Good(loaded, errors) => (*loaded, errors),
        written => {
            let idle = Idle::new(paths.clone(), system, is_recovered, unreturned);
            let idle = if let Written::Rejected(errors) = written { idle.without(errors) } else { idle };
            return Ok(Started::Unconfigured(Box::new(idle)));
        }
    };
    let start = Start::of(paths, system, loaded).map_err(failed)?;
    Ok(Started::Configured(Box::new(Start { errors, is_recovered, unreturned, ..start })))
}

impl Start {
    /// Returns how an agent starts with a configuration.
    pub(super) fn of(paths: &AgentPaths, system: Arc<System>, loaded: Loaded) -> Result<Self, SystemError> {
        let epoch = system.advance_epoch()?;
        let is_drained = drain::is_drained(&paths.drained);
        if is_drained {
            warn!("this router is drained: traffic between others is kept away; `dlan undrain` ends it");
        }
        let round_trips = measured::read(&paths.run_directory);
        let (errors, is_recovered, unreturned) = (Vec::new(), false, None);
        Ok(Self { system, epoch, loaded, round_trips, is_drained, errors, is_recovered, unreturned })
    }
}

/// Returns from a window that was cut short. On a disk that takes nothing, the agent runs with what is to come back all the same.
pub(super) fn return_from_window(paths: &AgentPaths) -> Result<(bool, Option<Unreturned>), StartError> {
    match recover(paths) {
        Ok(is_recovered) => Ok((is_recovered, None)),
        Err(error @ StoreError::Io { .. }) => match recovery::read(&paths.window) {
            Ok(Some(window)) => {
                let why = with_causes(&error);
                error!(error = why, "files are not all back: it is tried again");
                let outcome = ApplyOutcome::Returned(ReturnReason::Interrupted);
                Ok((false, Some(Unreturned { window, outcome, why })))
            }
            _ => Err(StartError::Recovery(error)),
        },
        Err(error) => Err(StartError::Recovery(error)),
    }
}

/// Returns to the last confirmed state if an apply was cut short; returns whether one was.
pub fn recover(paths: &AgentPaths) -> Result<bool, StoreError> {
    let is_config = |text: &str| config::parse(Source { file: "", text, hostname: "" }).is_ok();
    if let Err(error) = durable::migrate(&paths.checkpoint, is_config) {
        warn!(
            error = with_causes(&error),
            "the last good configuration stays as an earlier version wrote it"
        );
    }
    match recovery::recover(&paths.window, &paths.history)? {
        Recovered::Nothing => Ok(false),
        Recovered::Returned(_) => Ok(true),
        Recovered::Unknown => {
            match durable::read(&paths.checkpoint)? {
                Some(text) => {
                    let content = Some(FileContent { text, mode: file::PRIVATE, owner: None });
                    FileSnapshot { path: paths.config.clone(), content }.put()?;
                }
                None => give_up_first(paths)?,
            }
            durable::remove(&paths.window)?;
            Ok(true)
        }
    }
}

/// Takes a first configuration away that nobody confirmed; the history keeps it.
fn give_up_first(paths: &AgentPaths) -> Result<(), StoreError> {
    let written = FileSnapshot::take(&paths.config)?;
    if let Some(content) = written.content.as_ref().filter(|_| !written.is_blank_config()) {
        let outcome = ApplyOutcome::Returned(ReturnReason::Interrupted);
        let attempt = Attempt { by: "somebody", time: 0, config: &content.text, window: None };
        recovery::remember(&paths.history, attempt, outcome);
        FileSnapshot { content: None, ..written }.put()?;
    }
    Ok(())
}

/// Returns how the system is used: embedded WireGuard is this program again, where it was built in.
pub fn system_config() -> SystemConfig {
    let program = Program { path: "/proc/self/exe".into(), arguments: vec!["wireguard".into()] };
    let program = cfg!(feature = "userspace-wireguard").then_some(program);
    SystemConfig { links: LinksConfig { program, ..LinksConfig::default() }, ..SystemConfig::default() }
}

/// Reads the configuration or, when it is rejected, the last good one; that of a window where it could not be put back.
pub(super) fn configuration(paths: &AgentPaths, unreturned: Option<&Unreturned>) -> Written {
    let returned = unreturned.and_then(|it| it.window.confirmed.first());
    if is_unwritten(paths, returned) {
        return Written::Nothing;
    }
    let loaded = match returned.and_then(|file| file.content.as_ref()) {
        Some(content) => {
            let file = paths.config.display().to_string();
            config::parse(Source { file: &file, text: &content.text, hostname: &config::hostname() })
        }
        None => config::load(&paths.config),
    };
    let errors = match loaded {
        Ok(loaded) => return Written::Good(Box::new(loaded), Vec::new()),
        Err(errors) => errors,
    };
    let Some(loaded) = last_good(&paths.checkpoint) else {
        return Written::Rejected(errors);
    };
    let errors: Vec<String> = errors.to_string().lines().map(str::to_owned).collect();
    for error in &errors {
        error!(%error, "configuration rejected, the last good one runs");
    }
    Written::Good(Box::new(loaded), errors)
}

/// Returns whether nobody has written a configuration, or the first one is to be as if it had not been, and none was ever
/// brought about whole.
pub(super) fn is_unwritten(paths: &AgentPaths, returned: Option<&FileSnapshot>) -> bool {
    let file = returned.cloned().or_else(|| FileSnapshot::take(&paths.config).ok());
    file.is_some_and(|file| file.is_blank_config()) && matches!(durable::read(&paths.checkpoint), Ok(None))
}

/// Returns the configuration that was last brought about whole, if this version can read it.
pub fn last_good(path: &Path) -> Option<Loaded> {
    let text = match durable::read(path) {
        Ok(text) => text?,
        Err(error) => {
            warn!(%error, "the last good configuration is lost");
            return None;
        }
    };
    let file = path.display().to_string();
    let parsed = config::parse(Source { file: &file, text: &text, hostname: &config::hostname() });
    parsed
        .inspect_err(|errors| error!(%errors, "the last good configuration is not one for this version"))
        .ok()
}

/// Returns what the engine of a family has for its whole life. `epoch` is that of its start.
pub(super) fn engine(config: &Config, family: Family, epoch: u32) -> EngineConfig {
    EngineConfig {
        equal_cost_max: config.mesh.equal_cost_max.into(),
        authentication_epoch: epoch,
        awaits_installation: true,
        grace: GraceConfig { helps: config.mesh.graceful_restart, period: config.mesh.grace_period },
        ..EngineConfig::new(addressing::router_id(config.mesh.host_id), family)
    }
}

/// Starts the OSPF task. `has_adopted` says of which family routes of a former start are in use still.
pub(super) fn driver(
    config: &Config,
    epoch: u32,
    has_adopted: impl Fn(Family) -> bool,
) -> (DriverHandle, mpsc::Receiver<DriverEvent>) {
    let engine = |family| EngineConfig {
        restarting: config.mesh.graceful_restart && has_adopted(family),
        ..engine(config, family, epoch)
    };
    // The hash of nothing under a key from the system's randomness.
    let seed = RandomState::new().build_hasher().finish();
    driver::spawn(DriverConfig { ipv6: engine(Family::Ipv6), ipv4: engine(Family::Ipv4), seed })
}
