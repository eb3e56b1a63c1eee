//! BFD over one hop against RFC 5881: what the standard binds a session over a point-to-point link to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::num::NonZeroU8;
use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState;
use ospf_lite::bfd::io::{Content, SessionEvent};
use ospf_lite::bfd::packet;
use ospf_lite::bfd::refusal::Refusal;
use ospf_lite::bfd::{Bfd, HOP_LIMIT};
use ospf_lite::sim::pipe::{End, PIPE, Pipe};
use ospf_lite::time::Instant;

const INTERVAL: Duration = Duration::from_millis(300);

fn up() -> Pipe {
    let mut pipe = Pipe::new(1);
    for end in End::ALL {
        pipe.configure(end, INTERVAL, NonZeroU8::new(3).unwrap());
    }
    pipe.run_until(Duration::from_secs(3), Pipe::is_up).expect("sessions come up");
    pipe
}

/// The last packet that an end sent, made to say that its session is down: it would take the other one down.
fn last_as_down(pipe: &Pipe, end: End) -> Vec<u8> {
    let mut packet = pipe.sent_by(end, Instant::ORIGIN).last().unwrap().packet;
    packet.state = SessionState::Down;
    packet::encode(&packet)
}

#[test]
fn s3_both_ends_take_the_active_role() {
    for end in End::ALL {
        let mut pipe = Pipe::new(1);
        pipe.configure(end, INTERVAL, NonZeroU8::new(3).unwrap());
        pipe.run(Duration::from_secs(5));
        assert!(pipe.sent_by(end, Instant::ORIGIN).count() >= 5);
    }
}

#[test]
fn s3_the_first_packet_belongs_to_the_session_over_the_link_it_came_by() {
    let mut pipe = Pipe::new(1);
    pipe.configure(End::Left, INTERVAL, NonZeroU8::new(3).unwrap());
    pipe.configure(End::Right, INTERVAL, NonZeroU8::new(3).unwrap());
    pipe.run(Duration::from_millis(5));
    assert!(pipe.sent.iter().any(|sent| sent.packet.your_discriminator == 0));
    assert_ne!(pipe.state(End::Left), SessionState::Down);
}

#[test]
fn s5_a_packet_is_discarded_unless_its_hop_limit_is_255() {
    for hop_limit in [0, 1, 64, 254] {
        let mut pipe = up();
        let octets = last_as_down(&pipe, End::Right);
        pipe.inject_from_afar(End::Left, hop_limit, &octets);
        assert_eq!(pipe.state(End::Left), SessionState::Up);
        assert_eq!(pipe.session(End::Left).unwrap().refusals.of(Refusal::HopLimit), 1);
    }
    let mut pipe = up();
    let octets = last_as_down(&pipe, End::Right);
    pipe.inject_from_afar(End::Left, HOP_LIMIT, &octets);
    assert_eq!(pipe.state(End::Left), SessionState::Down);
}

#[test]
fn s6_every_packet_goes_over_the_link_to_the_address_that_the_session_began_with() {
    let mut bfd = Bfd::new(1);
    let config = ospf_lite::bfd::io::SessionConfig {
        interface: PIPE,
        name: "pipe".to_owned(),
        remote: End::Right.address(),
        interval: INTERVAL,
        detect_mult: NonZeroU8::new(3).unwrap(),
    };
    let mut now = Instant::ORIGIN;
    bfd.handle_session(now, SessionEvent::Configured(config));
    let mut count = 0;
    for _ in 0..20 {
        bfd.handle_timeout(now);
        while let Some(transmit) = bfd.poll_transmit() {
            assert_eq!((transmit.interface, transmit.destination), (PIPE, End::Right.address()));
            assert!(matches!(transmit.content, Content::Control(_)));
            count += 1;
        }
        now = bfd.poll_timeout().unwrap();
    }
    assert!(count >= 20);
}
