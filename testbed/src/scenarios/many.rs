//! A router with fifty links: what changes at one is nothing to the others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::LabError;
use crate::lab::read_file;
use crate::node::Node;
use crate::ping::PingRun;
use crate::scenarios::{Scenario, Stage, claim};
use crate::snapshot::Snapshot;
use crate::wait;
use crate::wireguard::{self, Peers};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "fifty-links",
    claim: "Adding, changing and removing one link among fifty leaves device, peer, counters, addresses, forwarding entries, routes and adjacency of every other one as they were, and loses no packet.",
    topology: "two",
    run: fifty_links,
}];

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

/// Returns a configuration with links to neighbors of these host ids, none of which exists.
pub fn many_links(text: &str, ids: impl IntoIterator<Item = u16>) -> String {
    let links = ids.into_iter().map(|id| link(id, ""));
    std::iter::once(text.to_owned()).chain(links).collect()
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
