//! Answers the questions of the control socket that change nothing, beside the main loop.

use std::collections::BTreeMap;

use ospf_lite::driver::{DriverEnded, DriverHandle};

use super::snapshot::{self, AgentView};
use super::{engine_view, zones_view};
use crate::control::protocol::{Refusal, RefusalKind, Reply, Request};
use crate::control::report::Status;
use crate::path;
use crate::problems;

/// Answers a question that changes nothing; `None` for the others.
pub async fn answer(agent: AgentView, driver: Option<DriverHandle>, request: Request) -> Reply {
    let Some(driver) = driver else {
        return answer_before_ospf(&agent, &request);
    };
    match ask(agent, &driver, request).await {
        Ok(reply) => reply,
        Err(DriverEnded) => refused(RefusalKind::Failed, "the OSPF task has ended"),
    }
}

/// Answers what the zones are, with what each counter of the filter has counted.
pub async fn zones(agent: AgentView, driver: Option<DriverHandle>, counts: BTreeMap<String, u64>) -> Reply {
    let Some(driver) = driver else {
        return answer_before_ospf(&agent, &Request::Zones {});
    };
    let names = agent.names();
    match driver.inspect(move |engines| engine_view::read(engines, &names)).await {
        Ok(engine) => Reply::Zones(zones_view::report(&agent, &engine, &counts)),
        Err(DriverEnded) => refused(RefusalKind::Failed, "the OSPF task has ended"),
    }
}

/// Answers while the links have never stood, be it for a moment or because something is missing.
fn answer_before_ospf(agent: &AgentView, request: &Request) -> Reply {
    let problems = problems::find_before_ospf(agent.apply_failure.as_deref());
    if *request == (Request::Status {}) {
        return Reply::Status(Box::new(Status { problems, ..snapshot::status(agent, None) }));
    }
    let why: Vec<String> = problems.into_iter().map(|problem| problem.what).collect();
    refused(RefusalKind::Failed, why.join("; "))
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
        | Request::Zones {}
        | Request::Plan { .. }
        | Request::Apply(_)
        | Request::Confirm { .. }
        | Request::Rollback { .. }
        | Request::Window {}
        | Request::History {}
        | Request::Names {}
        | Request::Services {}
        | Request::Drain {}
        | Request::Undrain {}
        | Request::Openings {}
        | Request::Stop {} => refused(RefusalKind::BadRequest, "this is not a question"),
    })
}

/// Returns a refusal.
pub fn refused(kind: RefusalKind, message: impl Into<String>) -> Reply {
    Reply::Refused(Refusal { kind, message: message.into() })
}
