//! A router with fifty links, services and leases: what changes at one is nothing to the others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::hosts::put_back;
use super::services::{get, wait_for};
use crate::dhcp::Guest;
use crate::error::LabError;
use crate::lab::read_file;
use crate::node::Node;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim};
use crate::serving::{Line, Server, any};
use crate::snapshot::Snapshot;
use crate::wait;
use crate::wireguard::{self, Peers};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "fifty-links",
        claim: "Adding, changing and removing one link among fifty leaves device, peer, counters, addresses, forwarding entries, routes and adjacency of every other one as they were, and loses no packet.",
        topology: "two",
        run: fifty_links,
    },
    Scenario {
        name: "fifty-services",
        claim: "Adding, changing and removing one service and one lease among fifty each leaves every other one's connections, answers and leases as they were, the same nginx and dnsmasq, the links untouched, and no question unanswered.",
        topology: "two",
        run: fifty_services,
    },
];

const LIMIT: Duration = Duration::from_secs(120);
const ROUTER: &str = "r1";
/// The host ids of neighbors that do not exist, and of the one that comes and goes.
const OTHERS: std::ops::RangeInclusive<u16> = 100..=148;
const ONE: u16 = 149;

fn fifty_links(stage: &mut Stage) -> Result<(), LabError> {
    let node = stage.lab.node(ROUTER)?.clone();
    let good = stage.lab.read_config(ROUTER)?;
    let fifty = many_links(&good, OTHERS);
    stage.lab.write_config(ROUTER, &fifty)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    let (host, far) = (stage.lab.node("s1")?.clone(), stage.lab.address_of("s2", true)?);
    wait::until(LIMIT, "fifty links at rest", || {
        let is_at_rest = stage.lab.plans_nothing(ROUTER).map_err(|error| error.with_causes())?;
        if is_at_rest { Ok(()) } else { Err("`dlan plan` has plans".to_owned()) }
    })?;
    let before = Seen::take(&node)?;
    claim(before.peers.len() == 50, || format!("{} peers", before.peers.len()))?;
    let pings = PingRun::start(&host, far, 10)?;
    let log = read_file(&stage.lab.log(ROUTER))?.len();
    for (what, text) in [
        ("added", format!("{fifty}{}", link(ONE, ""))),
        (
            "changed",
            format!(
                "{fifty}{}",
                link(ONE, "\toption mtu '1300'\n\toption keepalive '7'\n\toption cost '33'\n")
            ),
        ),
        ("removed", fifty.clone()),
    ] {
        stage.lab.write_config(ROUTER, &text)?;
        stage.lab.dlan(ROUTER, &["apply"])?;
        let after = Seen::take(&node)?;
        let touched = before.touched(&after);
        claim(touched.is_empty(), || format!("one link {what}, and with it:\n{}", touched.join("\n")))?;
    }
    let counts = pings.stop()?;
    claim(counts.lost == 0, || format!("{} of {} pings lost", counts.lost, counts.sent))?;
    let log = read_file(&stage.lab.log(ROUTER))?.split_off(log);
    let moved: Vec<_> = log.lines().filter(|line| line.contains("neighbor state")).collect();
    claim(moved.is_empty(), || format!("adjacencies moved:\n{}", moved.join("\n")))?;
    stage.saw(format!(
        "one link added, changed and removed: {} lines about the other fifty as they were, no counter went back, {} pings at 10 ms and none lost",
        before.lines.len(), counts.sent
    ));
    stage.lab.write_config(ROUTER, &good)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// The ports of services that stay, and of the one that comes and goes; the host parts of leases, likewise.
const PORTS: std::ops::RangeInclusive<u16> = 9001..=9049;
const ONE_PORT: u16 = 9050;
const HOSTS: std::ops::RangeInclusive<u16> = 11..=59;
const ONE_HOST: u16 = 60;
/// The host part that the lab's host is given.
const GUEST: u16 = 77;
const SECTION: &str = "config lan 'lan0'\n\toption device 'br-lan'\n";

fn fifty_services(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let node = lab.node(ROUTER)?;
    let _server = Server::tcp(lab, "s2", any(8080))?;
    let upstream = lab.address_of("s2", false)?;
    let guest = Guest::unplug(lab, "s1")?;
    let mac = guest.mac()?;
    let good = lab.read_config(ROUTER)?;
    let with = |leases: &str, services: &str| {
        let hosts: String = HOSTS.map(|host| lease(host, host)).collect();
        let lines = format!("{SECTION}\toption dhcp '1'\n\tlist lease '{mac} {GUEST} s1'\n{hosts}{leases}");
        let others = many_services(PORTS, upstream);
        format!("{}{others}{services}", good.replace(SECTION, &lines))
    };
    lab.write_config(ROUTER, &with("", ""))?;
    lab.dlan(ROUTER, &["apply"])?;
    guest.plug()?;
    wait::until(LIMIT, "the leased address", || guest.ask_ipv4())?;
    let address = "10.2.1.1";
    let mut lines = Vec::new();
    wait_for(lab, "s1", (address, *PORTS.end()), "s2 hears")?;
    for port in PORTS {
        lines.push(Line::open(lab, "s1", (address, port))?);
    }
    wait::until(LIMIT, "a name of a lease", || match guest.resolve("h11.r1.lan") {
        found if found.contains(&"10.2.1.11".to_owned()) => Ok(()),
        found => Err(format!("{found:?}")),
    })?;
    let programs = programs(node);
    claim(programs.len() == 2, || format!("an nginx and a dnsmasq run: {programs:?}"))?;
    let (leased, before) = (leases(node)?, Seen::take(node)?);
    let questions = Questions::start(lab.node("s1")?, address)?;
    for (what, text) in [
        ("service added", with("", &service(ONE_PORT, &upstream, ""))),
        ("service changed", with("", &service(ONE_PORT, &upstream, "\toption connect_timeout '7'\n"))),
        ("service removed", with("", "")),
        ("lease added", with(&lease(ONE_HOST, ONE_HOST), "")),
        ("lease changed", with(&lease(ONE_HOST, ONE_HOST + 1), "")),
        ("lease removed", with("", "")),
    ] {
        lab.write_config(ROUTER, &text)?;
        lab.dlan(ROUTER, &["apply"])?;
        for (port, line) in PORTS.zip(&mut lines) {
            line.exchange(1).map_err(|error| {
                LabError::Claim(format!("one {what}, port {port}: {}", error.with_causes()))
            })?;
        }
        for port in PORTS.step_by(8) {
            let said = get(lab, "s1", address, port);
            claim(said.as_ref().is_ok_and(|said| said.contains("s2 hears")), || {
                format!("one {what}, and port {port} says {said:?}")
            })?;
        }
        let (now, left) = (self::programs(node), leases(node)?);
        claim(now == programs, || format!("one {what}: {programs:?} are {now:?}"))?;
        claim(left == leased, || format!("one {what}, and the leases are {left:?} instead of {leased:?}"))?;
        let touched = before.touched(&Seen::take(node)?);
        claim(touched.is_empty(), || format!("one {what}, and with it:\n{}", touched.join("\n")))?;
    }
    let (asked, unanswered) = questions.stop();
    claim(unanswered.is_empty(), || {
        format!("{} of {asked} questions: {}", unanswered.len(), unanswered.join("; "))
    })?;
    drop(lines);
    guest.restore()?;
    put_back(lab, ROUTER, &good)?;
    let seen = format!(
        "one service and one lease added, changed and removed: 49 connections and the lease with its time as they were, the same \
         nginx and dnsmasq, {asked} questions and each answered"
    );
    stage.saw(seen);
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Returns the section of a service on this port.
fn service(port: u16, upstream: &IpAddr, options: &str) -> String {
    format!(
        "\nconfig service 's{port}'\n\tlist listen '0.0.0.0:{port}'\n\tlist upstream '{upstream}:8080'\n{options}"
    )
}

/// Returns the line of a lease of this host: a host of that number which does not exist.
fn lease(number: u16, host: u16) -> String {
    format!("\tlist lease '02:00:00:00:01:{number:02x} {host} h{number}'\n")
}

/// Returns the process ids of a router's programs: of nginx the first process.
pub(super) fn programs(node: &Node) -> Vec<i32> {
    let is_one = |line: &[String]| {
        line.first().is_some_and(|name| name.starts_with("nginx: master") || name.ends_with("/dnsmasq"))
    };
    let mut found = node.processes(is_one);
    found.sort_unstable();
    found
}

/// Returns what dnsmasq has given to whom until when.
pub(super) fn leases(node: &Node) -> Result<String, LabError> {
    Ok(node.run("cat", &["/var/lib/dlan/dnsmasq.leases"])?)
}

/// Questions to a name server, one after the other, each asked once.
struct Questions {
    end: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, Vec<String>)>,
}

impl Questions {
    fn start(from: &Node, server: &str) -> Result<Self, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("questions to {server}: {why}"));
        let socket = from.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect((server, 53))?;
            // As long as a machine may be away; an answer that is lost never comes.
            socket.set_read_timeout(Some(Duration::from_secs(20)))?;
            Ok(socket)
        })?;
        let socket = socket.map_err(broken)?;
        let end = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let (mut asked, mut unanswered) = (0_usize, Vec::new());
            while !is_over.load(Ordering::SeqCst) {
                asked += 1;
                if let Err(error) = ask(&socket, u16::try_from(asked % 65536).unwrap_or_default()) {
                    unanswered.push(format!("number {asked}: {error}"));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            (asked, unanswered)
        });
        Ok(Self { end, thread })
    }

    /// Returns how many were asked, and what became of those that were not answered.
    fn stop(self) -> (usize, Vec<String>) {
        self.end.store(true, Ordering::SeqCst);
        self.thread.join().unwrap_or_else(|_| (0, vec!["the asking ended in a panic".to_owned()]))
    }
}

/// Asks for the address of `h11.r1.lan` under this number.
fn ask(socket: &UdpSocket, number: u16) -> std::io::Result<()> {
    let mut question = number.to_be_bytes().to_vec();
    question.extend(*b"\x01\0\0\x01\0\0\0\0\0\0\x03h11\x02r1\x03lan\0\0\x01\0\x01");
    socket.send(&question)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let heard = answer.get(..length).unwrap_or_default();
    // The number, an answer without an error, and one address in it.
    match heard {
        [a, b, _, flags, _, _, 0, 1, ..] if [*a, *b] == number.to_be_bytes() && flags & 0xf == 0 => Ok(()),
        _ => Err(std::io::Error::other(format!("{heard:02x?}"))),
    }
}

/// Returns a configuration with links to neighbors of these host ids, none of which exists.
pub fn many_links(text: &str, ids: impl IntoIterator<Item = u16>) -> String {
    let links = ids.into_iter().map(|id| link(id, ""));
    std::iter::once(text.to_owned()).chain(links).collect()
}

/// Returns the sections of services on these ports, all of one host.
pub fn many_services(ports: impl IntoIterator<Item = u16>, host: IpAddr) -> String {
    ports.into_iter().map(|port| service(port, &host, "")).collect()
}

/// Returns the section of a link to a neighbor that does not exist: its key is one that nobody has.
fn link(id: u16, options: &str) -> String {
    let mut octets = [0_u8; 32];
    octets.iter_mut().zip(id.to_be_bytes().into_iter().cycle()).for_each(|(octet, part)| *octet = part);
    let mut text = format!("\nconfig link 'n{id}'\n\toption host_id '{id}'\n");
    // Writing to a String cannot fail.
    let _ = write!(text, "\toption public_key '{}'\n{options}", BASE64.encode(octets));
    text
}

/// What a router has of its links.
struct Seen {
    /// Devices with their numbers, addresses, routes, rules, settings: a line each.
    lines: Vec<String>,
    forwarding: Vec<String>,
    peers: Peers,
    counters: BTreeMap<String, u64>,
}

impl Seen {
    fn take(node: &Node) -> Result<Self, LabError> {
        let is_link = |line: &&String| !line.starts_with("nftables ") && !line.starts_with("file ");
        let lines = Snapshot::take(node)?.lines().filter(is_link).cloned().collect();
        let forwarding = node.run("bridge", &["fdb", "show"])?.lines().map(str::to_owned).collect();
        let devices = node.run("sh", &["-c", "grep -H . /sys/class/net/dlan-*/statistics/[rt]x_packets"])?;
        let count = |line: &str| {
            let (path, value) = line.rsplit_once(':')?;
            Some((path.to_owned(), value.trim().parse().ok()?))
        };
        let mut counters: BTreeMap<String, u64> = devices.lines().filter_map(count).collect();
        let mut peers = wireguard::peers(node)?;
        for (key, peer) in &mut peers {
            for name in ["rx_bytes", "tx_bytes", "last_handshake_time_sec", "last_handshake_time_nsec"] {
                let value = peer.remove(name).and_then(|value| value.parse().ok());
                counters.extend(
                    value
                        .filter(|_| name != "last_handshake_time_nsec")
                        .map(|value| (format!("{key} {name}"), value)),
                );
            }
        }
        Ok(Self { lines, forwarding, peers, counters })
    }

    /// Returns what is gone, other than it was, or counts from the beginning.
    fn touched(&self, after: &Self) -> Vec<String> {
        let lines = self.lines.iter().filter(|line| !after.lines.contains(line)).cloned();
        let forwarding = self.forwarding.iter().filter(|line| !after.forwarding.contains(line)).cloned();
        let peers = self.peers.iter().filter(|(key, peer)| after.peers.get(*key) != Some(peer));
        let peers =
            peers.map(|(key, peer)| format!("peer {key}: {peer:?}, after {:?}", after.peers.get(key)));
        let fell = self
            .counters
            .iter()
            .filter(|(name, value)| after.counters.get(*name).is_none_or(|now| now < value));
        let fell = fell.map(|(name, value)| format!("{name}: {value}, after {:?}", after.counters.get(name)));
        lines.chain(forwarding).chain(peers).chain(fell).collect()
    }
}
