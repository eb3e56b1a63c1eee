//! Section 4.8 and what it needs: whose links and prefixes count, and where they lead.

use ospf_lite::ids::{Family, InterfaceId, LinkStateId, RouterId};
use ospf_lite::io::{InterfaceEvent, PathKind};
use ospf_lite::ospf::graph::Graph;
use ospf_lite::ospf::lsa::{
    IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey, Prefix, PrefixOptions, RouterLink, RouterLinkKind,
    RouterLsa, SequenceNumber,
};
use ospf_lite::ospf::packet::Options;
use ospf_testnet::area::{Area, brief_of, graph, key, net, table, way};
use ospf_testnet::{Net, link_local, seconds, stub, update};

#[test]
fn s4_8_1_nu_bit_keeps_a_prefix_out() {
    let mut area = Area::row();
    area.prefix_with(2, "fd00:2::/64", 0, PrefixOptions::NU);
    area.prefix_with(2, "fd00:2::1/128", 0, PrefixOptions::LA);
    assert_eq!(table(&area).keys().copied().collect::<Vec<_>>(), [net("fd00:2::1/128")]);
}

#[test]
fn s4_8_1_prefixes_of_a_router_are_announced_by_itself_alone() {
    let mut area = Area::row();
    let prefixes = vec![(Prefix { net: net("fd00:3::/64"), options: PrefixOptions::default() }, 0)];
    let referenced = key(LsType::ROUTER, 3, 0);
    area.add(2, 1, LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes }));
    assert!(table(&area).is_empty());
}

#[test]
fn s4_8_1_prefixes_of_a_router_that_is_not_reached_are_left_out() {
    let mut area = Area::row();
    area.router(3).links.clear();
    area.prefix(3, "fd00:3::/64", 0);
    assert!(table(&area).is_empty());
}

#[test]
fn s4_8_1_prefixes_of_a_transit_network_lie_on_the_network() {
    let mut area = Area::row();
    area.network(&[3, 4], 5);
    let referenced =
        LsaKey { ls_type: LsType::NETWORK, link_state_id: LinkStateId(100), advertising_router: RouterId(3) };
    let prefixes = vec![(Prefix { net: net("fd00:34::/64"), options: PrefixOptions::default() }, 0)];
    area.add(3, 1, LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes }));
    assert_eq!(brief_of(&area, "fd00:34::/64"), Some((PathKind::IntraArea, 25, vec![(2, 2)])));
}

#[test]
fn s2_8_concatenation_takes_all_router_lsas_of_a_router_together() {
    let mut area = Area { links_per_part: Some(2), ..Area::default() };
    for router in 2..=8 {
        area.link(1, router, 10);
        area.link(router, 9, 10);
    }
    let graph = graph(&area);
    assert_eq!(graph.len(), 9);
    assert_eq!(way(&graph, 9).unwrap().1.len(), 7);
}

#[test]
fn sa_2_r_bit_off_is_reached_but_not_transited() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(2, 3, 10);
    area.router(2).options = Options::V6.with(Options::AF);
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(2, 2)])));
    assert_eq!(way(&graph(&area), 3), None);
}

#[test]
fn sa_2_r_bit_off_at_the_root_does_not_keep_it_from_sending() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.router(1).options = Options::V6.with(Options::AF);
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(2, 2)])));
}

#[test]
fn sa_4_3_options_of_the_part_with_the_lowest_link_state_id_count() {
    let mut area = Area::row();
    area.link(3, 4, 10);
    let mut lsas = area.lsas();
    let other = lsas.iter().find(|lsa| lsa.header().key == key(LsType::ROUTER, 2, 0)).unwrap().clone();
    let LsaBody::Router(mut body) = other.body() else { panic!() };
    body.options = Options::default();
    body.links.clear();
    let part = |link_state_id: u32| {
        Lsa::originate(
            key(LsType::ROUTER, 2, link_state_id),
            SequenceNumber::INITIAL,
            0,
            LsaBody::Router(body.clone()),
        )
    };
    lsas.push(part(5));
    assert!(way(&Graph::from_lsas(&lsas, Family::Ipv6), 3).is_some());
    for lsa in &mut lsas {
        if lsa.header().key == key(LsType::ROUTER, 2, 0) {
            *lsa = Lsa::originate(key(LsType::ROUTER, 2, 9), SequenceNumber::INITIAL, 0, lsa.body());
        }
    }
    assert_eq!(way(&Graph::from_lsas(&lsas, Family::Ipv6), 3), None);
}

#[test]
fn sa_2_v6_bit_off_takes_a_router_out_of_the_ipv6_routes_of_others() {
    let mut area = Area::row();
    area.router(2).options = Options::R.with(Options::E);
    assert_eq!(way(&graph(&area), 3), None);
}

#[test]
fn s4_8_2_next_hop_is_the_link_local_address_that_the_neighbor_sends_from() {
    let mut net = Net::pair(Family::Ipv6);
    net.configure(2, stub((2, 9), Family::Ipv6));
    net.interface(2, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(10));
    let route = net.engines[&1].routes().values().next().unwrap().clone();
    let hops: Vec<_> = route.next_hops.iter().map(|hop| (hop.interface, hop.link_local)).collect();
    assert_eq!(hops, [(InterfaceId(1), link_local((2, 1)))]);
}

#[test]
fn s2_8_concatenation_of_what_arrives_is_done_by_the_engine_too() {
    let mut net = Net::pair(Family::Ipv6);
    // Router 9 is linked by a second Router-LSA of router 2.
    let link = |interface: u32, far: u32, far_interface: u32| RouterLink {
        kind: RouterLinkKind::PointToPoint,
        metric: 5,
        interface_id: InterfaceId(interface),
        neighbor_interface_id: InterfaceId(far_interface),
        neighbor_router_id: RouterId(far),
    };
    let body = |links| LsaBody::Router(RouterLsa { links, ..net.router_lsa(1, 2) });
    let lsas = [(2, 1, link(90, 9, 91)), (9, 0, link(91, 2, 90))].map(|(router, id, link)| {
        Lsa::originate(key(LsType::ROUTER, router, id), SequenceNumber::INITIAL, 1, body(vec![link]))
    });
    net.loses = |_, _| true;
    net.inject_body((1, 1), update(lsas));
    net.run(seconds(2));
    assert_eq!(net.engines[&1].graph().len(), 3);
}
