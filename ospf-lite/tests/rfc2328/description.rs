//! Sections 10.6 and 10.8: Database Descriptions received and sent.

use ospf_lite::ids::{Family, RouterId};
use ospf_lite::ospf::lsa::{LsType, LsaHeader, SequenceNumber};
use ospf_lite::ospf::neighbor::NeighborState::{self, ExStart, Exchange, Full, Init, Loading};
use ospf_lite::ospf::packet::{DatabaseDescription, Hello, Options, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{End, Net, PRIVATE, description, foreign, hello, key, seconds, update};

const FOLLOWER: End = (1, 1);
const LEADER: End = (3, 1);
fn family_first(sequence: u32) -> DatabaseDescription {
    DatabaseDescription { init: true, ..description(Family::Ipv6, sequence) }
}

fn at(end: End, state: NeighborState) -> Net {
    let mut net = if end == FOLLOWER { Net::following(Family::Ipv6) } else { Net::leading(Family::Ipv6) };
    net.bring(end, state);
    net
}

fn descriptions(net: &Net, end: End) -> usize {
    let is_description = |body: &PacketBody| matches!(body, PacketBody::DatabaseDescription(_));
    net.bodies(end, ospf_lite::time::Instant::ORIGIN).iter().filter(|body| is_description(body)).count()
}

fn requests(net: &Net) -> usize {
    net.engines.values().flat_map(|engine| engine.neighbors()).map(|one| one.requests).sum()
}

#[test]
fn s10_6_mtu_that_differs_is_refused() {
    for interface_mtu in [1369, 1371] {
        let mut net = at(FOLLOWER, ExStart);
        net.describe(FOLLOWER, DatabaseDescription { interface_mtu, ..family_first(7) });
        assert_eq!((net.state(FOLLOWER), net.refusals(FOLLOWER, Refusal::MtuMismatch)), (Some(ExStart), 1));
    }
}

#[test]
fn s10_6_state_init_takes_a_description_as_a_sign_of_two_way() {
    let mut net = Net::following(Family::Ipv6);
    net.inject_body(FOLLOWER, PacketBody::Hello(Hello { neighbors: Vec::new(), ..hello(Family::Ipv6) }));
    assert_eq!(net.state(FOLLOWER), Some(Init));
    net.describe(FOLLOWER, family_first(7));
    assert_eq!(net.state(FOLLOWER), Some(Exchange));
}

#[test]
fn s10_6_state_down_refuses_descriptions() {
    let mut net = Net::following(Family::Ipv6);
    net.describe(FOLLOWER, family_first(7));
    assert_eq!((net.state(FOLLOWER), net.refusals(FOLLOWER, Refusal::UnknownNeighbor)), (None, 1));
}

#[test]
fn s10_6_negotiation_is_won_by_the_higher_router_id() {
    let mut net = at(FOLLOWER, ExStart);
    net.describe(FOLLOWER, family_first(4711));
    let answer = net.last_description(FOLLOWER);
    assert_eq!((answer.sequence, answer.master, answer.init), (4711, false, false));
    let mut net = at(LEADER, ExStart);
    let first = net.last_description(LEADER);
    net.describe(LEADER, family_first(4711));
    assert_eq!((net.state(LEADER), net.last_description(LEADER)), (Some(ExStart), first.clone()));
    let answer =
        DatabaseDescription { master: false, sequence: first.sequence, ..description(Family::Ipv6, 0) };
    net.describe(LEADER, answer);
    let next = net.last_description(LEADER);
    assert_eq!((next.sequence, next.master, next.init), (first.sequence + 1, true, false));
}

#[test]
fn s10_6_negotiation_ignores_what_neither_begins_nor_answers() {
    let wrong: [fn(&mut DatabaseDescription); 4] = [
        |first| first.headers = vec![foreign(PRIVATE, 1, 0, 1).header()],
        |first| first.more = false,
        |first| first.master = false,
        |first| first.init = false,
    ];
    for change in wrong {
        let mut net = at(FOLLOWER, ExStart);
        let mut first = family_first(7);
        change(&mut first);
        net.describe(FOLLOWER, first);
        assert_eq!((net.state(FOLLOWER), net.refusals(FOLLOWER, Refusal::Negotiation)), (Some(ExStart), 1));
    }
    let mut net = at(LEADER, ExStart);
    let sequence = net.last_description(LEADER).sequence + 1;
    net.describe(LEADER, DatabaseDescription { master: false, ..description(Family::Ipv6, sequence) });
    assert_eq!((net.state(LEADER), net.refusals(LEADER, Refusal::Negotiation)), (Some(ExStart), 1));
}

#[test]
fn s10_6_out_of_sequence_starts_the_exchange_again() {
    type Change = fn(&mut DatabaseDescription);
    let changes: [(Change, Refusal); 4] = [
        (|next| next.master = !next.master, Refusal::MasterMismatch),
        (|next| next.options = next.options.with(Options::DC), Refusal::OptionsChanged),
        (|next| next.sequence = next.sequence.wrapping_add(1), Refusal::SequenceMismatch),
        (|next| next.sequence = next.sequence.wrapping_sub(2), Refusal::SequenceMismatch),
    ];
    for end in [FOLLOWER, LEADER] {
        for (change, refusal) in changes {
            let mut net = at(end, Exchange);
            let mut next = net.next_description(end);
            change(&mut next);
            net.describe(end, next);
            assert_eq!(
                (net.state(end), net.refusals(end, refusal)),
                (Some(ExStart), 1),
                "{refusal:?} at {end:?}"
            );
        }
    }
}

#[test]
fn s10_6_init_bit_in_exchange_and_later_starts_the_exchange_again() {
    for state in [Exchange, Loading, Full] {
        for end in [FOLLOWER, LEADER] {
            let mut net = at(end, state);
            let first = net.last_description(end);
            net.describe(end, DatabaseDescription { headers: Vec::new(), ..family_first(99) });
            // The follower takes it as the first of the next exchange; the leader has begun one itself.
            let expected = if end == FOLLOWER { Exchange } else { ExStart };
            assert_eq!(net.state(end), Some(expected), "{state} at {end:?}");
            assert_ne!(net.last_description(end).sequence, first.sequence);
        }
    }
}

#[test]
fn s10_6_loading_and_full_take_nothing_but_repetitions() {
    for state in [Loading, Full] {
        for end in [FOLLOWER, LEADER] {
            let mut net = at(end, state);
            let next = net.next_description(end);
            net.describe(end, DatabaseDescription { sequence: next.sequence + 1, more: false, ..next });
            assert_eq!(net.state(end), Some(ExStart), "{state} at {end:?}");
            assert_eq!(net.refusals(end, Refusal::SequenceMismatch), 1);
        }
    }
}

#[test]
fn s10_6_repeated_is_answered_with_the_same_by_the_router_that_follows() {
    for state in [Exchange, Loading, Full] {
        let mut net = at(FOLLOWER, state);
        let (last, count) = (net.last_description(FOLLOWER), descriptions(&net, FOLLOWER));
        let again = match state {
            Exchange => family_first(7),
            Loading => DatabaseDescription {
                more: false,
                headers: vec![foreign(ospf_testnet::WANTED, 1, 0, 1).header()],
                ..description(Family::Ipv6, 8)
            },
            _ => DatabaseDescription { more: false, ..description(Family::Ipv6, 8) },
        };
        net.describe(FOLLOWER, again);
        assert_eq!(net.state(FOLLOWER), Some(state));
        assert_eq!((net.last_description(FOLLOWER), descriptions(&net, FOLLOWER)), (last, count + 1));
    }
}

#[test]
fn s10_6_repeated_is_passed_over_by_the_router_that_leads() {
    let mut net = at(LEADER, Exchange);
    let sequence = net.last_description(LEADER).sequence - 1;
    let count = descriptions(&net, LEADER);
    net.describe(LEADER, DatabaseDescription { master: false, ..description(Family::Ipv6, sequence) });
    assert_eq!((net.state(LEADER), descriptions(&net, LEADER)), (Some(Exchange), count));
}

#[test]
fn s10_6_bad_header_starts_the_exchange_again() {
    let mut net = at(FOLLOWER, Exchange);
    let reserved = LsaHeader {
        age: 1,
        key: key(LsType::from_bits(0xe001), 1, 2),
        sequence: SequenceNumber::INITIAL,
        checksum: 1,
        length: 20,
    };
    let next = net.next_description(FOLLOWER);
    net.describe(FOLLOWER, DatabaseDescription { headers: vec![reserved], ..next });
    assert_eq!((net.state(FOLLOWER), net.refusals(FOLLOWER, Refusal::DescriptionScope)), (Some(ExStart), 1));
}

#[test]
fn s10_6_requests_are_made_for_what_is_missing_or_newer_and_for_nothing_else() {
    for (offered, wanted) in [(None, 1), (Some(4), 0), (Some(5), 0), (Some(6), 1)] {
        let mut net = at(FOLLOWER, Full);
        net.inject_body(FOLLOWER, update([foreign(PRIVATE, 1, 5, 1)]));
        net.describe(FOLLOWER, family_first(50));
        let header = match offered {
            None => foreign(PRIVATE, 2, 0, 1).header(),
            Some(sequence) => foreign(PRIVATE, 1, sequence, 1).header(),
        };
        let next = net.next_description(FOLLOWER);
        net.describe(FOLLOWER, DatabaseDescription { headers: vec![header], ..next });
        assert_eq!((net.state(FOLLOWER), requests(&net)), (Some(Exchange), wanted), "{offered:?}");
    }
}

#[test]
fn s10_6_exchange_ends_when_both_have_told_all() {
    let mut net = at(FOLLOWER, Exchange);
    let next = net.next_description(FOLLOWER);
    net.describe(FOLLOWER, next.clone());
    assert_eq!(net.state(FOLLOWER), Some(Exchange));
    net.describe(FOLLOWER, DatabaseDescription { sequence: next.sequence + 1, more: false, ..next });
    assert_eq!(net.state(FOLLOWER), Some(Full));
    let mut net = at(LEADER, Exchange);
    let next = net.next_description(LEADER);
    net.describe(LEADER, next);
    assert_eq!(net.state(LEADER), Some(Exchange));
    let next = net.next_description(LEADER);
    net.describe(LEADER, DatabaseDescription { more: false, ..next });
    assert_eq!(net.state(LEADER), Some(Full));
}

#[test]
fn s10_6_sequence_is_raised_by_the_leader_and_echoed_by_the_follower() {
    let mut net = at(FOLLOWER, Exchange);
    for sequence in [8, 9, 10] {
        net.describe(FOLLOWER, description(Family::Ipv6, sequence));
        assert_eq!(net.last_description(FOLLOWER).sequence, sequence);
    }
    let mut net = at(LEADER, Exchange);
    let first = net.last_description(LEADER).sequence;
    for step in 1..=3 {
        let next = net.next_description(LEADER);
        net.describe(LEADER, next);
        assert_eq!(net.last_description(LEADER).sequence, first + step);
    }
}

#[test]
fn s10_8_first_description_is_empty_and_claims_to_lead() {
    for end in [FOLLOWER, LEADER] {
        let first = at(end, ExStart).last_description(end);
        assert_eq!((first.init, first.more, first.master, first.headers.len()), (true, true, true, 0));
        assert_eq!(first.interface_mtu, 1370);
    }
}

#[test]
fn s10_8_repetition_of_the_first_description_comes_every_rxmt_interval() {
    let mut net = at(FOLLOWER, ExStart);
    let first = net.last_description(FOLLOWER);
    net.run(seconds(16));
    assert_eq!((descriptions(&net, FOLLOWER), net.last_description(FOLLOWER)), (4, first));
}

/// Section 10.1 allows one description at a time to be under way.
#[test]
fn s10_8_repetition_in_exchange_is_for_the_leader_alone_and_of_the_same_description() {
    let mut net = at(LEADER, Exchange);
    let (last, count) = (net.last_description(LEADER), descriptions(&net, LEADER));
    net.run(seconds(16));
    assert_eq!((descriptions(&net, LEADER), net.last_description(LEADER)), (count + 3, last));
    let mut net = at(FOLLOWER, Exchange);
    let count = descriptions(&net, FOLLOWER);
    net.run(seconds(16));
    assert_eq!(descriptions(&net, FOLLOWER), count);
}

#[test]
fn s10_1_outstanding_is_one_description_at_a_time() {
    let mut net = Net::leading(Family::Ipv6);
    net.bring(LEADER, Full);
    for id in 0..200 {
        net.inject_body(LEADER, update([foreign(PRIVATE, id, 0, 1)]));
    }
    net.describe(LEADER, family_first(99));
    let ours = net.last_description(LEADER).sequence;
    let mut count = descriptions(&net, LEADER);
    let mut next = DatabaseDescription { master: false, ..description(Family::Ipv6, ours) };
    for _ in 0..3 {
        net.describe(LEADER, next.clone());
        count += 1;
        assert_eq!(descriptions(&net, LEADER), count);
        assert!(net.last_description(LEADER).more);
        next = net.next_description(LEADER);
    }
    assert_eq!(net.engines[&3].neighbors().next().unwrap().router_id, RouterId(2));
}
