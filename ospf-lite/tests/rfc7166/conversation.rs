//! RFC 7166 between engines: what is sent, and what is refused of what was recorded, forged or left over.

use ospf_lite::config::PointToPointConfig;
use ospf_lite::ids::{Family, RouterId};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{Options, PacketBody, PacketKind};
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::wire::auth;
use ospf_testnet::{Net, Sent, link_local, seconds, secret};

/// How long a neighbor that has gone still counts.
const DEAD: u64 = 41;

fn with_key(link: &mut PointToPointConfig) {
    link.authentication = vec![secret(1, "first")];
}

/// Two routers that have been Full for a while with a secret.
fn pair() -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), with_key);
    net.run_until(seconds(10), Net::is_equal);
    net.run(seconds(50));
    net
}

/// Everything that router 2 has sent.
fn recording(net: &Net) -> Vec<Vec<u8>> {
    net.sent.iter().filter(|sent| sent.from == (2, 1)).map(|sent| sent.octets.clone()).collect()
}

/// Repeats a recording to router 1; every packet must be refused as a replay, and nothing else may come of it.
fn repeat(net: &mut Net, recording: &[Vec<u8>]) {
    let refused = |net: &Net| net.refusals((1, 1), Refusal::AuthenticationReplay);
    let before = (net.state((1, 1)), net.headers(1), refused(net), net.sent.len());
    for octets in recording {
        net.inject((1, 1), link_local((2, 1)), octets.clone());
    }
    let expected = before.2 + recording.len() as u64;
    assert_eq!(
        (net.state((1, 1)), net.headers(1), refused(net), net.sent.len()),
        (before.0, before.1, expected, before.3)
    );
}

fn sequence(sent: &Sent) -> u64 {
    let verified = auth::verify(&sent.octets, &[secret(1, "first")], link_local(sent.from));
    verified.unwrap().sequence
}

#[test]
fn s2_1_at_bit_is_set_in_hellos_and_descriptions_with_a_trailer_and_in_none_without() {
    for (is_signed, net) in [(true, pair()), (false, Net::pair(Family::Ipv6))] {
        let options = net.sent.iter().filter_map(|sent| match sent.packet(Family::Ipv6).body {
            PacketBody::Hello(hello) => Some(hello.options),
            PacketBody::DatabaseDescription(description) => Some(description.options),
            _ => None,
        });
        let options: Vec<Options> = options.collect();
        assert!(options.len() > 8);
        assert!(options.iter().all(|options| options.contains(Options::AT) == is_signed));
    }
}

/// The three steps of a change of keys, one router after the other, each a while after the one before.
#[test]
fn s3_rollover_loses_neither_a_packet_nor_the_adjacency() {
    let mut net = pair();
    let steps: [fn(&mut PointToPointConfig); 3] = [
        |link| link.authentication = vec![secret(1, "first"), secret(2, "second")],
        |link| link.authentication = vec![secret(2, "second"), secret(1, "first")],
        |link| link.authentication = vec![secret(2, "second")],
    ];
    let (from, events) = (net.now, net.events.len());
    for step in steps {
        for end in [(1, 1), (2, 1)] {
            net.configure_up(end, step);
            net.run(seconds(25));
        }
    }
    assert!(net.is_equal());
    let changes = net.events[events..]
        .iter()
        .filter(|(_, event)| matches!(event, ospf_lite::io::Event::NeighborChanged { .. }));
    assert_eq!(changes.count(), 0);
    let refusals: u64 = [(1, 1), (2, 1)]
        .into_iter()
        .flat_map(|end| Refusal::ALL.iter().filter(|kind| !kind.is_ordinary()).map(move |kind| (end, *kind)))
        .map(|(end, kind)| net.refusals(end, kind))
        .sum();
    assert_eq!(refusals, 0);
    let last = net.sent.iter().rfind(|sent| sent.at > from && sent.from == (2, 1)).unwrap();
    let signer = auth::verify(&last.octets, &[secret(1, "first"), secret(2, "second")], link_local((2, 1)));
    assert_eq!(signer.unwrap().sa_id, 2);
}

#[test]
fn s3_rollover_refuses_a_key_that_was_taken_out() {
    let mut net = pair();
    net.configure_up((1, 1), |link| link.authentication = vec![secret(2, "second")]);
    net.run(seconds(DEAD));
    assert!(net.refusals((1, 1), Refusal::AuthenticationUnknownSa) >= 3);
    assert_eq!(net.state((1, 1)), None);
}

#[test]
fn s4_1_sequence_grows_with_every_packet_sent_and_over_starts() {
    let mut net = pair();
    net.start(2);
    net.configure_up((2, 1), with_key);
    net.run_until(seconds(10), Net::is_equal);
    let numbers: Vec<u64> = net.sent.iter().filter(|sent| sent.from == (2, 1)).map(sequence).collect();
    assert!(numbers.len() > 10 && numbers.is_sorted_by(|one, next| one < next));
}

#[test]
fn s4_1_sequence_of_each_kind_of_packet_is_judged_alone() {
    let mut net = pair();
    let highest = net.sent.iter().filter(|sent| sent.from == (2, 1)).map(sequence).max().unwrap();
    // An acknowledgment overtaken by many Hellos still counts: its kind's last number is far lower.
    let last = net.sent.iter().rfind(|sent| {
        sent.from == (2, 1) && sent.packet(Family::Ipv6).body.kind() == PacketKind::LinkStateAcknowledgment
    });
    let last = sequence(last.unwrap());
    assert!(last + 1 < highest);
    let packet = ospf_testnet::packet_of_two(Family::Ipv6, PacketBody::LinkStateAcknowledgment(Vec::new()));
    let packet = ospf_lite::wire::packet::encode(&packet, ospf_lite::wire::packet::Protection::Trailer);
    for (sequence, refused) in [(last, 1), (last + 1, 1), (last + 1, 2)] {
        let signed = auth::sign(packet.clone(), &secret(1, "first"), sequence, link_local((2, 1)));
        net.inject((1, 1), link_local((2, 1)), signed);
        assert_eq!(net.refusals((1, 1), Refusal::AuthenticationReplay), refused);
    }
}

#[test]
fn s4_2_checksum_is_left_out_with_a_trailer() {
    let net = pair();
    assert!(net.sent.iter().all(|sent| sent.octets[12..14] == [0, 0]));
}

#[test]
fn s4_2_checksum_is_not_looked_at_with_a_trailer() {
    let mut net = pair();
    let highest = net.sent.iter().filter(|sent| sent.from == (2, 1)).map(sequence).max().unwrap();
    let hello = net
        .sent
        .iter()
        .rfind(|sent| sent.from == (2, 1) && sent.packet(Family::Ipv6).body.kind() == PacketKind::Hello);
    let mut hello = hello.unwrap().octets[..40].to_vec();
    hello[12..14].copy_from_slice(&[0xab, 0xcd]);
    net.inject(
        (1, 1),
        link_local((2, 1)),
        auth::sign(hello, &secret(1, "first"), highest + 1, link_local((2, 1))),
    );
    assert_eq!(net.refusals((1, 1), Refusal::Checksum), 0);
    assert_eq!(net.refusals((1, 1), Refusal::AuthenticationReplay), 0);
}

#[test]
fn s4_6_replay_is_refused_while_the_neighbor_lives() {
    let mut net = pair();
    let recording = recording(&net);
    assert!(recording.len() > 10);
    repeat(&mut net, &recording);
    assert!(net.is_full((1, 1)));
}

#[test]
fn s4_6_replay_is_refused_after_the_neighbor_has_started_again() {
    let mut net = pair();
    let recording = recording(&net);
    net.start(2);
    net.configure_up((2, 1), with_key);
    // The first Hello of the next life is enough.
    net.run_until(seconds(1), |net| net.state((1, 1)) == Some(NeighborState::Init));
    repeat(&mut net, &recording);
    net.run_until(seconds(10), Net::is_equal);
    repeat(&mut net, &recording);
}

#[test]
fn s4_6_replay_is_refused_while_the_neighbor_is_gone_and_after_it_is_back() {
    let mut net = pair();
    let recording = recording(&net);
    net.engines.remove(&2);
    net.run(seconds(DEAD));
    assert_eq!(net.state((1, 1)), None);
    repeat(&mut net, &recording);
    net.start(2);
    net.configure_up((2, 1), with_key);
    net.run_until(seconds(20), Net::is_equal);
    repeat(&mut net, &recording);
}

#[test]
fn s4_6_replay_is_refused_after_the_link_was_down() {
    use ospf_lite::io::InterfaceEvent;
    let mut net = pair();
    let recording = recording(&net);
    let id = ospf_lite::ids::InterfaceId(1);
    net.interface(1, InterfaceEvent::Down(id));
    net.interface(1, InterfaceEvent::Up(id));
    repeat(&mut net, &recording);
}

/// BIRD begins with 1 at each start.
#[test]
fn s4_6_replay_is_what_a_neighbor_without_a_count_of_starts_looks_like_until_it_counts_as_dead() {
    let start = |net: &mut Net| {
        let config = ospf_lite::config::Config::new(RouterId(2), Family::Ipv6);
        assert_eq!(config.authentication_epoch, 0);
        net.engines.insert(2, ospf_lite::engine::Engine::new(config, net.now, 2));
        net.configure_up((2, 1), with_key);
    };
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]);
    net.join((1, 1), (2, 1), with_key);
    start(&mut net);
    net.run_until(seconds(60), Net::is_equal);
    net.run(seconds(200));
    start(&mut net);
    net.run(seconds(10));
    assert!(net.refusals((1, 1), Refusal::AuthenticationReplay) > 0);
    net.run_until(seconds(100), Net::is_equal);
}

#[test]
fn s4_6_trailer_of_a_neighbor_without_the_secret_is_missing_and_changes_nothing() {
    let mut net = pair();
    let before = net.headers(1);
    let forged = ospf_testnet::altered(Family::Ipv6, |_| {});
    for _ in 0..100 {
        net.inject((1, 1), link_local((2, 1)), forged.clone());
    }
    assert_eq!(net.refusals((1, 1), Refusal::AuthenticationMissing), 100);
    assert!(net.is_full((1, 1)) && net.headers(1) == before);
}
