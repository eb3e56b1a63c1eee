//! Which refusals keep happening: counters only grow, so a cause that was mended must be told from one that lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ospf_lite::ids::InterfaceId;
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::time::Instant;

/// The counters last seen, and when each last grew. Bounded by interfaces times kinds.
#[derive(Debug, Clone, Default)]
pub struct RefusalWatch {
    seen: BTreeMap<(InterfaceId, Refusal), (u64, Instant)>,
}

impl RefusalWatch {
    /// Takes in all counters, both families added. An interface that is not among them is forgotten.
    pub fn handle_counters(&mut self, now: Instant, counters: &BTreeMap<(InterfaceId, Refusal), u64>) {
        self.seen.retain(|key, _| counters.contains_key(key));
        for (key, count) in counters {
            let seen = self.seen.entry(*key).or_insert((0, now));
            if seen.0 != *count {
                *seen = (*count, now);
            }
        }
    }

    /// Returns what was refused on the interface within the last `window`.
    pub fn recent(&self, now: Instant, interface: InterfaceId, window: Duration) -> BTreeSet<Refusal> {
        let of_interface = self.seen.iter().filter(|((id, _), _)| *id == interface);
        of_interface
            .filter(|(_, (count, grew))| *count > 0 && now.since(*grew) <= window)
            .map(|((_, refusal), _)| *refusal)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_recent_while_its_counter_grows() {
        let (id, refusal) = (InterfaceId(3), Refusal::AuthenticationDigest);
        let at = |seconds: u64| Instant::ORIGIN + Duration::from_secs(seconds);
        let window = Duration::from_secs(40);
        let mut watch = RefusalWatch::default();
        watch.handle_counters(at(10), &BTreeMap::from([((id, refusal), 4)]));
        watch.handle_counters(at(40), &BTreeMap::from([((id, refusal), 7)]));
        watch.handle_counters(at(70), &BTreeMap::from([((id, refusal), 7)]));
        assert_eq!(watch.recent(at(80), id, window), BTreeSet::from([refusal]));
        assert!(watch.recent(at(81), id, window).is_empty());
        assert!(watch.recent(at(80), InterfaceId(4), window).is_empty());
    }
}
