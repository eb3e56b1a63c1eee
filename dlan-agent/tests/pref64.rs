//! Which LANs' hosts are told of NAT64's prefix in router advertisements.
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

use dlan_agent::config::Config;
use dlan_agent::pref64::told;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::uci::UciFacts;
use fixture::{CONFIG, config_of, facts};

const NAMES: &str = "config names 'names'\n\toption dns64_prefix 'fd64::/96'\n";
const NAT64: &str = "config nat64 'nat64'\n";
const SERVED: &str = "\toption ra '1'\n\toption dns64 '1'\n";

/// Router 1 with these options of its LAN, and these sections.
fn with(lan: &str, sections: &str) -> Config {
    let device = "\toption device 'lan0'\n";
    config_of(&format!("{}{sections}", CONFIG.replace(device, &format!("{device}{lan}"))))
}

/// Returns what each device's hosts are told: whether of addresses by DHCPv6, and the prefix.
fn of(config: &Config, facts: &Facts, routes: &[&str]) -> BTreeMap<String, (bool, Option<String>)> {
    let routes: BTreeSet<_> = routes.iter().map(|prefix| prefix.parse().unwrap()).collect();
    let told = told(config, facts, &routes).into_iter();
    let words = told.map(|(device, told)| {
        (device.to_string(), (told.header.has_addresses, told.prefix.map(|prefix| prefix.to_string())))
    });
    words.collect()
}

fn lan0(has_addresses: bool, prefix: Option<&str>) -> BTreeMap<String, (bool, Option<String>)> {
    BTreeMap::from([("lan0".to_owned(), (has_addresses, prefix.map(str::to_owned)))])
}

#[test]
fn hosts_of_a_lan_with_dns64_are_told_as_long_as_this_router_or_another_translates() {
    let config = with(SERVED, &format!("{NAMES}{NAT64}"));
    assert_eq!(of(&config, &facts(&config), &[]), lan0(false, Some("fd64::/96")));
    let not_installed = Facts { tayga: None, ..facts(&config) };
    assert_eq!(of(&config, &not_installed, &[]), lan0(false, None), "it is not installed");
    let config = with(SERVED, NAMES);
    assert_eq!(of(&config, &facts(&config), &[]), lan0(false, None), "nobody translates");
    assert_eq!(of(&config, &facts(&config), &["fd64::/96"]), lan0(false, Some("fd64::/96")));
    assert_eq!(of(&config, &facts(&config), &["fd79:4::/64"]), lan0(false, None), "a LAN is no translator");
}

#[test]
fn these_advertisements_say_the_same_of_dhcpv6_as_dnsmasq_s() {
    let config = with(&format!("{SERVED}\toption dhcpv6 '1'\n"), &format!("{NAMES}{NAT64}"));
    assert_eq!(of(&config, &facts(&config), &[]), lan0(true, Some("fd64::/96")));
}

#[test]
fn where_another_or_nobody_advertises_nothing_is_said() {
    let sections = format!("{NAMES}{NAT64}");
    let silent = with("\toption dns64 '1'\n", &sections);
    assert!(of(&silent, &facts(&silent), &[]).is_empty(), "no advertisements are asked for");
    let other = with("\toption ra '1'\n", &sections);
    assert_eq!(
        of(&other, &facts(&other), &[]),
        lan0(false, None),
        "hosts with IPv4 are not asked to translate"
    );
    let config = with(SERVED, &sections);
    let openwrt = Facts { uci: Some(UciFacts::default()), ..facts(&config) };
    assert!(of(&config, &openwrt, &[]).is_empty(), "odhcpd tells it");
    let without = Facts { dnsmasq: None, ..facts(&config) };
    assert!(of(&config, &without, &[]).is_empty(), "dnsmasq is not installed");
    let found = config_of(
        &CONFIG
            .replace("\toption ipv6 'fd79:1::1/64'\n", SERVED)
            .replace("\toption ipv4 '10.2.1.1/24'\n", ""),
    );
    let mut facts = facts(&found);
    let lan = facts.lans.get_mut("lan0").unwrap();
    lan.addresses.insert("fd79:1::1/80".parse().unwrap());
    assert!(of(&found, &facts, &["64:ff9b::/96"]).is_empty(), "dnsmasq does not advertise such a prefix");
}
