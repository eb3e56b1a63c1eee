//! Claims about real devices, each in network namespaces of its own. They need root.
#![cfg(feature = "userspace-wireguard")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)] // a test may fail loudly

mod support;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getsid;
use support::{
    DEVICE, Namespace, apply_all, desired, exchange, goes_away, ip, iproute, link_table, peer_of, process_of,
    settle, socket_on, vxlan_to, wireguard,
};
use vxlan::change::LinkChange;
use vxlan::diff::diff;
use vxlan::event::LinkEvent;
use vxlan::link::{LinkKind, LinkName};
use vxlan::netlink::monitor::Monitor;
use vxlan::netlink::{Backend, Links, LinksConfig, LinksError};
use vxlan::wireguard::PrivateKey;

/// The body of the process that an embedded device runs in; the tests start it.
#[test]
#[ignore = "runs as the process of an embedded device"]
fn embedded_process() {
    support::run_embedded_process();
}

#[test]
fn links_are_seen_as_they_were_made_changed_and_taken_back() {
    let namespace = Namespace::new();
    let (here, there) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let first = desired(&here, &there, 1, 2, Some("192.0.2.2:51820"));
    namespace.block(async |links| {
        apply_all(links, &diff(&links.observe().await.unwrap(), &first)).await;
        assert_eq!(links.observe().await.unwrap(), first);
        assert_eq!(diff(&links.observe().await.unwrap(), &first), vec![]);
    });

    let mut second = first.clone();
    for link in second.values_mut() {
        link.alias = format!("{} again", link.alias);
        link.addresses.insert("10.77.0.1/30".parse().unwrap());
        link.mtu -= 20;
        match &mut link.kind {
            LinkKind::WireGuard(wireguard) => {
                (wireguard.listen_port, wireguard.fwmark) = (51821, 0x77);
                wireguard.peers.insert(PrivateKey::generate().unwrap().public_key(), peer_of(9, None));
                wireguard.peers.values_mut().for_each(|peer| peer.keepalive = None);
            }
            LinkKind::Vxlan(vxlan) => {
                vxlan.mac.0[5] ^= 0x55;
                vxlan.remotes = BTreeSet::from(["10.200.0.9".parse().unwrap()]);
            }
        }
    }
    let mut other_link = vxlan_to(1, 3);
    other_link.mtu -= 20;
    second.insert(other_link.name.clone(), other_link);
    namespace.block(async |links| {
        let changes = diff(&first, &second);
        apply_all(links, &changes).await;
        assert_eq!(links.observe().await.unwrap(), second);
        let inverses: Vec<_> = changes.iter().rev().map(LinkChange::inverse).collect();
        apply_all(links, &inverses).await;
        assert_eq!(links.observe().await.unwrap(), first);

        apply_all(links, &diff(&first, &link_table([]))).await;
        assert_eq!(links.observe().await.unwrap(), link_table([]));
    });
    assert!(goes_away(&namespace.socket()), "the process has not taken its socket with it");
    assert_eq!(namespace.run(|| ip("-o link show")).lines().count(), 1, "nothing but lo is left");
}

#[test]
fn an_embedded_device_has_room_for_packets_that_come_while_it_has_no_turn() {
    let namespace = Namespace::new();
    let (here, there) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let first = desired(&here, &there, 1, 2, None);
    let mut second = first.clone();
    for link in second.values_mut() {
        if let LinkKind::WireGuard(wireguard) = &mut link.kind {
            wireguard.listen_port = 51821;
        }
    }
    namespace.block(async |links| {
        for (before, wanted, port) in [(&link_table([]), &first, ":51820 "), (&first, &second, ":51821 ")] {
            apply_all(links, &diff(before, wanted)).await;
            let sockets = iproute("ss", "-Hlnum");
            let sockets: Vec<_> = sockets.split("UNCONN").filter(|socket| socket.contains(port)).collect();
            assert_eq!(sockets.len(), 2, "one for each family");
            // 1 MiB, of which the kernel allows twice as much.
            assert!(sockets.iter().all(|socket| socket.contains(",rb2097152,")), "{sockets:?}");
        }
    });
}

#[test]
fn devices_of_somebody_elses_become_ours_without_being_made_anew() {
    let namespace = Namespace::new();
    let (here, there) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let wanted = desired(&here, &there, 1, 2, Some("192.0.2.2:51820"));
    let vxlan = wanted.values().find(|link| link.vxlan().is_some()).unwrap().name.clone();
    namespace.block(async |links| {
        apply_all(links, &diff(&links.observe().await.unwrap(), &wanted)).await;
        assert_eq!(links.adopt(&wanted[&vxlan]).await.unwrap(), None, "what is ours is not adopted");
        for (ours, other) in [(DEVICE, "wg0"), (vxlan.as_str(), "vx0")] {
            ip(&format!("link set {ours} name {other}"));
        }
        ip("link set vx0 address 02:00:00:00:00:07");
        ip("addr add fe80::7/64 dev vx0 nodad");
        ip("addr add 10.99.0.1/30 dev vx0");
    });
    let socket = namespace.socket();
    std::fs::rename(&socket, socket.with_file_name("wg0.sock")).unwrap();
    let numbers =
        || ip("-o link show").matches(": wg0:").count() + ip("-o link show").matches(": vx0").count();
    assert_eq!(namespace.run(numbers), 2);
    namespace.block(async |links| {
        assert!(links.observe().await.unwrap().is_empty(), "they are somebody else's");
        assert_eq!(links.adopt(&wanted[&vxlan]).await.unwrap(), None, "it does not lie on what is wanted");
        let index = ip("-o link show dev vx0").split(':').next().unwrap().to_owned();
        let wg = LinkName::new(DEVICE).unwrap();
        let mut former = Vec::new();
        for name in [&wg, &vxlan] {
            former.push(links.adopt(&wanted[name]).await.unwrap().unwrap().to_string());
        }
        assert_eq!(former, ["wg0", "vx0"]);
        let changes = diff(&links.observe().await.unwrap(), &wanted);
        assert!(matches!(&changes[..], [LinkChange::Alter { to, .. }] if to.name == vxlan), "{changes:?}");
        apply_all(links, &changes).await;
        assert_eq!(links.observe().await.unwrap(), wanted);
        let shown = ip(&format!("-o link show dev {vxlan}"));
        assert!(shown.starts_with(&format!("{index}:")), "it is the same device: {shown}");
        let addresses = ip(&format!("-6 addr show dev {vxlan}"));
        let lingering = addresses.split("fe80::7/64").nth(1).unwrap_or_default();
        assert!(lingering.contains("deprecated") && lingering.contains("sec"), "{addresses}");
    });
}

#[test]
fn wireguard_and_vxlan_carry_both_families_and_every_outer_packet_has_the_mark() {
    let (one, two) = Namespace::pair();
    for namespace in [&one, &two] {
        namespace.run(|| {
            let error = UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", "192.0.2.9:9").unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::NetworkUnreachable,
                "only marked packets have a route"
            );
        });
    }
    let (key_one, key_two) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    // The first only waits to be called.
    settle(&one, &desired(&key_one, &key_two, 1, 2, None));
    settle(&two, &desired(&key_two, &key_one, 2, 1, Some("192.0.2.1:51820")));

    let ipv4 = (socket_on(&one, "dlan-vx2", "10.99.0.1"), socket_on(&two, "dlan-vx1", "10.99.0.2"));
    let ipv6 = (socket_on(&one, "dlan-vx2", "fe80::1"), socket_on(&two, "dlan-vx1", "fe80::2"));
    assert!(exchange(&two, &ipv4.1, &ipv4.0), "IPv4, from the side that calls");
    assert!(exchange(&one, &ipv4.0, &ipv4.1), "IPv4, from the side that was called");
    assert!(exchange(&two, &ipv6.1, &ipv6.0), "link-local IPv6");

    // The caller moves: the other side follows it, with marked packets.
    two.run(|| ip("addr add 192.0.2.3/32 dev ve"));
    two.run(|| ip("route replace 192.0.2.0/24 dev ve table 100 src 192.0.2.3"));
    two.run(|| ip("addr del 192.0.2.2/32 dev ve"));
    assert!(exchange(&two, &ipv4.1, &ipv4.0), "after the caller moved");
    assert!(exchange(&one, &ipv4.0, &ipv4.1), "after the caller moved, from the other side");
    assert_eq!(endpoint_seen(&one), Some("192.0.2.3:51820".parse().unwrap()));
    one.block(async |links| {
        let seen = links.observe().await.unwrap();
        assert_eq!(diff(&seen, &desired(&key_one, &key_two, 1, 2, Some("192.0.2.2:51820"))), vec![]);
    });

    // The called side moves unheard: the caller is told where to.
    one.run(|| ip("addr add 192.0.2.4/32 dev ve"));
    one.run(|| ip("route replace 192.0.2.0/24 dev ve table 100 src 192.0.2.4"));
    one.run(|| ip("addr del 192.0.2.1/32 dev ve"));
    two.block(async |links| {
        let seen = links.observe().await.unwrap();
        let (peer, value) =
            seen[&LinkName::new(DEVICE).unwrap()].wireguard().unwrap().peers.iter().next().unwrap();
        let change = LinkChange::SetEndpoint {
            device: LinkName::new(DEVICE).unwrap(),
            peer: *peer,
            value: Box::new(value.clone()),
            endpoint: "192.0.2.4:51820".parse().unwrap(),
        };
        apply_all(links, &[change]).await;
    });
    assert!(exchange(&two, &ipv4.1, &ipv4.0), "after the endpoint was changed");
}

#[test]
fn change_of_one_peer_leaves_the_session_of_another() {
    let (one, two) = Namespace::pair();
    let (key_one, key_two) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let before = desired(&key_one, &key_two, 1, 2, Some("192.0.2.2:51820"));
    settle(&one, &before);
    settle(&two, &desired(&key_two, &key_one, 2, 1, None));
    let sockets = (socket_on(&one, "dlan-vx2", "fe80::1"), socket_on(&two, "dlan-vx1", "fe80::2"));
    assert!(exchange(&one, &sockets.0, &sockets.1));

    let peer = key_two.public_key();
    let device = LinkName::new(DEVICE).unwrap();
    let status = |namespace: &Namespace| {
        namespace.block(async |links| links.wireguard(&device).await.unwrap().peers[&peer])
    };
    let earlier = status(&one);
    assert!(earlier.rx_bytes > 0 && earlier.tx_bytes > 0 && earlier.handshake_age.is_some(), "{earlier:?}");

    let mut after = before.clone();
    let LinkKind::WireGuard(wireguard) = &mut after.get_mut(&device).unwrap().kind else { panic!() };
    wireguard.peers.insert(PrivateKey::generate().unwrap().public_key(), peer_of(9, None));
    settle(&one, &after);
    let later = status(&one);
    assert!(
        later.rx_bytes >= earlier.rx_bytes && later.tx_bytes >= earlier.tx_bytes,
        "{earlier:?} {later:?}"
    );
}

#[test]
fn process_stands_apart_from_who_started_it_and_ends_when_told() {
    let namespace = Namespace::new();
    let key = PrivateKey::generate().unwrap();
    settle(&namespace, &desired(&key, &key, 1, 2, None));
    let process = process_of(&namespace);
    assert_eq!(getsid(Some(process)).unwrap(), process, "a session of its own");
    assert_eq!(std::fs::metadata(namespace.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    for descriptor in ["1", "2"] {
        let target = std::fs::read_link(format!("/proc/{process}/fd/{descriptor}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
    namespace.block(async |links| {
        let mut monitor = Monitor::open().unwrap();
        kill(process, Signal::SIGTERM).unwrap();
        while !matches!(monitor.next().await, LinkEvent::LinkRemoved { name, .. } if name.as_str() == DEVICE)
        {
        }
        assert_eq!(links.observe().await.unwrap(), link_table([]));
    });
    assert!(goes_away(&namespace.socket()));
}

#[test]
fn killed_process_is_seen_as_the_device_gone_and_told() {
    let namespace = Namespace::new();
    let wanted = desired(&PrivateKey::generate().unwrap(), &PrivateKey::generate().unwrap(), 1, 2, None);
    settle(&namespace, &wanted);
    namespace.block(async |links| {
        let mut monitor = Monitor::open().unwrap();
        kill(process_of(&namespace), Signal::SIGKILL).unwrap();
        let mut gone = BTreeSet::new();
        while gone.len() < wanted.len() {
            if let LinkEvent::LinkRemoved { name, .. } = monitor.next().await {
                gone.insert(name);
            }
        }
        assert!(wanted.keys().eq(gone.iter()), "the VXLAN device goes with the one below it: {gone:?}");
        let seen = links.observe().await.unwrap();
        assert_eq!(seen, link_table([]));
        apply_all(links, &diff(&seen, &wanted)).await;
        assert_eq!(links.observe().await.unwrap(), wanted);
    });
}

#[test]
fn monitor_tells_of_devices_addresses_and_carrier() {
    let namespace = Namespace::new();
    namespace.block(async |_| {
        let mut monitor = Monitor::open().unwrap();
        ip("link add ve type veth peer name far");
        ip("link set ve up");
        ip("addr add 192.0.2.1/24 dev ve");
        ip("link set far up");
        ip("addr del 192.0.2.1/24 dev ve");
        ip("link del ve");
        let ve = LinkName::new("ve").unwrap();
        let address = "192.0.2.1/24".parse().unwrap();
        let mut awaited = ["down", "up", "address", "carrier", "no address", "gone"].iter().peekable();
        while let Some(word) = awaited.peek() {
            let told = match monitor.next().await {
                LinkEvent::Link { name, up: false, .. } if name == ve => "down",
                LinkEvent::Link { name, carrier: false, .. } if name == ve => "up",
                LinkEvent::Link { name, .. } if name == ve => "carrier",
                LinkEvent::LinkRemoved { name, .. } if name == ve => "gone",
                LinkEvent::AddressAdded { address: told, .. } if told == address => "address",
                LinkEvent::AddressRemoved { address: told, .. } if told == address => "no address",
                _ => continue,
            };
            assert!(told != "gone" || **word == "gone", "{word} was not told");
            awaited.next_if(|word| **word == told);
        }
    });
}

#[test]
fn device_of_a_stranger_is_never_touched() {
    let namespace = Namespace::new();
    namespace.run(|| {
        ip("link add dlan-vx2 type vxlan id 7 dstport 4789 local 127.0.0.1");
        ip("link add dlan-wg alias dlan type bridge");
        ip("link add other alias r4 type vxlan id 8 dstport 4789 local 127.0.0.1");
    });
    let before = namespace.run(|| ip("-o link show"));
    let key = PrivateKey::generate().unwrap();
    namespace.block(async |links| {
        assert_eq!(links.observe().await.unwrap(), link_table([]));
        for link in [vxlan_to(1, 2), wireguard(&key, &key, 1, 2, None)] {
            for change in [LinkChange::Create(link.clone()), LinkChange::Remove(link)] {
                let error = links.apply(&change).await.unwrap_err();
                assert!(matches!(error, LinksError::Foreign { .. }), "{change}: {error}");
            }
        }
    });
    assert_eq!(namespace.run(|| ip("-o link show")), before);
}

#[test]
fn who_moves_a_standing_devices_packets_is_told_by_the_device_and_not_by_what_the_next_would_be() {
    let namespace = Namespace::new();
    let key = PrivateKey::generate().unwrap();
    let link = wireguard(&key, &key, 1, 2, None);
    let name = link.name.clone();
    settle(&namespace, &link_table([link]));
    // As if the kernel's module had come since: this one would make no embedded device.
    let kernel_only = LinksConfig { backend: Some(Backend::Kernel), program: None, ..namespace.config() };
    let told = namespace.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let links = Links::new(kernel_only);
        runtime.block_on(links.backend(&name))
    });
    assert_eq!(told.unwrap(), Backend::Embedded);
}

#[test]
fn device_whose_making_was_cut_off_is_finished() {
    let namespace = Namespace::new();
    let key = PrivateKey::generate().unwrap();
    let wanted = desired(&key, &key, 1, 2, None);
    let below = wireguard(&key, &key, 1, 2, None);
    settle(&namespace, &link_table([below]));
    let mac = vxlan_to(1, 2).vxlan().unwrap().mac;
    namespace.run(|| {
        ip(&format!(
            "link add dlan-vx2 address {mac} type vxlan id 258 dstport 4789 local 10.200.0.1 dev dlan-wg nolearning"
        ));
    });
    settle(&namespace, &wanted);
}

#[test]
fn mtu_that_does_not_fit_is_refused_in_words() {
    let namespace = Namespace::new();
    let key = PrivateKey::generate().unwrap();
    settle(&namespace, &desired(&key, &key, 1, 2, None));
    namespace.block(async |links| {
        let mut large = vxlan_to(1, 3);
        large.mtu = 1371;
        let error = links.apply(&LinkChange::Create(large)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "dlan-vx3 cannot have an MTU of 1371: at most 1370 fits the device below"
        );
        let (from, mut to) = (Box::new(vxlan_to(1, 2)), Box::new(vxlan_to(1, 2)));
        to.mtu = 1371;
        let error = links.apply(&LinkChange::Alter { from, to }).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "dlan-vx2 cannot have an MTU of 1371: at most 1370 fits the device below"
        );
    });
}

#[test]
fn failed_creation_leaves_nothing_and_says_why() {
    let namespace = Namespace::new();
    namespace.block(async |links| {
        let error = links.apply(&LinkChange::Create(vxlan_to(1, 2))).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no device dlan-wg");

        let key = PrivateKey::generate().unwrap();
        let mut link = wireguard(&key, &key, 1, 2, None);
        link.mtu = 9000;
        let error = links.apply(&LinkChange::Create(link)).await.unwrap_err();
        assert!(matches!(error, LinksError::Mtu { mtu: 9000, max: 1500, .. }), "{error}");
    });
    std::fs::create_dir_all(namespace.socket()).unwrap();
    namespace.block(async |links| {
        let key = PrivateKey::generate().unwrap();
        let error = links.apply(&LinkChange::Create(wireguard(&key, &key, 1, 2, None))).await.unwrap_err();
        let LinksError::Ended { said, .. } = &error else { panic!("{error}") };
        assert!(said.contains("Listen"), "{said}");
        assert_eq!(links.observe().await.unwrap(), link_table([]));
    });
}

fn endpoint_seen(namespace: &Namespace) -> Option<SocketAddr> {
    namespace.block(async |links| {
        let peers = links.wireguard(&LinkName::new(DEVICE).unwrap()).await.unwrap().peers;
        peers.values().next().unwrap().endpoint
    })
}
