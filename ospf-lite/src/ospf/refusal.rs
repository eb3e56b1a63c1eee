//! Why a packet or an LSA was refused: not errors, but counted facts.

use std::collections::BTreeMap;
use std::fmt;

/// Makes the kinds, and from the same lines their names and words: a kind without one cannot be.
macro_rules! refusals {
    ($($(#[$meta:meta])* $kind:ident = $name:literal, $words:literal;)*) => {
        /// A reason to take no notice of a packet, or of one LSA in it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Refusal {
            $($(#[$meta])* $kind,)*
        }

        impl Refusal {
            /// Every kind, in the order in which packets are judged.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Returns the kind's name for programs; it stays the same over versions.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            const fn words(self) -> &'static str {
                match self {
                    $(Self::$kind => $words,)*
                }
            }
        }
    };
}

refusals! {
    /// The interface exchanges no packets: it is down or a stub.
    InterfaceNotActive = "interface-not-active", "interface exchanges no packets";
    /// The IPv6 destination is neither AllSPFRouters nor the interface's link-local address (RFC 5340 section 4.2.2).
    Destination = "destination", "wrong destination address";
    /// The IPv6 source is not a link-local address, or is this router's own (RFC 5340 section 4.2.2).
    Source = "source", "source is no neighbor's link-local address";
    /// The octets are no OSPF packet: lengths, counts or fields contradict each other.
    Malformed = "malformed", "malformed packet";
    /// The version is not 3.
    Version = "version", "version is not 3";
    /// The packet type is none of the five.
    PacketType = "packet-type", "unknown packet type";
    /// The checksum is wrong.
    Checksum = "checksum", "wrong checksum";
    /// The Area ID is another one.
    AreaMismatch = "area", "another area";
    /// The Instance ID is another one.
    InstanceMismatch = "instance", "another instance";
    /// The sender's Router ID is 0.
    RouterIdZero = "router-id-zero", "Router ID is 0";
    /// The sender has this router's Router ID.
    DuplicateRouterId = "duplicate-router-id", "neighbor has this router's Router ID";
    /// The sender is another router than the one that the link leads to.
    UnexpectedNeighbor = "unexpected-neighbor", "another router than the link leads to";
    /// The authentication trailer is missing, or there is one where none is configured.
    AuthenticationMissing = "authentication-missing", "authentication at one end only";
    /// The trailer's Authentication Type is not HMAC Cryptographic Authentication (RFC 7166 section 4.1).
    AuthenticationType = "authentication-type", "unknown authentication type";
    /// The trailer names a security association that is not configured.
    AuthenticationUnknownSa = "authentication-unknown-sa", "unknown security association";
    /// The trailer's digest is wrong: another secret, or a changed packet.
    AuthenticationDigest = "authentication-digest", "wrong authentication digest";
    /// The digest is right but for the octet order of the Cryptographic Protocol ID (RFC 7166 section 4.4): FRR's.
    AuthenticationProtocolId = "authentication-protocol-id", "authentication digest of FRR, which departs from RFC 7166";
    /// The cryptographic sequence number is not higher than the last one (RFC 7166 section 4.6).
    AuthenticationReplay = "authentication-replay", "authentication sequence number not higher than the last";
    /// HelloInterval differs.
    HelloInterval = "hello-interval", "HelloInterval differs";
    /// RouterDeadInterval differs.
    DeadInterval = "dead-interval", "RouterDeadInterval differs";
    /// The E-bit differs: the neighbor takes the area for a stub area.
    ExternalRouting = "external-routing", "E-bit differs";
    /// The AF-bit is clear in the IPv4 family (RFC 5838 section 2.4).
    AddressFamily = "address-family", "AF-bit missing";
    /// The sender has sent no acceptable Hello yet.
    UnknownNeighbor = "unknown-neighbor", "no Hello from this neighbor yet";
    /// A packet other than a Hello comes from another address than the neighbor's Hellos.
    NeighborAddress = "neighbor-address", "not from the address of the neighbor's Hellos";
    /// The packet has no place in the neighbor's state.
    NeighborState = "neighbor-state", "unexpected in this neighbor state";
    /// The neighbor's Interface MTU differs.
    MtuMismatch = "mtu", "MTU differs";
    /// In ExStart, a Database Description that neither begins the exchange nor answers (RFC 2328 section 10.6).
    Negotiation = "negotiation", "Database Description before the negotiation";
    /// In Exchange, the MS-bit says that the other end leads (RFC 2328 section 10.6).
    MasterMismatch = "master", "both or neither lead the exchange";
    /// In Exchange, the Options are not those of the description before (RFC 2328 section 10.6).
    OptionsChanged = "options-changed", "Options changed during the exchange";
    /// A Database Description does not follow the one before.
    SequenceMismatch = "sequence", "Database Description out of sequence";
    /// A Database Description lists an LSA of the reserved flooding scope (RFC 5340 section 4.5.1).
    DescriptionScope = "description-scope", "description of an LSA with reserved scope";
    /// A Database Description lists more than the request list may hold.
    RequestsFull = "requests-full", "request list is full";
    /// A request for an LSA that is not in the database.
    BadRequest = "bad-request", "request for an unknown LSA";
    /// An Update holds an LSA that the neighbor has described as newer than it is.
    BadAnswer = "bad-answer", "answer older than described";
    /// An acknowledgment of an instance that is not the one in the database (RFC 2328 section 13.7).
    AcknowledgmentMismatch = "acknowledgment", "acknowledgment of another instance";
    /// An LSA's checksum is wrong (RFC 2328 section 13, step 1).
    LsaChecksum = "lsa-checksum", "LSA with a wrong checksum";
    /// An LSA's length is wrong, or its body contradicts itself.
    LsaMalformed = "lsa-malformed", "malformed LSA";
    /// An LSA of the reserved flooding scope (RFC 5340 section 4.5.1).
    LsaScope = "lsa-scope", "LSA with reserved scope";
    /// An LSA with the sequence number that is never used, 0x80000000 (RFC 2328 section 12.1.6).
    LsaSequence = "lsa-sequence", "LSA with the reserved sequence number";
    /// An LSA arrived within MinLSArrival of the instance before.
    LsaTooSoon = "lsa-too-soon", "LSA within MinLSArrival";
    /// An LSA did not fit into the database's limits.
    DatabaseFull = "database-full", "database is full";
    /// An LSA did not fit into what one router may have in the database.
    RouterFull = "router-full", "too many LSAs of one router";
    /// A link-scope LSA did not fit into what one link may have in the database.
    LinkFull = "link-full", "too many LSAs of the link";
}

impl Refusal {
    /// Returns whether it belongs to undisturbed operation too: while neighbors start, or where ways differ in length.
    pub const fn is_ordinary(self) -> bool {
        matches!(
            self,
            Self::InterfaceNotActive
                | Self::UnknownNeighbor
                | Self::NeighborState
                | Self::Negotiation
                | Self::AcknowledgmentMismatch
                | Self::LsaTooSoon
        )
    }

    /// Returns whether it says that a limit of this router was reached.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::RequestsFull | Self::DatabaseFull | Self::RouterFull | Self::LinkFull)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
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

    /// Counts one; returns whether it is the first of its kind.
    pub fn count(&mut self, refusal: Refusal) -> bool {
        let counter = self.0.entry(refusal).or_default();
        *counter = counter.saturating_add(1);
        *counter == 1
    }

    /// Returns the kinds that happened, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        self.0.iter().map(|(refusal, count)| (*refusal, *count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_and_words_of_its_own() {
        let names: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        let words: BTreeSet<String> = Refusal::ALL.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), words.len()), (Refusal::ALL.len(), Refusal::ALL.len()));
    }
}
