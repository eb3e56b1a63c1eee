//! The plan of IPv6 prefixes: one unique local prefix for the mesh (RFC 4193), a /56 of it for each router, a /64 of that for
//! each of its LANs. Arithmetic, so that routers need not ask each other; pure.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

use crate::config::HostId;
use crate::state::facts::is_private;

/// The length of a prefix with a random Global ID (RFC 4193 section 3.1).
const GLOBAL_LEN: u8 = 48;
/// The length of a router's prefix.
const SITE_LEN: u8 = 56;
/// The length of a LAN's prefix.
const LAN_LEN: u8 = 64;

/// Why a prefix is none for the mesh, or has no place for a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It is not from fd00::/8.
    #[error("a mesh's prefix is a unique local one, of fd00::/8")]
    NotLocal,
    /// It has no /56 with the router's number.
    #[error(
        "it has {} networks of /{SITE_LEN}, and this router's number is {host_id}: the mesh needs a prefix that is shorter", sites(*prefix_len)
    )]
    NoSite {
        /// The router's number.
        host_id: HostId,
        /// The length of the prefix.
        prefix_len: u8,
    },
}

/// Returns a prefix that is unlike anybody else's (RFC 4193 section 3.2.2): `global_id` is random.
pub fn random(global_id: [u8; 5]) -> Ipv6Net {
    let [a, b, c, d, e] = global_id;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    let network = Ipv6Addr::new(pair(0xfd, a), pair(b, c), pair(d, e), 0, 0, 0, 0, 0);
    Ipv6Net::new(network, GLOBAL_LEN).unwrap_or_default()
}

/// Returns a router's prefix.
pub fn site(mesh: Ipv6Net, host_id: HostId) -> Result<Ipv6Net, PrefixError> {
    let is_unique_local = mesh.network().octets().first() == Some(&0xfd);
    if !is_unique_local || !is_private(&IpNet::V6(mesh)) {
        return Err(PrefixError::NotLocal);
    }
    let number = u128::from(host_id.0);
    if mesh.prefix_len() > SITE_LEN || number >= sites(mesh.prefix_len()) {
        return Err(PrefixError::NoSite { host_id, prefix_len: mesh.prefix_len() });
    }
    Ok(within(mesh, number, SITE_LEN))
}

/// Returns the prefix of a router's LAN, counted from 0; none when it has no more.
pub fn lan(site: Ipv6Net, index: usize) -> Option<Ipv6Net> {
    let number = u8::try_from(index).ok()?;
    Some(within(site, number.into(), LAN_LEN))
}

/// Returns how many routers' prefixes are in a mesh's.
fn sites(prefix_len: u8) -> u128 {
    1_u128.checked_shl(SITE_LEN.saturating_sub(prefix_len).into()).unwrap_or(0)
}

fn within(prefix: Ipv6Net, number: u128, length: u8) -> Ipv6Net {
    let shift = u32::from(128_u8.saturating_sub(length));
    let bits = u128::from(prefix.network()) | number.checked_shl(shift).unwrap_or(0);
    Ipv6Net::new(bits.into(), length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    #[test]
    fn a_router_has_a_56_by_its_number_and_a_lan_a_64_of_it() {
        let mesh = random([0x79, 0x2d, 0xe7, 0xdb, 0x86]);
        assert_eq!(mesh, net("fd79:2de7:db86::/48"));
        let r1 = site(mesh, HostId(1)).unwrap();
        assert_eq!(r1, net("fd79:2de7:db86:100::/56"));
        assert_eq!(lan(r1, 0), Some(net("fd79:2de7:db86:100::/64")));
        assert_eq!(lan(r1, 255), Some(net("fd79:2de7:db86:1ff::/64")));
        assert_eq!(lan(r1, 256), None);
        assert_eq!(site(net("fd79:2de7:db80::/44"), HostId(4095)).unwrap(), net("fd79:2de7:db8f:ff00::/56"));
    }

    #[test]
    fn a_prefix_without_room_or_of_somebody_else_is_refused() {
        let none = |text: &str, host_id| site(net(text), HostId(host_id)).unwrap_err();
        assert!(none("fd79:2de7:db86::/48", 256).to_string().contains("256 networks of /56"));
        assert!(matches!(none("fd79:2de7:db86::/60", 1), PrefixError::NoSite { .. }));
        assert_eq!(none("2001:db8::/48", 1), PrefixError::NotLocal);
        assert_eq!(none("fc00::/48", 1), PrefixError::NotLocal);
    }

    proptest! {
        #[test]
        fn every_lan_of_every_router_has_a_prefix_of_its_own_within_the_meshs(global_id: [u8; 5], routers in prop::collection::btree_set(1_u16..256, 1..6)) {
            let mesh = random(global_id);
            let mut seen = BTreeSet::new();
            for router in &routers {
                let site = site(mesh, HostId(*router)).unwrap();
                prop_assert!(mesh.contains(&site));
                for index in [0, 1, 200] {
                    let lan = lan(site, index).unwrap();
                    prop_assert!(site.contains(&lan) && lan.trunc() == lan);
                    seen.insert(lan);
                }
            }
            prop_assert_eq!(seen.len(), 3 * routers.len());
        }
    }
}
