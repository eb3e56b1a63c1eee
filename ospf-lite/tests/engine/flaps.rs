//! Links that are lost again and again: left alone while there is another way, and taken up again when they stay.

use std::time::Duration;

use ospf_lite::config::InterfaceKind;
use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::LsType;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{Packet, PacketBody};
use ospf_lite::ospf::returns::{ANSWER, CALM, FLAPS_MIN, PATIENCE};

use crate::harness::{Net, Sent, interface, key, prefix, seconds};

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
fn nobody_wakes_up_for_hellos_that_are_not_sent() {
    let mut net = flapped(0);
    for end in ENDS {
        net.configure_up(end, |link| link.hello_interval = seconds(1));
    }
    net.run(seconds(40));
    flap(&mut net, FLAPS_MIN);
    assert_eq!(flaps(&net), [Some(FLAPS_MIN); 2]);
    let mut awake = 0;
    let until = net.now + CALM - 2 * FLAP - Duration::from_millis(10);
    while let Some(next) = net.engines[&1].poll_timeout().filter(|next| *next < until) {
        net.run(next.since(net.now) + Duration::from_millis(1));
        awake += 1;
    }
    assert_eq!(flaps(&net), [Some(FLAPS_MIN); 2]);
    // The other link has Hellos every 10 s.
    assert!(awake <= 2, "{awake} times");
}

#[test]
fn nobody_wakes_up_for_hellos_of_links_that_are_left_alone_again() {
    let mut net = hub(&RIM, &[2]);
    for end in [(1, 3), (3, 1), (1, 4), (4, 1), (1, 5), (5, 1)] {
        net.configure_up(end, |link| link.hello_interval = seconds(1));
    }
    // While there is no way each of them has Hellos, at other moments than the others.
    net.loses = |_, sent| sent.from.0 == 1 || sent.from.1 == 1;
    (2..=5).for_each(|spoke| set_spoke(&mut net, spoke, false));
    for spoke in 3..=5 {
        set_spoke(&mut net, spoke, true);
        net.run(seconds(1) / 3);
    }
    net.loses = |_, _| false;
    net.run_until(seconds(5), |net| full_spokes(net).len() == 1);
    let (begun, used) = (net.now, full_spokes(&net));
    let mut in_vain = 0;
    while let Some(next) = net.engines[&1].poll_timeout().filter(|next| *next < begun + seconds(1)) {
        net.run(next.since(net.now));
        in_vain += usize::from(net.count_sent(next, |sent, _| sent.from.0 == 1) == 0);
    }
    assert_eq!(full_spokes(&net), used);
    // Once for the adjacency that had begun, which is given a second.
    assert!(in_vain <= 1, "{in_vain} times");
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

/// Router 1 in the middle of others that are linked in these pairs; interfaces are numbered by the router they lead to. Its links
/// to the routers that are not among `stays` have flapped and are up.
fn hub(pairs: &[(u32, u32)], stays: &[u32]) -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3, 4, 5]);
    for (one, other) in pairs {
        net = net.link((*one, *other), (*other, *one));
    }
    for spoke in 2..=5 {
        net = net.link((1, spoke), (spoke, 1));
    }
    net.run(seconds(30));
    assert!(net.is_equal());
    for _ in 0..FLAPS_MIN {
        for is_up in [false, true] {
            for spoke in (2..=5).filter(|spoke| !stays.contains(spoke)) {
                set_spoke(&mut net, spoke, is_up);
            }
            net.run(FLAP / 2);
        }
    }
    // Until nobody is in a back-off.
    net.run(2 * FLAP);
    assert_eq!(full_spokes(&net), stays);
    net
}

fn set_spoke(net: &mut Net, spoke: u32, is_up: bool) {
    for (router, interface) in [(1, spoke), (spoke, 1)] {
        let id = InterfaceId(interface);
        net.interface(router, if is_up { InterfaceEvent::Up(id) } else { InterfaceEvent::Down(id) });
    }
}

/// The routers with which router 1 has an adjacency.
fn full_spokes(net: &Net) -> Vec<u32> {
    (2..=5).filter(|spoke| net.is_full((1, *spoke))).collect()
}

const RIM: [(u32, u32); 4] = [(2, 3), (3, 4), (4, 5), (5, 2)];

#[test]
fn of_many_one_alone_is_taken_up() {
    let mut net = hub(&RIM, &[2]);
    set_spoke(&mut net, 2, false);
    let begun = net.now;
    let time = net.run_until(seconds(5), |net| full_spokes(net).len() == 1);
    assert!(time < Duration::from_millis(100), "{time:?}");
    net.run(seconds(1));
    let taken_up = full_spokes(&net);
    assert_eq!(taken_up.len(), 1);
    let by_another = |sent: &Sent| sent.from.0 == 1 && sent.from.1 != taken_up[0];
    let is_hello = |packet: &Packet| matches!(packet.body, PacketBody::Hello(_));
    assert_eq!(net.count_sent(begun, |sent, packet| by_another(sent) && !is_hello(packet)), 0);
    assert_eq!(net.count_sent(begun + seconds(1), |sent, _| by_another(sent)), 0);
    // When it is lost too the next has its turn; the far ends may still be in their back-off.
    set_spoke(&mut net, taken_up[0], false);
    net.run_until(seconds(2), |net| full_spokes(net).len() == 1);
    // Those that stay come back.
    net.run(CALM);
    assert_eq!(full_spokes(&net).len(), 2);
}

/// A hub whose link to router 4 was lost last; none but the one to router 2 is in use.
fn lost_last() -> Net {
    let mut net = hub(&RIM, &[2]);
    for is_up in [false, true] {
        set_spoke(&mut net, 4, is_up);
        net.run(FLAP / 2);
    }
    assert_eq!(full_spokes(&net), [2]);
    net
}

#[test]
fn the_one_that_was_lost_last_is_taken_up_before_the_others() {
    let mut net = lost_last();
    let begun = net.now;
    set_spoke(&mut net, 2, false);
    // Routers 3 and 5 hear of the loss sooner than router 4.
    let time = net.run_until(seconds(5), |net| !full_spokes(net).is_empty());
    assert!(time < Duration::from_millis(100), "{time:?}");
    net.run(seconds(1));
    assert_eq!(full_spokes(&net), [4]);
    assert_eq!(net.count_sent(begun, |sent, _| [(1, 3), (1, 5)].contains(&sent.from)), 0);
}

#[test]
fn where_the_first_does_not_answer_soon_the_others_are_taken_up() {
    let mut net = lost_last();
    net.loses = |_, sent| [(1, 4), (4, 1)].contains(&sent.from);
    let begun = net.now;
    set_spoke(&mut net, 2, false);
    let time = net.run_until(seconds(5), |net| !full_spokes(net).is_empty());
    assert!(time < ANSWER + Duration::from_millis(100), "{time:?}");
    let by_others = |sent: &Sent| [(1, 3), (1, 5)].contains(&sent.from);
    let first = net.sent.iter().find(|sent| sent.at >= begun && by_others(sent)).unwrap().at;
    assert_eq!(first, begun + ANSWER);
    net.run(seconds(1));
    assert_eq!(full_spokes(&net).len(), 1);
}

/// A hub without a way, all of whose links that flap have been taken up and none answered; the one to router 3 has a prefix.
fn unanswered() -> Net {
    let mut net = hub(&RIM, &[2]);
    let end = (1, 3);
    for end in [end, (3, 1)] {
        let mut config = interface(end, Family::Ipv6);
        config.prefixes = vec![prefix(end, Family::Ipv6)];
        if let InterfaceKind::PointToPoint(link) = &mut config.kind {
            link.hello_interval = seconds(1);
        }
        net.configure(end.0, config);
    }
    net.loses = |_, sent| [3, 4, 5].iter().any(|far| [(1, *far), (*far, 1)].contains(&sent.from));
    set_spoke(&mut net, 2, false);
    let begun = net.now;
    net.run(seconds(2));
    assert!(net.count_sent(begun, |sent, _| sent.from == end) > 0);
    net
}

fn tells_of_a_prefix(net: &Net) -> bool {
    net.lsa(1, key(LsType::INTRA_AREA_PREFIX, 0, 1)).is_some()
}

#[test]
fn the_prefix_of_one_that_flaps_is_told_with_its_adjacency() {
    let mut net = unanswered();
    assert!(!tells_of_a_prefix(&net));
    net.loses = |_, sent| [4, 5].iter().any(|far| [(1, *far), (*far, 1)].contains(&sent.from));
    // At the next Hello, with less than CALM since the last loss.
    net.run_until(seconds(2), |net| net.is_full((1, 3)));
    assert!(tells_of_a_prefix(&net));
}

#[test]
fn the_prefix_of_one_that_flaps_is_told_when_it_stays() {
    let mut net = unanswered();
    net.run(CALM);
    assert!(tells_of_a_prefix(&net));
    assert!(full_spokes(&net).is_empty());
}

#[test]
fn where_the_one_that_is_taken_up_comes_to_nothing_another_one_is() {
    // Nothing but Hellos comes through.
    fn is_longer(_: u64, sent: &Sent) -> bool {
        [(1, 3), (3, 1)].contains(&sent.from)
            && !matches!(sent.packet(Family::Ipv6).body, PacketBody::Hello(_))
    }
    let mut net = hub(&RIM, &[2]);
    net.loses = |_, sent| [(1, 4), (4, 1), (1, 5), (5, 1)].contains(&sent.from) || is_longer(0, sent);
    set_spoke(&mut net, 2, false);
    net.run_until(seconds(1), |net| net.state((1, 3)) == Some(NeighborState::ExStart));
    net.loses = is_longer;
    assert!(net.run_until(seconds(5), |net| full_spokes(net).len() == 1) < PATIENCE + seconds(1));
}

#[test]
fn routers_that_do_not_reach_each_other_have_a_way_each() {
    let mut net = hub(&[(2, 3), (4, 5)], &[2, 4]);
    set_spoke(&mut net, 2, false);
    set_spoke(&mut net, 4, false);
    let time = net.run_until(seconds(5), |net| full_spokes(net) == [3, 5]);
    assert!(time < Duration::from_millis(100), "{time:?}");
}

#[test]
fn where_every_link_flaps_one_at_a_time_is_used() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3, 4, 5]);
    for (spoke, next) in RIM {
        net = net.link((spoke, next), (next, spoke)).link((1, spoke), (spoke, 1));
    }
    net.run(seconds(30));
    // In turns: each is down for 2 s, and up for 2 s.
    let turn = |net: &mut Net, turn: u32, of: &mut Vec<usize>| {
        set_spoke(net, turn % 4 + 2, turn / 4 % 2 == 1);
        for _ in 0..10 {
            net.run(FLAP / 40);
            of.push(full_spokes(net).len());
        }
    };
    for number in 0..32 {
        turn(&mut net, number, &mut Vec::new());
    }
    let (begun, mut used) = (net.now, Vec::new());
    for number in 0..80 {
        turn(&mut net, number, &mut used);
    }
    let share = |of: fn(usize) -> bool| 100 * used.iter().filter(|links| of(**links)).count() / used.len();
    assert!(share(|links| links > 0) > 50, "a way for {} % of the time", share(|links| links > 0));
    assert!(share(|links| links > 1) < 5, "more than one for {} % of the time", share(|links| links > 1));
    let sent = net.count_sent(begun, |sent, _| sent.from.0 == 1);
    assert!(sent < 40 * 8, "{sent} packets in 40 s");
}
