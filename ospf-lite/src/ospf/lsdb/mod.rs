//! The database: LSAs of the links, the area and the AS, with the age and the deadline of each.

mod deadlines;
mod key;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::deadlines::Deadlines;
pub use self::key::{Domain, LsdbKey};
use self::usage::Usage;
use crate::config::Limits;
use crate::ids::{InterfaceId, LinkStateId, RouterId};
use crate::ospf::lsa::{LsType, Lsa, LsaHeader, LsaKey, MAX_AGE};
use crate::ospf::refusal::Refusal;
use crate::ospf::shared::SharedMap;
use crate::time::Instant;

/// MinLSArrival: how far apart instances of one LSA that are flooded arrive at least, but for [`EARLY_MAX`] (RFC 2328
/// appendix B).
pub const MIN_LS_ARRIVAL: Duration = Duration::from_secs(1);
/// How many instances in a row may arrive sooner than that. RFC 2328 section 13, step 5a, allows none, and one that is
/// refused comes again after RxmtInterval only. While many routers start, the ways of two instances differ by more than
/// their originations do, so the limit is kept over several and not for each.
const EARLY_MAX: u8 = 3;

/// How an instance came into the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This router originated it, in its present life.
    Originated,
    /// A neighbor flooded it.
    Flooded,
    /// A neighbor sent it because it was asked to.
    Requested,
}

/// An installed instance of an LSA.
#[derive(Debug, Clone)]
pub struct Entry {
    lsa: Arc<Lsa>,
    /// The age at `installed`.
    base_age: u16,
    installed: Instant,
    source: Source,
    /// Whether it says something else than the instance before.
    is_change: bool,
    /// How many instances in a row, up to this one, came within MinLSArrival of the one before.
    early: u8,
}

impl Entry {
    /// Returns the LSA. The age in its header is one that the instance came with, to this router or another.
    pub const fn lsa(&self) -> &Arc<Lsa> {
        &self.lsa
    }

    /// Returns the age at `now`, at most MaxAge.
    pub fn age(&self, now: Instant) -> u16 {
        let seconds = u16::try_from(now.since(self.installed).as_secs()).unwrap_or(MAX_AGE);
        self.base_age.saturating_add(seconds).min(MAX_AGE)
    }

    /// Returns the header with the age at `now`.
    pub fn header(&self, now: Instant) -> LsaHeader {
        LsaHeader { age: self.age(now), ..self.lsa.header() }
    }

    /// Returns whether the LSA is being flushed: it counts for nothing but has not been acknowledged everywhere.
    pub const fn is_flushed(&self) -> bool {
        self.base_age == MAX_AGE
    }

    /// Returns whether it says something else than the instance before: whatever is not a mere refresh.
    pub const fn is_change(&self) -> bool {
        self.is_change
    }

    /// Returns how the instance came into the database.
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Returns whether the next instance, if it is flooded at `now`, comes too soon after this one.
    pub fn is_too_soon(&self, now: Instant) -> bool {
        self.source == Source::Flooded && self.early >= EARLY_MAX && self.is_recent(now)
    }

    fn is_recent(&self, now: Instant) -> bool {
        now.since(self.installed) < MIN_LS_ARRIVAL
    }

    /// Returns when the instance reaches MaxAge, unless it is being flushed.
    fn end(&self) -> Option<Instant> {
        let left = Duration::from_secs(u64::from(MAX_AGE - self.base_age));
        (!self.is_flushed()).then(|| self.installed + left)
    }
}

/// What is to be installed.
#[derive(Debug)]
pub struct Installation {
    /// The instance.
    pub lsa: Arc<Lsa>,
    /// Its age.
    pub age: u16,
    /// Where it comes from.
    pub source: Source,
    /// When it must be refreshed, if it is this router's own: another's is looked at when it reaches MaxAge.
    pub refresh: Option<Instant>,
}

/// The database of one router.
#[derive(Debug)]
pub struct Lsdb {
    router_id: RouterId,
    entries: SharedMap<LsdbKey, Entry>,
    deadlines: Deadlines,
    flushed: BTreeSet<LsdbKey>,
    own: BTreeSet<LsdbKey>,
    /// When instances were last sent back to a neighbor that had an older one.
    sent_back: BTreeMap<LsdbKey, Instant>,
    usage: Usage,
}

impl Lsdb {
    /// Makes an empty database; `router_id` tells the own LSAs.
    pub const fn new(router_id: RouterId) -> Self {
        Self {
            router_id,
            entries: SharedMap::new(),
            deadlines: Deadlines::new(),
            flushed: BTreeSet::new(),
            own: BTreeSet::new(),
            sent_back: BTreeMap::new(),
            usage: Usage::new(),
        }
    }

    /// Installs an instance in place of the one before, and returns that one.
    pub fn install(&mut self, key: LsdbKey, installation: Installation, now: Instant) -> Option<Entry> {
        let Installation { lsa, age, source, refresh } = installation;
        let base_age = age.min(MAX_AGE);
        let mut entry =
            Entry { lsa, base_age, installed: now, source, is_change: base_age < MAX_AGE, early: 0 };
        self.forget_deadline(&key);
        if key.lsa.advertising_router == self.router_id {
            refresh.into_iter().for_each(|at| self.deadlines.set_refresh(key, at));
        } else {
            entry.end().into_iter().for_each(|at| self.deadlines.note_end(key, at));
        }
        self.sent_back.remove(&key);
        if entry.is_flushed() {
            self.flushed.insert(key);
        }
        self.usage.octets += entry.lsa.octets().len();
        let Some(old) = self.entries.get_mut(&key) else {
            self.usage.count(&key);
            if key.lsa.advertising_router == self.router_id {
                self.own.insert(key);
            }
            self.entries.insert(key, entry);
            return None;
        };
        if old.is_recent(now) {
            entry.early = old.early.saturating_add(1);
        }
        let is_flushed = entry.is_flushed();
        if !old.is_flushed() {
            entry.is_change = is_flushed || !old.lsa.says_what(&entry.lsa);
        }
        let old = std::mem::replace(old, entry);
        self.usage.octets -= old.lsa.octets().len();
        if old.is_flushed() && !is_flushed {
            self.flushed.remove(&key);
        }
        Some(old)
    }

    /// Ages an LSA to MaxAge where it stands (RFC 2328 section 14.1); returns whether there was one to age.
    pub fn flush(&mut self, key: &LsdbKey, now: Instant) -> bool {
        self.forget_deadline(key);
        let Some(entry) = self.entries.get_mut(key).filter(|entry| !entry.is_flushed()) else {
            return false;
        };
        entry.base_age = MAX_AGE;
        entry.installed = now;
        entry.is_change = true;
        self.flushed.insert(*key);
        true
    }

    /// Takes an LSA out.
    pub fn remove(&mut self, key: &LsdbKey) -> Option<Entry> {
        self.forget_deadline(key);
        let entry = self.entries.remove(key)?;
        self.usage.octets -= entry.lsa.octets().len();
        self.usage.discount(key);
        self.sent_back.remove(key);
        self.flushed.remove(key);
        self.own.remove(key);
        Some(entry)
    }

    /// Refuses an LSA of this key and length that does not fit into the limits, beside or in place of what is there.
    pub fn check_room(&self, key: &LsdbKey, octets: usize, limits: &Limits) -> Result<(), Refusal> {
        let old = self.entries.get(key);
        let octets_before = old.map_or(0, |entry| entry.lsa.octets().len());
        if octets > octets_before && self.usage.octets - octets_before + octets > limits.octets {
            return Err(Refusal::DatabaseFull);
        }
        if old.is_some() {
            return Ok(());
        }
        let (max, refusal) = match key.domain {
            Domain::Link(_) => (limits.lsas_per_link, Refusal::LinkFull),
            Domain::Area | Domain::As => (limits.lsas_per_router, Refusal::RouterFull),
        };
        if self.usage.beside(key) >= max {
            Err(refusal)
        } else if self.len() >= limits.lsas {
            Err(Refusal::DatabaseFull)
        } else {
            Ok(())
        }
    }

    /// Takes every LSA of a link out; nobody is told, for the link is gone.
    pub fn remove_link(&mut self, interface: InterfaceId) {
        let keys: Vec<LsdbKey> = self.domain(Domain::Link(interface)).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| _ = self.remove(key));
    }

    /// Returns what a router that has the same LSAs of area and AS starts from; links it has its own. The two share what
    /// neither changes.
    #[must_use]
    pub fn copy_for(&self, router_id: RouterId) -> Self {
        let own = self.iter().filter(|(key, _)| key.lsa.advertising_router == router_id);
        Self {
            router_id,
            own: own.map(|(key, _)| *key).collect(),
            entries: self.entries.clone(),
            deadlines: self.deadlines.clone(),
            flushed: self.flushed.clone(),
            sent_back: BTreeMap::new(),
            usage: self.usage.clone(),
        }
    }

    /// Returns an LSA.
    pub fn get(&self, key: &LsdbKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Returns whether an instance may be sent back at `now`, `interval` after the last time, and notes that it is.
    pub fn send_back(&mut self, key: &LsdbKey, now: Instant, interval: Duration) -> bool {
        let is_soon = self.sent_back.get(key).is_some_and(|sent| now.since(*sent) < interval);
        if is_soon || self.entries.get(key).is_none() {
            return false;
        }
        self.sent_back.insert(*key, now);
        true
    }

    /// Returns everything, in the order of the keys: links, area, AS.
    pub fn iter(&self) -> impl Iterator<Item = (&LsdbKey, &Entry)> {
        self.entries.iter()
    }

    /// Returns the LSAs that count: all that are not being flushed.
    pub fn live(&self) -> impl Iterator<Item = (&LsdbKey, &Entry)> {
        self.entries.iter().filter(|(_, entry)| !entry.is_flushed())
    }

    /// Returns the LSAs of one domain.
    pub fn domain(&self, domain: Domain) -> impl Iterator<Item = (&LsdbKey, &Entry)> {
        let first = LsaKey {
            ls_type: LsType::from_bits(0),
            link_state_id: LinkStateId(0),
            advertising_router: RouterId(0),
        };
        self.entries.from(&LsdbKey { domain, lsa: first }).take_while(move |(key, _)| key.domain == domain)
    }

    /// Returns the LSAs of one type in one domain that count.
    pub fn live_of(&self, domain: Domain, ls_type: LsType) -> impl Iterator<Item = (&LsdbKey, &Entry)> {
        let first = LsaKey { ls_type, link_state_id: LinkStateId(0), advertising_router: RouterId(0) };
        self.entries
            .from(&LsdbKey { domain, lsa: first })
            .take_while(move |(key, _)| key.domain == domain && key.lsa.ls_type == ls_type)
            .filter(|(_, entry)| !entry.is_flushed())
    }

    /// Returns the keys of the self-originated LSAs, received ones included.
    pub const fn own(&self) -> &BTreeSet<LsdbKey> {
        &self.own
    }

    /// Returns the keys of the LSAs that are being flushed.
    pub const fn flushed(&self) -> &BTreeSet<LsdbKey> {
        &self.flushed
    }

    /// Returns how many LSAs there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns when [`Lsdb::pop_due`] is to be asked: when the first deadline comes, or sooner.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Takes out the first LSA whose deadline has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<LsdbKey> {
        let Self { entries, deadlines, router_id, .. } = self;
        let others = entries.iter().filter(|(key, _)| key.lsa.advertising_router != *router_id);
        deadlines.pop_due(now, others.filter_map(|(key, entry)| Some((key, entry.end()?))))
    }

    /// Forgets the deadline of an LSA.
    fn forget_deadline(&mut self, key: &LsdbKey) {
        self.deadlines.forget(key, self.entries.get(key).and_then(Entry::end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ospf::lsa::{LsaBody, SequenceNumber};

    const OWN: RouterId = RouterId(1);

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn key(domain: Domain, router: u32) -> LsdbKey {
        let ls_type = LsType::from_bits(0xbff0);
        let link_state_id = LinkStateId(1);
        LsdbKey { domain, lsa: LsaKey { ls_type, link_state_id, advertising_router: RouterId(router) } }
    }

    fn installation(key: &LsdbKey, age: u16) -> Installation {
        let lsa = Lsa::originate(key.lsa, SequenceNumber::INITIAL, age, LsaBody::Unknown(vec![1; 4]));
        Installation { lsa: Arc::new(lsa), age, source: Source::Flooded, refresh: None }
    }

    #[test]
    fn an_age_runs_with_the_clock_up_to_max_age() {
        let mut lsdb = Lsdb::new(OWN);
        let key = key(Domain::Area, 2);
        lsdb.install(key, installation(&key, 100), at(10));
        let entry = lsdb.get(&key).unwrap();
        assert_eq!(
            [at(10), at(11), at(3_509), at(9_999)].map(|now| entry.age(now)),
            [100, 101, 3_599, MAX_AGE]
        );
        assert_eq!(entry.header(at(20)).age, 110);
    }

    #[test]
    fn a_deadline_comes_once_and_not_for_an_instance_that_was_superseded() {
        let mut lsdb = Lsdb::new(OWN);
        let key = key(Domain::Area, 2);
        lsdb.install(key, installation(&key, MAX_AGE - 5), at(0));
        lsdb.install(key, installation(&key, MAX_AGE - 6), at(1));
        assert!(lsdb.next_deadline() <= Some(at(7)));
        assert_eq!(lsdb.pop_due(at(6)), None);
        assert_eq!(lsdb.next_deadline(), Some(at(7)));
        assert_eq!(lsdb.pop_due(at(7)), Some(key));
        assert_eq!(lsdb.pop_due(at(9)), None);
        lsdb.remove(&key);
        assert!(lsdb.is_empty() && lsdb.next_deadline().is_none());
    }

    #[test]
    fn deadlines_come_in_order_however_far_apart_they_are() {
        let mut lsdb = Lsdb::new(OWN);
        let left = |router: u32| u16::try_from(router * 37 % 3_000).unwrap();
        for router in 2..200 {
            let key = key(Domain::Area, router);
            lsdb.install(key, installation(&key, MAX_AGE - left(router)), at(0));
        }
        let own = key(Domain::Area, OWN.0);
        lsdb.install(own, Installation { refresh: Some(at(1_500)), ..installation(&own, 0) }, at(0));
        let mut wanted: Vec<u64> = (2..200).map(|router| u64::from(left(router))).chain([1_500]).collect();
        wanted.sort_unstable();
        let mut found = Vec::new();
        while let Some(next) = lsdb.next_deadline() {
            while let Some(key) = lsdb.pop_due(next) {
                assert_eq!(key == own, next == at(1_500));
                found.push(next.as_micros() / 1_000_000);
            }
        }
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_flushed_lsa_is_kept_but_does_not_count() {
        let mut lsdb = Lsdb::new(OWN);
        let key = key(Domain::Area, 2);
        lsdb.install(key, installation(&key, 0), at(0));
        assert!(lsdb.flush(&key, at(1)));
        assert!(!lsdb.flush(&key, at(2)));
        assert_eq!((lsdb.len(), lsdb.live().count(), lsdb.pop_due(at(9_999))), (1, 0, None));
        assert_eq!(lsdb.get(&key).unwrap().age(at(1)), MAX_AGE);
        assert!(lsdb.flushed().contains(&key));
        lsdb.install(key, installation(&key, 3), at(3));
        assert!(lsdb.flushed().is_empty());
    }

    #[test]
    fn equal_keys_on_two_links_are_two_lsas_and_go_with_their_link() {
        let mut lsdb = Lsdb::new(OWN);
        let [one, other] = [3, 4].map(|id| key(Domain::Link(InterfaceId(id)), 1));
        for key in [one, other] {
            lsdb.install(key, installation(&key, 0), at(0));
        }
        assert_eq!((lsdb.len(), lsdb.own().len()), (2, 2));
        lsdb.remove_link(InterfaceId(3));
        assert!(lsdb.get(&one).is_none() && lsdb.get(&other).is_some());
        assert_eq!(lsdb.own().len(), 1);
    }

    #[test]
    fn the_lsas_of_a_type_are_found_among_others() {
        let mut lsdb = Lsdb::new(OWN);
        for (domain, bits) in [(Domain::Area, 0x2001), (Domain::Area, 0x2009), (Domain::As, 0x4005)] {
            for router in [2, 3] {
                let other = key(domain, router);
                let key = LsdbKey { lsa: LsaKey { ls_type: LsType::from_bits(bits), ..other.lsa }, ..other };
                lsdb.install(key, installation(&key, 0), at(0));
            }
        }
        let flushed = *lsdb.live_of(Domain::Area, LsType::INTRA_AREA_PREFIX).next().unwrap().0;
        lsdb.flush(&flushed, at(1));
        let count = |domain, ls_type| lsdb.live_of(domain, ls_type).count();
        assert_eq!(count(Domain::Area, LsType::ROUTER), 2);
        assert_eq!(count(Domain::Area, LsType::INTRA_AREA_PREFIX), 1);
        assert_eq!(count(Domain::As, LsType::AS_EXTERNAL), 2);
        assert_eq!(count(Domain::Area, LsType::NETWORK), 0);
    }

    #[test]
    fn an_instance_is_sent_back_once_per_interval() {
        let mut lsdb = Lsdb::new(OWN);
        let key = key(Domain::Area, 2);
        lsdb.install(key, installation(&key, 0), at(0));
        let second = Duration::from_secs(1);
        assert_eq!([at(5), at(5), at(6)].map(|now| lsdb.send_back(&key, now, second)), [true, false, true]);
        lsdb.install(key, installation(&key, 0), at(6));
        assert!(lsdb.send_back(&key, at(6), second), "another instance has been sent back never");
    }
}
