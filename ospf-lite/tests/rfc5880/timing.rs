//! When packets are sent, and when silence counts: intervals, Poll Sequences, the Detection Time.

use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState::{Down, Init, Up};
use ospf_lite::bfd::packet::{ControlPacket, Diagnostic, Sequence};
use ospf_lite::bfd::refusal::Refusal;

use crate::lone::{Lone, assert_refused, down, millis, mult, spoiled};

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
fn s6_8_4_silence_counts_from_the_arrival_of_the_last_packet_however_late_it_is_taken_in() {
    let mut lone = Lone::settled();
    lone.run(millis(400));
    lone.hear_late(millis(250));
    lone.run(millis(649));
    assert_eq!(lone.state(), Up);
    lone.run(millis(1));
    assert_eq!(lone.state(), Down);
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
