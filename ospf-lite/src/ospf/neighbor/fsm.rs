//! The neighbor state machine as one table (RFC 2328 section 10.3).

use std::fmt;

/// How far the conversation with a neighbor has come (RFC 2328 section 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeighborState {
    /// Not heard from within RouterDeadInterval.
    Down,
    /// Never reached on point-to-point links; kept for the standard's numbering.
    Attempt,
    /// Heard, but it does not hear this router.
    Init,
    /// Both hear each other.
    TwoWay,
    /// Settling who leads the exchange.
    ExStart,
    /// Telling each other what is in the databases.
    Exchange,
    /// Asking for what is missing.
    Loading,
    /// Databases are equal.
    Full,
}

/// What happens to a neighbor (RFC 2328 section 10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeighborInput {
    /// HelloReceived: it was heard.
    HelloReceived,
    /// Start: Hellos are sent to it unasked (only on networks without broadcast).
    Start,
    /// 2-WayReceived: it hears this router.
    TwoWayReceived,
    /// NegotiationDone: who leads the exchange is settled.
    NegotiationDone,
    /// ExchangeDone: both have told what they have.
    ExchangeDone,
    /// BadLSReq: it asked for an LSA that is not in the database.
    BadLsReq,
    /// LoadingDone: every request has been answered.
    LoadingDone,
    /// AdjOK?: whether an adjacency is wanted may have changed.
    AdjOk,
    /// SeqNumberMismatch: its Database Description does not follow the last one.
    SeqNumberMismatch,
    /// 1-WayReceived: it does not hear this router any more.
    OneWayReceived,
    /// KillNbr: it can not be reached any more.
    KillNbr,
    /// InactivityTimer: it has been silent for RouterDeadInterval.
    InactivityTimer,
    /// LLDown: the layer below says that it can not be reached.
    LlDown,
}

/// What the next state depends on besides the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether an adjacency is wanted: on point-to-point links always (RFC 2328 section 10.4), but for one over which
    /// nothing gets through (RFC 5882 section 4.1), and one that flaps and is left alone.
    pub adjacency_wanted: bool,
    /// Whether the Link state request list is empty.
    pub requests_empty: bool,
}

impl NeighborState {
    /// Every state, for tests that walk the table.
    pub const ALL: [Self; 8] = [
        Self::Down,
        Self::Attempt,
        Self::Init,
        Self::TwoWay,
        Self::ExStart,
        Self::Exchange,
        Self::Loading,
        Self::Full,
    ];

    /// Returns the state after an event.
    #[must_use]
    pub fn next(self, event: NeighborInput, facts: Facts) -> Self {
        let adjacency = if facts.adjacency_wanted { Self::ExStart } else { Self::TwoWay };
        match event {
            NeighborInput::Start => match self {
                Self::Down => Self::Attempt,
                stay => stay,
            },
            NeighborInput::HelloReceived => self.max(Self::Init),
            NeighborInput::TwoWayReceived => match self {
                Self::Init => adjacency,
                stay => stay,
            },
            NeighborInput::NegotiationDone => match self {
                Self::ExStart => Self::Exchange,
                stay => stay,
            },
            NeighborInput::ExchangeDone => match self {
                Self::Exchange if facts.requests_empty => Self::Full,
                Self::Exchange => Self::Loading,
                stay => stay,
            },
            NeighborInput::LoadingDone => match self {
                Self::Loading => Self::Full,
                stay => stay,
            },
            NeighborInput::AdjOk => match self {
                Self::TwoWay => adjacency,
                adjacent if adjacent >= Self::ExStart && !facts.adjacency_wanted => Self::TwoWay,
                stay => stay,
            },
            NeighborInput::SeqNumberMismatch | NeighborInput::BadLsReq => match self {
                Self::Exchange | Self::Loading | Self::Full => Self::ExStart,
                stay => stay,
            },
            NeighborInput::OneWayReceived => match self {
                heard if heard >= Self::TwoWay => Self::Init,
                stay => stay,
            },
            NeighborInput::KillNbr | NeighborInput::InactivityTimer | NeighborInput::LlDown => Self::Down,
        }
    }

    /// Returns whether LSAs are flooded to a neighbor in this state (RFC 2328 section 13.3).
    pub fn takes_flooding(self) -> bool {
        self >= Self::Exchange
    }

    /// Returns whether the two databases are being compared.
    pub const fn is_synchronizing(self) -> bool {
        matches!(self, Self::Exchange | Self::Loading)
    }
}

impl fmt::Display for NeighborState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "Down",
            Self::Attempt => "Attempt",
            Self::Init => "Init",
            Self::TwoWay => "2-Way",
            Self::ExStart => "ExStart",
            Self::Exchange => "Exchange",
            Self::Loading => "Loading",
            Self::Full => "Full",
        })
    }
}
