//! The confirm window: an apply that nobody confirms in time is undone; pure, told the time and what was asked.

use std::collections::BTreeSet;
use std::time::Duration;

use ospf_lite::time::Instant;
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::store::snapshot::FileSnapshot;

/// Where an open window is kept: whoever starts with one there returns to what was before it.
pub const WINDOW_FILE: &str = "/etc/dlan/window";
/// The shortest window: shorter ones close before anyone can log in.
pub const WINDOW_MIN: Duration = Duration::from_secs(5);
/// The longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(3600);
/// How often it is looked whether what is required answers.
const REQUIREMENT_INTERVAL: Duration = Duration::from_secs(1);

/// What an open window is, on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What confirms it.
    pub token: String,
    /// Who opened it.
    pub by: String,
    /// The clock's time then, in seconds since 1970.
    pub time: u64,
    /// The configuration that it tries.
    pub tried: String,
    /// The files as they come back.
    pub confirmed: Vec<FileSnapshot>,
}

/// An open window in a running agent.
#[derive(Debug)]
pub struct OpenWindow {
    /// What is on disk.
    pub window: Window,
    /// When it was opened, in ticks since the boot.
    opened: u64,
    deadline: Instant,
    required: BTreeSet<String>,
    /// Those of the required that have answered since the apply was done.
    answered: BTreeSet<String>,
    /// When it is looked again whether the rest answers; nothing before the apply is done.
    ask_at: Option<Instant>,
}

/// Why a confirmation does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// No window is open.
    #[error("nothing waits to be confirmed")]
    NoWindow,
    /// The apply is not through.
    #[error("the apply is still under way: confirm it when it is done")]
    UnderWay,
    /// Another token.
    #[error("this is not the token that `dlan apply` printed")]
    OtherToken,
    /// The connection proves nothing.
    #[error(
        "this connection was opened before the apply and does not prove that a new one works: log in anew, and confirm from there"
    )]
    OldConnection,
    /// It did not come by the network.
    #[error(
        "this does not come through the network: confirm from a new login, as the operator comes; --local confirms from the \
         router itself"
    )]
    NoConnection,
}

impl OpenWindow {
    /// Opens a window of this length. It is confirmed by token, or, when something is required, once all of that has answered.
    pub fn open(
        now: Instant,
        ticks: u64,
        window: Window,
        length: Duration,
        required: BTreeSet<String>,
    ) -> Self {
        Self {
            window,
            opened: ticks,
            deadline: now + length,
            required,
            answered: BTreeSet::new(),
            ask_at: None,
        }
    }

    /// Takes that the apply is through, and verified.
    pub fn handle_settled(&mut self, now: Instant) {
        self.ask_at.get_or_insert(now);
    }

    /// Returns how long is left.
    pub fn left(&self, now: Instant) -> Duration {
        self.deadline.since(now)
    }

    /// Returns whether nobody confirmed it in time.
    pub fn is_over(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// Returns whether the apply is through.
    pub const fn is_settled(&self) -> bool {
        self.ask_at.is_some()
    }

    /// Returns when it is to be looked at again.
    pub fn poll_timeout(&self) -> Instant {
        let asking = self.ask_at.filter(|_| self.outstanding().next().is_some());
        asking.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// Returns what is required and has not answered, when it is time to ask.
    pub fn poll_requirements(&mut self, now: Instant) -> Vec<String> {
        match self.ask_at {
            Some(at) if at <= now => {
                self.ask_at = Some(now + REQUIREMENT_INTERVAL);
                self.outstanding().cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns what is required and has not answered.
    pub fn outstanding(&self) -> impl Iterator<Item = &String> {
        self.required.difference(&self.answered)
    }

    /// Takes that something required has answered; returns whether that confirms the window.
    pub fn handle_answer(&mut self, name: &str) -> bool {
        if self.required.contains(name) {
            self.answered.insert(name.to_owned());
        }
        !self.required.is_empty() && self.outstanding().next().is_none()
    }

    /// Checks a confirmation.
    pub fn confirm(&self, token: &str, caller: &Caller, is_local: bool) -> Result<(), ConfirmError> {
        if !self.is_settled() {
            return Err(ConfirmError::UnderWay);
        }
        if token.trim() != self.window.token {
            return Err(ConfirmError::OtherToken);
        }
        match &caller.session {
            _ if is_local => Ok(()),
            Some(session) if session.began > self.opened => Ok(()),
            Some(_) => Err(ConfirmError::OldConnection),
            None => Err(ConfirmError::NoConnection),
        }
    }

    /// Returns what a login is told.
    pub fn banner(&self, now: Instant) -> String {
        let left = self.left(now).as_secs();
        if self.required.is_empty() {
            format!("unconfirmed, {left} s left: `dlan confirm {}` keeps it", self.window.token)
        } else {
            let missing: Vec<_> = self.outstanding().map(String::as_str).collect();
            format!("unconfirmed, {left} s left: waiting for {}", missing.join(", "))
        }
    }
}

/// Returns a token from 64 random bits: two groups of four letters that are not taken for one another.
pub fn token(random: u64) -> String {
    const LETTERS: [char; 32] = [
        'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w',
        'x', 'y', 'z', '2', '3', '4', '5', '6', '7', '8', '9', 'i',
    ];
    let letter = |place: u32| {
        let index = usize::try_from(random >> (5 * place) & 31).unwrap_or_default();
        LETTERS.get(index).copied().unwrap_or('a')
    };
    let group = |from: u32| (from..from + 4).map(letter).collect::<String>();
    format!("{}-{}", group(0), group(4))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::caller::{Session, TICKS_PER_SECOND};

    const LENGTH: Duration = Duration::from_secs(90);
    const OPENED: u64 = 100 * TICKS_PER_SECOND;

    fn window(required: &[&str]) -> OpenWindow {
        let window = Window {
            token: "abcd-efgh".to_owned(),
            by: "root".to_owned(),
            time: 0,
            tried: String::new(),
            confirmed: Vec::new(),
        };
        let required = required.iter().map(|name| (*name).to_owned()).collect();
        OpenWindow::open(at(0), OPENED, window, LENGTH, required)
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn by(began: Option<u64>) -> Caller {
        Caller { uid: 0, session: began.map(|began| Session { began, ends: None }) }
    }

    #[test]
    fn only_the_token_by_a_connection_opened_since_confirms() {
        let mut window = window(&[]);
        let fresh = by(Some(OPENED + 1));
        assert_eq!(window.confirm("abcd-efgh", &fresh, false), Err(ConfirmError::UnderWay));
        window.handle_settled(at(3));
        assert_eq!(window.confirm("abcd-efgh", &fresh, false), Ok(()));
        assert_eq!(window.confirm(" abcd-efgh\n", &fresh, false), Ok(()));
        assert_eq!(window.confirm("abcd-efgi", &fresh, false), Err(ConfirmError::OtherToken));
        assert_eq!(window.confirm("", &fresh, true), Err(ConfirmError::OtherToken));
        let old = by(Some(OPENED));
        assert_eq!(window.confirm("abcd-efgh", &old, false), Err(ConfirmError::OldConnection));
        assert_eq!(window.confirm("abcd-efgh", &by(None), false), Err(ConfirmError::NoConnection));
        assert_eq!(window.confirm("abcd-efgh", &by(None), true), Ok(()));
    }

    #[test]
    fn a_window_is_over_at_its_end_and_not_before() {
        let window = window(&[]);
        assert_eq!(window.poll_timeout(), at(90));
        assert!(!window.is_over(at(89)));
        assert!(window.is_over(at(90)));
        assert_eq!(window.left(at(27)), Duration::from_secs(63));
        assert_eq!(window.banner(at(27)), "unconfirmed, 63 s left: `dlan confirm abcd-efgh` keeps it");
    }

    #[test]
    fn what_is_required_is_asked_every_second_once_the_apply_is_through() {
        let mut window = window(&["r4", "10.2.0.2"]);
        assert_eq!(window.poll_requirements(at(1)), [""; 0]);
        assert_eq!(window.poll_timeout(), at(90));
        window.handle_settled(at(2));
        assert_eq!(window.poll_timeout(), at(2));
        assert_eq!(window.poll_requirements(at(2)), ["10.2.0.2", "r4"]);
        assert_eq!(window.poll_requirements(at(2)), [""; 0]);
        assert_eq!(window.poll_timeout(), at(3));
        assert!(!window.handle_answer("10.2.0.2"));
        assert!(!window.handle_answer("r5"));
        assert_eq!(window.banner(at(30)), "unconfirmed, 60 s left: waiting for r4");
        assert_eq!(window.poll_requirements(at(3)), ["r4"]);
        assert!(window.handle_answer("r4"));
    }

    #[test]
    fn nothing_that_answers_confirms_a_window_that_requires_nothing() {
        let mut window = window(&[]);
        window.handle_settled(at(2));
        assert!(!window.handle_answer("r4"));
    }

    proptest! {
        #[test]
        fn a_token_is_short_and_plain(random in any::<u64>()) {
            let token = token(random);
            prop_assert_eq!(token.len(), 9);
            prop_assert!(token.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'));
        }
    }
}
