//! What a change costs, counted in links looked at, vertices moved and routes worked out: the same on every machine.

use std::sync::Arc;

use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::Route;
use ospf_lite::ospf::calculation::{Calculation, Terms};
use ospf_lite::ospf::graph::Graph;
use ospf_lite::ospf::lsa::{AsExternalLsa, LsType, Lsa, LsaBody, Prefix, PrefixOptions};
use ospf_lite::ospf::spf::{FirstHop, Tree};

use crate::area::{Area, key, net, resolve};

/// How many links a Router-LSA has at most.
const LINKS_PER_PART: u32 = 64;

/// A hub, router 1, with so many spokes; the way to one of them costs so much.
fn star(spokes: u32, (far, cost): (u32, u16)) -> Vec<Lsa> {
    let mut area = Area { links_per_part: Some(LINKS_PER_PART as usize), ..Area::default() };
    (2..spokes + 2).for_each(|spoke| area.link(1, spoke, if spoke == far { cost } else { 10 }));
    area.lsas()
}

/// Returns how many links are looked at when the hub says another cost of one of its links.
fn work_at_a_hub(spokes: u32) -> u64 {
    let far = spokes / 2;
    let mut graph = Graph::from_lsas(&star(spokes, (far, 10)), Family::Ipv6);
    let after = star(spokes, (far, 20));
    let changed = key(LsType::ROUTER, 1, (far - 2) / LINKS_PER_PART);
    let lsa = after.iter().find(|lsa| lsa.header().key == changed).unwrap();
    assert_eq!(graph.update(&changed, Some(Arc::new(lsa.clone()))).len(), 1);
    graph.links_read()
}

#[test]
fn a_change_at_a_hub_costs_as_many_looks_as_it_has_links_and_not_their_square() {
    for spokes in [100, 1_000, 4_000] {
        let work = work_at_a_hub(spokes);
        assert!(work <= u64::from(spokes) + 4, "{work} looks at links with {spokes} spokes");
    }
}

/// A triangle of routers 1, 2 and 3, the last with so many prefixes from outside, and what its way there costs.
fn announcer(prefixes: u32, cost: u16) -> Vec<Lsa> {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(2, 3, 10);
    area.link(1, 3, cost);
    area.router(3).external = true;
    for number in 0..prefixes {
        let prefix = Prefix { net: net(&format!("fd00:{number:x}::/64")), options: PrefixOptions::default() };
        let external = AsExternalLsa {
            type2: true,
            metric: 100,
            prefix,
            forwarding_address: None,
            tag: None,
            referenced: None,
        };
        area.add(3, number, LsaBody::AsExternal(external));
    }
    area.lsas()
}

/// Returns how many routes are worked out when the way to the announcer costs more, and where its prefixes lead then.
fn work_of_prefixes(prefixes: u32) -> (u64, usize) {
    let mut calculation = Calculation::new(Family::Ipv6);
    let next_hops = [2, 3].map(|id| FirstHop { interface: InterfaceId(id), neighbor: RouterId(id) });
    let next_hops = next_hops.iter().filter_map(|hop| resolve(*hop)).collect();
    let terms = Terms { root: RouterId(1), equal_cost_max: 4, next_hops, alternates: true };
    let told = |lsa: &Lsa| (lsa.header().key, Some(Arc::new(lsa.clone())));
    calculation.update(announcer(prefixes, 10).iter().map(told), terms.clone());
    let (before, places) = (calculation.routes_found(), Arc::clone(calculation.table().places()));
    let router = |lsa: &&Lsa| lsa.header().key == key(LsType::ROUTER, 1, 0);
    let after = announcer(prefixes, 100);
    assert!(calculation.update(after.iter().filter(router).map(told), terms).has_other_routes);
    assert!(Arc::ptr_eq(&places, calculation.table().places()), "no prefix has another place");
    let leads = |route: &&Route| route.next_hops.iter().all(|hop| hop.neighbor == RouterId(2));
    (calculation.routes_found() - before, calculation.table().values().filter(leads).count())
}

#[test]
fn another_way_to_a_router_costs_the_same_however_many_prefixes_it_announces() {
    let (work, moved) = work_of_prefixes(10);
    assert_eq!((work, moved), (1, 10));
    assert_eq!(work_of_prefixes(10_000), (1, 10_000));
}

/// A ring with chords, and router `routers + 1` behind router 500 by a link that costs so much.
fn mesh_with_leaf(routers: u32, cost: u16) -> Vec<Lsa> {
    let mut area = Area::default();
    for router in 1..=routers {
        area.link(router, router % routers + 1, 7);
        area.claim((router, 50_000), (router * 7 % routers + 1, 60_000 + router), 5);
        area.claim((router * 7 % routers + 1, 60_000 + router), (router, 50_000), 5);
    }
    area.link(500, routers + 1, cost);
    area.lsas()
}

#[test]
fn a_leaf_that_is_farther_moves_alone_however_large_the_area() {
    for routers in [1_000, 4_000] {
        let mut graph = Graph::from_lsas(&mesh_with_leaf(routers, 10), Family::Ipv6);
        let mut tree = Tree::new();
        tree.calculate(&graph, RouterId(1));
        let after = mesh_with_leaf(routers, 20);
        let changed = key(LsType::ROUTER, 500, 0);
        let lsa = after.iter().find(|lsa| lsa.header().key == changed).unwrap();
        let touched = graph.update(&changed, Some(Arc::new(lsa.clone()))).into_iter().collect();
        assert_eq!(tree.update(&graph, &touched).unwrap().len(), 1);
        assert!(graph.links_read() < 20, "{} looks at links", graph.links_read());
    }
}
