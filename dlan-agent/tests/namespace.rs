//! The real kernel, in namespaces of its own: routes, rules, addresses, settings, the filter and managed files come,
//! change and go, and nobody else's are touched. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;
#[path = "fixture/namespace.rs"]
mod namespace;
#[path = "fixture/router.rs"]
mod router;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use dlan_agent::plan::Plan;
use dlan_agent::plan::change::Act;
use dlan_agent::plan::reroute::{self, Loss};
use dlan_agent::state::State;
use dlan_agent::state::next_hop::{Group, NextHopTarget};
use dlan_agent::state::route::{Route, RouteAction, RouteHop, RouteKey};
use router::{Router, in_namespace, name, run};

/// Everything that `dlan down` must leave as it was.
fn everything() -> Vec<(&'static str, String)> {
    let ip = |arguments: &[&str]| run("ip", arguments);
    let settings = [
        "net/ipv4/ip_forward",
        "net/ipv6/conf/all/forwarding",
        "net/ipv4/fib_multipath_hash_policy",
        "net/ipv6/fib_multipath_hash_policy",
        "net/ipv4/nexthop_compat_mode",
        "net/ipv6/conf/wan0/accept_ra",
        "net/ipv4/conf/dlan-vx2/rp_filter",
        "net/ipv4/conf/dlan-vx2/send_redirects",
        "net/ipv4/conf/all/send_redirects",
    ];
    let values = settings.map(|path| std::fs::read_to_string(format!("/proc/sys/{path}")).unwrap());
    vec![
        ("addresses", ip(&["-o", "address", "show"])),
        ("IPv4 routes", ip(&["-N", "-4", "route", "show", "table", "all"])),
        ("IPv6 routes", ip(&["-N", "-6", "route", "show", "table", "all"])),
        ("IPv4 rules", ip(&["-N", "-4", "rule"])),
        ("IPv6 rules", ip(&["-N", "-6", "rule"])),
        ("next hop objects", ip(&["-N", "nexthop", "show"])),
        ("filter", run("nft", &["list", "ruleset"])),
        ("files", run("find", &["/etc/iproute2"])),
        ("settings", values.concat()),
    ]
}

fn add_strangers() {
    let ip = |line: &str| run("ip", &line.split(' ').collect::<Vec<_>>());
    ip("address add 10.9.9.9/32 dev lo");
    ip("address add 192.168.7.1/24 dev lan0");
    ip("route add 10.2.0.0/24 via 192.168.7.2 metric 32 proto static table 141");
    ip("route add 10.77.0.0/16 dev lan0 proto 141 table 200");
    ip("-6 route add fd77::/64 dev lan0 proto static table 141");
    ip("rule add pref 77 lookup 200");
    ip("nexthop add id 7 via fe80::7 dev lan0 proto static");
    ip("rule add pref 30141 fwmark 0x7 lookup 200");
    run("nft", &["add", "table", "inet", "stranger"]);
    run("nft", &["add", "chain", "inet", "stranger", "dlan", "{ type filter hook input priority 0; }"]);
}

#[test]
fn everything_comes_and_goes_and_strangers_stay() {
    in_namespace("everything_comes_and_goes_and_strangers_stay", |router| async move {
        add_strangers();
        let before = everything();
        let wanted = router.wanted(&[
            ("10.3.0.0/24", &[("dlan-vx2", "fe80::1")]),
            ("10.4.0.0/24", &[("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2")]),
            ("fd79:3::/64", &[("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2")]),
        ]);
        router.reach(&wanted).await;
        let value = |path: &str| std::fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap();
        assert_eq!(value("ipv4/ip_forward"), "1\n");
        assert_eq!(value("ipv6/conf/wan0/accept_ra"), "2\n");
        let route = run("ip", &["-4", "route", "get", "10.3.0.7"]);
        assert!(
            route.contains("via inet6 fe80::1 dev dlan-vx2") && route.contains("src 10.1.1.1"),
            "{route}"
        );
        let marked =
            Command::new("ip").args(["route", "get", "10.4.0.7", "mark", "0xd1a4"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&marked.stdout).contains("dlan-vx"), "outer packets keep to main");
        assert!(run("ip", &["route", "show", "table", "dlan"]).contains("proto dlan"));
        router.down().await;
        for (before, after) in before.iter().zip(everything()) {
            assert_eq!(*before, after);
        }
        assert!(router.observe().await == State::default());
    });
}

#[test]
fn a_second_apply_changes_nothing() {
    in_namespace("a_second_apply_changes_nothing", |router| async move {
        let wanted = router.wanted(&[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")])]);
        router.reach(&wanted).await;
        assert!(Plan::new(&router.observe().await, &wanted).unwrap().is_empty());
    });
}

#[test]
fn routes_change_their_ways_in_place() {
    in_namespace("routes_change_their_ways_in_place", |router| async move {
        let (one, other) = (("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2"));
        let same_device = ("dlan-vx2", "fe80::9");
        let stages: [&[(&str, &str)]; 7] = [
            &[one],
            &[one, other],
            &[other],
            &[same_device],
            &[same_device, one, other],
            &[one, other],
            &[one],
        ];
        for ways in stages {
            let routes = [("10.3.0.0/24", ways), ("fd79:3::/64", ways)];
            router.reach(&router.wanted(&routes)).await;
            for family in ["-4", "-6"] {
                let shown = run("ip", &[family, "-o", "route", "show", "table", "141", "metric", "32"]);
                assert_eq!(shown.lines().count(), 1, "{shown}");
            }
            let objects = run("ip", &["-N", "nexthop", "show", "proto", "141"]);
            assert_eq!(objects.lines().count(), ways.len() + 1, "one for each way, and one group: {objects}");
            for (device, via) in ways {
                assert!(objects.contains(&format!("via {via} dev {device} ")), "{ways:?}: {objects}");
            }
        }
    });
}

#[test]
fn a_neighbor_that_was_asked_for_in_vain_is_asked_for_anew_where_a_route_leads_to_it() {
    in_namespace(
        "a_neighbor_that_was_asked_for_in_vain_is_asked_for_anew_where_a_route_leads_to_it",
        |router| async move {
            for device in ["dlan-vx2", "dlan-vx3"] {
                run("ip", &["address", "add", "fe80::9/64", "dev", device, "nodad"]);
            }
            run(
                "ip",
                &[
                    "neighbor",
                    "add",
                    "fe80::2",
                    "lladdr",
                    "02:d1:00:02:00:09",
                    "dev",
                    "dlan-vx3",
                    "nud",
                    "permanent",
                ],
            );
            let neighbors = || run("ip", &["-6", "neighbor", "show"]);
            assert!(
                !Command::new("ping")
                    .args(["-c", "1", "-W", "1", "fe80::1%dlan-vx2"])
                    .status()
                    .unwrap()
                    .success()
            );
            let before = neighbors();
            assert!(before.contains("fe80::1 dev dlan-vx2"), "{before}");
            let ways: &[_] = &[("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2")];
            router.reach(&router.wanted(&[("10.3.0.0/24", ways)])).await;
            let after = neighbors();
            assert!(!after.contains("fe80::1 dev dlan-vx2"), "{after}");
            assert!(after.contains("fe80::2 dev dlan-vx3 lladdr 02:d1:00:02:00:09"), "{after}");
        },
    );
}

#[test]
fn routes_of_an_agent_without_next_hop_objects_are_changed_in_place() {
    in_namespace("routes_of_an_agent_without_next_hop_objects_are_changed_in_place", |router| async move {
        router.reach(&router.wanted(&[])).await;
        let via = "nexthop via inet6 fe80::1 dev dlan-vx2 nexthop via inet6 fe80::2 dev dlan-vx3";
        for line in [
            "-4 route add 10.3.0.0/24 via inet6 fe80::1 dev dlan-vx2 src 10.1.1.1".to_owned(),
            format!("-4 route add 10.4.0.0/24 src 10.1.1.1 {via}"),
            "-6 route add fd79:3::/64 via fe80::1 dev dlan-vx2 src fd00:0:1:1::1".to_owned(),
            format!("-6 route add fd79:4::/64 src fd00:0:1:1::1 {}", via.replace("inet6 ", "")),
        ] {
            let (head, tail) = line.split_at(line.find(" src").or(line.find(" nexthop")).unwrap());
            let line = format!("{head} proto 141 table 141 metric 32{tail}");
            run("ip", &line.split(' ').collect::<Vec<_>>());
        }
        let (one, both): (&[_], &[_]) =
            (&[("dlan-vx2", "fe80::1")], &[("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2")]);
        let routes =
            [("10.3.0.0/24", one), ("10.4.0.0/24", both), ("fd79:3::/64", one), ("fd79:4::/64", both)];
        let wanted = router.wanted(&routes);
        let plan = Plan::new(&router.observe().await, &wanted).unwrap();
        let learned = plan.steps().iter().filter(|step| step.to_string().contains("metric 32"));
        let learned: Vec<String> = learned.map(|step| step.to_string()).collect();
        assert_eq!(learned.len(), 4, "{plan}");
        assert!(learned.iter().all(|step| step.starts_with("~ route")), "{plan}");
        router.reach(&wanted).await;
        for family in ["-4", "-6"] {
            let shown = run("ip", &[family, "-o", "route", "show", "table", "141", "metric", "32"]);
            assert_eq!(shown.lines().filter(|line| line.contains("nhid")).count(), 2, "{shown}");
            assert_eq!(shown.lines().count(), 2, "{shown}");
        }
    });
}

#[test]
fn what_somebody_takes_away_is_seen_and_comes_back() {
    in_namespace("what_somebody_takes_away_is_seen_and_comes_back", |router| async move {
        let wanted = router.wanted(&[
            ("10.3.0.0/24", &[("dlan-vx2", "fe80::1")]),
            ("10.4.0.0/24", &[("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2")]),
        ]);
        router.reach(&wanted).await;
        let damages: [&[&str]; 11] = [
            &["ip", "nexthop", "flush"],
            &["ip", "nexthop", "del", "id", "141000001"],
            &["ip", "route", "del", "10.3.0.0/24", "table", "141", "metric", "32"],
            &["ip", "route", "flush", "table", "141"],
            &["ip", "-6", "rule", "del", "pref", "30142"],
            &["ip", "address", "del", "10.1.1.1/32", "dev", "lo"],
            &["nft", "flush", "ruleset"],
            &["nft", "flush", "chain", "inet", "dlan", "vxlan"],
            &["nft", "add", "rule", "inet", "dlan", "input", "accept"],
            &["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"],
            &["ip", "link", "set", "dlan-vx2", "down"],
        ];
        for damage in damages {
            run(damage[0], &damage[1..]);
            let plan = Plan::new(&router.observe().await, &wanted).unwrap();
            assert!(!plan.is_empty(), "{damage:?} went unseen");
            run("ip", &["link", "set", "dlan-vx2", "up"]);
            router.reach(&wanted).await;
        }
    });
}

#[test]
fn a_failing_step_leaves_the_router_as_it_was() {
    in_namespace("a_failing_step_leaves_the_router_as_it_was", |router| async move {
        add_strangers();
        router.reach(&router.wanted(&[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")])])).await;
        let before = everything();
        let observed = router.observe().await;
        // The route of a stranger has this place in our table.
        let wanted = router.wanted(&[
            ("10.2.0.0/24", &[("dlan-vx3", "fe80::2")]),
            ("10.3.0.0/24", &[("dlan-vx3", "fe80::2")]),
            ("10.5.0.0/24", &[("dlan-vx3", "fe80::2")]),
        ]);
        let outcome = router.system.apply(&Plan::new(&observed, &wanted).unwrap()).await;
        assert!(outcome.rolled_back && outcome.rollback_failures.is_empty(), "{outcome}");
        assert_eq!(outcome.failures.len(), 1, "{outcome}");
        assert!(outcome.failures[0].step.contains("10.2.0.0/24"), "{outcome}");
        assert!(outcome.failures[0].error.contains("File exists"), "{outcome}");
        for (before, after) in before.iter().zip(everything()) {
            assert_eq!(*before, after);
        }
    });
}

/// Sets ten thousand routes over `dlan-vx2` with two standbys over `dlan-vx3`, and returns what stands.
async fn ten_thousand_routes(router: &Router) -> State {
    let (one, others) = ([("dlan-vx2", "fe80::1")], [("dlan-vx3", "fe80::2"), ("dlan-vx3", "fe80::3")]);
    let routes = [("10.3.0.0/24", &one[..]), ("10.4.0.0/24", &others[..])];
    router.reach(&router.wanted(&routes)).await;
    let mut wanted = router.observe().await;
    let group_of = |wanted: &State, prefix: &str| {
        let key = RouteKey { table: 141, prefix: prefix.parse().unwrap(), metric: 32 };
        wanted.routes[&key].action.group().unwrap()
    };
    let (group, other) = (group_of(&wanted, "10.3.0.0/24"), group_of(&wanted, "10.4.0.0/24"));
    let standbys = wanted.next_hops[&other].group().unwrap().ways.clone();
    let object = wanted.next_hops.get_mut(&group).unwrap();
    let ways = object.group().unwrap().ways.clone();
    object.target = NextHopTarget::Group(Group { ways, standbys, buckets: Group::BUCKETS });
    for number in 0..10_000_u32 {
        let prefix = match number % 2 {
            0 => format!("{}/24", std::net::Ipv4Addr::from(0x0a80_0000 + number * 256)),
            _ => format!("fd00:8:{number:x}::/64"),
        };
        let key = RouteKey { table: 141, prefix: prefix.parse().unwrap(), metric: 32 };
        let action = RouteAction::Group { group, source: None };
        wanted.routes.insert(key, Route { protocol: 141, action });
    }
    let outcome = router.system.apply(&Plan::routes(&router.observe().await, &wanted)).await;
    assert!(outcome.is_success(), "{outcome}");
    assert!(Plan::new(&router.observe().await, &wanted).unwrap().is_empty());
    wanted
}

/// Sees that routes of both families lead by `dlan-vx3`, by both ways alike, and that all is as known.
async fn all_lead_by_the_standbys(router: &Router, known: &State) {
    let route = run("ip", &["-N", "-4", "route", "show", "table", "141", "10.128.2.0/24"]);
    let group = route.split_whitespace().skip_while(|word| *word != "nhid").nth(1).unwrap();
    let buckets = run("ip", &["nexthop", "bucket", "list", "id", group]);
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for way in buckets.lines().filter_map(|line| line.rsplit(" nhid ").next()) {
        *shares.entry(way.trim()).or_default() += 1;
    }
    assert!(shares.values().eq([&32, &32]), "{buckets}");
    for (families, count) in [("-4", 5000), ("-6", 5000)] {
        let arguments = ["-N", families, "-o", "route", "show", "table", "141", "metric", "32"];
        let by_it =
            run("ip", &arguments).lines().filter(|line| line.contains(&format!("nhid {group} "))).count();
        assert!(by_it >= count, "{families}: {by_it}");
    }
    for (family, to) in [("-4", "10.128.2.7"), ("-6", "fd00:8:270f::7")] {
        let way = run("ip", &[family, "route", "get", to]);
        assert!(way.contains("dev dlan-vx3"), "{way}");
    }
    assert_eq!(router.observe().await.next_hops, known.next_hops);
    assert!(Plan::routes(&router.observe().await, known).is_empty());
}

#[test]
fn the_kernel_itself_goes_over_to_the_standbys_of_ten_thousand_routes() {
    in_namespace("the_kernel_itself_goes_over_to_the_standbys_of_ten_thousand_routes", |router| async move {
        let mut known = ten_thousand_routes(&router).await;
        for (family, to) in [("-4", "10.128.2.7"), ("-6", "fd00:8:270f::7")] {
            // Not one of the ways that a hash may choose leads by a standby.
            for source in 1..50 {
                let flow = ["ipproto", "udp", "sport", &source.to_string(), "dport", "9"];
                let way = run("ip", &[&[family, "route", "get", to][..], &flow].concat());
                assert!(way.contains("dev dlan-vx2"), "{way}");
            }
        }
        run("ip", &["link", "set", "dlan-vx2", "down"]);
        let steps = reroute::around(&mut known, &BTreeMap::new(), &name("dlan-vx2"), Loss::Device);
        assert_eq!(steps, []);
        all_lead_by_the_standbys(&router, &known).await;
    });
}

#[test]
fn ten_thousand_routes_move_away_from_a_lost_neighbor_by_one_message() {
    in_namespace("ten_thousand_routes_move_away_from_a_lost_neighbor_by_one_message", |router| async move {
        let mut wanted = ten_thousand_routes(&router).await;
        let steps = reroute::without(&mut wanted, &name("dlan-vx2")).unwrap();
        let (first, rest) = steps.split_first().unwrap();
        assert_eq!((first.act(), first.to_string().contains("next hop")), (Act::Remove, true), "{first}");
        assert_eq!(rest.len(), 4, "a route of each family comes and goes");
        let begin = Instant::now();
        let outcome = router.system.reroute(Plan::independent(steps)).await;
        println!("10,000 routes moved in {:?}", begin.elapsed());
        assert!(outcome.is_success(), "{outcome}");
        all_lead_by_the_standbys(&router, &wanted).await;
    });
}

/// How many packets a device has sent.
fn sent(device: &str) -> u64 {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let counters = devices.lines().find_map(|line| line.trim().strip_prefix(device)?.strip_prefix(':'));
    counters.unwrap().split_whitespace().nth(9).unwrap().parse().unwrap()
}

#[test]
fn sockets_of_the_router_itself_go_on_by_the_standbys_at_once() {
    in_namespace("sockets_of_the_router_itself_go_on_by_the_standbys_at_once", |router| async move {
        let mut known = ten_thousand_routes(&router).await;
        for (device, via) in [("dlan-vx2", "fe80::1"), ("dlan-vx3", "fe80::2"), ("dlan-vx3", "fe80::3")] {
            let neighbor = ["neighbor", "add", via, "lladdr", "02:d1:00:02:00:09", "dev", device];
            run("ip", &[&neighbor[..], &["nud", "permanent"]].concat());
        }
        let connected = ["10.128.2.7:9", "[fd00:8:270f::7]:9"].map(|to| {
            let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = std::net::UdpSocket::bind(any).unwrap();
            socket.connect(to).unwrap();
            socket
        });
        let send = || connected.iter().for_each(|socket| _ = socket.send(b"on").unwrap());
        let before = sent("dlan-vx2");
        send();
        assert_eq!(sent("dlan-vx2") - before, 2, "they remember the way that is to go");
        let steps = reroute::without(&mut known, &name("dlan-vx2")).unwrap();
        let before = (sent("dlan-vx2"), sent("dlan-vx3"));
        assert!(router.system.reroute(Plan::independent(steps)).await.is_success());
        send();
        assert_eq!((sent("dlan-vx2"), sent("dlan-vx3")), (before.0, before.1 + 2));
    });
}

#[test]
fn thousands_of_routes_are_set_in_a_moment() {
    in_namespace("thousands_of_routes_are_set_in_a_moment", |router| async move {
        router.reach(&router.wanted(&[])).await;
        let mut wanted = router.observe().await;
        let next_hops =
            BTreeSet::from([RouteHop { device: name("dlan-vx2"), via: Some("fe80::1".parse().unwrap()) }]);
        for number in 0..5000_u32 {
            let network = std::net::Ipv4Addr::from(0x0a80_0000 + number * 256);
            let key = RouteKey { table: 141, prefix: format!("{network}/24").parse().unwrap(), metric: 32 };
            let action = RouteAction::unicast(next_hops.clone(), None);
            wanted.routes.insert(key, Route { protocol: 141, action });
        }
        let plan = Plan::routes(&router.observe().await, &wanted);
        let begin = Instant::now();
        let outcome = router.system.apply(&plan).await;
        assert_eq!((outcome.applied, outcome.failures.len()), (5000, 0), "{outcome}");
        let took = begin.elapsed();
        println!("5,000 routes in {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?} for 5,000 routes");
        assert!(Plan::new(&router.observe().await, &wanted).unwrap().is_empty());
    });
}
