//! Section 16.1: the shortest-path tree.

use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::ospf::graph::{Graph, VertexId};
use ospf_lite::ospf::lsa::{LsType, Lsa};
use ospf_lite::ospf::spf::shortest_paths;
use ospf_testnet::area::{Area, graph, table_of, way};

#[test]
fn s16_1_1_next_hop_of_a_router_behind_others_is_the_first_of_them() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(2, 3, 5);
    assert_eq!(way(&graph(&area), 3), Some((15, vec![(2, 2)])));
    assert_eq!(way(&graph(&area), 1), Some((0, vec![])));
}

#[test]
fn s16_1_equal_cost_paths_are_all_kept() {
    let mut area = Area::default();
    for middle in [2, 3, 4] {
        area.link(1, middle, 10);
        area.link(middle, 5, if middle == 4 { 11 } else { 10 });
    }
    assert_eq!(way(&graph(&area), 5), Some((20, vec![(2, 2), (3, 3)])));
}

#[test]
fn s16_1_two_way_a_link_without_a_link_back_is_not_used() {
    let mut area = Area::default();
    area.claim((1, 2), (2, 1), 10);
    assert_eq!(way(&graph(&area), 2), None);
}

#[test]
fn s16_1_two_way_of_parallel_links_the_one_without_its_own_way_back_is_left_out() {
    let mut area = Area::default();
    area.claim((1, 7), (2, 17), 10);
    area.claim((2, 17), (1, 7), 10);
    area.claim((1, 8), (2, 18), 1);
    assert_eq!(way(&graph(&area), 2), Some((10, vec![(7, 2)])));
}

#[test]
fn s16_1_max_age_lsas_are_ignored() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    let lsas: Vec<_> = area.lsas().into_iter().map(|lsa| lsa.aged(3600)).collect();
    assert!(Graph::from_lsas(&lsas, Family::Ipv6).is_empty());
}

#[test]
fn s16_1_networks_cost_on_the_way_in_only() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.network(&[2, 3, 4], 5);
    let graph = graph(&area);
    assert_eq!(way(&graph, 3), Some((15, vec![(2, 2)])));
    assert_eq!(way(&graph, 4), Some((15, vec![(2, 2)])));
}

#[test]
fn s16_1_1_next_hop_of_routers_on_the_roots_own_network_is_themselves() {
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
fn s16_1_two_way_a_router_that_its_network_does_not_list_is_not_on_it() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.network(&[2, 3], 5);
    let link = area.router(2).links[1];
    area.router(4).links.push(link);
    assert_eq!(way(&graph(&area), 4), None);
}

#[test]
fn s16_1_networks_come_first_among_vertices_as_far() {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(1, 3, 15);
    area.network(&[2, 3, 4], 5);
    assert_eq!(way(&graph(&area), 3), Some((15, vec![(2, 2), (3, 3)])));
    area.link(3, 5, 1);
    assert_eq!(way(&graph(&area), 5), Some((16, vec![(2, 2), (3, 3)])));
}

#[test]
fn s16_1_max_age_prefix_lsas_are_ignored() {
    let mut area = Area::row();
    area.prefix(2, "fd00:2::/64", 0);
    let lsas: Vec<Lsa> = area
        .lsas()
        .into_iter()
        .map(|lsa| if lsa.header().key.ls_type == LsType::INTRA_AREA_PREFIX { lsa.aged(3600) } else { lsa })
        .collect();
    assert!(table_of(&lsas).is_empty());
}
