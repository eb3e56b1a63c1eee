//! Links that are lost again and again: left alone while there is another way, and taken up again when they stay.

use std::time::Duration;

use ospf_lite::config::InterfaceKind;
use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::returns::{CALM, FLAPS_MIN};

use crate::harness::{Net, interface, seconds};

/// Both ends of the link that flaps.
const ENDS: [(u32, u32); 2] = [(1, 2), (2, 1)];
/// How long it is down, and up.
const FLAP: Duration = seconds(2);

fn set(net: &mut Net, is_up: bool) {
    for (router, interface) in ENDS {
        let id = InterfaceId(interface);
        net.interface(router, if is_up { InterfaceEvent::Up(id) } else { InterfaceEvent::Down(id) });
    }
}

/// Four routers in a ring whose first link has flapped so many times, and is up.
fn flapped(times: u8) -> Net {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3, 4]);
    flap(&mut net, times);
    net
}

fn flap(net: &mut Net, times: u8) {
    for _ in 0..times {
        set(net, false);
        net.run(FLAP);
        set(net, true);
        net.run(FLAP);
    }
}

fn flaps(net: &Net) -> [Option<u8>; 2] {
    ENDS.map(|(router, interface)| {
        net.engines[&router].interfaces().find(|view| view.config.id == InterfaceId(interface))?.flaps
    })
}

fn is_full(net: &Net) -> bool {
    ENDS.into_iter().all(|end| net.is_full(end))
}

/// How many packets went over the link since a moment.
fn sent(net: &Net, since: ospf_lite::time::Instant) -> usize {
    net.count_sent(since, |sent, _| ENDS.contains(&sent.from))
}

#[test]
fn a_link_that_flaps_is_left_alone_until_it_stays() {
    let mut net = flapped(FLAPS_MIN);
    assert_eq!(flaps(&net), [Some(FLAPS_MIN); 2]);
    let begun = net.now;
    net.run(CALM - 2 * FLAP - Duration::from_millis(10));
    assert_eq!(sent(&net, begun), 0);
    assert!(!is_full(&net));
    assert!(net.run_until(seconds(1), is_full) < Duration::from_millis(100));
    assert_eq!(flaps(&net), [None, None]);
    net.run_until(seconds(2), |net| net.hops(1, 2) == [2]);
}

#[test]
fn fewer_losses_do_not_make_a_link_one_that_flaps() {
    let net = flapped(FLAPS_MIN - 1);
    assert!(is_full(&net));
}

#[test]
fn losses_far_apart_are_not_in_a_row() {
    let mut net = flapped(0);
    for _ in 0..2 * FLAPS_MIN {
        flap(&mut net, 1);
        net.run(CALM);
        assert!(is_full(&net));
    }
}

#[test]
fn a_link_that_is_configured_anew_again_and_again_does_not_flap() {
    let mut net = flapped(0);
    for seconds in 1..=2 * u64::from(FLAPS_MIN) {
        for end in ENDS {
            let mut config = interface(end, Family::Ipv6);
            if let InterfaceKind::PointToPoint(link) = &mut config.kind {
                link.hello_interval = Duration::from_secs(seconds);
            }
            net.configure(end.0, config);
        }
        net.run(FLAP);
        assert!(is_full(&net), "HelloInterval {seconds} s");
    }
}

#[test]
fn each_further_loss_leaves_it_alone_for_longer() {
    let mut net = flapped(FLAPS_MIN);
    let begun = net.now;
    flap(&mut net, 20);
    assert_eq!(sent(&net, begun), 0);
    assert_eq!(flaps(&net), [Some(FLAPS_MIN + 20); 2]);
    assert!(net.run_until(CALM, is_full) > CALM - 2 * FLAP - seconds(1));
    // One loss soon after is enough.
    flap(&mut net, 1);
    assert!(!is_full(&net));
}

#[test]
fn it_is_taken_up_at_once_when_it_becomes_the_only_way() {
    let mut net = flapped(FLAPS_MIN);
    net.interface(3, InterfaceEvent::Down(InterfaceId(4)));
    net.interface(4, InterfaceEvent::Down(InterfaceId(3)));
    // Its ends hear of that from the others.
    assert!(net.run_until(seconds(5), is_full) < seconds(2));
}

#[test]
fn a_loss_beside_it_makes_it_be_taken_up_in_the_same_moment() {
    let mut net = flapped(FLAPS_MIN);
    net.interface(1, InterfaceEvent::Down(InterfaceId(4)));
    net.interface(2, InterfaceEvent::Down(InterfaceId(3)));
    assert!(net.run_until(seconds(5), is_full) < Duration::from_millis(100));
}

#[test]
fn a_link_without_which_the_neighbor_is_not_reached_is_never_left_alone() {
    let mut net = Net::line();
    let end = (1, 1);
    for _ in 0..2 * FLAPS_MIN {
        net.interface(end.0, InterfaceEvent::Down(InterfaceId(end.1)));
        net.run(FLAP);
        net.interface(end.0, InterfaceEvent::Up(InterfaceId(end.1)));
        net.run_until(FLAP, |net| net.is_full(end));
    }
}

#[test]
fn a_neighbor_that_does_not_leave_it_alone_is_not_answered_before_it_stays() {
    let mut net = Net::ring(Family::Ipv6, &[1, 2, 3, 4]);
    let (near, id) = (ENDS[0], InterfaceId(ENDS[0].1));
    // The far end takes each loss for a new life of this router: it hears a Hello without itself in it.
    for _ in 0..FLAPS_MIN {
        net.interface(near.0, InterfaceEvent::Down(id));
        net.run(FLAP);
        net.interface(near.0, InterfaceEvent::Up(id));
        net.run(FLAP);
    }
    let begun = net.now;
    net.run(CALM - 2 * FLAP - Duration::from_millis(10));
    assert_eq!(net.count_sent(begun, |sent, _| sent.from == near), 0);
    assert!(net.state(near).is_none_or(|state| state <= NeighborState::TwoWay));
    net.run_until(seconds(30), is_full);
}
