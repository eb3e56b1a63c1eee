//! Which vertices are reached, how far they are, and by which first hops.

use ospf_lite::ids::{Distance, Family, InterfaceId, RouterId};
use ospf_lite::ospf::graph::{Graph, VertexId};
use ospf_lite::ospf::packet::Options;
use ospf_lite::ospf::spf::shortest_paths;

use crate::area::Area;

fn graph(area: &Area) -> Graph {
    Graph::from_lsas(&area.lsas(), Family::Ipv6)
}

/// Distance and first hops (interface, neighbor) of a router, as router 1 sees it.
fn way(graph: &Graph, router: u32) -> Option<(u32, Vec<(u32, u32)>)> {
    let paths = shortest_paths(graph, RouterId(1));
    let vertex = graph.find(VertexId::Router(RouterId(router)))?;
    let hops = paths.first_hops(vertex).into_iter().map(|hop| (hop.interface.0, hop.neighbor.0));
    Some((paths.distance(vertex)?.0, hops.collect()))
}

#[test]
fn a_router_two_links_away_is_reached_by_the_first() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(2, 3, 5);
    assert_eq!(way(&graph(&area), 3), Some((15, vec![(2, 2)])));
    assert_eq!(way(&graph(&area), 1), Some((0, vec![])));
}

#[test]
fn equally_short_paths_are_all_kept() {
    let mut area = Area::default();
    for middle in [2, 3, 4] {
        area.link(1, middle, 10);
        area.link(middle, 5, if middle == 4 { 11 } else { 10 });
    }
    assert_eq!(way(&graph(&area), 5), Some((20, vec![(2, 2), (3, 3)])));
}

#[test]
fn equal_paths_that_part_behind_the_first_hop_count_once() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    for middle in [3, 4] {
        area.link(2, middle, 10);
        area.link(middle, 5, 10);
    }
    assert_eq!(way(&graph(&area), 5), Some((30, vec![(2, 2)])));
}

#[test]
fn parallel_links_of_equal_cost_are_two_first_hops() {
    let mut area = Area::default();
    for interface in [7, 8] {
        area.claim((1, interface), (2, interface + 10), 10);
        area.claim((2, interface + 10), (1, interface), 10);
    }
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(7, 2), (8, 2)])));
}

#[test]
fn of_parallel_links_the_one_without_its_own_way_back_is_left_out() {
    let mut area = Area::default();
    area.claim((1, 7), (2, 17), 10);
    area.claim((2, 17), (1, 7), 10);
    area.claim((1, 8), (2, 18), 1);
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(7, 2)])));
}

/// RFC 2328 section 16.1, step 2 (b).
#[test]
fn a_link_without_a_link_back_is_not_used() {
    let mut area = Area::default();
    area.claim((1, 2), (2, 1), 10);
    assert_eq!(way(&graph(&area), 2), None);
}

/// RFC 5340 section 4.4.3.2 and appendix A.2.
#[test]
fn a_router_without_the_r_bit_is_reached_but_not_transited() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(2, 3, 10);
    area.router(2).options = Options::V6.with(Options::AF);
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(2, 2)])));
    assert_eq!(way(&graph(&area), 3), None);
}

#[test]
fn a_root_without_the_r_bit_still_reaches_the_others() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.router(1).options = Options::V6.with(Options::AF);
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(2, 2)])));
}

/// RFC 5838 section 2.2: the V6-bit means something in the IPv6 family only.
#[test]
fn the_v6_bit_decides_in_the_ipv6_family_only() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(2, 3, 10);
    area.router(2).options = Options::R.with(Options::AF);
    assert_eq!(way(&Graph::from_lsas(&area.lsas(), Family::Ipv6), 3), None);
    assert_eq!(way(&Graph::from_lsas(&area.lsas(), Family::Ipv4), 3), Some((20, vec![(2, 2)])));
}

/// RFC 6987 section 2.
#[test]
fn a_stub_router_is_transited_only_when_there_is_no_other_way() {
    let mut area = Area::default();
    area.link(1, 2, u16::MAX);
    area.link(2, 4, u16::MAX);
    area.link(1, 3, 1000);
    area.link(3, 4, 1000);
    assert_eq!(way(&graph(&area), 4), Some((2000, vec![(3, 3)])));
    area.routers.remove(&3);
    assert_eq!(way(&graph(&area), 4), Some((131_070, vec![(2, 2)])));
}

/// RFC 5340 section 4.8.1: all Router-LSAs of a router are one.
#[test]
fn several_router_lsas_of_a_router_are_taken_together() {
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
fn lsas_of_max_age_are_ignored() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    let lsas: Vec<_> = area.lsas().into_iter().map(|lsa| lsa.aged(3600)).collect();
    assert!(Graph::from_lsas(&lsas, Family::Ipv6).is_empty());
}

#[test]
fn the_order_of_the_lsas_does_not_matter() {
    let mut area = Area { links_per_part: Some(1), ..Area::default() };
    area.link(1, 2, 10);
    area.link(2, 3, 10);
    area.network(&[3, 4, 5], 10);
    let mut lsas = area.lsas();
    let forward = Graph::from_lsas(&lsas, Family::Ipv6);
    lsas.reverse();
    assert_eq!(Graph::from_lsas(&lsas, Family::Ipv6), forward);
}

#[test]
fn a_transit_network_costs_on_the_way_in_only() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.network(&[2, 3, 4], 5);
    let graph = graph(&area);
    assert_eq!(way(&graph, 3), Some((15, vec![(2, 2)])));
    assert_eq!(way(&graph, 4), Some((15, vec![(2, 2)])));
}

#[test]
fn routers_on_the_roots_own_network_are_first_hops_themselves() {
    let mut area = Area::default();
    area.network(&[2, 1, 3], 5);
    area.link(3, 4, 5);
    let graph = graph(&area);
    assert_eq!(way(&graph, 3), Some((5, vec![(100, 3)])));
    assert_eq!(way(&graph, 4), Some((10, vec![(100, 3)])));
    let paths = shortest_paths(&graph, RouterId(1));
    let network = VertexId::Network { designated_router: RouterId(2), interface_id: InterfaceId(100) };
    assert!(paths.is_local(graph.find(network).unwrap()));
}

#[test]
fn a_router_that_its_network_does_not_list_is_not_on_it() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.network(&[2, 3], 5);
    let link = area.router(2).links[1];
    area.router(4).links.push(link);
    assert_eq!(way(&graph(&area), 4), None);
}

/// RFC 2328 section 16.1, step 3: networks come first among vertices at the same distance.
#[test]
fn a_path_by_a_network_is_as_good_as_one_of_the_same_length() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(1, 3, 15);
    area.network(&[2, 3, 4], 5);
    assert_eq!(way(&graph(&area), 3), Some((15, vec![(2, 2), (3, 3)])));
    area.link(3, 5, 1);
    assert_eq!(way(&graph(&area), 5), Some((16, vec![(2, 2), (3, 3)])));
}

#[test]
fn more_first_hops_than_a_word_has_bits_are_told_apart() {
    let mut area = Area::default();
    for router in 2..=150 {
        area.link(1, router, 10);
        area.link(router, 200, 10);
    }
    let (distance, hops) = way(&graph(&area), 200).unwrap();
    assert_eq!(distance, 20);
    assert_eq!(hops, (2..=150).map(|router| (router, router)).collect::<Vec<_>>());
    assert_eq!(way(&graph(&area), 140), Some((10, vec![(140, 140)])));
}

#[test]
fn nothing_is_reached_at_infinity() {
    let mut area = Area::default();
    for router in 1..=400 {
        area.link(router, router + 1, u16::MAX);
    }
    let graph = graph(&area);
    let reached = Distance::INFINITY.0 / u32::from(u16::MAX);
    assert!(way(&graph, reached + 1).is_some());
    assert!(way(&graph, reached + 2).is_none());
}

#[test]
fn nothing_is_reached_from_a_root_that_is_not_there() {
    let mut area = Area::default();
    area.link(2, 3, 10);
    let graph = graph(&area);
    let paths = shortest_paths(&graph, RouterId(1));
    assert!(graph.vertices().all(|(vertex, _)| paths.distance(vertex).is_none()));
}
