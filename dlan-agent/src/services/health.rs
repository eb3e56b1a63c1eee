//! Whether upstreams work, by asking them again and again; pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ospf_lite::time::Instant;
use tracing::info;

use crate::config::service::HealthConfig;

/// How long after its time-out an answer that never came is given up.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// A service with one address of its upstreams.
pub type Subject = (String, SocketAddr);

/// What is thought of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It has not answered yet, nor failed often enough.
    Untried,
    /// It works.
    Up,
    /// It does not.
    Down,
}

/// What an answer, or none, came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It did not.
    Missed,
}

impl Verdict {
    /// Returns what is thought after an outcome that has come `streak` times in a row.
    pub fn next(self, outcome: Outcome, streak: u8, health: &HealthConfig) -> Self {
        match outcome {
            Outcome::Answered => match self {
                Self::Down if streak < health.rises => Self::Down,
                Self::Untried | Self::Up | Self::Down => Self::Up,
            },
            Outcome::Missed => match self {
                Self::Untried | Self::Up if streak < health.fails => self,
                Self::Untried | Self::Up | Self::Down => Self::Down,
            },
        }
    }
}

/// A question to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whom.
    pub subject: Subject,
    /// What, and how long the answer may take.
    pub health: HealthConfig,
}

#[derive(Debug, Clone)]
struct Check {
    health: HealthConfig,
    verdict: Verdict,
    last: Option<(Outcome, u8)>,
    error: Option<String>,
    due: Instant,
}

/// The addresses that are asked whether they work.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: BTreeMap<Subject, Check>,
    questions: VecDeque<Question>,
}

impl Health {
    /// Takes what is to be asked. What was asked before in the same way keeps what is thought of it.
    pub fn handle_wanted(&mut self, now: Instant, wanted: BTreeMap<Subject, HealthConfig>) {
        self.checks.retain(|subject, check| {
            let asks = |health: &HealthConfig| (health.probe.clone(), health.proxy_protocol);
            wanted.get(subject).is_some_and(|health| asks(health) == asks(&check.health))
        });
        for (subject, health) in wanted {
            let fresh = Check {
                health: health.clone(),
                verdict: Verdict::Untried,
                last: None,
                error: None,
                due: now,
            };
            let check = self.checks.entry(subject).or_insert(fresh);
            check.due = check.due.min(now + health.interval);
            check.health = health;
        }
        self.handle_timeout(now);
    }

    /// Takes what came of a question.
    pub fn handle_answer(&mut self, now: Instant, subject: &Subject, answer: Result<(), String>) {
        let Some(check) = self.checks.get_mut(subject) else { return };
        let outcome = if answer.is_ok() { Outcome::Answered } else { Outcome::Missed };
        let streak = match check.last {
            Some((last, streak)) if last == outcome => streak.saturating_add(1),
            _ => 1,
        };
        check.last = Some((outcome, streak));
        check.error = answer.err();
        let before = check.verdict;
        check.verdict = before.next(outcome, streak, &check.health);
        if before != check.verdict {
            let (service, upstream) = subject;
            let error = check.error.as_deref().unwrap_or_default();
            info!(%service, %upstream, from = ?before, to = ?check.verdict, error, "upstream");
        }
        check.due = now + check.health.interval;
    }

    /// Asks what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (subject, check) in self.checks.iter_mut().filter(|(_, check)| check.due <= now) {
            // An answer that never comes must not be the last one.
            check.due = now + check.health.timeout + ANSWER_GRACE + check.health.interval;
            self.questions.push_back(Question { subject: subject.clone(), health: check.health.clone() });
        }
    }

    /// Takes the next question.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// Returns when [`Health::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.checks.values().map(|check| check.due).min()
    }

    /// Returns the addresses that do not work.
    pub fn down(&self) -> BTreeSet<Subject> {
        let down = self.checks.iter().filter(|(_, check)| check.verdict == Verdict::Down);
        down.map(|(subject, _)| subject.clone()).collect()
    }

    /// Returns whether every address was asked.
    pub fn are_asked(&self) -> bool {
        self.checks.values().all(|check| check.last.is_some())
    }

    /// Returns what is thought of an address, and why it did not answer last; `None` where it is not asked.
    pub fn verdict(&self, subject: &Subject) -> Option<(Verdict, Option<&str>)> {
        self.checks.get(subject).map(|check| (check.verdict, check.error.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::service::{Probe, ProxyProtocol};

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn health(fails: u8, rises: u8) -> HealthConfig {
        let (interval, timeout) = (Duration::from_secs(5), Duration::from_secs(2));
        let proxy_protocol = ProxyProtocol::None;
        HealthConfig { probe: Probe::Connect, proxy_protocol, interval, timeout, fails, rises }
    }

    fn subject() -> Subject {
        ("web".to_owned(), "10.2.0.2:443".parse().unwrap())
    }

    fn missed() -> Result<(), String> {
        Err("connection refused".to_owned())
    }

    fn machine(health: HealthConfig) -> Health {
        let mut machine = Health::default();
        machine.handle_wanted(at(0), BTreeMap::from([(subject(), health)]));
        machine
    }

    fn questions(machine: &mut Health) -> usize {
        std::iter::from_fn(|| machine.poll_question()).count()
    }

    #[test]
    fn what_is_thought_changes_after_as_many_outcomes_in_a_row_as_configured() {
        use Outcome::{Answered, Missed};
        use Verdict::{Down, Untried, Up};
        let health = health(2, 3);
        for (verdict, outcome, streak, expected) in [
            (Untried, Answered, 1, Up),
            (Untried, Missed, 1, Untried),
            (Untried, Missed, 2, Down),
            (Up, Answered, 1, Up),
            (Up, Missed, 1, Up),
            (Up, Missed, 2, Down),
            (Up, Missed, 200, Down),
            (Down, Missed, 1, Down),
            (Down, Answered, 1, Down),
            (Down, Answered, 2, Down),
            (Down, Answered, 3, Up),
        ] {
            assert_eq!(verdict.next(outcome, streak, &health), expected, "{verdict:?} {outcome:?} {streak}");
        }
    }

    #[test]
    fn the_first_miss_takes_an_upstream_out_and_two_answers_take_it_in() {
        let mut machine = machine(health(1, 2));
        assert_eq!((questions(&mut machine), machine.are_asked()), (1, false));
        machine.handle_answer(at(1), &subject(), Ok(()));
        assert!(machine.down().is_empty() && machine.are_asked());
        machine.handle_answer(at(6), &subject(), missed());
        assert_eq!(machine.down(), BTreeSet::from([subject()]));
        assert_eq!(machine.verdict(&subject()), Some((Verdict::Down, Some("connection refused"))));
        machine.handle_answer(at(11), &subject(), Ok(()));
        assert_eq!(machine.down().len(), 1);
        machine.handle_answer(at(16), &subject(), Ok(()));
        assert!(machine.down().is_empty());
    }

    #[test]
    fn an_upstream_that_comes_and_goes_stays_out() {
        let mut machine = machine(health(1, 2));
        machine.handle_answer(at(1), &subject(), missed());
        for round in 1..20 {
            machine.handle_answer(at(10 * round), &subject(), Ok(()));
            machine.handle_answer(at(10 * round + 5), &subject(), missed());
            assert_eq!(machine.down().len(), 1);
        }
    }

    #[test]
    fn it_is_asked_every_interval_and_again_when_no_answer_ever_comes() {
        let mut machine = machine(health(1, 1));
        questions(&mut machine);
        machine.handle_answer(at(1), &subject(), Ok(()));
        assert_eq!(machine.poll_timeout(), Some(at(6)));
        machine.handle_timeout(at(6));
        assert_eq!(questions(&mut machine), 1);
        let due = machine.poll_timeout().unwrap();
        machine.handle_timeout(due);
        assert_eq!(questions(&mut machine), 1);
    }

    #[test]
    fn another_interval_keeps_the_verdict_and_another_probe_begins_afresh() {
        let mut machine = machine(health(1, 2));
        machine.handle_answer(at(1), &subject(), missed());
        let often = HealthConfig { interval: Duration::from_secs(1), ..health(1, 2) };
        machine.handle_wanted(at(2), BTreeMap::from([(subject(), often.clone())]));
        assert_eq!(machine.down().len(), 1);
        assert_eq!(machine.poll_timeout(), Some(at(3)));
        machine.handle_wanted(
            at(3),
            BTreeMap::from([(subject(), HealthConfig { probe: Probe::Tls { name: None }, ..often })]),
        );
        assert!(machine.down().is_empty());
        machine.handle_wanted(at(4), BTreeMap::new());
        assert_eq!(machine.poll_timeout(), None);
    }
}
