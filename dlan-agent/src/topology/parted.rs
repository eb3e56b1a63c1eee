//! Which parts of the mesh reach each other only through this router. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::control::report::{RouterReport, Topology};

/// Returns the parts, largest first, each with its routers' names in the order of their Router IDs; nothing when the mesh
/// holds together without this router.
pub fn parts(topology: &Topology) -> Vec<Vec<String>> {
    let mut neighbors: BTreeMap<Ipv4Addr, Vec<Ipv4Addr>> = BTreeMap::new();
    for link in topology.links.iter().filter(|link| link.ipv6.is_whole() || link.ipv4.is_whole()) {
        neighbors.entry(link.a).or_default().push(link.b);
        neighbors.entry(link.b).or_default().push(link.a);
    }
    let mut seen = BTreeSet::from([topology.root]);
    let mut parts = Vec::new();
    // Only what hangs on this router can come apart without it.
    for start in neighbors.get(&topology.root).into_iter().flatten() {
        let mut part = BTreeSet::new();
        let mut due = vec![*start];
        while let Some(router) = due.pop() {
            if seen.insert(router) {
                part.insert(router);
                due.extend(neighbors.get(&router).into_iter().flatten());
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
    }
    if parts.len() < 2 {
        return Vec::new();
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let label = |id: &Ipv4Addr| {
        let router = topology.routers.iter().find(|router| router.router_id == *id);
        router.map_or_else(|| id.to_string(), RouterReport::label)
    };
    parts.iter().map(|part| part.iter().map(label).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::{EdgeCosts, EdgeReport};

    fn id(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(0, 0, 0, number)
    }

    fn mesh(links: &[(u8, u8)]) -> Topology {
        let costs = EdgeCosts { a_to_b: Some(10), b_to_a: Some(10) };
        let link = |(a, b): &(u8, u8)| EdgeReport {
            a: id(*a),
            b: id(*b),
            ipv6: costs,
            ipv4: costs,
            round_trip_micros: None,
        };
        Topology { root: id(1), routers: Vec::new(), links: links.iter().map(link).collect() }
    }

    #[test]
    fn a_mesh_that_holds_together_has_no_parts() {
        assert!(parts(&mesh(&[(1, 2), (1, 3), (2, 3)])).is_empty());
        assert!(parts(&mesh(&[(1, 2), (2, 3)])).is_empty());
        assert!(parts(&mesh(&[])).is_empty());
    }

    #[test]
    fn what_hangs_on_this_router_alone_is_named() {
        let star = parts(&mesh(&[(1, 2), (1, 3), (3, 4), (1, 4)]));
        assert_eq!(star, [vec!["0.0.0.3".to_owned(), "0.0.0.4".to_owned()], vec!["0.0.0.2".to_owned()]]);
    }

    #[test]
    fn a_link_that_one_end_alone_announces_holds_nothing_together() {
        let mut mesh = mesh(&[(1, 2), (1, 3), (2, 3)]);
        let half = EdgeCosts { a_to_b: Some(10), b_to_a: None };
        mesh.links[2] = EdgeReport { ipv6: half, ipv4: half, ..mesh.links[2].clone() };
        assert_eq!(parts(&mesh).len(), 2);
    }
}
