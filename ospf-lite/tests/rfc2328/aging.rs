//! Sections 13.3, 14 and 14.1: ages, MaxAge and what is done about it.

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, PrivateContent};
use ospf_lite::ospf::lsa::MAX_AGE;
use ospf_testnet::{DELAY, Net, PRIVATE, foreign, key, seconds, update};

#[test]
fn s13_3_age_grows_by_inf_trans_delay_on_every_link_and_with_the_time() {
    let mut net = Net::line();
    let now = net.now;
    net.engine(1).handle_private(now, PrivateContent { ls_type: PRIVATE, parts: vec![vec![1; 8]] });
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    net.run(DELAY * 3);
    assert_eq!(net.lsa(3, key(PRIVATE, 0, 1)).unwrap().0.age, 2);
    net.run(seconds(100));
    // The age is that at the last input.
    let age = net.lsa(3, key(PRIVATE, 0, 1)).unwrap().0.age;
    assert!((92..=102).contains(&age), "{age}");
}

#[test]
fn s14_max_age_ends_an_lsa_that_nobody_refreshes() {
    let mut net = Net::line();
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(u64::from(MAX_AGE) - 60));
    assert!(net.lsa(3, key(PRIVATE, 1, 99)).is_some());
    net.run(seconds(70));
    for router in [1, 2, 3] {
        assert!(net.lsa(router, key(PRIVATE, 1, 99)).is_none(), "router {router}");
    }
    assert!(net.is_equal());
}

#[test]
fn s13_3_age_never_grows_past_max_age() {
    let mut net = Net::line();
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE - 1)]));
    net.run(DELAY * 3);
    // Router 3 gets it with InfTransDelay added: that is MaxAge, and no more.
    assert_eq!(net.sent.iter().filter_map(age_of).max(), Some(MAX_AGE));
}

fn age_of(sent: &ospf_testnet::Sent) -> Option<u16> {
    match sent.packet(Family::Ipv6).body {
        ospf_lite::ospf::packet::PacketBody::LinkStateUpdate(update) => update
            .lsas
            .iter()
            .map(|aged| u16::from_be_bytes([aged.lsa.octets()[0], aged.lsa.octets()[1]]))
            .max(),
        _ => None,
    }
}

#[test]
fn s14_max_age_lsa_is_flooded_at_the_moment_it_has_that_age() {
    let mut net = Net::line();
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE - 30)]));
    net.run(seconds(10));
    let start = net.now;
    net.run(seconds(25));
    let flushed = |sent: &ospf_testnet::Sent| sent.at >= start && age_of(sent) == Some(MAX_AGE);
    assert!(net.sent.iter().any(flushed));
}

#[test]
fn s14_removal_waits_until_every_neighbor_has_acknowledged() {
    let mut net = Net::line();
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(5));
    net.loses = |_, sent| sent.from == (3, 1);
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE)]));
    net.run(seconds(20));
    assert_eq!(net.lsa(2, key(PRIVATE, 1, 99)).unwrap().0.age, MAX_AGE);
    net.loses = |_, _| false;
    net.run(seconds(10));
    assert!(net.lsa(2, key(PRIVATE, 1, 99)).is_none());
}

#[test]
fn s14_removal_waits_while_a_database_is_compared() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3]).link((1, 1), (2, 1)).link((2, 2), (3, 1));
    net.loses = |_, sent| {
        sent.from.0 == 3
            && !matches!(sent.packet(Family::Ipv6).body, ospf_lite::ospf::packet::PacketBody::Hello(_))
    };
    net.run(seconds(10));
    assert!(net.is_full((2, 1)));
    net.inject_body(
        (2, 2),
        ospf_lite::ospf::packet::PacketBody::DatabaseDescription(
            ospf_lite::ospf::packet::DatabaseDescription {
                init: true,
                ..ospf_testnet::description(Family::Ipv6, 7)
            },
        ),
    );
    assert_eq!(net.state((2, 2)), Some(ospf_lite::ospf::neighbor::NeighborState::Exchange));
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE)]));
    net.inject_body(
        (2, 2),
        ospf_lite::ospf::packet::PacketBody::LinkStateAcknowledgment(vec![
            foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE).header(),
        ]),
    );
    net.run(seconds(20));
    assert!(net.lsa(2, key(PRIVATE, 1, 99)).is_some());
    net.interface(2, InterfaceEvent::Down(InterfaceId(2)));
    net.run(seconds(5));
    assert!(net.lsa(2, key(PRIVATE, 1, 99)).is_none());
}

#[test]
fn s14_1_premature_aging_is_for_own_lsas_alone() {
    let mut net = Net::line();
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(5));
    let now = net.now;
    net.engine(2).handle_private(now, PrivateContent { ls_type: PRIVATE, parts: vec![vec![1; 8]] });
    net.collect(2);
    net.run(seconds(5));
    let now = net.now;
    net.engine(2).handle_private(now, PrivateContent { ls_type: PRIVATE, parts: Vec::new() });
    net.collect(2);
    net.run(seconds(10));
    assert!(net.lsa(3, key(PRIVATE, 0, 2)).is_none());
    assert!(net.lsa(3, key(PRIVATE, 1, 99)).is_some());
}
