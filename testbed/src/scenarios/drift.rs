//! Somebody changes what is dlan's, and it is repaired; what is somebody else's stays.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::error::LabError;
use crate::lab::read_file;
use crate::node::Node;
use crate::scenarios::lifecycle::FOREIGN;
use crate::scenarios::{Scenario, Stage, claim};
use crate::snapshot::Snapshot;
use crate::wait;
use crate::wireguard;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "drift",
    claim: "Whatever of dlan's somebody takes away or changes is put back, with a line in the log for each; what is somebody else's is left alone.",
    topology: "two",
    run: drift,
}];

const LIMIT: Duration = Duration::from_secs(60);
const ROUTER: &str = "r1";

/// What somebody does, as a line for the shell; how to see that it is undone, which succeeds then; and what the log names.
struct Act {
    what: &'static str,
    done: &'static str,
    repaired: &'static str,
    told: &'static str,
}

const fn act(what: &'static str, done: &'static str, repaired: &'static str, told: &'static str) -> Act {
    Act { what, done, repaired, told }
}

/// A learned route's group, and one of its ways.
const ACTS: &[Act] = &[
    act("a link's device deleted", "ip link del dlan-vx2", "ip link show dlan-vx2", "dlan-vx2"),
    act(
        "the WireGuard device deleted",
        "ip link del dlan-wg",
        "ip link show dlan-wg && ip link show dlan-vx2",
        "dlan-wg",
    ),
    act(
        "a device set down",
        "ip link set dlan-vx2 down",
        "ip link show dlan-vx2 | grep -q '[<,]UP[,>]'",
        "dlan-vx2",
    ),
    act(
        "another MTU",
        "ip link set dlan-vx2 mtu 1300",
        "ip link show dlan-vx2 | grep -q 'mtu 1370'",
        "dlan-vx2",
    ),
    act(
        "a link's address taken",
        "ip addr del $(ip -4 -o addr show dlan-vx2 | awk '{print $4}') dev dlan-vx2",
        "ip -4 -o addr show dlan-vx2 | grep -q inet",
        "dlan-vx2",
    ),
    act(
        "a remote end taken",
        "bridge fdb del 00:00:00:00:00:00 dev dlan-vx2 dst $(bridge fdb show dev dlan-vx2 | awk '/^00:00:00:00:00:00/ {print $3; exit}')",
        "bridge fdb show dev dlan-vx2 | grep -q '^00:00:00:00:00:00.* dst '",
        "dlan-vx2",
    ),
    act(
        "the identity's address taken",
        "ip addr del $(ip -4 -o addr show lo to 10.0.0.0/8 | awk '{print $4; exit}') dev lo",
        "ip -4 -o addr show lo to 10.0.0.0/8 | grep -q inet",
        "dev lo",
    ),
    act(
        "a learned route deleted",
        "ip route del table 141 10.2.2.0/24 metric 32",
        "ip route show table 141 10.2.2.0/24 metric 32 | grep -q nhid",
        "10.2.2.0/24",
    ),
    act(
        "a learned route changed",
        "ip route replace table 141 10.2.2.0/24 metric 32 dev lo proto 141",
        "ip route show table 141 10.2.2.0/24 metric 32 | grep -q nhid",
        "10.2.2.0/24",
    ),
    act(
        "an unreachable route deleted",
        "ip -6 route del table 141 unreachable $(ip -6 route show table 141 type unreachable | awk '{print $2; exit}') metric 9999",
        "test $(ip -6 route show table 141 type unreachable | wc -l) -gt 2",
        "route",
    ),
    act(
        "a next hop object deleted",
        "ip nexthop del id $(ip nexthop show protocol 141 | awk '/via/ {print $2; exit}')",
        "ip route show table 141 10.2.2.0/24 metric 32 | grep -q nhid",
        "next hop",
    ),
    act(
        "a next hop object changed",
        "ip nexthop replace id $(ip nexthop show protocol 141 | awk '/via/ {print $2; exit}') via fe80::dead dev dlan-vx2 protocol 141",
        "! ip nexthop show | grep -q fe80::dead",
        "next hop",
    ),
    act("a rule deleted", "ip -6 rule del pref 30142", "ip -6 rule show pref 30142 | grep -q lookup", "rule"),
    act(
        "forwarding switched off",
        "echo 0 > /proc/sys/net/ipv4/ip_forward",
        "grep -q 1 /proc/sys/net/ipv4/ip_forward",
        "ip_forward",
    ),
    act(
        "a device's setting changed",
        "echo 1 > /proc/sys/net/ipv4/conf/dlan-vx2/send_redirects",
        "grep -q 0 /proc/sys/net/ipv4/conf/dlan-vx2/send_redirects",
        "send_redirects",
    ),
    act(
        "redirects sent on every device",
        "echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects",
        "grep -q 0 /proc/sys/net/ipv4/conf/all/send_redirects",
        "all/send_redirects",
    ),
    act(
        "another hash over flows",
        "echo 0 > /proc/sys/net/ipv6/fib_multipath_hash_policy",
        "grep -q 1 /proc/sys/net/ipv6/fib_multipath_hash_policy",
        "fib_multipath_hash_policy",
    ),
    act("the nftables table deleted", "nft delete table inet dlan", "nft list table inet dlan", "inet dlan"),
    act(
        "the nftables table emptied",
        "nft flush table inet dlan",
        "nft list table inet dlan | grep -q drop",
        "inet dlan",
    ),
    act(
        "a rule in the nftables table",
        "nft add chain inet dlan strange '{ type filter hook input priority 9 ; }'",
        "! nft list table inet dlan | grep -q strange",
        "inet dlan",
    ),
    act(
        "a managed file deleted",
        "rm /etc/iproute2/rt_tables.d/dlan.conf",
        "grep -q dlan /etc/iproute2/rt_tables.d/dlan.conf",
        "rt_tables.d",
    ),
    act(
        "a managed file changed",
        "echo '7 seven' >> /etc/iproute2/rt_protos.d/dlan.conf",
        "! grep -q seven /etc/iproute2/rt_protos.d/dlan.conf",
        "rt_protos.d",
    ),
];

/// Lines of the shell that make more things of somebody else's, as near to dlan's as they may be.
const MORE_FOREIGN: &str = "nft add table inet foreign
nft add chain inet foreign input '{ type filter hook input priority 5 ; }'
echo 1 > /proc/sys/net/ipv4/conf/foreign0/send_redirects
echo 1 > /proc/sys/net/ipv4/conf/foreign0/rp_filter
ip nexthop add id 77 dev foreign0
echo '77 foreign' > /etc/iproute2/rt_tables.d/foreign.conf
ip route add 10.79.9.0/24 dev foreign0 table 141 proto static
";

fn drift(stage: &mut Stage) -> Result<(), LabError> {
    let node = stage.lab.node(ROUTER)?.clone();
    let lines = FOREIGN.lines().map(|line| format!("ip {line}"));
    for line in lines.chain(MORE_FOREIGN.lines().map(str::to_owned)) {
        node.run("sh", &["-c", &line])?;
    }
    wait_until_heard(stage)?;
    wait_until_whole(stage, &node, "true")?;
    let before = foreign(&node)?;
    claim(before.len() >= 15, || format!("too little of somebody else's: {before:?}"))?;
    let mut seen = Vec::new();
    for act in ACTS {
        // A link that was taken apart for a moment may have lost its neighbor: what leads over it is nobody's loss then.
        stage.lab.wait_for_adjacencies(LIMIT)?;
        stage.lab.wait_for_routes(LIMIT)?;
        let told = log_lines(stage)?.len();
        let begun = Instant::now();
        node.run("sh", &["-c", act.done])?;
        let took = repaired(stage, &node, act, (told, begun))?;
        seen.push((took, act.what));
    }
    for (act, request) in peers(stage)? {
        let told = log_lines(stage)?.len();
        let begun = Instant::now();
        let answer = wireguard::tell(&node, &request)?;
        claim(answer.contains("errno=0"), || format!("WireGuard says {answer:?}"))?;
        let took = repaired(stage, &node, &act, (told, begun))?;
        seen.push((took, act.what));
    }
    let told = taken_place(stage, &node)?;
    let after = foreign(&node)?;
    claim(before == after, || format!("somebody else's: before {before:#?}, after {after:#?}"))?;
    seen.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let list: Vec<_> = seen.iter().map(|(took, what)| format!("{what} {took:.1} s")).collect();
    stage.saw(format!("{} kinds of drift repaired, each told in the log: {}", seen.len(), list.join(", ")));
    stage.saw(format!(
        "a stranger's route in the place of one of ours: the rest is repaired, and `dlan status` says: {told}"
    ));
    stage.saw(format!("{} things of somebody else's as they were", before.len()));
    node.run("sh", &["-c", "ip route del 10.79.9.0/24 table 141; ip nexthop del id 77; ip link del foreign-vx; ip link del foreign0; ip rule del pref 777; ip -6 rule del pref 777; nft delete table inet foreign; rm /etc/iproute2/rt_tables.d/foreign.conf"])?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Puts a stranger's route in the place of one of ours, and takes a rule away: the rule comes back, the route does not, and
/// that is said. Returns how it is said.
fn taken_place(stage: &Stage, node: &Node) -> Result<String, LabError> {
    let lines = "ip route del table 141 10.2.2.0/24 metric 32 && \
        ip route add table 141 10.2.2.0/24 metric 32 dev lo proto static && ip -6 rule del pref 30142";
    node.run("sh", &["-c", lines])?;
    let mut told = String::new();
    wait::until(LIMIT, "the repair around a stranger's route", || {
        let status = stage.lab.dlan_json(ROUTER, &["status"]).map_err(|error| error.with_causes())?;
        let problems = status.get("problems").and_then(Value::as_array).cloned().unwrap_or_default();
        let what = |problem: &Value| problem.get("what").and_then(Value::as_str).map(str::to_owned);
        let says = |words: &String| words.starts_with("another program's route stands at 10.2.2.0/24");
        told = problems.iter().filter_map(what).find(says).ok_or_else(|| format!("it says {problems:?}"))?;
        let has_rule = node.succeeds("sh", &["-c", "ip -6 rule show pref 30142 | grep -q lookup"]);
        if has_rule { Ok(()) } else { Err("the rule is not back".to_owned()) }
    })?;
    let stays = "ip route show table 141 10.2.2.0/24 metric 32 | grep -q static";
    claim(node.succeeds("sh", &["-c", stays]), || "the stranger's route is gone".to_owned())?;
    node.run("sh", &["-c", "ip route del table 141 10.2.2.0/24 metric 32 proto static"])?;
    wait_until_whole(stage, node, "true")?;
    Ok(told)
}

/// Waits until an act is undone and told; returns the seconds that it took to be undone.
fn repaired(stage: &Stage, node: &Node, act: &Act, (told, begun): (usize, Instant)) -> Result<f64, LabError> {
    wait::until(LIMIT, &format!("{}: the repair", act.what), || {
        if node.succeeds("sh", &["-c", act.repaired]) {
            Ok(())
        } else {
            Err(format!("`{}` fails", act.repaired))
        }
    })?;
    let took = begun.elapsed().as_secs_f64();
    wait::until(LIMIT, &format!("{}: a line in the log", act.what), || {
        let lines = log_lines(stage).map_err(|error| error.with_causes())?;
        let lines = lines.get(told..).unwrap_or_default();
        if lines.iter().any(|line| line.contains(act.told)) {
            Ok(())
        } else {
            Err(format!("it says {lines:?}"))
        }
    })?;
    wait_until_whole(stage, node, act.repaired)?;
    Ok(took)
}

/// Waits until the router no longer holds private addresses back: what it changes for that is no repair. The log goes back to
/// agents that ran before.
fn wait_until_heard(stage: &Stage) -> Result<(), LabError> {
    let log = stage.lab.log(ROUTER);
    wait::until(LIMIT, "word that the mesh is known", || {
        let text = read_file(&log).map_err(|error| error.with_causes())?;
        let of_this_agent = text.rsplit("agent runs").next().unwrap_or_default();
        if of_this_agent.contains("the mesh is known") {
            Ok(())
        } else {
            Err("there is none in the log".to_owned())
        }
    })
}

/// Waits until the router has nothing to do and routes are in use, so that the next act meets a router at rest.
fn wait_until_whole(stage: &Stage, node: &Node, repaired: &str) -> Result<(), LabError> {
    wait::until(LIMIT, "a router at rest", || {
        let is_settled = stage.lab.plans_nothing(ROUTER).map_err(|error| error.with_causes())?;
        let has_route =
            node.succeeds("sh", &["-c", "ip route show table 141 10.2.2.0/24 metric 32 | grep -q nhid"]);
        let is_repaired = node.succeeds("sh", &["-c", repaired]);
        match (is_settled, has_route, is_repaired) {
            (true, true, true) => Ok(()),
            seen => Err(format!("(nothing planned, routes, repaired) is {seen:?}")),
        }
    })
}

fn log_lines(stage: &Stage) -> Result<Vec<String>, LabError> {
    let log = read_file(&stage.lab.log(ROUTER))?;
    Ok(log.lines().filter(|line| line.contains("drift: ")).map(str::to_owned).collect())
}

/// Returns everything in a router that is called foreign, or goes by a device that is.
fn foreign(node: &Node) -> Result<Vec<String>, LabError> {
    let of_name = |line: &String| line.contains("foreign") && !line.contains("/stats");
    let snapshot = Snapshot::take(node)?;
    // Where in the ruleset a line stands depends on what others have there.
    let whole = |line: &String| match line.strip_prefix("nftables ") {
        Some(line) => line.split_once(' ').map_or_else(String::new, |(_, line)| format!("nftables {line}")),
        None => line.clone(),
    };
    Ok(snapshot.lines().filter(|line| of_name(line)).map(whole).collect())
}

/// Returns what somebody may tell the WireGuard device about its only peer.
fn peers(stage: &Stage) -> Result<Vec<(Act, String)>, LabError> {
    let config = stage.lab.read_config(ROUTER)?;
    let key =
        config.lines().find_map(|line| line.trim().strip_prefix("option public_key '")?.strip_suffix('\''));
    let octets = key.and_then(|key| BASE64.decode(key).ok()).unwrap_or_default();
    let key: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let answers = "ping -c1 -W1 10.1.0.2";
    Ok(vec![
        (
            act("a WireGuard peer taken", "", answers, "dlan-wg"),
            format!("set=1\npublic_key={key}\nremove=true\n\n"),
        ),
        (
            act("a WireGuard peer's addresses changed", "", answers, "dlan-wg"),
            format!("set=1\npublic_key={key}\nreplace_allowed_ips=true\nallowed_ip=10.9.9.9/32\n\n"),
        ),
    ])
}
