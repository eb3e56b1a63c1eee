//! The router that restarts (RFC 3623 sections 2 and 5).

use std::time::Duration;

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, Leaving};
use ospf_lite::ospf::lsa::{GraceLsa, LsType, LsaBody, RestartReason, SequenceNumber};
use ospf_lite::ospf::neighbor::{HelpReason, NeighborState};
use ospf_lite::ospf::packet::{Packet, PacketBody};
use ospf_lite::time::Instant;
use ospf_testnet::{End, Net, Sent, key, prefix, seconds, stub};

use crate::{FAMILIES, PERIOD, help, is_helped, is_undisturbed, said, sequences, start_again, stop};

#[test]
fn s2_lsas_are_not_originated_nor_flushed_before_the_adjacencies_are_back() {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        let before = sequences(&net, 2);
        stop(&mut net);
        net.run(seconds(2));
        start_again(&mut net);
        net.run_until(seconds(10), |net| net.engines[&2].is_settled());
        net.run(seconds(60));
        assert!(net.is_equal());
        assert_eq!(sequences(&net, 2), before, "{family}");
    }
}

#[test]
fn s2_routes_of_the_time_before_are_not_replaced_until_the_restart_is_over() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    start_again(&mut net);
    net.run_until(seconds(10), |net| {
        let engine = &net.engines[&2];
        assert!(!engine.is_settled() || engine.restart_left().is_none());
        engine.is_settled()
    });
    assert_eq!(net.engines[&2].routes().len(), 2);
}

#[test]
fn s2_1_planned_asks_every_neighbor_for_grace_and_flushes_nothing() {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        let before = sequences(&net, 2);
        stop(&mut net);
        assert!(is_helped(&net, HelpReason::Announced));
        for (router, id) in [(1, 1), (3, 3)] {
            let (_, lsa) = net.lsa(router, key(LsType::GRACE, id, 2)).unwrap();
            let reason = RestartReason::SoftwareReload;
            assert_eq!(lsa.body(), LsaBody::Grace(GraceLsa { period: PERIOD, reason }));
        }
        assert_eq!(sequences(&net, 2), before);
    }
}

#[test]
fn s2_1_planned_is_acknowledged_at_once_even_when_a_packet_is_lost() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.loses = |_, sent| sent.from == (2, 3) && sent.octets[1] == 4 && sent.at.as_micros() % 1_000_000 == 0;
    let now = net.now;
    net.engine(2).handle_leaving(now, Leaving::Restart(RestartReason::SoftwareRestart));
    net.collect(2);
    let elapsed = net.run_until(seconds(1), |net| net.engines[&2].is_acknowledged());
    assert!(elapsed < Duration::from_millis(200), "{elapsed:?}");
}

#[test]
fn s2_1_planned_loses_no_packet_though_it_takes_longer_than_the_dead_interval() {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        stop(&mut net);
        for _ in 0..1_000 {
            net.run(Duration::from_millis(100));
            assert!(is_undisturbed(&net), "{family} at {}", net.now);
        }
        assert_eq!(net.state((1, 2)), Some(NeighborState::Down));
        start_again(&mut net);
        net.run_until(seconds(10), |net| {
            assert!(is_undisturbed(net), "{family} at {}", net.now);
            net.is_equal()
        });
        net.run(seconds(30));
        assert!(is_undisturbed(&net));
        assert_eq!((help(&net, (1, 2)), help(&net, (3, 2))), (None, None));
    }
}

#[test]
fn s2_2_exit_when_every_adjacency_of_the_time_before_is_full() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    // The link to router 3 loses everything for a while.
    net.loses = |_, sent| sent.from == (3, 2) || sent.from == (2, 3);
    start_again(&mut net);
    net.run_until(seconds(20), |net| net.is_full((2, 1)));
    net.run(seconds(10));
    assert!(!net.engines[&2].is_settled(), "router 3 is missing");
    assert!(is_undisturbed(&net));
    net.loses = |_, _| false;
    net.run_until(seconds(30), |net| {
        assert!(is_undisturbed(net));
        net.engines[&2].is_settled()
    });
    assert!(net.is_full((2, 1)) && net.is_full((2, 3)));
}

/// Router 3 cannot say so itself: its Router-LSA comes by router 1.
#[test]
fn s2_2_exit_when_a_neighbor_does_not_list_this_router() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    // Nobody was asked for grace: routers 1 and 3 give the links up.
    net.run(seconds(60));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
    net.loses = is_description_between_2_and_3;
    start_again(&mut net);
    let elapsed = net.run_until(seconds(20), |net| net.engines[&2].restart_left().is_none());
    assert!(elapsed < seconds(3), "{elapsed:?}");
    assert!(net.is_full((2, 1)) && !net.is_full((2, 3)));
    net.loses = |_, _| false;
    net.run_until(seconds(20), |net| net.is_equal() && is_undisturbed(net));
}

#[test]
fn s2_2_exit_when_the_grace_period_is_over() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    // Router 3 hears router 2, and is heard.
    net.loses = is_description_between_2_and_3;
    let start = net.now;
    start_again(&mut net);
    net.run_until(seconds(20), |net| net.is_full((2, 1)));
    net.run(seconds(10));
    // Nor does router 2 learn that router 3 has given it up, which would end the restart as well.
    net.loses = |count, sent| {
        is_description_between_2_and_3(count, sent) || sent.from == (1, 2) && sent.octets[1] == 4
    };
    let period = seconds(u64::from(PERIOD));
    net.run(period - net.now.since(start) - Duration::from_millis(1));
    assert!(net.engines[&2].restart_left().is_some());
    net.run(Duration::from_millis(1));
    assert!(net.engines[&2].restart_left().is_none());
    net.loses = is_description_between_2_and_3;
    net.run(seconds(11));
    assert!(net.engines[&2].is_settled());
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
}

fn is_description_between_2_and_3(_: u64, sent: &Sent) -> bool {
    (sent.from == (3, 2) || sent.from == (2, 3)) && sent.octets[1] == 2
}

#[test]
fn s2_2_exit_when_who_is_missing_is_not_heard_for_the_dead_interval() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    net.engines.remove(&3);
    start_again(&mut net);
    net.run(seconds(38));
    assert!(net.engines[&2].restart_left().is_some());
    net.run_until(seconds(10), |net| net.engines[&2].restart_left().is_none());
}

#[test]
fn s2_3_afterwards_the_grace_lsas_are_flushed_and_the_own_lsas_follow_from_what_is() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    start_again(&mut net);
    // It comes back with a prefix more.
    net.configure(2, stub((2, 9), Family::Ipv6));
    net.interface(2, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(30));
    for (router, id) in [(1, 1), (3, 3)] {
        assert!(net.lsa(router, key(LsType::GRACE, id, 2)).is_none());
    }
    let far = prefix((2, 9), Family::Ipv6).prefix;
    assert!(net.engines[&1].routes().get(&far).is_some());
    assert!(net.is_equal() && is_undisturbed(&net));
}

#[test]
fn s5_before_any_hello_grace_lsas_go_out_and_a_crash_loses_nothing() {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        let before = sequences(&net, 2);
        net.engines.remove(&2);
        net.run(seconds(2));
        let since = net.now;
        start_again(&mut net);
        net.run_until(seconds(10), |net| {
            assert!(is_undisturbed(net), "{family} at {}", net.now);
            net.engines[&2].is_settled()
        });
        for interface in [1, 3] {
            let said = said(&net, since, (2, interface));
            let hello = said.iter().position(|packet| matches!(packet.body, PacketBody::Hello(_))).unwrap();
            assert!(hello >= 2, "{said:?}");
            assert!(said[..hello].iter().all(|packet| match &packet.body {
                PacketBody::LinkStateUpdate(update) => update.lsas.iter().all(|aged| {
                    let reason = RestartReason::Unknown;
                    aged.lsa.body() == LsaBody::Grace(GraceLsa { period: PERIOD, reason })
                }),
                _ => false,
            }));
        }
        net.run(seconds(30));
        assert_eq!(sequences(&net, 2), before);
        assert!(net.is_equal() && is_undisturbed(&net));
    }
}

#[test]
fn s5_before_any_hello_the_grace_lsa_is_repeated_until_it_is_acknowledged() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    net.run(seconds(2));
    net.loses = |count, sent| sent.from.0 == 2 && sent.octets[1] == 4 && count % 3 != 0;
    start_again(&mut net);
    net.run_until(seconds(30), |net| {
        assert!(is_undisturbed(net), "at {}", net.now);
        net.engines[&2].is_settled()
    });
}

#[test]
fn s5_before_any_hello_a_neighbor_that_does_not_answer_is_waited_for_a_second() {
    let mut net = Net::new(Family::Ipv6).routers(&[1]);
    net.start_with(2, |config| config.restarting = true);
    let since = net.now;
    let mut net = net.link((2, 1), (1, 1));
    net.run_until(seconds(3), |net| {
        said(net, since, (2, 1)).iter().any(|packet| matches!(packet.body, PacketBody::Hello(_)))
    });
    assert!(net.now.since(since) <= seconds(1));
    net.run_until(seconds(20), |net| net.is_equal() && net.engines[&2].is_settled());
}

#[test]
fn s5_off_a_router_that_has_nothing_to_preserve_sends_no_grace_lsa() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    net.run(seconds(2));
    let since = net.now;
    net.start(2);
    for far in [1, 3] {
        net.configure_up((2, far), |_| {});
    }
    net.run(seconds(20));
    let is_grace = |packet: &Packet| match &packet.body {
        PacketBody::LinkStateUpdate(update) => {
            update.lsas.iter().any(|aged| aged.lsa.header().key.ls_type == LsType::GRACE)
        }
        _ => false,
    };
    assert!(!said(&net, since, (2, 1)).iter().any(is_grace));
}

#[test]
fn s2_1_age_runs_and_is_not_reset_when_the_grace_lsa_is_repeated() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.loses = |_, sent| sent.from.0 != 2 && sent.octets[1] == 5;
    let since = net.now;
    net.engine(2).handle_leaving(since, Leaving::Restart(RestartReason::SoftwareReload));
    net.collect(2);
    net.run(seconds(31));
    let copies = grace_lsas_sent(&net, (2, 1), since);
    assert!(copies.iter().any(|(after, ..)| *after >= seconds(30)), "{copies:?}");
    for (after, sequence, age) in &copies {
        assert_eq!(*sequence, copies[0].1);
        // InfTransDelay counts as the way.
        assert_eq!(u64::from(*age), after.as_secs() + 1, "{copies:?}");
    }
}

#[test]
fn s2_1_age_and_sequence_number_stay_when_the_grace_lsa_is_repeated_before_the_first_hello() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    net.run(seconds(2));
    net.loses = |_, sent| sent.from.0 != 2 && sent.octets[1] == 5;
    let since = net.now;
    start_again(&mut net);
    net.run(Duration::from_millis(999));
    let copies = grace_lsas_sent(&net, (2, 1), since);
    assert!(copies.len() > 3, "{copies:?}");
    assert!(copies.iter().all(|(_, sequence, age)| (*sequence, *age) == (copies[0].1, 1)), "{copies:?}");
}

/// How long after a moment, with which sequence number and with which age the Grace-LSAs went out over an interface.
fn grace_lsas_sent(net: &Net, from: End, since: Instant) -> Vec<(Duration, SequenceNumber, u16)> {
    let mut copies = Vec::new();
    for sent in net.sent.iter().filter(|sent| sent.at >= since && sent.from == from) {
        if let PacketBody::LinkStateUpdate(update) = sent.packet(net.family).body {
            let lsas = update.lsas.iter().map(|aged| (aged.lsa.header(), aged.age));
            let grace = lsas.filter(|(header, _)| header.key.ls_type == LsType::GRACE);
            copies.extend(grace.map(|(header, age)| (sent.at.since(since), header.sequence, age)));
        }
    }
    copies
}
