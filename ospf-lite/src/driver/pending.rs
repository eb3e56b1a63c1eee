//! Events that wait for their reader: bounded, without losing one that says "look again".

use std::collections::VecDeque;

use super::handle::DriverEvent;
use crate::ids::Family;
use crate::io::Event;

/// How many events wait; past it the oldest that is no "look again" is dropped.
const PENDING_MAX: usize = 512;

/// The waiting events, oldest first. "Look again" waits at most once per kind and family.
#[derive(Debug, Default)]
pub(super) struct Pending {
    events: VecDeque<DriverEvent>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn push(&mut self, event: DriverEvent) {
        let again = look_again(&event);
        if again.is_some() && self.events.iter().any(|waiting| look_again(waiting) == again) {
            return;
        }
        if self.events.len() >= PENDING_MAX
            && let Some(oldest) = self.events.iter().position(|waiting| look_again(waiting).is_none())
        {
            self.events.remove(oldest);
        }
        self.events.push_back(event);
    }

    pub fn pop(&mut self) -> Option<DriverEvent> {
        self.events.pop_front()
    }

    pub fn put_back(&mut self, event: DriverEvent) {
        self.events.push_front(event);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum LookAgain {
    Routes,
    OtherLsas,
}

fn look_again(event: &DriverEvent) -> Option<(Family, LookAgain)> {
    match event {
        DriverEvent::Engine(family, Event::RoutesChanged) => Some((*family, LookAgain::Routes)),
        DriverEvent::Engine(family, Event::OtherLsasChanged) => Some((*family, LookAgain::OtherLsas)),
        DriverEvent::Engine(_, Event::NeighborChanged { .. } | Event::NeighborLost { .. })
        | DriverEvent::SocketNotOpened(..)
        | DriverEvent::SocketFailed(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{InterfaceId, RouterId};
    use crate::ospf::neighbor::NeighborState;

    fn neighbor(number: u32) -> DriverEvent {
        let event = Event::NeighborChanged {
            interface: InterfaceId(1),
            neighbor: RouterId(number),
            from: NeighborState::Down,
            to: NeighborState::Init,
        };
        DriverEvent::Engine(Family::Ipv6, event)
    }

    #[test]
    fn a_slow_reader_never_misses_that_routes_changed() {
        let mut pending = Pending::default();
        for family in [Family::Ipv6, Family::Ipv4, Family::Ipv6] {
            pending.push(DriverEvent::Engine(family, Event::RoutesChanged));
        }
        for number in 0..10_000 {
            pending.push(neighbor(number));
        }
        let mut left = Vec::new();
        while let Some(event) = pending.pop() {
            left.push(event);
        }
        assert_eq!(left.len(), PENDING_MAX);
        assert_eq!(left.iter().filter(|event| look_again(event).is_some()).count(), 2);
    }
}
