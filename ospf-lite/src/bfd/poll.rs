//! The Poll Sequence as one table: how a change of timing is known to have arrived (RFC 5880 sections 6.5 and 6.8.3).

/// How far the far end is known to have heard of this end's intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Poll {
    /// It knows them.
    #[default]
    Idle,
    /// It is asked by every periodic packet.
    Asking,
    /// It is asked, and the intervals changed meanwhile: its next answer may be to the question before.
    Overtaken,
    /// It has answered the question before; once it sends a packet that is no answer, it can be asked anew.
    Waiting,
}

/// What happens to a Poll Sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollInput {
    /// An interval changed.
    Changed,
    /// A packet with the Final bit came.
    Final,
    /// A packet without it came.
    Other,
}

impl Poll {
    /// Returns the state that follows.
    #[must_use]
    pub const fn next(self, input: PollInput) -> Self {
        match input {
            PollInput::Changed => match self {
                Self::Idle => Self::Asking,
                Self::Asking | Self::Overtaken => Self::Overtaken,
                Self::Waiting => Self::Waiting,
            },
            PollInput::Final => match self {
                Self::Idle | Self::Asking => Self::Idle,
                Self::Overtaken | Self::Waiting => Self::Waiting,
            },
            PollInput::Other => match self {
                Self::Waiting => Self::Asking,
                stay @ (Self::Idle | Self::Asking | Self::Overtaken) => stay,
            },
        }
    }

    /// Returns whether periodic packets carry the Poll bit.
    pub const fn is_asking(self) -> bool {
        matches!(self, Self::Asking | Self::Overtaken)
    }
}

#[cfg(test)]
mod tests {
    use super::Poll::{Asking, Idle, Overtaken, Waiting};
    use super::PollInput::{Changed, Final, Other};

    #[test]
    fn every_pair_of_state_and_input_has_its_line() {
        for (from, input, to) in [
            (Idle, Changed, Asking),
            (Idle, Final, Idle),
            (Idle, Other, Idle),
            (Asking, Changed, Overtaken),
            (Asking, Final, Idle),
            (Asking, Other, Asking),
            (Overtaken, Changed, Overtaken),
            (Overtaken, Final, Waiting),
            (Overtaken, Other, Overtaken),
            (Waiting, Changed, Waiting),
            (Waiting, Final, Waiting),
            (Waiting, Other, Asking),
        ] {
            assert_eq!(from.next(input), to, "{from:?} on {input:?}");
        }
    }
}
