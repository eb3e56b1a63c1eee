//! A point-to-point VXLAN device as a value (RFC 7348).

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::name::LinkName;

/// The UDP port of VXLAN (RFC 7348 section 5).
pub const VXLAN_PORT: u16 = 4789;

/// A VXLAN Network Identifier, 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vni(u32);

impl Vni {
    /// Returns the identifier, or nothing when it needs more than 24 bits.
    pub const fn new(value: u32) -> Option<Self> {
        if value < 1 << 24 { Some(Self(value)) } else { None }
    }

    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A 48-bit MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What makes a VXLAN device: where its frames go, and under which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VxlanLink {
    /// VXLAN Network Identifier.
    pub vni: Vni,
    /// This end's underlay address.
    pub local: Ipv4Addr,
    /// UDP destination port.
    pub port: u16,
    /// The device its packets leave by (IFLA_VXLAN_LINK).
    pub underlay: LinkName,
    /// The device's own MAC address.
    pub mac: MacAddress,
    /// The remote VTEPs of the all-zero FDB entry: exactly one on a point-to-point link. Learning is always off.
    pub remotes: BTreeSet<Ipv4Addr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vni_has_24_bits() {
        assert_eq!(Vni::new(0xff_ffff).map(Vni::get), Some(0xff_ffff));
        assert_eq!(Vni::new(0x100_0000), None);
    }

    #[test]
    fn mac_address_is_written_with_colons() {
        assert_eq!(MacAddress([2, 0, 0xab, 4, 5, 0xff]).to_string(), "02:00:ab:04:05:ff");
    }
}
