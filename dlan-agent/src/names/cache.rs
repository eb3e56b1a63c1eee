//! What other routers have answered: as long as it holds, and for a while longer in case they cannot be asked. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;
use ospf_lite::time::Instant;

use super::wire::{Answer, NEGATIVE_TTL, Question};

/// The TTL of stale answers, in seconds: whoever has one asks again soon.
pub const STALE_TTL: u32 = 10;
/// The longest that an answer holds, whatever it says itself.
const TTL_MAX: u32 = 86_400;
/// Answers with more records are not kept.
const RECORDS_MAX: usize = 64;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How it went: no error, or no such name.
    pub code: ResponseCode,
    /// The records.
    pub records: Vec<Record>,
    /// When it came.
    pub since: Instant,
    /// Until when it holds.
    pub until: Instant,
}

/// How an answer that is kept can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It holds.
    Fresh,
    /// Only if nobody can be asked.
    Stale,
}

/// Answers by question, the soonest forgotten first out when there are too many.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    entries: BTreeMap<Question, Kept>,
    by_end: BTreeSet<(Instant, Question)>,
}

impl Cache {
    /// Keeps an answer, and at most `limit` in all.
    pub fn put(&mut self, now: Instant, question: &Question, answer: &Answer, limit: usize) {
        self.remove(question);
        if answer.records.len() > RECORDS_MAX {
            return;
        }
        let ttl = answer.records.iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE_TTL).min(TTL_MAX);
        let until = now + Duration::from_secs(ttl.into());
        let kept = Kept { code: answer.code, records: answer.records.clone(), since: now, until };
        self.entries.insert(question.clone(), kept);
        self.by_end.insert((until, question.clone()));
        self.shrink(limit);
    }

    /// Returns an answer with the TTLs that are left of it.
    pub fn get(&self, now: Instant, question: &Question, stale_time: Duration) -> Option<(Use, Answer)> {
        let kept = self.entries.get(question)?;
        let of = how(now, kept, stale_time)?;
        let age = u32::try_from(now.since(kept.since).as_secs()).unwrap_or(u32::MAX);
        let ttl = |record: &Record| match of {
            Use::Fresh => record.ttl.saturating_sub(age),
            Use::Stale => STALE_TTL,
        };
        let records = kept.records.iter().map(|record| {
            let mut record = record.clone();
            record.ttl = ttl(&record);
            record
        });
        let answer =
            Answer { records: records.collect(), is_stale: of == Use::Stale, ..Answer::empty(kept.code) };
        Some((of, answer))
    }

    /// Forgets what is older than even stale answers may be, and what is above the limit.
    pub fn tidy(&mut self, now: Instant, limit: usize, stale_time: Duration) {
        while let Some((until, question)) = self.by_end.first().cloned() {
            if until + stale_time > now {
                break;
            }
            self.remove(&question);
        }
        self.shrink(limit);
    }

    /// Returns everything that is kept, and how it can be used.
    pub fn entries(
        &self,
        now: Instant,
        stale_time: Duration,
    ) -> impl Iterator<Item = (&Question, &Kept, Use)> {
        let entries = self.entries.iter();
        entries.filter_map(move |(question, kept)| Some((question, kept, how(now, kept, stale_time)?)))
    }

    fn shrink(&mut self, limit: usize) {
        while self.entries.len() > limit {
            let Some((_, question)) = self.by_end.first().cloned() else { return };
            self.remove(&question);
        }
    }

    fn remove(&mut self, question: &Question) {
        if let Some(kept) = self.entries.remove(question) {
            self.by_end.remove(&(kept.until, question.clone()));
        }
    }
}

fn how(now: Instant, kept: &Kept, stale_time: Duration) -> Option<Use> {
    if now < kept.until {
        Some(Use::Fresh)
    } else if now < kept.until + stale_time {
        Some(Use::Stale)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, RData, RecordType};
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn question(name: &str) -> Question {
        Question::new(&Name::from_str(name).unwrap(), RecordType::A)
    }

    fn answer(ttl: u32) -> Answer {
        let record = Record::from_rdata(Name::root(), ttl, RData::A(A([10, 2, 0, 2].into())));
        Answer { records: vec![record], ..Answer::empty(ResponseCode::NoError) }
    }

    #[test]
    fn an_answer_holds_for_its_ttl_and_is_stale_for_the_time_after_it() {
        let mut cache = Cache::default();
        cache.put(at(0), &question("nas.r1.lan."), &answer(60), 10);
        let ttl = |now| {
            cache.get(at(now), &question("nas.r1.lan."), HOUR).map(|(of, got)| (of, got.records[0].ttl))
        };
        assert_eq!(ttl(20), Some((Use::Fresh, 40)));
        assert_eq!(ttl(60), Some((Use::Stale, STALE_TTL)));
        assert_eq!(ttl(3659), Some((Use::Stale, STALE_TTL)));
        assert_eq!(ttl(3660), None);
    }

    #[test]
    fn the_soonest_over_is_forgotten_first() {
        let mut cache = Cache::default();
        for (name, ttl) in [("a.", 50), ("b.", 5), ("c.", 500)] {
            cache.put(at(0), &question(name), &answer(ttl), 2);
        }
        let kept: Vec<_> = cache.entries(at(0), HOUR).map(|(question, ..)| question.clone()).collect();
        assert_eq!(kept, [question("a."), question("c.")]);
        cache.tidy(at(50 + 3600), 2, HOUR);
        assert_eq!(cache.entries(at(60), HOUR).count(), 1);
    }

    #[test]
    fn that_there_is_nothing_is_remembered_for_a_moment() {
        let mut cache = Cache::default();
        cache.put(at(0), &question("a."), &Answer::empty(ResponseCode::NXDomain), 2);
        let of = |now| cache.get(at(now), &question("a."), HOUR).map(|(of, _)| of);
        assert_eq!((of(1), of(2)), (Some(Use::Fresh), Some(Use::Stale)));
    }

    #[test]
    fn no_answer_is_kept_for_longer_than_a_day_and_no_very_long_one_at_all() {
        let mut cache = Cache::default();
        let of = |cache: &Cache, now| cache.get(at(now), &question("a."), HOUR).map(|(of, _)| of);
        cache.put(at(0), &question("a."), &answer(u32::MAX), 10);
        assert_eq!((of(&cache, 86_399), of(&cache, 86_400)), (Some(Use::Fresh), Some(Use::Stale)));
        let mut long = answer(60);
        long.records = vec![long.records[0].clone(); RECORDS_MAX + 1];
        cache.put(at(0), &question("a."), &long, 10);
        assert_eq!(of(&cache, 1), None);
    }

    proptest! {
        #[test]
        fn no_more_is_kept_than_the_limit(puts in prop::collection::vec((0..9_u8, 0..100_u32), 0..60), limit in 0..6_usize) {
            let mut cache = Cache::default();
            for (now, (name, ttl)) in puts.into_iter().enumerate() {
                cache.put(at(now as u64), &question(&format!("h{name}.")), &answer(ttl), limit);
                prop_assert!(cache.entries.len() <= limit);
                prop_assert_eq!(cache.entries.len(), cache.by_end.len());
            }
        }
    }
}
