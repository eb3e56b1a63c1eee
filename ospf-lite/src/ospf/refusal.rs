//! Why a packet or an LSA was refused: not errors, but counted facts.

use std::collections::BTreeMap;
use std::fmt;

/// A reason to take no notice of a packet, or of one LSA in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The interface exchanges no packets: it is down or a stub.
    InterfaceNotActive,
    /// The IPv6 destination is neither AllSPFRouters nor the interface's link-local address (RFC 5340 section 4.2.2).
    Destination,
    /// The IPv6 source is not a link-local address, or is this router's own (RFC 5340 section 4.2.2).
    Source,
    /// The octets are no OSPF packet: lengths, counts or fields contradict each other.
    Malformed,
    /// The version is not 3.
    Version,
    /// The packet type is none of the five.
    PacketType,
    /// The checksum is wrong.
    Checksum,
    /// The Area ID is another one.
    AreaMismatch,
    /// The Instance ID is another one.
    InstanceMismatch,
    /// The sender's Router ID is 0.
    RouterIdZero,
    /// The sender has this router's Router ID.
    DuplicateRouterId,
    /// The authentication trailer is missing, or there is one where none is configured.
    AuthenticationMissing,
    /// The trailer names a security association that is not configured.
    AuthenticationUnknownSa,
    /// The trailer's digest is wrong: another secret, or a changed packet.
    AuthenticationDigest,
    /// The cryptographic sequence number is not higher than the last one (RFC 7166 section 4.6).
    AuthenticationReplay,
    /// HelloInterval differs.
    HelloInterval,
    /// RouterDeadInterval differs.
    DeadInterval,
    /// The E-bit differs: the neighbor takes the area for a stub area.
    ExternalRouting,
    /// The AF-bit is clear in the IPv4 family (RFC 5838 section 2.4).
    AddressFamily,
    /// The sender has sent no acceptable Hello yet.
    UnknownNeighbor,
    /// The packet has no place in the neighbor's state.
    NeighborState,
    /// The neighbor's Interface MTU differs.
    MtuMismatch,
    /// A Database Description does not follow the one before.
    SequenceMismatch,
    /// A request for an LSA that is not in the database.
    BadRequest,
    /// An Update holds an LSA that the neighbor has described as newer than it is.
    BadAnswer,
    /// An LSA's checksum or length is wrong, or its body contradicts itself.
    LsaMalformed,
    /// An LSA of the reserved flooding scope (RFC 5340 section 4.5.1).
    LsaScope,
    /// An LSA arrived within MinLSArrival of the instance before.
    LsaTooSoon,
    /// An LSA did not fit into the database's limit.
    DatabaseFull,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InterfaceNotActive => "interface exchanges no packets",
            Self::Destination => "wrong destination address",
            Self::Source => "source is no neighbor's link-local address",
            Self::Malformed => "malformed packet",
            Self::Version => "version is not 3",
            Self::PacketType => "unknown packet type",
            Self::Checksum => "wrong checksum",
            Self::AreaMismatch => "another area",
            Self::InstanceMismatch => "another instance",
            Self::RouterIdZero => "Router ID is 0",
            Self::DuplicateRouterId => "neighbor has this router's Router ID",
            Self::AuthenticationMissing => "authentication at one end only",
            Self::AuthenticationUnknownSa => "unknown security association",
            Self::AuthenticationDigest => "wrong authentication digest",
            Self::AuthenticationReplay => "authentication sequence number not higher than the last",
            Self::HelloInterval => "HelloInterval differs",
            Self::DeadInterval => "RouterDeadInterval differs",
            Self::ExternalRouting => "E-bit differs",
            Self::AddressFamily => "AF-bit missing",
            Self::UnknownNeighbor => "no Hello from this neighbor yet",
            Self::NeighborState => "unexpected in this neighbor state",
            Self::MtuMismatch => "MTU differs",
            Self::SequenceMismatch => "Database Description out of sequence",
            Self::BadRequest => "request for an unknown LSA",
            Self::BadAnswer => "answer older than described",
            Self::LsaMalformed => "malformed LSA",
            Self::LsaScope => "LSA with reserved scope",
            Self::LsaTooSoon => "LSA within MinLSArrival",
            Self::DatabaseFull => "database is full",
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
}
