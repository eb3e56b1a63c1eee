//! Which cryptographic sequence numbers a neighbor has used: whatever is not higher is a replay (RFC 7166 section 4.6).

use std::collections::BTreeMap;

use crate::ids::RouterId;
use crate::ospf::packet::PacketKind;
use crate::ospf::refusal::Refusal;

/// How many routers' sequence numbers an interface remembers. Past it the lowest Router ID but the present one is
/// forgotten; only who has the key gets in.
pub const REMEMBERED_MAX: usize = 8;

/// The last sequence number of each kind of packet.
type Last = BTreeMap<PacketKind, u64>;

/// The sequence numbers heard on an interface.
///
/// A router whose numbers have a high half other than zero counts its starts in it (RFC 7166 section 4.1), so its numbers
/// never go back: they are remembered as long as this router runs, also while the neighbor is gone. One with zero there
/// (BIRD; a router that cannot keep a count) begins again at each start: its numbers are forgotten when the neighbor
/// counts as dead, or it could not come back.
#[derive(Debug, Default)]
pub struct Sequences {
    counting: BTreeMap<RouterId, Last>,
    /// Of the present neighbor, while it does not count its starts.
    forgetful: Last,
    /// Whether the present neighbor has shown that it counts its starts.
    counts: bool,
}

impl Sequences {
    /// Makes one that has heard nothing.
    pub const fn new() -> Self {
        Self { counting: BTreeMap::new(), forgetful: BTreeMap::new(), counts: false }
    }

    /// Refuses a sequence number that is not higher than the last for this kind of packet, or that belongs to an earlier
    /// start than one already heard of.
    pub fn check(
        &self,
        router: RouterId,
        (kind, sequence): (PacketKind, u64),
        is_neighbor: bool,
    ) -> Result<(), Refusal> {
        let is_replay = if starts(sequence) == 0 {
            is_neighbor && (self.counts || self.forgetful.get(&kind).is_some_and(|last| sequence <= *last))
        } else {
            self.counting.get(&router).is_some_and(|last| {
                last.get(&kind).is_some_and(|last| sequence <= *last)
                    || last.values().any(|last| starts(sequence) < starts(*last))
            })
        };
        if is_replay { Err(Refusal::AuthenticationReplay) } else { Ok(()) }
    }

    /// Takes down the sequence number of an authentic packet; `is_neighbor` says that its sender is the present neighbor.
    pub fn note(&mut self, router: RouterId, (kind, sequence): (PacketKind, u64), is_neighbor: bool) {
        if starts(sequence) != 0 {
            self.counting.entry(router).or_default().insert(kind, sequence);
            self.counts |= is_neighbor;
            let others = self.counting.keys().copied().find(|other| *other != router);
            if self.counting.len() > REMEMBERED_MAX
                && let Some(other) = others
            {
                self.counting.remove(&other);
            }
        } else if is_neighbor {
            self.forgetful.insert(kind, sequence);
        }
    }

    /// Takes in that the neighbor has gone.
    pub fn handle_down(&mut self) {
        self.forgetful.clear();
        self.counts = false;
    }
}

/// Returns the count of starts in a sequence number.
const fn starts(sequence: u64) -> u64 {
    sequence >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEIGHBOR: RouterId = RouterId(2);
    const HELLO: PacketKind = PacketKind::Hello;
    const UPDATE: PacketKind = PacketKind::LinkStateUpdate;

    fn heard(kinds: &[(PacketKind, u64)]) -> Sequences {
        let mut sequences = Sequences::new();
        for packet in kinds {
            sequences.check(NEIGHBOR, *packet, true).unwrap();
            sequences.note(NEIGHBOR, *packet, true);
        }
        sequences
    }

    const fn of_start(start: u64, number: u64) -> u64 {
        start << 32 | number
    }

    #[test]
    fn each_kind_of_packet_has_numbers_of_its_own() {
        let sequences = heard(&[(HELLO, of_start(3, 9)), (UPDATE, of_start(3, 4))]);
        assert!(sequences.check(NEIGHBOR, (UPDATE, of_start(3, 5)), true).is_ok());
        assert!(sequences.check(NEIGHBOR, (UPDATE, of_start(3, 4)), true).is_err());
        assert!(sequences.check(NEIGHBOR, (HELLO, of_start(3, 5)), true).is_err());
    }

    #[test]
    fn nothing_of_an_earlier_start_counts_once_a_later_one_was_heard() {
        let sequences = heard(&[(HELLO, of_start(4, 1))]);
        assert!(sequences.check(NEIGHBOR, (UPDATE, of_start(3, 5_000)), true).is_err());
        assert!(sequences.check(NEIGHBOR, (UPDATE, of_start(4, 1)), true).is_ok());
    }

    #[test]
    fn a_neighbor_that_counts_its_starts_is_remembered_beyond_its_death() {
        let mut sequences = heard(&[(HELLO, of_start(4, 7))]);
        sequences.handle_down();
        assert!(sequences.check(NEIGHBOR, (HELLO, of_start(4, 7)), true).is_err());
        assert!(sequences.check(NEIGHBOR, (HELLO, of_start(4, 8)), true).is_ok());
    }

    #[test]
    fn a_neighbor_that_begins_again_at_each_start_is_refused_until_it_counts_as_dead() {
        let mut sequences = heard(&[(HELLO, 7)]);
        assert!(sequences.check(NEIGHBOR, (HELLO, 1), true).is_err());
        sequences.handle_down();
        assert!(sequences.check(NEIGHBOR, (HELLO, 1), true).is_ok());
    }

    #[test]
    fn numbers_without_a_count_of_starts_do_not_follow_those_with_one_while_the_neighbor_lives() {
        let mut sequences = heard(&[(HELLO, of_start(1, 1))]);
        assert!(sequences.check(NEIGHBOR, (UPDATE, 1), true).is_err());
        sequences.handle_down();
        assert!(sequences.check(NEIGHBOR, (HELLO, 1), true).is_ok());
        sequences.note(NEIGHBOR, (HELLO, 1), true);
        assert!(sequences.check(NEIGHBOR, (HELLO, of_start(1, 1)), true).is_err());
        assert!(sequences.check(NEIGHBOR, (HELLO, of_start(2, 1)), true).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut sequences = Sequences::new();
        for router in 1..1_000 {
            sequences.note(RouterId(router), (HELLO, of_start(1, 1)), false);
        }
        assert_eq!(sequences.counting.len(), REMEMBERED_MAX);
        assert!(sequences.check(RouterId(999), (HELLO, of_start(1, 1)), false).is_err());
    }
}
