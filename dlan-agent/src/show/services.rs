//! Services as text.

use super::table::{Table, octets, or_dash};
use crate::control::service_report::{
    ListenState, ServiceReport, ServicesReport, UpstreamReport, UpstreamState,
};

/// Returns every service with its addresses and upstreams.
pub fn services(report: &ServicesReport) -> String {
    if report.services.is_empty() {
        return "No service is configured.\n".to_owned();
    }
    let mut table = Table::new(&[
        "SERVICE",
        "PROTOCOL",
        "LISTEN",
        "",
        ">CONNECTIONS",
        ">RECEIVED",
        ">SENT",
        "UPSTREAM",
        "ADDRESS",
        "STATE",
    ]);
    for service in &report.services {
        for index in 0..service.listen.len().max(service.upstreams.len()) {
            table.row(row(service, index));
        }
    }
    let nginx = match (&report.nginx, report.running) {
        (None, _) => "There is no nginx with a stream module: nothing is exposed.".to_owned(),
        (Some(version), false) => format!("nginx {version} does not run."),
        (Some(version), true) => format!(
            "nginx {version} runs; it has read its configuration again {} since the agent started.",
            times(report.reloads)
        ),
    };
    format!("{}\n{nginx}\n", table.render(0))
}

fn row(service: &ServiceReport, index: usize) -> [String; 10] {
    let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
    let listen = service.listen.get(index);
    let upstream = service.upstreams.get(index);
    let open = listen.map_or("", |listen| match listen.state {
        ListenState::Open => "open",
        ListenState::NotHere => "not here",
        ListenState::Closed => "closed",
    });
    let traffic = listen.and_then(|listen| listen.traffic);
    let address = |upstream: &UpstreamReport| or_dash(upstream.address);
    [
        first(&service.name),
        first(&service.protocol),
        listen.map(|listen| listen.socket.to_string()).unwrap_or_default(),
        open.to_owned(),
        traffic.map(|traffic| or_dash(traffic.connections)).unwrap_or_default(),
        traffic.map(|traffic| octets(traffic.received)).unwrap_or_default(),
        traffic.map(|traffic| octets(traffic.sent)).unwrap_or_default(),
        upstream.map(|upstream| upstream.upstream.clone()).unwrap_or_default(),
        upstream.map(address).unwrap_or_default(),
        upstream.map(state).unwrap_or_default(),
    ]
}

fn state(upstream: &UpstreamReport) -> String {
    let state = match upstream.state {
        UpstreamState::Up => "up",
        UpstreamState::Unchecked => "used",
        UpstreamState::Down => "down",
        UpstreamState::Unresolved => "unresolved",
        UpstreamState::LeftOut => "left out",
    };
    let backup = if upstream.backup { ", backup" } else { "" };
    let why = upstream.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{state}{backup}{why}")
}

fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
