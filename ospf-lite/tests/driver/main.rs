//! Two drivers in two network namespaces, joined by a real device: raw sockets, the kernel's addresses, real time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a failing test should stop where it fails; each namespace lives in a thread of its own"
)]

mod rfc5880;
mod rfc5881;
mod sniffer;

use std::future::poll_fn;
use std::net::SocketAddrV6;
use std::num::NonZeroU8;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, geteuid, gettid};
use ospf_lite::bfd::fsm::SessionState;
use ospf_lite::bfd::io::SessionView;
use ospf_lite::config::{
    AdvertisedPrefix, AuthenticationKey, Config, HmacAlgorithm, InterfaceConfig, InterfaceKind,
    PointToPointConfig, SecurityAssociation,
};
use ospf_lite::driver::{self, BfdConfig, DeviceInterface, DriverConfig, DriverHandle, Engines, OspfSocket};
use ospf_lite::ids::{Cost, Family, InterfaceId, RouterId};
use ospf_lite::io::ALL_SPF_ROUTERS;
use ospf_lite::ospf::neighbor::NeighborState;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::timeout;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STUB: InterfaceId = InterfaceId(1);
const LINK: InterfaceId = InterfaceId(2);

/// A network namespace and the thread that lives in it.
struct Namespace {
    thread: Pid,
    work: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Namespace {
    fn new() -> Self {
        assert!(geteuid().is_root(), "this test makes network namespaces: run it as root");
        let (work, todo) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            say.send(gettid()).unwrap();
            todo.iter().for_each(|task| task());
        });
        Self { thread: said.recv().unwrap(), work }
    }

    /// Runs something in the namespace and returns its answer.
    fn run<R: Send + 'static>(&self, task: impl FnOnce() -> R + Send + 'static) -> R {
        let (say, said) = mpsc::channel();
        self.work.send(Box::new(move || say.send(task()).unwrap())).unwrap();
        said.recv().expect("the task failed")
    }

    fn ip(&self, arguments: &str) {
        let words: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
        let status = self.run(move || Command::new("ip").args(words).status().unwrap());
        assert!(status.success(), "ip {arguments}");
    }

    fn ifindex(&self, device: &'static str) -> u32 {
        self.run(move || nix::net::if_::if_nametoindex(device).unwrap())
    }

    /// Starts a router in the namespace: a driver over its device `wire0`.
    fn router(&self, number: u32) -> Router {
        let ifindex = self.ifindex("wire0");
        let (say, said) = mpsc::channel();
        let router = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let config = |family| Config::new(RouterId(number), family);
                let config = DriverConfig {
                    ipv6: config(Family::Ipv6),
                    ipv4: config(Family::Ipv4),
                    seed: u64::from(number),
                };
                let (driver, mut events) = driver::spawn(config);
                say.send(driver).unwrap();
                while events.recv().await.is_some() {}
            });
        };
        // A thread begins in the namespace of the thread that makes it.
        self.run(move || drop(thread::spawn(router)));
        let router = Router { driver: said.recv().unwrap(), ifindex, number };
        router.configure(router.stub());
        router.configure(router.link(10));
        router.up(STUB);
        router.up(LINK);
        router
    }
}

struct Router {
    driver: DriverHandle,
    ifindex: u32,
    number: u32,
}

impl Router {
    fn link_local(&self) -> String {
        format!("fe80::{}", self.number)
    }

    fn stub(&self) -> DeviceInterface {
        let config = |prefix: String| InterfaceConfig {
            id: STUB,
            name: "lo".to_owned(),
            prefixes: vec![AdvertisedPrefix {
                prefix: prefix.parse().unwrap(),
                metric: 0,
                local_address: true,
            }],
            kind: InterfaceKind::Stub,
        };
        DeviceInterface {
            ifindex: 1,
            name: "lo".to_owned(),
            ipv6: config(format!("fd00::{}/128", self.number)),
            ipv4: config(format!("10.0.0.{}/32", self.number)),
            bfd: None,
        }
    }

    fn link(&self, cost: u16) -> DeviceInterface {
        let config = InterfaceConfig {
            id: LINK,
            name: "wire0".to_owned(),
            prefixes: Vec::new(),
            kind: InterfaceKind::PointToPoint(PointToPointConfig {
                cost: Cost::new(cost).unwrap(),
                hello_interval: Duration::from_secs(1),
                dead_interval: Duration::from_secs(4),
                rxmt_interval: Duration::from_secs(2),
                inf_trans_delay: Duration::from_secs(1),
                mtu: 1500,
                link_local: self.link_local().parse().unwrap(),
                neighbor: None,
                ipv4_address: None,
                authentication: vec![SecurityAssociation {
                    id: 1,
                    algorithm: HmacAlgorithm::Sha256,
                    key: AuthenticationKey::new(*b"a secret of the two"),
                }],
            }),
        };
        DeviceInterface {
            ifindex: self.ifindex,
            name: "wire0".to_owned(),
            ipv6: config.clone(),
            ipv4: config,
            bfd: Some(BfdConfig {
                interval: Duration::from_millis(300),
                multiplier: NonZeroU8::new(3).unwrap(),
            }),
        }
    }

    fn configure(&self, device: DeviceInterface) {
        block_on(self.driver.configure(device)).unwrap();
    }

    fn up(&self, id: InterfaceId) {
        block_on(self.driver.up(id)).unwrap();
    }

    /// Asks until the answer is yes.
    fn wait_for(&self, what: &str, question: impl Fn(&Engines) -> bool + Clone + Send + 'static) {
        let asking = async {
            while !self.driver.inspect(question.clone()).await.unwrap() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let answer = block_on(async { tokio::time::timeout(PATIENCE, asking).await });
        answer.unwrap_or_else(|_| panic!("router {}: never {what}", self.number));
    }

    fn wait_for_neighbor(&self, state: Option<NeighborState>) {
        self.wait_for(&format!("a neighbor in both families in {state:?}"), move |engines| {
            [Family::Ipv6, Family::Ipv4]
                .into_iter()
                .all(|family| engines.of(family).neighbors().next().map(|neighbor| neighbor.state) == state)
        });
    }

    /// Waits until the other router's prefixes are there at this distance.
    fn wait_for_routes(&self, other: &Router, distance: u32) {
        let prefixes: [(Family, IpNet); 2] = [
            (Family::Ipv6, format!("fd00::{}/128", other.number).parse().unwrap()),
            (Family::Ipv4, format!("10.0.0.{}/32", other.number).parse().unwrap()),
        ];
        let link_local: std::net::Ipv6Addr = other.link_local().parse().unwrap();
        self.wait_for(&format!("the routes at {distance}"), move |engines| {
            prefixes.iter().all(|(family, prefix)| {
                let route = engines.of(*family).routes().get(prefix);
                route.is_some_and(|route| {
                    route.distance.0 == distance
                        && route.next_hops.iter().all(|hop| hop.link_local == link_local)
                })
            })
        });
    }
}

fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Makes a device `wire0` in each namespace, joined with the other's.
fn join(one: &Namespace, two: &Namespace) {
    one.ip(&format!("link add name wire0 type veth peer name wire0 netns {}", two.thread));
    for (namespace, number) in [(one, 1), (two, 2)] {
        namespace.ip("link set dev wire0 addrgenmode none");
        namespace.ip(&format!("address add fe80::{number}/64 dev wire0 nodad"));
        namespace.ip("link set dev wire0 up");
    }
}

/// Waits until the devices carry what is sent, and takes that.
async fn carry(socket: &OspfSocket, send: impl Fn()) {
    let mut buffer = [0; 128];
    let first = async {
        loop {
            send();
            if timeout(Duration::from_millis(100), poll_fn(|cx| socket.poll_readable(cx))).await.is_ok() {
                break;
            }
        }
    };
    timeout(PATIENCE, first).await.expect("nothing arrives");
    while socket.receive(&mut buffer).unwrap().is_some() {}
}

#[test]
fn two_drivers_become_full_and_learn_routes_in_both_families() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let (one, two) = (left.router(1), right.router(2));
    one.wait_for_neighbor(Some(NeighborState::Full));
    two.wait_for_neighbor(Some(NeighborState::Full));
    one.wait_for_routes(&two, 10);
    two.wait_for_routes(&one, 10);
    one.configure(one.link(25));
    one.wait_for_routes(&two, 25);
    one.wait_for("packets without any that were refused", |engines| {
        let (_, counters) = engines.device(LINK).unwrap();
        counters.received > 0
            && counters.sent > 0
            && counters.implausible == 0
            && counters.foreign_instance == 0
    });
}

#[test]
fn a_socket_that_is_not_watched_keeps_what_arrives_and_wakes_nobody() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let (from, to) = (left.ifindex("wire0"), right.ifindex("wire0"));
    let send = move || {
        block_on(async move {
            let socket = OspfSocket::open("wire0", from).unwrap();
            socket.send("fe80::1".parse().unwrap(), ALL_SPF_ROUTERS, &[3; 36]).unwrap();
        });
    };
    right.run(move || {
        block_on(async move {
            let mut socket = OspfSocket::open("wire0", to).unwrap();
            let mut buffer = [0; 64];
            let soon = Duration::from_millis(100);
            carry(&socket, || left.run(send)).await;

            socket.unwatch();
            left.run(send);
            let ready = poll_fn(|cx| socket.poll_readable(cx));
            assert!(timeout(soon, ready).await.is_err(), "it wakes somebody");
            assert_eq!(socket.receive(&mut buffer).unwrap(), None);
            let arrived = socket.receive_directly(&mut buffer).unwrap().expect("it is gone");
            assert_eq!((arrived.length, arrived.source), (36, "fe80::1".parse().unwrap()));
            assert_eq!(socket.receive_directly(&mut buffer).unwrap(), None);
            left.run(send);
            socket.watch().unwrap();
            timeout(PATIENCE, poll_fn(|cx| socket.poll_readable(cx))).await.expect("nobody is woken");
            assert!(socket.receive(&mut buffer).unwrap().is_some());
        });
    });
}

#[test]
fn hellos_that_are_said_again_and_again_wait_aside_and_wake_nobody() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    left.ip("address add fe80::9/64 dev wire0 nodad");
    let (from, to) = (left.ifindex("wire0"), right.ifindex("wire0"));
    let send = move |source: &'static str, octets: Vec<u8>| {
        left.run(move || {
            block_on(async move {
                let socket = OspfSocket::open("wire0", from).unwrap();
                socket.send(source.parse().unwrap(), ALL_SPF_ROUTERS, &octets).unwrap();
            });
        });
    };
    right.run(move || {
        block_on(async move {
            let mut socket = OspfSocket::open("wire0", to).unwrap();
            let mut buffer = [0; 128];
            let soon = Duration::from_millis(100);
            let hello = |family: u8| [&[3, 1, 0, 40][..], &[family; 36]].concat();
            let signed = |trailer: u8| [hello(6), vec![trailer; 20]].concat();
            carry(&socket, || send("fe80::1", hello(6))).await;

            let source = "fe80::1".parse().unwrap();
            for (family, number) in [(Family::Ipv6, 6), (Family::Ipv4, 4)] {
                for _ in 0..4 {
                    socket.hear(family, (&hello(number), source), true).unwrap();
                }
            }
            // The kernel begins to stamp what arrives a moment after somebody has asked for it.
            let stamped = async {
                loop {
                    send("fe80::1", hello(6));
                    tokio::time::sleep(soon).await;
                    let arrived = socket.receive_aside(&mut buffer).unwrap().expect("it is gone");
                    if arrived.stamp().is_some_and(|stamp| stamp.elapsed().is_ok_and(|age| age >= soon)) {
                        break;
                    }
                }
            };
            timeout(PATIENCE, stamped).await.expect("nothing is stamped as it arrives");

            for octets in [signed(1), signed(2), hello(4)] {
                send("fe80::1", octets.clone());
                let ready = poll_fn(|cx| socket.poll_readable(cx));
                assert!(timeout(soon, ready).await.is_err(), "it wakes somebody");
                assert_eq!(socket.receive(&mut buffer).unwrap(), None);
                let arrived = socket.receive_aside(&mut buffer).unwrap().expect("it is gone");
                assert_eq!((&buffer[..arrived.length], arrived.source), (&octets[..], source));
                let waited = arrived.stamp().expect("nobody knows when").elapsed().unwrap();
                assert!(waited >= soon && waited < PATIENCE, "{waited:?}");
                assert_eq!(socket.receive_aside(&mut buffer).unwrap(), None, "it comes once");
            }
            let other = [&hello(6)[..36], &[7; 4]].concat();
            for (source, octets) in
                [("fe80::1", other), ("fe80::9", hello(6)), ("fe80::1", hello(6)[..36].to_vec())]
            {
                send(source, octets.clone());
                timeout(PATIENCE, poll_fn(|cx| socket.poll_readable(cx))).await.expect("nobody is woken");
                let arrived = socket.receive(&mut buffer).unwrap().expect("it is gone");
                assert_eq!((&buffer[..arrived.length], arrived.stamp()), (&octets[..], None));
                assert_eq!(socket.receive(&mut buffer).unwrap(), None, "it comes once");
                assert_eq!(socket.receive_aside(&mut buffer).unwrap(), None);
            }

            send("fe80::1", hello(6));
            send("fe80::1", hello(4));
            tokio::time::sleep(soon).await;
            socket.forget(Family::Ipv6).unwrap();
            let arrived = socket.receive_aside(&mut buffer).unwrap().expect("the other family's is gone");
            assert_eq!(buffer[..arrived.length], hello(4));
            assert_eq!(
                socket.receive_aside(&mut buffer).unwrap(),
                None,
                "it says nothing of what is known now"
            );
            for (number, is_forgotten) in [(6, true), (4, false)] {
                send("fe80::1", hello(number));
                let ready = timeout(soon, poll_fn(|cx| socket.poll_readable(cx))).await;
                assert_eq!(ready.is_ok(), is_forgotten, "{number}");
                assert_eq!(socket.receive(&mut buffer).unwrap().is_some(), is_forgotten);
                assert_eq!(socket.receive(&mut buffer).unwrap(), None, "it comes once");
                assert_eq!(socket.receive_aside(&mut buffer).unwrap().is_some(), !is_forgotten);
            }
            socket.forget(Family::Ipv4).unwrap();
            send("fe80::1", hello(4));
            timeout(PATIENCE, poll_fn(|cx| socket.poll_readable(cx))).await.expect("nobody is woken");
            assert!(socket.receive(&mut buffer).unwrap().is_some());
        });
    });
}

#[test]
fn what_others_send_in_the_neighbors_words_keeps_none_of_its_hellos_away() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let (one, two) = (left.router(1), right.router(2));
    one.wait_for_neighbor(Some(NeighborState::Full));
    two.wait_for_neighbor(Some(NeighborState::Full));
    let since = |router: &Router| {
        let since = |engines: &Engines| {
            let families = [Family::Ipv6, Family::Ipv4];
            families.map(|family| engines.of(family).neighbors().next().map(|neighbor| neighbor.since))
        };
        block_on(router.driver.inspect(since)).unwrap()
    };
    let before = since(&two);

    let (from, to) = (left.ifindex("wire0"), right.ifindex("wire0"));
    let hello = right.run(move || {
        block_on(async move {
            let socket = OspfSocket::open("wire0", to).unwrap();
            let mut buffer = [0; 256];
            loop {
                timeout(PATIENCE, poll_fn(|cx| socket.poll_readable(cx))).await.expect("nothing arrives");
                if let Some(arrived) = socket.receive(&mut buffer).unwrap().filter(|_| buffer[1] == 1) {
                    return buffer[..arrived.length].to_vec();
                }
            }
        })
    });
    // Recorded, and from too far away: 400 a second, for twice RouterDeadInterval.
    left.run(move || {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(89))).unwrap();
        socket.bind(&SocketAddrV6::new("fe80::1".parse().unwrap(), 0, 0, from).into()).unwrap();
        socket.set_multicast_if_v6(from).unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(8) {
            for hop_limit in [1, 64] {
                socket.set_multicast_hops_v6(hop_limit).unwrap();
                socket.send_to(&hello, &SocketAddrV6::new(ALL_SPF_ROUTERS, 0, 0, from).into()).unwrap();
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    two.wait_for("packets from far away", |engines| engines.device(LINK).unwrap().1.implausible > 100);
    assert_eq!(since(&two), before);
}

#[test]
fn a_device_that_is_gone_and_made_again_is_used_again() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let (mut one, mut two) = (left.router(1), right.router(2));
    one.wait_for_routes(&two, 10);
    left.ip("link delete dev wire0");
    one.wait_for_neighbor(None);
    one.wait_for("a socket that failed", |engines| engines.device(LINK).unwrap().1.failures > 0);
    join(&left, &right);
    for (router, namespace) in [(&mut one, &left), (&mut two, &right)] {
        router.ifindex = namespace.ifindex("wire0");
        router.configure(router.link(10));
        router.up(LINK);
    }
    one.wait_for_routes(&two, 10);
    two.wait_for_routes(&one, 10);
}

impl Router {
    fn wait_for_session(&self, what: &str, question: impl Fn(&SessionView) -> bool + Clone + Send + 'static) {
        self.wait_for(what, move |engines| engines.sessions().get(&LINK).is_some_and(&question));
    }
}

#[test]
fn bfd_that_ends_on_purpose_leaves_the_adjacencies_alone() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let (one, two) = (left.router(1), right.router(2));
    for router in [&one, &two] {
        router.wait_for_neighbor(Some(NeighborState::Full));
        router.wait_for_session("a session that is Up", |session| session.state == SessionState::Up);
    }
    block_on(one.driver.disable_bfd()).unwrap();
    two.wait_for_session("a session that the far end took down", |session| {
        session.state == SessionState::Down && session.remote_state == SessionState::AdminDown
    });
    two.wait_for_neighbor(Some(NeighborState::Full));
}
