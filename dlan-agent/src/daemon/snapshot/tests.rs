//! Snapshots against facts put together by hand.

use std::net::Ipv4Addr;
use std::time::Duration;

use ospf_lite::driver::SocketCounters;
use ospf_lite::ids::Distance;
use ospf_lite::io::{NextHop, PathKind, Route};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::route::RouteTable;

use super::*;
use crate::config::{Source, parse};
use crate::control::report::Severity;
use crate::topology::tests::{edge, reference};

const TEXT: &str = "
config mesh 'mesh'
	option host_id '1'
	option name 'r1'
config wan 'wan0'
	option device 'eth0'
config link 'r4'
	option host_id '4'
	option public_key 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE='
";

fn agent() -> AgentView {
    AgentView {
        uptime_seconds: Some(600),
        config: parse(Source { file: "dlan", text: TEXT, hostname: "r1" }).unwrap().config,
        mtu_configured: BTreeMap::new(),
        is_drained: false,
        config_errors: Vec::new(),
        facts: None,
        known: State::default(),
        peers: BTreeMap::new(),
        resolve_errors: BTreeMap::new(),
        refused: BTreeMap::new(),
        repaired: None,
        apply_failure: None,
        program_errors: BTreeMap::new(),
        occupied: BTreeSet::new(),
        qualities: BTreeMap::new(),
        window: None,
        name_conflicts: BTreeSet::new(),
        name_server_refused: BTreeMap::new(),
        services: ServicesReport::default(),
    }
}

fn neighbor(family: Family) -> NeighborSeen {
    NeighborSeen {
        family,
        interface: InterfaceId(4),
        device: "dlan-vx4".to_owned(),
        router_id: RouterId(4),
        state: NeighborState::Full,
        address: "fe80::4:1".parse().unwrap(),
        dead_in: Duration::from_millis(3_900),
        help: None,
        mtu_mismatch: None,
        sa_id: Some(1),
        retransmissions: 0,
    }
}

fn engine() -> EngineView {
    let mut topology = reference();
    topology.links[0] = edge(1, 4, 10, 30);
    let hop = NextHop {
        interface: InterfaceId(4),
        neighbor: RouterId(4),
        link_local: "fe80::4:1".parse().unwrap(),
        ipv4: Some(Ipv4Addr::new(10, 0, 4, 18)),
    };
    let route = Route {
        kind: PathKind::IntraArea,
        distance: Distance(30),
        external_metric: 0,
        advertising: [RouterId(2)].into_iter().collect(),
        next_hops: [hop].into_iter().collect(),
        alternates: Default::default(),
    };
    let refused = BTreeMap::from([(Refusal::AuthenticationDigest, 7)]);
    EngineView {
        flaps: BTreeMap::new(),
        sessions: BTreeMap::new(),
        topology,
        neighbors: vec![neighbor(Family::Ipv6)],
        counters: BTreeMap::from([(InterfaceId(4), (SocketCounters::default(), refused))]),
        declared: vec![(Ipv4Addr::new(0, 0, 0, 4), BTreeSet::from([1]))],
        zones: Default::default(),
        tables: [RouteTable::default(), [("10.3.0.0/24".parse().unwrap(), route)].into_iter().collect()],
        dlan_routers: BTreeSet::from([RouterId(4)]),
        restart_left: None,
    }
}

#[test]
fn a_link_shows_the_state_of_each_family_and_both_ends_costs() {
    let links = links(&agent(), Some(&engine()));
    assert_eq!((links[0].state_ipv6.as_str(), links[0].state_ipv4.as_str()), ("Full", "Down"));
    assert_eq!((links[0].cost, links[0].cost_back), (10, Some(30)));
}

#[test]
fn without_an_engine_states_are_not_claimed() {
    let stopped = AgentView { uptime_seconds: None, ..agent() };
    let status = status(&stopped, None);
    assert!(!status.agent_running && status.problems.is_empty());
    assert_eq!(status.links[0].state_ipv6, STATE_UNKNOWN);
}

#[test]
fn what_the_engines_know_becomes_problems() {
    let said = status(&agent(), Some(&engine())).problems;
    assert!(said.iter().any(|problem| problem.severity == Severity::Note && problem.what.contains("10 from here and 30")));
    assert!(said.iter().any(|problem| problem.what.contains("routes ipv6 only")), "{said:#?}");
}

#[test]
fn a_route_names_its_neighbor_and_the_router_that_announces_it() {
    let routes = routes(&agent(), &engine());
    assert_eq!(routes[0].advertising, ["r2"]);
    assert_eq!(routes[0].via[0].neighbor, "r4");
    assert_eq!(routes[0].via[0].gateway, "fe80::4:1".parse::<IpAddr>().unwrap());
}

#[test]
fn a_router_that_tells_its_information_is_dlan() {
    let seen = neighbors(&agent(), &engine()).neighbors;
    assert_eq!(
        (seen[0].is_dlan, seen[0].name.as_deref(), seen[0].dead_in_seconds),
        (true, Some("r4"), Some(3))
    );
}

#[test]
fn every_kind_of_refusal_is_counted_and_those_that_happen_are_told_in_words() {
    let refused = BTreeMap::from([(InterfaceId(4), BTreeSet::from([Refusal::AuthenticationDigest]))]);
    let link = &neighbors(&AgentView { refused, ..agent() }, &engine()).links[0];
    assert_eq!(link.refused.len(), Refusal::ALL.len());
    assert_eq!((link.refused["authentication-digest"], link.refused["checksum"]), (7, 0));
    assert!(link.notes[0].contains("(7 times)") && link.notes[0].contains("same secret"), "{:?}", link.notes);
    assert!(neighbors(&agent(), &engine()).links[0].notes.is_empty());
}
