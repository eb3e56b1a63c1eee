//! Sections 4.5 and A.4.2.1: what the LS type says of handling and scope.

use ospf_lite::ids::InterfaceId;
use ospf_lite::ospf::lsa::{LsType, Scope};
use ospf_lite::ospf::lsdb::Domain;
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{Net, PRIVATE, STRANGE, foreign, key, seconds, update};

#[test]
fn s4_5_1_u_bit_lets_an_unknown_type_cross_and_without_it_stays_on_its_link() {
    let mut net = Net::line();
    net.inject_body((1, 1), update(vec![foreign(PRIVATE, 1, 0, 1), foreign(STRANGE, 1, 0, 1)]));
    net.run(seconds(2));
    let other = key(PRIVATE, 1, 99);
    assert!(net.lsa(1, other).is_some());
    net.inject_body((2, 1), update(vec![foreign(PRIVATE, 2, 0, 1), foreign(STRANGE, 2, 0, 1)]));
    net.run(seconds(2));
    assert!(net.lsa(2, key(PRIVATE, 2, 99)).is_some() && net.lsa(2, key(STRANGE, 2, 99)).is_some());
    assert!(net.lsa(3, key(PRIVATE, 2, 99)).is_some());
    assert!(net.lsa(3, key(STRANGE, 2, 99)).is_none());
}

#[test]
fn s4_5_2_link_scope_lsas_stay_on_their_link() {
    let net = Net::line();
    assert!(net.lsa(2, key(LsType::LINK, 1, 1)).is_some());
    assert!(net.lsa(3, key(LsType::LINK, 1, 1)).is_none());
}

#[test]
fn s4_5_1_reserved_scope_is_refused() {
    let mut net = Net::line();
    net.inject_body((1, 1), update(vec![foreign(LsType::from_bits(0xe001), 1, 0, 1)]));
    assert_eq!(net.refusals((1, 1), Refusal::LsaScope), 1);
}

#[test]
fn s4_5_1_u_bit_decides_for_as_scope_too() {
    for (bits, crosses) in [(0xdff0, true), (0x5ff0, false)] {
        let mut net = Net::line();
        let ls_type = LsType::from_bits(bits);
        net.inject_body((2, 1), update([foreign(ls_type, 1, 0, 1)]));
        net.run(seconds(5));
        assert_eq!(net.lsa(3, key(ls_type, 1, 99)).is_some(), crosses, "{bits:x}");
        let domain = net.engines[&2].database().find(|lsa| lsa.header.key.ls_type == ls_type).unwrap().domain;
        assert_eq!(domain, if crosses { Domain::As } else { Domain::Link(InterfaceId(1)) });
    }
}

#[test]
fn s4_5_2_link_scope_lsas_of_two_links_are_apart_though_their_keys_are_equal() {
    let mut net = Net::line();
    let ls_type = LsType::from_bits(0x9ff0);
    net.inject_body((2, 1), update([foreign(ls_type, 1, 5, 1)]));
    net.inject_body((2, 2), update([foreign(ls_type, 1, 2, 2)]));
    let found: Vec<(Domain, i32)> = net.engines[&2]
        .database()
        .filter(|lsa| lsa.header.key.ls_type == ls_type)
        .map(|lsa| (lsa.domain, lsa.header.sequence.0 - i32::MIN - 1))
        .collect();
    assert_eq!(found, [(Domain::Link(InterfaceId(1)), 5), (Domain::Link(InterfaceId(2)), 2)]);
}

#[test]
fn s4_5_2_known_types_are_flooded_in_their_scope() {
    let mut net = Net::line();
    let external = ospf_lite::ospf::lsa::LsaBody::AsExternal(ospf_lite::ospf::lsa::AsExternalLsa {
        type2: false,
        metric: 1,
        prefix: ospf_lite::ospf::lsa::Prefix {
            net: "2001:db8::/32".parse().unwrap(),
            options: ospf_lite::ospf::lsa::PrefixOptions::default(),
        },
        forwarding_address: None,
        tag: None,
        referenced: None,
    });
    let of = key(LsType::AS_EXTERNAL, 1, 99);
    let lsa =
        ospf_lite::ospf::lsa::Lsa::originate(of, ospf_lite::ospf::lsa::SequenceNumber::INITIAL, 1, external);
    net.inject_body((2, 1), update([lsa]));
    net.run(seconds(5));
    assert!(net.lsa(3, of).is_some());
}

#[test]
fn sa_4_2_1_scope_and_handling_are_the_high_bits_of_the_type() {
    let cases = [
        (0x0008, Scope::Link, false),
        (0x2001, Scope::Area, false),
        (0x4005, Scope::As, false),
        (0x6001, Scope::Reserved, false),
        (0x8008, Scope::Link, true),
        (0xa001, Scope::Area, true),
        (0xc005, Scope::As, true),
        (0xe001, Scope::Reserved, true),
    ];
    for (bits, scope, u_bit) in cases {
        let ls_type = LsType::from_bits(bits);
        assert_eq!((ls_type.scope(), ls_type.is_flooded_when_unknown()), (scope, u_bit), "{bits:x}");
    }
}
