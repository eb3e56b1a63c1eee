//! Random areas: distances as `petgraph` computes them, first hops as they follow from distances, routes as they follow
//! from both.

use std::collections::{BTreeMap, BTreeSet};

use ospf_lite::ids::{Family, RouterId};
use ospf_lite::ospf::graph::{Graph, VertexId};
use ospf_lite::ospf::packet::Options;
use ospf_lite::ospf::spf::shortest_paths;
use petgraph::graph::{DiGraph, NodeIndex};
use proptest::prelude::*;

use crate::area::{Area, net, resolve, table_with};

pub const ROUTERS: u32 = 9;

/// One link: its ends, the cost each way, and which ends claim it.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    ends: (u32, u32),
    costs: (u16, u16),
    claimed: (bool, bool),
}

#[derive(Debug, Clone)]
pub struct World {
    pub links: Vec<Link>,
    /// Routers with the R-bit off.
    pub silent: BTreeSet<u32>,
    /// Router, which of three prefixes, metric.
    pub prefixes: Vec<(u32, u8, u16)>,
}

pub fn world() -> impl Strategy<Value = World> {
    let claimed = prop_oneof![8 => Just((true, true)), 1 => Just((true, false)), 1 => Just((false, true))];
    let link = ((1..=ROUTERS, 1..=ROUTERS), (1..6u16, 1..6u16), claimed)
        .prop_filter("a link has two ends", |((one, other), ..)| one != other)
        .prop_map(|(ends, costs, claimed)| Link { ends, costs, claimed });
    let links = proptest::collection::vec(link, 0..30);
    let silent = proptest::collection::btree_set(1..=ROUTERS, 0..3);
    let prefixes = proptest::collection::vec((1..=ROUTERS, 0..3u8, 0..6u16), 0..10);
    (links, silent, prefixes).prop_map(|(links, silent, prefixes)| World { links, silent, prefixes })
}

/// Both ends' Interface IDs of the link at this place.
fn interfaces(place: usize) -> (u32, u32) {
    let place = u32::try_from(place).unwrap();
    (1000 + place, 2000 + place)
}

impl World {
    pub fn area(&self) -> Area {
        let mut area = Area { links_per_part: Some(3), ..Area::default() };
        (1..=ROUTERS).for_each(|router| _ = area.router(router));
        for (place, link) in self.links.iter().enumerate() {
            let (near, far) = interfaces(place);
            if link.claimed.0 {
                area.claim((link.ends.0, near), (link.ends.1, far), link.costs.0);
            }
            if link.claimed.1 {
                area.claim((link.ends.1, far), (link.ends.0, near), link.costs.1);
            }
        }
        for router in &self.silent {
            area.router(*router).options = Options::V6;
        }
        for (router, which, metric) in &self.prefixes {
            area.prefix(*router, &format!("fd00:{which}::/64"), *metric);
        }
        area
    }

    /// Every usable direction of every link: from, interface, to, cost.
    pub fn directions(&self) -> Vec<(u32, u32, u32, u16)> {
        let usable = self.links.iter().enumerate().filter(|(_, link)| link.claimed == (true, true));
        usable
            .flat_map(|(place, link)| {
                let (near, far) = interfaces(place);
                [
                    (link.ends.0, near, link.ends.1, link.costs.0),
                    (link.ends.1, far, link.ends.0, link.costs.1),
                ]
            })
            .collect()
    }

    /// Distances from a router to all that it reaches, by the other implementation. Only a root sends although silent.
    pub fn distances(&self, root: u32, root_may_send: bool) -> BTreeMap<u32, u32> {
        let mut graph = DiGraph::<(), u32>::new();
        let nodes: Vec<NodeIndex> = (0..=ROUTERS).map(|_| graph.add_node(())).collect();
        for (from, _, to, cost) in self.directions() {
            if !self.silent.contains(&from) || (from == root && root_may_send) {
                graph.add_edge(nodes[from as usize], nodes[to as usize], u32::from(cost));
            }
        }
        let found = petgraph::algo::dijkstra(&graph, nodes[root as usize], None, |edge| *edge.weight());
        found.into_iter().map(|(node, distance)| (u32::try_from(node.index()).unwrap(), distance)).collect()
    }

    /// The first hops to a router: those links whose cost and the rest of the way add up to the distance.
    pub fn first_hops(&self, root: u32, to: u32) -> Vec<(u32, u32)> {
        let Some(distance) = self.distances(root, true).get(&to).copied() else { return Vec::new() };
        let mut hops: Vec<(u32, u32)> = self
            .directions()
            .into_iter()
            .filter(|(from, _, neighbor, cost)| {
                let rest = self.distances(*neighbor, false).get(&to).copied();
                *from == root && rest.is_some_and(|rest| u32::from(*cost) + rest == distance)
            })
            .map(|(_, interface, neighbor, _)| (interface, neighbor))
            .collect();
        hops.sort_unstable();
        hops
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn distances_and_first_hops_are_those_of_another_implementation(world in world(), root in 1..=ROUTERS) {
        let graph = Graph::from_lsas(&world.area().lsas(), Family::Ipv6);
        let paths = shortest_paths(&graph, RouterId(root));
        let distances = world.distances(root, true);
        for router in (1..=ROUTERS).filter(|router| *router != root) {
            let vertex = graph.find(VertexId::Router(RouterId(router))).unwrap();
            let distance = paths.distance(vertex).map(|distance| distance.0);
            prop_assert_eq!(distance, distances.get(&router).copied());
            let hops = paths.first_hops(vertex).into_iter().map(|hop| (hop.interface.0, hop.neighbor.0));
            prop_assert_eq!(hops.collect::<Vec<_>>(), world.first_hops(root, router));
        }
    }

    #[test]
    fn a_prefix_goes_to_all_its_closest_routers(world in world(), root in 1..=ROUTERS) {
        let lsas = world.area().lsas();
        let table = table_with(&lsas, (root, usize::MAX), resolve);
        let distances = world.distances(root, true);
        for which in 0..3u8 {
            let ways: BTreeSet<(u32, u32)> = world
                .prefixes
                .iter()
                .filter(|(_, prefix, _)| *prefix == which)
                .filter_map(|(router, _, metric)| Some((distances.get(router)? + u32::from(*metric), *router)))
                .collect();
            let route = table.get(&net(&format!("fd00:{which}::/64")));
            let Some((best, _)) = ways.first().copied() else {
                prop_assert_eq!(route, None);
                continue;
            };
            let closest: Vec<u32> = ways.iter().filter(|(far, _)| *far == best).map(|(_, router)| *router).collect();
            let route = route.unwrap();
            prop_assert_eq!(route.distance.0, best);
            prop_assert_eq!(route.advertising.iter().map(|router| router.0).collect::<Vec<_>>(), closest.clone());
            let mut hops: BTreeSet<(u32, u32)> = BTreeSet::new();
            if !closest.contains(&root) {
                hops.extend(closest.iter().flat_map(|router| world.first_hops(root, *router)));
            }
            let found: Vec<(u32, u32)> = route.next_hops.iter().map(|hop| (hop.interface.0, hop.neighbor.0)).collect();
            prop_assert_eq!(found, hops.into_iter().collect::<Vec<_>>());
        }
    }
}
