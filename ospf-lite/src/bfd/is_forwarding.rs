//! Does the far kernel still answer? Asks it by ICMPv6 echo while the router there is silent (RFC 4443 section 4).

use std::time::Duration;

use crate::time::Instant;

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
/// How many of the latest questions may still be answered.
const OPEN_MAX: u16 = 64;

/// An ICMPv6 echo, asked or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Echo {
    /// Tells the questions of one session from others'.
    pub identifier: u16,
    /// Counts the questions.
    pub sequence: u16,
}

impl Echo {
    /// Writes an Echo Request; the kernel fills the checksum in.
    pub fn encode_request(self) -> Vec<u8> {
        let [i, j] = self.identifier.to_be_bytes();
        let [s, t] = self.sequence.to_be_bytes();
        vec![ECHO_REQUEST, 0, 0, 0, i, j, s, t]
    }

    /// Reads an Echo Reply; nothing when the octets are anything else.
    pub fn decode_reply(octets: &[u8]) -> Option<Self> {
        match octets {
            [ECHO_REPLY, 0, _, _, i, j, s, t, ..] => Some(Self {
                identifier: u16::from_be_bytes([*i, *j]),
                sequence: u16::from_be_bytes([*s, *t]),
            }),
            _ => None,
        }
    }
}

/// The questions to one far kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    identifier: u16,
    /// The number of the next question.
    next: u16,
    /// How many questions were asked since the router fell silent.
    asked: u16,
    answered: Option<Instant>,
}

impl Asking {
    /// Makes one that has asked nothing.
    pub const fn new(identifier: u16) -> Self {
        Self { identifier, next: 0, asked: 0, answered: None }
    }

    /// Forgets questions and answers: the router is heard.
    pub const fn forget(&mut self) {
        self.asked = 0;
        self.answered = None;
    }

    /// Takes another sign for an answer: a packet that came over the link.
    pub const fn presume_answer(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// Returns whether there are questions that may be answered.
    pub const fn is_open(&self) -> bool {
        self.asked > 0
    }

    /// Returns the next question.
    pub const fn ask(&mut self) -> Echo {
        let echo = Echo { identifier: self.identifier, sequence: self.next };
        self.next = self.next.wrapping_add(1);
        self.asked = self.asked.saturating_add(1);
        echo
    }

    /// Takes in an answer; returns whether it is one to a question asked since the router fell silent.
    pub fn handle_reply(&mut self, now: Instant, reply: Echo) -> bool {
        let age = self.next.wrapping_sub(reply.sequence);
        let is_ours = reply.identifier == self.identifier && age >= 1 && age <= self.asked.min(OPEN_MAX);
        if is_ours {
            self.answered = Some(now);
        }
        is_ours
    }

    /// Returns whether the far kernel has answered within the last `window`.
    pub fn is_answered(&self, now: Instant, window: Duration) -> bool {
        self.answered.is_some_and(|at| now.since(at) <= window)
    }
}

/// Returns when, after the last packet, the far kernel is first asked: when the next one is overdue, but early enough for
/// an answer within the Detection Time.
pub fn ask_after(receive_interval: Duration, detection_time: Duration) -> Duration {
    (receive_interval + receive_interval / 4).min(detection_time / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn only_an_answer_to_an_open_question_counts() {
        let mut asking = Asking::new(7);
        assert!(!asking.handle_reply(at(0), Echo { identifier: 7, sequence: 0 }), "nothing was asked");
        let first = asking.ask();
        assert!(!asking.handle_reply(at(1), Echo { identifier: 8, ..first }));
        assert!(!asking.handle_reply(at(1), Echo { sequence: 1, ..first }));
        assert!(!asking.is_answered(at(1), Duration::from_secs(1)));
        assert!(asking.handle_reply(at(2), first));
        assert!(asking.is_answered(at(102), Duration::from_millis(100)));
        assert!(!asking.is_answered(at(103), Duration::from_millis(100)));
    }

    #[test]
    fn a_late_answer_to_a_question_before_the_present_silence_does_not_count() {
        let mut asking = Asking::new(7);
        let before = asking.ask();
        asking.forget();
        assert!(!asking.is_open());
        asking.ask();
        assert!(asking.is_open());
        assert!(!asking.handle_reply(at(0), before));
    }

    #[test]
    fn questions_go_on_past_the_end_of_their_numbers() {
        let mut asking = Asking::new(7);
        let last = (0..70_000).map(|_| asking.ask()).last().unwrap();
        assert_eq!(last.sequence, u16::try_from(69_999 % 65_536).unwrap());
        assert!(asking.handle_reply(at(0), last));
        let too_old = Echo { sequence: last.sequence - OPEN_MAX, ..last };
        assert!(!asking.handle_reply(at(0), too_old));
    }

    #[test]
    fn the_kernel_is_asked_after_the_first_missed_packet_and_before_the_end() {
        let millis = Duration::from_millis;
        assert_eq!(ask_after(millis(300), millis(900)), millis(375));
        assert_eq!(ask_after(millis(50), millis(150)), Duration::from_micros(62_500));
        assert_eq!(ask_after(millis(300), millis(300)), millis(270));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_reply_or_not(octets in proptest::collection::vec(any::<u8>(), 0..32)) {
            if let Some(reply) = Echo::decode_reply(&octets) {
                prop_assert_eq!(&octets[4..8], &reply.encode_request()[4..8]);
            }
        }
    }
}
