//! Interfaces, what is told of them, and the kernel routes that come of routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use ospf_lite::config::AuthenticationKey;
use ospf_lite::ids::Distance;
use ospf_lite::io::{PathKind, Route};
use vxlan::wireguard::PrivateKey;

use super::*;
use crate::config::{Source, parse};
use crate::state::facts::{LanFacts, WireGuardKind};
use crate::state::upstreams::UpstreamFacts;

const TEXT: &str = "
config mesh 'mesh'
	option host_id '1'
	option name 'r1'
config wan 'wan0'
	option device 'eth0'
config lan 'lan0'
	option device 'br-lan'
config link 'r2'
	option host_id '2'
	option public_key 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE='
	option cost '25'
";

fn config(text: &str) -> Config {
    parse(Source { file: "dlan", text, hostname: "r1" }).unwrap().config
}

fn facts() -> Facts {
    let lan = LanFacts {
        device: LinkName::new("br-lan").unwrap(),
        exists: true,
        addresses: BTreeSet::from(["10.2.0.1/24".parse().unwrap(), "203.0.113.1/24".parse().unwrap()]),
    };
    Facts {
        foreign_names: None,
        resolvers: Vec::new(),
        private_key: PrivateKey::from_octets([1; 32]),
        link_psks: BTreeMap::new(),
        ospf_secrets: [(1, "first"), (2, "second")].map(|(id, key)| (id, AuthenticationKey::new(key))).into(),
        wans: BTreeMap::new(),
        lans: BTreeMap::from([("lan0".to_owned(), lan)]),
        endpoints: BTreeMap::new(),
        wireguard: WireGuardKind::Kernel,
        addresses: BTreeSet::new(),
        nginx: None,
        upstreams: UpstreamFacts::default(),
        dnsmasq: None,
        has_standbys: true,
        tayga: None,
        uci: None,
    }
}

fn wanted(text: &str) -> BTreeMap<InterfaceId, WantedInterface> {
    interfaces(&config(text), &facts()).unwrap()
}

fn seen(names: &[(&str, u32)]) -> BTreeMap<LinkName, DeviceSeen> {
    names
        .iter()
        .map(|(name, ifindex)| (LinkName::new(name).unwrap(), DeviceSeen { ifindex: *ifindex, up: true }))
        .collect()
}

fn prefixes(interface: &InterfaceConfig) -> Vec<(String, u16, bool)> {
    let say = |announced: &AdvertisedPrefix| {
        (announced.prefix.to_string(), announced.metric, announced.local_address)
    };
    interface.prefixes.iter().map(say).collect()
}

#[test]
fn a_link_announces_its_subnet_at_its_cost_in_ipv4_only() {
    let wanted = wanted(TEXT);
    let link = &wanted[&InterfaceId(2)];
    assert_eq!(link.device.as_str(), "dlan-vx2");
    assert_eq!(prefixes(&link.ipv4), [("10.0.4.8/30".to_owned(), 25, false)]);
    assert_eq!(prefixes(&link.ipv6), []);
    let InterfaceKind::PointToPoint(link) = &link.ipv4.kind else { panic!("not a point-to-point link") };
    assert_eq!(link.ipv4_address, Some(Ipv4Addr::new(10, 0, 4, 9)));
    assert_eq!(link.neighbor, Some(RouterId(2)));
}

fn keys(text: &str) -> Vec<u16> {
    let wanted = wanted(text);
    let InterfaceKind::PointToPoint(link) = &wanted[&InterfaceId(2)].ipv4.kind else { panic!("no link") };
    link.authentication.iter().map(|association| association.id).collect()
}

#[test]
fn the_active_key_signs_and_all_are_accepted() {
    let mesh = "option name 'r1'\n\toption ospf_secret_file '/first'";
    let first = TEXT.replace("option name 'r1'", mesh);
    let both = format!("{first}config ospf_key 'second'\n\toption id '2'\n\toption secret_file '/second'\n");
    let switched = both.replace(mesh, &format!("{mesh}\n\toption ospf_key_active '2'"));
    let second = switched.replace("option ospf_secret_file '/first'", "");
    assert_eq!(
        [TEXT, &first, &both, &switched, &second].map(keys),
        [vec![], vec![1], vec![1, 2], vec![2, 1], vec![2]]
    );
}

#[test]
fn a_plan_says_which_key_signs() {
    let mesh = "option name 'r1'\n\toption ospf_secret_file '/first'";
    let first = TEXT.replace("option name 'r1'", mesh);
    let both = format!("{first}config ospf_key 'second'\n\toption id '2'\n\toption secret_file '/second'\n");
    assert_eq!(
        describe_changes(&wanted(&first), &wanted(&both)),
        ["~ ospf dlan-vx2: authentication: signs with key 1, accepts 1, 2"]
    );
}

#[test]
fn the_loopback_identity_is_announced_as_this_routers_address_at_cost_0() {
    let wanted = wanted(TEXT);
    let loopback = &wanted[&addressing::LOOPBACK_INTERFACE_ID];
    assert_eq!(prefixes(&loopback.ipv4), [("10.1.1.1/32".to_owned(), 0, true)]);
    assert_eq!(prefixes(&loopback.ipv6), [("fd00:0:1:1::1/128".to_owned(), 0, true)]);
}

#[test]
fn a_lan_announces_its_private_prefixes_and_not_the_providers() {
    let wanted = wanted(TEXT);
    let lan = &wanted[&addressing::lan_interface_id(0)];
    assert_eq!(prefixes(&lan.ipv4), [("10.2.0.0/24".to_owned(), 10, false)]);
    assert_eq!(lan.ipv4.kind, InterfaceKind::Stub);
}

#[test]
fn an_interface_is_told_when_its_device_is_there_and_only_once() {
    let (wanted, mut feed) = (wanted(TEXT), InterfaceFeed::default());
    assert_eq!(feed.diff(&wanted, &BTreeMap::new()), []);
    let changes = feed.diff(&wanted, &seen(&[("dlan-vx2", 7)]));
    assert!(
        matches!(&changes[..], [InterfaceChange::Configure(_), InterfaceChange::Up(InterfaceId(2))]),
        "{changes:?}"
    );
    assert_eq!(feed.diff(&wanted, &seen(&[("dlan-vx2", 7)])), []);
}

#[test]
fn a_device_that_was_made_anew_is_told_with_its_new_number() {
    let (wanted, mut feed) = (wanted(TEXT), InterfaceFeed::default());
    feed.diff(&wanted, &seen(&[("dlan-vx2", 7)]));
    let changes = feed.diff(&wanted, &seen(&[("dlan-vx2", 8)]));
    assert!(matches!(&changes[..], [InterfaceChange::Configure(told)] if told.ifindex == 8), "{changes:?}");
    assert_eq!(feed.diff(&wanted, &BTreeMap::new()), [InterfaceChange::Remove(InterfaceId(2))]);
}

fn route(ipv4: Option<Ipv4Addr>) -> Route {
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 2, 1);
    let hop = NextHop { interface: InterfaceId(2), neighbor: RouterId(2), link_local, ipv4 };
    Route {
        kind: PathKind::IntraArea,
        distance: Distance(35),
        external_metric: 0,
        advertising: [RouterId(2)].into_iter().collect(),
        next_hops: [hop].into_iter().collect(),
        alternates: Default::default(),
    }
}

fn gateway_of(dlan_routers: &[RouterId], prefix: &str, route: Route) -> Option<IpAddr> {
    let mut feed = InterfaceFeed::default();
    feed.diff(&wanted(TEXT), &seen(&[("dlan-vx2", 7)]));
    let prefix: IpNet = prefix.parse().unwrap();
    let table: RouteTable = [(prefix, route)].into_iter().collect();
    let none = RouteTable::default();
    let dlan_routers = dlan_routers.iter().copied().collect();
    let input = routing_input(
        &EngineRoutes {
            tables: if prefix.addr().is_ipv6() { [table, none] } else { [none, table] },
            dlan_routers,
            complete: true,
            settled: true,
            ..EngineRoutes::default()
        },
        &feed,
    );
    input.routes.get(&prefix)?.hops.first()?.via
}

#[test]
fn each_loss_and_each_return_of_a_carrier_is_told_once() {
    let mut feed = InterfaceFeed::default();
    feed.diff(&wanted(TEXT), &seen(&[("dlan-vx2", 7)]));
    let (link, other) = (LinkName::new("dlan-vx2").unwrap(), LinkName::new("dlan-vx3").unwrap());
    assert_eq!(feed.set_up(&link, true), Some(vec![]), "it was told to be there");
    assert_eq!(feed.set_up(&link, false), Some(vec![InterfaceChange::Down(InterfaceId(2))]));
    assert_eq!(feed.set_up(&link, false), Some(vec![]));
    assert_eq!(feed.set_up(&other, false), None, "others may stand on it");
    assert_eq!(feed.set_up(&link, true), Some(vec![InterfaceChange::Up(InterfaceId(2))]));
    assert_eq!(feed.diff(&wanted(TEXT), &seen(&[("dlan-vx2", 7)])), []);
    assert_eq!(feed.numbers(&BTreeSet::from([link, other])), BTreeSet::from([7]));
}

#[test]
fn ipv4_goes_to_a_dlan_router_by_its_link_local_address_and_to_another_by_its_ipv4_address() {
    let neighbor = Ipv4Addr::new(10, 0, 4, 10);
    let by_ipv6 = gateway_of(&[RouterId(2)], "10.3.0.0/24", route(Some(neighbor)));
    assert_eq!(by_ipv6, Some("fe80::2:1".parse().unwrap()));
    assert_eq!(gateway_of(&[], "10.3.0.0/24", route(Some(neighbor))), Some(IpAddr::V4(neighbor)));
    assert_eq!(gateway_of(&[], "10.3.0.0/24", route(None)), None);
    assert_eq!(gateway_of(&[], "fd00::/64", route(None)), Some("fe80::2:1".parse().unwrap()));
}

#[test]
fn what_routes_lead_over_without_an_adjacency_is_from_before() {
    let mut feed = InterfaceFeed::default();
    let wanted = wanted(TEXT);
    feed.diff(&wanted, &seen(&[("dlan-vx2", 7)]));
    let link = route(None).next_hops.iter().map(|hop| hop.interface).collect::<BTreeSet<_>>();
    let outdated = |route: Route, adjacent: [BTreeSet<InterfaceId>; 2]| {
        let tables = [[("fd00::/64".parse().unwrap(), route)].into_iter().collect(), RouteTable::default()];
        routing_input(&EngineRoutes { tables, adjacent, ..EngineRoutes::default() }, &feed).outdated
    };
    let device = BTreeSet::from([LinkName::new("dlan-vx2").unwrap()]);
    assert_eq!(outdated(route(None), [link.clone(), BTreeSet::new()]), BTreeSet::new());
    assert_eq!(outdated(route(None), [BTreeSet::new(), link.clone()]), device, "each family by its own");
    let [hop] = route(None).next_hops.iter().cloned().collect::<Vec<_>>().try_into().unwrap();
    let spare =
        Route { next_hops: Default::default(), alternates: [hop].into_iter().collect(), ..route(None) };
    assert_eq!(outdated(spare, Default::default()), device);
}

#[test]
fn this_routers_own_prefixes_are_no_kernel_routes() {
    let own = Route { next_hops: Default::default(), ..route(None) };
    assert_eq!(gateway_of(&[RouterId(2)], "10.2.0.0/24", own), None);
}

#[test]
fn what_changes_in_ospf_alone_is_said() {
    let before = wanted(TEXT);
    let after = wanted(&format!("{TEXT}\toption hello_interval '2'\n").replace("'25'", "'30'"));
    let said = describe_changes(&before, &after);
    assert_eq!(
        said,
        ["~ ospf dlan-vx2: cost 25 -> 30, hello interval 10 s -> 2 s, without 10.0.4.8/30 metric 25, \
          with 10.0.4.8/30 metric 30"]
    );
    assert_eq!(describe_changes(&before, &before), Vec::<String>::new());
}
