//! Claims about differences between links, over arbitrary ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)] // a test may fail loudly

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;
use vxlan::change::LinkChange;
use vxlan::diff::diff;
use vxlan::link::{Link, LinkKind, LinkName};
use vxlan::vtep::{MacAddress, VXLAN_PORT, Vni, VxlanLink};
use vxlan::wireguard::{Peer, PresharedKey, PrivateKey, PublicKey, WireGuardLink};

type Links = BTreeMap<LinkName, Link>;

proptest! {
    #[test]
    fn applied_changes_lead_to_what_is_wanted_and_their_inverses_back(observed in links(), desired in links()) {
        let changes = diff(&observed, &desired);
        let mut model = observed.clone();
        for change in &changes {
            change.apply_to(&mut model);
        }
        prop_assert_eq!(without_endpoints(&model), without_endpoints(&desired));
        prop_assert_eq!(diff(&model, &desired), vec![]);
        for change in changes.iter().rev() {
            change.inverse().apply_to(&mut model);
        }
        prop_assert_eq!(model, observed);
    }

    #[test]
    fn nothing_differs_from_itself(links in links()) {
        prop_assert_eq!(diff(&links, &links), vec![]);
    }

    #[test]
    fn what_is_equal_is_not_touched(observed in links(), desired in links()) {
        for change in diff(&observed, &desired) {
            if let LinkChange::Alter { from, to } = change {
                prop_assert_ne!(from, to);
            }
        }
    }

    #[test]
    fn devices_are_made_from_the_bottom_up_and_removed_from_the_top_down(observed in links(), desired in links()) {
        let changes = diff(&observed, &desired);
        let order: Vec<_> = changes.iter().map(|change| match change {
            LinkChange::Remove(link) => if link.vxlan().is_some() { 0 } else { 1 },
            LinkChange::Alter { .. } | LinkChange::SetEndpoint { .. } => 2,
            LinkChange::Create(link) => if link.vxlan().is_some() { 4 } else { 3 },
        }).collect();
        prop_assert!(order.is_sorted(), "{:?}", order);
    }

    #[test]
    fn peer_seen_elsewhere_is_no_difference(links in links(), elsewhere in endpoint()) {
        let mut seen = links.clone();
        for_each_peer(&mut seen, |peer| peer.endpoint = Some(elsewhere));
        prop_assert_eq!(diff(&seen, &links), vec![]);
    }
}

#[test]
fn wanted_endpoint_counts_where_the_device_knows_none() {
    let desired = table([wireguard([(1, peer(Some("192.0.2.1:1")))])]);
    let seen = table([wireguard([(1, peer(None))])]);
    let changes = diff(&seen, &desired);
    assert!(matches!(&changes[..], [LinkChange::Alter { to, .. }] if **to == desired[&to.name]));
}

#[test]
fn change_of_a_peer_keeps_where_it_was_seen() {
    let seen = table([wireguard([(1, peer(Some("192.0.2.9:9")))])]);
    let mut desired = table([wireguard([(1, peer(Some("192.0.2.1:1")))])]);
    for_each_peer(&mut desired, |peer| peer.keepalive = Some(7));
    let changes = diff(&seen, &desired);
    let [LinkChange::Alter { to, .. }] = &changes[..] else { panic!("{changes:?}") };
    let peer = to.wireguard().unwrap().peers.values().next().unwrap();
    assert_eq!((peer.keepalive, peer.endpoint), (Some(7), Some("192.0.2.9:9".parse().unwrap())));
}

#[test]
fn any_port_is_the_one_it_has() {
    let seen = table([wireguard([])]);
    let mut desired = seen.clone();
    for link in desired.values_mut() {
        let LinkKind::WireGuard(wireguard) = &mut link.kind else { panic!() };
        wireguard.listen_port = 0;
    }
    assert_eq!(diff(&seen, &desired), vec![]);
}

#[test]
fn device_below_grows_first_and_shrinks_last() {
    let small = table([wireguard([]), vxlan(4, 258)]);
    let mut large = small.clone();
    large.values_mut().for_each(|link| link.mtu += 20);
    let order = |from, to| {
        let names = diff(from, to).into_iter().map(|change| change.device().to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(order(&small, &large), ["dlan-wg", "dlan-vx4"]);
    assert_eq!(order(&large, &small), ["dlan-vx4", "dlan-wg"]);
}

#[test]
fn another_vni_takes_a_new_device_and_another_remote_does_not() {
    let seen = table([wireguard([]), vxlan(4, 258)]);
    let changes = diff(&seen, &table([wireguard([]), vxlan(4, 259)]));
    assert!(matches!(&changes[..], [LinkChange::Remove(_), LinkChange::Create(_)]), "{changes:?}");

    let mut moved = vxlan(4, 258);
    let LinkKind::Vxlan(kind) = &mut moved.kind else { panic!() };
    kind.remotes = BTreeSet::from([Ipv4Addr::new(10, 1, 0, 99)]);
    let changes = diff(&seen, &table([wireguard([]), moved]));
    assert!(matches!(&changes[..], [LinkChange::Alter { .. }]), "{changes:?}");
}

#[test]
fn device_over_one_that_is_made_anew_is_made_anew() {
    let desired = table([wireguard([]), vxlan(4, 258), vxlan(5, 259)]);
    let seen = table([vxlan(4, 258), vxlan(5, 259)]);
    let names: Vec<_> = diff(&seen, &desired).iter().map(ToString::to_string).collect();
    let starts: Vec<_> = names.iter().map(|text| text.split(':').next().unwrap()).collect();
    let expected =
        ["remove dlan-vx4", "remove dlan-vx5", "create dlan-wg", "create dlan-vx4", "create dlan-vx5"];
    assert_eq!(starts, expected);
}

#[test]
fn endpoint_change_undone_sends_to_where_the_peer_was() {
    let value = Box::new(peer(Some("192.0.2.1:1")));
    let device = LinkName::new("dlan-wg").unwrap();
    let change = LinkChange::SetEndpoint {
        device,
        peer: PublicKey::from_octets([1; 32]),
        value,
        endpoint: "192.0.2.2:2".parse().unwrap(),
    };
    let before = table([wireguard([(1, peer(Some("192.0.2.1:1")))])]);
    let mut model = before.clone();
    change.apply_to(&mut model);
    assert_ne!(model, before);
    change.inverse().apply_to(&mut model);
    assert_eq!(model, before);
}

#[test]
fn change_is_told_in_words_without_secrets() {
    let mut wanted = wireguard([(1, peer(None))]);
    wanted.mtu = 1400;
    let changes = diff(&table([wireguard([])]), &table([wanted]));
    let key = PublicKey::from_octets([1; 32]);
    assert_eq!(changes[0].to_string(), format!("alter dlan-wg: mtu 1420 -> 1400, add peer {key}"));
}

fn table<const N: usize>(links: [Link; N]) -> Links {
    links.into_iter().map(|link| (link.name.clone(), link)).collect()
}

fn without_endpoints(links: &Links) -> Links {
    let mut links = links.clone();
    for_each_peer(&mut links, |peer| peer.endpoint = None);
    links
}

fn for_each_peer(links: &mut Links, mut act: impl FnMut(&mut Peer)) {
    for link in links.values_mut() {
        if let LinkKind::WireGuard(wireguard) = &mut link.kind {
            wireguard.peers.values_mut().for_each(&mut act);
        }
    }
}

fn peer(endpoint: Option<&str>) -> Peer {
    Peer {
        endpoint: endpoint.map(|text| text.parse().unwrap()),
        preshared_key: None,
        keepalive: Some(25),
        allowed_ips: BTreeSet::new(),
    }
}

fn wireguard<const N: usize>(peers: [(u8, Peer); N]) -> Link {
    let peers = peers.into_iter().map(|(n, peer)| (PublicKey::from_octets([n; 32]), peer)).collect();
    let private_key = PrivateKey::from_octets([9; 32]);
    Link {
        name: LinkName::new("dlan-wg").unwrap(),
        alias: "dlan".to_owned(),
        mtu: 1420,
        up: true,
        addresses: BTreeSet::new(),
        kind: LinkKind::WireGuard(WireGuardLink { private_key, listen_port: 51820, fwmark: 1, peers }),
    }
}

fn vxlan(neighbor: u8, vni: u32) -> Link {
    Link {
        name: LinkName::new(&format!("dlan-vx{neighbor}")).unwrap(),
        alias: format!("r{neighbor}"),
        mtu: 1370,
        up: true,
        addresses: BTreeSet::new(),
        kind: LinkKind::Vxlan(VxlanLink {
            vni: Vni::new(vni).unwrap(),
            local: Ipv4Addr::new(10, 1, 0, 1),
            port: VXLAN_PORT,
            underlay: LinkName::new("dlan-wg").unwrap(),
            mac: MacAddress([2, 0, 0, 0, 0, neighbor]),
            remotes: BTreeSet::from([Ipv4Addr::new(10, 1, 0, neighbor)]),
        }),
    }
}

/// Tables of up to four links over few names and values, so that many coincide.
fn links() -> impl Strategy<Value = Links> {
    let wireguard = (1u8..3, any_peers()).prop_map(|(n, peers)| {
        let mut link = wireguard([]);
        let LinkKind::WireGuard(kind) = &mut link.kind else { panic!() };
        (kind.fwmark, kind.peers) = (n.into(), peers);
        link
    });
    let vxlans = proptest::collection::vec((1u8..4, 1u32..3, 1u8..3), 0..3).prop_map(|list| {
        list.into_iter().map(|(neighbor, vni, remote)| {
            let mut link = vxlan(neighbor, vni);
            let LinkKind::Vxlan(kind) = &mut link.kind else { panic!() };
            kind.remotes = BTreeSet::from([Ipv4Addr::new(10, 1, 0, remote)]);
            link
        })
    });
    let common = proptest::collection::vec((1000u32..1002, any::<bool>(), any_addresses()), 4);
    (proptest::option::of(wireguard), vxlans, common).prop_map(|(wireguard, vxlans, common)| {
        let links = wireguard.into_iter().chain(vxlans).zip(common);
        let links = links.map(|(link, (mtu, up, addresses))| Link { mtu, up, addresses, ..link });
        links.map(|link| (link.name.clone(), link)).collect()
    })
}

fn any_addresses() -> impl Strategy<Value = BTreeSet<IpNet>> {
    let choices = ["10.0.0.1/30", "10.0.0.1/24", "fe80::1/64"].map(|text| text.parse().unwrap());
    proptest::collection::btree_set(select(choices.to_vec()), 0..3)
}

fn any_peers() -> impl Strategy<Value = BTreeMap<PublicKey, Peer>> {
    let key = (1u8..4).prop_map(|n| PublicKey::from_octets([n; 32]));
    let secret = (1u8..3).prop_map(|n| PresharedKey::from_octets([n; 32]));
    let allowed_ips = any_addresses();
    let optional =
        (proptest::option::of(endpoint()), proptest::option::of(secret), proptest::option::of(1u16..3));
    let peer = (optional, allowed_ips).prop_map(|((endpoint, preshared_key, keepalive), allowed_ips)| Peer {
        endpoint,
        preshared_key,
        keepalive,
        allowed_ips,
    });
    proptest::collection::btree_map(key, peer, 0..3)
}

fn endpoint() -> impl Strategy<Value = SocketAddr> {
    select(["192.0.2.1:51820", "[2001:db8::1]:51820"].map(|text| text.parse().unwrap()).to_vec())
}
