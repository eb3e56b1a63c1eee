//! Two BFD machines joined by a pipe in virtual time: delay, loss, cuts, and kernels that answer while their router is gone.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::num::NonZeroU8;
use std::time::Duration;

use crate::bfd::fsm::SessionState;
use crate::bfd::io::{Content, Event, Received, SessionConfig, SessionEvent, SessionView};
use crate::bfd::is_forwarding::Echo;
use crate::bfd::packet::{self, ControlPacket};
use crate::bfd::{Bfd, HOP_LIMIT};
use crate::ids::InterfaceId;
use crate::io::Reachability;
use crate::random::Random;
use crate::time::Instant;

/// The interface of the pipe at both ends.
pub const PIPE: InterfaceId = InterfaceId(1);
/// How long a packet is on its way.
const DELAY: Duration = Duration::from_millis(2);

/// One end of the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The left end.
    Left,
    /// The right end.
    Right,
}

impl End {
    /// Both ends.
    pub const ALL: [Self; 2] = [Self::Left, Self::Right];

    /// Returns the other end.
    #[must_use]
    pub const fn far(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// Returns the end's link-local address.
    pub const fn address(self) -> Ipv6Addr {
        match self {
            Self::Left => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
            Self::Right => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
        }
    }
}

/// A Control packet that an end sent, lost or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// By whom.
    pub from: End,
    /// What it says.
    pub packet: ControlPacket,
}

/// What is on its way.
#[derive(Debug, Clone)]
enum Flying {
    Control(Vec<u8>),
    Request(Echo),
    Reply(Echo),
}

/// Two machines and the pipe between them.
#[derive(Debug)]
pub struct Pipe {
    /// The present moment.
    pub now: Instant,
    /// Every Control packet sent, in order.
    pub sent: Vec<Sent>,
    /// Every event raised, in order.
    pub events: Vec<(Instant, End, Event)>,
    /// How many of a hundred packets are lost in each direction.
    pub loss_percent: u64,
    /// The directions, named by their sender, in which everything is lost.
    pub cut: Vec<End>,
    /// The machines; an end without one has a kernel that answers.
    machines: BTreeMap<End, Bfd>,
    flying: BTreeMap<(Instant, u64), (End, Flying)>,
    count: u64,
    random: Random,
}

impl Pipe {
    /// Makes a pipe with a machine at each end that has no session.
    pub fn new(seed: u64) -> Self {
        let mut pipe = Self {
            now: Instant::ORIGIN + Duration::from_secs(100),
            sent: Vec::new(),
            events: Vec::new(),
            loss_percent: 0,
            cut: Vec::new(),
            machines: BTreeMap::new(),
            flying: BTreeMap::new(),
            count: 0,
            random: Random::new(seed),
        };
        End::ALL.into_iter().for_each(|end| pipe.start(end));
        pipe
    }

    /// Starts an end's machine without sessions, in place of the one that may be there.
    pub fn start(&mut self, end: End) {
        let machine = Bfd::new(self.random.bits());
        self.machines.insert(end, machine);
    }

    /// Kills an end's machine; its kernel goes on.
    pub fn kill(&mut self, end: End) {
        self.machines.remove(&end);
    }

    /// Configures a session, or changes it.
    pub fn configure(&mut self, end: End, interval: Duration, detect_mult: NonZeroU8) {
        let name = format!("{end:?}");
        let remote = end.far().address();
        let config = SessionConfig { interface: PIPE, name, remote, interval, detect_mult };
        self.tell(end, SessionEvent::Configured(config));
    }

    /// Tells an end's machine of something besides packets.
    pub fn tell(&mut self, end: End, event: SessionEvent) {
        let now = self.now;
        if let Some(machine) = self.machines.get_mut(&end) {
            machine.handle_session(now, event);
        }
        self.collect(end);
    }

    /// Hands octets to an end's machine as if the far end had sent them.
    pub fn inject(&mut self, end: End, octets: &[u8]) {
        self.inject_from_afar(end, HOP_LIMIT, octets);
    }

    /// Hands octets with any hop limit to an end's machine.
    pub fn inject_from_afar(&mut self, end: End, hop_limit: u8, octets: &[u8]) {
        let now = self.now;
        if let Some(machine) = self.machines.get_mut(&end) {
            machine.handle_packet(now, &Received { interface: PIPE, hop_limit, age: Duration::ZERO, octets });
        }
        self.collect(end);
    }

    /// Returns an end's session.
    pub fn session(&self, end: End) -> Option<SessionView> {
        self.machines.get(&end)?.session(PIPE)
    }

    /// Returns the state of an end's session, Down when it has none.
    pub fn state(&self, end: End) -> SessionState {
        self.session(end).map_or(SessionState::Down, |session| session.state)
    }

    /// Returns whether the sessions of both ends are Up.
    pub fn is_up(&self) -> bool {
        End::ALL.into_iter().all(|end| self.state(end) == SessionState::Up)
    }

    /// Returns what an end was told of the other since a moment, with the moments.
    pub fn verdicts(&self, end: End, since: Instant) -> Vec<(Instant, Reachability)> {
        let events = self.events.iter().filter(|(at, by, _)| *at >= since && *by == end);
        let verdicts = events.filter_map(|(at, _, event)| match event {
            Event::Reachability { reachability, .. } => Some((*at, *reachability)),
            Event::StateChanged { .. } | Event::Ended(_) => None,
        });
        verdicts.collect()
    }

    /// Returns what an end has sent since a moment.
    pub fn sent_by(&self, end: End, since: Instant) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.from == end && sent.at >= since)
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Lets time pass until the claim holds; returns how long that took, or nothing when it did not within the limit.
    pub fn run_until(&mut self, limit: Duration, claim: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        while !claim(self) {
            if !self.step(start + limit) {
                return None;
            }
        }
        Some(self.now.since(start))
    }

    /// Lets what is next happen; returns false when nothing is left to happen before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let arrival = self.flying.keys().next().copied();
        let timeouts =
            self.machines.iter().filter_map(|(end, machine)| Some((machine.poll_timeout()?, *end)));
        let timeout = timeouts.min();
        let moments = arrival.map(|(at, _)| at).into_iter().chain(timeout.map(|(at, _)| at));
        let Some(at) = moments.min().filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(at);
        let flying = arrival.filter(|(due, _)| *due == at).and_then(|key| self.flying.remove(&key));
        match (flying, timeout) {
            (Some((end, flying)), _) => self.arrive(end, flying),
            (None, Some((_, end))) => {
                let now = self.now;
                if let Some(machine) = self.machines.get_mut(&end) {
                    machine.handle_timeout(now);
                }
                self.collect(end);
            }
            (None, None) => {}
        }
        true
    }

    fn arrive(&mut self, end: End, flying: Flying) {
        match flying {
            Flying::Control(octets) => self.inject(end, &octets),
            Flying::Request(echo) => self.fly(end, Flying::Reply(echo)),
            Flying::Reply(echo) => {
                let now = self.now;
                if let Some(machine) = self.machines.get_mut(&end) {
                    machine.handle_reply(now, PIPE, echo);
                }
                self.collect(end);
            }
        }
    }

    fn collect(&mut self, end: End) {
        let Some(machine) = self.machines.get_mut(&end) else { return };
        let transmits: Vec<_> = std::iter::from_fn(|| machine.poll_transmit()).collect();
        let events: Vec<_> = std::iter::from_fn(|| machine.poll_event()).collect();
        self.events.extend(events.into_iter().map(|event| (self.now, end, event)));
        for transmit in transmits {
            let flying = match transmit.content {
                Content::Control(octets) => {
                    let packet = packet::decode(&octets);
                    self.sent.extend(packet.map(|packet| Sent { at: self.now, from: end, packet }));
                    Flying::Control(octets)
                }
                Content::Echo(echo) => Flying::Request(echo),
            };
            self.fly(end, flying);
        }
    }

    fn fly(&mut self, from: End, flying: Flying) {
        self.count += 1;
        let is_lost = self.random.bits() % 100 < self.loss_percent;
        if !is_lost && !self.cut.contains(&from) {
            self.flying.insert((self.now + DELAY, self.count), (from.far(), flying));
        }
    }
}
