//! Router Advertisements as a host hears them (RFC 4861 section 4.2): the header, and the prefixes for IPv4 (RFC 8781).

use std::net::Ipv6Addr;

/// The octets of an Ethernet and an IPv6 header.
const ETHERNET: usize = 14;
const IPV6: usize = 40;
/// The octets of an advertisement before its options.
const HEADER: usize = 16;
const ADVERTISEMENT: u8 = 134;
const OPTION_PREFIX: u8 = 3;
const OPTION_PREF64: u8 = 38;

/// An advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertisement {
    /// Who sends it.
    pub source: Ipv6Addr,
    /// Flags and Router Lifetime.
    pub terms: [u8; 3],
    /// Whether it has prefixes that hosts make addresses of.
    pub has_prefixes: bool,
    /// The prefixes that stand for IPv4 addresses, with the seconds for which they hold.
    pub pref64: Vec<(Ipv6Addr, u16)>,
}

/// Reads a frame; nothing when it is no advertisement that a host would take (RFC 4861 section 6.1.2).
pub fn read(frame: &[u8]) -> Option<Advertisement> {
    let packet = frame.get(ETHERNET..)?;
    let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let source = Ipv6Addr::from(source);
    let message = packet.get(IPV6..)?;
    let is_one = packet.get(6..8)? == [58, 255] && message.starts_with(&[ADVERTISEMENT, 0]);
    let mut options = message.get(HEADER..).filter(|_| is_one && source.is_unicast_link_local())?;
    let terms = message.get(5..8)?.try_into().ok()?;
    let mut found = Advertisement { source, terms, has_prefixes: false, pref64: Vec::new() };
    while let [kind, units, ..] = options {
        let length = usize::from(*units) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty())?;
        found.has_prefixes |= *kind == OPTION_PREFIX;
        if *kind == OPTION_PREF64 {
            // The length's code is zero for 96 bits.
            let lifetime = u16::from_be_bytes(option.get(2..4)?.try_into().ok()?);
            let mut prefix = [0; 16];
            prefix.get_mut(..12)?.copy_from_slice(option.get(4..16).filter(|_| lifetime & 7 == 0)?);
            found.pref64.push((prefix.into(), lifetime));
        }
        options = options.get(length..)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(hop_limit: u8, options: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET + IPV6];
        frame[ETHERNET + 6] = 58;
        frame[ETHERNET + 7] = hop_limit;
        frame[ETHERNET + 8..ETHERNET + 10].copy_from_slice(&[0xfe, 0x80]);
        frame.extend([134, 0, 0, 0, 64, 0xc0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend(options);
        frame
    }

    #[test]
    fn the_prefix_for_ipv4_is_read_behind_other_options() {
        let pref64 = [38, 2, 7, 8, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
        let found = read(&frame(255, &[&[5, 1, 0, 0, 0, 0, 5, 0xdc], &pref64[..]].concat())).unwrap();
        assert_eq!(found.pref64, [("64:ff9b::".parse().unwrap(), 1800)]);
        assert_eq!(found.terms, [0xc0, 7, 8]);
        assert!(!found.has_prefixes);
    }

    #[test]
    fn what_no_host_would_take_is_none() {
        assert_eq!(read(&frame(64, &[])), None);
        assert_eq!(read(&frame(255, &[38, 0, 0, 0, 0, 0, 0, 0])), None);
        assert_eq!(read(&frame(255, &[])[..60]), None);
    }
}
