//! Sections 13, 13.1 to 13.3, 13.6 and 13.7: what is taken in, passed on and sent again.

use std::collections::BTreeSet;
use std::time::Duration;

use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, LsaHeader, MAX_AGE, SequenceNumber};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::PacketBody;
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{
    DELAY, End, Net, PRIVATE, Sent, WANTED, foreign, is_acknowledgment, is_update, key, seconds, stub, update,
};

#[test]
fn s13_older_instance_is_answered_with_the_newer_one_at_most_once_a_second() {
    let mut net = Net::line();
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 5, 1)]));
    net.run(seconds(5));
    let start = net.now;
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 4, 1)]));
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 4, 1)]));
    let back = net.count_sent(start, |sent, packet| sent.from == (2, 1) && is_update(sent, packet));
    assert_eq!(back, 1);
    assert_eq!(net.lsa(2, key(PRIVATE, 1, 99)).unwrap().0.sequence.0, SequenceNumber::INITIAL.0 + 5);
}

#[test]
fn s13_min_ls_arrival_refuses_the_fourth_instance_in_a_row_without_acknowledgment() {
    let mut net = Net::line();
    let mut flood_next = |number: i32| {
        net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, number, u8::try_from(number).unwrap())]));
        let installed = net.lsa(2, key(PRIVATE, 1, 99)).unwrap().0.sequence.0 - SequenceNumber::INITIAL.0;
        let refused = net.refusals((2, 1), Refusal::LsaTooSoon);
        net.run(Duration::from_millis(100));
        (installed, refused)
    };
    for number in 0..=3 {
        assert_eq!(flood_next(number), (number, 0));
    }
    assert_eq!(flood_next(4), (3, 1));
    net.run(Duration::from_millis(900));
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 4, 4)]));
    assert_eq!(net.lsa(2, key(PRIVATE, 1, 99)).unwrap().0.sequence.0, SequenceNumber::INITIAL.0 + 4);
}

#[test]
fn s13_unknown_max_age_lsa_is_acknowledged_and_not_kept() {
    let mut net = Net::line();
    let start = net.now;
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE)]));
    assert!(net.lsa(2, key(PRIVATE, 1, 99)).is_none());
    let direct = net.count_sent(start, |sent, packet| sent.from == (2, 1) && is_acknowledgment(sent, packet));
    assert_eq!(direct, 1);
}

#[test]
fn s13_6_retransmission_comes_every_rxmt_interval_until_acknowledged() {
    let mut net = Net::line();
    net.loses = |_, sent| sent.from == (3, 1);
    let start = net.now;
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(11));
    let updates = net.count_sent(start, |sent, packet| sent.from == (2, 2) && is_update(sent, packet));
    assert_eq!(updates, 3);
    net.loses = |_, _| false;
    net.run(seconds(10));
    assert!(net.engines[&2].neighbors().all(|neighbor| neighbor.retransmissions == 0));
}

const AT: End = (1, 1);

/// Router 1, Full with a neighbor that is only there in what the test says.
fn full() -> Net {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, NeighborState::Full);
    net.run(seconds(20));
    net
}

fn installed(net: &Net, id: u32) -> Option<i32> {
    let (header, _) = net.lsa(1, key(PRIVATE, id, 99))?;
    Some(header.sequence.0 - SequenceNumber::INITIAL.0)
}

/// Has router 1 get an Update whose LSA has this checksum, whatever its right one is.
fn inject_with_checksum(net: &mut Net, checksum: u16) {
    let lsa = foreign(PRIVATE, 1, 0, 1);
    let packet = ospf_testnet::packet_of_two(Family::Ipv6, update([lsa]));
    let protection =
        |source| ospf_lite::wire::packet::Protection::Checksum { source, destination: ospf_testnet::ALL };
    let source = ospf_testnet::link_local((2, 1));
    let mut octets = ospf_lite::wire::packet::encode(&packet, protection(source));
    octets[36..38].copy_from_slice(&checksum.to_be_bytes());
    octets[12..14].copy_from_slice(&[0, 0]);
    let sum = ospf_lite::wire::checksum::internet(&octets, source, ospf_testnet::ALL);
    octets[12..14].copy_from_slice(&sum.to_be_bytes());
    net.inject(AT, source, octets);
}

#[test]
fn s13_checksum_of_an_lsa_that_is_wrong_or_zero_is_refused_without_acknowledgment() {
    let right = foreign(PRIVATE, 1, 0, 1).header().checksum;
    for (checksum, taken) in [(right, Some(0)), (right ^ 1, None), (0, None)] {
        let mut net = full();
        let start = net.now;
        inject_with_checksum(&mut net, checksum);
        net.run(seconds(5));
        let refused = u64::from(taken.is_none());
        assert_eq!((installed(&net, 1), net.refusals(AT, Refusal::LsaChecksum)), (taken, refused));
        let answers = net.count_sent(start, is_acknowledgment);
        assert_eq!(answers, usize::from(taken.is_some()));
    }
}

#[test]
fn s13_state_below_exchange_takes_no_update_and_no_acknowledgment() {
    for body in [update([foreign(PRIVATE, 1, 0, 1)]), PacketBody::LinkStateAcknowledgment(Vec::new())] {
        let mut net = Net::following(Family::Ipv6);
        net.bring(AT, NeighborState::ExStart);
        net.inject_body(AT, body);
        assert_eq!((installed(&net, 1), net.refusals(AT, Refusal::NeighborState)), (None, 1));
    }
}

#[test]
fn s13_unknown_max_age_lsa_is_kept_while_a_neighbor_is_being_synchronized() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, NeighborState::Loading);
    net.inject_body(AT, update([foreign(PRIVATE, 1, 0, 1).aged(MAX_AGE)]));
    assert_eq!(installed(&net, 1), Some(0));
}

#[test]
fn s13_newer_instance_is_installed_and_the_older_one_taken_off_the_lists() {
    let mut net = Net::line();
    net.loses = |_, sent| sent.from == (3, 1);
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(2));
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 1, 2)]));
    let start = net.now + DELAY;
    net.run(seconds(6));
    let again: Vec<i32> = net
        .bodies((2, 2), start)
        .into_iter()
        .flat_map(|body| match body {
            PacketBody::LinkStateUpdate(update) => update.lsas,
            _ => Vec::new(),
        })
        .map(|aged| aged.lsa.header().sequence.0 - SequenceNumber::INITIAL.0)
        .collect();
    assert!(!again.is_empty() && again.iter().all(|sequence| *sequence == 1), "{again:?}");
}

#[test]
fn s13_bad_answer_starts_the_exchange_again() {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, NeighborState::Full);
    net.inject_body(AT, update([foreign(PRIVATE, 1, 5, 1)]));
    let first = ospf_lite::ospf::packet::DatabaseDescription {
        init: true,
        ..ospf_testnet::description(Family::Ipv6, 50)
    };
    net.describe(AT, first);
    let headers = vec![foreign(PRIVATE, 1, 6, 1).header()];
    let next = net.next_description(AT);
    net.describe(AT, ospf_lite::ospf::packet::DatabaseDescription { headers, more: false, ..next });
    assert_eq!(net.state(AT), Some(NeighborState::Loading));
    net.inject_body(AT, update([foreign(PRIVATE, 1, 4, 1)]));
    assert_eq!((net.state(AT), net.refusals(AT, Refusal::BadAnswer)), (Some(NeighborState::ExStart), 1));
    assert_eq!(installed(&net, 1), Some(5));
}

#[test]
fn s13_used_up_sequence_numbers_being_flushed_answer_nothing() {
    let mut net = Net::line();
    let last = |age| {
        let body = ospf_lite::ospf::lsa::LsaBody::Unknown(vec![1; 8]);
        ospf_lite::ospf::lsa::Lsa::originate(key(PRIVATE, 1, 99), SequenceNumber::MAX, age, body)
    };
    net.inject_body((2, 1), update([last(1)]));
    net.run(seconds(5));
    net.loses = |_, sent| sent.from == (3, 1);
    net.inject_body((2, 1), update([last(MAX_AGE)]));
    let sent = net.sent.len();
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 3, 1)]));
    assert!(net.sent[sent..].iter().all(|sent| sent.from != (2, 1)), "{:?}", net.sent.last());
    assert_eq!(net.lsa(2, key(PRIVATE, 1, 99)).unwrap().0.sequence, SequenceNumber::MAX);
}

#[test]
fn s13_1_recency_is_told_by_sequence_then_checksum_then_max_age_then_much_younger_age() {
    let header = |sequence: i32, checksum: u16, age: u16| LsaHeader {
        age,
        key: key(PRIVATE, 1, 99),
        sequence: SequenceNumber(sequence),
        checksum,
        length: 28,
    };
    let ordered = [
        (header(-5, 1, 0), header(-4, 0, 3599)),
        (header(i32::MIN + 1, 9, 0), header(i32::MAX, 0, MAX_AGE)),
        (header(7, 0x7fff, 0), header(7, 0x8000, 0)),
        (header(7, 1, 0), header(7, 1, MAX_AGE)),
        (header(7, 1, 1901), header(7, 1, 1000)),
    ];
    for (older, newer) in ordered {
        assert!(newer.is_newer_than(&older) && !older.is_newer_than(&newer), "{older:?} {newer:?}");
    }
    let same = [(header(7, 1, 1900), header(7, 1, 1000)), (header(7, 1, MAX_AGE), header(7, 1, MAX_AGE))];
    for (one, other) in same {
        assert!(!one.is_newer_than(&other) && !other.is_newer_than(&one), "{one:?} {other:?}");
    }
}

/// How long after a change the routes follow it, as the router of the next test is configured.
const SPF_DELAY: Duration = Duration::from_millis(50);

/// A calculation that another one's delay has put off shows by coming sooner than its own delay.
#[test]
fn s13_2_recalculation_is_for_other_contents_alone() {
    let mut net = Net::new(Family::Ipv6);
    for router in [1, 2] {
        net.start_with(router, |config| config.spf_delay.initial = SPF_DELAY);
    }
    let mut net = net.link((1, 1), (2, 1));
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run(seconds(60));
    assert_eq!(net.engines[&2].routes().len(), 1);
    // It would outdo what is said in its name.
    net.engines.remove(&1);
    net.events.clear();
    let lsas: Vec<Lsa> = net.engines[&2]
        .database()
        .filter(|lsa| lsa.header.key.advertising_router == RouterId(1))
        .map(|lsa| Lsa::clone(lsa.lsa))
        .collect();
    let types: BTreeSet<LsType> = lsas.iter().map(|lsa| lsa.header().key.ls_type).collect();
    assert_eq!(types, BTreeSet::from([LsType::ROUTER, LsType::LINK, LsType::INTRA_AREA_PREFIX]));
    net.inject_body((2, 1), update(lsas.iter().map(|lsa| next(lsa, lsa.body()))));
    for lsa in &lsas {
        let (installed, _) = net.lsa(2, lsa.header().key).unwrap();
        assert_eq!(installed.sequence.0, lsa.header().sequence.0 + 1);
    }
    assert_eq!(net.events, []);
    net.run(Duration::from_millis(30));
    let prefixes = lsas.iter().find(|lsa| lsa.header().key.ls_type == LsType::INTRA_AREA_PREFIX).unwrap();
    let LsaBody::IntraAreaPrefix(mut body) = prefixes.body() else { panic!() };
    body.prefixes.clear();
    let refreshed = next(prefixes, prefixes.body());
    net.inject_body((2, 1), update([next(&refreshed, LsaBody::IntraAreaPrefix(body))]));
    let elapsed = net.run_until(seconds(1), |net| net.engines[&2].routes().is_empty());
    assert_eq!(elapsed, SPF_DELAY);
}

/// The next instance of an LSA, with this body.
fn next(lsa: &Lsa, body: LsaBody) -> Lsa {
    let header = lsa.header();
    Lsa::originate(header.key, SequenceNumber(header.sequence.0 + 1), 0, body)
}

#[test]
fn s13_3_sender_does_not_get_its_lsa_back() {
    let mut net = Net::line();
    let start = net.now;
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(20));
    assert_eq!(net.count_sent(start, |sent, packet| sent.from == (2, 1) && is_update(sent, packet)), 0);
    assert_eq!(net.count_sent(start, |sent, packet| sent.from == (2, 2) && is_update(sent, packet)), 1);
}

#[test]
fn s13_3_exchanging_neighbors_get_what_is_flooded_and_earlier_ones_do_not() {
    for (state, expected) in
        [(NeighborState::ExStart, 0), (NeighborState::Exchange, 1), (NeighborState::Loading, 1)]
    {
        let mut net = Net::following(Family::Ipv6);
        net.bring(AT, state);
        let sent = net.sent.len();
        let now = net.now;
        let content = ospf_lite::io::PrivateContent { ls_type: PRIVATE, parts: vec![vec![1; 8]] };
        net.engine(1).handle_private(now, content);
        net.collect(1);
        net.run(Duration::from_millis(100));
        let is_it = |body: PacketBody| match body {
            PacketBody::LinkStateUpdate(update) => {
                update.lsas.iter().any(|aged| aged.lsa.header().key.ls_type == PRIVATE)
            }
            _ => false,
        };
        let count = net.sent[sent..].iter().filter(|sent| is_it(sent.packet(Family::Ipv6).body)).count();
        assert_eq!(count, expected, "{state}");
    }
}

/// What is asked of router 2 comes from router 3: an older instance, told by its checksum, leaves the request where it is.
#[test]
fn s13_3_request_list_loses_what_another_neighbor_has_brought() {
    let asked = foreign(WANTED, 1, 0, 1);
    let mut same_sequence = (0..=u8::MAX).map(|content| foreign(WANTED, 1, 0, content));
    let older = same_sequence.find(|lsa| asked.header().is_newer_than(&lsa.header())).unwrap();
    for (brought, state) in [
        (older, NeighborState::Loading),
        (asked, NeighborState::Full),
        (foreign(WANTED, 1, 1, 1), NeighborState::Full),
    ] {
        let mut net = Net::following(Family::Ipv6).routers(&[3]).link((1, 2), (3, 1));
        net.run_until(seconds(10), |net| net.is_full((1, 2)));
        net.bring(AT, NeighborState::Loading);
        let header = brought.header();
        net.inject_body((1, 2), update([brought]));
        let (installed, _) = net.lsa(1, header.key).unwrap();
        assert_eq!((installed.sequence, installed.checksum), (header.sequence, header.checksum));
        assert_eq!(net.state(AT), Some(state), "{header:?}");
    }
}

#[test]
fn s13_7_acknowledgment_ends_the_retransmission_of_this_instance_alone() {
    for (sequence, again) in [(0, 0), (-1, 1), (1, 1)] {
        let mut net = Net::line();
        net.loses = |_, sent| sent.from == (3, 1);
        net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
        let start = net.now + Duration::from_millis(100);
        net.run(seconds(1));
        let header = foreign(PRIVATE, 1, sequence, 1).header();
        net.inject_body((2, 2), PacketBody::LinkStateAcknowledgment(vec![header]));
        net.run(seconds(5));
        let sent = net.count_sent(start, |sent, packet| sent.from == (2, 2) && is_update(sent, packet));
        assert_eq!((sent, net.refusals((2, 2), Refusal::AcknowledgmentMismatch)), (again, again as u64));
    }
}

/// The rows of table 19 for routers that are no Backup Designated Router.
#[test]
fn s13_5_newer_lsas_are_acknowledged_once_and_together_within_the_delay() {
    let mut net = full();
    let start = net.now;
    net.inject_body(AT, update((0..5).map(|id| foreign(PRIVATE, id, 0, 1))));
    net.run(Duration::from_millis(900));
    assert_eq!(net.count_sent(start, is_acknowledgment), 0);
    net.run(Duration::from_millis(100));
    assert_eq!(net.count_sent(start, is_acknowledgment), 1);
    net.run(seconds(20));
    let acknowledged: usize = net
        .bodies(AT, start)
        .into_iter()
        .map(|body| if let PacketBody::LinkStateAcknowledgment(headers) = body { headers.len() } else { 0 })
        .sum();
    assert_eq!(acknowledged, 5);
}

#[test]
fn s13_5_delay_is_shorter_than_rxmt_interval() {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), |link| link.rxmt_interval = seconds(1));
    net.run_until(seconds(10), Net::is_equal);
    net.run(seconds(20));
    let start = net.now;
    net.inject_body(AT, update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(Duration::from_millis(250));
    assert_eq!(net.count_sent(start, |sent, packet| sent.from == AT && is_acknowledgment(sent, packet)), 1);
}

#[test]
fn s13_5_duplicate_is_acknowledged_directly() {
    let mut net = full();
    net.inject_body(AT, update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(5));
    let start = net.now;
    net.inject_body(AT, update([foreign(PRIVATE, 1, 0, 1)]));
    assert_eq!(net.count_sent(start, is_acknowledgment), 1);
}

#[test]
fn s13_5_implied_acknowledgment_is_not_acknowledged() {
    let mut net = Net::line();
    net.loses = |_, sent| sent.from == (3, 1);
    net.inject_body((2, 1), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(Duration::from_millis(100));
    let start = net.now;
    // Router 3 sends the same instance instead of an acknowledgment.
    net.inject_body((2, 2), update([foreign(PRIVATE, 1, 0, 1)]));
    net.run(seconds(20));
    let from_here = |sent: &Sent| sent.from == (2, 2);
    assert_eq!(net.count_sent(start, |sent, packet| from_here(sent) && is_acknowledgment(sent, packet)), 0);
    assert_eq!(net.count_sent(start, |sent, packet| from_here(sent) && is_update(sent, packet)), 0);
}
