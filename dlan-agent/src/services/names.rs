//! The addresses of upstreams' names, asked for again and again; pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use ospf_lite::time::Instant;

/// How often a name is asked for when nobody says how long its addresses hold.
const INTERVAL_UNSAID: Duration = Duration::from_secs(2);
/// The shortest time between two questions for one name.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// The longest time between two questions for one name.
const INTERVAL_MAX: Duration = Duration::from_secs(300);
/// How long an answer is waited for before the name is asked for again.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(20);
/// How many addresses of a name are used.
const ADDRESSES_MAX: usize = 16;

/// What came of asking for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These are its addresses.
    Addresses {
        /// At least one.
        addresses: BTreeSet<IpAddr>,
        /// How long they hold; `None`: it was not said.
        ttl: Option<Duration>,
        /// The family whose addresses could not be asked for: those that were known of it may hold still.
        missing: Option<Family>,
        /// Whether they are what was last known of a zone whose router cannot be asked.
        is_stale: bool,
    },
    /// There is no such name, or it has no address: who must know has said so.
    Nothing,
    /// Nobody could be asked, and why; the addresses that were known may hold still.
    Failed(String),
    /// Nobody can be asked yet, and why: this counts as no answer.
    NotYet(String),
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Returns whether an address is of the family.
    pub const fn has(self, address: &IpAddr) -> bool {
        matches!((self, address), (Self::Ipv4, IpAddr::V4(_)) | (Self::Ipv6, IpAddr::V6(_)))
    }
}

#[derive(Debug, Clone)]
struct Entry {
    /// `None` before anybody has answered.
    addresses: Option<BTreeSet<IpAddr>>,
    error: Option<String>,
    due: Instant,
}

/// The names that upstreams are written with.
#[derive(Debug, Clone, Default)]
pub struct Names {
    entries: BTreeMap<String, Entry>,
    questions: VecDeque<String>,
}

impl Names {
    /// Takes which names are wanted. One that was wanted before keeps what is known of it.
    pub fn handle_wanted(&mut self, now: Instant, wanted: BTreeSet<String>) {
        self.entries.retain(|name, _| wanted.contains(name));
        for name in wanted {
            self.entries.entry(name).or_insert(Entry { addresses: None, error: None, due: now });
        }
        self.handle_timeout(now);
    }

    /// Takes what came of asking for a name.
    pub fn handle_answer(&mut self, now: Instant, name: &str, answer: Answer) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let interval = match answer {
            Answer::Addresses { mut addresses, ttl, missing, is_stale } => {
                let before = entry.addresses.iter().flatten();
                addresses.extend(before.filter(|address| missing.is_some_and(|family| family.has(address))));
                // Which ones are left must not change from answer to answer.
                while addresses.len() > ADDRESSES_MAX {
                    addresses.pop_last();
                }
                entry.addresses = Some(addresses);
                entry.error = is_stale
                    .then(|| "last known address: who answers for the name cannot be asked".to_owned());
                let interval = ttl.map_or(INTERVAL_UNSAID, |ttl| ttl.clamp(INTERVAL_MIN, INTERVAL_MAX));
                if missing.is_some() { interval.min(INTERVAL_UNSAID) } else { interval }
            }
            Answer::Nothing => {
                entry.addresses = Some(BTreeSet::new());
                entry.error = Some("there is no address of that name".to_owned());
                INTERVAL_UNSAID
            }
            Answer::Failed(error) => {
                entry.addresses.get_or_insert_default();
                entry.error = Some(error);
                INTERVAL_UNSAID
            }
            Answer::NotYet(error) => {
                entry.error = Some(error);
                INTERVAL_MIN
            }
        };
        entry.due = now + interval;
    }

    /// Asks for the names that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (name, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.due <= now) {
            // An answer that never comes must not be the last one.
            entry.due = now + LOOKUP_DEADLINE;
            self.questions.push_back(name.clone());
        }
    }

    /// Takes the next name to ask for.
    pub fn poll_question(&mut self) -> Option<String> {
        self.questions.pop_front()
    }

    /// Returns when [`Names::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// Returns the addresses of every name that was answered for.
    pub fn known(&self) -> BTreeMap<String, BTreeSet<IpAddr>> {
        let known = |(name, entry): (&String, &Entry)| Some((name.clone(), entry.addresses.clone()?));
        self.entries.iter().filter_map(known).collect()
    }

    /// Returns whether every name was answered for.
    pub fn are_known(&self) -> bool {
        self.entries.values().all(|entry| entry.addresses.is_some())
    }

    /// Returns why a name could not be asked for last, or has no address.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.entries.get(name)?.error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn found(texts: &[&str], ttl: Option<u64>) -> Answer {
        let ttl = ttl.map(Duration::from_secs);
        Answer::Addresses { addresses: addresses(texts), ttl, missing: None, is_stale: false }
    }

    fn names(wanted: &[&str]) -> Names {
        let mut names = Names::default();
        names.handle_wanted(at(0), wanted.iter().map(|name| (*name).to_owned()).collect());
        names
    }

    fn questions(names: &mut Names) -> Vec<String> {
        std::iter::from_fn(|| names.poll_question()).collect()
    }

    #[test]
    fn a_name_is_asked_for_at_once_and_again_when_its_answer_runs_out() {
        let mut names = names(&["nas"]);
        assert_eq!(questions(&mut names), ["nas"]);
        assert!(!names.are_known());
        for (ttl, due) in [(Some(30), 40), (Some(0), 11), (Some(86_400), 310), (None, 12)] {
            names.handle_answer(at(10), "nas", found(&["10.2.0.2"], ttl));
            assert_eq!(names.poll_timeout(), Some(at(due)), "{ttl:?}");
        }
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.2"]));
        names.handle_timeout(at(12));
        assert_eq!(questions(&mut names), ["nas"]);
    }

    #[test]
    fn a_name_that_is_gone_has_no_address_and_one_that_cannot_be_asked_for_keeps_its_own() {
        let mut names = names(&["nas"]);
        names.handle_answer(at(1), "nas", found(&["10.2.0.2"], Some(5)));
        names.handle_answer(at(6), "nas", Answer::Failed("no answer".to_owned()));
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.2"]));
        assert_eq!(names.error("nas"), Some("no answer"));
        names.handle_answer(at(8), "nas", Answer::Nothing);
        assert_eq!(names.known()["nas"], addresses(&[]));
        names.handle_answer(at(10), "nas", found(&["10.2.0.3"], None));
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.3"]));
        assert_eq!(names.error("nas"), None);
    }

    #[test]
    fn addresses_of_a_family_that_could_not_be_asked_for_stay_and_it_is_asked_for_again_soon() {
        let mut names = names(&["nas"]);
        names.handle_answer(at(1), "nas", found(&["10.2.0.2", "fd00::2"], Some(60)));
        let half = |missing| Answer::Addresses {
            addresses: addresses(&["10.2.0.3"]),
            ttl: Some(Duration::from_secs(60)),
            missing,
            is_stale: false,
        };
        names.handle_answer(at(61), "nas", half(Some(Family::Ipv6)));
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.3", "fd00::2"]));
        assert_eq!(names.poll_timeout(), Some(at(63)));
        names.handle_answer(at(63), "nas", half(None));
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.3"]));
    }

    #[test]
    fn last_known_addresses_are_used_and_said_to_be_such() {
        let mut names = names(&["nas"]);
        let ttl = Some(Duration::from_secs(10));
        let stale =
            Answer::Addresses { addresses: addresses(&["10.2.0.2"]), ttl, missing: None, is_stale: true };
        names.handle_answer(at(1), "nas", stale);
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.2"]));
        assert!(names.error("nas").unwrap().contains("last known"));
        names.handle_answer(at(11), "nas", found(&["10.2.0.2"], Some(60)));
        assert_eq!(names.error("nas"), None);
    }

    #[test]
    fn a_name_that_could_never_be_asked_for_counts_as_answered() {
        let mut names = names(&["nas"]);
        names.handle_answer(at(1), "nas", Answer::Failed("no answer".to_owned()));
        assert!(names.are_known());
        assert_eq!(names.known()["nas"], addresses(&[]));
    }

    #[test]
    fn a_name_that_nobody_can_be_asked_for_yet_counts_as_unanswered_and_is_asked_for_soon() {
        let mut names = names(&["nas"]);
        names.handle_answer(at(1), "nas", Answer::NotYet("starting".to_owned()));
        assert!(!names.are_known() && names.known().is_empty());
        assert_eq!((names.error("nas"), names.poll_timeout()), (Some("starting"), Some(at(2))));
        names.handle_answer(at(2), "nas", found(&["10.2.0.2"], Some(60)));
        names.handle_answer(at(62), "nas", Answer::NotYet("starting".to_owned()));
        assert_eq!(names.known()["nas"], addresses(&["10.2.0.2"]));
    }

    #[test]
    fn what_is_known_of_a_name_stays_as_long_as_it_is_wanted() {
        let mut names = names(&["nas"]);
        names.handle_answer(at(1), "nas", found(&["10.2.0.2"], Some(60)));
        questions(&mut names);
        names.handle_wanted(at(2), ["nas", "web"].map(str::to_owned).into());
        assert_eq!(questions(&mut names), ["web"]);
        names.handle_wanted(at(3), ["web"].map(str::to_owned).into());
        names.handle_answer(at(4), "nas", found(&["10.2.0.3"], Some(60)));
        assert!(names.known().is_empty());
    }

    #[test]
    fn a_question_without_an_answer_is_repeated() {
        let mut names = names(&["nas"]);
        questions(&mut names);
        let due = names.poll_timeout().unwrap();
        names.handle_timeout(due);
        assert_eq!(questions(&mut names), ["nas"]);
    }

    #[test]
    fn of_very_many_addresses_the_same_few_are_used_every_time() {
        let mut names = names(&["nas"]);
        let many: BTreeSet<IpAddr> = (0..40_u8).map(|last| IpAddr::from([10, 2, 0, last])).collect();
        let answer = Answer::Addresses { addresses: many.clone(), ttl: None, missing: None, is_stale: false };
        names.handle_answer(at(1), "nas", answer);
        assert_eq!(names.known()["nas"], many.into_iter().take(ADDRESSES_MAX).collect());
    }
}
