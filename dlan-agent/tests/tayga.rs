//! The file of dlan's tayga: what it says, what tayga itself says to it, and that no value of an option gets out of its line.
//! With tayga (`DLAN_TAYGA` names it) it needs root.
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

use std::process::Command;

use dlan_agent::addressing;
use dlan_agent::config::{Config, Source, parse};
use dlan_agent::render::tayga;
use fixture::{CONFIG, config_of, facts};
use proptest::prelude::*;

fn text(config: &Config) -> String {
    let identity = addressing::loopback(&config.mesh, config.mesh.host_id).unwrap();
    tayga::render(config, &facts(config), identity).unwrap().files["tayga.conf"].file.text.clone()
}

fn with(names: &str, nat64: &str) -> String {
    format!("{CONFIG}config names 'names'\n{names}config nat64 'nat64'\n{nat64}")
}

#[test]
fn what_is_translated_is_said_in_taygas_words() {
    let config =
        config_of(&with("\toption dns64_prefix 'fd64:64:64::/96'\n", "\toption pool '10.64.0.0/16'\n"));
    let text = text(&config);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = [
        "tun-device nat64-dlan",
        "ipv4-addr 10.64.0.1",
        "ipv6-addr fd00:0:1:1::1",
        "prefix fd64:64:64::/96",
        "dynamic-pool 10.64.0.0/16",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn tayga_makes_its_device_by_the_file() {
    let Some(program) = std::env::var_os("DLAN_TAYGA") else {
        eprintln!(
            "not judged by tayga: there is none (testbed/setup --test unpacks one, DLAN_TAYGA names it)"
        );
        return;
    };
    for prefix in ["64:ff9b::/96", "fd64:64:64::/96"] {
        let config = config_of(&with(&format!("\toption dns64_prefix '{prefix}'\n"), ""));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tayga.conf");
        std::fs::write(&file, text(&config)).unwrap();
        let script = "\"$0\" --mktun --config \"$1\" && ip -o link show dev nat64-dlan";
        let said = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", script])
            .arg(&program)
            .arg(&file)
            .output();
        let said = said.unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

proptest! {
    #[test]
    fn no_value_gets_out_of_its_line(
        pool in "(10|192)\\.(168|[0-9]{1,2})\\.0\\.0/(8|1[6-9]|2[0-9])|[0-9./ #\\n]{0,12}|\\PC{0,12}",
        prefix in "fd[0-9a-f]{2}:([0-9a-f]{1,4}:){1,5}:/96|[0-9a-f:/ #\\n]{0,16}|\\PC{0,12}",
    ) {
        let quote = dlan_agent::config::uci::quote;
        let text = fixture::with_keys(&with(
            &format!("\toption dns64_prefix {}\n", quote(&prefix)),
            &format!("\toption pool {}\n", quote(&pool)),
        ));
        let Ok(loaded) = parse(Source { file: "dlan", text: &text, hostname: "r1" }) else { return Ok(()) };
        let text = self::text(&loaded.config);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let words: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
        prop_assert_eq!(words, ["tun-device", "ipv4-addr", "ipv6-addr", "prefix", "dynamic-pool"]);
        for line in lines {
            prop_assert_eq!(line.split(' ').count(), 2, "{}", line);
            prop_assert!(line.chars().all(|c| c.is_ascii_alphanumeric() || " :./-".contains(c)), "{}", line);
        }
    }
}
