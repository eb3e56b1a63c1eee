//! How long a router takes to work out what it shall be, where its LAN has 1,000 static leases and 200 services are exposed: the
//! files of dnsmasq and nginx, OpenWrt's sections, the filter, and all of it together.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a measurement stops at the first thing that is not as it should be"
)]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use divan::{Bencher, black_box};
use dlan_agent::addressing::{self, RouterAddresses};
use dlan_agent::config::{Config, Source, parse};
use dlan_agent::desired::desired;
use dlan_agent::render::{dnsmasq, uci};
use dlan_agent::state::State;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::nginx::{NginxFacts, NginxVersion, StreamModule};
use dlan_agent::state::uci::UciFacts;

const LEASES: u32 = 1_000;
const SERVICES: u32 = 200;

fn main() {
    divan::main();
}

fn text() -> String {
    let mut text = fixture::with_keys(fixture::CONFIG).replace(
        "\toption ipv4 '10.2.1.1/24'\n",
        "\toption ipv4 '10.2.0.1/16'\n\toption dhcp '1'\n\toption dhcp_start '5000'\n",
    );
    let mut leases = String::new();
    for lease in 0..LEASES {
        let [_, _, high, low] = lease.to_be_bytes();
        let _ =
            writeln!(leases, "\tlist lease '02:00:00:00:{high:02x}:{low:02x} {} host{lease}'", lease + 10);
    }
    text = text.replace("\toption dhcp '1'\n", &format!("\toption dhcp '1'\n{leases}"));
    for service in 0..SERVICES {
        let _ = writeln!(
            text,
            "config service 's{service}'\n\toption protocol 'tcp'\n\tlist listen '*:{}'\n\tlist upstream '10.2.0.{}:443'\n\tlist allow '192.0.2.0/24'",
            10_000 + service,
            service + 10
        );
    }
    text
}

fn config() -> Config {
    parse(Source { file: "dlan", text: &text(), hostname: "r1" }).unwrap().config
}

fn facts(config: &Config) -> Facts {
    let nginx = NginxFacts {
        path: "/usr/sbin/nginx".into(),
        version: NginxVersion(1, 22, 1),
        stream: StreamModule::BuiltIn,
        group: "nogroup".to_owned(),
    };
    Facts { nginx: Some(nginx), ..fixture::facts(config) }
}

fn identity(config: &Config) -> RouterAddresses {
    addressing::loopback(&config.mesh, config.mesh.host_id).unwrap()
}

#[divan::bench]
fn configuration_from_text(bencher: Bencher<'_, '_>) {
    let text = text();
    bencher.bench(|| parse(Source { file: "dlan", text: black_box(&text), hostname: "r1" }).unwrap());
}

#[divan::bench]
fn dnsmasq_files(bencher: Bencher<'_, '_>) {
    let config = config();
    let (facts, identity) = (facts(&config), identity(&config));
    bencher.bench(|| dnsmasq::render(black_box(&config), &facts, identity, &BTreeSet::new()).unwrap());
}

#[divan::bench]
fn openwrt_sections(bencher: Bencher<'_, '_>) {
    let config = config();
    let device = config.lans[0].device.clone();
    let found = UciFacts { networks: [(device, "lan".to_owned())].into(), ..UciFacts::default() };
    let (facts, identity) = (Facts { uci: Some(found), ..facts(&config) }, identity(&config));
    bencher.bench(|| uci::render(black_box(&config), &facts, identity, &BTreeSet::new()).unwrap());
}

#[divan::bench]
fn everything(bencher: Bencher<'_, '_>) {
    let config = config();
    let (facts, routing) = (facts(&config), fixture::routing(&[]));
    let state = desired(&config, &facts, &routing, &State::default()).unwrap();
    assert_eq!(state.programs.len(), 2, "dnsmasq and nginx");
    bencher.bench(|| desired(black_box(&config), &facts, &routing, &State::default()).unwrap());
}
