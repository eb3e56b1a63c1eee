//! The interface state machine as one table (RFC 2328 section 9.3).

use std::fmt;

/// What an interface is good for (RFC 2328 section 9.1). The states of a Designated Router election do not occur on
/// point-to-point links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterfaceState {
    /// Nothing is sent, accepted or advertised.
    Down,
    /// The prefixes are advertised, no packet is sent or accepted.
    Stub,
    /// Packets are exchanged with the router at the far end.
    PointToPoint,
}

/// What happens to an interface (RFC 2328 section 9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterfaceInput {
    /// InterfaceUp: the device can carry packets.
    InterfaceUp,
    /// InterfaceDown: it cannot.
    InterfaceDown,
}

impl InterfaceState {
    /// Every state, for tests that walk the table.
    pub const ALL: [Self; 3] = [Self::Down, Self::Stub, Self::PointToPoint];

    /// Returns the state after an event; `is_stub` says that no packets are exchanged over the interface.
    #[must_use]
    pub const fn next(self, event: InterfaceInput, is_stub: bool) -> Self {
        match event {
            InterfaceInput::InterfaceUp => match self {
                Self::Down if is_stub => Self::Stub,
                Self::Down => Self::PointToPoint,
                Self::Stub | Self::PointToPoint => self,
            },
            InterfaceInput::InterfaceDown => Self::Down,
        }
    }
}

impl fmt::Display for InterfaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "Down",
            Self::Stub => "Stub",
            Self::PointToPoint => "Point-to-point",
        })
    }
}
