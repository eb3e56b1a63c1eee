//! The engine beside BIRD and FRR over plain cables: every authentication, every family, default and fast timers at once.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command;
use crate::error::LabError;
use crate::foreign::{Algorithm, Authentication, Bfd, Link, Maker, Plan};
use crate::lab::{read_file, write_file};
use crate::node::{Node, own_program};
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::speaker::{self, State};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "plain-cables",
    claim: "Over plain cables the engine is Full with BIRD in both families, bare and with each HMAC, and with FRR in IPv6, with default and with fast timers; routes go both ways, and what FRR does otherwise is refused by its name.",
    topology: "mixed",
    run: plain_cables,
}];

const LIMIT: Duration = Duration::from_secs(60);
/// The node in the middle, and where its orders and its state are.
const HUB: &str = "hub";
const ORDERS: &str = "/run/speaker.json";
const STATE: &str = "/run/speaker.state";
const SECRET: &str = "plain-cables-secret";
const FAST: (u16, u16) = (1, 4);
const DEFAULT: (u16, u16) = (10, 40);
/// What the hub advertises, in either family.
const HUB_PREFIXES: [&str; 2] = ["fd65:aa::/64", "10.65.250.0/24"];

/// A far end, and what is expected of it.
struct Row {
    name: &'static str,
    maker: Maker,
    intervals: (u16, u16),
    algorithm: Option<Algorithm>,
    instance: Option<u8>,
    expected: Expected,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    BothFamilies,
    Ipv6,
    /// Nothing but refusals of this name, in this family.
    Refused(&'static str, &'static str),
}

const fn row(name: &'static str, maker: Maker, intervals: (u16, u16), expected: Expected) -> Row {
    Row { name, maker, intervals, algorithm: None, instance: None, expected }
}

const fn bird(name: &'static str, algorithm: Algorithm) -> Row {
    Row { algorithm: Some(algorithm), ..row(name, Maker::Bird, FAST, Expected::BothFamilies) }
}

const ROWS: [Row; 10] = [
    row("b-bare", Maker::Bird, FAST, Expected::BothFamilies),
    row("b-slow", Maker::Bird, DEFAULT, Expected::BothFamilies),
    bird("b-sha1", Algorithm::Sha1),
    bird("b-sha256", Algorithm::Sha256),
    bird("b-sha384", Algorithm::Sha384),
    bird("b-sha512", Algorithm::Sha512),
    row("f-bare", Maker::Frr, FAST, Expected::Ipv6),
    row("f-slow", Maker::Frr, DEFAULT, Expected::Ipv6),
    Row {
        algorithm: Some(Algorithm::Sha256),
        ..row("f-sha256", Maker::Frr, FAST, Expected::Refused("ipv6", "authentication-protocol-id"))
    },
    Row { instance: Some(64), ..row("f-64", Maker::Frr, FAST, Expected::Refused("ipv4", "address-family")) },
];

fn plain_cables(stage: &mut Stage) -> Result<(), LabError> {
    let start =
        |name: &str| Node::start(&stage.lab.topology.name, name, &stage.lab.file("etc").join(name), "");
    let hub = start(HUB)?;
    let mut far = Vec::new();
    for row in &ROWS {
        far.push(start(row.name)?);
    }
    let result = try_all(stage, &hub, &far);
    for node in far.iter().chain([&hub]) {
        node.end();
    }
    result
}

fn try_all(stage: &mut Stage, hub: &Node, far: &[Node]) -> Result<(), LabError> {
    hub.ip(&["link set lo up".to_owned()])?;
    for (number, (row, node)) in ROWS.iter().zip(far).enumerate() {
        plug(hub, node, row.name, number + 1)?;
        row.maker.start(node, &plan(row, number + 1))?;
    }
    let begun = Instant::now();
    start_speaker(hub)?;
    for (number, (row, node)) in ROWS.iter().zip(far).enumerate() {
        judge(hub, node, row, number + 1)?;
        stage.saw(format!("{}: as expected after {:.1} s at most", row.name, begun.elapsed().as_secs_f64()));
    }
    let state = state(hub)?;
    let kept =
        ROWS.iter().filter(|row| row.expected == Expected::BothFamilies || row.expected == Expected::Ipv6);
    for row in kept {
        let links = state.links.get("ipv6").and_then(|links| links.get(&device(row.name)));
        let full = links.is_some_and(|link| link.neighbor == "Full");
        claim(full, || format!("{} did not stay Full: {links:?}", row.name))?;
    }
    Ok(())
}

/// Joins the hub and a far end by a cable, with addresses of both families at either end.
fn plug(hub: &Node, far: &Node, name: &str, number: usize) -> Result<(), LabError> {
    let (near_pid, far_pid) = (hub.pid.to_string(), far.pid.to_string());
    let near_device = device(name);
    let mut cable = Command::new("ip");
    cable.args([
        "link",
        "add",
        &near_device,
        "netns",
        &near_pid,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        &far_pid,
    ]);
    command::run(&mut cable, "")?;
    for (node, device, end) in [(hub, near_device.as_str(), 1), (far, "eth0", 2)] {
        node.ip(&[
            "link set lo up".to_owned(),
            format!("link set {device} addrgenmode none"),
            format!("link set {device} up"),
            format!("addr add fe80::{number:x}:{end}/64 dev {device} nodad"),
            format!("addr add 10.65.{number}.{end}/30 dev {device}"),
        ])?;
    }
    let loopbacks = [
        format!("addr add {} dev lo", loopback(number, true)),
        format!("addr add {} dev lo", loopback(number, false)),
    ];
    far.ip(&loopbacks)?;
    Ok(())
}

fn device(name: &str) -> String {
    format!("v-{name}")
}

/// Returns a far end's own address, which it advertises.
fn loopback(number: usize, is_ipv6: bool) -> String {
    if is_ipv6 { format!("fd65::{number:x}/128") } else { format!("10.65.251.{number}/32") }
}

fn plan(row: &Row, number: usize) -> Plan {
    let authentication =
        row.algorithm.map(|algorithm| Authentication { algorithm, secret: SECRET.to_owned() });
    let link = Link {
        device: "eth0".to_owned(),
        cost: 10,
        intervals: row.intervals,
        authentication,
        instance: row.instance,
    };
    let host = u8::try_from(number).unwrap_or(u8::MAX);
    // The engine in the middle answers no BFD: an adjacency does not wait for a session.
    let bfd = row.algorithm.is_none().then_some(Bfd { interval_ms: 300, multiplier: 3 });
    Plan { links: vec![link], bfd, ..Plan::new([10, 65, 251, host].into()) }
}

fn start_speaker(hub: &Node) -> Result<(), LabError> {
    let link = |row: &Row| speaker::Link {
        device: device(row.name),
        intervals: row.intervals,
        authentication: row.algorithm.map(|algorithm| (algorithm.bits(), SECRET.to_owned())),
    };
    let orders = speaker::Orders {
        router_id: 0x0a41_fa01,
        prefixes: HUB_PREFIXES.iter().filter_map(|prefix| prefix.parse().ok()).collect(),
        links: ROWS.iter().map(link).collect(),
        state: STATE.into(),
    };
    write_file(&hub.path(ORDERS), &serde_json::to_string(&orders).unwrap_or_default())?;
    let mut command = hub.command(&own_program()?.to_string_lossy(), &["speak", ORDERS]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|source| LabError::Node {
        node: HUB.to_owned(),
        why: format!("cannot start the speaker: {source}"),
    })
}

fn state(hub: &Node) -> Result<State, LabError> {
    let text = read_file(&hub.path(STATE))?;
    serde_json::from_str(&text).map_err(|error| LabError::Asked(format!("the speaker's state: {error}")))
}

fn judge(hub: &Node, far: &Node, row: &Row, number: usize) -> Result<(), LabError> {
    let families: &[bool] = match row.expected {
        Expected::BothFamilies => &[true, false],
        Expected::Ipv6 => &[true],
        Expected::Refused(name, refusal) => {
            return wait::until(LIMIT, &format!("{} to be refused for {refusal}", row.name), || {
                let state = state(hub).map_err(|error| error.with_causes())?;
                let link = state.links.get(name).and_then(|links| links.get(&device(row.name)));
                let refused = link.is_some_and(|link| link.refused.iter().any(|it| it == refusal));
                if refused { Ok(()) } else { Err(format!("{link:?}")) }
            });
        }
    };
    for &is_ipv6 in families {
        let what = format!("{} to be Full and routed both ways, {}", row.name, family(is_ipv6));
        wait::until(LIMIT, &what, || {
            let state = state(hub).map_err(|error| error.with_causes())?;
            let name = if is_ipv6 { "ipv6" } else { "ipv4" };
            let link = state.links.get(name).and_then(|links| links.get(&device(row.name)));
            if link.is_none_or(|link| link.neighbor != "Full") {
                return Err(format!("{link:?}"));
            }
            let prefix = loopback(number, is_ipv6).parse().map_err(|_| "no prefix".to_owned())?;
            let hops = state.routes.get(&prefix);
            if hops.is_none_or(|hops| *hops != [device(row.name)]) {
                return Err(format!("{prefix} leaves by {hops:?}"));
            }
            let (option, hubs) = if is_ipv6 { ("-6", HUB_PREFIXES[0]) } else { ("-4", HUB_PREFIXES[1]) };
            let there = far.run("ip", &[option, "route", "show", hubs]).map_err(|error| error.to_string())?;
            if there.contains("eth0") { Ok(()) } else { Err(format!("it has no route to {hubs}")) }
        })?;
    }
    Ok(())
}
