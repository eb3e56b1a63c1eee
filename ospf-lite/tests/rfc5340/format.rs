//! Appendix A.4: how LSAs are written.

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{
    InterAreaPrefixLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, Prefix, PrefixOptions, SequenceNumber,
};
use ospf_lite::wire::lsa;
use ospf_testnet::key;

fn inter(prefix: &str, options: u8) -> Lsa {
    let prefix = Prefix { net: prefix.parse().unwrap(), options: PrefixOptions::from_bits(options) };
    let body = LsaBody::InterAreaPrefix(InterAreaPrefixLsa { metric: 1, prefix });
    Lsa::originate(key(LsType::INTER_AREA_PREFIX, 1, 9), SequenceNumber::INITIAL, 0, body)
}

/// The LSA with other octets and the checksum that they have.
fn with_octets(lsa: &Lsa, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut octets = lsa.octets().to_vec();
    change(&mut octets);
    octets[16..18].copy_from_slice(&[0, 0]);
    let sum = ospf_lite::wire::checksum::fletcher(&octets[2..], 14);
    octets[16..18].copy_from_slice(&sum.to_be_bytes());
    octets
}

#[test]
fn sa_4_1_prefix_has_as_many_words_as_its_length_needs() {
    for (prefix, words) in
        [("::/0", 0), ("fd00::/8", 1), ("fd00::/32", 1), ("fd00::/33", 2), ("fd00::1/128", 4)]
    {
        let lsa = inter(prefix, 0);
        assert_eq!(lsa.octets().len(), 20 + 4 + 4 + words * 4, "{prefix}");
        assert_eq!(lsa::decode(lsa.octets(), Family::Ipv6).unwrap().body(), lsa.body());
    }
}

#[test]
fn sa_4_1_prefix_longer_than_an_address_is_refused() {
    let octets = with_octets(&inter("fd00::1/128", 0), |octets| octets[24] = 129);
    assert!(lsa::decode(&octets, Family::Ipv6).is_err());
}

#[test]
fn sa_4_1_prefix_whose_bits_behind_its_length_are_set_is_taken_without_them() {
    let octets = with_octets(&inter("fd00:1::/33", 0), |octets| octets[35] = 0xff);
    let LsaBody::InterAreaPrefix(body) = lsa::decode(&octets, Family::Ipv6).unwrap().body() else { panic!() };
    assert_eq!(body.prefix.net, "fd00:1::/33".parse().unwrap());
}

#[test]
fn sa_4_1_1_unknown_prefix_options_are_kept_and_do_not_matter() {
    let lsa = inter("fd00:1::/64", 0xe4);
    let LsaBody::InterAreaPrefix(body) = lsa::decode(lsa.octets(), Family::Ipv6).unwrap().body() else {
        panic!()
    };
    assert_eq!(body.prefix.options.bits(), 0xe4);
    assert!(!body.prefix.options.contains(PrefixOptions::NU));
}

#[test]
fn sa_4_10_count_of_prefixes_beyond_what_is_there_is_refused() {
    let prefix = Prefix { net: "fd00:1::/64".parse().unwrap(), options: PrefixOptions::default() };
    let referenced = key(LsType::ROUTER, 0, 9);
    let body = LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes: vec![(prefix, 5)] });
    let lsa = Lsa::originate(key(LsType::INTRA_AREA_PREFIX, 1, 9), SequenceNumber::INITIAL, 0, body);
    for count in [0, 2] {
        let octets = with_octets(&lsa, |octets| octets[21] = count);
        assert!(lsa::decode(&octets, Family::Ipv6).is_err(), "{count}");
    }
}
