//! What is done with a Control packet that comes in: section 6.8.6.

use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState::{self, AdminDown, Down, Init, Up};
use ospf_lite::bfd::io::SessionEvent;
use ospf_lite::bfd::packet::{self, ControlPacket, Diagnostic, Sequence};
use ospf_lite::bfd::refusal::Refusal;

use crate::lone::{LINK, Lone, OTHER_LINK, assert_refused, config, down, millis, spoiled};

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
