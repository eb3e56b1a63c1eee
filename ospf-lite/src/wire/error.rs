//! Why octets were refused.

/// Why octets are no packet or LSA: what was looked at, where, and what would have been right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The octets end too early.
    #[error("{what} ends early: octet {offset} starts a field of {needed} octets, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where the field starts, counted from the start of `what`.
        offset: usize,
        /// How many octets the field has.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{what} holds {found} as its {field}, which must be {right}")]
    Field {
        /// What was being read.
        what: &'static str,
        /// The field.
        field: &'static str,
        /// The value found.
        found: u64,
        /// What would be right.
        right: &'static str,
    },
    /// A length is not the one that the content has.
    #[error("{what} has {found} octets, which must be {right}")]
    Length {
        /// What was being read.
        what: &'static str,
        /// The length found.
        found: usize,
        /// The length that would be right.
        right: usize,
    },
    /// A checksum does not fit the octets.
    #[error("{what} has the wrong checksum {found:#06x}")]
    Checksum {
        /// What was being read.
        what: &'static str,
        /// The checksum found.
        found: u16,
    },
}
