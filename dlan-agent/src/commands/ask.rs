//! The commands that ask the agent.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::output::Output;
use super::{ASK_DEADLINE, offline, request};
use crate::cli::{EXIT_FAILED, EXIT_NOT_RUNNING, EXIT_OK, PathArgs, TopologyArgs};
use crate::control::CONTROL_SOCKET;
use crate::control::client::{self, ClientError};
use crate::control::protocol::{Reply, Request};
use crate::control::report::PathReport;
use crate::ping;
use crate::show::{self, Probe};
use crate::topology::{dot, svg};

/// How long a login may be held up.
const BANNER_DEADLINE: Duration = Duration::from_secs(1);
/// How long the destination's answer is waited for.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// Asks, and prints the answer.
pub(super) async fn simple(output: &Output, question: Request) -> u8 {
    match request(output, &question).await {
        Ok(reply) => print(output, &reply),
        Err(code) => code,
    }
}

/// Prints the status screen; without an agent what the kernel still does.
pub(super) async fn status(output: &Output, config: &Path) -> u8 {
    match client::ask(Path::new(CONTROL_SOCKET), &Request::Status {}, ASK_DEADLINE).await {
        Err(ClientError::NotRunning { .. }) => match offline::status(output, config).await {
            Ok(status) => {
                output.result(&status, || show::status(&status, output.width()));
                EXIT_NOT_RUNNING
            }
            Err(code) => code,
        },
        _ => simple(output, Request::Status {}).await,
    }
}

/// Prints what a firewall of the system's own must let in: for what runs, or without an agent for what the next start runs.
pub(super) async fn openings(output: &Output, config: &Path) -> u8 {
    match client::ask(Path::new(CONTROL_SOCKET), &Request::Openings {}, ASK_DEADLINE).await {
        Err(ClientError::NotRunning { .. }) => offline::openings(output, config),
        _ => simple(output, Request::Openings {}).await,
    }
}

/// Prints what would change, with or without an agent.
pub(super) async fn plan(output: &Output, config: &Path, stage: Option<PathBuf>) -> u8 {
    let staged = stage.as_ref().map(|stage| stage.join(config.strip_prefix("/").unwrap_or(config)));
    let request = Request::Plan { stage };
    match client::ask(Path::new(CONTROL_SOCKET), &request, ASK_DEADLINE).await {
        Err(ClientError::NotRunning { .. }) => {
            let staged = staged.filter(|file| file.exists());
            offline::plan(output, staged.as_deref().unwrap_or(config)).await
        }
        _ => simple(output, request).await,
    }
}

/// Prints the mesh in the form that was asked for.
pub(super) async fn topology(output: &Output, args: &TopologyArgs) -> u8 {
    match request(output, &Request::Topology {}).await {
        Ok(Reply::Topology(topology)) if args.dot => output.text(&dot::render(&topology)),
        Ok(Reply::Topology(topology)) if args.svg => output.text(&svg::render(&topology)),
        Ok(reply) => return print(output, &reply),
        Err(code) => return code,
    }
    EXIT_OK
}

/// A way with what came of trying it.
#[derive(Serialize)]
struct Tried {
    #[serde(flatten)]
    path: PathReport,
    probe: Option<Probe>,
}

/// Prints the ways to a host, and whether it answers.
pub(super) async fn path(output: &Output, args: &PathArgs) -> u8 {
    let mut ways = match request(output, &Request::Path { host: args.host.clone() }).await {
        Ok(Reply::Path(ways)) => ways,
        Ok(_) => return unexpected(output),
        Err(code) => return code,
    };
    // Not a router of the mesh: the system's resolver may know the name.
    if ways.is_empty() {
        for address in resolve(&args.host).await {
            match request(output, &Request::Path { host: address.to_string() }).await {
                Ok(Reply::Path(found)) => ways.extend(found),
                Ok(_) => return unexpected(output),
                Err(code) => return code,
            }
        }
    }
    if ways.is_empty() {
        output.error(&format!("{}: neither a router of the mesh nor a name with an address", args.host));
        return EXIT_FAILED;
    }
    let mut tried = Vec::new();
    for path in ways {
        let probe = if args.no_probe { None } else { Some(probe(path.destination).await) };
        tried.push(Tried { path, probe });
    }
    output.result(&tried, || tried.iter().map(|tried| show::path(&tried.path, tried.probe)).collect());
    let gets_through = |tried: &Tried| match tried.probe {
        Some(probe) => probe != Probe::Silent,
        None => tried.path.prefix.is_some(),
    };
    if tried.iter().all(gets_through) { EXIT_OK } else { EXIT_FAILED }
}

async fn resolve(host: &str) -> Vec<IpAddr> {
    let found = tokio::time::timeout(ASK_DEADLINE, tokio::net::lookup_host((host, 0))).await;
    let mut addresses: Vec<IpAddr> = match found {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    addresses.dedup();
    addresses
}

async fn probe(to: IpAddr) -> Probe {
    let nonce = u64::from(std::process::id());
    match ping::echo(SocketAddr::new(to, 0), nonce, PROBE_DEADLINE).await {
        Ok(Some(elapsed)) => {
            Probe::Answered { micros: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX) }
        }
        Ok(None) => Probe::Silent,
        Err(_) => Probe::NotSent,
    }
}

/// Prints the last applies, or one with what it changed.
pub(super) async fn history(output: &Output, number: Option<u64>) -> u8 {
    let entries = match request(output, &Request::History {}).await {
        Ok(Reply::History(entries)) => entries,
        Ok(_) => return unexpected(output),
        Err(code) => return code,
    };
    let Some(number) = number else { return print(output, &Reply::History(entries)) };
    match entries.iter().find(|entry| entry.number == number) {
        Some(entry) => output.result(entry, || show::history_entry(entry)),
        None => {
            output.error(&format!("there is no apply {number} in the history: `dlan history` lists them"));
            return EXIT_FAILED;
        }
    }
    EXIT_OK
}

/// Prints what a login is to know: one line while an apply waits to be confirmed, else nothing.
pub(super) async fn banner(output: &Output) -> u8 {
    let asked = client::ask(Path::new(CONTROL_SOCKET), &Request::Window {}, BANNER_DEADLINE).await;
    if let Ok(Reply::Window(Some(window))) = asked {
        output.result(&window, || format!("dlan: {}\n", window.text));
    }
    EXIT_OK
}

/// What `dlan confirm` says to programs.
#[derive(Serialize)]
struct Kept {
    confirmed: bool,
}

/// Prints a reply and returns the exit code it stands for.
fn print(output: &Output, reply: &Reply) -> u8 {
    match reply {
        Reply::Status(status) => output.result(status, || show::status(status, output.width())),
        Reply::Links(links) => output.result(links, || show::links(links)),
        Reply::Neighbors(neighbors) => output.result(neighbors, || show::neighbors(neighbors)),
        Reply::Routes(routes) => output.result(routes, || show::routes(routes)),
        Reply::Lsdb(lsas) => output.result(lsas, || show::lsdb(lsas)),
        Reply::Names(names) => output.result(names, || show::names(names)),
        Reply::Services(services) => output.result(services, || show::services(services)),
        Reply::Zones(zones) => output.result(zones, || show::zones(zones)),
        Reply::Topology(topology) => output.result(topology, || show::topology(topology)),
        Reply::Plan(plan) => output.result(plan, || show::plan(plan)),
        Reply::Apply(report) => {
            output.result(report, || show::apply(report));
            return if report.done { EXIT_OK } else { EXIT_FAILED };
        }
        Reply::Drain(report) => {
            output.result(report, || show::drain(report));
            return if report.acknowledged { EXIT_OK } else { EXIT_FAILED };
        }
        Reply::Confirmed => output.result(&Kept { confirmed: true }, || "Confirmed: it stays.\n".to_owned()),
        Reply::Openings(openings) => output.result(openings, || openings.to_string()),
        Reply::Window(window) => output.result(window, || show::window(window.as_ref())),
        Reply::History(entries) => output.result(entries, || show::history(entries)),
        Reply::Path(_) | Reply::Stopping | Reply::Refused(_) => return unexpected(output),
    }
    EXIT_OK
}

fn unexpected(output: &Output) -> u8 {
    output.error("the agent answered something else than was asked");
    EXIT_FAILED
}
