//! IPv6 addresses that stand for IPv4 ones (RFC 6147, RFC 6052), for hosts that have no IPv4; pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::AAAA;
use hickory_proto::rr::{Name, RData, Record};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::wire;
use crate::state::facts::is_private;

/// The well-known prefix, which stands for public addresses only (RFC 6052 section 3.1).
const WELL_KNOWN: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// Returns the address that stands for an IPv4 address in a /96; none where none may.
pub fn embed(prefix: Ipv6Net, address: Ipv4Addr) -> Option<Ipv6Addr> {
    let is_local = is_private(&IpNet::V4(Ipv4Net::from(address)))
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified();
    let is_known = prefix.network() == WELL_KNOWN;
    let embedded = u128::from(prefix.network()) | u128::from(u32::from(address));
    (!(is_known && is_local)).then(|| Ipv6Addr::from(embedded))
}

/// Puts IPv6 addresses in the place of the IPv4 ones.
pub fn synthesize(prefix: Ipv6Net, records: &[Record]) -> Vec<Record> {
    let synthesized = records.iter().filter_map(|record| match wire::address(record) {
        Some(IpAddr::V4(address)) => {
            let data = RData::AAAA(AAAA(embed(prefix, address)?));
            Some(Record::from_rdata(record.name.clone(), record.ttl, data))
        }
        Some(IpAddr::V6(_)) => None,
        None => Some(record.clone()),
    });
    synthesized.collect()
}

/// Returns whether an address is none that a host without IPv4 can use: an IPv4 address in IPv6's clothes (RFC 6147
/// section 5.1.4).
pub fn is_excluded(record: &Record) -> bool {
    matches!(wire::address(record), Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some())
}

/// Returns the reverse name of the IPv4 address for which an address stands.
pub fn reverse_alias(prefix: Ipv6Net, net: &IpNet) -> Option<Name> {
    let IpNet::V6(net) = net else { return None };
    if net.prefix_len() < 128 || !prefix.contains(net) {
        return None;
    }
    let [.., a, b, c, d] = net.addr().octets();
    Name::from_ascii(format!("{d}.{c}.{b}.{a}.in-addr.arpa.")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_an_ipv4_address_in_its_last_32_bits() {
        let own: Ipv6Net = "fd00:64::/96".parse().unwrap();
        let known: Ipv6Net = "64:ff9b::/96".parse().unwrap();
        let (public, private) = (Ipv4Addr::new(192, 0, 2, 33), Ipv4Addr::new(10, 2, 0, 2));
        assert_eq!(embed(known, public), Some("64:ff9b::192.0.2.33".parse().unwrap()));
        assert_eq!(embed(known, private), None);
        assert_eq!(embed(own, private), Some("fd00:64::10.2.0.2".parse().unwrap()));
    }

    #[test]
    fn the_reverse_name_is_that_of_the_ipv4_address() {
        let prefix: Ipv6Net = "64:ff9b::/96".parse().unwrap();
        let of = |text: &str| reverse_alias(prefix, &text.parse().unwrap()).map(|name| name.to_ascii());
        assert_eq!(of("64:ff9b::192.0.2.33/128").as_deref(), Some("33.2.0.192.in-addr.arpa."));
        assert_eq!(of("64:ff9b::/100"), None);
        assert_eq!(of("fd00::1/128"), None);
    }
}
