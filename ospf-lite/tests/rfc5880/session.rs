//! How a session begins, comes up, goes down and ends.

use std::time::Duration;

use ospf_lite::bfd::Bfd;
use ospf_lite::bfd::fsm::SessionState::{AdminDown, Down, Init, Up};
use ospf_lite::bfd::io::{Content, Received, SessionEvent};
use ospf_lite::bfd::packet::{self, ControlPacket, Diagnostic, Sequence};
use ospf_lite::bfd::refusal::Refusal;
use ospf_lite::ids::InterfaceId;
use ospf_lite::time::Instant;

use crate::lone::{FAR, LINK, Lone, assert_refused, config, down, millis, mult};

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
fn s6_8_9_echo_packets_are_not_asked_for_of_a_far_end_that_would_take_them() {
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
    lone.bfd.handle_packet(
        lone.now,
        &Received { interface: LINK, hop_limit: 254, age: Duration::ZERO, octets: &octets },
    );
    assert_eq!((lone.state(), lone.refused(Refusal::HopLimit)), (Up, 1));
}
