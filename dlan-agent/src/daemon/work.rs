//! What takes time, done in tasks of the main thread beside the main loop: each hands its result back as a [`Done`].

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use ospf_lite::driver::DriverHandle;
use ospf_lite::ids::{Family, RouterId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use vxlan::link::LinkName;
use vxlan::wireguard::PublicKey;

use super::engine_view;
use super::requests::refused;
use crate::addressing;
use crate::causes::with_causes;
use crate::config::{Config, Endpoint, HostId};
use crate::control::protocol::{RefusalKind, Reply};
use crate::path;
use crate::ping;
use crate::plan::Plan;
use crate::plan::outcome::Outcome;
use crate::reconcile::{Action, Reconciler};
use crate::round_trips::{Echoes, Settled};
use crate::router_information::RouterInformation;
use crate::routing::DeviceSeen;
use crate::services::health::Subject;
use crate::services::names::Answer;
use crate::state::facts::Facts;
use crate::state::marks::Marks;
use crate::state::{LOOPBACK_DEVICE, State};
use crate::system::{Hint, System, Untold, command};

/// How long a name server may take.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);

/// How long an echo may take; a later answer is none.
const ECHO_DEADLINE: Duration = Duration::from_secs(2);
/// How long something that a window requires may take to answer.
const REQUIRED_DEADLINE: Duration = Duration::from_millis(900);

/// A result of a task.
#[derive(Debug)]
pub(super) enum Done {
    /// The facts for a configuration.
    Gathered(Result<Box<Facts>, String>),
    /// The system as it is.
    Observed(Result<Box<State>, String>),
    /// What became of a plan.
    Applied(Outcome),
    /// What became of moving routes away from a lost link.
    Rerouted(Outcome),
    /// Something in the kernel changed.
    Hint,
    /// Something in the kernel changed that does not hurry.
    LateHint,
    /// A device can carry nothing; ours or not.
    DeviceDown(LinkName),
    /// A device that could carry nothing can again; ours or not.
    DeviceUp(LinkName),
    /// What a lookup came to.
    Resolved(PublicKey, Result<Vec<SocketAddr>, String>),
    /// What came of asking for an upstream's name.
    Name(String, Answer),
    /// What came of asking an upstream whether it works.
    Health(Subject, Result<(), String>),
    /// What nobody tells of.
    Untold(Untold),
    /// What came of asking every neighbor for an echo.
    Echoes(Result<Echoes, String>),
    /// What was found for a configuration whose plan a client asked for.
    Previewed(Box<Checked>, oneshot::Sender<Reply>),
    /// What was found for a configuration that is to be applied.
    Checked(Result<Box<Checked>, String>),
    /// Something that a window requires has answered.
    Required(String),
    /// What became of telling the system that files of others changed.
    Reloaded(Result<(), String>),
}

/// What was found and seen for a configuration that may be applied later.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) config: Config,
    pub(super) facts: Facts,
    pub(super) observed: State,
    /// The neighbor towards the client that asked, where the mesh leads to it.
    pub(super) first_hop: Option<HostId>,
}

/// What a configuration is looked at for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To say what it would change.
    Plan(oneshot::Sender<Reply>),
    /// To apply it.
    Apply {
        /// Who knows the mesh.
        driver: Option<DriverHandle>,
        /// Where the operator is.
        client: Option<IpAddr>,
    },
}

/// Does what the reconciler wants done.
pub(super) fn act(system: &Arc<System>, done: &mpsc::Sender<Done>, action: Action) {
    let (system, done) = (Arc::clone(system), done.clone());
    tokio::task::spawn_local(async move {
        let result = match action {
            Action::Gather(config) => Done::Gathered(
                system.gather(&config).await.map(Box::new).map_err(|error| error.with_causes()),
            ),
            Action::Observe(marks) => Done::Observed(observe(&system, &marks).await),
            Action::Apply(plan) => Done::Applied(system.apply(&plan).await),
        };
        // Without a main loop nobody wants it.
        let _ = done.send(result).await;
    });
}

async fn observe(system: &System, marks: &Marks) -> Result<Box<State>, String> {
    let state = system.observe(marks).await.map_err(|error| error.with_causes())?;
    system.remember(&state).await;
    Ok(Box::new(state))
}

/// Moves routes away from what is lost: sent here and now, only the answer is waited for.
pub(super) fn reroute(system: &System, done: &mpsc::Sender<Done>, plan: Plan) {
    let (answer, done) = (system.reroute(plan), done.clone());
    tokio::task::spawn_local(async move {
        let _ = done.send(Done::Rerouted(answer.await)).await;
    });
}

/// Passes the kernel's notifications on as hints, for as long as the agent runs.
pub(super) fn watch(system: &Arc<System>, done: &mpsc::Sender<Done>) {
    let (system, done) = (Arc::clone(system), done.clone());
    tokio::task::spawn_local(async move {
        let mut hints = system.watch();
        let mut ends = system.program_ends();
        loop {
            let told = tokio::select! {
                hint = hints.next() => match hint {
                    Hint::Look => Done::Hint,
                    Hint::LookLater => Done::LateHint,
                    Hint::Down(device) => Done::DeviceDown(device),
                    Hint::Up(device) => Done::DeviceUp(device),
                },
                () = ends.next() => Done::Hint,
            };
            if done.send(told).await.is_err() {
                return;
            }
        }
    });
}

/// Finds out what nobody tells of.
pub(super) fn find_out(system: &Arc<System>, done: &mpsc::Sender<Done>, wireguard: Option<LinkName>) {
    let (system, done) = (Arc::clone(system), done.clone());
    tokio::task::spawn_local(async move {
        let untold = system.find_out(wireguard.as_ref()).await;
        let _ = done.send(Done::Untold(untold)).await;
    });
}

/// Asks every neighbor for an echo, over the links themselves: the kernels answer, whatever the agents do.
pub(super) fn measure(done: &mpsc::Sender<Done>, config: &Config, nonce: u64) {
    let done = done.clone();
    let address = |neighbor: HostId| {
        let at = addressing::link(&config.mesh, neighbor).ok()?;
        let scope = if_nametoindex(at.device.as_str()).ok()?;
        Some((neighbor, SocketAddrV6::new(at.neighbor_link_local, 0, 0, scope)))
    };
    let neighbors: Vec<_> = config.links.iter().map(|link| link.host_id).collect();
    let asked: Vec<_> = neighbors.iter().filter_map(|neighbor| address(*neighbor)).collect();
    tokio::task::spawn_local(async move {
        let to: Vec<_> = asked.iter().map(|(_, to)| *to).collect();
        let answers = ping::echoes(&to, nonce, ECHO_DEADLINE).await;
        let answers = answers.map_err(|error| error.to_string()).map(|answers| {
            let answered: Echoes = asked.iter().map(|(neighbor, _)| *neighbor).zip(answers).collect();
            // A link without a device does not answer.
            neighbors.iter().map(|id| (*id, answered.get(id).copied().flatten())).collect()
        });
        let _ = done.send(Done::Echoes(answers)).await;
    });
}

/// Looks a name up.
pub(super) fn resolve(done: &mpsc::Sender<Done>, peer: PublicKey, endpoint: Endpoint) {
    let done = done.clone();
    tokio::task::spawn_local(async move {
        let _ = done.send(Done::Resolved(peer, lookup(&endpoint).await)).await;
    });
}

async fn lookup(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, String> {
    match timeout(LOOKUP_DEADLINE, tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(format!("{}: {error}", endpoint.host)),
        Err(_) => Err(format!("{}: no answer within {} s", endpoint.host, LOOKUP_DEADLINE.as_secs())),
    }
}

/// Gathers and observes for a configuration that may be applied later.
pub(super) fn preview((system, done): (&Arc<System>, &mpsc::Sender<Done>), config: Config, purpose: Purpose) {
    let (system, done) = (Arc::clone(system), done.clone());
    tokio::task::spawn_local(async move {
        let looked = look(&system, config).await;
        let result = match (purpose, looked) {
            (Purpose::Plan(answer), Ok(checked)) => Done::Previewed(Box::new(checked), answer),
            (Purpose::Plan(answer), Err(error)) => {
                let _ = answer.send(refused(RefusalKind::Failed, error));
                return;
            }
            (Purpose::Apply { .. }, Err(error)) => Done::Checked(Err(error)),
            (Purpose::Apply { driver, client }, Ok(checked)) => {
                let first_hop = match (driver, client) {
                    (Some(driver), Some(client)) => first_hop(&driver, client).await,
                    _ => None,
                };
                Done::Checked(Ok(Box::new(Checked { first_hop, ..checked })))
            }
        };
        let _ = done.send(result).await;
    });
}

pub(super) async fn look(system: &System, config: Config) -> Result<Checked, String> {
    let facts = system.gather(&config).await.map_err(|error| error.with_causes())?;
    let marks = Marks::of(&config.mesh);
    let observed = system.observe(&marks).await.map_err(|error| error.with_causes())?;
    Ok(Checked { config, facts, observed, first_hop: None })
}

/// Returns the neighbor on the way to an address, where the mesh leads there.
async fn first_hop(driver: &DriverHandle, to: IpAddr) -> Option<HostId> {
    let read = |engines: &_| engine_view::read(engines, &BTreeMap::new()).topology;
    let topology = driver.inspect(read).await.ok()?;
    let hop = path::way(&topology, to).hops.get(1)?.router_id;
    addressing::host_id(RouterId(hop.into()))
}

/// Asks something that a window requires to answer: a link's neighbor by its adjacencies and an echo, an address by an echo.
pub(super) fn ask_required(
    done: &mpsc::Sender<Done>,
    driver: Option<DriverHandle>,
    config: &Config,
    name: String,
) {
    let link = config.links.iter().find(|link| link.name == name);
    let at = link.and_then(|link| {
        Some((addressing::link(&config.mesh, link.host_id).ok()?, addressing::link_interface_id(link)))
    });
    let done = done.clone();
    tokio::task::spawn_local(async move {
        let to = match (at, name.parse::<IpAddr>()) {
            (Some((at, id)), _) => {
                let Some(driver) = driver else { return };
                let is_full = move |engines: &_| engine_view::is_full(engines, id);
                match (driver.inspect(is_full).await, if_nametoindex(at.device.as_str())) {
                    (Ok(true), Ok(scope)) => SocketAddrV6::new(at.neighbor_link_local, 0, 0, scope).into(),
                    _ => return,
                }
            }
            (None, Ok(address)) => SocketAddr::new(address, 0),
            (None, Err(_)) => return,
        };
        let nonce = RandomState::new().build_hasher().finish();
        if let Ok(Some(_)) = ping::echo(to, nonce, REQUIRED_DEADLINE).await {
            let _ = done.send(Done::Required(name)).await;
        }
    });
}

/// Tells the system that files of others than dlan changed, where it has this program for that.
pub(super) fn reload_system(done: &mpsc::Sender<Done>, program: &Path) {
    let (done, program) = (done.clone(), program.to_owned());
    tokio::task::spawn_local(async move {
        let result = reload(&program).await;
        let _ = done.send(Done::Reloaded(result)).await;
    });
}

/// Has a firewall of the system's own open what the agent needs, where there is a script for that.
pub(super) fn reopen(done: &mpsc::Sender<Done>, script: &Path) {
    let (done, script) = (done.clone(), script.to_owned());
    tokio::task::spawn_local(async move {
        let result = openings(&script).await;
        let _ = done.send(Done::Reloaded(result)).await;
    });
}

/// Has a firewall of the system's own ask what it is to open.
pub(super) async fn openings(script: &Path) -> Result<(), String> {
    if !script.exists() {
        return Ok(());
    }
    command::run_script(script, "openings").await.map_err(|error| with_causes(&error))
}

/// Has a system take in changed files, where it has this program for that.
pub(super) async fn reload(program: &Path) -> Result<(), String> {
    if !program.exists() {
        return Ok(());
    }
    let program = program.display().to_string();
    command::run(&program, &[], &[]).await.map(drop).map_err(|error| with_causes(&error))
}

/// Tells the mesh about a changed configuration, or changed round-trip times.
pub(super) fn tell(driver: &Option<DriverHandle>, config: &Config, round_trips: &Settled) {
    let Some(driver) = driver.clone() else { return };
    let content = RouterInformation::new(config, round_trips).encode();
    tokio::task::spawn_local(async move {
        for family in [Family::Ipv6, Family::Ipv4] {
            // The main loop sees by itself when the driver has ended.
            let _ = driver.private(family, content.clone()).await;
        }
    });
}

/// Returns the devices that are there: the links as last seen, the LANs as found, and the loopback.
pub(super) fn devices(
    config: &Config,
    facts: &Facts,
    reconciler: &Reconciler,
) -> BTreeMap<LinkName, DeviceSeen> {
    let links = reconciler.known().into_iter().flat_map(|known| known.links.keys());
    let links = links.map(|name| (name.clone(), reconciler.is_up(name)));
    let found = |lan: &crate::config::LanConfig| facts.lans.get(&lan.name).is_some_and(|found| found.exists);
    let lans = config.lans.iter().filter(|lan| found(lan)).map(|lan| (lan.device.clone(), true));
    let loopback = LinkName::new(LOOPBACK_DEVICE).ok().map(|name| (name, true));
    let all = links.chain(lans).chain(loopback);
    all.filter_map(|(name, up)| {
        let ifindex = if_nametoindex(name.as_str()).ok()?;
        Some((name, DeviceSeen { ifindex, up }))
    })
    .collect()
}
