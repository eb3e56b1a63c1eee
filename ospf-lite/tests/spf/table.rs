//! Prefixes of the area: which are in the route table, how far, and where to.

use ospf_lite::ids::{InterfaceId, RouterId};
use ospf_lite::io::PathKind;

use crate::area::{Area, brief, brief_of, net, resolve, table, table_with};

#[test]
fn a_prefix_adds_its_metric_to_the_distance() {
    let mut area = Area::row();
    area.prefix(3, "fd00:3::/64", 7);
    let table = table(&area);
    let route = table.get(&net("fd00:3::/64")).unwrap();
    assert_eq!(brief(Some(route)), Some((PathKind::IntraArea, 27, vec![(2, 2)])));
    assert_eq!(*route.advertising, [RouterId(3)]);
    assert_eq!(route.next_hops[0].link_local.to_string(), "fe80::2");
}

#[test]
fn every_lsa_of_a_router_counts() {
    let mut area = Area::row();
    for part in 0..20 {
        area.prefix(3, &format!("fd00:{part}::/64"), 0);
    }
    assert_eq!(table(&area).len(), 20);
}

#[test]
fn an_own_prefix_has_no_next_hop() {
    let mut area = Area::row();
    area.prefix(1, "fd00:1::/64", 3);
    assert_eq!(brief_of(&area, "fd00:1::/64"), Some((PathKind::IntraArea, 3, vec![])));
}

#[test]
fn a_prefix_announced_here_and_elsewhere_at_the_same_distance_is_an_own_one() {
    let mut area = Area::row();
    area.prefix(1, "fd00:1::/64", 20);
    area.prefix(2, "fd00:1::/64", 10);
    assert_eq!(brief_of(&area, "fd00:1::/64"), Some((PathKind::IntraArea, 20, vec![])));
}

#[test]
fn of_two_routers_with_a_prefix_the_closer_one_gets_it() {
    let mut area = Area::row();
    area.link(1, 4, 11);
    area.prefix(2, "fd00:9::/64", 0);
    area.prefix(4, "fd00:9::/64", 0);
    assert_eq!(brief_of(&area, "fd00:9::/64"), Some((PathKind::IntraArea, 10, vec![(2, 2)])));
}

#[test]
fn two_routers_as_far_share_their_prefix() {
    let mut area = Area::row();
    area.link(1, 4, 10);
    area.prefix(4, "fd00:9::/64", 0);
    area.prefix(2, "fd00:9::/64", 0);
    let table = table(&area);
    let route = table.get(&net("fd00:9::/64")).unwrap();
    assert_eq!(brief(Some(route)), Some((PathKind::IntraArea, 10, vec![(2, 2), (4, 4)])));
    assert_eq!(*route.advertising, [RouterId(2), RouterId(4)]);
}

#[test]
fn next_hops_without_an_address_are_left_out() {
    let mut area = Area::row();
    area.link(1, 4, 10);
    area.prefix(2, "fd00:9::/64", 0);
    area.prefix(4, "fd00:9::/64", 0);
    area.prefix(3, "fd00:3::/64", 0);
    area.prefix(1, "fd00:1::/64", 0);
    let lsas = area.lsas();
    let some =
        |hop: ospf_lite::ospf::spf::FirstHop| resolve(hop).filter(|hop| hop.interface != InterfaceId(2));
    let table = table_with(&lsas, (1, 16), some);
    assert_eq!(brief(table.get(&net("fd00:9::/64"))), Some((PathKind::IntraArea, 10, vec![(4, 4)])));
    assert_eq!(table.get(&net("fd00:3::/64")), None);
    assert!(table.contains_key(&net("fd00:1::/64")));
}

#[test]
fn no_more_next_hops_than_wanted_are_kept_and_the_first_stay() {
    let mut area = Area::default();
    for router in [9, 4, 7, 2] {
        area.link(1, router, 10);
        area.prefix(router, "fd00:9::/64", 0);
    }
    let lsas = area.lsas();
    let table = table_with(&lsas, (1, 2), resolve);
    let route = brief(table.get(&net("fd00:9::/64")));
    assert_eq!(route, Some((PathKind::IntraArea, 10, vec![(2, 2), (4, 4)])));
}
