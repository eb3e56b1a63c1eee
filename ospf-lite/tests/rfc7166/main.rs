//! The authentication trailer against RFC 7166: digests worked out elsewhere, and everything that must be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod conversation;

use std::net::Ipv6Addr;

use ospf_lite::config::{AuthenticationKey, HmacAlgorithm, SecurityAssociation};
use ospf_lite::ospf::packet::PacketKind;
use ospf_lite::wire::auth::{AuthError, Verified, sign, verify};
use proptest::prelude::*;

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// A Hello with AT-bit.
const HELLO: &str = "030100280000000100000000000000000000000501000513000a0028000000000000000000000002";

fn octets(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn association(id: u16, algorithm: HmacAlgorithm, key: &[u8]) -> SecurityAssociation {
    SecurityAssociation { id, algorithm, key: AuthenticationKey::new(key) }
}

fn sha256() -> SecurityAssociation {
    association(1, HmacAlgorithm::Sha256, b"secret")
}

/// The digests are those of Python's standard library:
///
/// ```text
/// trailer = struct.pack('>HHHHQ', 1, 16 + L, 0, 1, sequence)
/// apad = source + bytes.fromhex('878fe1f3') * ((L - 16) // 4)
/// hmac.new(key + b'\x00\x01', packet + trailer + apad, algorithm)
/// ```
#[test]
fn s4_5_digest_is_that_of_another_implementation() {
    let cases: [(HmacAlgorithm, u64, Vec<u8>, &str); 6] = [
        (HmacAlgorithm::Sha1, 1, b"secret".to_vec(), "8c4fcfbeb9595e0a3de2eff860cd62c27b263a05"),
        (
            HmacAlgorithm::Sha256,
            0x2_0000_0003,
            b"secret".to_vec(),
            "83be2323854843f0e5d1b3be961830baf25d38980456a87a37d584c82d0dd96f",
        ),
        (
            HmacAlgorithm::Sha384,
            1,
            b"secret".to_vec(),
            "fc78897a68be60d9b9294aa470761a03e784a58a7f9aa6e8603196bdcd2e062612660d346ec1399157fa3ab46e80a589",
        ),
        (
            HmacAlgorithm::Sha512,
            1,
            b"secret".to_vec(),
            "487ffa77812f5a782df7be50c7183440515b55c5c3519e1d13c7111a92d7c43a\
             df9f4edfdcd0dbf10dbd1b6f3efc41c57efae6dda0edfc066b770e7176149f06",
        ),
        (
            HmacAlgorithm::Sha256,
            7,
            vec![b'k'; 100],
            "be33f4d38f734f466e658592a69eb3d940ecd2a3602034ef426f212cf4130f3d",
        ),
        (
            HmacAlgorithm::Sha256,
            7,
            vec![b'k'; 40],
            "ff88e77debfd046f9cc036c70d8b1cae14c39cf9a74dac7efa1fd71251d072d2",
        ),
    ];
    for (algorithm, sequence, key, digest) in cases {
        let sa = association(1, algorithm, &key);
        let packet = octets(HELLO);
        let signed = sign(packet.clone(), &sa, sequence, SOURCE);
        assert_eq!(signed[..packet.len()], packet);
        assert_eq!(signed[packet.len() + 16..], octets(digest), "{algorithm:?}");
        let verified = verify(&signed, &[sa], SOURCE).unwrap();
        let wanted = Verified { packet: &packet, kind: PacketKind::Hello, sa_id: 1, sequence };
        assert_eq!(verified, wanted);
    }
}

/// RFC 7166 section 4.1.
#[test]
fn s4_1_format_has_type_length_association_and_sequence_number_in_their_places() {
    let signed =
        sign(octets(HELLO), &association(0x0203, HmacAlgorithm::Sha256, b"x"), 0x1122_3344_5566_7788, SOURCE);
    assert_eq!(signed[40..56], octets("00010030000002031122334455667788"));
    assert_eq!(signed.len(), 40 + 48);
}

/// RFC 7166 section 4.1: the digest, which covers the Reserved field, is that of Python's standard library for this value.
#[test]
fn s4_1_reserved_of_any_value_is_ignored_when_the_digest_is_right() {
    let trailer = octets("00010030123400010000000000000001");
    let digest = octets("88f722fc0ae290903bd0f42052b33508516a0dfb549d90591d6d73a8650dbce0");
    let packet = [octets(HELLO), trailer, digest].concat();
    let verified = verify(&packet, &[sha256()], SOURCE).unwrap();
    assert_eq!((verified.packet, verified.sequence), (&octets(HELLO)[..], 1));
}

/// RFC 7166 section 2.3.
#[test]
fn s2_3_source_of_another_is_refused() {
    let signed = sign(octets(HELLO), &sha256(), 1, SOURCE);
    let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    assert_eq!(verify(&signed, &[sha256()], other), Err(AuthError::WrongDigest(1)));
}

#[test]
fn s4_6_trailer_missing_is_refused() {
    assert_eq!(verify(&octets(HELLO), &[sha256()], SOURCE), Err(AuthError::Missing));
}

#[test]
fn s4_6_digest_of_another_key_is_refused() {
    let signed = sign(octets(HELLO), &association(1, HmacAlgorithm::Sha256, b"other"), 1, SOURCE);
    assert_eq!(verify(&signed, &[sha256()], SOURCE), Err(AuthError::WrongDigest(1)));
}

/// RFC 7166 section 4.4: the Cryptographic Protocol ID behind the key is in network order. The digest is that of Python's
/// standard library with `b'\x01\x00'` in its place, as FRR on a little-endian machine computes it.
#[test]
fn s4_4_protocol_id_in_the_wrong_octet_order_is_refused_by_its_name() {
    let trailer = octets("00010030000000010000000000000001");
    let digest = octets("62a92fcceebfd50dafb9a67c67767e08c6df6a0c45f2e1a691dc3a651ea6dc50");
    let packet = [octets(HELLO), trailer, digest].concat();
    assert_eq!(verify(&packet, &[sha256()], SOURCE), Err(AuthError::SwappedProtocolId(1)));
    // Hellos of FRR 8.4.4 as they went over a cable, from fe80::1:2: it hashes a secret longer than the digest.
    let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 2);
    for (secret, hello) in [
        (
            "captured",
            "030100240a6300020000000000000000000000030100041300010004000000000000000000010030\
             000000010000000000000001014a2173ede9220474eb24b5e8bd0bd9520fb491b2d8c47011f9dd9c4a6048c4",
        ),
        (
            "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=",
            "030100240a6300020000000000000000000000030100041300010004000000000000000000010030\
             0000000100000001000000018bc0f52f661468b4126651895b8ecb7d39437978e25aace0b607c5799299e0d4",
        ),
    ] {
        let theirs = association(1, HmacAlgorithm::Sha256, secret.as_bytes());
        assert_eq!(
            verify(&octets(hello), &[theirs], source),
            Err(AuthError::SwappedProtocolId(1)),
            "{secret}"
        );
    }
}

/// RFC 7166 section 3: the SA ID tells the key and the algorithm, not the digest's length.
#[test]
fn s3_association_is_found_by_its_id() {
    let next = association(2, HmacAlgorithm::Sha512, b"next");
    let signed = sign(octets(HELLO), &next, 1, SOURCE);
    assert_eq!(verify(&signed, &[sha256(), next], SOURCE).unwrap().sa_id, 2);
    assert_eq!(verify(&signed, &[sha256()], SOURCE), Err(AuthError::UnknownAssociation(2)));
    let same_id = association(2, HmacAlgorithm::Sha256, b"next");
    let refused = verify(&signed, &[same_id], SOURCE).unwrap_err();
    assert!(matches!(refused, AuthError::Malformed(_)), "{refused:?}");
}

#[test]
fn s4_1_type_of_another_kind_is_refused() {
    let mut signed = sign(octets(HELLO), &sha256(), 1, SOURCE);
    signed[41] = 2;
    assert_eq!(verify(&signed, &[sha256()], SOURCE), Err(AuthError::UnknownType(2)));
}

/// RFC 7166 section 4.6: the L-bit tells of a block between packet and trailer, which the digest covers.
#[test]
fn s4_6_signaling_block_is_passed_over() {
    let mut packet = octets(HELLO);
    packet[22] |= 0x02;
    let mut with_block = packet.clone();
    with_block.extend_from_slice(&octets("0000000300010004000000ff"));
    let signed = sign(with_block, &sha256(), 9, SOURCE);
    assert_eq!(verify(&signed, &[sha256()], SOURCE).unwrap().packet, packet);
    let mut changed = signed.clone();
    changed[51] ^= 1;
    assert_eq!(verify(&changed, &[sha256()], SOURCE), Err(AuthError::WrongDigest(1)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s4_6_digest_finds_one_wrong_bit(bit in any::<prop::sample::Index>()) {
        let mut signed = sign(octets(HELLO), &sha256(), 1, SOURCE);
        let bit = bit.index(signed.len() * 8);
        signed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(&signed, &[sha256()], SOURCE).is_err());
    }

    #[test]
    fn s4_6_trailer_cut_short_or_drawn_out_is_refused(
        cut in any::<prop::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let signed = sign(octets(HELLO), &sha256(), 1, SOURCE);
        prop_assert!(verify(&signed[..cut.index(signed.len())], &[sha256()], SOURCE).is_err());
        prop_assert!(verify(&[signed, more].concat(), &[sha256()], SOURCE).is_err());
    }

    #[test]
    fn s4_6_trailer_of_arbitrary_octets_is_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify(&octets, &[sha256()], SOURCE).is_err());
    }
}
