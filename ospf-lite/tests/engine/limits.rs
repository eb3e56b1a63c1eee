//! What happens at the limits: what is too much is refused and counted, and everything else goes on.

use ospf_lite::config::{Config, Limits};
use ospf_lite::engine::Engine;
use ospf_lite::ids::{Family, LinkStateId, RouterId};
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, SequenceNumber};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{Net, seconds, stub, update};
use proptest::prelude::*;

/// A type that no router knows, for the whole area.
const UNKNOWN: LsType = LsType::from_bits(0xbff5);
/// The same for a link.
const UNKNOWN_OF_LINK: LsType = LsType::from_bits(0x9ff5);

/// Two routers that are Full, the first with these limits.
fn pair(limits: Limits) -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    start(&mut net, limits);
    net.join((1, 1), (2, 1), |_| {});
    net.run_until(seconds(10), Net::is_equal);
    net
}

fn start(net: &mut Net, limits: Limits) {
    let config = Config { limits, authentication_epoch: 9, ..Config::new(RouterId(1), Family::Ipv6) };
    net.engines.insert(1, Engine::new(config, net.now, 1));
}

fn lsa(ls_type: LsType, id: u32, router: u32, octets: usize) -> Lsa {
    let key = LsaKey { ls_type, link_state_id: LinkStateId(id), advertising_router: RouterId(router) };
    Lsa::originate(key, SequenceNumber::INITIAL, 1, LsaBody::Unknown(vec![7; octets]))
}

fn size(net: &Net) -> usize {
    net.engines[&1].database().count()
}

#[test]
fn a_database_that_is_full_refuses_what_others_originate_and_takes_its_own() {
    let mut net = pair(Limits { lsas: 20, ..Limits::default() });
    for router in 100..200 {
        net.inject_body((1, 1), update([lsa(UNKNOWN, 1, router, 8)]));
    }
    assert_eq!(size(&net), 20);
    assert!(net.refusals((1, 1), Refusal::DatabaseFull) >= 80);
    net.configure(1, stub((1, 7), Family::Ipv6));
    net.interface(1, ospf_lite::io::InterfaceEvent::Up(ospf_lite::ids::InterfaceId(7)));
    net.run(seconds(10));
    assert!(size(&net) > 20, "an own LSA did not fit");
    assert!(net.is_full((1, 1)) && net.is_full((2, 1)));
}

#[test]
fn a_router_that_announces_too_much_takes_nobody_elses_room() {
    let mut net = pair(Limits { lsas_per_router: 10, ..Limits::default() });
    for id in 0..50 {
        net.inject_body((1, 1), update([lsa(UNKNOWN, id, 99, 8)]));
    }
    net.inject_body((1, 1), update([lsa(UNKNOWN, 1, 98, 8)]));
    assert_eq!(net.refusals((1, 1), Refusal::RouterFull), 40);
    assert!(net.lsa(1, lsa(UNKNOWN, 1, 98, 8).header().key).is_some());
    assert!(net.is_full((1, 1)));
}

#[test]
fn the_lsas_of_a_link_have_a_limit_of_their_own() {
    let mut net = pair(Limits { lsas_per_link: 8, ..Limits::default() });
    let before = size(&net);
    for id in 0..50 {
        net.inject_body((1, 1), update([lsa(UNKNOWN_OF_LINK, id, 2, 8)]));
    }
    assert!(size(&net) <= before + 8);
    assert!(net.refusals((1, 1), Refusal::LinkFull) >= 42);
    assert!(net.is_full((1, 1)));
}

#[test]
fn octets_are_limited_also_where_an_lsa_grows() {
    let mut net = pair(Limits { octets: 4_000, ..Limits::default() });
    net.inject_body((1, 1), update([lsa(UNKNOWN, 1, 99, 400)]));
    let mut grown = lsa(UNKNOWN, 1, 99, 8);
    for (sequence, octets, refused) in [(1, 800, 0), (2, 1_200, 0), (3, 8, 0), (4, 1_200, 0)] {
        let number = SequenceNumber(SequenceNumber::INITIAL.0 + sequence);
        grown = Lsa::originate(grown.header().key, number, 1, LsaBody::Unknown(vec![1; octets]));
        net.run(seconds(2));
        net.inject_body((1, 1), update([grown.clone()]));
        assert_eq!(net.refusals((1, 1), Refusal::DatabaseFull), refused);
    }
    for router in 100..110 {
        net.inject_body((1, 1), update([lsa(UNKNOWN, 1, router, 1_000)]));
    }
    assert!(net.refusals((1, 1), Refusal::DatabaseFull) >= 8);
    // Whatever makes the database smaller always fits.
    let number = SequenceNumber(SequenceNumber::INITIAL.0 + 5);
    let shrunk = Lsa::originate(grown.header().key, number, 1, LsaBody::Unknown(vec![1; 8]));
    net.run(seconds(2));
    net.inject_body((1, 1), update([shrunk.clone()]));
    assert_eq!(net.lsa(1, shrunk.header().key).unwrap().0.sequence, number);
}

#[test]
fn a_neighbor_with_a_database_that_does_not_fit_becomes_full_all_the_same() {
    let mut net = Net::new(Family::Ipv6).routers(&[2]);
    start(&mut net, Limits { lsas_per_router: 5, ..Limits::default() });
    net = net.routers(&[3]);
    net.join((2, 2), (3, 1), |_| {});
    net.run_until(seconds(60), |net| net.is_full((2, 2)));
    for id in 0..40 {
        net.inject_body((2, 2), update([lsa(UNKNOWN, id, 99, 8)]));
    }
    net.join((1, 1), (2, 1), |_| {});
    net.run_until(seconds(60), |net| net.is_full((1, 1)) && net.is_full((2, 1)));
    assert!(net.refusals((1, 1), Refusal::RouterFull) >= 35);
}

#[test]
fn what_did_not_fit_comes_in_when_there_is_room() {
    let mut net = pair(Limits { lsas_per_router: 3, ..Limits::default() });
    net = net.routers(&[3]).link((2, 2), (3, 1));
    net.run_until(seconds(60), |net| net.is_full((2, 2)));
    let flooded = |net: &mut Net, lsa: Lsa| net.inject_body((2, 2), update([lsa]));
    (0..4).for_each(|id| flooded(&mut net, lsa(UNKNOWN, id, 99, 8)));
    net.run(seconds(20));
    let late = lsa(UNKNOWN, 3, 99, 8).header().key;
    assert!(net.lsa(1, late).is_none() && net.lsa(2, late).is_some());
    flooded(&mut net, lsa(UNKNOWN, 0, 99, 8).aged(3_600));
    net.run_until(seconds(20), |net| net.lsa(1, late).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_flood_of_lsas_grows_the_database_past_its_limits(
        flood in proptest::collection::vec((0..200_u32, 90..100_u32, 0..300_usize, any::<bool>()), 1..200),
    ) {
        let limits = Limits { lsas: 60, lsas_per_router: 12, lsas_per_link: 10, octets: 9_000 };
        let mut net = pair(limits);
        for (id, router, octets, is_of_link) in flood {
            let ls_type = if is_of_link { UNKNOWN_OF_LINK } else { UNKNOWN };
            net.inject_body((1, 1), update([lsa(ls_type, id, router, octets)]));
            let octets: usize = net.engines[&1].database().map(|lsa| lsa.lsa.octets().len()).sum();
            prop_assert!(size(&net) <= limits.lsas && octets <= limits.octets);
        }
        prop_assert_eq!(net.state((1, 1)), Some(NeighborState::Full));
    }
}
