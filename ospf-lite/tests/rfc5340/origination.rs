//! Sections 2.5, 2.8 and 4.4.3: what this router says of itself.

use ospf_lite::config::AdvertisedPrefix;
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{IntraAreaPrefixLsa, LinkLsa, LsType, LsaBody, PrefixOptions};
use ospf_lite::ospf::packet::{Options, PacketBody};
use ospf_testnet::{Net, altered, key, link_local, seconds, stub};

#[test]
fn s4_4_3_2_router_lsa_names_interfaces_and_routers_and_no_address() {
    let net = Net::pair(Family::Ipv6);
    let router = net.router_lsa(1, 1);
    let link = router.links[0];
    assert_eq!((link.interface_id, link.neighbor_interface_id), (InterfaceId(1), InterfaceId(1)));
    assert_eq!((link.neighbor_router_id, link.metric), (RouterId(2), 10));
    assert!(!router.border && !router.external && !router.virtual_endpoint);
}

#[test]
fn s4_4_3_2_router_lsa_follows_the_neighbors_interface_id() {
    let mut net = Net::pair(Family::Ipv6);
    let octets = altered(Family::Ipv6, |packet| match &mut packet.body {
        PacketBody::Hello(hello) => hello.interface_id = InterfaceId(77),
        other => panic!("{other:?}"),
    });
    net.inject((1, 1), link_local((2, 1)), octets);
    assert!(net.is_full((1, 1)));
    assert_eq!(net.router_lsa(1, 1).links[0].neighbor_interface_id, InterfaceId(77));
}

#[test]
fn s4_4_3_8_link_lsa_has_the_interface_id_as_link_state_id_and_the_link_local_address() {
    let net = Net::pair(Family::Ipv6);
    let (_, lsa) = net.lsa(2, key(LsType::LINK, 1, 1)).unwrap();
    let LsaBody::Link(link) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(link.address, link_local((1, 1)));
}

#[test]
fn s4_4_3_9_reference_is_the_router_lsa_with_link_state_id_0() {
    let mut net = Net::pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(1));
    let (_, lsa) = net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap();
    let LsaBody::IntraAreaPrefix(body) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(body.referenced, key(LsType::ROUTER, 0, 1));
    assert_eq!(net.engines[&2].routes().len(), 1);
}

#[test]
fn s2_5_link_local_prefixes_and_those_of_the_other_family_are_never_advertised() {
    let mut net = Net::pair(Family::Ipv6);
    let mut config = stub((1, 9), Family::Ipv6);
    for prefix in ["fe80::/64", "10.9.0.0/16"] {
        let prefix = prefix.parse().unwrap();
        config.prefixes.push(AdvertisedPrefix { prefix, metric: 1, local_address: false });
    }
    net.configure(1, config);
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(10));
    let (_, lsa) = net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap();
    let LsaBody::IntraAreaPrefix(body) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(body.prefixes.len(), 1);
}

fn prefixes(net: &Net) -> IntraAreaPrefixLsa {
    match net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap().1.body() {
        LsaBody::IntraAreaPrefix(body) => body,
        other => panic!("{other:?}"),
    }
}

fn link_lsa(net: &Net) -> LinkLsa {
    match net.lsa(2, key(LsType::LINK, 1, 1)).unwrap().1.body() {
        LsaBody::Link(body) => body,
        other => panic!("{other:?}"),
    }
}

/// Gives a link of router 1 two prefixes and an address of its own.
fn with_prefixes() -> Net {
    let mut net = Net::pair(Family::Ipv6);
    let mut config = ospf_testnet::interface((1, 1), Family::Ipv6);
    for (prefix, metric, local_address) in [
        ("fd00:1::/64", 7, false),
        ("fd00:2::/48", 8, false),
        ("fd00:1::1/128", 0, true),
        ("fe80::/64", 1, false),
    ] {
        config.prefixes.push(AdvertisedPrefix { prefix: prefix.parse().unwrap(), metric, local_address });
    }
    net.configure(1, config);
    net.run(seconds(5));
    net
}

#[test]
fn s2_8_link_addresses_are_all_in_the_link_lsa_but_for_link_local_ones() {
    let link = link_lsa(&with_prefixes());
    let prefixes: Vec<String> = link.prefixes.iter().map(|prefix| prefix.net.to_string()).collect();
    assert_eq!(prefixes, ["fd00:1::/64", "fd00:1::1/128", "fd00:2::/48"]);
    assert_eq!(link.address, link_local((1, 1)));
}

#[test]
fn s4_4_3_8_link_lsa_goes_with_its_link() {
    let mut net = with_prefixes();
    net.interface(1, InterfaceEvent::Down(InterfaceId(1)));
    net.run(seconds(50));
    let of_links =
        |router: u32| net.engines[&router].database().filter(|lsa| lsa.header.key.ls_type == LsType::LINK);
    assert_eq!((of_links(1).count(), of_links(2).filter(|lsa| lsa.is_self_originated).count()), (0, 1));
}

#[test]
fn s4_4_3_9_prefixes_of_interfaces_are_announced_with_metric_and_la_bit() {
    let body = prefixes(&with_prefixes());
    let la = |prefix: &ospf_lite::ospf::lsa::Prefix| prefix.options.contains(PrefixOptions::LA);
    let found: Vec<(String, u16, bool)> =
        body.prefixes.iter().map(|(prefix, metric)| (prefix.net.to_string(), *metric, la(prefix))).collect();
    let wanted = [("fd00:1::/64", 7, false), ("fd00:1::1/128", 0, true), ("fd00:2::/48", 8, false)];
    assert_eq!(found, wanted.map(|(prefix, metric, la)| (prefix.to_owned(), metric, la)));
}

#[test]
fn s4_4_3_9_prefixes_of_an_interface_that_is_down_are_withdrawn() {
    let mut net = Net::pair(Family::Ipv6);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(20));
    assert_eq!(prefixes(&net).prefixes.len(), 1);
    net.interface(1, InterfaceEvent::Down(InterfaceId(9)));
    net.run(seconds(20));
    assert!(net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).is_none());
}

#[test]
fn s4_4_3_2_router_lsa_is_that_of_a_router_inside_one_area_that_forwards() {
    let router = Net::pair(Family::Ipv6).router_lsa(2, 1);
    assert!(!router.border && !router.external && !router.virtual_endpoint);
    assert!(router.options.contains(Options::V6.with(Options::E).with(Options::R)));
}
