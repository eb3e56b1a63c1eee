//! Loop-free alternates (RFC 5286): on small areas drawn by hand, and on random ones by sending a packet wherever routers
//! that have not heard of the failure may send it.

use std::collections::BTreeSet;

use ospf_lite::ids::InterfaceId;
use ospf_lite::io::NextHop;
use ospf_lite::ospf::lfa::ALTERNATES_MAX;
use ospf_lite::ospf::lsa::{AsExternalLsa, InterAreaPrefixLsa, LsaBody, Prefix};
use ospf_lite::ospf::packet::Options;
use proptest::prelude::*;

use crate::area::{Area, net, resolve, table, table_with};
use crate::random::{ROUTERS, World, world};

/// The routers that have one prefix in common.
const SHARED: [u32; 3] = [2, 5, 7];
const FAR: &str = "fd00:9::/64";

/// Router 1's next hops and alternates for a prefix, as the neighbors' ids.
fn ways(area: &Area, prefix: &str) -> (Vec<u32>, Vec<u32>) {
    let ids = |hops: &[NextHop]| hops.iter().map(|hop| hop.neighbor.0).collect();
    let table = table(area);
    table.get(&net(prefix)).map(|route| (ids(&route.next_hops), ids(&route.alternates))).unwrap_or_default()
}

fn area(links: &[(u32, u32, u16)], at: &[u32]) -> Area {
    let mut area = Area::default();
    links.iter().for_each(|(one, other, cost)| area.link(*one, *other, *cost));
    at.iter().for_each(|router| area.prefix(*router, FAR, 0));
    area
}

#[test]
fn the_third_corner_of_a_triangle_is_the_alternate() {
    assert_eq!(ways(&area(&[(1, 2, 10), (1, 3, 10), (2, 3, 10)], &[2]), FAR), (vec![2], vec![3]));
}

#[test]
fn a_neighbor_that_would_send_it_back_is_none() {
    // Section 3.1: in a ring of five, the neighbor on the far side is closer to the destination by this router.
    let ring = [(1, 2, 10), (2, 3, 10), (3, 4, 10), (4, 5, 10), (5, 1, 10)];
    assert_eq!(ways(&area(&ring, &[2]), FAR), (vec![2], vec![]));
    // As far by both ways is not closer: it might send half of it back.
    assert_eq!(ways(&area(&[(1, 2, 10), (1, 3, 10), (3, 2, 20)], &[2]), FAR), (vec![2], vec![]));
}

#[test]
fn equal_cost_ways_protect_each_other_and_need_no_alternate() {
    let square = [(1, 2, 10), (1, 3, 10), (2, 4, 10), (3, 4, 10), (1, 5, 10), (5, 4, 15)];
    assert_eq!(ways(&area(&square, &[4]), FAR), (vec![2, 3], vec![]));
}

#[test]
fn one_that_avoids_the_next_hops_router_is_preferred_to_a_shorter_one() {
    // Section 3.2: 3 is closer but reaches 4 by 2; 5 does not.
    let links = [(1, 2, 10), (2, 4, 10), (1, 3, 10), (3, 2, 5), (1, 5, 20), (5, 4, 20)];
    assert_eq!(ways(&area(&links, &[4]), FAR), (vec![2], vec![5]));
    assert_eq!(ways(&area(&links[..4], &[4]), FAR), (vec![2], vec![3]));
}

#[test]
fn one_closer_to_the_destination_is_preferred_where_none_avoids_the_router() {
    // Both reach 4 by 2 only. If 2 dies, 3 and 1 might take each other for the way out; 5 would not.
    let links = [(1, 2, 20), (2, 4, 10), (1, 3, 1), (3, 2, 20), (1, 5, 30), (5, 2, 5)];
    assert_eq!(ways(&area(&links, &[4]), FAR), (vec![2], vec![5]));
}

#[test]
fn those_that_are_equally_good_are_alternates_together_and_no_more_than_are_kept() {
    // In a full mesh every neighbor is as good as every other.
    let mesh = |routers: u32| {
        let pairs = (1..=routers).flat_map(|one| (one + 1..=routers).map(move |other| (one, other, 10)));
        area(&pairs.collect::<Vec<_>>(), &[2])
    };
    assert_eq!(ways(&mesh(4), FAR), (vec![2], vec![3, 4]));
    assert_eq!(ways(&mesh(6), FAR), (vec![2], vec![3, 4]), "those at the first interfaces");
    let mut longer = mesh(4);
    longer.prefix(4, "fd00:6::/64", 0);
    assert_eq!(ways(&longer, "fd00:6::/64"), (vec![4], vec![2, 3]));
    longer.prefix(2, "fd00:8::/64", 1);
    longer.link(1, 5, 11);
    longer.link(5, 2, 10);
    assert_eq!(ways(&longer, "fd00:8::/64"), (vec![2], vec![3, 4]), "5 is no part of it: it is farther");
}

#[test]
fn routes_that_lead_alike_share_their_lists() {
    let mesh = [(1, 2, 10), (1, 3, 10), (1, 4, 10), (2, 3, 10), (2, 4, 10), (3, 4, 10)];
    let mut area = area(&mesh, &[2]);
    area.prefix(2, "fd00:8::/64", 1);
    let table = table(&area);
    let [one, other] = [FAR, "fd00:8::/64"].map(|prefix| table.get(&net(prefix)).unwrap());
    assert_ne!(one.distance, other.distance);
    for (one, other) in [(&one.next_hops, &other.next_hops), (&one.alternates, &other.alternates)] {
        assert!(!one.is_empty() && std::ptr::eq(&**one, &**other));
    }
}

#[test]
fn another_link_to_the_same_router_is_an_alternate() {
    let mut area = area(&[(1, 2, 10)], &[2]);
    area.claim((1, 71), (2, 72), 30);
    area.claim((2, 72), (1, 71), 30);
    assert_eq!(ways(&area, FAR), (vec![2], vec![2]));
}

#[test]
fn routers_that_offer_no_transit_protect_only_what_is_theirs() {
    let links = [(1, 2, 10), (1, 3, 10), (2, 3, 10)];
    let mut silent = area(&links, &[2]);
    silent.router(3).options = Options::V6;
    assert_eq!(ways(&silent, FAR), (vec![2], vec![]));
    // RFC 6987: all links at MaxLinkMetric; the way over it is long, yet free of loops.
    let mut stub = area(&[(1, 2, 10), (1, 4, 10), (4, 2, 10)], &[2]);
    stub.claim((1, 3), (3, 1), 10);
    stub.claim((3, 1), (1, 3), 65_535);
    stub.claim((2, 3), (3, 2), 10);
    stub.claim((3, 2), (2, 3), 65_535);
    assert_eq!(ways(&stub, FAR), (vec![2], vec![4]));
    stub.routers.remove(&4);
    assert_eq!(ways(&stub, FAR), (vec![2], vec![]));
    stub.prefix(2, "fd00:8::/64", 0);
    stub.prefix(3, "fd00:8::/64", 5);
    assert_eq!(ways(&stub, "fd00:8::/64"), (vec![2], vec![]), "not one of the closest ends");
    stub.prefix(3, "fd00:7::/64", 0);
    stub.prefix(2, "fd00:7::/64", 0);
    assert_eq!(ways(&stub, "fd00:7::/64"), (vec![2, 3], vec![]));
}

#[test]
fn a_link_at_the_highest_cost_is_no_alternate() {
    let mut area = area(&[(1, 2, 10), (3, 2, 10)], &[2]);
    area.claim((1, 3), (3, 1), 65_535);
    area.claim((3, 1), (1, 3), 10);
    assert_eq!(ways(&area, FAR), (vec![2], vec![]));
}

#[test]
fn prefixes_of_other_areas_and_from_outside_have_alternates() {
    let prefix = |text| Prefix { net: net(text), options: Default::default() };
    let mut area = area(&[(1, 2, 10), (1, 3, 10), (2, 3, 10), (2, 4, 10), (3, 4, 15)], &[]);
    area.router(4).border = true;
    area.router(4).external = true;
    area.add_next(
        4,
        LsaBody::InterAreaPrefix(InterAreaPrefixLsa { metric: 7, prefix: prefix("fd00:1::/64") }),
    );
    let outside = |type2, text, forwarding_address| {
        LsaBody::AsExternal(AsExternalLsa {
            type2,
            metric: 7,
            prefix: prefix(text),
            forwarding_address,
            tag: None,
            referenced: None,
        })
    };
    area.add_next(4, outside(false, "fd00:2::/64", None));
    area.add_next(4, outside(true, "fd00:3::/64", None));
    area.prefix(4, "fd00:5::/64", 0);
    area.add_next(4, outside(true, "fd00:4::/64", Some("fd00:5::1".parse().unwrap())));
    for text in ["fd00:1::/64", "fd00:2::/64", "fd00:3::/64"] {
        assert_eq!(ways(&area, text), (vec![2], vec![3]), "{text}");
    }
    assert_eq!(ways(&area, "fd00:4::/64"), (vec![2], vec![]), "by a forwarding address");
}

/// Where a packet for router `to` may come by from `from` on, while all still route as before the failure.
fn visited(world: &World, from: u32, to: &[u32], without: u32) -> BTreeSet<u32> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        if to.contains(&at) || !seen.insert(at) || at == without {
            continue;
        }
        let distances = world.distances(at, true);
        let best = to.iter().filter_map(|end| distances.get(end)).min().copied();
        let closest = to.iter().filter(|end| distances.get(end).copied() == best && best.is_some());
        open.extend(closest.flat_map(|end| world.first_hops(at, *end)).map(|(_, neighbor)| neighbor));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_packet_by_an_alternate_returns_and_who_can_avoid_the_router_does(world in world(), root in 1..=ROUTERS) {
        let mut world = world;
        // Each router's own prefix, and one of several.
        world.prefixes = (1..=ROUTERS).map(|router| (router, u8::try_from(router).unwrap(), 0)).collect();
        world.prefixes.extend(SHARED.map(|router| (router, 0, 0)));
        let lsas = world.area().lsas();
        for (prefix, route) in table_with(&lsas, (root, usize::MAX), resolve).iter() {
            let [primary] = &*route.next_hops else {
                prop_assert!(route.alternates.is_empty());
                continue;
            };
            prop_assert!(route.alternates.is_sorted() && route.alternates.len() <= ALTERNATES_MAX);
            // Which of several routers others send it to is their choice.
            let own = (1..=ROUTERS).find(|router| *prefix == net(&format!("fd00:{router}::/64")));
            let all = own.map_or(SHARED.to_vec(), |router| vec![router]);
            for alternate in route.alternates.iter() {
                prop_assert_ne!(alternate.interface, primary.interface);
                prop_assert!(!visited(&world, alternate.neighbor.0, &all, root).contains(&root));
            }
            if world.silent.contains(&root) || all.len() > 1 {
                continue;
            }
            let others = world.directions().into_iter().filter(|(from, interface, ..)| *from == root && InterfaceId(*interface) != primary.interface);
            let reaching: Vec<u32> = others
                .map(|(_, _, neighbor, _)| neighbor)
                .filter(|neighbor| !world.silent.contains(neighbor) || all.contains(neighbor))
                .filter(|neighbor| world.distances(*neighbor, true).contains_key(&all[0]))
                .collect();
            let returns = |neighbor: &u32| visited(&world, *neighbor, &all, root).contains(&root);
            let avoids = |neighbor: &u32| {
                *neighbor != primary.neighbor.0 && !all.contains(&primary.neighbor.0)
                    && !visited(&world, *neighbor, &all, root).contains(&primary.neighbor.0)
            };
            let free: Vec<u32> = reaching.into_iter().filter(|neighbor| !returns(neighbor)).collect();
            prop_assert_eq!(route.alternates.is_empty(), free.is_empty(), "{} of {:?}", prefix, free);
            if free.iter().any(avoids) {
                for alternate in route.alternates.iter() {
                    prop_assert!(avoids(&alternate.neighbor.0), "{} by {}", prefix, alternate.neighbor);
                }
            }
        }
    }
}
