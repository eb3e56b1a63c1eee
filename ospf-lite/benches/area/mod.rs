//! A ring of routers with random chords, so that each has four links, as the LSAs of its database.

use ipnet::{IpNet, Ipv6Net};
use ospf_lite::ids::{InterfaceId, LinkStateId, RouterId};
use ospf_lite::ospf::lsa::{
    IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey, Prefix, PrefixOptions, RouterLink, RouterLinkKind,
    RouterLsa, SequenceNumber,
};
use ospf_lite::ospf::packet::Options;

/// Returns one Router-LSA and one Intra-Area-Prefix-LSA with two prefixes per router; Router IDs count from 1.
pub fn lsas(routers: u32) -> Vec<Lsa> {
    let mut links: Vec<Vec<RouterLink>> = (0..routers).map(|_| Vec::new()).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for near in 0..routers {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let chord = u32::try_from(random % u64::from(routers)).unwrap_or(0);
        let cost = 1 + u16::try_from(random >> 32 & 15).unwrap_or(0);
        for far in [(near + 1) % routers, chord] {
            if far != near {
                join(&mut links, near, far, cost);
            }
        }
    }
    let parts = links.into_iter().zip(1..).flat_map(|(links, id)| [router(id, links), prefixes(id)]);
    parts.collect()
}

fn join(links: &mut [Vec<RouterLink>], near: u32, far: u32, metric: u16) {
    let next = |links: &[Vec<RouterLink>], router: u32| {
        let count = links.get(router as usize).map_or(0, Vec::len);
        InterfaceId(u32::try_from(count).unwrap_or(0) + 1)
    };
    let (near_interface, far_interface) = (next(links, near), next(links, far));
    let ends = [(near, near_interface, far, far_interface), (far, far_interface, near, near_interface)];
    for (from, interface_id, to, neighbor_interface_id) in ends {
        if let Some(links) = links.get_mut(from as usize) {
            links.push(RouterLink {
                kind: RouterLinkKind::PointToPoint,
                metric,
                interface_id,
                neighbor_interface_id,
                neighbor_router_id: RouterId(to + 1),
            });
        }
    }
}

/// Returns a Router-LSA.
pub fn router(id: u32, links: Vec<RouterLink>) -> Lsa {
    let options = Options::V6.with(Options::E).with(Options::R).with(Options::AF);
    let body = RouterLsa { border: false, external: false, virtual_endpoint: false, options, links };
    Lsa::originate(key(LsType::ROUTER, id), SequenceNumber::INITIAL, 1, LsaBody::Router(body))
}

/// Returns an Intra-Area-Prefix-LSA with two prefixes.
pub fn prefixes(id: u32) -> Lsa {
    let prefix = |bits: u128, length: u8| {
        let net = Ipv6Net::new(bits.into(), length).unwrap_or_default().trunc();
        Prefix { net: IpNet::V6(net), options: PrefixOptions::default() }
    };
    let lan = prefix(0xfd79 << 112 | u128::from(id) << 64, 64);
    let loopback = prefix(0xfd00 << 112 | u128::from(id), 128);
    let body =
        IntraAreaPrefixLsa { referenced: key(LsType::ROUTER, id), prefixes: vec![(lan, 10), (loopback, 0)] };
    let key = key(LsType::INTRA_AREA_PREFIX, id);
    Lsa::originate(key, SequenceNumber::INITIAL, 1, LsaBody::IntraAreaPrefix(body))
}

fn key(ls_type: LsType, router: u32) -> LsaKey {
    LsaKey { ls_type, link_state_id: LinkStateId(0), advertising_router: RouterId(router) }
}
