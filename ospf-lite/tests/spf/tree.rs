//! Which vertices are reached, how far they are, and by which first hops.

use ospf_lite::ids::{Distance, Family, RouterId};
use ospf_lite::ospf::graph::Graph;
use ospf_lite::ospf::packet::Options;
use ospf_lite::ospf::spf::shortest_paths;

use crate::area::{Area, graph, way};

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
