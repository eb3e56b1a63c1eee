//! The files of dlan's dnsmasq: what they say, what dnsmasq itself says to them, and that no value of an option gets out of
//! the line that it stands in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use dlan_agent::addressing;
use dlan_agent::config::{Config, Source, parse};
use dlan_agent::names::own;
use dlan_agent::render::dnsmasq;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::managed_file::FILE_HEADER;
use dlan_agent::state::program::Program;
use dlan_agent::state::uci::UciFacts;
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("config/good/dhcp.conf");

fn render(config: &Config) -> Option<Program> {
    render_with(config, &fixture::facts(config))
}

fn render_with(config: &Config, facts: &Facts) -> Option<Program> {
    let identity = addressing::loopback(&config.mesh, config.mesh.host_id).unwrap();
    dnsmasq::render(config, facts, identity, &BTreeSet::new())
}

/// The files one after the other.
fn text(program: &Program) -> String {
    program.files.iter().fold(String::new(), |mut text, (name, file)| {
        let _ = write!(text, "== {name}\n{}", file.file.text.strip_prefix(FILE_HEADER).unwrap());
        text
    })
}

fn everything() -> Program {
    render(&fixture::config_of(EVERYTHING)).unwrap()
}

#[test]
fn what_hosts_are_given_is_said_in_dnsmasqs_words() {
    insta::assert_snapshot!(text(&everything()));
}

#[test]
fn names_that_the_mesh_has_records_of_are_asked_of_the_agent_and_are_known_again_from_the_file() {
    let record = "config record 'git'\n\toption name 'git.r1.lan'\n\toption cname 'nas.r1.lan'\n";
    let config = fixture::config_of(&format!("{EVERYTHING}\n{record}"));
    let facts = fixture::facts(&config);
    let identity = addressing::loopback(&config.mesh, config.mesh.host_id).unwrap();
    let foreign = BTreeSet::from(["www.example.com".parse().unwrap()]);
    let program = dnsmasq::render(&config, &facts, identity, &foreign).unwrap();
    let text = text(&program);
    for line in [
        "server=/git.r1.lan/127.0.0.1#5354",
        "server=/www.example.com/127.0.0.1#5354",
        "rebind-domain-ok=www.example.com",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert_eq!(dnsmasq::names_of(&config, &program), foreign);
}

#[test]
fn nothing_is_given_where_nothing_is_asked_for_or_the_system_gives_it() {
    let quiet = fixture::config();
    assert_eq!(render(&quiet), None);
    let config = fixture::config_of(EVERYTHING);
    assert_eq!(
        render_with(&config, &Facts { uci: Some(UciFacts::default()), ..fixture::facts(&config) }),
        None
    );
}

#[test]
fn adopted_addresses_are_served_like_those_that_are_set() {
    let config = fixture::config_of(&EVERYTHING.replace("\toption ipv4 '10.2.0.1/24'\n", ""));
    assert!(!text(&render(&config).unwrap()).contains("10.2.0.150"));
    let mut facts = fixture::facts(&config);
    let lan = facts.lans.get_mut("lan0").unwrap();
    lan.addresses = BTreeSet::from(["203.0.113.9/24".parse().unwrap(), "10.2.0.1/24".parse().unwrap()]);
    let text = text(&render_with(&config, &facts).unwrap());
    assert!(text.contains("dhcp-range=set:lan0,10.2.0.150,10.2.0.199,255.255.255.0,604800\n"), "{text}");
    assert!(!text.contains("203.0.113"));
}

#[test]
fn a_small_prefix_gives_out_what_it_has() {
    let config = fixture::config_of(
        &EVERYTHING.replace("\toption dhcp_start '150'\n", "").replace("10.3.0.1/28", "10.3.0.1/29"),
    );
    let text = text(&render(&config).unwrap());
    assert!(text.contains("dhcp-range=set:lan1,10.3.0.1,10.3.0.6,255.255.255.248,infinite\n"), "{text}");
}

#[test]
fn only_what_cannot_be_read_again_restarts_dnsmasq() {
    use dlan_agent::state::program::Transition;
    let before = everything();
    let with = |from: &str, to: &str| {
        let after = render(&fixture::config_of(&EVERYTHING.replace(from, to))).unwrap();
        Transition::between(Some(&before), Some(&after))
    };
    assert_eq!(with("0b 2 nas", "0b 9 nas"), Transition::Reload);
    assert_eq!(with("\tlist lease '52-54-00-5A-BF-0C 3'\n", ""), Transition::Reload);
    assert_eq!(with("'7d'", "'6d'"), Transition::Restart);
    assert_eq!(with("7d", "7d"), Transition::Nothing);
}

/// The real dnsmasq: the one named by `DLAN_DNSMASQ`, else the system's.
fn real() -> Option<PathBuf> {
    let named = std::env::var_os("DLAN_DNSMASQ").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from("/usr/sbin/dnsmasq"))).filter(|path| path.exists())
}

/// Has dnsmasq judge the main file, which refers to others by their place.
fn judge(program: &Program) -> Result<(), String> {
    let Some(real) = real() else {
        eprintln!(
            "not judged by dnsmasq: there is none (testbed/setup --test unpacks one, DLAN_DNSMASQ names it)"
        );
        return Ok(());
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dnsmasq.conf");
    std::fs::write(&file, &program.files["dnsmasq.conf"].file.text).unwrap();
    let output = Command::new(real).arg("--test").arg(format!("--conf-file={}", file.display())).output();
    let output = output.unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(words) }
}

#[test]
fn dnsmasq_accepts_what_it_is_given() {
    judge(&everything()).unwrap();
}

/// A text as people, and people of ill will, may write it.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => "[a-z0-9.:/-]{1,8}",
        1 => Just("\nconf-script=/bin/sh".to_owned()),
        1 => Just("'\n\toption dhcp '1".to_owned()),
        1 => "[\"'\\\\#,;{}\\[\\] \t=*!]",
        1 => "\\PC",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat())
}

/// What is valid, with what is not in its midst.
fn nearly(valid: &'static str) -> impl Strategy<Value = String> {
    (any_text(), any::<prop::sample::Index>()).prop_map(move |(odd, at)| {
        let at = at.index(valid.len() + 1);
        format!("{}{odd}{}", &valid[..at], &valid[at..])
    })
}

const OPTIONS: [(&str, &str, &str); 14] = [
    ("list", "lease", "52:54:00:5a:bf:0b 2 nas"),
    ("list", "lease", "00:03:00:01:52:54:00:5a:bf:0b 7 nas7"),
    ("option", "lease_time", "12h"),
    ("list", "dns", "10.2.0.53"),
    ("list", "search", "example.org"),
    ("list", "dhcp_option", "42,10.2.0.1"),
    ("list", "dhcp_option6", "31,[fd79::1]"),
    ("option", "subdomain", "cam"),
    ("option", "boot_file", "undionly.kpxe"),
    ("option", "boot_file_efi", "efi/ipxe.efi"),
    ("option", "boot_server", "10.2.0.9"),
    ("option", "tftp_root", "/srv/tftp"),
    ("option", "mtu", "1370"),
    ("option", "device", "br-lan"),
];

/// What may stand before a line's first `=`, or alone.
const WORDS: [&str; 38] = [
    "addn-hosts",
    "bind-dynamic",
    "cache-size",
    "dhcp-authoritative",
    "dhcp-boot",
    "dhcp-fqdn",
    "dhcp-hostsfile",
    "dhcp-ignore-names",
    "dhcp-leasefile",
    "dhcp-match",
    "dhcp-name-match",
    "dhcp-option",
    "dhcp-range",
    "domain",
    "domain-needed",
    "edns-packet-max",
    "enable-ra",
    "enable-tftp",
    "except-interface",
    "interface",
    "listen-address",
    "local",
    "no-hosts",
    "no-resolv",
    "quiet-dhcp",
    "quiet-dhcp6",
    "quiet-ra",
    "ra-param",
    "rebind-domain-ok",
    "server",
    "stop-dns-rebind",
    "tftp-no-fail",
    "tftp-root",
    "user",
    "",
    "",
    "",
    "",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever a value is: it is refused, or it stands in a line of the kind that it belongs to, as a value of the kind that it
    /// is, and adds no line of another kind.
    #[test]
    fn no_value_gets_out_of_its_line(
        which in 0..OPTIONS.len(),
        odd in prop_oneof![any_text(), (0..OPTIONS.len()).prop_flat_map(|which| nearly(OPTIONS[which].2))],
        mixed in any::<bool>(),
        near in (0..OPTIONS.len()).prop_flat_map(|which| (Just(which), nearly(OPTIONS[which].2))),
    ) {
        let (which, value) = if mixed { (which, odd) } else { near };
        let (keyword, name, _) = OPTIONS[which];
        let device = if name == "device" { "" } else { "\toption device 'br-lan'\n" };
        let quoted = dlan_agent::config::uci::quote(&value);
        let text = format!(
            "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\nconfig wan 'wan0'\n\toption device 'eth0'\n\
             config lan 'lan0'\n{device}\toption ipv4 '10.2.0.1/24'\n\toption ipv6 'fd79::1/64'\n\toption dhcp '1'\n\
             \t{keyword} {name} {quoted}\n"
        );
        let Ok(loaded) = parse(Source { file: "dlan", text: &text, hostname: "r1" }) else { return Ok(()) };
        let program = render(&loaded.config).unwrap();
        let shown = self::text(&program);
        let config_file = &program.files["dnsmasq.conf"].file.text;
        for line in config_file.lines().skip(1) {
            let word = line.split('=').next().unwrap();
            // A port stands behind a `#`, which begins a comment only behind a blank.
            let line = line.strip_suffix("#5354").unwrap_or(line);
            prop_assert!(!word.is_empty() && WORDS.contains(&word), "{line:?} of {value:?}");
            prop_assert!(line.chars().all(|c| c.is_ascii_graphic() && !"\"'\\#;{}*".contains(c)), "{line:?} of {value:?}");
        }
        for file in ["clients", "hosts"] {
            for line in program.files[file].file.text.lines().skip(1) {
                let plain = |c: char| c.is_ascii_alphanumeric() || " .:,[]-".contains(c);
                prop_assert!(line.chars().all(plain), "{line:?} of {value:?}");
            }
        }
        // What dnsmasq takes for a value of its own kind may be none: then it says so, before anything is touched.
        if let Err(words) = judge(&program) {
            prop_assert!(name.starts_with("dhcp_option"), "{words}\n{shown}");
        }
    }
}

#[test]
fn of_the_systems_name_servers_those_that_are_this_router_itself_are_not_asked() {
    let config = fixture::config();
    let with = |servers: &[&str]| {
        let resolvers = servers.iter().map(|server| server.parse().unwrap()).collect();
        own::settings(&config, &Facts { resolvers, ..fixture::facts(&config) }).upstreams
    };
    let [identity, lan, other] = ["10.1.1.1", "fd79:1::1", "192.0.2.53"];
    assert_eq!(with(&[identity, lan, other]), ["192.0.2.53".parse::<std::net::IpAddr>().unwrap()]);
    let named = fixture::config_of(&format!(
        "{}config names 'names'\n\tlist upstream '192.0.2.1'\n",
        fixture::CONFIG
    ));
    let facts = Facts { resolvers: vec![other.parse().unwrap()], ..fixture::facts(&named) };
    assert_eq!(own::settings(&named, &facts).upstreams, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn a_router_announces_its_zone_the_networks_of_its_lans_and_where_it_is_asked_about_them() {
    let config = fixture::config();
    let told = own::announcement(&config, &fixture::facts(&config));
    let texts = |items: Vec<String>| items.join(" ");
    assert_eq!(texts(told.zones.iter().map(ToString::to_string).collect()), "r1.lan");
    assert_eq!(texts(told.reverse.iter().map(ToString::to_string).collect()), "10.2.1.0/24 fd79:1::/64");
    assert_eq!(texts(told.servers.iter().map(ToString::to_string).collect()), "10.1.1.1 fd00:0:1:1::1");
    let records = told.records.iter().map(|record| format!("{}={}", record.name, record.data));
    assert_eq!(texts(records.collect()), "r1.lan=10.1.1.1 r1.lan=fd00:0:1:1::1");
}

#[test]
fn a_lan_gives_addresses_of_the_family_that_it_is_asked_to_give_and_no_other() {
    let ranges = |options: &str| {
        let lan = "\toption ipv6 'fd79:1::1/64'\n";
        let served = fixture::CONFIG.replace(lan, &format!("{lan}{options}"));
        let text = text(&render(&fixture::config_of(&served)).unwrap());
        let range = |line: &&str| line.starts_with("dhcp-range=") || *line == "enable-ra";
        text.lines()
            .filter(range)
            .map(|line| line.split(',').nth(1).unwrap_or(line).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ranges("\toption dhcpv4 '1'\n"), ["10.2.1.100"]);
    assert_eq!(ranges("\toption ra '1'\n\toption dhcpv6 '1'\n"), ["enable-ra", "fd79:1::64"]);
    assert_eq!(ranges("\toption ra '1'\n"), ["enable-ra", "fd79:1::"]);
    assert_eq!(ranges("\toption dhcp '1'\n"), ["enable-ra", "10.2.1.100", "fd79:1::64"]);
}
