//! Overhead arithmetic: how large a packet fits into a tunnel, from the underlay's MTU to the overlay's.

use std::net::IpAddr;

/// The family of the packets outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OuterFamily {
    /// IPv4, a header of 20 octets.
    Ipv4,
    /// IPv6, a header of 40 octets.
    Ipv6,
}

/// Octets of an Ethernet header, which VXLAN carries inside.
const ETHERNET_HEADER: u32 = 14;
/// Octets of a UDP header.
const UDP_HEADER: u32 = 8;
/// Octets of a VXLAN header (RFC 7348 section 5).
const VXLAN_HEADER: u32 = 8;
/// Octets of WireGuard's data message around the packet: type, receiver and counter (16), authentication tag (16).
const WIREGUARD_MESSAGE: u32 = 32;

/// The MTU of a WireGuard device where none is set: fits an underlay of 1500 octets in either family.
pub const WIREGUARD_MTU_DEFAULT: u32 = 1420;

/// The MTU of a link where none is set: a VXLAN over [`WIREGUARD_MTU_DEFAULT`].
pub const LINK_MTU_DEFAULT: u32 = 1370;

/// The largest MTU of an embedded WireGuard device: its read buffer is that of a tun device at its creation.
pub const EMBEDDED_MTU_MAX: u32 = 1500;

/// WireGuard pads what it carries to a multiple of this, but not beyond its device's own MTU.
const WIREGUARD_PADDING: u32 = 16;

/// The smallest MTU of a device that carries IPv6 (RFC 8200 section 5).
pub const IPV6_MTU_MIN: u32 = 1280;

impl OuterFamily {
    /// Returns the family of the address that outer packets go to.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    const fn header(self) -> u32 {
        match self {
            Self::Ipv4 => 20,
            Self::Ipv6 => 40,
        }
    }
}

/// Returns the octets that WireGuard puts around a packet: 60 over IPv4, 80 over IPv6.
pub const fn wireguard_overhead(outer: OuterFamily) -> u32 {
    outer.header() + UDP_HEADER + WIREGUARD_MESSAGE
}

/// Returns the octets that VXLAN puts around a packet, its inner Ethernet header included: 50 over IPv4, 70 over IPv6.
pub const fn vxlan_overhead(outer: OuterFamily) -> u32 {
    outer.header() + UDP_HEADER + VXLAN_HEADER + ETHERNET_HEADER
}

/// Returns the largest MTU of a WireGuard device whose outer packets leave by a device of `underlay` octets.
pub const fn wireguard_mtu(underlay: u32, outer: OuterFamily) -> u32 {
    underlay.saturating_sub(wireguard_overhead(outer))
}

/// Returns the largest MTU of a VXLAN device over a WireGuard device of `wireguard` octets.
pub const fn vxlan_mtu(wireguard: u32, outer: OuterFamily) -> u32 {
    wireguard.saturating_sub(vxlan_overhead(outer))
}

/// Returns the largest MTU of a link (VXLAN over IPv4 inside WireGuard) over an underlay of `underlay` octets.
pub const fn link_mtu(underlay: u32, outer: OuterFamily) -> u32 {
    vxlan_mtu(wireguard_mtu(underlay, outer), OuterFamily::Ipv4)
}

/// Returns the largest MTU up to `link` of a VXLAN device over IPv4 whose packets a WireGuard device of `wireguard` octets does not
/// pad beyond what `link` itself comes to: where the path or the neighbor is narrower than this end, what is larger may vanish on the
/// way, and nobody says so.
pub const fn without_padding(link: u32, wireguard: u32) -> u32 {
    let overhead = vxlan_overhead(OuterFamily::Ipv4);
    let carried = link.saturating_add(overhead);
    let rounded = (carried - carried % WIREGUARD_PADDING).saturating_sub(overhead);
    if carried >= wireguard || rounded < IPV6_MTU_MIN { link } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OuterFamily::{Ipv4, Ipv6};

    #[test]
    fn ceilings_are_those_measured_on_real_access_lines() {
        // WAN MTU, outer family, WireGuard MTU, VXLAN MTU over IPv4, VXLAN MTU over IPv6.
        let table = [
            (1500, Ipv4, 1440, 1390, 1370),
            (1500, Ipv6, 1420, 1370, 1350),
            (1492, Ipv4, 1432, 1382, 1362),
            (1492, Ipv6, 1412, 1362, 1342),
            (1436, Ipv4, 1376, 1326, 1306),
            (1436, Ipv6, 1356, 1306, 1286),
        ];
        for (underlay, outer, wireguard, over_ipv4, over_ipv6) in table {
            assert_eq!(wireguard_mtu(underlay, outer), wireguard);
            assert_eq!(vxlan_mtu(wireguard, Ipv4), over_ipv4);
            assert_eq!(vxlan_mtu(wireguard, Ipv6), over_ipv6);
            assert_eq!(link_mtu(underlay, outer), over_ipv4);
            assert!(over_ipv6 >= IPV6_MTU_MIN);
        }
    }

    #[test]
    fn defaults_fit_each_other_and_an_ethernet_underlay() {
        assert_eq!(wireguard_mtu(1500, Ipv6), WIREGUARD_MTU_DEFAULT);
        assert_eq!(vxlan_mtu(WIREGUARD_MTU_DEFAULT, Ipv4), LINK_MTU_DEFAULT);
    }

    #[test]
    fn what_wireguard_would_pad_beyond_a_narrow_path_is_made_smaller() {
        // The link's MTU, the WireGuard device's, and the VXLAN device's.
        let table = [
            // A neighbor behind 1492 octets of IPv6: 1362 and 50 would go out as 1420, which comes to 1500.
            (1362, 1420, 1358),
            (1358, 1420, 1358),
            (1361, 1420, 1358),
            // The devices' own MTUs are the limit of any padding.
            (1370, 1420, 1370),
            (1362, 1412, 1362),
            // Less than what IPv6 needs is no way out.
            (1280, 1420, 1280),
        ];
        for (link, wireguard, device) in table {
            assert_eq!(without_padding(link, wireguard), device, "{link} over {wireguard}");
        }
    }

    #[test]
    fn underlay_too_small_for_anything_gives_zero() {
        assert_eq!(link_mtu(100, Ipv6), 0);
    }
}
