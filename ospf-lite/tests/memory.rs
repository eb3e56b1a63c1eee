//! What an engine holds of a large area: octets of heap for each router, however the allocator rounds them up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test may panic: that is how it fails.

use std::alloc::System;

use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::ospf::lsa::{
    IntraAreaPrefixLsa, LsType, Lsa, LsaBody, Prefix, PrefixOptions, RouterLink, RouterLinkKind, RouterLsa,
    SequenceNumber,
};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::options::Options;
use ospf_testnet::{Net, key, seconds, update};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many routers the area has.
const ROUTERS: u32 = 1_000;
/// What an engine may hold of each: its two LSAs are 140 octets on the wire.
const OCTETS_MAX: usize = 800;
/// In how many pieces.
const PIECES_MAX: usize = 9;

/// Octets and pieces that are held.
fn held() -> (usize, usize) {
    let stats = ALLOCATOR.stats();
    let grown = stats.bytes_allocated.wrapping_add_signed(stats.bytes_reallocated);
    (grown - stats.bytes_deallocated, stats.allocations - stats.deallocations)
}

/// One of two ends that name each other.
fn link(interface: u32, to: u32, far_interface: u32) -> RouterLink {
    RouterLink {
        kind: RouterLinkKind::PointToPoint,
        metric: 10,
        interface_id: InterfaceId(interface),
        neighbor_interface_id: InterfaceId(far_interface),
        neighbor_router_id: RouterId(to),
    }
}

/// Router 2, the neighbor, and those from 3 on in a ring with chords, so that each has four links and a prefix.
fn lsas() -> Vec<Lsa> {
    let id = |place: u32| 3 + place % ROUTERS;
    let options = Options::V6.with(Options::E).with(Options::R).with(Options::AF);
    let router = |id: u32, links: Vec<RouterLink>| {
        let body = RouterLsa { border: false, external: false, virtual_endpoint: false, options, links };
        Lsa::originate(key(LsType::ROUTER, 0, id), SequenceNumber::INITIAL, 1, LsaBody::Router(body))
    };
    let mut lsas = vec![router(2, vec![link(1, 1, 1), link(2, id(0), 9)])];
    for place in 0..ROUTERS {
        let chord = ROUTERS / 3;
        let mut links = vec![
            link(1, id(place + 1), 2),
            link(2, id(place + ROUTERS - 1), 1),
            link(3, id(place + chord), 4),
            link(4, id(place + ROUTERS - chord), 3),
        ];
        links.extend((place == 0).then(|| link(9, 2, 2)));
        lsas.push(router(id(place), links));
        let net = format!("fd00:0:2:{place:x}::/64").parse().unwrap();
        let prefixes = vec![(Prefix { net, options: PrefixOptions::default() }, 10)];
        let body = IntraAreaPrefixLsa { referenced: key(LsType::ROUTER, 0, id(place)), prefixes };
        let key = key(LsType::INTRA_AREA_PREFIX, 0, id(place));
        lsas.push(Lsa::originate(key, SequenceNumber::INITIAL, 1, LsaBody::IntraAreaPrefix(body)));
    }
    lsas
}

/// Router 1 with all of that in its database and its routes found: it came in no order, as from a neighbor that keeps it in none.
fn loaded() -> Net {
    let mut net = Net::following(Family::Ipv6);
    net.bring((1, 1), NeighborState::Full);
    let mut lsas = lsas();
    let mut random = 0x2545_f491_u64;
    for place in 0..lsas.len() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(random >> 33).unwrap() % lsas.len();
        lsas.swap(place, other);
    }
    for some in lsas.chunks(10) {
        net.inject_body((1, 1), update(some.iter().cloned()));
    }
    net.run(seconds(30));
    net
}

#[test]
fn an_engine_holds_little_more_of_an_area_than_its_lsas_and_routes() {
    let mut net = loaded();
    let engine = net.engines.remove(&1).unwrap();
    assert_eq!(engine.routes().len(), usize::try_from(ROUTERS).unwrap());
    let (octets, pieces) = held();
    drop(engine);
    let (octets_after, pieces_after) = held();
    let each = |all: usize| all / usize::try_from(ROUTERS).unwrap();
    let (octets, pieces) = (each(octets - octets_after), each(pieces - pieces_after));
    assert!(octets <= OCTETS_MAX && pieces <= PIECES_MAX, "{octets} octets in {pieces} pieces a router");
}
