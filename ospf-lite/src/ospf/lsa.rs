//! LSAs as types (RFC 5340 appendix A.4): header, key, bodies, and which of two instances is newer.

use std::cmp::Ordering;
use std::net::Ipv6Addr;

use ipnet::IpNet;

use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::ospf::options::Options;

/// MaxAge: an LSA of this age is being flushed (RFC 2328 appendix B).
pub const MAX_AGE: u16 = 3600;
/// MaxAgeDiff: ages further apart than this tell instances apart (RFC 2328 appendix B).
pub const MAX_AGE_DIFF: u16 = 900;

/// The LS type: function code, flooding scope and U-bit in 16 bits (RFC 5340 appendix A.4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LsType(u16);

/// How far an LSA is flooded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// To the neighbors on one link.
    Link,
    /// In the area.
    Area,
    /// In the whole autonomous system.
    As,
    /// Never: the scope is reserved, such an LSA is discarded.
    Reserved,
}

impl LsType {
    /// Router-LSA.
    pub const ROUTER: Self = Self(0x2001);
    /// Network-LSA.
    pub const NETWORK: Self = Self(0x2002);
    /// Inter-Area-Prefix-LSA.
    pub const INTER_AREA_PREFIX: Self = Self(0x2003);
    /// Inter-Area-Router-LSA.
    pub const INTER_AREA_ROUTER: Self = Self(0x2004);
    /// AS-External-LSA.
    pub const AS_EXTERNAL: Self = Self(0x4005);
    /// Link-LSA.
    pub const LINK: Self = Self(0x0008);
    /// Intra-Area-Prefix-LSA.
    pub const INTRA_AREA_PREFIX: Self = Self(0x2009);
    /// Grace-LSA (RFC 5187 section 2.1).
    pub const GRACE: Self = Self(0x000b);

    /// Takes the 16-bit field.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the 16-bit field.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Returns the flooding scope (S2 and S1).
    pub const fn scope(self) -> Scope {
        match self.0 & 0x6000 {
            0x0000 => Scope::Link,
            0x2000 => Scope::Area,
            0x4000 => Scope::As,
            _ => Scope::Reserved,
        }
    }

    /// Returns whether a router that does not know the type floods it as if it did (U-bit).
    pub const fn is_flooded_when_unknown(self) -> bool {
        self.0 & 0x8000 != 0
    }

    /// Returns whether this engine understands the type's body.
    pub const fn is_known(self) -> bool {
        matches!(
            self,
            Self::ROUTER
                | Self::NETWORK
                | Self::INTER_AREA_PREFIX
                | Self::INTER_AREA_ROUTER
                | Self::AS_EXTERNAL
                | Self::LINK
                | Self::INTRA_AREA_PREFIX
                | Self::GRACE
        )
    }

    /// Returns whether another content of such an LSA is a change of topology, which ends a graceful restart (RFC 3623
    /// section 3.2). Intra-Area-Prefix-LSAs belong to it: what they say was in the Router-LSAs that the RFC was written for.
    pub const fn is_topology(self) -> bool {
        matches!(
            self,
            Self::ROUTER
                | Self::NETWORK
                | Self::INTER_AREA_PREFIX
                | Self::INTER_AREA_ROUTER
                | Self::AS_EXTERNAL
                | Self::INTRA_AREA_PREFIX
        )
    }

    /// Returns the scope in which this engine floods the type: an unknown type without the U-bit stays on the link
    /// (RFC 5340 section 4.5.1).
    pub const fn flooding_scope(self) -> Scope {
        match self.scope() {
            Scope::Area | Scope::As if !self.is_known() && !self.is_flooded_when_unknown() => Scope::Link,
            scope => scope,
        }
    }
}

/// What identifies an LSA, whatever its instance. In the database the scope's owner (link, area, AS) stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LsaKey {
    /// LS type.
    pub ls_type: LsType,
    /// Link State ID.
    pub link_state_id: LinkStateId,
    /// Advertising Router.
    pub advertising_router: RouterId,
}

/// LS sequence number: signed, from [`SequenceNumber::INITIAL`] up to [`SequenceNumber::MAX`] (RFC 2328 section 12.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub i32);

impl SequenceNumber {
    /// The reserved number 0x80000000, which no LSA has.
    pub const RESERVED: Self = Self(i32::MIN);
    /// InitialSequenceNumber, 0x80000001.
    pub const INITIAL: Self = Self(i32::MIN + 1);
    /// MaxSequenceNumber, 0x7fffffff: past it the LSA is flushed first.
    pub const MAX: Self = Self(i32::MAX);

    /// Returns the number of the next instance, or nothing when the numbers are used up.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// The 20 octets in front of every LSA (RFC 5340 appendix A.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LsaHeader {
    /// LS age in seconds, 0..=[`MAX_AGE`].
    pub age: u16,
    /// Which LSA.
    pub key: LsaKey,
    /// Which instance of it.
    pub sequence: SequenceNumber,
    /// Fletcher checksum over everything but the age.
    pub checksum: u16,
    /// Octets of the LSA, header included.
    pub length: u16,
}

impl LsaHeader {
    /// The header of no LSA.
    pub(crate) const NONE: Self = Self {
        age: MAX_AGE,
        key: LsaKey { ls_type: LsType(0), link_state_id: LinkStateId(0), advertising_router: RouterId(0) },
        sequence: SequenceNumber::RESERVED,
        checksum: 0,
        length: 0,
    };

    /// Returns which instance is the more recent; `Greater` when `self` is (RFC 2328 section 13.1).
    pub fn compare_recency(&self, other: &Self) -> Ordering {
        let by_max_age = || (self.age == MAX_AGE).cmp(&(other.age == MAX_AGE));
        let by_age = || {
            if self.age.abs_diff(other.age) > MAX_AGE_DIFF {
                other.age.cmp(&self.age)
            } else {
                Ordering::Equal
            }
        };
        self.sequence
            .cmp(&other.sequence)
            .then(self.checksum.cmp(&other.checksum))
            .then_with(by_max_age)
            .then_with(by_age)
    }

    /// Returns whether `self` is the more recent instance (RFC 2328 section 13.1).
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.compare_recency(other) == Ordering::Greater
    }
}

/// One instance of an LSA. Its octets are kept as they came, so that passing it on changes nothing but the age. What they mean
/// is read from them where it is asked for: a database holds many LSAs, and looks at few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsa {
    /// The family of the prefixes in it, which tells how they are written; IPv6 where there are none.
    pub(crate) family: Family,
    /// The octets, header included. Built only by the codec, so they always begin with a header and have a body of its type.
    pub(crate) octets: Box<[u8]>,
}

impl Lsa {
    /// Returns the octets, header included, with the age they were received or originated with.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// What an LSA says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LsaBody {
    /// A router and its links.
    Router(RouterLsa),
    /// A transit network and the routers on it.
    Network(NetworkLsa),
    /// A prefix of another area.
    InterAreaPrefix(InterAreaPrefixLsa),
    /// A boundary router of another area.
    InterAreaRouter(InterAreaRouterLsa),
    /// A prefix from outside.
    AsExternal(AsExternalLsa),
    /// What a router tells the others on one link.
    Link(LinkLsa),
    /// Prefixes of a router or transit network.
    IntraAreaPrefix(IntraAreaPrefixLsa),
    /// What a router whose routing restarts asks of the neighbor on one link.
    Grace(GraceLsa),
    /// A type this engine does not know: the octets after the header.
    Unknown(Vec<u8>),
}

impl LsaBody {
    /// Returns the LS type that has this body, or nothing for an unknown one.
    pub const fn ls_type(&self) -> Option<LsType> {
        Some(match self {
            Self::Router(_) => LsType::ROUTER,
            Self::Network(_) => LsType::NETWORK,
            Self::InterAreaPrefix(_) => LsType::INTER_AREA_PREFIX,
            Self::InterAreaRouter(_) => LsType::INTER_AREA_ROUTER,
            Self::AsExternal(_) => LsType::AS_EXTERNAL,
            Self::Link(_) => LsType::LINK,
            Self::IntraAreaPrefix(_) => LsType::INTRA_AREA_PREFIX,
            Self::Grace(_) => LsType::GRACE,
            Self::Unknown(_) => return None,
        })
    }

    /// Returns the family of its prefixes, IPv6 where it has none.
    pub(crate) fn family(&self) -> Family {
        let first = match self {
            Self::InterAreaPrefix(inter) => Some(&inter.prefix),
            Self::AsExternal(external) => Some(&external.prefix),
            Self::Link(link) => link.prefixes.first(),
            Self::IntraAreaPrefix(intra) => intra.prefixes.first().map(|(prefix, _)| prefix),
            Self::Router(_)
            | Self::Network(_)
            | Self::InterAreaRouter(_)
            | Self::Grace(_)
            | Self::Unknown(_) => None,
        };
        match first.map(|prefix| prefix.net) {
            Some(IpNet::V4(_)) => Family::Ipv4,
            Some(IpNet::V6(_)) | None => Family::Ipv6,
        }
    }
}

/// What a Router-LSA says of the router itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterFlags {
    /// B-bit: area border router.
    pub border: bool,
    /// E-bit: AS boundary router.
    pub external: bool,
    /// V-bit: virtual link endpoint.
    pub virtual_endpoint: bool,
    /// Options; without R or V6 the router is not transited.
    pub options: Options,
}

/// RFC 5340 appendix A.4.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterLsa {
    /// B-bit: area border router.
    pub border: bool,
    /// E-bit: AS boundary router.
    pub external: bool,
    /// V-bit: virtual link endpoint.
    pub virtual_endpoint: bool,
    /// Options; without R or V6 the router is not transited.
    pub options: Options,
    /// The links to other routers.
    pub links: Vec<RouterLink>,
}

/// One link of a Router-LSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouterLink {
    /// To a router or a transit network.
    pub kind: RouterLinkKind,
    /// Output cost.
    pub metric: u16,
    /// The Interface ID at this end.
    pub interface_id: InterfaceId,
    /// The Interface ID at the far end (of the Designated Router on a transit network).
    pub neighbor_interface_id: InterfaceId,
    /// The Router ID at the far end (of the Designated Router on a transit network).
    pub neighbor_router_id: RouterId,
}

/// The type of a Router-LSA's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouterLinkKind {
    /// Type 1.
    PointToPoint,
    /// Type 2.
    Transit,
    /// Type 4.
    Virtual,
}

/// RFC 5340 appendix A.4.4; its Link State ID is the Designated Router's Interface ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkLsa {
    /// Options.
    pub options: Options,
    /// The routers on the network.
    pub attached_routers: Vec<RouterId>,
}

/// A prefix with its options (RFC 5340 appendix A.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The prefix, host bits zero, of the family of the engine that decoded it.
    pub net: IpNet,
    /// NU, LA, MC (deprecated), P and DN bits.
    pub options: PrefixOptions,
}

/// Prefix options (RFC 5340 appendix A.4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PrefixOptions(u8);

impl PrefixOptions {
    /// NU: left out of unicast routing.
    pub const NU: Self = Self(0x01);
    /// LA: an address of the advertising router.
    pub const LA: Self = Self(0x02);

    /// Takes the field.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Returns the field.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// RFC 5340 appendix A.4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterAreaPrefixLsa {
    /// 24-bit metric.
    pub metric: u32,
    /// The prefix.
    pub prefix: Prefix,
}

/// RFC 5340 appendix A.4.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterAreaRouterLsa {
    /// Options of the described router.
    pub options: Options,
    /// 24-bit metric.
    pub metric: u32,
    /// The described router.
    pub destination: RouterId,
}

/// RFC 5340 appendix A.4.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsExternalLsa {
    /// E-bit: metric type 2.
    pub type2: bool,
    /// 24-bit metric.
    pub metric: u32,
    /// The prefix.
    pub prefix: Prefix,
    /// Where to send instead of to the advertising router.
    pub forwarding_address: Option<std::net::IpAddr>,
    /// External route tag.
    pub tag: Option<u32>,
    /// An LSA that holds more about the prefix: type and Link State ID.
    pub referenced: Option<(LsType, LinkStateId)>,
}

/// RFC 5340 appendix A.4.9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLsa {
    /// Router Priority.
    pub priority: u8,
    /// Options.
    pub options: Options,
    /// The Link-local Interface Address field; in the IPv4 family its first four octets are the IPv4 address (RFC 5838
    /// section 2.5).
    pub address: Ipv6Addr,
    /// Prefixes of the link.
    pub prefixes: Vec<Prefix>,
}

/// RFC 5340 appendix A.4.10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntraAreaPrefixLsa {
    /// The Router-LSA or Network-LSA the prefixes belong to. A Router-LSA is referenced with Link State ID 0.
    pub referenced: LsaKey,
    /// The prefixes and their metrics.
    pub prefixes: Vec<(Prefix, u16)>,
}

/// RFC 5187 section 2.2; its Link State ID is the Interface ID of the link at the restarting router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceLsa {
    /// For how many seconds from its origination on the neighbor is to go on as if the adjacency were Full.
    pub period: u32,
    /// Why.
    pub reason: RestartReason,
}

/// Why a router's routing restarts (RFC 3623 appendix B.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestartReason {
    /// 0: it does not know, as after a crash.
    Unknown,
    /// 1: a restart of the software.
    SoftwareRestart,
    /// 2: another version of the software.
    SoftwareReload,
    /// 3: another control processor has taken over.
    RedundantProcessor,
    /// A number without a meaning; taken for what it is.
    Other(u8),
}
