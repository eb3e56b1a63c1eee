//! Read-only facts about this router from which its LSAs are derived.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::config::{AdvertisedPrefix, Config, PointToPointConfig};
use crate::ids::{Cost, Family, InterfaceId, RouterId};
use crate::ospf::interface::{Interface, InterfaceState};
use crate::ospf::lsa::GraceLsa;

/// The facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// This router.
    pub router_id: RouterId,
    /// The family whose prefixes are originated.
    pub family: Family,
    /// What the router offers other routers' traffic.
    pub transit: Transit,
    /// What it asks its neighbors while it restarts.
    pub grace: Option<GraceLsa>,
    /// The adjacencies that count, by interface.
    pub adjacencies: BTreeMap<InterfaceId, Adjacency>,
    /// The prefixes of all interfaces that are up and told of; where two have the same one, with the lower metric.
    pub prefixes: BTreeMap<IpNet, AdvertisedPrefix>,
    /// The point-to-point interfaces that are up.
    pub links: BTreeMap<InterfaceId, LinkView>,
}

/// What a router offers the traffic of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transit {
    /// No way through (R-bit off, RFC 5340 appendix A.2): it might lose what is sent.
    Refused,
    /// A way for what has no other: every link costs MaxLinkMetric (RFC 6987 section 2).
    LastResort,
    /// Its links at their costs.
    Offered,
}

/// A neighbor with an equal database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjacency {
    /// The cost of sending to it, as other routers are told.
    pub cost: Cost,
    /// Its Router ID.
    pub router_id: RouterId,
    /// Its Interface ID for the link.
    pub interface_id: InterfaceId,
}

/// A link as a Link-LSA describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
    /// The address that neighbors route to: link-local, or IPv4 in the first four octets (RFC 5838 section 2.5); the
    /// unspecified one when there is no IPv4 address.
    pub address: Ipv6Addr,
    /// The prefixes of the link.
    pub prefixes: Vec<AdvertisedPrefix>,
}

impl View {
    /// Looks at these interfaces as they are. `is_told` says of which of them the area is told.
    pub fn new<'i>(
        interfaces: impl IntoIterator<Item = (&'i InterfaceId, &'i Interface)>,
        is_told: impl Fn(InterfaceId) -> bool,
        config: &Config,
        transit: Transit,
        grace: Option<GraceLsa>,
    ) -> Self {
        let mut view = Self {
            router_id: config.router_id,
            family: config.family,
            transit,
            grace,
            adjacencies: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        for (id, interface) in interfaces {
            if interface.state != InterfaceState::Down {
                view.add(*id, interface, is_told(*id));
            }
        }
        view
    }

    fn add(&mut self, id: InterfaceId, interface: &Interface, is_told: bool) {
        let prefixes = prefixes(interface, self.family);
        for prefix in prefixes.iter().filter(|_| is_told) {
            let known = self.prefixes.entry(prefix.prefix).or_insert(*prefix);
            if prefix.metric < known.metric {
                *known = *prefix;
            }
        }
        let Some(link) = interface.link() else {
            return;
        };
        self.links.insert(id, LinkView { address: link_address(link, self.family), prefixes });
        if let Some(neighbor) = interface.neighbor.as_ref().filter(|neighbor| neighbor.is_adjacent()) {
            let adjacency = Adjacency {
                cost: if self.transit == Transit::LastResort { Cost::MAX } else { link.cost },
                router_id: neighbor.router_id,
                interface_id: neighbor.interface_id,
            };
            self.adjacencies.insert(id, adjacency);
        }
    }
}

/// Returns what an interface has to advertise: its prefixes of the family, without host bits and in order, but never
/// link-local ones (RFC 5340 section 2.5).
fn prefixes(interface: &Interface, family: Family) -> Vec<AdvertisedPrefix> {
    let mut prefixes: Vec<AdvertisedPrefix> = interface
        .config
        .prefixes
        .iter()
        .map(|prefix| AdvertisedPrefix { prefix: prefix.prefix.trunc(), ..*prefix })
        .filter(|prefix| match (prefix.prefix.addr(), family) {
            (IpAddr::V6(address), Family::Ipv6) => !address.is_unicast_link_local(),
            (IpAddr::V4(_), Family::Ipv4) => true,
            _ => false,
        })
        .collect();
    prefixes.sort_unstable();
    prefixes.dedup_by_key(|prefix| prefix.prefix);
    prefixes
}

fn link_address(link: &PointToPointConfig, family: Family) -> Ipv6Addr {
    match (family, link.ipv4_address) {
        (Family::Ipv6, _) => link.link_local,
        (Family::Ipv4, None) => Ipv6Addr::UNSPECIFIED,
        (Family::Ipv4, Some(address)) => {
            let [a, b, c, d] = address.octets();
            Ipv6Addr::from([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
    }
}
