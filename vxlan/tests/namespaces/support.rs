//! Network namespaces, links and packets for the claims.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::Pid;
use vxlan::change::LinkChange;
use vxlan::diff::diff;
use vxlan::link::{Link, LinkKind, LinkName};
use vxlan::mtu::{LINK_MTU_DEFAULT, WIREGUARD_MTU_DEFAULT};
use vxlan::netlink::{Backend, Links, LinksConfig, Program, socket_path};
use vxlan::vtep::{MacAddress, VXLAN_PORT, Vni, VxlanLink};
use vxlan::wireguard::{Peer, PrivateKey, WIREGUARD_ALIAS, WireGuardLink};

/// The WireGuard device of every namespace.
pub const DEVICE: &str = "dlan-wg";

/// The mark of outer packets; in a pair of namespaces nothing else has a route to the other one.
const FWMARK: u32 = 0xd1a4;

/// How long packets may take to come through.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace, gone with the value. Devices of ours in it are deleted first, so that no process stays.
pub struct Namespace {
    file: File,
    directory: tempfile::TempDir,
}

impl Namespace {
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: run them as root");
        let file = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self { file: file.join().unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    /// Returns two namespaces joined by a cable, 192.0.2.1 and 192.0.2.2, over which only marked packets have a route.
    pub fn pair() -> (Self, Self) {
        let (one, two) = (Self::new(), Self::new());
        let far = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&two.file));
        one.run(|| ip(&format!("link add ve type veth peer name ve netns {far}")));
        for (namespace, address) in [(&one, "192.0.2.1"), (&two, "192.0.2.2")] {
            namespace.run(|| {
                for scope in ["all", "default", "ve"] {
                    std::fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/rp_filter"), "0").unwrap();
                }
                ip("link set ve up");
                ip(&format!("addr add {address}/32 dev ve"));
                ip(&format!("rule add fwmark {FWMARK:#x} lookup 100"));
                ip(&format!("route add 192.0.2.0/24 dev ve table 100 src {address}"));
            });
        }
        (one, two)
    }

    /// Runs a closure in the namespace.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        };
        std::thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs an asynchronous closure in the namespace, with its links.
    pub fn block<T: Send>(&self, act: impl AsyncFnOnce(&Links) -> T + Send) -> T {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let links = Links::new(self.config());
            runtime.block_on(act(&links))
        })
    }

    /// The socket of the embedded device.
    pub fn socket(&self) -> PathBuf {
        socket_path(self.directory.path(), &LinkName::new(DEVICE).unwrap())
    }

    /// Starts embedded devices by running this test program again, as `embedded_process`.
    pub fn config(&self) -> LinksConfig {
        let script = format!(
            "TEST_DEVICE=$1 TEST_MTU=$3 TEST_DIRECTORY={} exec \"$0\" --exact embedded_process --ignored --nocapture",
            self.directory.path().display()
        );
        let this = std::env::current_exe().unwrap();
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), this.into_os_string()],
        };
        LinksConfig {
            socket_directory: self.directory.path().to_owned(),
            program: Some(program),
            backend: Some(Backend::Embedded),
            ..LinksConfig::default()
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.run(|| drop(Command::new("ip").args(["link", "del", DEVICE]).output()));
    }
}

pub fn run_embedded_process() {
    let var = |name| std::env::var(name).unwrap();
    let device = LinkName::new(&var("TEST_DEVICE")).unwrap();
    let directory = var("TEST_DIRECTORY");
    vxlan::userspace::run(&device, var("TEST_MTU").parse().unwrap(), Path::new(&directory)).unwrap();
}

/// Returns the process of a namespace's embedded device, found by the directory it was given.
pub fn process_of(namespace: &Namespace) -> Pid {
    let wanted = format!("TEST_DIRECTORY={}", namespace.directory.path().display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|octet| *octet == 0).any(|variable| variable == wanted.as_bytes()) {
            found.push(Pid::from_raw(pid));
        }
    }
    let [process] = found[..] else { panic!("one process runs the device: {found:?}") };
    process
}

/// Runs iproute2's `ip` in the namespace of the calling thread.
pub fn ip(arguments: &str) -> String {
    iproute("ip", arguments)
}

/// Runs a program of iproute2's in the namespace of the calling thread.
pub fn iproute(program: &str, arguments: &str) -> String {
    let output =
        Command::new(program).args(arguments.split_whitespace()).output().expect("iproute2 is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

pub async fn apply_all(links: &Links, changes: &[LinkChange]) {
    for change in changes {
        if let Err(error) = links.apply(change).await {
            panic!("{change}: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        }
    }
}

/// Makes the links of a namespace as wanted, and sees that they are.
pub fn settle(namespace: &Namespace, wanted: &BTreeMap<LinkName, Link>) {
    namespace.block(async |links| {
        apply_all(links, &diff(&links.observe().await.unwrap(), wanted)).await;
        let seen = links.observe().await.unwrap();
        assert_eq!(without_endpoints(&seen), without_endpoints(wanted));
        assert_eq!(diff(&seen, wanted), vec![]);
    });
}

pub fn without_endpoints(links: &BTreeMap<LinkName, Link>) -> BTreeMap<LinkName, Link> {
    let mut links = links.clone();
    for link in links.values_mut() {
        if let LinkKind::WireGuard(wireguard) = &mut link.kind {
            wireguard.peers.values_mut().for_each(|peer| peer.endpoint = None);
        }
    }
    links
}

/// Returns the links of router `here` with router `there` as its only neighbor.
pub fn desired(
    own: &PrivateKey,
    other: &PrivateKey,
    here: u8,
    there: u8,
    endpoint: Option<&str>,
) -> BTreeMap<LinkName, Link> {
    link_table([wireguard(own, other, here, there, endpoint), vxlan_to(here, there)])
}

pub fn link_table<const N: usize>(links: [Link; N]) -> BTreeMap<LinkName, Link> {
    links.into_iter().map(|link| (link.name.clone(), link)).collect()
}

pub fn wireguard(own: &PrivateKey, other: &PrivateKey, here: u8, there: u8, endpoint: Option<&str>) -> Link {
    let endpoint = endpoint.map(|text| text.parse().unwrap());
    Link {
        name: LinkName::new(DEVICE).unwrap(),
        alias: WIREGUARD_ALIAS.to_owned(),
        mtu: WIREGUARD_MTU_DEFAULT,
        up: true,
        addresses: BTreeSet::from([
            format!("10.200.0.{here}/24").parse().unwrap(),
            format!("fd00:200::{here}/64").parse().unwrap(),
        ]),
        kind: LinkKind::WireGuard(WireGuardLink {
            private_key: own.clone(),
            listen_port: 51820,
            fwmark: FWMARK,
            peers: BTreeMap::from([(other.public_key(), peer_of(there, endpoint))]),
        }),
    }
}

pub fn peer_of(id: u8, endpoint: Option<SocketAddr>) -> Peer {
    Peer {
        endpoint,
        preshared_key: Some(vxlan::wireguard::PresharedKey::from_octets([7; 32])),
        keepalive: Some(25),
        allowed_ips: BTreeSet::from([
            format!("10.200.0.{id}/32").parse().unwrap(),
            format!("fd00:200::{id}/128").parse().unwrap(),
        ]),
    }
}

pub fn vxlan_to(here: u8, there: u8) -> Link {
    let (low, high) = (u32::from(here.min(there)), u32::from(here.max(there)));
    Link {
        name: LinkName::new(&format!("dlan-vx{there}")).unwrap(),
        alias: format!("r{there}"),
        mtu: LINK_MTU_DEFAULT,
        up: true,
        addresses: BTreeSet::from([
            format!("10.99.0.{here}/24").parse().unwrap(),
            format!("fe80::{here}/64").parse().unwrap(),
        ]),
        kind: LinkKind::Vxlan(VxlanLink {
            vni: Vni::new(256 * low + high).unwrap(),
            local: format!("10.200.0.{here}").parse().unwrap(),
            port: VXLAN_PORT,
            underlay: LinkName::new(DEVICE).unwrap(),
            mac: MacAddress([2, 0, 0, 0, here, there]),
            remotes: BTreeSet::from([format!("10.200.0.{there}").parse().unwrap()]),
        }),
    }
}

/// Returns a UDP socket in the namespace, bound to an address of the device.
pub fn socket_on(namespace: &Namespace, device: &str, address: &str) -> UdpSocket {
    namespace.run(|| {
        let socket = match address.parse().unwrap() {
            IpAddr::V4(address) => UdpSocket::bind((address, 0)),
            IpAddr::V6(address) => {
                let index = nix::net::if_::if_nametoindex(device).unwrap();
                UdpSocket::bind(SocketAddrV6::new(address, 0, 0, index))
            }
        };
        let socket = socket.unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        socket
    })
}

/// Returns whether a large datagram comes through and an answer comes back, within some seconds.
pub fn exchange(from: &Namespace, near: &UdpSocket, far: &UdpSocket) -> bool {
    let (mut to, own) = (far.local_addr().unwrap(), near.local_addr().unwrap());
    if let (SocketAddr::V6(to), SocketAddr::V6(own)) = (&mut to, own) {
        to.set_scope_id(own.scope_id());
    }
    // What an earlier exchange left behind must not be taken for an answer.
    let token = format!("{:?}", Instant::now());
    let question = [token.as_bytes(), &[b'x'; 1200]].concat();
    let limit = Instant::now() + PATIENCE;
    let mut buffer = [0; 2000];
    while Instant::now() < limit {
        // No route yet is one of the things that pass.
        let _ = from.run(|| near.send_to(&question, to));
        while let Ok((length, back)) = far.recv_from(&mut buffer) {
            if buffer[..length] == question[..] {
                far.send_to(token.as_bytes(), back).unwrap();
                break;
            }
        }
        while let Ok((length, _)) = near.recv_from(&mut buffer) {
            if buffer[..length] == *token.as_bytes() {
                return true;
            }
        }
    }
    false
}

/// Waits until a file is gone that whoever made it takes away when it ends; returns whether it is, after some seconds.
pub fn goes_away(file: &Path) -> bool {
    let limit = Instant::now() + PATIENCE;
    while file.exists() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    !file.exists()
}
