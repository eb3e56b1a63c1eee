//! What happened in a world, as one number and as counts.

use crate::time::Instant;

/// A hash over everything that happened, in order: the same seed gives the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceHash(u64);

/// The odd constant of the multiplicative hash by Steele and Vigna (SplitMix64's increment).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl TraceHash {
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ MULTIPLIER)
    }

    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(MULTIPLIER);
        self.0 ^= self.0 >> 29;
    }

    pub fn happening(&mut self, at: Instant, place: usize, octets: &[u8]) {
        self.word(at.as_micros());
        self.word(((place as u64) << 32) | octets.len() as u64);
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        for octet in rest {
            self.word(u64::from(*octet));
        }
    }

    pub const fn value(self) -> u64 {
        self.0
    }
}

/// How much went over the links since the world began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Hello packets sent.
    pub hellos: u64,
    /// Database Description packets sent.
    pub database_descriptions: u64,
    /// Link State Request packets sent.
    pub requests: u64,
    /// Link State Update packets sent.
    pub updates: u64,
    /// Link State Acknowledgment packets sent.
    pub acknowledgments: u64,
    /// Octets sent, from the OSPF header on.
    pub octets: u64,
    /// Packets that arrived, duplicates counted.
    pub delivered: u64,
    /// Packets that did not arrive.
    pub lost: u64,
    /// Timers that ran out.
    pub timeouts: u64,
    /// How often an engine's routes changed.
    pub route_changes: u64,
}

/// What a packet is, as far as settling cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Repeated for ever, or an answer that changes nothing.
    Periodic,
    /// A step towards equal databases.
    Synchronising,
}

impl Statistics {
    /// Counts a packet that is being sent.
    pub(super) fn sent(&mut self, octets: &[u8]) -> Traffic {
        self.octets += octets.len() as u64;
        let (count, traffic) = match octets.get(1) {
            Some(2) => (&mut self.database_descriptions, Traffic::Synchronising),
            Some(3) => (&mut self.requests, Traffic::Synchronising),
            Some(4) => (&mut self.updates, Traffic::Synchronising),
            Some(5) => (&mut self.acknowledgments, Traffic::Periodic),
            _ => (&mut self.hellos, Traffic::Periodic),
        };
        *count += 1;
        traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_sees_time_place_content_and_order() {
        let hash = |happenings: &[(u64, usize, &[u8])]| {
            let mut hash = TraceHash::new(1);
            for (at, place, octets) in happenings {
                hash.happening(Instant::from_micros(*at), *place, octets);
            }
            hash.value()
        };
        let base = hash(&[(1, 1, b"0123456789"), (2, 2, b"")]);
        assert_eq!(base, hash(&[(1, 1, b"0123456789"), (2, 2, b"")]));
        for other in [
            hash(&[(2, 1, b"0123456789"), (2, 2, b"")]),
            hash(&[(1, 2, b"0123456789"), (2, 2, b"")]),
            hash(&[(1, 1, b"0123456788"), (2, 2, b"")]),
            hash(&[(2, 2, b""), (1, 1, b"0123456789")]),
        ] {
            assert_ne!(base, other);
        }
    }
}
