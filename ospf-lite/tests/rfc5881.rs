//! BFD over one hop against RFC 5881: what the standard binds a session over a point-to-point link to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::num::NonZeroU8;
use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState;
use ospf_lite::bfd::io::{Content, Received, SessionConfig, SessionEvent};
use ospf_lite::bfd::packet::{self, ControlPacket, Diagnostic, Sequence};
use ospf_lite::bfd::refusal::Refusal;
use ospf_lite::bfd::{Bfd, HOP_LIMIT};
use ospf_lite::ids::InterfaceId;
use ospf_lite::sim::pipe::{End, PIPE, Pipe};
use ospf_lite::time::Instant;

const INTERVAL: Duration = Duration::from_millis(300);

/// What a far end sends that has heard nothing yet.
const FIRST: ControlPacket = ControlPacket {
    diagnostic: Diagnostic::None,
    state: SessionState::Down,
    sequence: Sequence::None,
    control_plane_independent: false,
    authenticated: false,
    demand: false,
    detect_mult: NonZeroU8::MIN,
    my_discriminator: 7,
    your_discriminator: 0,
    desired_min_tx: Duration::from_secs(1),
    required_min_rx: INTERVAL,
    required_min_echo_rx: Duration::ZERO,
};

fn config(interface: InterfaceId) -> SessionConfig {
    SessionConfig {
        interface,
        name: format!("link{interface}"),
        remote: End::Right.address(),
        interval: INTERVAL,
        detect_mult: NonZeroU8::new(3).unwrap(),
    }
}

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

/// Both links have a session, and the far ends call theirs the same.
#[test]
fn s3_the_first_packet_belongs_to_the_session_over_the_link_it_came_by() {
    let links = [InterfaceId(1), InterfaceId(2)];
    for link in links {
        let mut bfd = Bfd::new(1);
        for interface in links {
            bfd.handle_session(Instant::ORIGIN, SessionEvent::Configured(config(interface)));
        }
        let octets = packet::encode(&FIRST);
        bfd.handle_packet(
            Instant::ORIGIN,
            &Received { interface: link, hop_limit: HOP_LIMIT, age: Duration::ZERO, octets: &octets },
        );
        for interface in links {
            let state = if interface == link { SessionState::Init } else { SessionState::Down };
            assert_eq!(bfd.session(interface).unwrap().state, state, "{interface} of {link}");
        }
    }
    let mut bfd = Bfd::new(1);
    bfd.handle_session(Instant::ORIGIN, SessionEvent::Configured(config(links[0])));
    let octets = packet::encode(&FIRST);
    bfd.handle_packet(
        Instant::ORIGIN,
        &Received { interface: links[1], hop_limit: HOP_LIMIT, age: Duration::ZERO, octets: &octets },
    );
    assert_eq!(bfd.session(links[0]).unwrap().state, SessionState::Down);
    assert_eq!(bfd.strangers().of(Refusal::NoSession), 1);
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
    let mut now = Instant::ORIGIN;
    bfd.handle_session(now, SessionEvent::Configured(config(PIPE)));
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
