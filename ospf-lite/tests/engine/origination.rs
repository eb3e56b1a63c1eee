//! Origination: what a router says, how often, over how many LSAs, and what it takes back.

use std::time::Duration;

use ospf_lite::config::AdvertisedPrefix;
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
                let header = lsa.header;
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
fn the_first_change_goes_out_at_once_the_second_after_a_second_the_rest_every_five() {
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
    let LsaBody::IntraAreaPrefix(body) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(body.prefixes[0].1, 120);
}

#[test]
fn own_lsas_are_refreshed_before_half_an_hour_is_over() {
    let mut net = pair();
    let start = net.now;
    net.run(seconds(1_800));
    let refreshes = originations(&net, start, LsType::ROUTER);
    assert_eq!(refreshes.len(), 1);
    assert!(refreshes[0] >= seconds(1_470), "{refreshes:?}");
}

#[test]
fn the_last_sequence_number_is_flushed_before_the_first_is_used_again() {
    let mut net = pair();
    let (_, lsa) = net.lsa(1, key(LsType::ROUTER, 0, 1)).unwrap();
    let last = Lsa::originate(
        lsa.header.key,
        SequenceNumber(i32::MAX - 1),
        0,
        LsaBody::Router(match lsa.body {
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
fn an_own_lsa_of_an_earlier_life_is_flushed_when_it_is_not_wanted() {
    let mut net = pair();
    let (_, lsa) = net.lsa(1, key(LsType::ROUTER, 0, 1)).unwrap();
    let old = Lsa::originate(key(LsType::ROUTER, 7, 1), SequenceNumber(100), 10, lsa.body);
    own_lsa(&mut net, old);
    net.run_until(seconds(10), |net| net.lsa(1, key(LsType::ROUTER, 7, 1)).is_none());
    net.run(seconds(3));
    assert!(net.lsa(2, key(LsType::ROUTER, 7, 1)).is_none());
}

#[test]
fn an_own_lsa_of_an_earlier_life_is_outdone_when_it_says_something_else() {
    let mut net = pair();
    let (_, lsa) = net.lsa(1, key(LsType::ROUTER, 0, 1)).unwrap();
    let LsaBody::Router(mut router) = lsa.body.clone() else { panic!("{lsa:?}") };
    router.links.clear();
    own_lsa(&mut net, Lsa::originate(lsa.header.key, SequenceNumber(500), 10, LsaBody::Router(router)));
    net.run(seconds(2));
    let (header, seen) = net.lsa(2, key(LsType::ROUTER, 0, 1)).unwrap();
    assert_eq!((header.sequence, seen.body), (SequenceNumber(501), lsa.body));
}

#[test]
fn a_restarted_router_takes_back_what_it_does_not_want_any_more() {
    let mut net = pair();
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run_until(seconds(10), |net| net.engines[&2].routes().len() == 1);
    net.start(1);
    net.configure_up((1, 1), |_| {});
    net.run_until(seconds(10), |net| net.is_equal() && net.engines[&2].routes().is_empty());
    net.run(seconds(10));
    assert!(net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).is_none());
}

#[test]
fn a_restarted_router_with_the_same_links_says_nothing_that_was_known() {
    let mut net = pair();
    let before = net.lsa(2, key(LsType::ROUTER, 0, 2)).unwrap().0.sequence;
    net.start(2);
    net.configure_up((2, 1), |_| {});
    net.run_until(seconds(2), |net| net.is_equal() && net.engines[&2].is_settled());
    net.run(seconds(5));
    assert_eq!(net.lsa(1, key(LsType::ROUTER, 0, 2)).unwrap().0.sequence, before);
}

#[test]
fn a_hundred_links_and_their_prefixes_fit_into_lsas_of_limited_size() {
    let mut net = Net::new(Family::Ipv6).routers(&(1..=101).collect::<Vec<_>>());
    for far in 2..=101 {
        net.join((1, far), (far, 1), |_| {});
        net.configure(1, stub((1, 1_000 + far), Family::Ipv6));
        net.interface(1, InterfaceEvent::Up(InterfaceId(1_000 + far)));
    }
    net.run(seconds(12));
    assert!(net.is_equal());
    assert_eq!(net.engines[&101].routes().len(), 100);
    let own = |net: &Net| {
        let lsas = net.engines[&101].database();
        lsas.filter(|lsa| lsa.header.key.advertising_router.0 == 1)
            .filter(|lsa| lsa.header.key.ls_type == LsType::ROUTER)
            .map(|lsa| lsa.header)
            .collect::<Vec<_>>()
    };
    let before = own(&net);
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|header| header.length <= 1_100));
    assert_eq!(net.engines[&101].graph().vertices().count(), 101);

    net.interface(1, InterfaceEvent::Down(InterfaceId(2)));
    net.run(seconds(10));
    let after = own(&net);
    assert_eq!(after.iter().zip(&before).filter(|(new, old)| new.sequence != old.sequence).count(), 1);
}

#[test]
fn link_local_prefixes_and_those_of_the_other_family_are_never_advertised() {
    let mut net = pair();
    let mut config = stub((1, 9), Family::Ipv6);
    for prefix in ["fe80::/64", "10.9.0.0/16"] {
        let prefix = prefix.parse().unwrap();
        config.prefixes.push(AdvertisedPrefix { prefix, metric: 1, local_address: false });
    }
    net.configure(1, config);
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(10));
    let (_, lsa) = net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).unwrap();
    let LsaBody::IntraAreaPrefix(body) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(body.prefixes.len(), 1);
}
