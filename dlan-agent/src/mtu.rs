//! Follows a neighbor's smaller MTU, for no adjacency comes about while the two ends of a link differ. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use ospf_lite::ids::InterfaceId;
use ospf_lite::query::MtuMismatch;
use ospf_lite::time::Instant;
use tracing::info;

use crate::addressing;
use crate::config::{Config, HostId};

/// IPv6's minimum (RFC 8200 section 5): an MTU is never lowered below it.
const MTU_MIN: u16 = 1280;
/// How long a neighbor's smaller MTU must last before it is followed: a neighbor that itself followed this end, and hears
/// that this end has risen again, rises within that time.
const PATIENCE: Duration = Duration::from_secs(3);

/// The MTUs that are used in place of the configured ones.
#[derive(Debug, Clone, Default)]
pub struct MtuFollower {
    lowered: BTreeMap<HostId, u16>,
    /// Which smaller MTU each neighbor has had since when.
    smaller: BTreeMap<HostId, (u16, Instant)>,
}

impl MtuFollower {
    /// Takes in on which links the two ends differ, and returns whether an MTU is to be another.
    pub fn handle_mismatches(
        &mut self,
        now: Instant,
        config: &Config,
        mismatches: &BTreeMap<InterfaceId, MtuMismatch>,
    ) -> bool {
        let mut is_changed = false;
        for link in &config.links {
            let neighbor = link.host_id;
            let Some(mismatch) = mismatches.get(&addressing::link_interface_id(link)) else {
                self.smaller.remove(&neighbor);
                continue;
            };
            let wanted = self.follow(now, neighbor, *mismatch, link.mtu);
            if let Some(mtu) = wanted.filter(|mtu| *mtu != mismatch.ours) {
                info!(%neighbor, from = mismatch.ours, to = mtu, "following the neighbor's MTU");
                if mtu < link.mtu {
                    self.lowered.insert(neighbor, mtu)
                } else {
                    self.lowered.remove(&neighbor)
                };
                self.smaller.remove(&neighbor);
                is_changed = true;
            }
        }
        is_changed
    }

    /// Forgets what was followed on links whose own MTU the operator has changed.
    pub fn handle_config(&mut self, before: &Config, after: &Config) {
        let mtu = |config: &Config, neighbor: &HostId| {
            config.links.iter().find(|link| link.host_id == *neighbor).map(|link| link.mtu)
        };
        self.lowered.retain(|neighbor, _| mtu(before, neighbor) == mtu(after, neighbor));
    }

    /// Returns the configuration with the followed MTUs in place of the links' own.
    pub fn effective(&self, config: &Config) -> Config {
        let mut config = config.clone();
        for link in &mut config.links {
            link.mtu = self.lowered.get(&link.host_id).map_or(link.mtu, |mtu| link.mtu.min(*mtu));
        }
        config
    }

    /// Returns whether another MTU than the configured one is used towards the neighbor.
    pub fn is_lowered(&self, neighbor: HostId) -> bool {
        self.lowered.contains_key(&neighbor)
    }

    fn follow(
        &mut self,
        now: Instant,
        neighbor: HostId,
        mismatch: MtuMismatch,
        configured: u16,
    ) -> Option<u16> {
        let theirs = mismatch.theirs;
        if theirs > mismatch.ours {
            return self.is_lowered(neighbor).then_some(theirs.min(configured));
        }
        if theirs < MTU_MIN {
            return None;
        }
        let since = match self.smaller.get(&neighbor) {
            Some((mtu, since)) if *mtu == theirs => *since,
            _ => {
                self.smaller.insert(neighbor, (theirs, now));
                now
            }
        };
        (now.since(since) >= PATIENCE).then_some(theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    const TEXT: &str = "
config mesh 'mesh'
	option host_id '1'
	option name 'r1'
config wan 'wan0'
	option device 'eth0'
config link 'r2'
	option host_id '2'
	option public_key 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE='
	option mtu '1370'
";

    fn config() -> Config {
        parse(Source { file: "dlan", text: TEXT, hostname: "r1" }).unwrap().config
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn differ(ours: u16, theirs: u16) -> BTreeMap<InterfaceId, MtuMismatch> {
        BTreeMap::from([(InterfaceId(2), MtuMismatch { ours, theirs })])
    }

    fn in_use(follower: &MtuFollower) -> u16 {
        follower.effective(&config()).links[0].mtu
    }

    #[test]
    fn a_smaller_mtu_that_lasts_is_followed() {
        let mut follower = MtuFollower::default();
        assert!(!follower.handle_mismatches(at(1), &config(), &differ(1370, 1300)));
        assert!(!follower.handle_mismatches(at(3), &config(), &differ(1370, 1300)));
        assert!(follower.handle_mismatches(at(4), &config(), &differ(1370, 1300)));
        assert_eq!(in_use(&follower), 1300);
    }

    #[test]
    fn an_mtu_below_ipv6s_minimum_and_a_larger_one_are_not_followed() {
        let mut follower = MtuFollower::default();
        for theirs in [1279, 1400] {
            assert!(!follower.handle_mismatches(at(1), &config(), &differ(1370, theirs)));
            assert!(!follower.handle_mismatches(at(60), &config(), &differ(1370, theirs)));
        }
        assert_eq!(in_use(&follower), 1370);
    }

    #[test]
    fn two_ends_that_followed_a_smaller_mtu_rise_again_together() {
        let mut follower = MtuFollower::default();
        follower.handle_mismatches(at(1), &config(), &differ(1370, 1300));
        follower.handle_mismatches(at(5), &config(), &differ(1370, 1300));
        // The neighbor's operator has set 1350, then 1400: this end goes up to its own at most, at once.
        assert!(follower.handle_mismatches(at(6), &config(), &differ(1300, 1350)));
        assert_eq!(in_use(&follower), 1350);
        assert!(follower.handle_mismatches(at(7), &config(), &differ(1350, 1400)));
        assert_eq!(in_use(&follower), 1370);
        assert!(!follower.is_lowered(HostId(2)));
    }

    #[test]
    fn an_mtu_that_the_operator_sets_anew_is_used() {
        let mut follower = MtuFollower::default();
        follower.handle_mismatches(at(1), &config(), &differ(1370, 1300));
        follower.handle_mismatches(at(5), &config(), &differ(1370, 1300));
        let mut after = config();
        follower.handle_config(&config(), &after);
        assert!(follower.is_lowered(HostId(2)));
        after.links[0].mtu = 1360;
        follower.handle_config(&config(), &after);
        assert!(!follower.is_lowered(HostId(2)));
    }
}
