//! Answers the questions of the control socket that change nothing, beside the main loop.

use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use ospf_lite::driver::{DriverEnded, DriverHandle};

use super::engine_view;
use super::snapshot::{self, AgentView};
use crate::addressing;
use crate::config::HostId;
use crate::control::protocol::{Refusal, RefusalKind, Reply, Request};
use crate::path;
use crate::ping;

/// How long a neighbor's answer is waited for when the status is asked.
const ROUND_TRIP_DEADLINE: Duration = Duration::from_millis(600);

/// Answers a question that changes nothing; `None` for the others.
pub async fn answer(mut agent: AgentView, driver: Option<DriverHandle>, request: Request) -> Reply {
    let Some(driver) = driver else {
        return refused(RefusalKind::Failed, "the agent is starting: OSPF does not run yet");
    };
    if matches!(request, Request::Status {} | Request::Links {}) {
        measure(&mut agent).await;
    }
    match ask(agent, &driver, request).await {
        Ok(reply) => reply,
        Err(DriverEnded) => refused(RefusalKind::Failed, "the OSPF task has ended"),
    }
}

async fn ask(agent: AgentView, driver: &DriverHandle, request: Request) -> Result<Reply, DriverEnded> {
    let names = agent.names();
    if request == (Request::Lsdb {}) {
        return driver.inspect(move |engines| engine_view::read_lsdb(engines, &names)).await.map(Reply::Lsdb);
    }
    let engine = driver.inspect(move |engines| engine_view::read(engines, &names)).await?;
    Ok(match request {
        Request::Status {} => Reply::Status(Box::new(snapshot::status(&agent, Some(&engine)))),
        Request::Links {} => Reply::Links(snapshot::links(&agent, Some(&engine))),
        Request::Neighbors {} => Reply::Neighbors(snapshot::neighbors(&agent, &engine)),
        Request::Routes {} => Reply::Routes(snapshot::routes(&agent, &engine)),
        Request::Topology {} => Reply::Topology(engine.topology),
        Request::Path { host } => {
            let resolved = path::resolve(&engine.topology, &agent.config.mesh.domain, &host);
            let ways = resolved.into_iter().map(|address| path::way(&engine.topology, address)).collect();
            Reply::Path(ways)
        }
        Request::Lsdb {}
        | Request::Plan {}
        | Request::Apply {}
        | Request::Drain {}
        | Request::Undrain {}
        | Request::Stop {} => refused(RefusalKind::BadRequest, "this is not a question"),
    })
}

/// Measures the round-trip times to all neighbors at once, over the links themselves.
async fn measure(agent: &mut AgentView) {
    let mesh = &agent.config.mesh;
    let mut probes = Vec::new();
    for link in &agent.config.links {
        let Ok(at) = addressing::link(mesh, link.host_id) else { continue };
        let Ok(scope) = if_nametoindex(at.device.as_str()) else { continue };
        let to = SocketAddr::V6(SocketAddrV6::new(at.neighbor_link_local, 0, 0, scope));
        let neighbor: HostId = link.host_id;
        // The number tells the probes of one moment apart; each has a socket of its own.
        let nonce = u64::from(neighbor.0) | u64::from(std::process::id()) << 32;
        let probe = async move { (neighbor, ping::echo(to, nonce, ROUND_TRIP_DEADLINE).await) };
        probes.push(probe);
    }
    for (neighbor, answer) in futures_util::future::join_all(probes).await {
        if let Ok(Some(elapsed)) = answer {
            agent.round_trips.insert(neighbor, u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
        }
    }
}

/// Returns a refusal.
pub fn refused(kind: RefusalKind, message: impl Into<String>) -> Reply {
    Reply::Refused(Refusal { kind, message: message.into() })
}
