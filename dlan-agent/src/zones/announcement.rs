//! What a dlan router tells the mesh of the zones of its LANs, in an LSA of its own; nothing where all are `internal`.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ospf_lite::io::PrivateContent;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody};

use crate::config::kind::Kind;
use crate::config::zone::{INTERNAL, zone_name};

/// LS type of the zones: area scope, U-bit set so that strangers pass it on, a function code of the experimentation range
/// (RFC 4940 section 2).
pub const ZONES: LsType = LsType::from_bits(0xbff2);

/// How many prefixes one LSA names: with the longest names that is less than 1,080 octets.
const PART_PREFIXES: usize = 20;

/// Returns the content to originate for this router's LAN prefixes: JSON, the prefixes by their zones; what is not named is
/// `internal`.
pub fn encode(own: &BTreeMap<IpNet, String>) -> PrivateContent {
    let mut zones: BTreeMap<&String, Vec<IpNet>> = BTreeMap::new();
    for (prefix, zone) in own.iter().filter(|(_, zone)| *zone != INTERNAL) {
        zones.entry(zone).or_default().push(*prefix);
    }
    let parts = zones.into_iter().flat_map(|(zone, prefixes)| {
        let part = |prefixes: &[IpNet]| {
            // Names and prefixes only: there is nothing in it that JSON could refuse.
            let mut octets = serde_json::to_vec(&BTreeMap::from([(zone, prefixes)])).unwrap_or_default();
            // LSA bodies are whole 32-bit words.
            octets.resize(octets.len().next_multiple_of(4), 0);
            octets
        };
        prefixes.chunks(PART_PREFIXES).map(part).collect::<Vec<_>>()
    });
    PrivateContent { ls_type: ZONES, parts: parts.collect() }
}

/// Reads the zones from an LSA; nothing when it is another LSA, or not what a dlan router writes.
pub fn decode(lsa: &Lsa) -> Option<BTreeMap<String, BTreeSet<IpNet>>> {
    match lsa.body() {
        LsaBody::Unknown(octets) if lsa.header().key.ls_type == ZONES => from_octets(&octets),
        _ => None,
    }
}

/// Reads the zones from an LSA's content, padding included. What is no name of a zone, and so could be anything to a
/// firewall, refuses the whole.
pub fn from_octets(octets: &[u8]) -> Option<BTreeMap<String, BTreeSet<IpNet>>> {
    let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let zones: BTreeMap<String, BTreeSet<IpNet>> = serde_json::from_slice(octets.get(..end)?).ok()?;
    zones.keys().all(|zone| zone_name(zone, Kind::Zone).is_ok()).then_some(zones)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(lans: &[(&str, &str)]) -> BTreeMap<IpNet, String> {
        lans.iter().map(|(prefix, zone)| (prefix.parse().unwrap(), (*zone).to_owned())).collect()
    }

    #[test]
    fn what_is_told_is_read_and_internal_is_not_told() {
        let content = encode(&own(&[
            ("10.2.1.0/24", INTERNAL),
            ("10.2.9.0/24", "isolated"),
            ("fd79:9::/64", "isolated"),
            ("10.2.8.0/24", "cameras"),
        ]));
        let read: Vec<_> = content.parts.iter().map(|part| from_octets(part).unwrap()).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0]["cameras"], BTreeSet::from(["10.2.8.0/24".parse().unwrap()]));
        assert_eq!(read[1]["isolated"].len(), 2);
        assert!(content.parts.iter().all(|part| part.len().is_multiple_of(4)));
        assert!(encode(&own(&[("10.2.1.0/24", INTERNAL)])).parts.is_empty());
    }

    #[test]
    fn many_prefixes_are_told_in_several_lsas() {
        let lans: Vec<String> =
            (0..50).map(|n| format!("fd79:2de7:db86:{n}:abcd:abcd:abcd:ab00/120")).collect();
        let lans: Vec<(&str, &str)> = lans.iter().map(|lan| (lan.as_str(), "abcdefghijklmno")).collect();
        let content = encode(&own(&lans));
        assert_eq!(content.parts.len(), 3);
        assert!(content.parts.iter().all(|part| part.len() <= 1080), "{:?}", content.parts[0].len());
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for name in ["", "@inside4", "a b", "x\\\"}", "abcdefghijklmnop"] {
            assert_eq!(from_octets(format!("{{\"{name}\":[\"10.2.9.0/24\"]}}").as_bytes()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = from_octets(&octets);
        }
    }
}
