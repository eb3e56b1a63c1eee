//! What the routers and networks of the area announce, found by who announces it and by prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::ids::{InterfaceId, LinkStateId, RouterId};
use crate::ospf::graph::VertexId;
use crate::ospf::lsa::{IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey, Prefix, PrefixOptions};
use crate::ospf::shared::SharedMap;

/// The Intra-Area-Prefix-LSAs that count.
#[derive(Debug, Default)]
pub struct Announced {
    lsas: BTreeMap<(RouterId, LinkStateId), Arc<Lsa>>,
    /// Every prefix that may be used, each once for each LSA.
    said: SharedMap<(IpNet, RouterId, LinkStateId), Said>,
    /// How often who announces which prefixes has become otherwise.
    generation: u64,
}

/// What one LSA says of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    metric: u16,
    /// The Designated Router's interface to the transit network that has the prefix; nothing where a router has it.
    network: Option<InterfaceId>,
}

/// A prefix as one LSA announces it.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// The prefix.
    pub prefix: IpNet,
    /// The Advertising Router.
    pub router: RouterId,
    /// What the way from there costs.
    pub metric: u16,
    network: Option<InterfaceId>,
}

impl Offer {
    /// Returns the router or network that has the prefix.
    pub fn end(&self) -> VertexId {
        match self.network {
            Some(interface_id) => VertexId::Network { designated_router: self.router, interface_id },
            None => VertexId::Router(self.router),
        }
    }
}

impl Announced {
    /// Makes one without any LSA.
    pub const fn new() -> Self {
        Self { lsas: BTreeMap::new(), said: SharedMap::new(), generation: 0 }
    }

    /// Returns every LSA.
    pub fn lsas(&self) -> impl Iterator<Item = &Lsa> {
        self.lsas.values().map(|lsa| &**lsa)
    }

    /// Returns a number that is another one when there are other offers than before, or of other routers and networks.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns every prefix that may be used, in order, each once for each LSA that announces it.
    pub fn offers(&self) -> impl Iterator<Item = Offer> {
        self.said.iter().map(offer)
    }

    /// Returns what is announced of one prefix, in the order of the routers.
    pub fn offers_of(&self, prefix: IpNet) -> impl Iterator<Item = Offer> {
        let from = self.said.from(&(prefix, RouterId(0), LinkStateId(0)));
        from.map(offer).take_while(move |offer| offer.prefix == prefix)
    }

    /// Takes in that an Intra-Area-Prefix-LSA has another content, or that it does not count any more; the prefixes about
    /// which it says something else by that are added to `touched`.
    pub fn update(&mut self, key: &LsaKey, lsa: Option<Arc<Lsa>>, touched: &mut BTreeSet<IpNet>) {
        let place = (key.advertising_router, key.link_state_id);
        let old = self.lsas.get(&place).cloned();
        let (before, after) = (old.as_deref().and_then(intra), lsa.as_deref().and_then(intra));
        for net in differing(before, after) {
            touched.insert(net);
            self.say((net, place.0, place.1), after.and_then(|after| said(place.0, after, net)));
        }
        match lsa.filter(|lsa| intra(lsa).is_some()) {
            Some(lsa) => _ = self.lsas.insert(place, lsa),
            None => _ = self.lsas.remove(&place),
        }
    }

    fn say(&mut self, at: (IpNet, RouterId, LinkStateId), said: Option<Said>) {
        let before = match said {
            Some(said) => self.said.insert(at, said),
            None => self.said.remove(&at),
        };
        if before.map(|before| before.network) != said.map(|said| said.network) {
            self.generation += 1;
        }
    }

    /// Returns the prefixes that a router announces, for itself or for a transit network.
    pub fn prefixes_of(&self, router: RouterId) -> impl Iterator<Item = IpNet> {
        let all = (router, LinkStateId(0))..=(router, LinkStateId(u32::MAX));
        let lsas = self.lsas.range(all).filter_map(|(_, lsa)| intra(lsa));
        lsas.flat_map(|intra| intra.prefixes.iter().map(|(prefix, _)| prefix.net))
    }
}

fn intra(lsa: &Lsa) -> Option<&IntraAreaPrefixLsa> {
    match &lsa.body {
        LsaBody::IntraAreaPrefix(intra) => Some(intra),
        _ => None,
    }
}

fn offer((&(prefix, router, _), said): (&(IpNet, RouterId, LinkStateId), &Said)) -> Offer {
    Offer { prefix, router, metric: said.metric, network: said.network }
}

/// Returns what an LSA says of a prefix: nothing where it has the NU-bit, and nothing of what is another router's (RFC 5340
/// section 4.8.1).
fn said(router: RouterId, intra: &IntraAreaPrefixLsa, net: IpNet) -> Option<Said> {
    let network = match intra.referenced.ls_type {
        LsType::ROUTER => None,
        LsType::NETWORK => Some(InterfaceId(intra.referenced.link_state_id.0)),
        _ => return None,
    };
    let is_meant = |prefix: &Prefix| prefix.net == net && !prefix.options.contains(PrefixOptions::NU);
    let metrics = intra.prefixes.iter().filter(|(prefix, _)| is_meant(prefix)).map(|(_, metric)| *metric);
    let metric = metrics.min().filter(|_| intra.referenced.advertising_router == router)?;
    Some(Said { metric, network })
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
