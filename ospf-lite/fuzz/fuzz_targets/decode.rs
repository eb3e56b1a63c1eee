//! Arbitrary octets as packets, trailers and LSAs: they are decoded or refused, and what is decoded stays the same through
//! another round.
#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use ospf_lite::config::{AuthenticationKey, HmacAlgorithm, SecurityAssociation};
use ospf_lite::ids::Family;
use ospf_lite::io::ALL_SPF_ROUTERS;
use ospf_lite::ospf::lsa::Lsa;
use ospf_lite::ospf::packet::PacketBody;
use ospf_lite::wire::packet::{Protection, decode, encode};
use ospf_lite::wire::{auth, checksum, lsa};

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const PROTECTION: Protection = Protection::Checksum { source: SOURCE, destination: ALL_SPF_ROUTERS };

fuzz_target!(|octets: &[u8]| {
    let Some((first, octets)) = octets.split_first() else { return };
    let family = if first & 1 == 0 { Family::Ipv6 } else { Family::Ipv4 };
    if first & 2 == 0 {
        try_packet(octets, family)
    } else {
        try_lsa(octets, family)
    }
    try_trailer(octets);
});

fn try_packet(octets: &[u8], family: Family) {
    let Ok(first) = decode(octets, family, Protection::Trailer) else { return };
    let again = decode(&encode(&first, PROTECTION), family, PROTECTION).expect("own octets are right");
    match (&first.body, &again.body) {
        (PacketBody::LinkStateUpdate(first), PacketBody::LinkStateUpdate(again)) => {
            assert!(again.refused.is_empty());
            assert_eq!(first.lsas.len(), again.lsas.len());
            for (first, again) in first.lsas.iter().zip(&again.lsas) {
                assert_eq!(first.age, again.age);
                assert_eq!(first.lsa.body(), again.lsa.body());
                assert_eq!(first.lsa.octets()[2..], again.lsa.octets()[2..]);
            }
        }
        (first, again) => assert_eq!(first, again),
    }
}

/// An LSA with the right length and checksum, so that its body is looked at.
fn try_lsa(octets: &[u8], family: Family) {
    let mut octets = octets.to_vec();
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    let Some(field) = octets.get_mut(16..20) else { return };
    field.copy_from_slice(&[0, 0, length.to_be_bytes()[0], length.to_be_bytes()[1]]);
    let sum = checksum::fletcher(&octets[2..], 14);
    octets[16..18].copy_from_slice(&sum.to_be_bytes());
    let Ok(first) = lsa::decode(&octets, family) else { return };
    assert_eq!(first.octets(), octets);
    let header = first.header();
    let again = Lsa::originate(header.key, header.sequence, header.age, first.body());
    let again = lsa::decode(again.octets(), family).expect("own octets are right");
    assert_eq!(again.body(), first.body());
}

fn try_trailer(octets: &[u8]) {
    let sas = [
        (1, HmacAlgorithm::Sha1),
        (2, HmacAlgorithm::Sha256),
        (3, HmacAlgorithm::Sha384),
        (4, HmacAlgorithm::Sha512),
    ]
    .map(|(id, algorithm)| SecurityAssociation {
        id,
        algorithm,
        key: AuthenticationKey::new(*b"secret"),
    });
    assert!(auth::verify(octets, &sas, SOURCE).is_err(), "nobody guesses a digest");
}
