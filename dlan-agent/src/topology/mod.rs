//! The mesh as a graph, read from the link-state databases of both families.

pub mod dot;
pub mod layout;
pub mod parted;
pub mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ospf_lite::ids::RouterId;
use ospf_lite::ospf::lsa::{Lsa, LsaBody, RouterLinkKind};

use crate::control::report::{AddressFamily, EdgeCosts, EdgeReport, PrefixReport, RouterReport, Topology};
use crate::router_information::RouterInformation;

/// Collects a [`Topology`] from the LSAs of the databases, each family in turn.
#[derive(Debug)]
pub struct TopologyBuilder {
    root: Ipv4Addr,
    routers: BTreeMap<Ipv4Addr, RouterReport>,
    edges: BTreeMap<(Ipv4Addr, Ipv4Addr), EdgeReport>,
    /// In microseconds; where both ends tell one, that of the end which was added last.
    round_trips: BTreeMap<(Ipv4Addr, Ipv4Addr), u64>,
}

impl TopologyBuilder {
    /// Starts with this router and with the names the configuration gives; what routers tell of themselves goes before them.
    pub fn new(root: RouterId, names: &BTreeMap<RouterId, String>) -> Self {
        let mut builder = Self {
            root: dotted(root),
            routers: BTreeMap::new(),
            edges: BTreeMap::new(),
            round_trips: BTreeMap::new(),
        };
        builder.router(builder.root).name = names.get(&root).cloned();
        for (id, name) in names {
            builder.router(dotted(*id)).name = Some(name.clone());
        }
        builder
    }

    /// Takes one LSA of the family's database. Its age is below MaxAge.
    pub fn add(&mut self, family: AddressFamily, lsa: &Lsa) {
        let from = dotted(lsa.header().key.advertising_router);
        match lsa.body() {
            LsaBody::Router(body) => {
                self.router(from);
                for link in body.links.iter().filter(|link| link.kind == RouterLinkKind::PointToPoint) {
                    self.add_link(family, from, dotted(link.neighbor_router_id), link.metric);
                }
            }
            LsaBody::IntraAreaPrefix(body) => {
                let announced = body.prefixes.iter();
                let announced =
                    announced.map(|(prefix, metric)| PrefixReport { prefix: prefix.net, metric: *metric });
                self.router(from).prefixes.extend(announced);
            }
            LsaBody::Unknown(_) => {
                if let Some(information) = RouterInformation::decode(lsa) {
                    for (to, micros) in information.round_trips {
                        let to = Ipv4Addr::from(u32::from(to));
                        self.round_trips.insert((from.min(to), from.max(to)), micros);
                    }
                    let router = self.router(from);
                    router.name = Some(information.name);
                    router.version = Some(information.version);
                }
            }
            LsaBody::Network(_)
            | LsaBody::InterAreaPrefix(_)
            | LsaBody::InterAreaRouter(_)
            | LsaBody::AsExternal(_)
            | LsaBody::Link(_)
            | LsaBody::Grace(_) => {}
        }
    }

    /// Works out who can be reached, and leaves out who is only a name of the configuration.
    pub fn finish(self) -> Topology {
        let mut links: Vec<EdgeReport> = self.edges.into_values().collect();
        for link in &mut links {
            link.round_trip_micros = self.round_trips.get(&(link.a, link.b)).copied();
        }
        let mut routers = self.routers;
        for family in AddressFamily::BOTH {
            for id in reachable(self.root, &links, family) {
                if let Some(router) = routers.get_mut(&id) {
                    router.reachable.insert(family);
                }
            }
        }
        let told_of: BTreeSet<Ipv4Addr> = links.iter().flat_map(|edge| [edge.a, edge.b]).collect();
        let routers = routers
            .into_values()
            .filter(|router| {
                router.router_id == self.root
                    || !router.prefixes.is_empty()
                    || router.version.is_some()
                    || told_of.contains(&router.router_id)
            })
            .collect();
        Topology { root: self.root, routers, links }
    }

    fn router(&mut self, id: Ipv4Addr) -> &mut RouterReport {
        self.routers.entry(id).or_insert_with(|| RouterReport {
            router_id: id,
            name: None,
            version: None,
            reachable: BTreeSet::new(),
            prefixes: BTreeSet::new(),
        })
    }

    fn add_link(&mut self, family: AddressFamily, from: Ipv4Addr, to: Ipv4Addr, metric: u16) {
        self.router(to);
        let (a, b) = (from.min(to), from.max(to));
        let edge = self.edges.entry((a, b)).or_insert_with(|| EdgeReport {
            a,
            b,
            ipv6: EdgeCosts::default(),
            ipv4: EdgeCosts::default(),
            round_trip_micros: None,
        });
        let costs = match family {
            AddressFamily::Ipv6 => &mut edge.ipv6,
            AddressFamily::Ipv4 => &mut edge.ipv4,
        };
        let direction = if from == a { &mut costs.a_to_b } else { &mut costs.b_to_a };
        // Of parallel links the cheapest is the one that is used.
        *direction = Some(direction.map_or(metric, |seen| seen.min(metric)));
    }
}

/// Returns a Router ID in the form of the reports.
pub fn dotted(id: RouterId) -> Ipv4Addr {
    Ipv4Addr::from(id.0)
}

impl EdgeReport {
    /// Returns the link's costs in a family.
    pub const fn costs(&self, family: AddressFamily) -> EdgeCosts {
        match family {
            AddressFamily::Ipv6 => self.ipv6,
            AddressFamily::Ipv4 => self.ipv4,
        }
    }

    /// Returns the cost of leaving `from` over the link, and where that leads, when the link carries the family.
    pub fn step(&self, family: AddressFamily, from: Ipv4Addr) -> Option<(Ipv4Addr, u16)> {
        let costs = self.costs(family);
        match (costs.a_to_b, costs.b_to_a) {
            (Some(cost), Some(_)) if from == self.a => Some((self.b, cost)),
            (Some(_), Some(cost)) if from == self.b => Some((self.a, cost)),
            _ => None,
        }
    }
}

impl RouterReport {
    /// Returns the router's name, or its Router ID when it has told none.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.router_id.to_string())
    }
}

fn reachable(root: Ipv4Addr, links: &[EdgeReport], family: AddressFamily) -> BTreeSet<Ipv4Addr> {
    let mut steps: BTreeMap<Ipv4Addr, Vec<Ipv4Addr>> = BTreeMap::new();
    for edge in links.iter().filter(|edge| edge.costs(family).is_whole()) {
        steps.entry(edge.a).or_default().push(edge.b);
        steps.entry(edge.b).or_default().push(edge.a);
    }
    let mut reached = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(router) = open.pop() {
        for next in steps.get(&router).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(*next);
            }
        }
    }
    reached
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a router for tests, announcing the prefixes at metric 10 (host prefixes at 0), reachable in both families.
    pub(crate) fn router(number: u8, name: &str, prefixes: &[&str]) -> RouterReport {
        let prefix = |text: &&str| {
            let prefix: ipnet::IpNet = text.parse().unwrap();
            PrefixReport {
                prefix,
                metric: if prefix.prefix_len() == prefix.max_prefix_len() { 0 } else { 10 },
            }
        };
        RouterReport {
            router_id: Ipv4Addr::new(0, 0, 0, number),
            name: Some(name.to_owned()),
            version: Some("0.1.0".to_owned()),
            reachable: AddressFamily::BOTH.into_iter().collect(),
            prefixes: prefixes.iter().map(prefix).collect(),
        }
    }

    /// Returns a link for tests with the same costs in both families.
    pub(crate) fn edge(a: u8, b: u8, a_to_b: u16, b_to_a: u16) -> EdgeReport {
        let costs = EdgeCosts { a_to_b: Some(a_to_b), b_to_a: Some(b_to_a) };
        EdgeReport {
            a: Ipv4Addr::new(0, 0, 0, a),
            b: Ipv4Addr::new(0, 0, 0, b),
            ipv6: costs,
            ipv4: costs,
            round_trip_micros: None,
        }
    }

    /// Returns the reference mesh: r1 behind r4 and r5, r2 and r3 in one home.
    pub(crate) fn reference() -> Topology {
        Topology {
            root: Ipv4Addr::new(0, 0, 0, 1),
            routers: vec![
                router(1, "r1", &["10.1.1.1/32", "fd00:0:1:1::1/128", "10.2.0.0/24", "fd79:2de7:db86::/64"]),
                router(2, "r2", &["10.1.1.2/32", "fd00:0:1:1::2/128", "10.3.0.0/24"]),
                router(3, "r3", &["10.1.1.3/32", "fd00:0:1:1::3/128", "10.4.0.0/24"]),
                router(4, "r4", &["10.1.1.4/32", "fd00:0:1:1::4/128"]),
                router(5, "r5", &["10.1.1.5/32", "fd00:0:1:1::5/128"]),
            ],
            links: vec![
                edge(1, 4, 10, 10),
                edge(1, 5, 20, 20),
                edge(2, 3, 5, 5),
                edge(2, 4, 10, 10),
                edge(2, 5, 20, 20),
                edge(3, 4, 15, 10),
                edge(3, 5, 20, 20),
                edge(4, 5, 10, 10),
            ],
        }
    }

    #[test]
    fn a_link_that_only_one_end_announces_reaches_nobody() {
        let mut half = edge(1, 2, 10, 10);
        half.ipv4.b_to_a = None;
        let root = Ipv4Addr::new(0, 0, 0, 1);
        assert_eq!(reachable(root, &[half.clone()], AddressFamily::Ipv4), BTreeSet::from([root]));
        assert_eq!(reachable(root, &[half], AddressFamily::Ipv6).len(), 2);
    }
}
