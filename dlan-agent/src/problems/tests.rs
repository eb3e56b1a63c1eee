//! Each cause of a problem, and what is said of it.

use crate::render::uci::Unserved;
use std::collections::BTreeMap;

use ospf_lite::ospf::neighbor::NeighborState;

use super::*;
use crate::control::report::FarEnd;
use crate::topology::tests::{edge, reference};

fn neighbor(family: Family, state: NeighborState) -> NeighborFacts {
    NeighborFacts { family, router_id: Ipv4Addr::new(0, 0, 0, 4), state, mtu_mismatch: None, key: Some(1) }
}

fn link() -> LinkFacts {
    LinkFacts {
        name: "r4".to_owned(),
        host_id: 4,
        device: "dlan-vx4".to_owned(),
        up: true,
        endpoint: Some("r4.example.org:51820".to_owned()),
        resolve_error: None,
        handshake_seconds: Some(30),
        mtu: 1370,
        mtu_configured: None,
        cost: 10,
        hello_seconds: 10,
        dead_seconds: 40,
        neighbors: vec![
            neighbor(Family::Ipv6, NeighborState::Full),
            neighbor(Family::Ipv4, NeighborState::Full),
        ],
        flaps: None,
        bfd: None,
        key: Some(1),
        refused: BTreeSet::new(),
    }
}

pub(super) fn healthy() -> Facts {
    Facts {
        router_id: Ipv4Addr::new(0, 0, 0, 1),
        uptime_seconds: 600,
        config_errors: Vec::new(),
        embedded_wireguard: false,
        holds_private: false,
        repaired: None,
        apply_failure: None,
        programs_missing: BTreeSet::new(),
        unserved: Vec::new(),
        program_errors: BTreeMap::new(),
        occupied: BTreeSet::new(),
        window: None,
        links: vec![link()],
        lans: BTreeSet::from(["10.2.0.0/24".parse().unwrap()]),
        topology: reference(),
        contradictions: Vec::new(),
        declared: vec![(Ipv4Addr::new(0, 0, 0, 4), BTreeSet::from([1, 2, 3, 5]))],
        name_conflicts: BTreeSet::new(),
        name_server_refused: BTreeMap::new(),
        services: ServicesReport::default(),
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = healthy();
    change(&mut facts);
    facts
}

#[test]
fn a_healthy_router_has_no_problem() {
    assert_eq!(find(&healthy()), []);
}

/// Each row: what is done to a healthy router's facts, and a part of what must be said.
type Row = (fn(&mut Facts), Severity, &'static str, &'static str);

const ROWS: [Row; 34] = [
    (
        |facts| facts.window = Some("unconfirmed, 63 s left: `dlan confirm abcd-efgh` keeps it".to_owned()),
        Severity::Error,
        "unconfirmed, 63 s left",
        "dlan rollback",
    ),
    (
        |facts| facts.links[0].mtu_configured = Some(1420),
        Severity::Note,
        "MTU 1370 is in use, the neighbor's; 1420 is configured",
        "to 1370 here, or to 1420 at the neighbor",
    ),
    (
        |facts| facts.config_errors = vec!["/etc/config/dlan:3: bad".to_owned(), "more".to_owned()],
        Severity::Error,
        "rejected, the last good one runs: /etc/config/dlan:3: bad (and 1 more)",
        "dlan config check",
    ),
    (|facts| facts.embedded_wireguard = true, Severity::Note, "an embedded one", "kernel module"),
    (
        |facts| facts.repaired = Some(Repaired { seconds: 7, what: vec!["route 10.3.0.0/24".to_owned()] }),
        Severity::Warning,
        "put back 7 s ago: route 10.3.0.0/24",
        "which program",
    ),
    (
        |facts| facts.apply_failure = Some("cannot create link x".to_owned()),
        Severity::Error,
        "cannot create link x",
        "dlan plan",
    ),
    (
        |facts| {
            let (lan, network, section) = ("lan0".to_owned(), "lan".to_owned(), "@dhcp[0]".to_owned());
            facts.unserved = vec![Unserved::Taken { lan, network, section }];
        },
        Severity::Warning,
        "lan lan0: what its hosts are given is said by the section @dhcp[0]",
        "uci delete dhcp.@dhcp[0]",
    ),
    (
        |facts| {
            let prefix = "10.3.0.0/24".parse().unwrap();
            facts.occupied = BTreeSet::from([RouteKey { table: 141, prefix, metric: 32 }]);
        },
        Severity::Error,
        "another program's route stands at 10.3.0.0/24 table 141 metric 32: dlan's own is left out",
        "ip route show table 141",
    ),
    (
        |facts| facts.programs_missing = BTreeSet::from([ProgramName::Dnsmasq]),
        Severity::Error,
        "dnsmasq is not installed",
        "apt install dnsmasq-base",
    ),
    (
        |facts| {
            let why = "dnsmasq ended right after its start: address in use".to_owned();
            facts.program_errors = BTreeMap::from([(ProgramName::Dnsmasq, why)]);
        },
        Severity::Error,
        "no names from this router: dnsmasq ended right after its start: address in use",
        "port 53 or 67",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].handshake_seconds = None;
        },
        Severity::Error,
        "the neighbor at r4.example.org:51820 never answered",
        "public key",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].handshake_seconds = None;
            facts.links[0].endpoint = None;
        },
        Severity::Error,
        "the neighbor never called",
        "UDP port is open",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].handshake_seconds = Some(400);
        },
        Severity::Error,
        "silent since its last handshake 400 s ago",
        "online",
    ),
    (
        |facts| facts.links[0].neighbors.clear(),
        Severity::Error,
        "the tunnel is up, but no OSPF Hello comes through it",
        "max_hosts",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].up = false;
        },
        Severity::Error,
        "device dlan-vx4 is not up",
        "dlan plan",
    ),
    (
        |facts| facts.links[0].resolve_error = Some("no such name".to_owned()),
        Severity::Warning,
        "r4.example.org:51820 has no address: no such name",
        "DNS",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].flaps = Some(5);
        },
        Severity::Warning,
        "lost 5 times in a row, and left alone until it has not been lost for 10 s",
        "look at the path",
    ),
    (
        |facts| facts.links[0].neighbors[0].mtu_mismatch = Some(MtuMismatch { ours: 1370, theirs: 1350 }),
        Severity::Error,
        "MTU 1370 here, 1350 at the neighbor",
        "to 1350 at both ends",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::HelloInterval);
        },
        Severity::Error,
        "HelloInterval is not 10 s",
        "hello_interval",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::DeadInterval);
        },
        Severity::Error,
        "RouterDeadInterval is not 40 s",
        "dead_interval",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::AuthenticationDigest);
        },
        Severity::Error,
        "do not prove this router's secret",
        "ospf_secret_file",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::AuthenticationProtocolId);
        },
        Severity::Error,
        "FRR's authentication trailer departs from RFC 7166",
        "take the authentication of OSPF out at FRR",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::AuthenticationMissing);
        },
        Severity::Error,
        "only one end has an OSPF secret",
        "on both routers or on neither",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::AuthenticationReplay);
        },
        Severity::Error,
        "look like recorded ones",
        "start this agent again",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::UnexpectedNeighbor);
        },
        Severity::Error,
        "another Router ID than 4",
        "`host_id`",
    ),
    (
        |facts| {
            facts.links[0].refused.insert(Refusal::RouterFull);
        },
        Severity::Warning,
        "too many LSAs of one router",
        "`dlan lsdb`",
    ),
    (
        |facts| facts.links[0].key = Some(2),
        Severity::Note,
        "signs its packets with key 1, this router with key 2",
        "`ospf_key_active`",
    ),
    (
        |facts| {
            facts.links[0].neighbors.clear();
            facts.links[0].refused.insert(Refusal::DuplicateRouterId);
        },
        Severity::Error,
        "has this router's host id",
        "unique in the mesh",
    ),
    (
        |facts| {
            facts.links[0].neighbors.pop();
        },
        Severity::Note,
        "the neighbor routes ipv6 only",
        "other family",
    ),
    (
        |facts| facts.links[0].neighbors[1].state = NeighborState::Init,
        Severity::Warning,
        "heard, but does not hear this router (ipv4)",
        "dlan status",
    ),
    (
        |facts| facts.declared[0].1 = BTreeSet::from([2]),
        Severity::Warning,
        "declared here, but not at the neighbor",
        "to r4's configuration",
    ),
    (
        |facts| facts.declared.push((Ipv4Addr::new(0, 0, 0, 3), BTreeSet::from([1]))),
        Severity::Warning,
        "r3 declares a link to this router",
        "remove the link there",
    ),
    (
        |facts| facts.topology.links[0] = edge(1, 4, 10, 30),
        Severity::Note,
        "costs 10 from here and 30",
        "same `cost`",
    ),
    (
        |facts| facts.lans = BTreeSet::from(["10.3.0.0/16".parse().unwrap()]),
        Severity::Error,
        "LAN 10.3.0.0/16 of this router and 10.3.0.0/24 of r2 overlap",
        "other addresses",
    ),
];

#[test]
fn each_cause_is_said_once_in_words_with_its_next_step() {
    for (change, severity, what, next_step) in ROWS {
        let problems = find(&with(change));
        assert_eq!(problems.len(), 1, "{what}: {problems:#?}");
        let problem = &problems[0];
        assert_eq!(problem.severity, severity, "{what}");
        assert!(problem.what.contains(what), "{what}: {problem:?}");
        assert!(problem.next_step.contains(next_step), "{next_step}: {problem:?}");
    }
}

#[test]
fn what_a_router_that_is_gone_once_announced_is_no_problem() {
    for (change, _, what, _) in
        ROWS.iter().filter(|(_, _, what, _)| what.contains("declare") || what.contains("LAN"))
    {
        let problems = find(&with(|facts| {
            change(facts);
            for router in &mut facts.topology.routers {
                router.reachable.clear();
            }
        }));
        assert!(problems.iter().all(|problem| !problem.what.contains(what)), "{what}: {problems:#?}");
    }
}

#[test]
fn the_gravest_comes_first() {
    let problems = find(&with(|facts| {
        facts.embedded_wireguard = true;
        facts.links[0].neighbors.clear();
    }));
    let severities: Vec<_> = problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Note]);
}

#[test]
fn silence_is_no_problem_before_a_dead_interval_is_over() {
    let facts = with(|facts| {
        facts.uptime_seconds = 20;
        facts.holds_private = true;
        facts.links[0].neighbors.clear();
        facts.links[0].handshake_seconds = None;
    });
    assert_eq!(find(&facts), []);
}

#[test]
fn what_private_addresses_are_held_back_for_is_said_until_a_neighbor_is_full_in_both_families() {
    let said = |change: fn(&mut Facts)| {
        let mut facts = with(|facts| facts.holds_private = true);
        change(&mut facts);
        find(&facts).into_iter().find(|problem| problem.what.contains("private addresses"))
    };
    assert_eq!(said(|_| ()), None);
    for (change, words) in [
        (
            (|facts| facts.links[0].neighbors.clear()) as fn(&mut Facts),
            "no neighbor was heard since this router booted",
        ),
        (
            |facts| facts.links[0].neighbors[1].state = NeighborState::Init,
            "no neighbor was heard by IPv4 since",
        ),
        (
            |facts| facts.links[0].neighbors[0].state = NeighborState::Init,
            "no neighbor was heard by IPv6 since",
        ),
    ] {
        let problem = said(change).unwrap();
        assert!(problem.what.starts_with(words), "{words}: {problem:?}");
        assert!(
            problem.severity == Severity::Note && problem.next_step.contains("list inside"),
            "{problem:?}"
        );
    }
}

#[test]
fn what_was_refused_before_the_neighbor_became_full_is_no_problem() {
    let facts = with(|facts| {
        facts.links[0].refused.insert(Refusal::HelloInterval);
    });
    assert_eq!(find(&facts), []);
}

fn session(state: &str, far_end: FarEnd, since_seconds: u64, was_up: bool) -> Option<BfdReport> {
    Some(BfdReport {
        state: state.to_owned(),
        remote_state: "Down".to_owned(),
        since_seconds,
        far_end,
        was_up,
        ups: 1,
        detection_micros: 900_000,
        transmit_micros: Some(1_000_000),
        diagnostic: "detection time expired".to_owned(),
        remote_diagnostic: "none".to_owned(),
        sent: 1,
        received: 1,
        refused: BTreeMap::new(),
    })
}

fn with_session(bfd: Option<BfdReport>) -> Vec<Problem> {
    find(&Facts { links: vec![LinkFacts { bfd, ..link() }], ..healthy() })
}

#[test]
fn a_bfd_session_that_was_up_and_stays_down_is_told_with_what_it_means() {
    let problems = with_session(session("Down", FarEnd::Reachable, 11, true));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.contains("BFD was up and has been down for 11 s (detection time expired)"));
    assert!(problems[0].next_step.contains("UDP port 3784 passes on dlan-vx4"));
}

#[test]
fn a_silent_agent_whose_kernel_answers_is_told_at_once() {
    let problems = with_session(session("Down", FarEnd::Forwarding, 1, true));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.contains("its kernel answers"));
}

#[test]
fn a_bfd_session_that_is_up_or_young_or_never_was_is_no_problem() {
    for bfd in [
        session("Up", FarEnd::Reachable, 100, true),
        session("Down", FarEnd::Unreachable, 3, true),
        session("Down", FarEnd::Reachable, 100, false),
        None,
    ] {
        assert_eq!(with_session(bfd), []);
    }
}

#[test]
fn what_keeps_ospf_from_running_is_told_in_place_of_a_start_that_takes_a_moment() {
    let [starting, missing] = [None, Some("the kernel has no WireGuard module\n")].map(find_before_ospf);
    assert_eq!((starting.len(), missing.len()), (1, 1));
    assert_eq!((starting[0].severity, missing[0].severity), (Severity::Note, Severity::Error));
    assert!(missing[0].what.ends_with(": the kernel has no WireGuard module"));
}

#[test]
fn a_prefix_of_two_zones_is_in_none_and_told() {
    let facts = Facts {
        contradictions: vec![Contradiction {
            prefix: "10.2.5.0/24".parse().unwrap(),
            zones: ["cameras", "internal"].map(str::to_owned).into(),
            routers: vec!["r4".to_owned(), "r5".to_owned()],
        }],
        ..healthy()
    };
    let found = find(&facts);
    let expected = "10.2.5.0/24 is announced by r4 and r5 as of the zones cameras and internal";
    assert!(found.iter().any(|problem| problem.what == expected), "{found:?}");
}
