//! Replies as they are shown, whole.

use std::collections::BTreeMap;

use ospf_lite::ospf::refusal::Refusal;

use super::*;
use crate::control::apply_report::DrainReport;
use crate::control::report::{
    AddressFamily, BfdReport, FarEnd, HopReport, KeptReport, LanReport, LinkCounters, LinkReport, LsaReport,
    Nat64Report, NeighborReport, NeighborsReport, Problem, RouteReport, Severity, Status,
};
use crate::problems::refusals;
use crate::topology::tests::reference;

fn link(name: &str, host_id: u16) -> LinkReport {
    LinkReport {
        name: name.to_owned(),
        host_id,
        device: format!("dlan-vx{host_id}"),
        up: true,
        endpoint_configured: Some(format!("{name}.example.org:51820")),
        endpoint: Some(format!("192.0.2.{host_id}:51820")),
        handshake_seconds: Some(37),
        received_octets: 123_456_789,
        sent_octets: 4711,
        state_ipv6: "Full".to_owned(),
        state_ipv4: "Full".to_owned(),
        bfd_wanted: true,
        bfd: Some(bfd_up()),
        cost: 10,
        cost_back: Some(10),
        mtu: 1370,
        auto_cost: false,
        round_trip_micros: Some(12_345),
        echoes: 60,
        echoes_lost: 3,
    }
}

fn bfd_up() -> BfdReport {
    BfdReport {
        state: "Up".to_owned(),
        remote_state: "Up".to_owned(),
        since_seconds: 60,
        far_end: FarEnd::Reachable,
        was_up: true,
        ups: 1,
        detection_micros: 900_000,
        transmit_micros: Some(300_000),
        diagnostic: "none".to_owned(),
        remote_diagnostic: "none".to_owned(),
        sent: 200,
        received: 201,
        refused: BTreeMap::new(),
    }
}

fn report() -> Status {
    let silent = LinkReport {
        bfd: None,
        endpoint: None,
        endpoint_configured: None,
        handshake_seconds: None,
        state_ipv6: "Down".to_owned(),
        state_ipv4: "Down".to_owned(),
        cost: 200,
        cost_back: None,
        round_trip_micros: None,
        echoes: 0,
        echoes_lost: 0,
        ..link("a-neighbor", 17)
    };
    Status {
        restart_seconds_left: None,
        agent_running: true,
        drained: false,
        version: "0.1.0".to_owned(),
        uptime_seconds: Some(7384),
        name: "r1".to_owned(),
        host_id: 1,
        domain: "lan".to_owned(),
        loopbacks: vec!["fd00:0:1:1::1".parse().unwrap(), "10.1.1.1".parse().unwrap()],
        wireguard: "embedded".to_owned(),
        routers: 6,
        routers_reachable: 5,
        problems: vec![Problem {
            severity: Severity::Error,
            what: "link a-neighbor: the neighbor never called, and this line is long enough to be broken"
                .to_owned(),
            next_step:
                "check the neighbor's endpoint for this router, and that this router's UDP port is open"
                    .to_owned(),
        }],
        links: vec![link("r4", 4), LinkReport { cost_back: Some(30), ..link("r5", 5) }, silent],
        lans: vec![
            LanReport {
                name: "lan0".to_owned(),
                device: "br-lan".to_owned(),
                present: true,
                prefixes: vec!["10.2.0.0/24".parse().unwrap(), "fd79:2de7:db86::/64".parse().unwrap()],
            },
            LanReport {
                name: "guests".to_owned(),
                device: "br-guest".to_owned(),
                present: false,
                prefixes: vec![],
            },
        ],
        nat64: None,
        routes_ipv6: 9,
        routes_ipv4: 12,
    }
}

#[test]
fn the_status_screen_has_problems_first() {
    insta::assert_snapshot!(status(&report(), 80));
}

#[test]
fn a_translator_is_shown_with_what_it_does() {
    let nat64 = |running| {
        let (prefix, pool) = ("64:ff9b::/96".parse().unwrap(), "192.168.255.0/24".parse().unwrap());
        status(&Status { nat64: Some(Nat64Report { prefix, pool, running }), ..report() }, 80)
    };
    assert!(nat64(true).contains("NAT64: 64:ff9b::/96 is translated to IPv4, by way of 192.168.255.0/24\n"));
    assert!(nat64(false).contains("64:ff9b::/96 is NOT translated"));
}

#[test]
fn the_status_screen_without_an_agent_says_so() {
    let stopped = Status { agent_running: false, uptime_seconds: None, problems: Vec::new(), ..report() };
    insta::assert_snapshot!(status(&stopped, 80));
}

#[test]
fn fifty_links_are_fifty_lines() {
    let many = Status { links: (1..=50).map(|id| link(&format!("r{id}"), id)).collect(), ..report() };
    let text = status(&many, 100);
    assert_eq!(text.lines().filter(|line| line.contains("Full")).count(), 50);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn the_links_with_their_traffic() {
    insta::assert_snapshot!(links(&report().links));
}

#[test]
fn the_neighbors_heard() {
    let neighbor = |family, name: Option<&str>| NeighborReport {
        family,
        device: "dlan-vx4".to_owned(),
        router_id: "0.0.0.4".parse().unwrap(),
        name: name.map(str::to_owned),
        state: "Full".to_owned(),
        bfd: Some("Up".to_owned()),
        address: "fe80::4".parse().unwrap(),
        is_dlan: name.is_some(),
        dead_in_seconds: Some(37),
        kept: name.is_none().then(|| KeptReport { why: "announced".to_owned(), seconds_left: 87 }),
        key: name.map(|_| 1),
        retransmissions: 0,
    };
    let refusing = LinkCounters {
        device: "dlan-vx5".to_owned(),
        pauses: 3,
        notes: [Refusal::AuthenticationDigest, Refusal::LsaTooSoon]
            .into_iter()
            .filter_map(|refusal| refusals::note(refusal, 12))
            .collect(),
        ..LinkCounters::default()
    };
    insta::assert_snapshot!(neighbors(&NeighborsReport {
        neighbors: vec![neighbor(AddressFamily::Ipv6, Some("r4")), neighbor(AddressFamily::Ipv4, None)],
        links: vec![LinkCounters { device: "dlan-vx4".to_owned(), ..LinkCounters::default() }, refusing],
    }));
}

#[test]
fn a_route_with_two_ways_has_two_lines() {
    let hop = |name: &str, gateway: &str| HopReport {
        device: format!("dlan-vx{}", &name[1..]),
        neighbor: name.to_owned(),
        gateway: gateway.parse().unwrap(),
    };
    let ecmp = RouteReport {
        prefix: "10.3.0.0/24".parse().unwrap(),
        distance: 30,
        via: vec![hop("r4", "fe80::4"), hop("r5", "fe80::5")],
        advertising: vec!["r2".to_owned()],
    };
    let own = RouteReport {
        prefix: "10.2.0.0/24".parse().unwrap(),
        distance: 10,
        via: Vec::new(),
        advertising: vec!["r1".to_owned()],
    };
    insta::assert_snapshot!(routes(&[own, ecmp]));
}

#[test]
fn the_databases_one_after_the_other() {
    let lsa = LsaReport {
        family: AddressFamily::Ipv6,
        ls_type: "Router".to_owned(),
        link_state_id: "0.0.0.0".parse().unwrap(),
        advertising_router: "0.0.0.4".parse().unwrap(),
        name: Some("r4".to_owned()),
        sequence: "80000003".to_owned(),
        age: 17,
        length: 56,
        content: "to r1 cost 10, to r2 cost 10".to_owned(),
    };
    insta::assert_snapshot!(lsdb(&[lsa]));
}

#[test]
fn the_mesh_as_text() {
    let mut mesh = reference();
    mesh.links[0].ipv4.b_to_a = None;
    mesh.routers[4].version = None;
    mesh.routers[4].reachable.clear();
    insta::assert_snapshot!(topology(&mesh));
}

#[test]
fn the_way_with_its_costs_and_what_came_of_trying() {
    let way = crate::path::way(&reference(), "10.3.0.7".parse().unwrap());
    insta::assert_snapshot!(path(&way, Some(Probe::Answered { micros: 20_400 })));
    let none = crate::path::way(&reference(), "192.0.2.1".parse().unwrap());
    insta::assert_snapshot!(path(&none, Some(Probe::Silent)));
}

#[test]
fn a_plan_without_steps_is_said_in_one_line() {
    let nothing =
        PlanReport { steps: 0, text: String::new(), plan: serde_json::Value::Null, ospf: Vec::new() };
    assert_eq!(plan(&nothing), "Nothing to do: the router is as configured.\n");
    let applied = |outcome: &str| ApplyReport {
        plan: nothing.clone(),
        done: true,
        outcome: outcome.to_owned(),
        window: None,
    };
    assert_eq!(apply(&applied(SETTLED)), "Nothing to do: the router is as configured.\n");
    let back = "The state before it is back: this router has no configuration.";
    assert_eq!(apply(&applied(back)), format!("{back}\n"));
    // A token that nobody reads confirms nothing.
    let waits = format!("{SETTLED}\nunconfirmed, 89 s left: dlan confirm abcd-efgh");
    assert_eq!(apply(&applied(&waits)), format!("{waits}\n"));
}

#[test]
fn a_drained_router_says_so_before_anything_else_and_how_to_end_it() {
    let text = status(&Status { drained: true, ..report() }, 80);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("DRAINED") && first.contains("`dlan undrain`"), "{text}");
    assert_eq!(text.split_once('\n').unwrap().1, status(&report(), 80));
}

#[test]
fn draining_says_what_it_cannot_move() {
    let report = DrainReport {
        drained: true,
        acknowledged: false,
        parted: vec![vec!["r1".to_owned(), "r3".to_owned()], vec!["r2".to_owned()]],
    };
    insta::assert_snapshot!(drain(&report));
}
