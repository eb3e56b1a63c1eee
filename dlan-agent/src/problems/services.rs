//! What is wrong with services.

use super::{error, warning};
use crate::control::report::Problem;
use crate::control::service_report::{ListenState, ServiceReport, ServicesReport, UpstreamState};

/// Returns what is wrong.
pub(super) fn find(report: &ServicesReport) -> Vec<Problem> {
    if report.services.is_empty() {
        return Vec::new();
    }
    if report.nginx.is_none() {
        return vec![error(
            "services are configured, and there is no nginx with a stream module to serve them".to_owned(),
            "install nginx and its stream module (Debian: nginx libnginx-mod-stream; OpenWrt: nginx-ssl nginx-mod-stream)",
        )];
    }
    report.services.iter().flat_map(of_service).collect()
}

fn of_service(service: &ServiceReport) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = &service.name;
    if let Some(lacks) = &service.lacks {
        problems.push(error(
            format!("service {name} is not exposed: {lacks}"),
            "take proxy_protocol '1', or install a later nginx",
        ));
    }
    let is_used = |state: UpstreamState| matches!(state, UpstreamState::Up | UpstreamState::Unchecked);
    let can_be_used = service.upstreams.iter().any(|upstream| is_used(upstream.state));
    if !can_be_used {
        problems.push(error(
            format!("service {name} refuses its clients: none of its upstreams can be used"),
            "see why with `dlan services`",
        ));
    }
    for upstream in service.upstreams.iter().filter(|_| can_be_used) {
        let why = upstream.why.as_deref().unwrap_or("no reason is known");
        match upstream.state {
            UpstreamState::Down => problems.push(warning(
                format!("upstream {} of service {name} does not work: {why}", upstream.upstream),
                "the service's other upstreams take its clients; look after that host",
            )),
            UpstreamState::Unresolved => problems.push(warning(
                format!("upstream {} of service {name} has no address: {why}", upstream.upstream),
                "check the name, here and with `dlan config check`; the service's other upstreams take its clients",
            )),
            UpstreamState::Up | UpstreamState::Unchecked | UpstreamState::LeftOut => {}
        }
    }
    for listen in service.listen.iter().filter(|listen| listen.state == ListenState::NotHere) {
        problems.push(warning(
            format!(
                "service {name} does not listen on {}: the address is none of this router's",
                listen.socket
            ),
            "correct the address, or wait until the router has it; `*` and the port listens on all",
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::service_report::{ListenReport, UpstreamReport};

    fn upstream(name: &str, state: UpstreamState) -> UpstreamReport {
        let why = Some("no answer".to_owned());
        UpstreamReport { upstream: name.to_owned(), address: None, state, why, backup: false }
    }

    fn found(upstreams: &[UpstreamState], listen: ListenState, nginx: Option<&str>) -> Vec<String> {
        let service = ServiceReport {
            name: "web".to_owned(),
            protocol: "tcp".to_owned(),
            listen: vec![ListenReport {
                socket: "192.0.2.7:443".parse().unwrap(),
                state: listen,
                traffic: None,
            }],
            server_names: Vec::new(),
            upstreams: upstreams.iter().map(|state| upstream("nas:443", *state)).collect(),
            lacks: None,
        };
        let nginx = nginx.map(str::to_owned);
        let report = ServicesReport { nginx, running: true, reloads: 0, services: vec![service] };
        find(&report).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn what_works_is_no_problem() {
        use UpstreamState::{LeftOut, Unchecked, Up};
        assert!(found(&[Up, Unchecked, LeftOut], ListenState::Open, Some("1.22.1")).is_empty());
        assert!(find(&ServicesReport::default()).is_empty());
    }

    #[test]
    fn each_upstream_that_is_out_is_told_with_its_reason() {
        use UpstreamState::{Down, Unresolved, Up};
        let told = found(&[Up, Down, Unresolved], ListenState::Open, Some("1.22.1"));
        let expected = [
            "upstream nas:443 of service web does not work: no answer",
            "upstream nas:443 of service web has no address: no answer",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_service_that_refuses_everybody_is_told_once() {
        let told =
            found(&[UpstreamState::Down, UpstreamState::Unresolved], ListenState::Closed, Some("1.22.1"));
        assert_eq!(told, ["service web refuses its clients: none of its upstreams can be used"]);
    }

    #[test]
    fn a_foreign_address_and_a_missing_nginx_are_told() {
        let told = found(&[UpstreamState::Up], ListenState::NotHere, Some("1.22.1"));
        let expected = "service web does not listen on 192.0.2.7:443: the address is none of this router's";
        assert_eq!(told, [expected]);
        let told = found(&[UpstreamState::Up], ListenState::Closed, None);
        assert_eq!(
            told,
            ["services are configured, and there is no nginx with a stream module to serve them"]
        );
    }
}
