//! One BFD machine with a session over one link; the test plays the far end.

use std::num::NonZeroU8;
use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState::{self, Down, Up};
use ospf_lite::bfd::io::{Content, Received, SessionConfig, SessionEvent, SessionView};
use ospf_lite::bfd::packet::{self, ControlPacket, Diagnostic, Sequence};
use ospf_lite::bfd::refusal::Refusal;
use ospf_lite::bfd::{Bfd, HOP_LIMIT};
use ospf_lite::ids::InterfaceId;
use ospf_lite::time::Instant;

pub const LINK: InterfaceId = InterfaceId(7);
pub const OTHER_LINK: InterfaceId = InterfaceId(8);
/// What the far end played by a test calls its session.
pub const FAR: u32 = 0xfa2;

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn mult(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).unwrap()
}

pub fn config(interface: InterfaceId, interval: Duration, detect_mult: u8) -> SessionConfig {
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
pub struct Lone {
    pub bfd: Bfd,
    pub now: Instant,
    /// What it calls its session.
    pub discriminator: u32,
    pub sent: Vec<(Instant, ControlPacket)>,
}

impl Lone {
    pub fn new(interval: Duration, detect_mult: u8) -> Self {
        let now = Instant::ORIGIN + Duration::from_secs(50);
        let mut lone = Self { bfd: Bfd::new(11), now, discriminator: 0, sent: Vec::new() };
        lone.tell(SessionEvent::Configured(config(LINK, interval, detect_mult)));
        lone.run(Duration::ZERO);
        lone.discriminator = lone.sent[0].1.my_discriminator;
        lone
    }

    /// With defaults, and the far end's last packet just received.
    pub fn up() -> Self {
        let mut lone = Self::new(millis(300), 3);
        lone.bring_up();
        lone
    }

    pub fn bring_up(&mut self) {
        self.hear(|packet| ControlPacket { state: Down, your_discriminator: 0, ..packet });
        self.hear(|packet| ControlPacket { state: Up, ..packet });
        assert_eq!(self.state(), Up);
    }

    /// Up, and every Poll Sequence answered.
    pub fn settled() -> Self {
        let mut lone = Self::up();
        lone.answer_polls();
        lone
    }

    pub fn answer_polls(&mut self) {
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
    pub fn poll_follows(&mut self) -> bool {
        self.hear(|packet| packet);
        self.sent.clear();
        self.run(millis(350));
        self.last_periodic().sequence == Sequence::Poll
    }

    pub fn last_periodic(&self) -> ControlPacket {
        self.sent.iter().rev().map(|(_, packet)| *packet).find(|one| one.sequence != Sequence::Final).unwrap()
    }

    pub fn view(&self) -> SessionView {
        self.bfd.session(LINK).unwrap()
    }

    pub fn state(&self) -> SessionState {
        self.view().state
    }

    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.view().refusals.of(refusal)
    }

    /// What a far end with the defaults that is Up sends, as the test changes it.
    pub fn packet(&self, change: impl FnOnce(ControlPacket) -> ControlPacket) -> ControlPacket {
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

    pub fn hear(&mut self, change: impl FnOnce(ControlPacket) -> ControlPacket) {
        let packet = self.packet(change);
        self.hear_octets(&packet::encode(&packet));
    }

    /// The far end's usual packet, which arrived so long ago.
    pub fn hear_late(&mut self, age: Duration) {
        let octets = packet::encode(&self.packet(|packet| packet));
        let received = Received { interface: LINK, hop_limit: HOP_LIMIT, age, octets: &octets };
        assert_eq!(self.bfd.handle_packet(self.now, &received), None);
        self.collect();
    }

    pub fn hear_octets(&mut self, octets: &[u8]) {
        self.hear_over(LINK, octets);
    }

    pub fn hear_over(&mut self, interface: InterfaceId, octets: &[u8]) {
        self.bfd.handle_packet(
            self.now,
            &Received { interface, hop_limit: HOP_LIMIT, age: Duration::ZERO, octets },
        );
        self.collect();
    }

    pub fn tell(&mut self, event: SessionEvent) {
        self.bfd.handle_session(self.now, event);
        self.collect();
    }

    pub fn configure(&mut self, interval: Duration, detect_mult: u8) {
        self.tell(SessionEvent::Configured(config(LINK, interval, detect_mult)));
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.bfd.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.bfd.handle_timeout(self.now);
            self.collect();
        }
        self.now = until;
    }

    /// Lets time pass while the far end sends the same packet every so often.
    pub fn run_hearing(
        &mut self,
        time: Duration,
        every: Duration,
        change: fn(ControlPacket) -> ControlPacket,
    ) {
        let until = self.now + time;
        while self.now < until {
            self.hear(change);
            self.run(every);
        }
    }

    pub fn collect(&mut self) {
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
    pub fn gaps(&self) -> Vec<Duration> {
        self.sent.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect()
    }
}

/// The octets of a packet that would be accepted, with one changed.
pub fn spoiled(lone: &Lone, at: usize, change: impl FnOnce(u8) -> u8) -> Vec<u8> {
    let packet = lone.packet(|packet| packet);
    let mut octets = packet::encode(&packet);
    octets[at] = change(octets[at]);
    octets
}

/// Makes sure that a packet which says the session is down is refused for the reason, and changes nothing.
pub fn assert_refused(lone: &mut Lone, octets: &[u8], refusal: Refusal) {
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
pub fn down(packet: ControlPacket) -> ControlPacket {
    ControlPacket { state: Down, ..packet }
}
