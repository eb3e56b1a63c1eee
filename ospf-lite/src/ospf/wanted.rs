//! Which LSAs this router should originate: derived from facts, split over Link State IDs (RFC 5340 section 4.4.3).

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::config::AdvertisedPrefix;
use crate::ids::{InterfaceId, LinkStateId, RouterId};
use crate::ospf::interface::router_options;
use crate::ospf::lsa::{
    IntraAreaPrefixLsa, LinkLsa, LsType, Lsa, LsaBody, LsaKey, Prefix, PrefixOptions, RouterLink,
    RouterLinkKind, RouterLsa,
};
use crate::ospf::lsdb::{Domain, LsdbKey};
use crate::ospf::view::{LinkView, Transit, View};
use crate::wire::size;

/// How many octets an own LSA has at most. Larger content is split: an Update with it must pass every link.
pub const LSA_OCTETS_MAX: usize = 1100;
/// Router Priority in Link-LSAs; it has no meaning on point-to-point links.
const PRIORITY: u8 = 1;

/// The content of LSA types that the engine does not know, by type: part n has Link State ID n.
pub type Private = BTreeMap<LsType, Vec<Vec<u8>>>;

/// Which Link State ID each link and prefix has its place under. Kept from one derivation to the next, so that what
/// comes or goes leaves the other LSAs as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    links: BTreeMap<InterfaceId, u32>,
    prefixes: BTreeMap<IpNet, u32>,
}

impl Places {
    /// Returns the places that own LSAs of an earlier life gave links and prefixes (RFC 5187 section 3.1).
    pub fn of<'a>(lsas: impl Iterator<Item = &'a Lsa>) -> Self {
        let mut places = Self::default();
        for lsa in lsas {
            let part = lsa.header().key.link_state_id.0;
            match lsa.body() {
                LsaBody::Router(body) => {
                    places.links.extend(body.links.iter().map(|link| (link.interface_id, part)));
                }
                LsaBody::IntraAreaPrefix(body) => {
                    places.prefixes.extend(body.prefixes.iter().map(|(prefix, _)| (prefix.net, part)));
                }
                _ => {}
            }
        }
        places
    }

    /// Returns the places for what is to be originated: what has one keeps it, the rest goes where there is room.
    #[must_use]
    pub fn next(&self, view: &View) -> Self {
        let link_room = LSA_OCTETS_MAX - size::LSA_HEADER - size::ROUTER_LSA;
        let links = view.adjacencies.keys().map(|id| (*id, size::ROUTER_LINK));
        let prefix_room = LSA_OCTETS_MAX - size::LSA_HEADER - size::INTRA_AREA_PREFIX_LSA;
        let prefixes = view.prefixes.keys().map(|net| (*net, size::prefix(net.prefix_len())));
        Self {
            links: assign(&self.links, &links.collect(), link_room),
            prefixes: assign(&self.prefixes, &prefixes.collect(), prefix_room),
        }
    }
}

/// Spreads items of the given sizes over parts of at most `room` octets, first fit. An item keeps the part it has.
fn assign<K: Ord + Copy>(
    old: &BTreeMap<K, u32>,
    sizes: &BTreeMap<K, usize>,
    room: usize,
) -> BTreeMap<K, u32> {
    let mut places: BTreeMap<K, u32> =
        old.iter().filter(|(key, _)| sizes.contains_key(key)).map(|(key, part)| (*key, *part)).collect();
    let mut used: BTreeMap<u32, usize> = BTreeMap::new();
    for (key, part) in &places {
        *used.entry(*part).or_default() += sizes.get(key).copied().unwrap_or_default();
    }
    for (key, octets) in sizes {
        if places.contains_key(key) {
            continue;
        }
        let fits = |part: &u32| used.get(part).copied().unwrap_or_default() + octets <= room;
        let part = (0..u32::MAX).find(fits).unwrap_or_default();
        *used.entry(part).or_default() += octets;
        places.insert(*key, part);
    }
    places
}

/// Returns every LSA that this router should have originated.
pub fn wanted(view: &View, places: &Places, private: &Private) -> BTreeMap<LsdbKey, LsaBody> {
    let mut wanted = BTreeMap::new();
    let key = |domain, ls_type, id| LsdbKey {
        domain,
        lsa: LsaKey { ls_type, link_state_id: LinkStateId(id), advertising_router: view.router_id },
    };
    for (part, body) in router_lsas(view, places) {
        wanted.insert(key(Domain::Area, LsType::ROUTER, part), LsaBody::Router(body));
    }
    for (part, body) in intra_area_prefix_lsas(view, places) {
        wanted.insert(key(Domain::Area, LsType::INTRA_AREA_PREFIX, part), LsaBody::IntraAreaPrefix(body));
    }
    for (id, link) in &view.links {
        wanted.insert(key(Domain::Link(*id), LsType::LINK, id.0), LsaBody::Link(link_lsa(view, link)));
        if let Some(grace) = view.grace {
            wanted.insert(key(Domain::Link(*id), LsType::GRACE, id.0), LsaBody::Grace(grace));
        }
    }
    for (ls_type, parts) in private {
        for (part, octets) in (0..).zip(parts) {
            wanted.insert(key(Domain::Area, *ls_type, part), LsaBody::Unknown(octets.clone()));
        }
    }
    wanted
}

/// RFC 5340 section 4.4.3.2. The part with Link State ID 0 is there even without a link: it says what the router can do.
fn router_lsas(view: &View, places: &Places) -> BTreeMap<u32, RouterLsa> {
    let empty = RouterLsa {
        border: false,
        external: false,
        virtual_endpoint: false,
        options: router_options(view.family, view.transit != Transit::Refused),
        links: Vec::new(),
    };
    let mut parts = BTreeMap::from([(0, empty.clone())]);
    for (id, adjacency) in &view.adjacencies {
        let part = places.links.get(id).copied().unwrap_or_default();
        parts.entry(part).or_insert_with(|| empty.clone()).links.push(RouterLink {
            kind: RouterLinkKind::PointToPoint,
            metric: adjacency.cost.get(),
            interface_id: *id,
            neighbor_interface_id: adjacency.interface_id,
            neighbor_router_id: adjacency.router_id,
        });
    }
    parts
}

/// RFC 5340 section 4.4.3.9.
fn intra_area_prefix_lsas(view: &View, places: &Places) -> BTreeMap<u32, IntraAreaPrefixLsa> {
    let mut parts: BTreeMap<u32, IntraAreaPrefixLsa> = BTreeMap::new();
    for (net, prefix) in &view.prefixes {
        let part = places.prefixes.get(net).copied().unwrap_or_default();
        let lsa = parts.entry(part).or_insert_with(|| IntraAreaPrefixLsa {
            referenced: referenced(view.router_id),
            prefixes: Vec::new(),
        });
        lsa.prefixes.push((encoded(prefix), prefix.metric));
    }
    parts
}

/// Returns the reference to a router's Router-LSAs (RFC 5340 appendix A.4.10).
const fn referenced(router_id: RouterId) -> LsaKey {
    LsaKey { ls_type: LsType::ROUTER, link_state_id: LinkStateId(0), advertising_router: router_id }
}

/// RFC 5340 section 4.4.3.8. Only as many prefixes as fit: a Link-LSA cannot be split, and nobody at the other end of a
/// point-to-point link needs them.
fn link_lsa(view: &View, link: &LinkView) -> LinkLsa {
    let mut room = LSA_OCTETS_MAX - size::LSA_HEADER - size::LINK_LSA;
    let fitting = link.prefixes.iter().take_while(|prefix| {
        let octets = size::prefix(prefix.prefix.prefix_len());
        let fits = octets <= room;
        room = room.saturating_sub(octets);
        fits
    });
    LinkLsa {
        priority: PRIORITY,
        // What a Designated Router would put into a Network-LSA; steady, so that settling does not change it.
        options: router_options(view.family, true),
        address: link.address,
        prefixes: fitting.map(encoded).collect(),
    }
}

fn encoded(prefix: &AdvertisedPrefix) -> Prefix {
    let options = if prefix.local_address { PrefixOptions::LA } else { PrefixOptions::default() };
    Prefix { net: prefix.prefix, options }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(keys: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
        keys.into_iter().map(|key| (key, 16)).collect()
    }

    #[test]
    fn parts_are_filled_in_order_and_never_past_their_room() {
        let places = assign(&BTreeMap::new(), &sizes(0..10), 64);
        let parts: Vec<u32> = places.values().copied().collect();
        assert_eq!(parts, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn what_comes_and_goes_leaves_the_others_in_their_place() {
        let before = assign(&BTreeMap::new(), &sizes(0..10), 64);
        let without = assign(&before, &sizes((0..10).filter(|key| *key != 1)), 64);
        assert!(without.iter().all(|(key, part)| before.get(key) == Some(part)));
        let with_another = assign(&without, &sizes((0..11).filter(|key| *key != 1)), 64);
        assert_eq!(with_another.get(&10), Some(&0));
        assert!(without.iter().all(|(key, part)| with_another.get(key) == Some(part)));
    }

    #[test]
    fn a_size_above_the_room_of_what_is_left_goes_into_the_next_part() {
        let sizes = BTreeMap::from([(1, 60), (2, 10), (3, 4)]);
        let places = assign(&BTreeMap::new(), &sizes, 64);
        assert_eq!(places, BTreeMap::from([(1, 0), (2, 1), (3, 0)]));
    }
}
