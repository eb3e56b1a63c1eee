//! What a session says of its far end: the failures of BFD, told apart by the far kernel's answers (RFC 5882 section 3).

use std::time::Duration;

use super::is_forwarding::{Asking, Echo, ask_after};
use crate::io::Reachability;
use crate::time::Instant;

/// How long a far end that cannot be reached may send no BFD packet at all before nothing is said of it any more: it may
/// have come back without BFD.
pub const FORGET_AFTER: Duration = Duration::from_secs(10);

/// Why a session that was Up is Down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The far end was silent for a Detection Time.
    Silent,
    /// It says that it does not hear this end.
    Signaled,
    /// Another session has begun there, so the link carries packets: its router was started anew.
    Restarted,
}

/// The opinion of one session, and what it needs to form it.
#[derive(Debug)]
pub struct Verdict {
    reachability: Reachability,
    asking: Asking,
    /// The longest interval between the far end's packets when it was last Up, and the Detection Time.
    timing: (Duration, Duration),
    ask_at: Option<Instant>,
    forget_at: Option<Instant>,
}

impl Verdict {
    /// Makes one that has nothing to say; `identifier` tells its questions to the far kernel from others'.
    pub const fn new(identifier: u16) -> Self {
        Self {
            reachability: Reachability::Reachable,
            asking: Asking::new(identifier),
            timing: (Duration::ZERO, Duration::ZERO),
            ask_at: None,
            forget_at: None,
        }
    }

    /// Returns the opinion.
    pub const fn reachability(&self) -> Reachability {
        self.reachability
    }

    /// Returns whether answers of the far kernel are awaited.
    pub const fn is_asking(&self) -> bool {
        self.asking.is_open()
    }

    /// Returns when [`Verdict::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.ask_at, self.forget_at].into_iter().flatten().min()
    }

    /// Takes in a packet of the far end that arrived while the session is Up: the next is due after `interval`, and its silence
    /// is a failure after `detection_time`.
    pub fn handle_heard(&mut self, arrived: Instant, interval: Duration, detection_time: Duration) {
        self.timing = (interval, detection_time);
        self.asking.forget();
        self.ask_at = Some(arrived + ask_after(interval, detection_time));
    }

    /// Takes in a packet of the far end while the session is not Up.
    pub fn handle_sign_of_life(&mut self, now: Instant) {
        if self.forget_at.is_some() {
            self.forget_at = Some(now + FORGET_AFTER);
        }
    }

    /// Takes in that a session that was Up failed, and returns the opinion if it is another one.
    pub fn handle_failure(&mut self, now: Instant, failure: Failure) -> Option<Reachability> {
        let (interval, detection_time) = self.timing;
        match failure {
            Failure::Silent if self.asking.is_answered(now, detection_time / 2) => {
                self.ask_at = Some(now + interval);
                self.conclude(now, Reachability::Forwarding)
            }
            Failure::Restarted => {
                self.asking.presume_answer(now);
                self.ask_at = Some(now);
                self.conclude(now, Reachability::Forwarding)
            }
            Failure::Silent | Failure::Signaled => self.conclude(now, Reachability::Unreachable),
        }
    }

    /// Takes in that nothing speaks against the far end (any more), and returns the opinion if it is another one.
    pub fn handle_cleared(&mut self, now: Instant) -> Option<Reachability> {
        self.conclude(now, Reachability::Reachable)
    }

    /// Takes in an answer of the far kernel.
    pub fn handle_reply(&mut self, now: Instant, reply: Echo) {
        self.asking.handle_reply(now, reply);
    }

    /// Does what is due: returns a question for the far kernel, and the opinion if it is another one.
    pub fn handle_timeout(&mut self, now: Instant) -> (Option<Echo>, Option<Reachability>) {
        if self.forget_at.take_if(|at| *at <= now).is_some() {
            return (None, self.conclude(now, Reachability::Reachable));
        }
        if self.ask_at.take_if(|at| *at <= now).is_none() {
            return (None, None);
        }
        let (interval, detection_time) = self.timing;
        let is_forwarding = self.reachability == Reachability::Forwarding;
        if is_forwarding && !self.asking.is_answered(now, detection_time) {
            return (None, self.conclude(now, Reachability::Unreachable));
        }
        self.ask_at = Some(now + if is_forwarding { interval } else { interval / 2 });
        (Some(self.asking.ask()), None)
    }

    fn conclude(&mut self, now: Instant, reachability: Reachability) -> Option<Reachability> {
        if reachability != Reachability::Forwarding {
            self.asking.forget();
            self.ask_at = None;
        }
        self.forget_at = (reachability == Reachability::Unreachable).then(|| now + FORGET_AFTER);
        let is_another = std::mem::replace(&mut self.reachability, reachability) != reachability;
        is_another.then_some(reachability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(300);
    const DETECTION_TIME: Duration = Duration::from_millis(900);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    /// Lets everything happen that is due until then, the far kernel answering at once if it does; returns the opinions.
    fn run(verdict: &mut Verdict, until: Instant, answers: bool) -> Vec<(u64, Reachability)> {
        let mut opinions = Vec::new();
        while let Some(now) = verdict.poll_timeout().filter(|at| *at <= until) {
            let (question, opinion) = verdict.handle_timeout(now);
            if let Some(question) = question.filter(|_| answers) {
                verdict.handle_reply(now, question);
            }
            opinions.extend(opinion.map(|opinion| (now.as_micros() / 1_000, opinion)));
        }
        opinions
    }

    fn silent_for_a_detection_time(answers: bool) -> (Verdict, Option<Reachability>) {
        let mut verdict = Verdict::new(1);
        verdict.handle_heard(at(0), INTERVAL, DETECTION_TIME);
        assert_eq!(run(&mut verdict, at(899), answers), []);
        let opinion = verdict.handle_failure(at(900), Failure::Silent);
        (verdict, opinion)
    }

    #[test]
    fn a_silent_far_end_whose_kernel_answers_is_forwarding() {
        let (mut verdict, opinion) = silent_for_a_detection_time(true);
        assert_eq!(opinion, Some(Reachability::Forwarding));
        assert_eq!(run(&mut verdict, at(60_000), true), [], "as long as it answers");
        let opinions = run(&mut verdict, at(120_000), false);
        assert!(matches!(
            opinions[..],
            [(60_900..=61_500, Reachability::Unreachable), (_, Reachability::Reachable)]
        ));
    }

    #[test]
    fn a_silent_far_end_whose_kernel_is_silent_is_unreachable_and_forgotten_later() {
        let (mut verdict, opinion) = silent_for_a_detection_time(false);
        assert_eq!(opinion, Some(Reachability::Unreachable));
        verdict.handle_sign_of_life(at(5_000));
        assert_eq!(run(&mut verdict, at(60_000), true), [(15_000, Reachability::Reachable)]);
    }

    #[test]
    fn a_far_end_that_does_not_hear_this_end_is_unreachable_although_its_kernel_answers() {
        let mut verdict = Verdict::new(1);
        verdict.handle_heard(at(0), INTERVAL, DETECTION_TIME);
        run(&mut verdict, at(800), true);
        assert_eq!(verdict.handle_failure(at(800), Failure::Signaled), Some(Reachability::Unreachable));
    }

    #[test]
    fn a_restarted_far_end_is_forwarding_until_its_kernel_falls_silent() {
        let mut verdict = Verdict::new(1);
        verdict.handle_heard(at(0), INTERVAL, DETECTION_TIME);
        assert_eq!(verdict.handle_failure(at(100), Failure::Restarted), Some(Reachability::Forwarding));
        assert_eq!(run(&mut verdict, at(950), false), []);
        assert_eq!(run(&mut verdict, at(1_400), false), [(1_300, Reachability::Unreachable)]);
    }

    #[test]
    fn a_far_end_that_is_heard_is_not_asked_for() {
        let mut verdict = Verdict::new(1);
        for millis in (0..10_000).step_by(300) {
            verdict.handle_heard(at(millis), INTERVAL, DETECTION_TIME);
            assert_eq!(verdict.handle_timeout(at(millis + 299)), (None, None));
        }
        assert!(!verdict.is_asking());
    }

    #[test]
    fn an_opinion_is_told_once() {
        let (mut verdict, _) = silent_for_a_detection_time(false);
        assert_eq!(verdict.handle_failure(at(1_000), Failure::Silent), None);
        assert_eq!(verdict.handle_cleared(at(1_100)), Some(Reachability::Reachable));
        assert_eq!(verdict.handle_cleared(at(1_200)), None);
        assert_eq!(verdict.poll_timeout(), None);
    }
}
