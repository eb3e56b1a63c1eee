//! Router Advertisements with the prefix that stands for IPv4 addresses, and Router Solicitations, as octets.

use std::time::Duration;

use ipnet::Ipv6Net;

/// ICMPv6 Router Solicitation (RFC 4861 section 4.1).
pub const SOLICITATION: u8 = 133;
/// ICMPv6 Router Advertisement (RFC 4861 section 4.2).
const ADVERTISEMENT: u8 = 134;
/// What no router has lowered (RFC 4861 section 6.1.1).
pub const HOP_LIMIT: u8 = 255;
/// AdvDefaultLifetime in seconds, as dnsmasq's: three of its intervals.
const ROUTER_LIFETIME: u16 = 1800;
/// M: there are addresses by DHCPv6.
const FLAG_MANAGED: u8 = 0x80;
/// O: there is something else by DHCPv6.
const FLAG_OTHER: u8 = 0x40;
/// The PREF64 option (RFC 8781 section 4), and its length in units of 8 octets.
const OPTION_PREF64: [u8; 2] = [38, 2];
/// The largest scaled lifetime: 13 bits, in units of 8 s.
const SCALED_LIFETIME_MAX: u64 = 8191;
/// How many bits of the word with the lifetime say how long the prefix is; all zero for 96 (RFC 8781 section 4).
const LENGTH_CODE_BITS: u32 = 3;
/// The octets of a prefix of 96 bits.
const PREFIX_OCTETS: usize = 12;
/// The octets of a solicitation before its options.
const SOLICITATION_HEADER: usize = 8;

/// What all advertisements of one router on one link have to say alike (RFC 4861 section 6.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether hosts can get addresses by DHCPv6, and not only other things.
    pub has_addresses: bool,
}

/// Returns an advertisement that says of prefixes of 96 bits how long they hold. Its other options are in dnsmasq's: a router
/// may spread them over several advertisements (RFC 4861 section 6.2.3). What has a value for "unspecified" has it. The kernel
/// computes the checksum.
pub fn encode(header: Header, prefixes: impl IntoIterator<Item = (Ipv6Net, Duration)>) -> Vec<u8> {
    let flags = if header.has_addresses { FLAG_MANAGED | FLAG_OTHER } else { FLAG_OTHER };
    let mut octets = vec![ADVERTISEMENT, 0, 0, 0, 0, flags];
    octets.extend(ROUTER_LIFETIME.to_be_bytes());
    // Reachable Time and Retrans Timer.
    octets.extend([0; 8]);
    for (prefix, lifetime) in prefixes {
        octets.extend(OPTION_PREF64);
        let scaled = lifetime.as_secs().div_ceil(8).min(SCALED_LIFETIME_MAX);
        let scaled = u16::try_from(scaled).unwrap_or_default() << LENGTH_CODE_BITS;
        octets.extend(scaled.to_be_bytes());
        octets.extend(prefix.network().octets().into_iter().take(PREFIX_OCTETS));
    }
    octets
}

/// Returns whether the octets are a Router Solicitation that is to be answered (RFC 4861 section 6.1.1). The kernel has looked at
/// the checksum. That a host without an address tells none of its hardware makes no difference to an answer to all.
pub fn is_solicitation(hop_limit: u8, octets: &[u8]) -> bool {
    let mut options = octets.get(SOLICITATION_HEADER..);
    while let Some([_, units, ..]) = options {
        let length = usize::from(*units) * 8;
        options = options.filter(|_| length > 0).and_then(|rest| rest.get(length..));
    }
    let are_whole = options.is_some_and(<[u8]>::is_empty);
    hop_limit == HOP_LIMIT && octets.starts_with(&[SOLICITATION, 0]) && are_whole
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    /// What a host reads of an advertisement: RFC 4861 section 4.2, RFC 8781 section 4.
    #[derive(Debug, PartialEq)]
    struct Read {
        flags: u8,
        router_lifetime: u16,
        unspecified: bool,
        prefixes: Vec<(Ipv6Net, u64)>,
    }

    fn read(octets: &[u8]) -> Read {
        assert_eq!(octets[..2], [134, 0]);
        let prefixes = octets[16..].chunks(16).map(|option| {
            assert_eq!(option[..2], [38, 2]);
            let word = u16::from_be_bytes([option[2], option[3]]);
            assert_eq!(word & 7, 0, "96 bits");
            let mut address = [0; 16];
            address[..12].copy_from_slice(&option[4..16]);
            (Ipv6Net::new(Ipv6Addr::from(address), 96).unwrap(), u64::from(word >> 3) * 8)
        });
        Read {
            flags: octets[5],
            router_lifetime: u16::from_be_bytes([octets[6], octets[7]]),
            unspecified: octets[4] == 0 && octets[8..16].iter().all(|octet| *octet == 0),
            prefixes: prefixes.collect(),
        }
    }

    #[test]
    fn an_advertisement_is_these_octets() {
        let prefix = ("64:ff9b::/96".parse().unwrap(), Duration::from_secs(1800));
        let octets = encode(Header { has_addresses: false }, [prefix]);
        let expected = [
            134, 0, 0, 0, 0, 0x40, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 38, 2, 0x07, 0x08, 0, 0x64, 0xff,
            0x9b, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(octets, expected);
    }

    #[test]
    fn a_solicitation_is_known_and_what_is_none_is_not() {
        let plain = [133, 0, 1, 2, 0, 0, 0, 0];
        let with_source = [&plain[..], &[1, 1, 2, 0, 0, 0, 0, 1]].concat();
        assert!(is_solicitation(255, &plain) && is_solicitation(255, &with_source));
        assert!(!is_solicitation(64, &plain), "from beyond a router");
        assert!(!is_solicitation(255, &plain[..7]), "cut short");
        assert!(!is_solicitation(255, &with_source[..12]), "an option cut short");
        assert!(
            !is_solicitation(255, &[&plain[..], &[1, 0, 0, 0, 0, 0, 0, 0]].concat()),
            "an option of no length"
        );
        assert!(
            !is_solicitation(255, &[133, 1, 1, 2, 0, 0, 0, 0])
                && !is_solicitation(255, &[134, 0, 1, 2, 0, 0, 0, 0])
        );
    }

    proptest! {
        #[test]
        fn a_host_reads_what_was_meant(
            has_addresses: bool,
            prefixes in prop::collection::vec((any::<u128>(), 0..=100_000_u64), 0..3),
        ) {
            let prefixes: Vec<(Ipv6Net, u64)> = prefixes
                .into_iter()
                .map(|(bits, seconds)| (Ipv6Net::new(Ipv6Addr::from(bits), 96).unwrap().trunc(), seconds))
                .collect();
            let meant = prefixes.iter().map(|(prefix, seconds)| (*prefix, Duration::from_secs(*seconds)));
            let found = read(&encode(Header { has_addresses }, meant));
            let in_units = |seconds: u64| seconds.div_ceil(8).min(8191) * 8;
            let expected = Read {
                flags: if has_addresses { 0xc0 } else { 0x40 },
                router_lifetime: 1800,
                unspecified: true,
                prefixes: prefixes.iter().map(|(prefix, seconds)| (*prefix, in_units(*seconds))).collect(),
            };
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_octets_are_read_to_their_end(hop_limit: u8, octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let whole = octets.len() >= 8 && octets[..2] == [133, 0] && hop_limit == 255;
            prop_assert!(!is_solicitation(hop_limit, &octets) || whole);
        }

        #[test]
        fn a_solicitation_with_any_options_is_known(units in prop::collection::vec(1..=4_u8, 0..4), filling: u8) {
            let mut octets = vec![133, 0, filling, filling, filling, filling, filling, filling];
            for unit in units {
                octets.extend([filling, unit]);
                octets.extend(vec![filling; usize::from(unit) * 8 - 2]);
            }
            prop_assert!(is_solicitation(255, &octets));
        }
    }
}
