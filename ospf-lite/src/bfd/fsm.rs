//! The session state machine as one table (RFC 5880 sections 6.2 and 6.8.6).

use std::fmt;

use super::packet::Diagnostic;

/// The state of a session (RFC 5880 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionState {
    /// Held down by the operator.
    AdminDown,
    /// Down, or just begun.
    Down,
    /// The far end is heard, but has not said that it hears this end.
    Init,
    /// Both ends hear each other.
    Up,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionInput {
    /// A packet was received in which the far end is in this state.
    Received(SessionState),
    /// No packet was received for a Detection Time (section 6.8.4).
    DetectionTimeExpired,
    /// The device of the link cannot carry packets.
    PathDown,
    /// The session is administratively disabled (section 6.8.16).
    Disable,
    /// It is enabled again.
    Enable,
}

impl SessionState {
    /// Every state, for tests that walk the table.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    /// Returns the state that follows.
    #[must_use]
    pub const fn next(self, input: SessionInput) -> Self {
        match input {
            SessionInput::Received(Self::AdminDown) => match self {
                Self::Init | Self::Up => Self::Down,
                stay @ (Self::AdminDown | Self::Down) => stay,
            },
            SessionInput::Received(Self::Down) => match self {
                Self::Down => Self::Init,
                Self::Up => Self::Down,
                stay @ (Self::AdminDown | Self::Init) => stay,
            },
            SessionInput::Received(Self::Init) => match self {
                Self::Down | Self::Init => Self::Up,
                stay @ (Self::AdminDown | Self::Up) => stay,
            },
            SessionInput::Received(Self::Up) => match self {
                Self::Init => Self::Up,
                stay @ (Self::AdminDown | Self::Down | Self::Up) => stay,
            },
            SessionInput::DetectionTimeExpired | SessionInput::PathDown => match self {
                Self::Init | Self::Up => Self::Down,
                stay @ (Self::AdminDown | Self::Down) => stay,
            },
            SessionInput::Disable => Self::AdminDown,
            SessionInput::Enable => match self {
                Self::AdminDown => Self::Down,
                stay @ (Self::Down | Self::Init | Self::Up) => stay,
            },
        }
    }

    /// Returns the state of a two-bit code.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    /// Returns the two-bit code.
    pub const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }
}

/// Returns the diagnostic that goes with a step to Down or AdminDown; a step up leaves the one before.
pub const fn diagnostic(to: SessionState, input: SessionInput) -> Option<Diagnostic> {
    match (to, input) {
        (SessionState::Down, SessionInput::Received(_)) => Some(Diagnostic::NeighborSignaledDown),
        (SessionState::Down, SessionInput::DetectionTimeExpired) => Some(Diagnostic::DetectionTimeExpired),
        (SessionState::Down, SessionInput::PathDown) => Some(Diagnostic::PathDown),
        (SessionState::AdminDown, _) => Some(Diagnostic::AdministrativelyDown),
        (SessionState::Down | SessionState::Init | SessionState::Up, _) => None,
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SessionInput::{DetectionTimeExpired, Disable, Enable, PathDown, Received};
    use super::SessionState::{AdminDown, Down, Init, Up};
    use super::*;

    /// The diagram of section 6.2 with the procedures of 6.8.4, 6.8.6 and 6.8.16. Every pair that is not listed changes
    /// nothing.
    const TABLE: &[(SessionState, SessionInput, SessionState, Option<Diagnostic>)] = &[
        (Down, Received(Down), Init, None),
        (Down, Received(Init), Up, None),
        (Init, Received(Init), Up, None),
        (Init, Received(Up), Up, None),
        (Init, Received(AdminDown), Down, Some(Diagnostic::NeighborSignaledDown)),
        (Up, Received(AdminDown), Down, Some(Diagnostic::NeighborSignaledDown)),
        (Up, Received(Down), Down, Some(Diagnostic::NeighborSignaledDown)),
        (Init, DetectionTimeExpired, Down, Some(Diagnostic::DetectionTimeExpired)),
        (Up, DetectionTimeExpired, Down, Some(Diagnostic::DetectionTimeExpired)),
        (Init, PathDown, Down, Some(Diagnostic::PathDown)),
        (Up, PathDown, Down, Some(Diagnostic::PathDown)),
        (Down, Disable, AdminDown, Some(Diagnostic::AdministrativelyDown)),
        (Init, Disable, AdminDown, Some(Diagnostic::AdministrativelyDown)),
        (Up, Disable, AdminDown, Some(Diagnostic::AdministrativelyDown)),
        (AdminDown, Enable, Down, None),
    ];

    #[test]
    fn every_pair_of_state_and_input_follows_section_6_8_6() {
        let received = SessionState::ALL.map(Received);
        let others = [DetectionTimeExpired, PathDown, Disable, Enable];
        for state in SessionState::ALL {
            for input in received.into_iter().chain(others) {
                let line = TABLE.iter().find(|line| (line.0, line.1) == (state, input));
                let to = state.next(input);
                assert_eq!(to, line.map_or(state, |line| line.2), "{state} on {input:?}");
                if let Some(line) = line {
                    assert_eq!(diagnostic(to, input), line.3, "{state} on {input:?}");
                }
            }
        }
    }

    #[test]
    fn a_state_is_told_by_its_code() {
        for (bits, state) in (0..).zip(SessionState::ALL) {
            assert_eq!(state.bits(), bits);
            assert_eq!(SessionState::from_bits(bits), state);
        }
    }
}
