//! Octets to packets and back: known vectors, properties over everything encodable, refusals, and a second opinion.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod arbitrary;
mod captures;
mod second_opinion;
mod vectors;

use std::net::Ipv6Addr;

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, SequenceNumber};
use ospf_lite::ospf::packet::{AgedLsa, LinkStateUpdate, Packet, PacketBody};
use ospf_lite::wire::packet::Protection;
use ospf_lite::wire::{DecodeError, checksum, lsa, packet};
use proptest::prelude::*;

pub const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub const PLAIN: Protection =
    Protection::Checksum { source: SOURCE, destination: ospf_lite::io::ALL_SPF_ROUTERS };

/// What an update says of its LSAs, and how many it refuses.
fn update_of(packet: &Packet) -> &LinkStateUpdate {
    match &packet.body {
        PacketBody::LinkStateUpdate(update) => update,
        other => panic!("expected a Link State Update, found {other:?}"),
    }
}

/// Puts the right checksum into octets with room for one, so that the decoder looks further.
fn with_checksum(octets: &mut [u8]) {
    octets[16..18].fill(0);
    let sum = checksum::fletcher(&octets[2..], 14);
    octets[16..18].copy_from_slice(&sum.to_be_bytes());
}

/// Whatever decodes stays the same through another round.
fn assert_stable(octets: &[u8], family: Family) {
    if let Ok(first) = packet::decode(octets, family, Protection::Trailer) {
        let again = packet::decode(&packet::encode(&first, PLAIN), family, PLAIN).unwrap();
        match (&first.body, &again.body) {
            (PacketBody::LinkStateUpdate(first), PacketBody::LinkStateUpdate(again)) => {
                assert!(again.refused.is_empty());
                assert_eq!(first.lsas.len(), again.lsas.len());
                for (first, again) in first.lsas.iter().zip(&again.lsas) {
                    assert_eq!(first.lsa.octets()[2..], again.lsa.octets()[2..]);
                    assert_eq!(first.lsa.body(), again.lsa.body());
                    assert_eq!(first.age, again.age);
                }
            }
            (first, again) => assert_eq!(first, again),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_survives_encoding_and_decoding((family, packet) in arbitrary::packet()) {
        for protection in [PLAIN, Protection::Trailer] {
            let octets = packet::encode(&packet, protection);
            prop_assert_eq!(packet::decode(&octets, family, protection), Ok(packet.clone()));
        }
    }

    #[test]
    fn an_lsa_survives_encoding_and_decoding((family, original) in arbitrary::lsa()) {
        let decoded = lsa::decode(original.octets(), family).unwrap();
        prop_assert_eq!(decoded.octets(), original.octets());
        prop_assert_eq!(decoded, original);
    }

    #[test]
    fn arbitrary_octets_are_decoded_or_refused(
        octets in proptest::collection::vec(any::<u8>(), 0..300),
        family in arbitrary::family(),
    ) {
        assert_stable(&octets, family);
        let _ = lsa::decode(&octets, family);
    }

    #[test]
    fn a_mutated_packet_is_decoded_or_refused(
        (family, packet) in arbitrary::packet(),
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut octets = packet::encode(&packet, Protection::Trailer);
        for (at, value) in &mutations {
            let at = at.index(octets.len());
            octets[at] = *value;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len()));
        }
        assert_stable(&octets, family);
    }

    #[test]
    fn a_mutated_lsa_with_the_right_checksum_is_decoded_or_refused(
        (family, lsa) in arbitrary::lsa(),
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut octets = lsa.octets().to_vec();
        for (at, value) in &mutations {
            let at = at.index(octets.len());
            octets[at] = *value;
        }
        let length = u16::try_from(octets.len()).unwrap();
        octets[18..20].copy_from_slice(&length.to_be_bytes());
        with_checksum(&mut octets);
        if let Ok(decoded) = lsa::decode(&octets, family) {
            let header = decoded.header();
            let again = Lsa::originate(header.key, header.sequence, header.age, decoded.body());
            prop_assert_eq!(lsa::decode(again.octets(), family).unwrap().body(), decoded.body());
        }
    }

    #[test]
    fn one_wrong_bit_in_an_lsa_is_found((family, lsa) in arbitrary::lsa(), bit in any::<prop::sample::Index>()) {
        let mut octets = lsa.octets().to_vec();
        let bit = 16 + bit.index(octets.len() * 8 - 16);
        octets[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(lsa::decode(&octets, family).is_err());
    }

    #[test]
    fn one_wrong_bit_in_a_packet_is_found((family, packet) in arbitrary::packet(), bit in any::<prop::sample::Index>()) {
        let mut octets = packet::encode(&packet, PLAIN);
        let bit = bit.index(octets.len() * 8);
        octets[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(packet::decode(&octets, family, PLAIN).is_err());
    }

    #[test]
    fn an_age_is_written_without_touching_the_rest((_, lsa) in arbitrary::lsa(), age in 0..=3600u16) {
        let aged = lsa.aged(age);
        prop_assert_eq!(aged.header().age, age);
        prop_assert_eq!(&aged.octets()[..2], age.to_be_bytes());
        prop_assert_eq!(&aged.octets()[2..], &lsa.octets()[2..]);
        prop_assert_eq!(aged.body(), lsa.body());
    }

    #[test]
    fn the_fletcher_sum_is_that_of_the_plain_definition(octets in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let (mut low, mut high) = (0, 0);
        for octet in &octets {
            low = (low + u32::from(*octet)) % 255;
            high = (high + low) % 255;
        }
        prop_assert_eq!(checksum::fletcher_is_right(&octets), low == 0 && high == 0);
        if octets.len() >= 20 {
            let mut octets = octets;
            with_checksum(&mut octets);
            prop_assert!(checksum::fletcher_is_right(&octets[2..]));
            prop_assert!(octets[16] != 0 && octets[17] != 0);
        }
    }
}

fn unknown(id: u32, octets: &[u8]) -> Lsa {
    let key = LsaKey {
        ls_type: LsType::from_bits(0xbff0),
        link_state_id: ospf_lite::ids::LinkStateId(id),
        advertising_router: ospf_lite::ids::RouterId(1),
    };
    Lsa::originate(key, SequenceNumber::INITIAL, 0, LsaBody::Unknown(octets.to_vec()))
}

fn update(lsas: Vec<Lsa>) -> Packet {
    let lsas = lsas.into_iter().map(AgedLsa::from).collect();
    Packet {
        router_id: ospf_lite::ids::RouterId(1),
        area_id: ospf_lite::ids::AreaId::BACKBONE,
        instance_id: Family::Ipv6.instance_id(),
        body: PacketBody::LinkStateUpdate(LinkStateUpdate { lsas, refused: Vec::new() }),
    }
}

#[test]
fn a_bad_lsa_does_not_spoil_the_others_of_its_update() {
    let lsas = vec![unknown(1, b"one "), unknown(2, b"two "), unknown(3, b"three   ")];
    let mut octets = packet::encode(&update(lsas.clone()), Protection::Trailer);
    let second = 16 + 4 + 24;
    octets[second + 20] ^= 0x01;
    let decoded = packet::decode(&octets, Family::Ipv6, Protection::Trailer).unwrap();
    let update = update_of(&decoded);
    let sound: Vec<&Lsa> = update.lsas.iter().map(|aged| aged.lsa.as_ref()).collect();
    assert_eq!(sound, [&lsas[0], &lsas[2]]);
    assert_eq!(update.refused.len(), 1);
    assert!(matches!(update.refused[0], DecodeError::Checksum { what: "LSA", .. }));
}

#[test]
fn lsas_before_one_without_a_usable_length_stand() {
    let lsas = vec![unknown(1, b"one "), unknown(2, b"two ")];
    let mut octets = packet::encode(&update(lsas.clone()), Protection::Trailer);
    let second = 16 + 4 + 24;
    octets[second + 18..second + 20].copy_from_slice(&12u16.to_be_bytes());
    let decoded = packet::decode(&octets, Family::Ipv6, Protection::Trailer).unwrap();
    assert_eq!(update_of(&decoded).lsas.len(), 1);
    assert_eq!(
        update_of(&decoded).refused[0].to_string(),
        "Link State Update holds 12 as its LSA length, which must be a multiple of 4, at least 20"
    );
}

#[test]
fn an_update_that_counts_wrong_keeps_what_is_sound() {
    for (count, kept) in [(3u32, 2), (1, 1)] {
        let mut octets = packet::encode(&update(vec![unknown(1, b""), unknown(2, b"")]), Protection::Trailer);
        octets[16..20].copy_from_slice(&count.to_be_bytes());
        let decoded = packet::decode(&octets, Family::Ipv6, Protection::Trailer).unwrap();
        assert_eq!(update_of(&decoded).lsas.len(), kept);
        assert_eq!(update_of(&decoded).refused.len(), 1);
    }
}

#[test]
fn an_unknown_body_is_filled_up_to_whole_words() {
    let lsa = unknown(1, b"{\"a\":1}");
    assert_eq!(lsa.body(), LsaBody::Unknown(b"{\"a\":1}\0".to_vec()));
    assert_eq!(lsa.header().length, 28);
}

#[test]
fn an_age_above_max_age_counts_as_max_age() {
    let mut octets = unknown(1, b"").octets().to_vec();
    octets[..2].copy_from_slice(&0x8001u16.to_be_bytes());
    assert_eq!(lsa::decode(&octets, Family::Ipv6).unwrap().header().age, 3600);
}

#[test]
fn what_follows_a_packet_is_left_alone() {
    let packet = update(vec![unknown(1, b"")]);
    let mut octets = packet::encode(&packet, PLAIN);
    octets.extend_from_slice(&[1, 2, 3, 4]);
    assert_eq!(packet::decode(&octets, Family::Ipv6, PLAIN), Ok(packet));
}
