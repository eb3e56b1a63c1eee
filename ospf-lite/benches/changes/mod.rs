//! What happens in the area of the benchmarks, as changes of its LSAs.

use std::sync::Arc;

use ospf_lite::ids::{InterfaceId, RouterId};
use ospf_lite::ospf::calculation::Change;
use ospf_lite::ospf::lsa::{IntraAreaPrefixLsa, Lsa, LsaBody, RouterLink, RouterLinkKind, SequenceNumber};

use crate::area::{lsas, prefixes, router};

/// Returns the area with one more router, linked with the one half way round.
pub fn with_leaf(routers: u32) -> Vec<Lsa> {
    let mut lsas = lsas(routers);
    let (near, leaf, id) = (RouterId(routers / 2), routers + 1, InterfaceId(0x0001_0000));
    let to = |neighbor_router_id| RouterLink {
        kind: RouterLinkKind::PointToPoint,
        metric: 5,
        interface_id: id,
        neighbor_interface_id: id,
        neighbor_router_id,
    };
    for lsa in lsas.iter_mut().filter(|lsa| lsa.header().key.advertising_router == near) {
        if let LsaBody::Router(body) = &lsa.body() {
            let mut links = body.links.clone();
            links.push(to(RouterId(leaf)));
            *lsa = router(near.0, links);
        }
    }
    lsas.extend([router(leaf, vec![to(near)]), prefixes(leaf)]);
    lsas
}

/// Returns the Router-LSA that takes a leaf's link away or gives it back, at the near end.
pub fn leaf_link(lsas: &[Lsa], leaf: RouterId, is_there: bool) -> Vec<Change> {
    let is_near = |links: &[RouterLink]| links.iter().any(|link| link.neighbor_router_id == leaf);
    let near = lsas.iter().filter_map(|lsa| match &lsa.body() {
        LsaBody::Router(body) if is_near(&body.links) => {
            let stays = |link: &&RouterLink| is_there || link.neighbor_router_id != leaf;
            let links = body.links.iter().filter(stays).copied().collect();
            Some(router(lsa.header().key.advertising_router.0, links))
        }
        _ => None,
    });
    near.map(told).collect()
}

/// Returns the Router-LSA of a router whose links all cost so much more.
pub fn dearer(lsas: &[Lsa], id: RouterId, more: u16) -> Vec<Change> {
    let of_it = lsas.iter().filter(|lsa| lsa.header().key.advertising_router == id);
    let dearer = of_it.filter_map(|lsa| match &lsa.body() {
        LsaBody::Router(body) => {
            let cost = |link: &RouterLink| RouterLink { metric: link.metric + more, ..*link };
            Some(router(id.0, body.links.iter().map(cost).collect()))
        }
        _ => None,
    });
    dearer.map(told).collect()
}

/// Returns the Intra-Area-Prefix-LSA of a router whose prefixes are all so much farther.
pub fn farther(lsas: &[Lsa], id: RouterId, more: u16) -> Vec<Change> {
    let of_it = lsas.iter().filter(|lsa| lsa.header().key.advertising_router == id);
    let farther = of_it.filter_map(|lsa| match &lsa.body() {
        LsaBody::IntraAreaPrefix(body) => {
            let prefixes = body.prefixes.iter().map(|(prefix, metric)| (*prefix, metric + more)).collect();
            let body = IntraAreaPrefixLsa { prefixes, ..*body };
            let body = LsaBody::IntraAreaPrefix(body);
            Some(Lsa::originate(lsa.header().key, SequenceNumber::INITIAL, 1, body))
        }
        _ => None,
    });
    farther.map(told).collect()
}

fn told(lsa: Lsa) -> Change {
    (lsa.header().key, Some(Arc::new(lsa)))
}
