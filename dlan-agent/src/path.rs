//! The way a packet takes through the mesh, worked out from the topology.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::control::report::{AddressFamily, EdgeReport, PathHop, PathReport, RouterReport, Topology};

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
        return PathReport { destination, prefix: None, distance: 0, equal_ways: 0, hops: Vec::new() };
    };
    let equal_ways = tree.reached.get(&last).map_or(0, |reached| reached.ways);
    PathReport { destination, prefix: Some(prefix), distance, equal_ways, hops: tree.hops(topology, last) }
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

#[derive(Debug, Clone, Copy)]
struct Reached {
    distance: u32,
    /// The router before it and the cost of the step; none for the root.
    from: Option<(Ipv4Addr, u16)>,
    /// How many ways of this distance lead here.
    ways: u64,
}

/// Every router that can be reached, with the first of the cheapest ways to it.
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
        let mut reached = BTreeMap::from([(topology.root, Reached { distance: 0, from: None, ways: 1 })]);
        let mut open = BTreeSet::from([(0_u32, topology.root)]);
        while let Some((distance, router)) = open.pop_first() {
            let ways = reached.get(&router).map_or(0, |reached| reached.ways);
            for edge in links.get(&router).into_iter().flatten() {
                let Some((next, cost)) = edge.step(family, router) else { continue };
                let through = distance.saturating_add(u32::from(cost));
                match reached.get_mut(&next) {
                    Some(seen) if seen.distance < through => {}
                    Some(seen) if seen.distance == through => seen.ways = seen.ways.saturating_add(ways),
                    seen => {
                        if let Some(seen) = seen {
                            open.remove(&(seen.distance, next));
                        }
                        open.insert((through, next));
                        reached.insert(next, Reached { distance: through, from: Some((router, cost)), ways });
                    }
                }
            }
        }
        Self { family, reached }
    }

    fn hops(&self, topology: &Topology, last: Ipv4Addr) -> Vec<PathHop> {
        let mut hops = Vec::new();
        let mut place = Some(last);
        while let Some(id) = place {
            let Some(reached) = self.reached.get(&id) else { break };
            let router = topology.routers.iter().find(|router| router.router_id == id);
            hops.push(PathHop {
                router_id: id,
                name: router.and_then(|router| router.name.clone()),
                address: router.and_then(|router| identity(router, self.family)),
                cost: reached.from.map(|(_, cost)| cost),
                distance: reached.distance,
            });
            place = reached.from.map(|(before, _)| before);
        }
        hops.reverse();
        hops
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
    fn ways_of_equal_cost_are_counted() {
        let mut topology = reference();
        topology.links[1] = edge(1, 5, 10, 10);
        topology.links[4] = edge(2, 5, 10, 10);
        assert_eq!(way(&topology, "10.1.1.2".parse().unwrap()).equal_ways, 2);
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
