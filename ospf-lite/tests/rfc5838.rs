//! RFC 5838, address families in OSPFv3: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::net::Ipv6Addr;

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{LsType, LsaBody};
use ospf_lite::ospf::packet::{Options, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{Net, altered, key};

#[test]
fn s2_4_af_bit_is_required_in_the_ipv4_family_only() {
    for (family, expected) in [(Family::Ipv4, 1), (Family::Ipv6, 0)] {
        let octets = altered(family, |packet| match &mut packet.body {
            PacketBody::Hello(hello) => hello.options = hello.options.without(Options::AF),
            other => panic!("{other:?}"),
        });
        assert_eq!(Net::refusals_of(family, octets, Refusal::AddressFamily), expected, "{family}");
    }
}

#[test]
fn s2_2_af_bit_is_set_everywhere_and_the_v6_bit_in_the_ipv6_family() {
    for family in [Family::Ipv6, Family::Ipv4] {
        let net = Net::pair(family);
        let options = net.router_lsa(1, 1).options;
        assert!(options.contains(Options::AF));
        assert_eq!(options.contains(Options::V6), family == Family::Ipv6);
    }
}

#[test]
fn s2_5_link_lsa_holds_the_ipv4_address_in_its_first_octets() {
    let net = Net::pair(Family::Ipv4);
    let (_, lsa) = net.lsa(2, key(LsType::LINK, 1, 1)).unwrap();
    let LsaBody::Link(link) = lsa.body else { panic!("{lsa:?}") };
    assert_eq!(link.address, Ipv6Addr::from([192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
}
