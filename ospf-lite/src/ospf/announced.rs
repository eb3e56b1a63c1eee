//! What the routers and networks of the area announce, found by who announces it and by prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::ids::{LinkStateId, RouterId};
use crate::ospf::lsa::{IntraAreaPrefixLsa, Lsa, LsaBody, LsaKey};

/// The Intra-Area-Prefix-LSAs that count.
#[derive(Debug, Default)]
pub struct Announced {
    lsas: BTreeMap<(RouterId, LinkStateId), Arc<Lsa>>,
    places: BTreeSet<(IpNet, RouterId, LinkStateId)>,
}

impl Announced {
    /// Makes one without any LSA.
    pub const fn new() -> Self {
        Self { lsas: BTreeMap::new(), places: BTreeSet::new() }
    }

    /// Returns every LSA.
    pub fn lsas(&self) -> impl Iterator<Item = &Lsa> {
        self.lsas.values().map(|lsa| &**lsa)
    }

    /// Takes in that an Intra-Area-Prefix-LSA has another content, or that it does not count any more; the prefixes about
    /// which it says something else by that are added to `touched`.
    pub fn update(&mut self, key: &LsaKey, lsa: Option<Arc<Lsa>>, touched: &mut BTreeSet<IpNet>) {
        let place = (key.advertising_router, key.link_state_id);
        let old = self.lsas.get(&place).cloned();
        let (before, after) = (old.as_deref().and_then(intra), lsa.as_deref().and_then(intra));
        for net in differing(before, after) {
            touched.insert(net);
            let at = (net, place.0, place.1);
            if after.is_some_and(|after| after.prefixes.iter().any(|(prefix, _)| prefix.net == net)) {
                self.places.insert(at);
            } else {
                self.places.remove(&at);
            }
        }
        match lsa.filter(|lsa| intra(lsa).is_some()) {
            Some(lsa) => _ = self.lsas.insert(place, lsa),
            None => _ = self.lsas.remove(&place),
        }
    }

    /// Returns the prefixes that a router announces, for itself or for a transit network.
    pub fn prefixes_of(&self, router: RouterId) -> impl Iterator<Item = IpNet> {
        let all = (router, LinkStateId(0))..=(router, LinkStateId(u32::MAX));
        let lsas = self.lsas.range(all).filter_map(|(_, lsa)| intra(lsa));
        lsas.flat_map(|intra| intra.prefixes.iter().map(|(prefix, _)| prefix.net))
    }

    /// Returns the LSAs that announce any of these prefixes, each once.
    pub fn announcing(&self, prefixes: &BTreeSet<IpNet>) -> Vec<&Lsa> {
        let places: BTreeSet<_> = prefixes
            .iter()
            .flat_map(|net| {
                let first = (*net, RouterId(0), LinkStateId(0));
                self.places.range(first..).take_while(move |(found, ..)| found == net)
            })
            .map(|(_, router, id)| (*router, *id))
            .collect();
        places.iter().filter_map(|place| self.lsas.get(place).map(|lsa| &**lsa)).collect()
    }
}

fn intra(lsa: &Lsa) -> Option<&IntraAreaPrefixLsa> {
    match &lsa.body {
        LsaBody::IntraAreaPrefix(intra) => Some(intra),
        _ => None,
    }
}

/// Returns the prefixes about which two LSAs do not say the same.
fn differing(before: Option<&IntraAreaPrefixLsa>, after: Option<&IntraAreaPrefixLsa>) -> Vec<IpNet> {
    let missing = |from: Option<&IntraAreaPrefixLsa>, other: Option<&IntraAreaPrefixLsa>| -> Vec<IpNet> {
        let other = other.filter(|other| from.is_some_and(|from| from.referenced == other.referenced));
        let is_said = |said| other.is_some_and(|other| other.prefixes.contains(said));
        let said = from.into_iter().flat_map(|from| &from.prefixes);
        said.filter(|said| !is_said(*said)).map(|(prefix, _)| prefix.net).collect()
    };
    let mut differing = missing(before, after);
    differing.extend(missing(after, before));
    differing
}
