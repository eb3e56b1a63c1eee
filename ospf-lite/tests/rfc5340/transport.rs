//! Appendix A.1: packets as they are on the wire, seen at the far end of a device in a network namespace. Needs root.

use std::io::Read as _;
use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use ospf_lite::config::Config;
use ospf_lite::driver::{self, DeviceInterface, DriverConfig};
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_testnet::{ALL, interface};
use socket2::{Domain, Protocol, Socket, Type};

/// EtherType of IPv6.
const IPV6: u16 = 0x86dd;
/// The Ethernet header.
const ETHERNET: usize = 14;
/// The IPv6 header.
const HEADER: usize = 40;

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}: this test makes network namespaces: run it as root");
}

/// Returns the IPv6 packets of a router's first Hellos in both families, from their headers on.
fn first_hellos() -> Vec<Vec<u8>> {
    unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces: run it as root");
    ip("link add wire0 type veth peer name wire1");
    ip("link set wire0 up");
    ip("link set wire1 up");
    ip("address add fe80::1:1/64 dev wire0 nodad");
    let tap = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(IPV6.to_be())))).unwrap();
    tap.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ifindex = nix::net::if_::if_nametoindex("wire0").unwrap();
    runtime.block_on(async {
        let config = |family| Config::new(RouterId(1), family);
        let config = DriverConfig { ipv6: config(Family::Ipv6), ipv4: config(Family::Ipv4), seed: 1 };
        let (driver, _events) = driver::spawn(config);
        let config =
            |family| ospf_lite::config::InterfaceConfig { name: "wire0".into(), ..interface((1, 1), family) };
        let (ipv6, ipv4) = (config(Family::Ipv6), config(Family::Ipv4));
        let device = DeviceInterface { ifindex, name: "wire0".into(), ipv6, ipv4, bfd: None };
        driver.configure(device).await.unwrap();
        driver.up(InterfaceId(1)).await.unwrap();
        tokio::task::spawn_blocking(move || read_hellos(tap)).await.unwrap()
    })
}

/// Reads until both families were heard.
fn read_hellos(mut tap: Socket) -> Vec<Vec<u8>> {
    let mut hellos: Vec<Vec<u8>> = Vec::new();
    while hellos.len() < 2 {
        let mut frame = vec![0; 2048];
        let length = tap.read(&mut frame).expect("Hellos of both families");
        let packet = frame[ETHERNET.min(length)..length].to_vec();
        let is_ours = packet.len() > HEADER && packet[8..24] == ospf_testnet::link_local((1, 1)).octets();
        if is_ours && packet[24..40] == ALL.octets() && !hellos.contains(&packet) {
            hellos.push(packet);
        }
    }
    hellos
}

#[test]
fn sa_1_encapsulation_is_protocol_89_with_hop_limit_1_from_the_link_local_address() {
    // In a thread of its own: the namespace is the thread's.
    let hellos = std::thread::scope(|scope| scope.spawn(first_hellos).join()).unwrap();
    for packet in &hellos {
        let (next_header, hop_limit) = (packet[6], packet[7]);
        assert_eq!((next_header, hop_limit), (89, 1));
        let traffic_class = (packet[0] & 0x0f) << 4 | packet[1] >> 4;
        assert_eq!(traffic_class, 0xc0);
        let source = Ipv6Addr::from(<[u8; 16]>::try_from(&packet[8..24]).unwrap());
        assert!(source.is_unicast_link_local());
    }
    let instances: Vec<u8> = hellos.iter().map(|packet| packet[HEADER + 14]).collect();
    assert!(instances.contains(&0) && instances.contains(&64), "{instances:?}");
}
