//! The filter as nftables takes it: golden tables, loaded into a namespace of their own, and texts that try to be more than
//! names. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use dlan_agent::config::{Source, parse};
use dlan_agent::desired::{RoutingInput, boot_ruleset, desired};
use dlan_agent::render::nftables::{self, holds_private, sets_of};
use dlan_agent::state::State;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::route::RouteAction;
use dlan_agent::state::ruleset::Ruleset;
use dlan_agent::zones::FarZones;
use fixture::{CONFIG, config, config_of, facts, routing};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

const ROUTES: &[(&str, &[(&str, &str)])] = &[
    ("0.0.0.0/0", &[("dlan-vx4", "fe80::4:1")]),
    ("10.2.4.0/24", &[("dlan-vx4", "fe80::4:1")]),
    ("10.2.8.0/24", &[("dlan-vx4", "fe80::4:1")]),
    ("fd79:4::/64", &[("dlan-vx4", "fe80::4:1")]),
    ("fd79:8::/64", &[("dlan-vx4", "fe80::4:1")]),
];

const CLOSED: &str = "\toption input 'drop'\n\toption ssh '2222'\n\tlist open 'tcp 8443'\n\tlist open 'udp 5000-5010'\n\toption masquerade '1'\n";

const ZONES: &str = "
config lan 'guests'
	option device 'guest0'
	option ipv4 '10.2.9.1/24'
	option ipv6 'fd79:9::1/64'
	option zone 'isolated'
config lan 'eyes'
	option device 'eyes0'
	option ipv4 '10.2.7.1/24'
	option zone 'cameras'
config zone 'isolated'
	list reach 'wan'
	list allow '10.2.4.16 tcp 443'
	list allow 'fd79:4::16 udp 5000-5010'
	list allow '10.2.5.0/24'
config zone 'cameras'
	list reach 'internal'
	list reach 'cameras'
";

const SERVICES: &str = "
config service 'web'
	option protocol 'tcp'
	list listen '*:443'
	list upstream '10.2.4.16:443'
config service 'game'
	option protocol 'udp'
	list listen '192.0.2.7:27015'
	list upstream '10.2.4.16:27015'
";

fn with_wan(options: &str) -> String {
    CONFIG.replace("\toption device 'wan0'\n", &format!("\toption device 'wan0'\n{options}"))
}

/// Router 1's table, where the prefixes with an 8 in them are said to be of the zone `cameras`.
fn table(text: &str) -> Ruleset {
    table_after(text, false)
}

/// The same while nothing was heard of the mesh, or after that.
fn table_after(text: &str, is_unheard: bool) -> Ruleset {
    let config = config_of(text);
    let cameras = || BTreeSet::from(["cameras".to_owned()]);
    let claimed = ["10.2.8.0/24", "fd79:8::/64"].map(|prefix| (prefix.parse().unwrap(), cameras()));
    let zones = FarZones { claimed: claimed.into(), standing: None };
    let routing = RoutingInput { zones, is_unheard, ..routing(ROUTES) };
    desired(&config, &facts(&config), &routing, &State::default()).unwrap().ruleset.unwrap()
}

/// Loads tables, one in the other's place, in a namespace of their own, and lists what stands at last.
fn loaded(tables: &[Ruleset]) -> String {
    assert!(nix::unistd::Uid::effective().is_root(), "this test needs root: it makes a network namespace");
    let mut transactions = String::new();
    for table in tables {
        let added: Vec<Value> =
            table.objects.iter().map(|object| serde_json::json!({"add": object})).collect();
        transactions.push_str(&serde_json::json!({"nftables": added}).to_string());
        transactions.push('\n');
    }
    let script = "set -e; while read -r line; do nft flush ruleset; printf %s \"$line\" | nft -j -f -; done; nft -s list ruleset";
    let mut child = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare, of util-linux");
    child.stdin.take().unwrap().write_all(transactions.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_router_with_nothing_but_the_default() {
    insta::assert_snapshot!(loaded(&[table(CONFIG)]));
}

#[test]
fn a_closed_wan_with_openings() {
    insta::assert_snapshot!(loaded(&[table(&format!("{}{SERVICES}", with_wan(CLOSED)))]));
}

#[test]
fn a_translator_between_ipv6_and_ipv4() {
    let nat64 = "config names 'names'\n\toption dns64_prefix 'fd64::/96'\nconfig nat64 'nat64'\n";
    let table = loaded(&[table(&format!("{}{ZONES}{nat64}", with_wan(CLOSED)))]);
    let lines: Vec<&str> =
        table.lines().filter(|line| line.contains("nat64") || line.contains("192.168.255")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn hosts_of_a_lan_with_dns64_are_answered_by_the_agent_over_udp_and_tcp_and_both_families() {
    let lan = "\toption ipv6 'fd79:1::1/64'\n";
    let table = loaded(&[table(&CONFIG.replace(lan, &format!("{lan}\toption dns64 '1'\n")))]);
    let lines: BTreeSet<&str> =
        table.lines().map(str::trim).filter(|line| line.contains("dnat ip")).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for transport in ["udp", "tcp"] {
        for to in ["ip to 10.2.1.1:5354", "ip6 to [fd79:1::1]:5354"] {
            let is_it = |line: &&&str| {
                line.contains(&format!("{transport} dport 53 ")) && line.ends_with(&format!("dnat {to}"))
            };
            assert!(lines.iter().any(|line| is_it(&line)), "{transport} {to}: {lines:?}");
        }
    }
}

#[test]
fn zones_here_and_elsewhere() {
    insta::assert_snapshot!(loaded(&[table(&format!("{}{ZONES}", with_wan("")))]));
}

#[test]
fn while_nothing_was_heard_of_the_mesh_nothing_private_is_forwarded_to_a_wan_but_to_what_is_on_it() {
    let on_wan = |facts: &mut Facts| {
        let wan = facts.wans.get_mut("wan0").unwrap();
        wan.prefixes.insert("10.64.3.0/24".parse().unwrap());
    };
    let config = config();
    let mut facts = facts(&config);
    on_wan(&mut facts);
    let unheard = RoutingInput { is_unheard: true, ..RoutingInput::default() };
    let table = desired(&config, &facts, &unheard, &State::default()).unwrap().ruleset.unwrap();
    let loaded = loaded(&[table]);
    let chain = loaded.split("chain unheard {").nth(1).unwrap().split('}').next().unwrap();
    insta::assert_snapshot!(chain);
    assert!(loaded.contains("oifname \"wan0\" jump unheard"), "{loaded}");
}

#[test]
fn nothing_private_is_held_back_once_the_mesh_was_heard_or_where_there_is_none_or_where_it_is_said_what_is_inside()
 {
    assert!(holds_private(&table_after(CONFIG, true)));
    assert!(!holds_private(&table_after(CONFIG, false)));
    let alone = CONFIG.split("config link").next().unwrap();
    assert!(!holds_private(&table_after(alone, true)));
    let said = CONFIG.replace("\toption name 'r1'\n", "\toption name 'r1'\n\tlist inside '10.2.0.0/16'\n");
    assert!(!holds_private(&table_after(&said, true)));
}

#[test]
fn what_is_said_to_be_inside_is_kept_off_the_wan_from_boot_on_but_for_what_is_on_the_wan() {
    let inside = "\tlist inside '10.64.0.0/14'\n\tlist inside 'fd79::/16'\n";
    let config = config_of(&CONFIG.replace("\toption name 'r1'\n", &format!("\toption name 'r1'\n{inside}")));
    let inside_of = |ruleset: &Ruleset| -> BTreeSet<String> {
        nftables::inside_of(ruleset).iter().map(ToString::to_string).collect()
    };
    let boot = inside_of(&boot_ruleset(&config).unwrap());
    assert!(boot.contains("10.64.0.0/14") && boot.contains("fd79::/16"), "{boot:?}");
    let mut facts = facts(&config);
    facts.wans.get_mut("wan0").unwrap().prefixes.insert("10.65.0.0/16".parse().unwrap());
    let state = desired(&config, &facts, &RoutingInput::default(), &State::default()).unwrap();
    let inside = inside_of(state.ruleset.as_ref().unwrap());
    assert!(inside.contains("10.64.0.0/16") && inside.contains("10.66.0.0/15"), "{inside:?}");
    assert!(!inside.iter().any(|net| net.starts_with("10.65.")), "{inside:?}");
    let guard = state.routes.iter().find(|(key, _)| key.prefix.to_string() == "10.64.0.0/14").unwrap();
    assert_eq!(guard.1.action, RouteAction::Unreachable);
}

#[test]
fn no_chain_holds_anything_up_by_its_policy() {
    // A policy of a new chain holds before its rules do: with any but accept a replacement would cost packets.
    let text = format!("{}{ZONES}", with_wan(CLOSED));
    let objects = table(&text).objects;
    let chains = objects.iter().filter_map(|object| object.get("chain").cloned());
    let policies: BTreeSet<String> =
        chains.filter_map(|chain| Some(chain.get("policy")?.as_str()?.to_owned())).collect();
    assert_eq!(policies, BTreeSet::from(["accept".to_owned()]));
}

#[test]
fn protocols_are_said_by_number_for_a_system_without_a_list_of_their_names() {
    let text = format!("{}{ZONES}{SERVICES}", with_wan(CLOSED));
    let objects = table(&text).objects;
    let rules = objects.iter().filter_map(|object| object.pointer("/rule/expr")?.as_array());
    let asked: Vec<_> = rules
        .flatten()
        .filter_map(|part| part.get("match"))
        .filter(|part| {
            let left = &part["left"];
            left["payload"]["field"] == "protocol" || left["meta"]["key"] == "l4proto"
        })
        .collect();
    assert!(asked.len() >= 3, "OSPF's, and IGMP's to the WAN and to a zone: {asked:?}");
    assert!(asked.iter().all(|part| part["right"].is_u64()), "{asked:?}");
}

#[test]
fn transit_is_never_asked_for_its_connection() {
    // Every rule that asks connection tracking is for a WAN or a LAN held to a zone: what passes between links is not.
    let text = format!("{}{ZONES}", with_wan(CLOSED));
    let asks = |rule: &Value| rule.to_string().contains("\"ct\"");
    for object in
        table(&text).objects.iter().filter_map(|object| object.get("rule")).filter(|rule| asks(rule))
    {
        let chain = object["chain"].as_str().unwrap();
        let by_wan = object["expr"][0].to_string().contains("wan0");
        assert!(by_wan || chain == "wan_input" || chain.starts_with("zone_"), "{object}");
    }
}

#[test]
fn the_sets_of_zones_are_read_back_from_a_table() {
    let sets = sets_of(&table(&format!("{CONFIG}{ZONES}")));
    let nets = |zone: &str| sets[zone].iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(nets("cameras"), ["10.2.7.0/24", "10.2.8.0/24", "fd79:8::/64"]);
    assert!(nets("internal").contains(&"10.2.4.0/24".to_owned()), "{sets:?}");
    assert_eq!(sets.len(), 2);
}

#[test]
fn the_filter_of_the_boot_knows_what_the_configuration_says_and_no_more() {
    let text = format!("{}{ZONES}", with_wan(CLOSED));
    let boot = boot_ruleset(&config_of(&text)).unwrap();
    let of = |ruleset: &Ruleset, chain: &str| -> Vec<Value> {
        let rules = ruleset.objects.iter().filter_map(|object| object.get("rule"));
        rules.filter(|rule| rule["chain"] == chain).cloned().collect()
    };
    for chain in ["prerouting", "input", "forward", "wan_input", "zone_isolated", "masquerade"] {
        assert_eq!(of(&boot, chain), of(&table_after(&text, true), chain), "{chain}");
    }
    assert!(holds_private(&boot), "what is the mesh's is not known yet");
    assert!(!sets_of(&boot)["internal"].contains(&"10.2.4.0/24".parse().unwrap()));
    loaded(&[boot]);
}

/// Returns every text in a table that is not one of libnftables' words.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|inner| texts(inner, found)),
        Value::Object(map) => map.values().for_each(|inner| texts(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_harmless(text: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+:".contains(c))
    };
    let operator = ["==", "!=", "&", "|"].contains(&text);
    operator || text == "dlan-vx*" || plain(text) || text.strip_prefix('@').is_some_and(plain)
}

/// A text that may stand for a name: anything, and what means something to nftables.
fn name() -> impl Strategy<Value = String> {
    let special = [
        "@inside4",
        "eth*",
        "*",
        "\"",
        "a\\*",
        "$wan",
        "{ eth0, eth1 }",
        "x;flush ruleset",
        "-j",
        "dlan-vx9",
    ];
    prop_oneof![
        2 => "[a-z][a-z0-9_]{0,14}",
        1 => "\\PC{1,15}",
        1 => prop::sample::select(special.to_vec()).prop_map(str::to_owned),
        1 => "[a-z0-9@*\"'{};$\\\\ .:/-]{1,15}",
    ]
}

/// What stands for names and openings in a configuration that is accepted.
const VALID: [&str; 8] =
    ["wan0", "lan0", "guests", "cameras", "lan_1", "lan", "tcp 8443", "10.2.4.16 tcp 443"];

/// Configurations with such texts in the place of some name or opening, or of any two.
fn configurations() -> impl Strategy<Value = String> {
    let odd = || prop_oneof![3 => name(), 1 => "[0-9a-f.:/ tcpud-]{1,20}"];
    let places = (0..VALID.len(), 0..VALID.len(), any::<bool>());
    (places, odd(), odd()).prop_map(|((one, other, are_two), odd, another)| {
        let mut texts = VALID.map(str::to_owned);
        texts[one] = odd;
        if are_two {
            texts[other] = another;
        }
        let [wan, lan, zone, reach, section, domain, open, allow] = texts.map(|text| text.replace('\'', "'\\''"));
        format!(
            "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\n\toption domain '{domain}'\nconfig wan 'wan0'\n\
             \toption device '{wan}'\n\toption input 'drop'\n\tlist open '{open}'\nconfig lan '{section}'\n\
             \toption device '{lan}'\n\toption zone '{zone}'\nconfig zone '{zone}'\n\tlist reach '{reach}'\n\
             \tlist allow '{allow}'\nconfig zone '{reach}'\n"
        )
    })
}

/// Returns the table of a configuration; `None` of one that is refused.
fn accepted(text: &str) -> Option<Ruleset> {
    let loaded = parse(Source { file: "dlan", text, hostname: "r1" }).ok()?;
    let facts = facts(&loaded.config);
    desired(&loaded.config, &facts, &routing(ROUTES), &State::default()).unwrap().ruleset
}

proptest! {
    #[test]
    fn no_name_is_more_than_a_name(text in configurations()) {
        let mut found = BTreeSet::new();
        for object in accepted(&text).iter().flat_map(|ruleset| ruleset.objects.iter()) {
            texts(object, &mut found);
        }
        for text in found {
            prop_assert!(is_harmless(&text), "{text:?}");
        }
    }
}

#[test]
fn nftables_takes_every_table_that_such_names_end_up_in() {
    let mut runner = TestRunner::deterministic();
    let tried = (0..120).map(|_| configurations().new_tree(&mut runner).unwrap().current());
    let tables: Vec<Ruleset> = tried.filter_map(|text| accepted(&text)).collect();
    assert!(tables.len() >= 10, "{} tables only", tables.len());
    let last = loaded(&tables);
    assert!(last.contains("table inet dlan"), "{last}");
}
