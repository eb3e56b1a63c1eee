//! The BFD machine: every session of this router, inputs in by `handle_*`, what to do about them out by `poll_*`.

use std::collections::{BTreeMap, VecDeque};

use super::fsm::SessionState;
use super::io::{Event, Received, SessionConfig, SessionEvent, SessionView, Transmit};
use super::is_forwarding::Echo;
use super::packet::{self, ControlPacket};
use super::refusal::{Refusal, Refusals};
use super::session::{Cx, Session};
use crate::ids::InterfaceId;
use crate::random::Random;
use crate::time::Instant;

/// The hop limit of a packet that no router has passed on (RFC 5881 section 5).
pub const HOP_LIMIT: u8 = 255;

/// The sessions of a router: one per link, for both address families.
#[derive(Debug)]
pub struct Bfd {
    sessions: BTreeMap<InterfaceId, Session>,
    /// What was refused where there is no session.
    strangers: Refusals,
    random: Random,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Bfd {
    /// Makes one without sessions. The same seed and inputs give the same outputs.
    pub const fn new(seed: u64) -> Self {
        Self {
            sessions: BTreeMap::new(),
            strangers: Refusals::new(),
            random: Random::new(seed),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes in a packet that arrived on UDP port 3784 (RFC 5880 section 6.8.6); returns why it was refused, if it was. That is
    /// counted as well.
    pub fn handle_packet(&mut self, now: Instant, received: &Received<'_>) -> Option<Refusal> {
        let refusal = self.accept(now, received).err()?;
        tracing::trace!(interface = %received.interface, %refusal, "BFD packet refused");
        match self.sessions.get_mut(&received.interface) {
            Some(session) => session.refusals.count(refusal),
            None => self.strangers.count(refusal),
        }
        Some(refusal)
    }

    /// Takes in an answer of the kernel at the far end of a link.
    pub fn handle_reply(&mut self, now: Instant, interface: InterfaceId, reply: Echo) {
        if let Some(session) = self.sessions.get_mut(&interface) {
            session.handle_reply(now, reply);
        }
    }

    /// Takes in what happens to a session besides packets.
    pub fn handle_session(&mut self, now: Instant, event: SessionEvent) {
        match event {
            SessionEvent::Configured(config) => self.configure(now, config),
            SessionEvent::Removed(id) => self.with(now, id, |session, cx| session.disable(true, cx)),
            SessionEvent::Disabled(id) => self.with(now, id, |session, cx| session.disable(false, cx)),
            SessionEvent::PathUp(id) => self.with(now, id, |session, cx| session.handle_path(true, cx)),
            SessionEvent::PathDown(id) => self.with(now, id, |session, cx| session.handle_path(false, cx)),
        }
    }

    /// Does what is due at `now`. Packets that the jitter may bring by then go with one that is due: one wake-up for all
    /// sessions instead of one each.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sessions.values().any(|session| session.must_transmit(now)) {
            self.sessions.values_mut().for_each(|session| session.hasten(now));
        }
        let due = |session: &Session| session.poll_timeout().is_some_and(|at| at <= now);
        let ids: Vec<_> =
            self.sessions.iter().filter(|(_, session)| due(session)).map(|(id, _)| *id).collect();
        for id in ids {
            let mut is_over = false;
            self.with(now, id, |session, cx| is_over = session.handle_timeout(cx));
            if is_over {
                self.sessions.remove(&id);
                self.events.push_back(Event::Ended(id));
            }
        }
    }

    /// Takes the next packet to send. Everything that an input leads to must be taken before the next input.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns when [`Bfd::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.values().filter_map(Session::poll_timeout).min()
    }

    /// Returns the sessions in which [`Bfd::handle_timeout`] would count the far end's silence at `now`: what has arrived
    /// should be taken in before.
    pub fn overdue(&self, now: Instant) -> impl Iterator<Item = InterfaceId> + '_ {
        self.sessions.iter().filter(move |(_, session)| session.is_overdue(now)).map(|(id, _)| *id)
    }

    /// Returns whether another packet like the last one over a link would say no more than that the far end is alive. It may be
    /// taken in late then, as long as that is before [`Bfd::handle_timeout`].
    pub fn is_settled(&self, interface: InterfaceId) -> bool {
        self.sessions.get(&interface).is_some_and(Session::is_settled)
    }

    /// Returns the sessions in the order of their interfaces' ids.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.sessions.values().map(Session::view)
    }

    /// Returns the session over a link.
    pub fn session(&self, interface: InterfaceId) -> Option<SessionView> {
        self.sessions.get(&interface).map(Session::view)
    }

    /// Returns what was refused on links without a session.
    pub const fn strangers(&self) -> &Refusals {
        &self.strangers
    }

    fn configure(&mut self, now: Instant, config: SessionConfig) {
        let id = config.interface;
        if self.sessions.get(&id).is_some_and(|session| session.config.remote == config.remote) {
            return self.with(now, id, |session, cx| session.reconfigure(config, cx));
        }
        // Another far end, and whatever was said of the one before does not hold for it.
        self.with(now, id, |session, cx| session.disable(true, cx));
        let discriminator = self.fresh_discriminator();
        self.sessions.insert(id, Session::new(config, discriminator, now));
    }

    /// Draws a discriminator: random (RFC 5880 section 6.8.1), not 0, and no other session's (section 6.3).
    fn fresh_discriminator(&mut self) -> u32 {
        loop {
            let [.., a, b, c, d] = self.random.bits().to_be_bytes();
            let drawn = u32::from_be_bytes([a, b, c, d]);
            if drawn != 0 && self.sessions.values().all(|session| session.discriminator != drawn) {
                return drawn;
            }
        }
    }

    fn accept(&mut self, now: Instant, received: &Received<'_>) -> Result<(), Refusal> {
        if received.hop_limit != HOP_LIMIT {
            return Err(Refusal::HopLimit);
        }
        let packet = packet::decode(received.octets)?;
        let id = self.select(received.interface, &packet)?;
        if packet.authenticated {
            return Err(Refusal::Authenticated);
        }
        let mut outcome = Ok(());
        self.with(now, id, |session, cx| outcome = session.handle_packet(&packet, received.age, cx));
        outcome
    }

    /// Finds the session of a packet: by Your Discriminator, or by the link while the far end knows none (RFC 5881 section
    /// 6: the source address does not identify a session over a point-to-point link).
    fn select(&self, interface: InterfaceId, packet: &ControlPacket) -> Result<InterfaceId, Refusal> {
        if packet.your_discriminator == 0 {
            if !matches!(packet.state, SessionState::Down | SessionState::AdminDown) {
                return Err(Refusal::YourDiscriminatorZero);
            }
            return self.sessions.contains_key(&interface).then_some(interface).ok_or(Refusal::NoSession);
        }
        let is_meant = |session: &&Session| session.discriminator == packet.your_discriminator;
        let session = self.sessions.values().find(is_meant).ok_or(Refusal::UnknownDiscriminator)?;
        // What arrives over one link says nothing of another.
        if session.config.interface == interface { Ok(interface) } else { Err(Refusal::OtherInterface) }
    }

    fn with(&mut self, now: Instant, id: InterfaceId, act: impl FnOnce(&mut Session, &mut Cx<'_>)) {
        let Self { sessions, random, transmits, events, .. } = self;
        if let Some(session) = sessions.get_mut(&id) {
            act(session, &mut Cx { now, random, transmits, events });
        }
    }
}
