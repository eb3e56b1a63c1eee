//! The way a packet takes through the mesh, worked out from the topology.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::control::report::{AddressFamily, EdgeReport, PathHop, PathReport, RouterReport, Topology};

/// How many ways of equal cost are told one by one.
const WAYS_MAX: usize = 16;

/// Returns the addresses that `host` stands for, IPv6 first: itself, or the identities of the router of that name. None when
/// the mesh does not know it.
pub fn resolve(topology: &Topology, domain: &str, host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let bare = host.strip_suffix(domain).and_then(|host| host.strip_suffix('.')).unwrap_or(host);
    let named = topology.routers.iter().find(|router| router.name.as_deref() == Some(bare));
    let identities = |router: &RouterReport| {
        AddressFamily::BOTH.iter().filter_map(|family| identity(router, *family)).collect()
    };
    named.map(identities).unwrap_or_default()
}

/// Returns the way from the topology's root to the address.
pub fn way(topology: &Topology, destination: IpAddr) -> PathReport {
    let family = family_of(destination);
    let tree = Tree::grow(topology, family);
    let announced = topology
        .routers
        .iter()
        .flat_map(|router| router.prefixes.iter().map(move |announced| (router.router_id, announced)));
    // The longest prefix that can be reached decides, then the distance, then the lower Router ID.
    let best = announced
        .filter(|(_, announced)| announced.prefix.contains(&destination))
        .filter_map(|(router, announced)| {
            let distance = tree.reached.get(&router)?.distance.saturating_add(u32::from(announced.metric));
            Some((announced.prefix, distance, router))
        })
        .min_by_key(|(prefix, distance, router)| (u8::MAX - prefix.prefix_len(), *distance, *router));
    let Some((prefix, distance, last)) = best else {
        return PathReport {
            destination,
            prefix: None,
            distance: 0,
            equal_ways: 0,
            hops: Vec::new(),
            others: Vec::new(),
        };
    };
    let equal_ways = tree.reached.get(&last).map_or(0, |reached| reached.ways);
    let mut ways = tree.ways(topology, last).into_iter();
    let hops = ways.next().unwrap_or_default();
    PathReport { destination, prefix: Some(prefix), distance, equal_ways, hops, others: ways.collect() }
}

/// Returns the family an address belongs to.
pub const fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Ipv4,
        IpAddr::V6(_) => AddressFamily::Ipv6,
    }
}

/// Returns the router's identity: its first own address of the family, which costs nothing.
fn identity(router: &RouterReport, family: AddressFamily) -> Option<IpAddr> {
    let own = router.prefixes.iter().filter(|announced| {
        announced.metric == 0 && announced.prefix.prefix_len() == announced.prefix.max_prefix_len()
    });
    own.map(|announced| announced.prefix.addr()).find(|address| family_of(*address) == family)
}

#[derive(Debug, Clone)]
struct Reached {
    distance: u32,
    /// The router before it on each of the cheapest ways, and the cost of the step; none for the root.
    from: Vec<(Ipv4Addr, u16)>,
    /// How many ways of this distance lead here.
    ways: u64,
}

/// Every router that can be reached, with the cheapest ways to it.
struct Tree {
    family: AddressFamily,
    reached: BTreeMap<Ipv4Addr, Reached>,
}

impl Tree {
    fn grow(topology: &Topology, family: AddressFamily) -> Self {
        let mut links: BTreeMap<Ipv4Addr, Vec<&EdgeReport>> = BTreeMap::new();
        for edge in &topology.links {
            links.entry(edge.a).or_default().push(edge);
            links.entry(edge.b).or_default().push(edge);
        }
        let mut reached =
            BTreeMap::from([(topology.root, Reached { distance: 0, from: Vec::new(), ways: 1 })]);
        let mut open = BTreeSet::from([(0_u32, topology.root)]);
        while let Some((distance, router)) = open.pop_first() {
            let ways = reached.get(&router).map_or(0, |reached| reached.ways);
            for edge in links.get(&router).into_iter().flatten() {
                let Some((next, cost)) = edge.step(family, router) else { continue };
                let through = distance.saturating_add(u32::from(cost));
                match reached.get_mut(&next) {
                    Some(seen) if seen.distance < through => {}
                    Some(seen) if seen.distance == through => {
                        seen.ways = seen.ways.saturating_add(ways);
                        seen.from.push((router, cost));
                    }
                    seen => {
                        if let Some(seen) = seen {
                            open.remove(&(seen.distance, next));
                        }
                        open.insert((through, next));
                        reached.insert(next, Reached { distance: through, from: vec![(router, cost)], ways });
                    }
                }
            }
        }
        Self { family, reached }
    }

    /// Returns the ways to a router, at most [`WAYS_MAX`].
    fn ways(&self, topology: &Topology, last: Ipv4Addr) -> Vec<Vec<PathHop>> {
        // Each begun from its end, with the cost of the step that leads on from where it has come to.
        let mut begun: Vec<Vec<(Ipv4Addr, Option<u16>)>> = vec![vec![(last, None)]];
        let mut ways = Vec::new();
        while let Some(way) = begun.pop() {
            let before = way.last().and_then(|(at, _)| self.reached.get(at)).map(|reached| &reached.from);
            if before.is_none_or(Vec::is_empty) {
                ways.push(self.hops(topology, &way));
            }
            if ways.len() == WAYS_MAX {
                break;
            }
            begun.extend(before.into_iter().flatten().rev().map(|(router, cost)| {
                let mut longer = way.clone();
                if let Some((_, step)) = longer.last_mut() {
                    *step = Some(*cost);
                }
                longer.push((*router, None));
                longer
            }));
        }
        ways
    }

    fn hops(&self, topology: &Topology, way: &[(Ipv4Addr, Option<u16>)]) -> Vec<PathHop> {
        let hop = |(id, cost): &(Ipv4Addr, Option<u16>)| {
            let router = topology.routers.iter().find(|router| router.router_id == *id);
            PathHop {
                router_id: *id,
                name: router.and_then(|router| router.name.clone()),
                address: router.and_then(|router| identity(router, self.family)),
                cost: *cost,
                distance: self.reached.get(id).map_or(0, |reached| reached.distance),
            }
        };
        way.iter().rev().map(hop).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::{edge, reference};

    fn names(path: &PathReport) -> Vec<&str> {
        path.hops.iter().filter_map(|hop| hop.name.as_deref()).collect()
    }

    #[test]
    fn the_cheapest_way_is_taken() {
        let path = way(&reference(), "10.3.0.7".parse().unwrap());
        assert_eq!(names(&path), ["r1", "r4", "r2"]);
        assert_eq!(path.distance, 30);
        assert_eq!(path.equal_ways, 1);
        assert_eq!(path.hops[1].address, Some("10.1.1.4".parse().unwrap()));
    }

    #[test]
    fn ways_of_equal_cost_are_all_told() {
        let mut topology = reference();
        topology.links[1] = edge(1, 5, 10, 10);
        topology.links[4] = edge(2, 5, 10, 10);
        let path = way(&topology, "10.1.1.2".parse().unwrap());
        assert_eq!((path.equal_ways, names(&path)), (2, vec!["r1", "r4", "r2"]));
        let [other] = path.others.as_slice() else { panic!("{path:?}") };
        let told: Vec<_> = other.iter().map(|hop| (hop.name.as_deref(), hop.cost, hop.distance)).collect();
        assert_eq!(told, [(Some("r1"), None, 0), (Some("r5"), Some(10), 10), (Some("r2"), Some(10), 20)]);
    }

    #[test]
    fn of_many_ways_the_first_are_told_and_all_are_counted() {
        // Ten squares in a row: two ways through each.
        let mut topology = reference();
        topology.links = (0..10)
            .map(|square| 3 * square + 1)
            .flat_map(|at| [(at, at + 1), (at, at + 2), (at + 1, at + 3), (at + 2, at + 3)])
            .map(|(a, b)| edge(a, b, 10, 10))
            .collect();
        let last = topology.routers.iter_mut().find(|router| router.name.as_deref() == Some("r2")).unwrap();
        last.router_id = Ipv4Addr::new(0, 0, 0, 31);
        let path = way(&topology, "10.1.1.2".parse().unwrap());
        assert_eq!((path.equal_ways, path.others.len() + 1, path.hops.len()), (1024, WAYS_MAX, 21));
    }

    #[test]
    fn a_link_with_one_end_is_not_used() {
        let mut topology = reference();
        topology.links[0].ipv4.b_to_a = None;
        assert_eq!(names(&way(&topology, "10.1.1.4".parse().unwrap())), ["r1", "r5", "r4"]);
        assert_eq!(names(&way(&topology, "fd00:0:1:1::4".parse().unwrap())), ["r1", "r4"]);
    }

    #[test]
    fn an_address_nobody_announces_has_no_way() {
        let path = way(&reference(), "192.0.2.1".parse().unwrap());
        assert_eq!((path.prefix, path.hops.len()), (None, 0));
    }

    #[test]
    fn the_way_to_oneself_is_one_hop_long() {
        let path = way(&reference(), "10.1.1.1".parse().unwrap());
        assert_eq!(names(&path), ["r1"]);
        assert_eq!(path.distance, 0);
    }

    #[test]
    fn a_router_is_found_by_name_with_and_without_the_domain() {
        let topology = reference();
        let expected: Vec<IpAddr> = vec!["fd00:0:1:1::2".parse().unwrap(), "10.1.1.2".parse().unwrap()];
        assert_eq!(resolve(&topology, "lan", "r2"), expected);
        assert_eq!(resolve(&topology, "lan", "r2.lan"), expected);
        assert!(resolve(&topology, "lan", "r9").is_empty());
        assert_eq!(resolve(&topology, "lan", "192.0.2.1").len(), 1);
    }
}
