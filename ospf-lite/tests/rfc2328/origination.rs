//! Sections 12 and 13.4: what this router originates, when, and with which numbers.

use std::time::Duration;

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, SequenceNumber};
use ospf_lite::ospf::packet::{AgedLsa, LinkStateUpdate, PacketBody};
use ospf_lite::time::Instant;

use ospf_testnet::{Net, key, seconds, stub};

fn pair() -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.run_until(seconds(10), Net::is_equal);
    net.run(seconds(20));
    net
}

/// The moments at which router 1 sent the LSA, without retransmissions.
fn originations(net: &Net, since: Instant, ls_type: LsType) -> Vec<Duration> {
    let mut sequences = std::collections::BTreeMap::new();
    for sent in net.sent.iter().filter(|sent| sent.from.0 == 1 && sent.at >= since) {
        if let PacketBody::LinkStateUpdate(update) = sent.packet(net.family).body {
            for AgedLsa { lsa, .. } in update.lsas {
                let header = lsa.header();
                if header.key.ls_type == ls_type && header.key.advertising_router.0 == 1 {
                    sequences.entry(header.sequence).or_insert(sent.at.since(since));
                }
            }
        }
    }
    sequences.into_values().collect()
}

fn own_lsa(net: &mut Net, lsa: Lsa) {
    let lsas = vec![AgedLsa::from(lsa)];
    net.inject_body((1, 1), PacketBody::LinkStateUpdate(LinkStateUpdate { lsas, refused: Vec::new() }));
}

#[test]
fn s12_4_min_ls_interval_holds_from_the_third_origination_in_a_row_on() {
    let mut net = pair();
    let start = net.now;
    for step in 0..120_u32 {
        let mut config = stub((1, 9), Family::Ipv6);
        config.prefixes[0].metric = u16::try_from(step).unwrap() + 1;
        net.configure(1, config);
        net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
        net.run(Duration::from_millis(100));
    }
    net.run(seconds(10));
    let moments: Vec<u128> = originations(&net, start, LsType::INTRA_AREA_PREFIX)
        .iter()
        .map(|moment| (moment.as_millis() + 50) / 100)
        .collect();
    assert_eq!(moments, [0, 11, 61, 111, 161]);
    let (_, lsa) = net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap();
    let LsaBody::IntraAreaPrefix(body) = lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(body.prefixes[0].1, 120);
}

#[test]
fn s12_4_refresh_comes_before_half_an_hour_is_over() {
    let mut net = pair();
    let start = net.now;
    net.run(seconds(1_800));
    let refreshes = originations(&net, start, LsType::ROUTER);
    assert_eq!(refreshes.len(), 1);
    assert!(refreshes[0] >= seconds(1_470), "{refreshes:?}");
}

#[test]
fn s12_1_6_wrap_flushes_the_last_number_before_the_first_is_used_again() {
    let mut net = pair();
    let (_, lsa) = net.lsa(1, key(LsType::ROUTER, 0, 1)).unwrap();
    let last = Lsa::originate(
        lsa.header().key,
        SequenceNumber(i32::MAX - 1),
        0,
        LsaBody::Router(match lsa.body() {
            LsaBody::Router(mut router) => {
                router.links.clear();
                router
            }
            other => panic!("{other:?}"),
        }),
    );
    own_lsa(&mut net, last);
    net.run(seconds(3));
    assert_eq!(net.lsa(2, key(LsType::ROUTER, 0, 1)).unwrap().0.sequence, SequenceNumber::MAX);
    net.run(seconds(1_900));
    net.run_until(seconds(20), Net::is_equal);
    let (header, _) = net.lsa(2, key(LsType::ROUTER, 0, 1)).unwrap();
    assert!(header.sequence < SequenceNumber(SequenceNumber::INITIAL.0 + 3), "{header:?}");
    assert!(!originations(&net, Instant::ORIGIN, LsType::ROUTER).is_empty());
}

#[test]
fn s13_4_self_originated_is_flushed_when_it_is_not_wanted() {
    let mut net = pair();
    let (_, lsa) = net.lsa(1, key(LsType::ROUTER, 0, 1)).unwrap();
    let old = Lsa::originate(key(LsType::ROUTER, 7, 1), SequenceNumber(100), 10, lsa.body());
    own_lsa(&mut net, old);
    net.run_until(seconds(10), |net| net.lsa(1, key(LsType::ROUTER, 7, 1)).is_none());
    net.run(seconds(3));
    assert!(net.lsa(2, key(LsType::ROUTER, 7, 1)).is_none());
}

#[test]
fn s13_4_self_originated_is_outdone_when_it_says_something_else() {
    let mut net = pair();
    let (_, lsa) = net.lsa(1, key(LsType::ROUTER, 0, 1)).unwrap();
    let LsaBody::Router(mut router) = lsa.body() else { panic!("{lsa:?}") };
    router.links.clear();
    own_lsa(&mut net, Lsa::originate(lsa.header().key, SequenceNumber(500), 10, LsaBody::Router(router)));
    net.run(seconds(2));
    let (header, seen) = net.lsa(2, key(LsType::ROUTER, 0, 1)).unwrap();
    assert_eq!((header.sequence, seen.body()), (SequenceNumber(501), lsa.body()));
}

#[test]
fn s12_1_1_age_of_an_origination_is_0() {
    let mut net = pair();
    let (sent, now) = (net.sent.len(), net.now);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    let own = net.engines[&1].database().find(|lsa| lsa.header.key.ls_type == LsType::INTRA_AREA_PREFIX);
    assert_eq!((own.unwrap().header.age, net.now, net.sent.len()), (0, now, sent + 1));
}

#[test]
fn s12_1_6_sequence_begins_with_the_first_number_and_grows_by_one() {
    let mut net = pair();
    let numbers: Vec<i32> = (1..4)
        .map(|metric| {
            let mut config = stub((1, 9), Family::Ipv6);
            config.prefixes[0].metric = metric;
            net.configure(1, config);
            net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
            net.run(seconds(20));
            net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap().0.sequence.0
        })
        .collect();
    assert_eq!(numbers, [i32::MIN + 1, i32::MIN + 2, i32::MIN + 3]);
}

#[test]
fn s12_1_7_checksum_of_an_lsa_is_never_zero_and_does_not_cover_the_age() {
    for content in 0..=255 {
        let lsa = ospf_testnet::foreign(LsType::from_bits(0xbff0), 1, i32::from(content), content);
        assert_ne!(lsa.header().checksum, 0);
        assert_eq!(lsa.aged(1000).header().checksum, lsa.header().checksum);
        assert!(ospf_lite::wire::lsa::decode(lsa.aged(1000).octets(), Family::Ipv6).is_ok());
    }
}

#[test]
fn s12_4_triggers_are_interfaces_costs_and_adjacencies() {
    let mut net = pair();
    let sequence = |net: &Net, ls_type| net.lsa(2, key(ls_type, 0, 1)).map(|(header, _)| header.sequence.0);
    let before = sequence(&net, LsType::ROUTER);
    let mut config = ospf_testnet::interface((1, 1), Family::Ipv6);
    if let ospf_lite::config::InterfaceKind::PointToPoint(link) = &mut config.kind {
        link.cost = ospf_lite::ids::Cost::new(77).unwrap();
    }
    net.configure(1, config);
    net.run(seconds(1));
    assert_eq!(sequence(&net, LsType::ROUTER), before.map(|before| before + 1));
    assert_eq!(sequence(&net, LsType::INTRA_AREA_PREFIX), None);
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(1));
    assert!(sequence(&net, LsType::INTRA_AREA_PREFIX).is_some());
    net.interface(1, InterfaceEvent::Down(InterfaceId(9)));
    net.run(seconds(10));
    assert_eq!(sequence(&net, LsType::INTRA_AREA_PREFIX), None);
    net.cut((1, 1));
    net.run(seconds(60));
    assert_eq!(net.router_lsa(1, 1).links, []);
}
