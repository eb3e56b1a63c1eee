//! BFD against RFC 5880: what the standard binds a session to, clause by clause, and that a breach is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::num::NonZeroU8;
use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState::{self, AdminDown, Down, Init, Up};
use ospf_lite::bfd::io::{Content, Received, SessionConfig, SessionEvent, SessionView};
use ospf_lite::bfd::packet::{self, ControlPacket, Diagnostic, Sequence};
use ospf_lite::bfd::refusal::Refusal;
use ospf_lite::bfd::{Bfd, HOP_LIMIT};
use ospf_lite::ids::InterfaceId;
use ospf_lite::time::Instant;

const LINK: InterfaceId = InterfaceId(7);
const OTHER_LINK: InterfaceId = InterfaceId(8);
/// What the far end played by a test calls its session.
const FAR: u32 = 0xfa2;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn mult(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).unwrap()
}

fn config(interface: InterfaceId, interval: Duration, detect_mult: u8) -> SessionConfig {
    let low = u16::try_from(interface.0).unwrap();
    SessionConfig {
        interface,
        name: format!("link{interface}"),
        remote: std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, low),
        interval,
        detect_mult: mult(detect_mult),
    }
}

/// One machine with a session over [`LINK`]; the test plays the far end.
struct Lone {
    bfd: Bfd,
    now: Instant,
    /// What it calls its session.
    discriminator: u32,
    sent: Vec<(Instant, ControlPacket)>,
}

impl Lone {
    fn new(interval: Duration, detect_mult: u8) -> Self {
        let now = Instant::ORIGIN + Duration::from_secs(50);
        let mut lone = Self { bfd: Bfd::new(11), now, discriminator: 0, sent: Vec::new() };
        lone.tell(SessionEvent::Configured(config(LINK, interval, detect_mult)));
        lone.run(Duration::ZERO);
        lone.discriminator = lone.sent[0].1.my_discriminator;
        lone
    }

    /// With defaults, and the far end's last packet just received.
    fn up() -> Self {
        let mut lone = Self::new(millis(300), 3);
        lone.bring_up();
        lone
    }

    fn bring_up(&mut self) {
        self.hear(|packet| ControlPacket { state: Down, your_discriminator: 0, ..packet });
        self.hear(|packet| ControlPacket { state: Up, ..packet });
        assert_eq!(self.state(), Up);
    }

    /// Up, and every Poll Sequence answered.
    fn settled() -> Self {
        let mut lone = Self::up();
        lone.answer_polls();
        lone
    }

    fn answer_polls(&mut self) {
        while self.last_periodic().sequence == Sequence::Poll || self.poll_follows() {
            self.hear(|packet| ControlPacket { sequence: Sequence::Final, ..packet });
            self.run(millis(350));
            self.hear(|packet| packet);
            self.run(millis(350));
        }
        self.hear(|packet| packet);
        self.sent.clear();
    }

    /// Whether the next periodic packet asks.
    fn poll_follows(&mut self) -> bool {
        self.hear(|packet| packet);
        self.sent.clear();
        self.run(millis(350));
        self.last_periodic().sequence == Sequence::Poll
    }

    fn last_periodic(&self) -> ControlPacket {
        self.sent.iter().rev().map(|(_, packet)| *packet).find(|one| one.sequence != Sequence::Final).unwrap()
    }

    fn view(&self) -> SessionView {
        self.bfd.session(LINK).unwrap()
    }

    fn state(&self) -> SessionState {
        self.view().state
    }

    fn refused(&self, refusal: Refusal) -> u64 {
        self.view().refusals.of(refusal)
    }

    /// What a far end with the defaults that is Up sends, as the test changes it.
    fn packet(&self, change: impl FnOnce(ControlPacket) -> ControlPacket) -> ControlPacket {
        change(ControlPacket {
            diagnostic: Diagnostic::None,
            state: Up,
            sequence: Sequence::None,
            control_plane_independent: false,
            authenticated: false,
            demand: false,
            detect_mult: mult(3),
            my_discriminator: FAR,
            your_discriminator: self.discriminator,
            desired_min_tx: millis(300),
            required_min_rx: millis(300),
            required_min_echo_rx: Duration::ZERO,
        })
    }

    fn hear(&mut self, change: impl FnOnce(ControlPacket) -> ControlPacket) {
        let packet = self.packet(change);
        self.hear_octets(&packet::encode(&packet));
    }

    fn hear_octets(&mut self, octets: &[u8]) {
        self.hear_over(LINK, octets);
    }

    fn hear_over(&mut self, interface: InterfaceId, octets: &[u8]) {
        self.bfd.handle_packet(self.now, &Received { interface, hop_limit: HOP_LIMIT, octets });
        self.collect();
    }

    fn tell(&mut self, event: SessionEvent) {
        self.bfd.handle_session(self.now, event);
        self.collect();
    }

    fn configure(&mut self, interval: Duration, detect_mult: u8) {
        self.tell(SessionEvent::Configured(config(LINK, interval, detect_mult)));
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.bfd.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.bfd.handle_timeout(self.now);
            self.collect();
        }
        self.now = until;
    }

    /// Lets time pass while the far end sends the same packet every so often.
    fn run_hearing(&mut self, time: Duration, every: Duration, change: fn(ControlPacket) -> ControlPacket) {
        let until = self.now + time;
        while self.now < until {
            self.hear(change);
            self.run(every);
        }
    }

    fn collect(&mut self) {
        while let Some(transmit) = self.bfd.poll_transmit() {
            if let Content::Control(octets) = transmit.content
                && transmit.interface == LINK
            {
                self.sent.push((self.now, packet::decode(&octets).unwrap()));
            }
        }
        while self.bfd.poll_event().is_some() {}
    }

    /// The times between the packets sent since the last look, which were all periodic.
    fn gaps(&self) -> Vec<Duration> {
        self.sent.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect()
    }
}

/// The octets of a packet that would be accepted, with one changed.
fn spoiled(lone: &Lone, at: usize, change: impl FnOnce(u8) -> u8) -> Vec<u8> {
    let packet = lone.packet(|packet| packet);
    let mut octets = packet::encode(&packet);
    octets[at] = change(octets[at]);
    octets
}

/// Makes sure that a packet which says the session is down is refused for the reason, and changes nothing.
fn assert_refused(lone: &mut Lone, octets: &[u8], refusal: Refusal) {
    let before = lone.view();
    let count = lone.refused(refusal);
    lone.hear_octets(octets);
    assert_eq!(lone.refused(refusal), count + 1, "{refusal}");
    let after = lone.view();
    assert_eq!(
        (after.state, after.remote_state, after.received),
        (before.state, before.remote_state, before.received)
    );
}

/// A packet that would take the session down if it were accepted.
fn down(packet: ControlPacket) -> ControlPacket {
    ControlPacket { state: Down, ..packet }
}

#[test]
fn s4_1_packets_have_version_1_no_multipoint_bit_and_their_own_length() {
    let lone = Lone::up();
    let packet = lone.packet(|packet| packet);
    let octets = packet::encode(&packet);
    assert_eq!((octets.len(), octets[0] >> 5, octets[1] & 1, octets[3]), (24, 1, 0, 24));
}

#[test]
fn s4_1_every_field_is_where_the_figure_has_it() {
    // Version 1, diagnostic 3; Up, Poll, Control Plane Independent, Demand; 5; length 24; two discriminators, three intervals.
    let octets = [
        0x23, 0xea, 5, 24, 0, 0, 0x0f, 0xa2, 0xde, 0xad, 0xbe, 0xef, 0, 4, 0x93, 0xe0, 0, 0, 0xc3, 0x50, 0,
        0, 0, 1,
    ];
    let expected = ControlPacket {
        diagnostic: Diagnostic::NeighborSignaledDown,
        state: Up,
        sequence: Sequence::Poll,
        control_plane_independent: true,
        authenticated: false,
        demand: true,
        detect_mult: mult(5),
        my_discriminator: 0xfa2,
        your_discriminator: 0xdead_beef,
        desired_min_tx: millis(300),
        required_min_rx: millis(50),
        required_min_echo_rx: Duration::from_micros(1),
    };
    assert_eq!(packet::decode(&octets), Ok(expected));
    assert_eq!(packet::encode(&expected), octets);
}

#[test]
fn s6_1_the_active_role_sends_before_anything_is_heard() {
    let mut lone = Lone::new(millis(300), 3);
    lone.run(Duration::from_secs(10));
    assert!(lone.sent.len() >= 10);
    assert!(lone.sent.iter().all(|(_, packet)| packet.state == Down && packet.your_discriminator == 0));
}

#[test]
fn s6_2_a_session_is_up_only_after_both_ends_have_heard_each_other() {
    let mut lone = Lone::new(millis(300), 3);
    lone.hear(|packet| ControlPacket { state: Down, your_discriminator: 0, ..packet });
    assert_eq!(lone.state(), Init);
    lone.hear(|packet| ControlPacket { state: Init, ..packet });
    assert_eq!(lone.state(), Up);
}

#[test]
fn s6_2_a_far_end_that_is_up_alone_does_not_bring_the_session_up() {
    let mut lone = Lone::new(millis(300), 3);
    lone.hear(|packet| packet);
    assert_eq!(lone.state(), Down);
}

#[test]
fn s6_2_a_far_end_in_admin_down_holds_the_session_down() {
    let mut lone = Lone::new(millis(300), 3);
    lone.run_hearing(Duration::from_secs(5), millis(900), |packet| ControlPacket {
        state: AdminDown,
        ..packet
    });
    assert_eq!(lone.state(), Down);
    assert!(lone.sent.iter().all(|(_, packet)| packet.state == Down));
}

#[test]
fn s6_3_discriminators_are_nonzero_and_unique() {
    let mut bfd = Bfd::new(5);
    for interface in 1..=200 {
        let config = config(InterfaceId(interface), millis(300), 3);
        bfd.handle_session(Instant::ORIGIN, SessionEvent::Configured(config));
    }
    bfd.handle_timeout(Instant::ORIGIN);
    let mut seen = std::collections::BTreeSet::new();
    while let Some(transmit) = bfd.poll_transmit() {
        if let Content::Control(octets) = transmit.content {
            seen.insert(packet::decode(&octets).unwrap().my_discriminator);
        }
    }
    assert_eq!((seen.len(), seen.contains(&0)), (200, false));
}

#[test]
fn s6_5_the_far_end_is_polled_by_periodic_packets_and_no_others() {
    let mut lone = Lone::up();
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(3), millis(290), |packet| packet);
    assert!(lone.sent.iter().all(|(_, packet)| packet.sequence == Sequence::Poll), "until it is answered");
    assert!(lone.gaps().iter().all(|gap| *gap >= millis(225)), "{:?}", lone.gaps());
    let asked = lone.sent.len();
    lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..packet });
    lone.run_hearing(Duration::from_secs(3), millis(290), |packet| packet);
    assert!(lone.sent[asked..].iter().all(|(_, packet)| packet.sequence == Sequence::None));
}

#[test]
fn s6_5_a_poll_is_answered_without_one() {
    let mut lone = Lone::up();
    lone.sent.clear();
    lone.hear(|packet| ControlPacket { sequence: Sequence::Poll, ..packet });
    assert_eq!(lone.sent.iter().map(|(_, packet)| packet.sequence).collect::<Vec<_>>(), [Sequence::Final]);
}

#[test]
fn s6_5_a_packet_with_poll_and_final_is_refused() {
    let mut lone = Lone::up();
    let octets = spoiled(&lone, 1, |flags| (flags & 0x3f) | 0x70);
    assert_refused(&mut lone, &octets, Refusal::PollAndFinal);
}

#[test]
fn s6_6_the_demand_bit_is_never_set() {
    let mut lone = Lone::up();
    lone.run_hearing(Duration::from_secs(5), millis(200), |packet| ControlPacket { demand: true, ..packet });
    assert!(lone.sent.iter().all(|(_, packet)| !packet.demand));
}

#[test]
fn s6_6_a_change_is_polled_for_while_the_far_end_is_in_demand_mode() {
    let mut lone = Lone::settled();
    lone.hear(|packet| ControlPacket { demand: true, ..packet });
    lone.sent.clear();
    lone.configure(millis(300), 5);
    lone.run_hearing(Duration::from_secs(1), millis(200), |packet| ControlPacket { demand: true, ..packet });
    assert!(lone.sent.len() >= 3);
    assert!(
        lone.sent
            .iter()
            .all(|(_, packet)| packet.sequence == Sequence::Poll && packet.detect_mult == mult(5))
    );
}

#[test]
fn s6_7_a_packet_with_authentication_is_refused_for_none_is_in_use() {
    let mut lone = Lone::up();
    let packet = lone.packet(down);
    let mut octets = packet::encode(&packet);
    octets[1] |= 0x04;
    octets[3] = 28;
    octets.extend([1, 4, 1, b'x']);
    assert_refused(&mut lone, &octets, Refusal::Authenticated);
}

#[test]
fn s6_8_1_a_session_begins_down_with_no_diagnostic_and_nobody_known() {
    let mut lone = Lone::new(millis(50), 3);
    lone.run(Duration::ZERO);
    let (_, first) = lone.sent[0];
    assert_eq!((first.state, first.diagnostic, first.your_discriminator), (Down, Diagnostic::None, 0));
    assert!(first.desired_min_tx >= Duration::from_secs(1));
    assert_eq!(lone.view().remote_state, Down);
}

#[test]
fn s6_8_1_the_far_ends_discriminator_is_cleared_after_a_detection_time_of_silence() {
    let mut lone = Lone::settled();
    lone.run(millis(899));
    assert_eq!(lone.last_periodic().your_discriminator, FAR);
    lone.run(millis(2_000));
    assert_eq!(lone.last_periodic().your_discriminator, 0);
}

#[test]
fn s6_8_1_a_session_that_is_removed_is_kept_for_a_detection_time() {
    let mut lone = Lone::settled();
    lone.tell(SessionEvent::Removed(LINK));
    lone.run(millis(900));
    assert_eq!(lone.state(), AdminDown);
    lone.run(Duration::from_secs(10));
    assert!(lone.bfd.session(LINK).is_none());
}

#[test]
fn s6_8_2_the_slower_of_both_ends_sets_the_interval() {
    for (ours, theirs, expected) in [(300, 100, 300), (100, 300, 300), (50, 50, 50)] {
        let mut lone = Lone::new(millis(ours), 3);
        lone.bring_up();
        let required_min_rx = millis(theirs);
        for _ in 0..2 {
            lone.hear(|packet| ControlPacket { sequence: Sequence::Final, required_min_rx, ..packet });
            lone.hear(|packet| ControlPacket { required_min_rx, ..packet });
        }
        assert_eq!(lone.view().transmit_interval, Some(millis(expected)));
    }
}

#[test]
fn s6_8_3_a_session_that_is_not_up_sends_once_a_second_at_most_and_says_so() {
    let mut lone = Lone::new(millis(50), 3);
    lone.run(Duration::from_secs(20));
    assert!(lone.gaps().iter().all(|gap| *gap >= millis(750)), "{:?}", lone.gaps());
    assert!(lone.sent.iter().all(|(_, packet)| packet.desired_min_tx >= Duration::from_secs(1)));
    lone.bring_up();
    assert_eq!(lone.last_periodic().desired_min_tx, millis(50));
    lone.hear(down);
    assert_eq!(lone.last_periodic().desired_min_tx, Duration::from_secs(1));
}

#[test]
fn s6_8_3_a_changed_interval_is_polled_for() {
    let mut lone = Lone::settled();
    lone.configure(millis(400), 3);
    lone.run_hearing(millis(900), millis(290), |packet| packet);
    assert!(!lone.sent.is_empty());
    for (_, packet) in &lone.sent {
        let told = (packet.sequence, packet.desired_min_tx, packet.required_min_rx);
        assert_eq!(told, (Sequence::Poll, millis(400), millis(400)));
    }
}

#[test]
fn s6_8_3_nothing_is_polled_for_when_nothing_changed() {
    let mut lone = Lone::settled();
    lone.configure(millis(300), 3);
    lone.run_hearing(millis(900), millis(290), |packet| packet);
    assert!(lone.sent.iter().all(|(_, packet)| packet.sequence == Sequence::None));
}

#[test]
fn s6_8_3_a_longer_interval_is_used_only_after_the_poll_sequence() {
    let mut lone = Lone::settled();
    lone.configure(millis(800), 3);
    assert_eq!(lone.view().transmit_interval, Some(millis(300)));
    lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..packet });
    assert_eq!(lone.view().transmit_interval, Some(millis(800)));
}

#[test]
fn s6_8_3_a_shorter_required_interval_counts_for_the_detection_time_only_after_the_poll_sequence() {
    let mut lone = Lone::settled();
    lone.configure(millis(100), 3);
    let told = |packet| ControlPacket { desired_min_tx: millis(100), ..packet };
    lone.hear(told);
    assert_eq!(lone.view().detection_time, millis(900));
    lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..told(packet) });
    assert_eq!(lone.view().detection_time, millis(300));
}

#[test]
fn s6_8_3_a_shorter_interval_that_the_far_end_takes_is_used_at_once() {
    let mut lone = Lone::new(millis(50), 3);
    lone.bring_up();
    assert_eq!(lone.view().transmit_interval, Some(millis(300)));
    lone.hear(|packet| ControlPacket { required_min_rx: millis(50), ..packet });
    assert_eq!(lone.view().transmit_interval, Some(millis(50)));
    lone.sent.clear();
    lone.run(millis(50));
    assert!(!lone.sent.is_empty());
}

#[test]
fn s6_8_3_a_change_during_a_poll_sequence_gets_one_of_its_own() {
    let mut lone = Lone::settled();
    lone.configure(millis(800), 3);
    lone.configure(millis(900), 3);
    lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..packet });
    assert_eq!(lone.view().transmit_interval, Some(millis(300)), "the answer may be to the first change");
    lone.run(millis(300));
    assert_eq!(lone.last_periodic().sequence, Sequence::None, "no new poll before a packet without Final");
    lone.hear(|packet| packet);
    lone.run(millis(300));
    assert_eq!(lone.last_periodic().sequence, Sequence::Poll);
    lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..packet });
    assert_eq!(lone.view().transmit_interval, Some(millis(900)));
}

#[test]
fn s6_8_4_the_detection_time_is_the_far_ends_multiplier_times_the_slower_interval() {
    for (ours, theirs, count, expected) in [(300, 100, 3, 900), (100, 300, 5, 1_500), (50, 50, 3, 150)] {
        let mut lone = Lone::new(millis(ours), 3);
        lone.bring_up();
        let told =
            |packet| ControlPacket { desired_min_tx: millis(theirs), detect_mult: mult(count), ..packet };
        lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..told(packet) });
        lone.hear(told);
        assert_eq!(lone.view().detection_time, millis(expected));
        lone.run(millis(expected) - Duration::from_micros(1));
        assert_eq!(lone.state(), Up);
        lone.run(Duration::from_micros(1));
        assert_eq!(lone.state(), Down);
    }
}

#[test]
fn s6_8_4_silence_takes_a_session_down_from_init_and_from_up_with_diagnostic_1() {
    let mut lone = Lone::new(millis(300), 3);
    lone.hear(|packet| ControlPacket { state: Down, your_discriminator: 0, ..packet });
    assert_eq!(lone.state(), Init);
    lone.run(millis(900));
    assert_eq!((lone.state(), lone.view().diagnostic), (Down, Diagnostic::DetectionTimeExpired));
    let mut lone = Lone::settled();
    lone.run(millis(900));
    assert_eq!((lone.state(), lone.view().diagnostic), (Down, Diagnostic::DetectionTimeExpired));
    assert_eq!(lone.last_periodic().diagnostic, Diagnostic::DetectionTimeExpired);
}

#[test]
fn s6_8_6_discards_another_version() {
    let mut lone = Lone::up();
    for version in [0, 2, 7] {
        let octets = spoiled(&lone, 0, |first| (first & 0x1f) | version << 5);
        assert_refused(&mut lone, &octets, Refusal::Version);
    }
}

#[test]
fn s6_8_6_discards_a_length_below_the_least() {
    let mut lone = Lone::up();
    for length in [0, 23] {
        let octets = spoiled(&lone, 3, |_| length);
        assert_refused(&mut lone, &octets, Refusal::Length);
    }
    let mut octets = spoiled(&lone, 1, |flags| flags | 0x04);
    octets[3] = 25;
    octets.push(0);
    assert_refused(&mut lone, &octets, Refusal::Length);
}

#[test]
fn s6_8_6_discards_a_length_beyond_the_payload() {
    let mut lone = Lone::up();
    let octets = spoiled(&lone, 3, |_| 25);
    assert_refused(&mut lone, &octets, Refusal::LengthBeyondPayload);
    let octets = spoiled(&lone, 3, |length| length);
    assert_refused(&mut lone, &octets[..23], Refusal::LengthBeyondPayload);
    assert_refused(&mut lone, &[], Refusal::LengthBeyondPayload);
}

#[test]
fn s6_8_6_takes_a_packet_with_something_behind_it() {
    let mut lone = Lone::up();
    let received = lone.view().received;
    let mut octets = spoiled(&lone, 3, |length| length);
    octets.extend([1, 2, 3]);
    lone.hear_octets(&octets);
    assert_eq!(lone.view().received, received + 1);
}

#[test]
fn s6_8_6_discards_zero_detect_mult() {
    let mut lone = Lone::up();
    let octets = spoiled(&lone, 2, |_| 0);
    assert_refused(&mut lone, &octets, Refusal::DetectMultZero);
}

#[test]
fn s6_8_6_discards_the_multipoint_bit() {
    let mut lone = Lone::up();
    let octets = spoiled(&lone, 1, |flags| flags | 1);
    assert_refused(&mut lone, &octets, Refusal::Multipoint);
}

#[test]
fn s6_8_6_discards_zero_my_discriminator() {
    let mut lone = Lone::up();
    let packet = lone.packet(|packet| ControlPacket { my_discriminator: 0, ..down(packet) });
    assert_refused(&mut lone, &packet::encode(&packet), Refusal::MyDiscriminatorZero);
}

#[test]
fn s6_8_6_your_discriminator_selects_the_session_and_one_of_none_is_discarded() {
    let mut lone = Lone::up();
    let packet = lone
        .packet(|packet| ControlPacket { your_discriminator: !packet.your_discriminator, ..down(packet) });
    assert_refused(&mut lone, &packet::encode(&packet), Refusal::UnknownDiscriminator);
}

#[test]
fn s6_8_6_discards_the_discriminator_of_another_links_session() {
    let mut lone = Lone::up();
    lone.tell(SessionEvent::Configured(config(OTHER_LINK, millis(300), 3)));
    let packet = lone.packet(down);
    lone.hear_over(OTHER_LINK, &packet::encode(&packet));
    assert_eq!(lone.state(), Up);
    assert_eq!(lone.bfd.session(OTHER_LINK).unwrap().refusals.of(Refusal::OtherInterface), 1);
}

#[test]
fn s6_8_6_discards_zero_your_discriminator_unless_the_far_end_is_down() {
    for state in [Init, Up] {
        let mut lone = Lone::new(millis(300), 3);
        let packet = lone.packet(|packet| ControlPacket { state, your_discriminator: 0, ..packet });
        assert_refused(&mut lone, &packet::encode(&packet), Refusal::YourDiscriminatorZero);
    }
    let mut lone = Lone::new(millis(300), 3);
    lone.hear(|packet| ControlPacket { state: Down, your_discriminator: 0, ..packet });
    assert_eq!(lone.state(), Init);
}

#[test]
fn s6_8_6_zero_your_discriminator_selects_by_the_link_and_is_discarded_without_a_session_there() {
    let mut lone = Lone::new(millis(300), 3);
    let packet = lone.packet(|packet| ControlPacket { state: Down, your_discriminator: 0, ..packet });
    lone.hear_over(OTHER_LINK, &packet::encode(&packet));
    assert_eq!(lone.state(), Down);
    assert_eq!(lone.bfd.strangers().of(Refusal::NoSession), 1);
    lone.hear_over(LINK, &packet::encode(&packet));
    assert_eq!(lone.state(), Init);
}

#[test]
fn s6_8_6_notes_the_far_ends_discriminator_state_and_interval() {
    let mut lone = Lone::up();
    lone.hear(|packet| ControlPacket {
        my_discriminator: 0x1234,
        required_min_rx: millis(700),
        state: Init,
        ..packet
    });
    lone.run(millis(700));
    assert_eq!(lone.last_periodic().your_discriminator, 0x1234);
    assert_eq!((lone.view().remote_state, lone.view().transmit_interval), (Init, Some(millis(700))));
}

#[test]
fn s6_8_6_final_ends_the_poll_sequence() {
    let mut lone = Lone::up();
    lone.run(millis(300));
    assert_eq!(lone.last_periodic().sequence, Sequence::Poll);
    lone.hear(|packet| ControlPacket { sequence: Sequence::Final, ..packet });
    lone.run(millis(300));
    assert_eq!(lone.last_periodic().sequence, Sequence::None);
}

#[test]
fn s6_8_6_a_session_in_admin_down_discards_whatever_comes() {
    let mut lone = Lone::up();
    lone.tell(SessionEvent::Disabled(LINK));
    for state in SessionState::ALL {
        lone.hear(|packet| ControlPacket { state, ..packet });
    }
    assert_eq!((lone.state(), lone.refused(Refusal::AdminDown)), (AdminDown, 4));
}

#[test]
fn s6_8_6_admin_down_of_the_far_end_takes_the_session_down_with_diagnostic_3() {
    let mut lone = Lone::up();
    lone.hear(|packet| ControlPacket { state: AdminDown, ..packet });
    assert_eq!((lone.state(), lone.view().diagnostic), (Down, Diagnostic::NeighborSignaledDown));
}

#[test]
fn s6_8_6_down_of_the_far_end_takes_the_session_down_with_diagnostic_3() {
    let mut lone = Lone::up();
    lone.hear(down);
    assert_eq!((lone.state(), lone.view().diagnostic), (Down, Diagnostic::NeighborSignaledDown));
    assert_eq!(lone.last_periodic().diagnostic, Diagnostic::NeighborSignaledDown);
}

#[test]
fn s6_8_6_a_poll_is_answered_at_once_in_every_state() {
    for state in [Down, Init, Up] {
        let mut lone = Lone::new(millis(300), 3);
        lone.run(millis(10));
        lone.sent.truncate(1);
        lone.hear(|packet| ControlPacket {
            state,
            sequence: Sequence::Poll,
            your_discriminator: if state == Down { 0 } else { packet.your_discriminator },
            ..packet
        });
        assert_eq!(lone.sent.len(), 2, "one packet, whether or not the state changed");
        assert_eq!(lone.sent[1].1.sequence, Sequence::Final);
    }
}

#[test]
fn s6_8_6_a_discarded_packet_does_not_put_the_detection_time_off() {
    let mut lone = Lone::settled();
    lone.run(millis(600));
    let octets = spoiled(&lone, 2, |_| 0);
    lone.hear_octets(&octets);
    lone.run(millis(300));
    assert_eq!(lone.state(), Down);
}

#[test]
fn s6_8_6_periodic_packets_cease_while_demand_mode_is_active_at_the_far_end() {
    let mut lone = Lone::settled();
    lone.hear(|packet| ControlPacket { demand: true, ..packet });
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(5), millis(200), |packet| ControlPacket { demand: true, ..packet });
    assert_eq!(lone.sent, []);
    assert_eq!(lone.state(), Up);
}

#[test]
fn s6_8_6_periodic_packets_go_on_while_demand_is_asked_for_by_a_far_end_that_is_not_up() {
    let mut lone = Lone::settled();
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(3), millis(200), |packet| ControlPacket {
        demand: true,
        state: Init,
        ..packet
    });
    assert!(lone.sent.len() >= 9);
}

#[test]
fn s6_8_7_the_gaps_are_75_to_100_percent_of_the_interval() {
    let mut lone = Lone::settled();
    lone.run_hearing(Duration::from_secs(60), millis(290), |packet| packet);
    let gaps = lone.gaps();
    assert!(gaps.len() > 200);
    assert!(gaps.iter().all(|gap| (millis(225)..=millis(300)).contains(gap)));
    assert!(gaps.iter().any(|gap| *gap < millis(235)) && gaps.iter().any(|gap| *gap > millis(290)));
}

#[test]
fn s6_8_7_the_gaps_are_75_to_90_percent_where_one_missed_packet_is_a_failure() {
    let mut lone = Lone::settled();
    lone.configure(millis(300), 1);
    lone.run_hearing(Duration::from_secs(1), millis(290), |packet| packet);
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(60), millis(290), |packet| packet);
    let gaps = lone.gaps();
    assert!(gaps.len() > 200);
    assert!(gaps.iter().all(|gap| (millis(225)..=millis(270)).contains(gap)));
}

#[test]
fn s6_8_7_the_interval_follows_the_far_ends_required_min_rx() {
    let mut lone = Lone::settled();
    lone.hear(|packet| ControlPacket { required_min_rx: millis(2_000), ..packet });
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(30), millis(290), |packet| ControlPacket {
        required_min_rx: millis(2_000),
        ..packet
    });
    assert!(lone.gaps().iter().all(|gap| *gap >= millis(1_500)), "{:?}", lone.gaps());
    assert!(lone.sent.len() >= 15);
}

#[test]
fn s6_8_7_nothing_periodic_is_sent_to_a_far_end_that_requires_none() {
    let mut lone = Lone::settled();
    lone.hear(|packet| ControlPacket { required_min_rx: Duration::ZERO, ..packet });
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(5), millis(200), |packet| ControlPacket {
        required_min_rx: Duration::ZERO,
        ..packet
    });
    assert_eq!(lone.sent, []);
    lone.hear(|packet| ControlPacket { required_min_rx: Duration::ZERO, sequence: Sequence::Poll, ..packet });
    assert_eq!(lone.sent.len(), 1, "an answer is not periodic");
}

#[test]
fn s6_8_7_a_changed_state_is_told_at_once() {
    let mut lone = Lone::settled();
    lone.hear(down);
    let (at, packet) = *lone.sent.last().unwrap();
    assert_eq!((at, packet.state), (lone.now, Down));
}

#[test]
fn s6_8_7_an_answer_does_not_put_the_next_periodic_packet_off() {
    let mut lone = Lone::settled();
    let until = lone.now + Duration::from_secs(5);
    while lone.now < until {
        lone.hear(|packet| ControlPacket { sequence: Sequence::Poll, ..packet });
        lone.run(millis(50));
    }
    let periodic = lone.sent.iter().filter(|(_, packet)| packet.sequence != Sequence::Final).count();
    assert!(periodic >= 16, "{periodic}");
}

#[test]
fn s6_8_9_echo_packets_are_neither_sent_nor_looped() {
    let mut lone = Lone::settled();
    lone.run_hearing(Duration::from_secs(2), millis(290), |packet| ControlPacket {
        required_min_echo_rx: millis(50),
        ..packet
    });
    assert!(lone.sent.iter().all(|(_, packet)| packet.required_min_echo_rx.is_zero()));
}

#[test]
fn s6_8_14_periodic_packets_begin_again_when_demand_mode_ends() {
    let mut lone = Lone::settled();
    lone.run_hearing(Duration::from_secs(2), millis(200), |packet| ControlPacket { demand: true, ..packet });
    lone.sent.clear();
    lone.run_hearing(Duration::from_secs(2), millis(200), |packet| packet);
    assert!(lone.sent.len() >= 6);
}

#[test]
fn s6_8_16_a_disabled_session_is_admin_down_with_diagnostic_7_and_says_so_for_a_detection_time() {
    let mut lone = Lone::settled();
    lone.tell(SessionEvent::Disabled(LINK));
    let (at, packet) = *lone.sent.last().unwrap();
    assert_eq!(
        (at, packet.state, packet.diagnostic),
        (lone.now, AdminDown, Diagnostic::AdministrativelyDown)
    );
    lone.sent.clear();
    lone.run(Duration::from_secs(3));
    assert!(lone.sent.len() >= 3);
    assert!(lone.sent.iter().all(|(_, packet)| packet.state == AdminDown));
}

#[test]
fn s6_8_16_an_enabled_session_is_down_and_comes_up_again() {
    let mut lone = Lone::settled();
    lone.tell(SessionEvent::Disabled(LINK));
    lone.configure(millis(300), 3);
    assert_eq!(lone.state(), Down);
    lone.bring_up();
}

#[test]
fn s6_8_18_a_far_end_that_is_silent_is_sent_to_although_it_required_no_packets() {
    let mut lone = Lone::settled();
    lone.hear(|packet| ControlPacket { required_min_rx: Duration::ZERO, ..packet });
    lone.run(millis(900));
    lone.sent.clear();
    lone.run(Duration::from_secs(5));
    assert!(lone.sent.len() >= 5);
}

#[test]
fn s9_a_packet_that_was_routed_is_refused() {
    let mut lone = Lone::up();
    let packet = lone.packet(down);
    let octets = packet::encode(&packet);
    lone.bfd.handle_packet(lone.now, &Received { interface: LINK, hop_limit: 254, octets: &octets });
    assert_eq!((lone.state(), lone.refused(Refusal::HopLimit)), (Up, 1));
}
