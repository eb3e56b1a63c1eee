//! A resource record as routers announce it to the whole mesh: the few types that people configure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::domain::DomainName;

/// The longest text of a TXT record, in octets: one character-string (RFC 1035 section 3.3).
pub const TEXT_MAX: usize = 255;
/// How long a record may be kept, in seconds: changes reach the hosts' resolvers within that time.
pub const TTL: u32 = 60;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Whose record it is.
    pub name: DomainName,
    /// What it says.
    pub data: RecordData,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name under which all else is found.
    Cname(DomainName),
    /// The name that belongs to an address.
    Ptr(DomainName),
    /// Where a service is.
    Srv {
        /// The lower, the sooner it is tried.
        priority: u16,
        /// Its share among those of one priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its host.
        target: DomainName,
    },
    /// A text of at most [`TEXT_MAX`] octets.
    Txt(Vec<u8>),
}

impl RecordData {
    /// Returns an address record's data.
    pub const fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }

    /// Returns the address of an address record.
    pub const fn as_address(&self) -> Option<IpAddr> {
        match self {
            Self::A(address) => Some(IpAddr::V4(*address)),
            Self::Aaaa(address) => Some(IpAddr::V6(*address)),
            Self::Cname(_) | Self::Ptr(_) | Self::Srv { .. } | Self::Txt(_) => None,
        }
    }

    /// Returns the type's number (RFC 1035 section 3.2.2, RFC 3596, RFC 2782).
    pub const fn type_code(&self) -> u16 {
        match self {
            Self::A(_) => 1,
            Self::Cname(_) => 5,
            Self::Ptr(_) => 12,
            Self::Txt(_) => 16,
            Self::Aaaa(_) => 28,
            Self::Srv { .. } => 33,
        }
    }

    /// Returns the type's name.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::A(_) => "A",
            Self::Cname(_) => "CNAME",
            Self::Ptr(_) => "PTR",
            Self::Txt(_) => "TXT",
            Self::Aaaa(_) => "AAAA",
            Self::Srv { .. } => "SRV",
        }
    }
}

impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) | Self::Ptr(name) => name.fmt(f),
            Self::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            Self::Txt(text) => write!(f, "\"{}\"", text.escape_ascii()),
        }
    }
}
