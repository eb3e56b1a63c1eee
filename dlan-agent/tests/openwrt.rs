//! The init script on OpenWrt: what it has fw4 open, with the words of procd and UCI in their places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::path::Path;
use std::process::Command;

/// What OpenWrt has the script call. Each word of procd and of its JSON is told on a line.
const WORDS: &str = r#"
uci() { echo 1; }
config_load() { package="$1"; }
config_foreach() {
	case "$package $2" in
		"dlan wan") "$1" wan0; "$1" wan1 ;;
		"firewall zone") "$1" zone_lan "$3"; "$1" zone_wan "$3"; "$1" zone_uplink "$3" ;;
	esac
}
config_get() { eval "$1=\"\${cfg_$2_$3}\""; }
cfg_wan0_interface=wan cfg_wan0_listen_port=51821 cfg_wan1_interface=lte
cfg_zone_lan_name=lan cfg_zone_lan_network=lan
cfg_zone_wan_name=wan cfg_zone_wan_network='wan wan6'
cfg_zone_uplink_name=uplink cfg_zone_uplink_network=lte
procd_open_instance() { :; }
procd_set_param() { :; }
procd_open_data() { :; }
procd_close_data() { :; }
procd_close_instance() { :; }
json_add_array() { echo "$1:"; }
json_close_array() { :; }
json_add_object() { rule=''; }
json_add_string() { rule="$rule $1=$2"; }
json_close_object() { echo "$rule"; }
"#;

const CONFIG: &str = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\nconfig wan 'wan0'\n\toption device 'eth0'\n";

/// Runs the script's `start_service` on a router with these services.
fn started(services: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("dlan"), format!("{CONFIG}{services}")).unwrap();
    std::fs::write(at("words"), WORDS).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openwrt/files/etc/init.d/dlan");
    let run = format!(
        ". {}; . {}; program() {{ {} --config {} \"$@\"; }}; PROG=program; start_service",
        at("words").display(),
        script.display(),
        env!("CARGO_BIN_EXE_dlan"),
        at("dlan").display(),
    );
    let output = Command::new("sh").args(["-c", &run]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const WIREGUARD: &str = "firewall:
 type=rule name=dlan: WireGuard src=wan proto=udp dest_port=51821 target=ACCEPT
 type=rule name=dlan: WireGuard src=uplink proto=udp dest_port=51821 target=ACCEPT
";

#[test]
fn without_services_wireguard_alone_is_opened_in_the_zones_of_the_wans() {
    assert_eq!(started(""), WIREGUARD);
}

#[test]
fn each_socket_of_a_service_is_opened_for_its_family_and_address_and_nothing_else() {
    let services = "config service 'web'\n\tlist listen '*:443'\n\tlist listen '192.0.2.4:8443'\n\tlist upstream 'nas:443'\n\
                    config service 'game'\n\toption protocol 'udp'\n\tlist listen '[2001:db8::4]:27015'\n\tlist upstream 'nas:27015'\n";
    let rule =
        |zone: &str, rest: &str| format!(" type=rule name=dlan: service src={zone} {rest} target=ACCEPT\n");
    let both = |rest: &str| rule("wan", rest) + &rule("uplink", rest);
    let expected = [
        both("proto=tcp dest_port=443 family=ipv4"),
        both("proto=tcp dest_port=8443 family=ipv4 dest_ip=192.0.2.4"),
        both("proto=tcp dest_port=443 family=ipv6"),
        both("proto=udp dest_port=27015 family=ipv6 dest_ip=2001:db8::4"),
    ];
    assert_eq!(started(services), WIREGUARD.to_owned() + &expected.concat());
}

#[test]
fn a_configuration_that_is_rejected_opens_no_service() {
    assert_eq!(started("config service 'web'\n\tlist listen '*:x'\n"), WIREGUARD);
}
