//! Why a Control packet was refused: not errors, but counted facts.

use std::collections::BTreeMap;
use std::fmt;

/// A reason to take no notice of a packet (RFC 5880 section 6.8.6 unless another is named).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// A router has lowered the hop limit: the sender is not at the far end of the link (RFC 5881 section 5).
    HopLimit,
    /// The version is not 1.
    Version,
    /// The Length field is below the least.
    Length,
    /// The packet is longer than what arrived.
    LengthBeyondPayload,
    /// Detect Mult is 0.
    DetectMultZero,
    /// The multipoint bit is set.
    Multipoint,
    /// My Discriminator is 0.
    MyDiscriminatorZero,
    /// Poll and Final are both set (section 6.5).
    PollAndFinal,
    /// Your Discriminator is no session's.
    UnknownDiscriminator,
    /// Your Discriminator is that of a session over another link.
    OtherInterface,
    /// Your Discriminator is 0 although the far end is in a state that it can only have reached by hearing this end.
    YourDiscriminatorZero,
    /// Your Discriminator is 0, and there is no session over this link.
    NoSession,
    /// There is an Authentication Section, and no authentication is in use.
    Authenticated,
    /// The session is administratively down.
    AdminDown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HopLimit => "hop limit is not 255",
            Self::Version => "version is not 1",
            Self::Length => "length below the least",
            Self::LengthBeyondPayload => "longer than what arrived",
            Self::DetectMultZero => "Detect Mult is 0",
            Self::Multipoint => "multipoint bit set",
            Self::MyDiscriminatorZero => "My Discriminator is 0",
            Self::PollAndFinal => "Poll and Final in one packet",
            Self::UnknownDiscriminator => "Your Discriminator of no session",
            Self::OtherInterface => "Your Discriminator of another link's session",
            Self::YourDiscriminatorZero => "Your Discriminator missing",
            Self::NoSession => "no session over this link",
            Self::Authenticated => "authentication at the far end only",
            Self::AdminDown => "session is administratively down",
        })
    }
}

/// How often each refusal happened; bounded by the number of kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<Refusal, u64>);

impl Refusals {
    /// Makes one without refusals.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Counts one.
    pub fn count(&mut self, refusal: Refusal) {
        let counter = self.0.entry(refusal).or_default();
        *counter = counter.saturating_add(1);
    }

    /// Returns the kinds that happened, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        self.0.iter().map(|(refusal, count)| (*refusal, *count))
    }

    /// Returns how often one happened.
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0.get(&refusal).copied().unwrap_or_default()
    }
}
