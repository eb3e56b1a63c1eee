//! The mesh's arithmetic: known examples, and no two things with one number.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::collections::BTreeSet;

use dlan_agent::addressing::{
    self, LOOPBACK_INTERFACE_ID, Pair, lan_interface_id, link_device, link_interface_id, link_local,
    link_mac, loopback, pool_prefix_len_needed_ipv4, pool_prefix_len_needed_ipv6, usable_ipv4, usable_ipv6,
    wireguard,
};
use dlan_agent::config::{HOST_ID_LIMIT, HostId, MeshConfig, Source, parse};
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;

fn mesh(host_id: u16, options: &str) -> MeshConfig {
    let text =
        format!("config mesh\n option host_id {host_id}\n{options}\nconfig wan\n option device eth0\n");
    let loaded = parse(Source { file: "dlan", text: &text, hostname: "r" });
    loaded.unwrap_or_else(|errors| panic!("{errors}")).config.mesh
}

#[test]
fn loopback_and_wireguard_addresses_are_the_predecessor_s() {
    for (host, loopback_ipv4, loopback_ipv6, wg_ipv4, wg_ipv6) in [
        (1, "10.1.1.1", "fd00:0:1:1::1", "10.1.0.1", "fd00:0:1::1"),
        (2, "10.1.1.2", "fd00:0:1:1::2", "10.1.0.2", "fd00:0:1::2"),
        (10, "10.1.1.10", "fd00:0:1:1::a", "10.1.0.10", "fd00:0:1::a"),
        (254, "10.1.1.254", "fd00:0:1:1::fe", "10.1.0.254", "fd00:0:1::fe"),
    ] {
        let mesh = mesh(host, "");
        let own = loopback(&mesh, mesh.host_id).unwrap();
        assert_eq!(
            (own.ipv4.to_string(), own.ipv6.to_string()),
            (loopback_ipv4.into(), loopback_ipv6.into())
        );
        let own = wireguard(&mesh, mesh.host_id).unwrap();
        assert_eq!((own.ipv4.to_string(), own.ipv6.to_string()), (wg_ipv4.into(), wg_ipv6.into()));
        let prefixes = own.host_prefixes().map(|prefix| prefix.to_string());
        assert_eq!(prefixes, [format!("{wg_ipv4}/32"), format!("{wg_ipv6}/128")]);
    }
}

#[test]
fn links_are_numbered_as_the_predecessor_numbers_them() {
    for (own, neighbor, pair, ipv4, neighbor_ipv4) in [
        (1, 2, 258, "10.0.4.9/30", "10.0.4.10"),
        (2, 1, 258, "10.0.4.10/30", "10.0.4.9"),
        (2, 3, 515, "10.0.8.13/30", "10.0.8.14"),
        (3, 2, 515, "10.0.8.14/30", "10.0.8.13"),
        (63, 254, 16382, "10.0.255.249/30", "10.0.255.250"),
    ] {
        let link = addressing::link(&mesh(own, ""), HostId(neighbor)).unwrap();
        assert_eq!((link.pair.id(), link.vni.get()), (pair, pair));
        assert_eq!(link.ipv4.unwrap().to_string(), ipv4);
        assert_eq!(link.neighbor_ipv4.unwrap().to_string(), neighbor_ipv4);
        assert_eq!(link.device.as_str(), format!("dlan-vx{neighbor}"));
    }
}

#[test]
fn a_link_has_its_own_mac_and_link_local_address_at_each_end() {
    let near = addressing::link(&mesh(1, ""), HostId(200)).unwrap();
    let far = addressing::link(&mesh(200, ""), HostId(1)).unwrap();
    assert_eq!(far.mac.to_string(), "02:d1:00:c8:00:01");
    assert_eq!((far.link_local, far.neighbor_link_local), (near.neighbor_link_local, near.link_local));
    assert_eq!(
        (far.vni, far.underlay, far.neighbor_ipv4),
        (near.vni, near.neighbor_underlay, near.ipv4.map(|net| net.addr()))
    );
    assert_eq!(near.mac.to_string(), "02:d1:00:01:00:c8");
    assert_eq!(near.link_local.to_string(), "fe80::1:c8");
    assert_eq!(near.neighbor_link_local.to_string(), "fe80::c8:1");
}

#[test]
fn links_without_a_pool_have_no_ipv4_addresses() {
    let link = addressing::link(&mesh(1, " option link_pool_ipv4 none"), HostId(2)).unwrap();
    assert_eq!((link.ipv4, link.neighbor_ipv4), (None, None));
}

#[test]
fn the_default_link_pool_ends_where_the_lower_host_id_is_64() {
    let pool: Ipv4Net = "10.0.0.0/16".parse().unwrap();
    let subnet = |one, other| Pair::new(256, HostId(one), HostId(other)).unwrap().subnet(pool);
    assert!(subnet(63, 255).is_ok());
    let error = subnet(65, 64).unwrap_err().to_string();
    assert_eq!(error, "the link between host ids 64 and 65 has no /30 in 10.0.0.0/16");
    assert_eq!(Pair::new(256, HostId(64), HostId(65)).unwrap().pool_prefix_len_needed(), 15);
    assert_eq!(Pair::new(256, HostId(63), HostId(255)).unwrap().pool_prefix_len_needed(), 16);
}

#[test]
fn a_router_makes_no_link_with_itself_nor_past_the_last_host_id() {
    for (one, other) in [(1, 1), (0, 1), (1, 0), (1, 257), (257, 1)] {
        assert!(Pair::new(256, HostId(one), HostId(other)).is_err(), "{one} {other}");
    }
}

#[test]
fn router_ids_are_host_ids() {
    assert_eq!(addressing::router_id(HostId(258)).to_string(), "0.0.1.2");
    assert_eq!(addressing::host_id(addressing::router_id(HostId(258))), Some(HostId(258)));
    assert_eq!(addressing::host_id(ospf_lite::ids::RouterId(0)), None);
    assert_eq!(addressing::host_id(ospf_lite::ids::RouterId(0x0a00_0001)), None);
}

#[test]
fn no_two_pairs_of_a_mesh_share_a_number_or_a_name() {
    let max_hosts = 300;
    let pool: Ipv4Net = "10.0.0.0/8".parse().unwrap();
    let (mut vnis, mut subnets, mut macs, mut locals) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let hosts = || (1..=max_hosts).map(HostId);
    for (own, neighbor) in hosts().flat_map(|own| hosts().map(move |neighbor| (own, neighbor))) {
        let Ok(pair) = Pair::new(max_hosts, own, neighbor) else { continue };
        assert!(macs.insert(link_mac(own, neighbor)) && locals.insert(link_local(own, neighbor)));
        assert_eq!(Pair::new(max_hosts, neighbor, own).unwrap(), pair);
        if own < neighbor {
            assert!(vnis.insert(pair.vni().unwrap()) && subnets.insert(pair.subnet(pool).unwrap()));
        }
    }
    assert_eq!(vnis.len(), 300 * 299 / 2);
}

#[test]
fn interface_ids_of_links_loopback_and_lans_never_meet() {
    let text = "config mesh\n option host_id 1\nconfig wan\n option device eth0\nconfig link r2\n option host_id 2\n \
                option public_key 'BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ='\n";
    let loaded = parse(Source { file: "dlan", text, hostname: "r" }).unwrap();
    let mut link = loaded.config.links[0].clone();
    let mut number = |host_id, interface_id| {
        (link.host_id, link.interface_id) = (HostId(host_id), interface_id);
        link_interface_id(&link)
    };
    let written = number(2, Some(u16::MAX));
    let links: Vec<_> = (1..=HOST_ID_LIMIT).map(|host| number(host, None)).collect();
    let lans = (0..1000).map(lan_interface_id);
    let all: BTreeSet<_> = links.into_iter().chain(lans).chain([LOOPBACK_INTERFACE_ID, written]).collect();
    assert_eq!(all.len(), usize::from(HOST_ID_LIMIT) + 1000 + 2);
    assert!(all.iter().all(|id| id.0 != 0));
}

#[test]
fn every_host_id_has_a_device_name_the_kernel_accepts() {
    assert!((1..=HOST_ID_LIMIT).all(|host| link_device(HostId(host)).is_some()));
}

proptest! {
    #[test]
    fn every_pair_has_a_vni(max_hosts in 2..=HOST_ID_LIMIT, one: u16, other: u16) {
        let (one, other) = (HostId(one % max_hosts + 1), HostId(other % max_hosts + 1));
        prop_assume!(one != other);
        let pair = Pair::new(max_hosts, one, other).unwrap();
        prop_assert_eq!(pair.vni().map(|vni| vni.get()), Some(pair.id()));
    }

    #[test]
    fn a_pool_of_the_length_needed_is_large_enough_and_no_longer_one_is(host in 1..=HOST_ID_LIMIT) {
        let host = HostId(host);
        let needed = pool_prefix_len_needed_ipv4(host);
        let pool = |length| Ipv4Net::new("10.0.0.0".parse().unwrap(), length).unwrap();
        prop_assert!(usable_ipv4(pool(needed), host).is_some());
        prop_assert!(usable_ipv4(pool(needed + 1), host).is_none());
        let needed = pool_prefix_len_needed_ipv6(host);
        let pool = |length| Ipv6Net::new("fd00::".parse().unwrap(), length).unwrap();
        prop_assert!(usable_ipv6(pool(needed), host).is_some());
        prop_assert!(usable_ipv6(pool(needed + 1), host).is_none());
    }

    #[test]
    fn a_usable_address_lies_inside_its_pool(address: u32, length in 0_u8..=32, host: u16) {
        let pool = Ipv4Net::new(address.into(), length).unwrap();
        if let Some(address) = usable_ipv4(pool, HostId(host)) {
            prop_assert!(pool.contains(&address));
            prop_assert!(address != pool.network() && address != pool.broadcast());
        }
    }

    #[test]
    fn a_link_subnet_lies_inside_its_pool(length in 0_u8..=32, one in 1_u16..=256, other in 1_u16..=256) {
        prop_assume!(one != other);
        let pool = Ipv4Net::new("10.0.0.0".parse().unwrap(), length).unwrap();
        let pair = Pair::new(256, HostId(one), HostId(other)).unwrap();
        match pair.subnet(pool) {
            Ok(subnet) => prop_assert!(pool.contains(&subnet) && length <= pair.pool_prefix_len_needed()),
            Err(_) => prop_assert!(length > pair.pool_prefix_len_needed()),
        }
    }
}
