//! What a handler wants sent and raised, and the context that every handler gets.

use std::collections::VecDeque;

use crate::config::Config;
use crate::io::{Event, Transmit};
use crate::ospf::pool::LsaPool;
use crate::random::Random;
use crate::time::Instant;
use crate::timer::Timers;

/// How many packets wait to be taken at most. Past it packets are dropped: they are retransmitted like lost ones.
pub const TRANSMITS_MAX: usize = 16_384;
/// How many events wait to be taken at most. Past it the oldest is dropped: events are hints.
pub const EVENTS_MAX: usize = 4_096;

/// What waits for the engine's owner.
#[derive(Debug)]
pub struct Outbox {
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    /// The cryptographic sequence number of the last signed packet (RFC 7166 section 4.1).
    authentication_sequence: u64,
}

impl Outbox {
    /// Makes an empty one; `epoch` is the high half of the cryptographic sequence numbers.
    pub fn new(epoch: u32) -> Self {
        Self {
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            authentication_sequence: u64::from(epoch) << 32,
        }
    }

    /// Adds a packet.
    pub fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() < TRANSMITS_MAX {
            self.transmits.push_back(transmit);
        }
    }

    /// Adds an event. A hint without particulars that is already waiting is not repeated.
    pub fn raise(&mut self, event: Event) {
        let is_repeated = match event {
            Event::RoutesChanged | Event::OtherLsasChanged => self.events.contains(&event),
            Event::NeighborChanged { .. } | Event::NeighborLost { .. } => false,
        };
        if is_repeated {
            return;
        }
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Takes the oldest packet.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes the oldest event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the cryptographic sequence number of the next packet: higher than all before.
    pub const fn next_authentication_sequence(&mut self) -> u64 {
        self.authentication_sequence = self.authentication_sequence.saturating_add(1);
        self.authentication_sequence
    }
}

/// What a handler works with besides its subject.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The time of the input.
    pub now: Instant,
    /// What the engine was told of its router.
    pub config: &'a Config,
    /// The engine's deadlines.
    pub timers: &'a mut Timers,
    /// What is to be sent and raised.
    pub outbox: &'a mut Outbox,
    /// The engine's source of chance.
    pub random: &'a mut Random,
    /// LSAs that other engines have too.
    pub pool: Option<&'a LsaPool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{InterfaceId, RouterId};
    use crate::ospf::neighbor::fsm::NeighborState;

    #[test]
    fn cryptographic_sequence_numbers_grow_from_the_epoch_on() {
        let mut outbox = Outbox::new(7);
        assert_eq!(outbox.next_authentication_sequence(), (7 << 32) + 1);
        assert_eq!(outbox.next_authentication_sequence(), (7 << 32) + 2);
        assert!(Outbox::new(8).next_authentication_sequence() > outbox.next_authentication_sequence());
    }

    #[test]
    fn a_hint_is_not_repeated_while_it_waits() {
        let mut outbox = Outbox::new(0);
        for event in [Event::RoutesChanged, Event::OtherLsasChanged, Event::RoutesChanged] {
            outbox.raise(event);
        }
        assert_eq!(outbox.poll_event(), Some(Event::RoutesChanged));
        assert_eq!(outbox.poll_event(), Some(Event::OtherLsasChanged));
        assert_eq!(outbox.poll_event(), None);
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let mut outbox = Outbox::new(0);
        let destination = crate::io::ALL_SPF_ROUTERS;
        for _ in 0..=TRANSMITS_MAX {
            outbox.transmit(Transmit { interface: InterfaceId(1), destination, octets: Vec::new() });
        }
        let event = |id| Event::NeighborChanged {
            interface: InterfaceId(id),
            neighbor: RouterId(1),
            from: NeighborState::Down,
            to: NeighborState::Init,
        };
        (0..5_000).for_each(|id| outbox.raise(event(id)));
        assert_eq!(std::iter::from_fn(|| outbox.poll_transmit()).count(), TRANSMITS_MAX);
        let events: Vec<Event> = std::iter::from_fn(|| outbox.poll_event()).collect();
        assert_eq!((events.len(), events.last()), (EVENTS_MAX, Some(&event(4_999))));
    }
}
