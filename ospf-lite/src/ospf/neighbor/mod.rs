//! A neighbor: what is known of the router at the far end of a link.

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

impl std::fmt::Display for NeighborState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
