//! Sections 9.1 to 9.3 and 10.1 to 10.4: the two state machines, pair by pair, and what hangs on their steps.

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::interface::InterfaceState::{self, Down as Off, PointToPoint, Stub};
use ospf_lite::ospf::interface::{InterfaceInput, InterfaceState as Interface};
use ospf_lite::ospf::lsa::MAX_AGE;
use ospf_lite::ospf::lsdb::Domain;
use ospf_lite::ospf::neighbor::Facts;
use ospf_lite::ospf::neighbor::NeighborInput as Event;
use ospf_lite::ospf::neighbor::NeighborState::{
    self, Attempt, Down, ExStart, Exchange, Full, Init, Loading, TwoWay,
};
use ospf_lite::ospf::packet::{Hello, PacketBody};
use ospf_testnet::{End, Net, PRIVATE, foreign, hello, key, seconds, update};

const AT: End = (1, 1);
#[test]
fn s9_3_table_of_the_interface_has_every_pair() {
    let expected: [(InterfaceState, InterfaceInput, bool, InterfaceState); 12] = [
        (Off, InterfaceInput::InterfaceUp, false, PointToPoint),
        (Off, InterfaceInput::InterfaceUp, true, Stub),
        (Off, InterfaceInput::InterfaceDown, false, Off),
        (Off, InterfaceInput::InterfaceDown, true, Off),
        (Stub, InterfaceInput::InterfaceUp, false, Stub),
        (Stub, InterfaceInput::InterfaceUp, true, Stub),
        (Stub, InterfaceInput::InterfaceDown, false, Off),
        (Stub, InterfaceInput::InterfaceDown, true, Off),
        (PointToPoint, InterfaceInput::InterfaceUp, false, PointToPoint),
        (PointToPoint, InterfaceInput::InterfaceUp, true, PointToPoint),
        (PointToPoint, InterfaceInput::InterfaceDown, false, Off),
        (PointToPoint, InterfaceInput::InterfaceDown, true, Off),
    ];
    assert_eq!(expected.len(), Interface::ALL.len() * 2 * 2);
    for (from, event, is_stub, to) in expected {
        assert_eq!(from.next(event, is_stub), to, "{from} on {event:?}, stub {is_stub}");
    }
}

#[test]
fn s9_3_interface_up_makes_an_interface_that_sends_hellos_at_once() {
    let mut net = Net::new(Family::Ipv6).routers(&[1]);
    net.configure(1, ospf_testnet::interface(AT, Family::Ipv6));
    net.run(seconds(30));
    assert_eq!(net.sent.len(), 0);
    net.interface(1, InterfaceEvent::Up(InterfaceId(1)));
    assert!(matches!(net.sent[0].packet(Family::Ipv6).body, PacketBody::Hello(_)));
}

#[test]
fn s9_3_interface_down_ends_neighbor_timers_and_what_belongs_to_the_link() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, Loading);
    net.interface(1, InterfaceEvent::Down(InterfaceId(1)));
    let sent = net.sent.len();
    assert_eq!(net.state(AT), None);
    let links = net.engines[&1].database().filter(|lsa| lsa.domain == Domain::Link(InterfaceId(1)));
    assert_eq!(links.count(), 0);
    net.run(seconds(100));
    assert_eq!(net.sent.len(), sent);
}

/// The next state of section 10.3 where it is not the same: from these states, on this event, when an adjacency is
/// wanted and the request list is empty, as far as that matters.
type Line = (&'static [NeighborState], Event, Option<bool>, Option<bool>, NeighborState);

const TABLE: &[Line] = &[
    (&[Down], Event::Start, None, None, Attempt),
    (&[Down, Attempt], Event::HelloReceived, None, None, Init),
    (&[Init], Event::TwoWayReceived, Some(true), None, ExStart),
    (&[Init], Event::TwoWayReceived, Some(false), None, TwoWay),
    (&[ExStart], Event::NegotiationDone, None, None, Exchange),
    (&[Exchange], Event::ExchangeDone, None, Some(true), Full),
    (&[Exchange], Event::ExchangeDone, None, Some(false), Loading),
    (&[Loading], Event::LoadingDone, None, None, Full),
    (&[TwoWay], Event::AdjOk, Some(true), None, ExStart),
    (&[ExStart, Exchange, Loading, Full], Event::AdjOk, Some(false), None, TwoWay),
    (&[Exchange, Loading, Full], Event::SeqNumberMismatch, None, None, ExStart),
    (&[Exchange, Loading, Full], Event::BadLsReq, None, None, ExStart),
    (&[TwoWay, ExStart, Exchange, Loading, Full], Event::OneWayReceived, None, None, Init),
    (&NeighborState::ALL, Event::KillNbr, None, None, Down),
    (&NeighborState::ALL, Event::InactivityTimer, None, None, Down),
    (&NeighborState::ALL, Event::LlDown, None, None, Down),
];

const EVENTS: [Event; 13] = [
    Event::HelloReceived,
    Event::Start,
    Event::TwoWayReceived,
    Event::NegotiationDone,
    Event::ExchangeDone,
    Event::BadLsReq,
    Event::LoadingDone,
    Event::AdjOk,
    Event::SeqNumberMismatch,
    Event::OneWayReceived,
    Event::KillNbr,
    Event::InactivityTimer,
    Event::LlDown,
];

#[test]
fn s10_3_table_of_the_neighbor_has_every_pair() {
    let mut pairs = 0;
    for state in NeighborState::ALL {
        for event in EVENTS {
            for (adjacency_wanted, requests_empty) in
                [(true, true), (true, false), (false, true), (false, false)]
            {
                let line = TABLE.iter().find(|(from, on, wanted, empty, _)| {
                    from.contains(&state)
                        && *on == event
                        && wanted.is_none_or(|wanted| wanted == adjacency_wanted)
                        && empty.is_none_or(|empty| empty == requests_empty)
                });
                let facts = Facts { adjacency_wanted, requests_empty };
                let expected = line.map_or(state, |line| line.4);
                assert_eq!(state.next(event, facts), expected, "{state} on {event:?} with {facts:?}");
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 8 * 13 * 4);
}

#[test]
fn s10_3_inactivity_ends_a_neighbor_that_is_silent_for_router_dead_interval() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, Full);
    net.run(seconds(39));
    net.inject_body(AT, PacketBody::Hello(hello(Family::Ipv6)));
    net.run(seconds(39));
    assert_eq!(net.state(AT), Some(Full));
    net.run(seconds(1));
    assert_eq!(net.state(AT), None);
}

#[test]
fn s10_3_inactivity_counts_from_the_arrival_of_the_last_hello_however_late_it_is_taken_in() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, Full);
    net.run(seconds(30));
    net.age = seconds(10);
    net.inject_body(AT, PacketBody::Hello(hello(Family::Ipv6)));
    assert!(!net.engines[&1].is_overdue(net.now + seconds(29)));
    assert!(net.engines[&1].is_overdue(net.now + seconds(30)));
    net.run(seconds(29));
    assert_eq!(net.state(AT), Some(Full));
    net.run(seconds(1));
    assert_eq!(net.state(AT), None);
}

#[test]
fn s10_3_inactivity_is_not_put_off_by_anything_but_hellos() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, Full);
    for number in 0..39 {
        net.run(seconds(1));
        net.inject_body(AT, update([foreign(PRIVATE, 1, number, 1)]));
    }
    net.run(seconds(1));
    assert_eq!(net.state(AT), None);
}

/// What is being flushed is not described to a new neighbor but flooded.
#[test]
fn s10_3_max_age_lsas_are_flooded_and_not_described() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3]).link((1, 1), (2, 1)).link((2, 2), (3, 1));
    net.run_until(seconds(10), Net::is_equal);
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(5));
    // Router 3 acknowledges nothing, so router 2 keeps what is flushed while router 4 comes.
    net.loses = |_, sent| sent.from == (3, 1);
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE)]));
    net.run(seconds(5));
    net.start(4);
    let start = net.now;
    net.join((2, 3), (4, 1), |_| {});
    net.run_until(seconds(5), |net| net.is_full((4, 1)));
    let of = key(PRIVATE, 1, 99);
    let told = net.bodies((2, 3), start);
    let is_described = |body: &PacketBody| match body {
        PacketBody::DatabaseDescription(description) => description.headers.iter().any(|one| one.key == of),
        _ => false,
    };
    let is_flooded = |body: &PacketBody| match body {
        PacketBody::LinkStateUpdate(update) => {
            update.lsas.iter().any(|one| one.lsa.header().key == of && one.age == MAX_AGE)
        }
        _ => false,
    };
    assert!(!told.iter().any(is_described));
    assert!(told.iter().any(is_flooded));
}

#[test]
fn s10_3_reset_forgets_the_lists_and_begins_with_the_next_sequence_number() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, Loading);
    let before = net.engines[&1].neighbors().next().map(|one| one.requests);
    let last = net.last_description(AT);
    let wrong = net.next_description(AT);
    net.describe(AT, ospf_lite::ospf::packet::DatabaseDescription { sequence: 99, ..wrong });
    let begun = net.last_description(AT);
    let after = net.engines[&1].neighbors().next().map(|one| (one.state, one.requests, one.retransmissions));
    assert_eq!((before, after), (Some(1), Some((ExStart, 0, 0))));
    assert_eq!((begun.init, begun.more, begun.master, begun.headers.len()), (true, true, true, 0));
    assert_eq!(begun.sequence, last.sequence + 1);
}

#[test]
fn s10_4_adjacency_is_wanted_with_every_neighbor_whatever_its_priority() {
    let mut net = Net::following(Family::Ipv6);
    net.inject_body(AT, PacketBody::Hello(Hello { priority: 0, ..hello(Family::Ipv6) }));
    assert_eq!(net.state(AT), Some(ExStart));
}
