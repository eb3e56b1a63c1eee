//! RFC 5838, address families in OSPFv3: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::net::{Ipv4Addr, Ipv6Addr};

use ospf_lite::config::AdvertisedPrefix;
use ospf_lite::ids::{Family, InstanceId, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{
    AsExternalLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, Prefix, PrefixOptions, SequenceNumber,
};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{DatabaseDescription, Hello, Options, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{End, Net, altered, description, hello, key, link_local, seconds, stub, update};

#[test]
fn s2_4_af_bit_is_required_in_the_ipv4_family_only() {
    for (family, expected) in [(Family::Ipv4, 1), (Family::Ipv6, 0)] {
        let octets = altered(family, |packet| match &mut packet.body {
            PacketBody::Hello(hello) => hello.options = hello.options.without(Options::AF),
            other => panic!("{other:?}"),
        });
        assert_eq!(Net::refusals_of(family, octets, Refusal::AddressFamily), expected, "{family}");
    }
}

#[test]
fn s2_2_af_bit_is_set_everywhere_and_the_v6_bit_in_the_ipv6_family() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let net = Net::pair(family);
        let options = net.router_lsa(1, 1).options;
        assert!(options.contains(Options::AF));
        assert_eq!(options.contains(Options::V6), family == Family::Ipv6);
    }
}

#[test]
fn s2_5_link_lsa_holds_the_ipv4_address_in_its_first_octets() {
    let net = Net::pair(Family::Ipv4);
    let (_, lsa) = net.lsa(2, key(LsType::LINK, 1, 1)).unwrap();
    let LsaBody::Link(link) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(link.address, Ipv6Addr::from([192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
}

const AT: End = (1, 1);

#[test]
fn s2_1_instance_id_is_the_first_of_the_familys_range_and_others_are_refused() {
    for (family, id) in [(Family::Ipv6, 0), (Family::Ipv4, 64)] {
        assert!(Net::pair(family).sent.iter().all(|sent| sent.octets[14] == id));
        for other in [0, 1, 32, 63, 64, 65, 96, 255].into_iter().filter(|other| *other != id) {
            let octets = altered(family, |packet| packet.instance_id = InstanceId(other));
            assert_eq!(Net::refusals_of(family, octets, Refusal::InstanceMismatch), 1);
        }
    }
}

#[test]
fn s2_2_af_bit_is_set_in_hellos_descriptions_and_lsas_with_options() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut seen = [0; 3];
        for sent in Net::pair(family).sent {
            let (place, options) = match sent.packet(family).body {
                PacketBody::Hello(hello) => (0, vec![hello.options]),
                PacketBody::DatabaseDescription(description) => (1, vec![description.options]),
                PacketBody::LinkStateUpdate(update) => {
                    let options = |body: &LsaBody| match body {
                        LsaBody::Router(router) => Some(router.options),
                        LsaBody::Link(link) => Some(link.options),
                        _ => None,
                    };
                    (2, update.lsas.iter().filter_map(|aged| options(&aged.lsa.body())).collect())
                }
                _ => continue,
            };
            seen[place] += options.len();
            assert!(options.iter().all(|options| options.contains(Options::AF)));
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}

/// An LSA with a prefix that no address of the family has is not even kept.
#[test]
fn s2_3_foreign_prefixes_do_not_come_into_the_routes() {
    let ipv6 = Prefix { net: "fd00:2::/64".parse().unwrap(), options: PrefixOptions::default() };
    let referenced = key(LsType::ROUTER, 0, 2);
    let body = LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes: vec![(ipv6, 1)] });
    let lsa = Lsa::originate(key(LsType::INTRA_AREA_PREFIX, 0, 2), SequenceNumber::INITIAL, 1, body);
    for (family, routes) in [(Family::Ipv6, 1), (Family::Ipv4, 0)] {
        let mut net = Net::pair(family);
        net.inject_body(AT, update([lsa.clone()]));
        assert_eq!(net.engines[&1].routes().len(), routes, "{family}");
        assert_eq!(net.refusals(AT, Refusal::LsaMalformed), 1 - routes as u64);
    }
}

#[test]
fn s2_3_foreign_prefixes_of_this_router_are_not_announced() {
    for (family, own) in [(Family::Ipv6, "fd00:1::/64"), (Family::Ipv4, "10.1.0.0/16")] {
        let mut net = Net::pair(family);
        let mut config = stub((1, 9), family);
        config.prefixes.clear();
        for prefix in ["fd00:1::/64", "10.1.0.0/16"] {
            let prefix = prefix.parse().unwrap();
            config.prefixes.push(AdvertisedPrefix { prefix, metric: 1, local_address: false });
        }
        net.configure(1, config);
        net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
        net.run(seconds(5));
        let routes: Vec<String> = net.engines[&2].routes().keys().map(ToString::to_string).collect();
        assert_eq!(routes, [own]);
    }
}

#[test]
fn s2_4_af_bit_missing_in_the_ipv4_family_makes_no_neighbor() {
    let mut net = Net::following(Family::Ipv4);
    let options = hello(Family::Ipv4).options.without(Options::AF);
    net.inject_body(AT, PacketBody::Hello(Hello { options, ..hello(Family::Ipv4) }));
    assert_eq!(net.state(AT), None);
}

#[test]
fn s2_5_next_hop_of_ipv4_is_the_address_in_the_neighbors_link_lsa() {
    let mut net = Net::pair(Family::Ipv4);
    net.configure(2, stub((2, 9), Family::Ipv4));
    net.interface(2, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(5));
    let route = net.engines[&1].routes().values().next().unwrap().clone();
    assert_eq!(route.next_hops[0].ipv4, Some(Ipv4Addr::new(192, 168, 2, 1)));
    assert_eq!(route.next_hops[0].link_local, link_local((2, 1)));
}

#[test]
fn s2_6_forwarding_address_is_ipv4_in_front_of_zeros() {
    let address = "10.1.2.3".parse().unwrap();
    let external = AsExternalLsa {
        type2: false,
        metric: 1,
        prefix: Prefix { net: "10.0.0.0/8".parse().unwrap(), options: PrefixOptions::default() },
        forwarding_address: Some(address),
        tag: None,
        referenced: None,
    };
    let of = key(LsType::AS_EXTERNAL, 1, 9);
    let lsa = Lsa::originate(of, SequenceNumber::INITIAL, 1, LsaBody::AsExternal(external));
    assert_eq!(lsa.octets()[lsa.octets().len() - 16..], [10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        ospf_lite::wire::lsa::decode(lsa.octets(), Family::Ipv4).unwrap().body(),
        LsaBody::AsExternal(external)
    );
}

#[test]
fn s2_7_mtu_of_the_link_is_in_the_descriptions_of_both_families_and_others_are_refused() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let mut net = Net::following(family);
        net.bring(AT, NeighborState::ExStart);
        assert_eq!(net.last_description(AT).interface_mtu, 1370);
        let first = DatabaseDescription { init: true, ..description(family, 7) };
        net.describe(AT, DatabaseDescription { interface_mtu: 1500, ..first.clone() });
        assert_eq!(
            (net.state(AT), net.refusals(AT, Refusal::MtuMismatch)),
            (Some(NeighborState::ExStart), 1)
        );
        net.describe(AT, first);
        assert_eq!(net.state(AT), Some(NeighborState::Exchange));
    }
}
