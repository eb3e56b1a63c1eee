//! What LANs' hosts are given on OpenWrt: what is said in its own words (golden), and what is left to others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dlan_agent::addressing;
use dlan_agent::config::Config;
use dlan_agent::desired::desired;
use dlan_agent::plan::Plan;
use dlan_agent::render::uci::{self, Unserved};
use dlan_agent::state::State;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::uci::{UciDhcp, UciFacts, UciValue};

const EVERYTHING: &str = include_str!("config/good/dhcp.conf");

/// OpenWrt with a network on each LAN's device.
fn openwrt(config: &Config) -> Facts {
    let networks =
        config.lans.iter().enumerate().map(|(index, lan)| (lan.device.clone(), format!("net{index}")));
    let found =
        UciFacts { networks: networks.collect(), taken: BTreeMap::new(), drop_ins: "/tmp/dnsmasq.d".into() };
    Facts { uci: Some(found), ..fixture::facts(config) }
}

fn render(config: &Config, facts: &Facts) -> Option<UciDhcp> {
    let identity = addressing::loopback(&config.mesh, config.mesh.host_id).unwrap();
    uci::render(config, facts, identity, &BTreeSet::new())
}

fn text(dhcp: &UciDhcp) -> String {
    let mut text = String::new();
    for (name, section) in &dhcp.sections {
        let _ = writeln!(text, "{} {name}", section.kind);
        for (option, value) in &section.options {
            let value = match value {
                UciValue::One(value) => value.clone(),
                UciValue::List(values) => format!("{values:?}"),
            };
            let _ = writeln!(text, "  {option} {value}");
        }
    }
    for (path, file) in &dhcp.files {
        let lines =
            file.text.lines().filter(|line| !line.contains(".172.in-addr") && !line.contains(".100.in-addr"));
        let _ = writeln!(text, "== {}\n{}", path.display(), lines.collect::<Vec<_>>().join("\n"));
    }
    text
}

#[test]
fn what_hosts_are_given_is_said_in_openwrts_words() {
    let config = fixture::config_of(EVERYTHING);
    insta::assert_snapshot!(text(&render(&config, &openwrt(&config)).unwrap()));
}

#[test]
fn a_network_of_which_somebody_else_says_what_hosts_are_given_is_left_to_them() {
    let config = fixture::config_of(EVERYTHING);
    let mut facts = openwrt(&config);
    facts.uci.as_mut().unwrap().taken.insert("net0".to_owned(), "lan".to_owned());
    let dhcp = render(&config, &facts).unwrap();
    assert!(!dhcp.sections.contains_key("dlan_lan0") && dhcp.sections.contains_key("dlan_lan0_host0"));
    let taken =
        Unserved::Taken { lan: "lan0".to_owned(), network: "net0".to_owned(), section: "lan".to_owned() };
    assert!(uci::unserved(&config, &facts).contains(&taken));
    facts.uci.as_mut().unwrap().networks.clear();
    let unserved = uci::unserved(&config, &facts);
    assert!(unserved.iter().any(|it| matches!(it, Unserved::NoNetwork { .. })), "{unserved:?}");
}

#[test]
fn elsewhere_there_is_nothing_and_for_lans_that_are_given_nothing_the_names_of_the_mesh() {
    let config = fixture::config_of(EVERYTHING);
    assert_eq!(render(&config, &fixture::facts(&config)), None);
    let quiet = fixture::config();
    let dhcp = render(&quiet, &openwrt(&quiet)).unwrap();
    assert!(dhcp.sections.is_empty());
    let text = text(&dhcp);
    assert!(text.contains("server=/lan/127.0.0.1#5354\n") && text.contains("10.1.1.1 r1.lan r1"), "{text}");
    assert!(!text.contains("\ndomain="), "{text}");
}

#[test]
fn a_lan_with_a_shorter_prefix_as_netifd_gives_it_has_router_advertisements_all_the_same() {
    let config = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\nconfig wan 'wan0'\n\toption device 'eth0'\n\
                  config lan 'lan0'\n\toption device 'br-lan'\n\toption dhcp '1'\n\toption dhcpv6 '1'\n";
    let config = fixture::config_of(config);
    let of_length = |length: &str| {
        let mut facts = openwrt(&config);
        let addresses = ["192.168.1.1/24".to_owned(), format!("fd79:2de7:db86::1/{length}")];
        facts.lans.get_mut("lan0").unwrap().addresses =
            addresses.iter().map(|address| address.parse().unwrap()).collect();
        let dhcp = render(&config, &facts).unwrap();
        let option = |name| dhcp.sections["dlan_lan0"].options.get(name).cloned();
        (option("ra"), option("dhcpv6"))
    };
    let is = |word: &str| Some(UciValue::One(word.to_owned()));
    assert_eq!(of_length("60"), (is("server"), is("server")));
    assert_eq!(of_length("72"), (is("disabled"), is("disabled")));
}

#[test]
fn dnsmasq_accepts_the_drop_in() {
    let Some(program) = std::env::var_os("DLAN_DNSMASQ") else { return };
    let config = fixture::config_of(EVERYTHING);
    let dhcp = render(&config, &openwrt(&config)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dlan.conf");
    let drop_in = dhcp.files.iter().find(|(path, _)| path.ends_with("dlan.conf")).unwrap().1;
    std::fs::write(&file, &drop_in.text).unwrap();
    let said = std::process::Command::new(program)
        .arg("--test")
        .arg(format!("--conf-file={}", file.display()))
        .output();
    let said = said.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_host_more_is_one_step_and_taking_it_back_another() {
    let config = fixture::config_of(EVERYTHING);
    let routing = fixture::routing(&[]);
    let state = |config: &Config| desired(config, &openwrt(config), &routing, &State::default()).unwrap();
    let more =
        EVERYTHING.replacen("\tlist lease '", "\tlist lease '02:00:00:00:00:77 77 more'\n\tlist lease '", 1);
    let (before, after) = (state(&config), state(&fixture::config_of(&more)));
    let plan = Plan::new(&before, &after).unwrap();
    let [step] = plan.steps() else { panic!("{plan}") };
    assert!(step.to_string().starts_with("~ uci /etc/config/dhcp: "), "{step}");
    let back = Plan::new(&after, &before).unwrap();
    assert_eq!(plan.inverse(), back);
}
