//! The filter in the real kernel: what it lets through, what it counts. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;
#[path = "fixture/namespace.rs"]
mod namespace;
#[path = "fixture/router.rs"]
mod router;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use router::{in_namespace, run};

/// Prefixes with their ways: device and gateway.
type Routes<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)])];

#[test]
fn counts_of_dropped_packets_outlive_another_ruleset() {
    in_namespace("counts_of_dropped_packets_outlive_another_ruleset", |router| async move {
        router.reach(&router.wanted(&[])).await;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = socket.send_to(b"no frame", "127.0.0.1:4789");
        let leaving = router.system.filter_counters().await.unwrap()["vxlan_not_to_wireguard"];
        assert_eq!(leaving.packets, 1);
        router.reach(&router.wanted(&[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")])])).await;
        assert_eq!(router.system.filter_counters().await.unwrap()["vxlan_not_to_wireguard"].packets, 1);
    });
}

#[test]
fn no_count_is_lost_while_the_ruleset_is_replaced() {
    in_namespace("no_count_is_lost_while_the_ruleset_is_replaced", |router| async move {
        let others: [Routes<'_>; 2] = [&[], &[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")])]];
        router.reach(&router.wanted(others[0])).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let sender = std::thread::spawn(move || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sent = 0;
            while !ends.load(Ordering::SeqCst) {
                let _ = socket.send_to(b"no frame", "127.0.0.1:4789");
                sent += 1;
            }
            sent
        });
        for round in 1..=10 {
            router.reach(&router.wanted(others[round % 2])).await;
        }
        is_over.store(true, Ordering::SeqCst);
        let sent: u64 = sender.join().unwrap();
        let counted = router.system.filter_counters().await.unwrap()["vxlan_not_to_wireguard"];
        assert_eq!(counted.packets, sent);
    });
}

/// A namespace at the far end of devices, gone with the process that holds it.
struct FarEnd(std::process::Child);

impl FarEnd {
    fn behind(devices: &[(&str, &str, &str)]) -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
        let far = Self(child);
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", far.0.id());
        while std::fs::read_link(&theirs).unwrap() == own {
            std::thread::yield_now();
        }
        for (end, address, neighbor) in devices {
            run("ip", &["link", "set", end, "netns", &far.0.id().to_string()]);
            far.run(&format!("ip link set {end} up; ip address add {address} dev {end}"));
            far.run(&format!("ip route add {neighbor} dev {end}"));
        }
        far
    }

    fn run(&self, script: &str) {
        run("nsenter", &["--net", "--target", &self.0.id().to_string(), "--", "bash", "-c", script]);
    }

    /// Sends a VXLAN packet without a frame in it.
    fn send(&self, to: &str, vni: u32) {
        let [_, a, b, c] = vni.to_be_bytes();
        let header = format!("\\x08\\0\\0\\0\\x{a:02x}\\x{b:02x}\\x{c:02x}\\0");
        self.run(&format!("printf '{header}' > /dev/udp/{to}/4789"));
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn vxlan_is_taken_from_the_links_own_neighbor_by_wireguard_only_and_the_rest_is_counted() {
    in_namespace(
        "vxlan_is_taken_from_the_links_own_neighbor_by_wireguard_only_and_the_rest_is_counted",
        |router| async move {
            let ip = |line: &str| run("ip", &line.split(' ').collect::<Vec<_>>());
            ip("link add dlan-wg type veth peer name far-wg");
            ip("link set dlan-wg up");
            ip("address add 10.1.0.1/32 dev dlan-wg");
            ip("route add 10.1.0.2/32 dev dlan-wg");
            ip("address add 192.0.2.1/24 dev wan0");
            let far = FarEnd::behind(&[
                ("far-wg", "10.1.0.2/32", "10.1.0.1/32"),
                ("far-wan0", "192.0.2.2/24", "192.0.2.1/32"),
            ]);
            router.reach(&router.wanted(&[])).await;
            let socket = std::net::UdpSocket::bind("0.0.0.0:4789").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            far.send("10.1.0.1", 259);
            far.send("10.1.0.1", 777);
            far.send("192.0.2.1", 258);
            // The link between routers 1 and 2.
            far.send("10.1.0.1", 258);
            let mut octets = [0; 64];
            let (length, from) = socket.recv_from(&mut octets).unwrap();
            assert_eq!(
                (&octets[..length], from.ip().to_string()),
                (&[8, 0, 0, 0, 0, 1, 2, 0][..], "10.1.0.2".to_owned())
            );
            let counters = router.system.filter_counters().await.unwrap();
            for counter in ["vxlan_wrong_source", "vxlan_unknown_vni", "vxlan_not_by_wireguard"] {
                assert_eq!(counters[counter].packets, 1, "{counter} of {counters:?}");
            }
        },
    );
}

#[test]
fn nothing_from_the_wan_reaches_the_inside_and_nothing_inside_leaves_by_it() {
    in_namespace(
        "nothing_from_the_wan_reaches_the_inside_and_nothing_inside_leaves_by_it",
        |router| async move {
            let ip = |line: &str| run("ip", &line.split(' ').collect::<Vec<_>>());
            ip("address add 192.0.2.1/24 dev wan0");
            let far = FarEnd::behind(&[("far-wan0", "192.0.2.2/24", "10.1.1.1/32")]);
            router.reach(&router.wanted(&[])).await;
            let before = router.system.filter_counters().await.unwrap();
            assert_eq!((before["from_wan"].packets, before["to_wan"].packets), (0, 0));
            far.run("printf x > /dev/udp/10.1.1.1/9");
            // Somebody's route to a place inside, by the WAN.
            ip("route add 10.1.1.9/32 via 192.0.2.2");
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            let _ = socket.send_to(b"x", "10.1.1.9:9");
            let after = router.system.filter_counters().await.unwrap();
            assert_eq!((after["from_wan"].packets, after["to_wan"].packets), (1, 1));
        },
    );
}
