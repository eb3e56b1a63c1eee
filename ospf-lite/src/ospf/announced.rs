//! What LSAs announce: who offers which prefixes, and how.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::ids::{Distance, InterfaceId, LinkStateId, RouterId};
use crate::ospf::graph::VertexId;
use crate::ospf::lsa::{
    AsExternalLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey, MAX_AGE, Prefix, PrefixOptions,
};
use crate::ospf::shared::SharedMap;

/// Where Inter-Area-Router-LSAs begin.
const FIRST_FAR_ROUTER: LsaKey = LsaKey {
    ls_type: LsType::INTER_AREA_ROUTER,
    link_state_id: LinkStateId(0),
    advertising_router: RouterId(0),
};

/// The LSAs that count and announce prefixes, or routers of other areas.
#[derive(Debug, Default)]
pub struct Announced {
    lsas: SharedMap<LsaKey, Arc<Lsa>>,
}

/// What one LSA says of a prefix, whoever's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// The router has it (RFC 5340 section 4.8.1).
    Router {
        /// What the way from there costs.
        metric: u16,
    },
    /// The transit network has it of which the router is the Designated Router.
    Network {
        /// The Designated Router's interface to the network.
        interface: InterfaceId,
        /// What the way from there costs.
        metric: u16,
    },
    /// It is another area's (RFC 5340 section 4.8.3).
    OtherArea {
        /// What the way from the area border router costs.
        metric: u32,
    },
    /// It is from outside (RFC 5340 section 4.8.4).
    Outside {
        /// Whether its metric decides before all distances.
        is_type2: bool,
        /// The metric, less than LSInfinity.
        metric: u32,
        /// Where to send in place of the router that says so.
        forwarding: Option<IpAddr>,
    },
}

/// A prefix as one router announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The Advertising Router.
    pub router: RouterId,
    /// What it says.
    pub said: Said,
}

/// A prefix of which something is said, or is said no longer.
pub type Saying = (IpNet, Said);

impl Offer {
    /// Returns the router or network of the area that has the prefix, or that leads to it.
    pub fn end(&self) -> VertexId {
        match self.said {
            Said::Network { interface, .. } => {
                VertexId::Network { designated_router: self.router, interface_id: interface }
            }
            Said::Router { .. } | Said::OtherArea { .. } | Said::Outside { .. } => {
                VertexId::Router(self.router)
            }
        }
    }

    /// Returns whether what it comes to depends on the way to another prefix.
    pub fn is_forwarded(&self) -> bool {
        matches!(self.said, Said::Outside { forwarding: Some(_), .. })
    }
}

impl Announced {
    /// Makes one without any LSA.
    pub const fn new() -> Self {
        Self { lsas: SharedMap::new() }
    }

    /// Returns whether any router of another area is announced.
    pub fn has_far_routers(&self) -> bool {
        self.inter_area_routers().next().is_some()
    }

    /// Returns the ways to a router of another area: who announces it, and what the way from there costs.
    pub fn ways_to(&self, router: RouterId) -> impl Iterator<Item = (RouterId, u32)> {
        self.inter_area_routers().filter_map(move |(key, lsa)| match lsa.body() {
            LsaBody::InterAreaRouter(inter) if inter.destination == router => {
                Some((key.advertising_router, inter.metric))
            }
            _ => None,
        })
    }

    fn inter_area_routers(&self) -> impl Iterator<Item = (&LsaKey, &Arc<Lsa>)> {
        self.lsas.from(&FIRST_FAR_ROUTER).take_while(|(key, _)| key.ls_type == LsType::INTER_AREA_ROUTER)
    }

    /// Takes in that an LSA has another content, or that it does not count any more. Returns what its router says no longer,
    /// and what it says besides.
    pub fn update(&mut self, key: LsaKey, lsa: Option<Arc<Lsa>>) -> (Vec<Saying>, Vec<Saying>) {
        let lsa = lsa.filter(|lsa| lsa.header().age < MAX_AGE);
        let after = lsa.as_deref().map(sayings).unwrap_or_default();
        let before = match lsa {
            Some(lsa) => self.lsas.insert(key, lsa),
            None => self.lsas.remove(&key),
        };
        apart(before.as_deref().map(sayings).unwrap_or_default(), after)
    }
}

/// Returns what an LSA says of prefixes, in order: nothing of those with the NU-bit, and nothing of what is another router's
/// (RFC 5340 section 4.8.1).
fn sayings(lsa: &Lsa) -> Vec<Saying> {
    let mut said: Vec<Saying> = match lsa.body() {
        LsaBody::IntraAreaPrefix(intra) => of_area(lsa.header().key.advertising_router, &intra),
        LsaBody::InterAreaPrefix(inter) => {
            vec![(inter.prefix, Said::OtherArea { metric: inter.metric })]
        }
        LsaBody::AsExternal(external) => from_outside(&external).into_iter().collect(),
        _ => Vec::new(),
    }
    .into_iter()
    .filter(|(prefix, _)| !prefix.options.contains(PrefixOptions::NU))
    .map(|(prefix, said)| (prefix.net, said))
    .collect();
    said.sort_unstable();
    said
}

fn of_area(router: RouterId, intra: &IntraAreaPrefixLsa) -> Vec<(Prefix, Said)> {
    let referenced = intra.referenced;
    let interface = InterfaceId(referenced.link_state_id.0);
    let said = |metric| match referenced.ls_type {
        LsType::ROUTER => Some(Said::Router { metric }),
        LsType::NETWORK => Some(Said::Network { interface, metric }),
        _ => None,
    };
    let prefixes = intra.prefixes.iter().filter(|_| referenced.advertising_router == router);
    prefixes.filter_map(|(prefix, metric)| Some((*prefix, said(*metric)?))).collect()
}

fn from_outside(external: &AsExternalLsa) -> Option<(Prefix, Said)> {
    let forwarding = external.forwarding_address.filter(|address| !address.is_unspecified());
    let said = Said::Outside { is_type2: external.type2, metric: external.metric, forwarding };
    (external.metric < Distance::INFINITY.0).then_some((external.prefix, said))
}

/// Returns what is only in the first, and what is only in the second, of two lists in order.
fn apart(before: Vec<Saying>, after: Vec<Saying>) -> (Vec<Saying>, Vec<Saying>) {
    if before.is_empty() || after.is_empty() {
        return (before, after);
    }
    let (mut gone, mut added) = (Vec::new(), Vec::new());
    let mut before = before.into_iter().peekable();
    for said in after {
        while let Some(old) = before.next_if(|old| *old < said) {
            gone.push(old);
        }
        if before.next_if_eq(&said).is_none() {
            added.push(said);
        }
    }
    gone.extend(before);
    (gone, added)
}
