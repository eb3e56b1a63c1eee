//! The protocol's identifiers as newtypes, so that no two of them can be confused.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A router's 32-bit identity in the area, written like an IPv4 address (RFC 5340 section 2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub u32);

/// An area's 32-bit identity; the backbone is 0.0.0.0 (RFC 2328 appendix C.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaId(pub u32);

impl AreaId {
    /// The backbone, the only area this engine serves.
    pub const BACKBONE: Self = Self(0);
}

/// An interface's number, unique on its router and never 0 (RFC 5340 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u32);

/// What tells apart the LSAs of one type and one Advertising Router (RFC 5340 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkStateId(pub u32);

/// Which of several OSPFv3 instances on a link a packet belongs to (RFC 5838 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u8);

/// The address family whose prefixes an engine routes (RFC 5838).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv6 unicast, Instance ID 0.
    Ipv6,
    /// IPv4 unicast, Instance ID 64.
    Ipv4,
}

impl Family {
    /// Returns the first Instance ID of the family's range (RFC 5838 section 2.1).
    pub const fn instance_id(self) -> InstanceId {
        match self {
            Self::Ipv6 => InstanceId(0),
            Self::Ipv4 => InstanceId(64),
        }
    }

    /// Returns how many bits an address of the family has.
    pub const fn address_bits(self) -> u8 {
        match self {
            Self::Ipv6 => 128,
            Self::Ipv4 => 32,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv6 => "ipv6",
            Self::Ipv4 => "ipv4",
        })
    }
}

/// The cost of sending over an interface, 1..=65535 (RFC 2328 appendix C.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u16);

impl Cost {
    /// The cost that keeps transit traffic away: MaxLinkMetric of RFC 6987.
    pub const MAX: Self = Self(u16::MAX);

    /// Returns the cost, or nothing for 0, which an interface cannot have.
    pub const fn new(value: u16) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// Returns the number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The sum of costs along a path; [`Distance::INFINITY`] and above means unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Distance(pub u32);

impl Distance {
    /// No distance at all: the root of a shortest-path tree.
    pub const ZERO: Self = Self(0);
    /// LSInfinity (RFC 2328 appendix B).
    pub const INFINITY: Self = Self(0x00ff_ffff);

    /// Returns the distance after one more step, never past infinity.
    pub fn plus(self, metric: u32) -> Self {
        Self(self.0.saturating_add(metric).min(Self::INFINITY.0))
    }
}

macro_rules! dotted {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Ipv4Addr::from(self.0).fmt(f)
            }
        }
    )*};
}
dotted!(RouterId, AreaId, LinkStateId);

macro_rules! decimal {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
decimal!(InterfaceId, InstanceId, Cost, Distance);

impl FromStr for RouterId {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(u32::from(text.parse::<Ipv4Addr>()?)))
    }
}
