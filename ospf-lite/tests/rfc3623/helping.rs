//! The router whose neighbor restarts (RFC 3623 section 3).

use std::time::Duration;

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{Event, InterfaceEvent, Reachability};
use ospf_lite::ospf::lsa::{GraceLsa, LsType, Lsa, LsaBody, MAX_AGE, RestartReason, SequenceNumber};
use ospf_lite::ospf::neighbor::{HelpReason, NeighborState};
use ospf_lite::ospf::packet::PacketBody;
use ospf_testnet::{Net, key, seconds, stub, update};

use crate::{
    FAMILIES, PERIOD, grace_lsa, help, is_helped, is_undisturbed, sequences, start_again, stop, tell,
};

#[test]
fn s3_helped_neighbors_stay_in_the_router_lsa_whatever_their_state() {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        let before = sequences(&net, 1);
        stop(&mut net);
        net.run(seconds(50));
        assert_eq!(net.state((1, 2)), Some(NeighborState::Down));
        assert_eq!(sequences(&net, 1), before);
        assert!(is_undisturbed(&net));
    }
}

#[test]
fn s3_1_conditions_full_a_neighbor_that_is_not_full_is_not_helped() {
    let mut net = Net::following(Family::Ipv6);
    net.inject_body((1, 1), PacketBody::Hello(ospf_testnet::hello(Family::Ipv6)));
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 0, 1)]));
    assert_eq!(net.state((1, 1)), Some(NeighborState::ExStart));
    assert_eq!(help(&net, (1, 1)), None);
}

#[test]
fn s3_1_conditions_unchanged_a_neighbor_that_has_missed_a_change_is_not_helped() {
    for is_refresh in [true, false] {
        let mut net = Net::ring(Family::Ipv6, &[1, 3]);
        // Router 2 dies; 1 has something for it that it will never acknowledge.
        net.engines.remove(&2);
        if is_refresh {
            net.run(Duration::from_millis(1));
        } else {
            net.set_cost((1, 4), 51);
            net.run(seconds(2));
        }
        net.inject_body(
            (1, 2),
            update([Lsa::originate(
                key(LsType::GRACE, 1, 2),
                SequenceNumber(1_000_000),
                0,
                LsaBody::Grace(GraceLsa { period: PERIOD, reason: RestartReason::Unknown }),
            )]),
        );
        assert_eq!(help(&net, (1, 2)).is_some(), is_refresh);
    }
}

#[test]
fn s3_1_conditions_time_a_grace_period_that_is_over_helps_nobody_and_age_counts() {
    let mut net = Net::pair(Family::Ipv6);
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 120, 1)]));
    assert_eq!(help(&net, (1, 1)), None);
    net.run(seconds(5));
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 100, 2)]));
    let (_, left) = net.engines[&1].neighbors().next().unwrap().help.unwrap();
    assert_eq!(left, seconds(20));
}

#[test]
fn s3_1_conditions_policy_nobody_is_helped_where_it_is_turned_off() {
    let mut net = Net::new(Family::Ipv6).routers(&[2]);
    net.start_with(1, |config| config.grace.helps = false);
    let mut net = net.link((1, 1), (2, 1));
    net.run(seconds(30));
    assert!(net.is_full((1, 1)));
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 0, 1)]));
    assert_eq!(help(&net, (1, 1)), None);
}

#[test]
fn s3_1_conditions_restarting_a_router_that_restarts_itself_helps_nobody() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    net.loses = |_, sent| sent.from == (3, 2) || sent.from == (2, 3);
    start_again(&mut net);
    net.run_until(seconds(20), |net| net.is_full((2, 1)));
    let body = LsaBody::Grace(GraceLsa { period: PERIOD, reason: RestartReason::Unknown });
    let lsa = Lsa::originate(key(LsType::GRACE, 2, 1), SequenceNumber(1_000_000), 0, body);
    net.inject_body((2, 1), update([lsa]));
    assert_eq!(help(&net, (2, 1)), None);
}

#[test]
fn s3_1_again_another_grace_lsa_of_one_that_is_helped_changes_the_period() {
    let mut net = Net::pair(Family::Ipv6);
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 0, 1)]));
    net.engines.remove(&2);
    net.run(seconds(90));
    assert_eq!(net.state((1, 1)), Some(NeighborState::Down));
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 0, 2)]));
    net.run(seconds(100));
    assert_eq!(help(&net, (1, 1)), Some(HelpReason::Announced));
}

#[test]
fn s3_2_ends_when_the_grace_lsa_is_flushed() {
    let mut net = Net::pair(Family::Ipv6);
    net.inject_body((1, 1), update([grace_lsa(PERIOD, 0, 1)]));
    net.engines.remove(&2);
    net.run(seconds(50));
    assert_eq!(net.engines[&1].graph().len(), 2);
    net.inject_body((1, 1), update([grace_lsa(PERIOD, MAX_AGE, 1)]));
    assert_eq!(net.state((1, 1)), None);
}

#[test]
fn s3_2_ends_when_the_grace_period_is_over() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    net.run(seconds(118));
    assert!(is_undisturbed(&net));
    net.run(seconds(3));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
    assert_eq!(net.state((1, 2)), None);
}

#[test]
fn s3_2_ends_with_any_change_of_topology() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    net.run(seconds(50));
    assert!(is_undisturbed(&net));
    // Far from router 2, and not on its way.
    net.set_cost((4, 1), 11);
    net.run(seconds(1));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
    assert_eq!((net.state((1, 2)), net.state((3, 2))), (None, None));
}

#[test]
fn s3_2_ends_with_a_change_of_prefixes_as_they_were_router_lsas_in_ospfv2() {
    let mut net = Net::ring(Family::Ipv4, &[1, 3]);
    stop(&mut net);
    net.run(seconds(50));
    net.configure(4, stub((4, 9), Family::Ipv4));
    net.interface(4, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(1));
    assert_eq!((net.state((1, 2)), net.state((3, 2))), (None, None));
}

#[test]
fn s3_2_ends_not_with_a_refresh() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    // To shortly before the first refresh, which comes up to 300 s early.
    net.run(seconds(1_460));
    let count = net.sent.len();
    let mut refreshed = 0;
    for _ in 0..5 {
        stop(&mut net);
        net.run(seconds(60));
        assert!(is_undisturbed(&net));
        start_again(&mut net);
        net.run(seconds(30));
        assert!(is_undisturbed(&net));
        refreshed =
            sequences(&net, 4).iter().map(|(_, _, sequence)| sequence - SequenceNumber::INITIAL.0).sum();
    }
    assert!(net.sent.len() > count && refreshed > 0, "nothing was refreshed");
}

#[test]
fn s3_2_ends_and_the_link_counts_by_the_state_of_the_neighbor() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    stop(&mut net);
    // Router 2 has been silent for less than RouterDeadInterval: it is Full to its neighbors.
    net.run(seconds(5));
    net.set_cost((4, 1), 11);
    net.run(seconds(1));
    assert_eq!(help(&net, (1, 2)), None);
    assert!(is_undisturbed(&net));
    net.run(seconds(40));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));
}

#[test]
fn s3_silent_a_silent_neighbor_that_forwards_is_kept_past_the_dead_interval_and_no_longer_than_the_grace_period()
 {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        net.engines.remove(&2);
        net.run(seconds(1));
        tell(&mut net, Reachability::Forwarding);
        let kept = net.run_until(seconds(200), |net| !is_undisturbed(net));
        assert!((seconds(120)..seconds(122)).contains(&kept), "{family}: {kept:?}");
    }
}

#[test]
fn s3_silent_is_not_lost_before_the_help_is_over() {
    let is_lost = |net: &Net| net.events.iter().any(|(_, event)| matches!(event, Event::NeighborLost { .. }));
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    net.run(seconds(1));
    tell(&mut net, Reachability::Forwarding);
    net.run(seconds(100));
    assert!(!is_lost(&net));
    net.run_until(seconds(30), |net| !is_undisturbed(net));
    assert!(is_lost(&net));
}

#[test]
fn s3_silent_ends_with_a_change_of_topology_and_when_nothing_gets_through() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    tell(&mut net, Reachability::Forwarding);
    net.run(seconds(50));
    assert!(is_undisturbed(&net));
    net.set_cost((4, 1), 11);
    net.run(seconds(1));
    assert_eq!((net.hops(1, 3), net.hops(3, 1)), (vec![4], vec![4]));

    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    net.engines.remove(&2);
    tell(&mut net, Reachability::Forwarding);
    net.run(seconds(50));
    tell(&mut net, Reachability::Unreachable);
    assert_eq!((net.hops(1, 3), net.state((1, 2))), (vec![4], None));
}

#[test]
fn s3_silent_a_crash_longer_than_the_dead_interval_loses_nothing() {
    for family in FAMILIES {
        let mut net = Net::ring(family, &[1, 3]);
        net.engines.remove(&2);
        net.run(seconds(1));
        tell(&mut net, Reachability::Forwarding);
        net.run(seconds(70));
        start_again(&mut net);
        net.run(Duration::from_millis(20));
        tell(&mut net, Reachability::Reachable);
        net.run_until(seconds(10), |net| {
            assert!(is_undisturbed(net), "{family} at {}", net.now);
            net.engines[&2].is_settled()
        });
        net.run(seconds(60));
        assert!(net.is_equal() && is_undisturbed(&net));
    }
}

#[test]
fn s3_silent_a_false_alarm_changes_nothing() {
    let mut net = Net::ring(Family::Ipv6, &[1, 3]);
    let before = sequences(&net, 1);
    tell(&mut net, Reachability::Forwarding);
    assert!(is_helped(&net, HelpReason::Forwarding));
    net.run(seconds(5));
    tell(&mut net, Reachability::Reachable);
    assert_eq!((help(&net, (1, 2)), help(&net, (3, 2))), (None, None));
    net.run(seconds(60));
    assert!(net.is_equal() && is_undisturbed(&net));
    assert_eq!(sequences(&net, 1), before);
}
