//! Events that wait for their reader: bounded, without losing one that says "look again".

use std::collections::VecDeque;

use super::handle::DriverEvent;
use crate::ids::Family;
use crate::io::Event;

/// How many events wait; past it the oldest that is no "look again" is dropped.
const PENDING_MAX: usize = 512;

/// The waiting events, oldest first. "Look again" waits at most once per kind and family, and of what a later event says anew
/// only that waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    events: VecDeque<DriverEvent>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn push(&mut self, event: DriverEvent) {
        if matches!(event, DriverEvent::LeftAlone(_)) {
            self.events.retain(|waiting| !matches!(waiting, DriverEvent::LeftAlone(_)));
        }
        let again = look_again(&event);
        if again.is_some() && self.events.iter().any(|waiting| look_again(waiting) == again) {
            return;
        }
        if self.events.len() >= PENDING_MAX
            && let Some(oldest) = self.events.iter().position(can_be_lost)
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

/// Returns whether nobody misses much without it.
fn can_be_lost(event: &DriverEvent) -> bool {
    look_again(event).is_none() && !matches!(event, DriverEvent::LeftAlone(_))
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
        | DriverEvent::LeftAlone(_)
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
    fn a_slow_reader_never_misses_that_routes_changed_or_which_links_are_left_alone() {
        let mut pending = Pending::default();
        for family in [Family::Ipv6, Family::Ipv4, Family::Ipv6] {
            pending.push(DriverEvent::Engine(family, Event::RoutesChanged));
        }
        for links in [vec![InterfaceId(1)], vec![InterfaceId(1), InterfaceId(2)]] {
            pending.push(DriverEvent::LeftAlone(links.into_iter().collect()));
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
        let links = left.iter().filter_map(|event| match event {
            DriverEvent::LeftAlone(links) => Some(links.len()),
            _ => None,
        });
        assert_eq!(links.collect::<Vec<_>>(), [2], "the last word about them, once");
    }
}
