//! How often each asker may ask: a bucket of questions that fills again with time. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ospf_lite::time::Instant;

/// How many askers are told apart; beyond them the one that was silent longest is forgotten.
const ASKERS_MAX: usize = 512;

/// The buckets.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    askers: BTreeMap<IpAddr, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Questions left, in millionths.
    left: u64,
    /// When that was.
    at: Instant,
}

impl Rates {
    /// Takes one question out of an asker's bucket; returns whether there was one. `rate` is in questions a second, and twice
    /// as many fit in; 0 sets no limit.
    pub fn take(&mut self, now: Instant, asker: IpAddr, rate: u16) -> bool {
        const ONE: u64 = 1_000_000;
        if rate == 0 {
            return true;
        }
        let room = u64::from(rate) * 2 * ONE;
        if !self.askers.contains_key(&asker) && self.askers.len() >= ASKERS_MAX {
            let silent = self.askers.iter().min_by_key(|(_, bucket)| bucket.at).map(|(asker, _)| *asker);
            silent.and_then(|asker| self.askers.remove(&asker));
        }
        let bucket = self.askers.entry(asker).or_insert(Bucket { left: room, at: now });
        let micros = u64::try_from(now.since(bucket.at).as_micros()).unwrap_or(u64::MAX);
        bucket.left = bucket.left.saturating_add(micros.saturating_mul(rate.into())).min(room);
        bucket.at = now;
        let has_one = bucket.left >= ONE;
        bucket.left -= if has_one { ONE } else { 0 };
        has_one
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(rates: &mut Rates, seconds: u64, asker: u32) -> usize {
        let now = Instant::ORIGIN + Duration::from_secs(seconds);
        let asker = IpAddr::from(asker.to_be_bytes());
        (0..1000).filter(|_| rates.take(now, asker, 20)).count()
    }

    #[test]
    fn twice_the_rate_is_answered_at_once_and_the_rate_from_then_on() {
        let mut rates = Rates::default();
        assert_eq!(taken(&mut rates, 0, 1), 40);
        assert_eq!(taken(&mut rates, 0, 2), 40);
        assert_eq!(taken(&mut rates, 1, 1), 20);
        assert_eq!(taken(&mut rates, 100, 1), 40);
    }

    #[test]
    fn askers_beyond_the_limit_cost_no_memory() {
        let mut rates = Rates::default();
        for asker in 0..2000 {
            taken(&mut rates, asker.into(), asker);
        }
        assert_eq!(rates.askers.len(), ASKERS_MAX);
    }
}
