//! Octets worked out by hand from the standard's pictures. The checksums come from a program of its own: it tries all
//! 65,025 pairs of octets until both Fletcher sums of the plain definition are zero, and adds up 16-bit words.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ospf_lite::ids::{AreaId, Family, InstanceId, InterfaceId, LinkStateId, RouterId};
use ospf_lite::ospf::lsa::{
    GraceLsa, IntraAreaPrefixLsa, LinkLsa, LsType, Lsa, LsaBody, LsaKey, Prefix, PrefixOptions,
    RestartReason, RouterLink, RouterLinkKind, RouterLsa, SequenceNumber,
};
use ospf_lite::ospf::packet::{Hello, Options, Packet, PacketBody};
use ospf_lite::wire::packet::Protection;
use ospf_lite::wire::{lsa, packet};

use crate::PLAIN;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn key(ls_type: LsType, link_state_id: u32) -> LsaKey {
    LsaKey { ls_type, link_state_id: LinkStateId(link_state_id), advertising_router: RouterId(1) }
}

fn router_options() -> Options {
    Options::V6.with(Options::E).with(Options::R).with(Options::AF)
}

fn assert_lsa(hex: &str, family: Family, wanted: &Lsa) {
    let octets = octets(hex);
    assert_eq!(lsa::decode(&octets, family).as_ref(), Ok(wanted));
    assert_eq!(wanted.octets(), octets);
}

#[test]
fn router_lsa_with_one_link() {
    let body = LsaBody::Router(RouterLsa {
        border: false,
        external: true,
        virtual_endpoint: false,
        options: router_options(),
        links: vec![RouterLink {
            kind: RouterLinkKind::PointToPoint,
            metric: 10,
            interface_id: InterfaceId(5),
            neighbor_interface_id: InterfaceId(6),
            neighbor_router_id: RouterId(2),
        }],
    });
    let lsa = Lsa::originate(key(LsType::ROUTER, 0), SequenceNumber::INITIAL, 1, body);
    assert_lsa(
        "0001 2001 00000000 00000001 80000001 9d68 0028
         02 000113 01 00 000a 00000005 00000006 00000002",
        Family::Ipv6,
        &lsa,
    );
}

#[test]
fn intra_area_prefix_lsa_with_a_lan_and_a_loopback() {
    let body = LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa {
        referenced: key(LsType::ROUTER, 0),
        prefixes: vec![
            (Prefix { net: "fd79:2de7:db86::/48".parse().unwrap(), options: PrefixOptions::default() }, 10),
            (Prefix { net: "fd00:0:1:1::1/128".parse().unwrap(), options: PrefixOptions::LA }, 0),
        ],
    });
    let lsa = Lsa::originate(key(LsType::INTRA_AREA_PREFIX, 7), SequenceNumber(i32::MIN + 2), 3, body);
    assert_lsa(
        "0003 2009 00000007 00000001 80000002 e852 0040
         0002 2001 00000000 00000001
         30 00 000a fd792de7 db860000
         80 02 0000 fd000000 00010001 00000000 00000001",
        Family::Ipv6,
        &lsa,
    );
}

#[test]
fn link_lsa_of_the_ipv4_family() {
    let address = Ipv6Addr::from(u128::from(u32::from(Ipv4Addr::new(10, 0, 4, 9))) << 96);
    let body = LsaBody::Link(LinkLsa {
        priority: 1,
        options: router_options(),
        address,
        prefixes: vec![Prefix { net: "10.0.4.8/30".parse().unwrap(), options: PrefixOptions::default() }],
    });
    let lsa = Lsa::originate(key(LsType::LINK, 5), SequenceNumber(i32::MIN + 3), 0, body);
    assert_lsa(
        "0000 0008 00000005 00000001 80000003 8a4e 0034
         01 000113 0a000409 00000000 00000000 00000000
         00000001 1e 00 0000 0a000408",
        Family::Ipv4,
        &lsa,
    );
}

#[test]
fn hello_on_a_point_to_point_link() {
    let hello = Packet {
        router_id: RouterId(1),
        area_id: AreaId::BACKBONE,
        instance_id: InstanceId(0),
        body: PacketBody::Hello(Hello {
            interface_id: InterfaceId(5),
            priority: 1,
            options: router_options(),
            hello_interval: Duration::from_secs(10),
            dead_interval: Duration::from_secs(40),
            designated_router: RouterId(0),
            backup_designated_router: RouterId(0),
            neighbors: vec![RouterId(2)],
        }),
    };
    let octets = octets(
        "03 01 0028 00000001 00000000 fc7e 00 00
         00000005 01 000113 000a 0028 00000000 00000000 00000002",
    );
    assert_eq!(packet::encode(&hello, PLAIN), octets);
    assert_eq!(packet::decode(&octets, Family::Ipv6, PLAIN), Ok(hello));
}

/// Each case: octets, and what is said about them.
#[test]
fn refusals_name_the_field_and_what_would_be_right() {
    let cases = [
        ("02 01 0010 00000001 00000000 0000 00 00", "packet holds 2 as its version, which must be 3"),
        ("03 06 0010 00000001 00000000 0000 00 00", "packet holds 6 as its type, which must be 1 to 5"),
        (
            "03 05 0012 00000001 00000000 0000 00 00 0000",
            "packet holds 18 as its length, which must be a multiple of 4, at least 16",
        ),
        (
            "03 05 000c 00000001 00000000 0000 00 00",
            "packet holds 12 as its length, which must be a multiple of 4, at least 16",
        ),
        ("03 05 0024 00000001 00000000 0000 00 00", "packet has 16 octets, which must be 36"),
        ("03 05 0010 0000", "packet ends early: octet 4 starts a field of 4 octets, 2 are left"),
        (
            "03 01 0014 00000001 00000000 0000 00 00 00000005",
            "Hello ends early: octet 4 starts a field of 4 octets, 0 are left",
        ),
    ];
    for (hex, said) in cases {
        let error = packet::decode(&octets(hex), Family::Ipv6, Protection::Trailer).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
    let hello = octets("03 05 0010 00000001 00000000 1234 00 00");
    let error = packet::decode(&hello, Family::Ipv6, PLAIN).unwrap_err();
    assert_eq!(error.to_string(), "packet has the wrong checksum 0x1234");
}

/// Decodes an LSA of this type and body, whatever its checksum would be.
fn refusal(ls_type: u16, family: Family, body: &str) -> String {
    let body = octets(body);
    let mut lsa = octets("0000 0000 00000000 00000001 80000001 0000 0000");
    lsa[2..4].copy_from_slice(&ls_type.to_be_bytes());
    lsa.extend_from_slice(&body);
    let length = u16::try_from(lsa.len()).unwrap();
    lsa[18..20].copy_from_slice(&length.to_be_bytes());
    crate::with_checksum(&mut lsa);
    lsa::decode(&lsa, family).unwrap_err().to_string()
}

#[test]
fn lsa_refusals_name_the_field_and_what_would_be_right() {
    assert_eq!(
        refusal(0x2001, Family::Ipv6, "00000013 03000001 00000001 00000001 00000001"),
        "Router-LSA holds 3 as its link type, which must be 1, 2 or 4"
    );
    assert_eq!(
        refusal(0x2003, Family::Ipv6, "00000001 81000000 00000000 00000000 00000000 00000000 00000000"),
        "Inter-Area-Prefix-LSA holds 129 as its prefix length, which must be 0 to 128"
    );
    assert_eq!(
        refusal(0x2003, Family::Ipv4, "00000001 21000000 00000000 00000000"),
        "Inter-Area-Prefix-LSA holds 33 as its prefix length, which must be 0 to 32"
    );
    assert_eq!(
        refusal(0x2003, Family::Ipv6, "00000001 00000000 00000000"),
        "Inter-Area-Prefix-LSA has 12 octets, which must be 8"
    );
    assert_eq!(
        refusal(0x2009, Family::Ipv6, "00022001 00000000 00000001 00000000"),
        "Intra-Area-Prefix-LSA ends early: octet 16 starts a field of 1 octets, 0 are left"
    );
}

#[test]
fn a_grace_lsa_is_a_period_and_a_reason_padded_to_four_octets() {
    let mut octets = octets(
        "0000 000b 00000007 00000002 80000009 0000 0024
         0001 0004 00000078
         0002 0001 01000000",
    );
    crate::with_checksum(&mut octets);
    let grace = GraceLsa { period: 120, reason: RestartReason::SoftwareRestart };
    let lsa = lsa::decode(&octets, Family::Ipv4).unwrap();
    assert_eq!(lsa.body(), LsaBody::Grace(grace));
    let again = Lsa::originate(lsa.header().key, lsa.header().sequence, 0, LsaBody::Grace(grace));
    assert_eq!(again.octets(), octets);
}

#[test]
fn a_grace_lsa_without_period_or_reason_or_with_a_wrong_length_is_refused() {
    let said = |body| refusal(0x000b, Family::Ipv6, body);
    assert_eq!(
        said("0002 0001 01000000"),
        "Grace-LSA holds 0 as its count of grace periods, which must be 1"
    );
    assert_eq!(said("0001 0004 00000078"), "Grace-LSA holds 0 as its count of reasons, which must be 1");
    assert_eq!(
        said("0001 0003 00000078 0002 0001 01000000"),
        "Grace-LSA TLV ends early: octet 0 starts a field of 4 octets, 3 are left"
    );
    assert_eq!(said("0001 0004 00000078 0002 0002 01000000"), "Grace-LSA TLV has 2 octets, which must be 1");
    assert_eq!(
        said("0001 0004 00000078 0002 00ff 01000000"),
        "Grace-LSA ends early: octet 12 starts a field of 255 octets, 4 are left"
    );
}

#[test]
fn unknown_tlvs_of_a_grace_lsa_are_passed_over() {
    let mut octets = octets(
        "0000 000b 00000007 00000002 80000009 0000 0034
         0003 0004 c0000201
         0001 0004 00000078
         8001 0001 ff000000
         0002 0001 03000000",
    );
    crate::with_checksum(&mut octets);
    let lsa = lsa::decode(&octets, Family::Ipv6).unwrap();
    assert_eq!(
        lsa.body(),
        LsaBody::Grace(GraceLsa { period: 120, reason: RestartReason::RedundantProcessor })
    );
}

#[test]
fn host_bits_of_a_prefix_are_masked() {
    let mut octets = octets(
        "0000 2003 00000000 00000001 80000001 0000 0020
         00000001 08 00 0000 0a01ffff",
    );
    crate::with_checksum(&mut octets);
    let lsa = lsa::decode(&octets, Family::Ipv4).unwrap();
    let LsaBody::InterAreaPrefix(inter) = &lsa.body() else { panic!("{lsa:?}") };
    assert_eq!(inter.prefix.net, "10.0.0.0/8".parse().unwrap());
    assert_eq!(lsa.octets(), octets, "what is flooded on is what came");
}
