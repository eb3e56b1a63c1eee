//! The scripts on OpenWrt: what the service is to procd and has fw4 open, what a WAN that comes up tells the agent, and what
//! `ubus call dlan` answers; with the words of procd and UCI in their places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What OpenWrt has the scripts call. Each word of procd and of its JSON is told on a line.
const WORDS: &str = r#"
uci() { echo 1; }
config_load() { package="$1"; }
config_foreach() {
	callback="$1"
	shift
	case "$package $1" in
		"dlan wan") sections='wan0 wan1' ;;
		"firewall zone") sections='zone_lan zone_wan zone_uplink zone_usb' ;;
		"network interface") sections='lan dsl lte' ;;
		*) sections='' ;;
	esac
	shift
	for section in $sections; do "$callback" "$section" "$@"; done
}
config_get() { eval "$1=\"\${cfg_$2_$3}\""; }
cfg_wan0_interface=wan cfg_wan1_device=eth7
cfg_zone_lan_name=lan cfg_zone_lan_network=lan
cfg_zone_wan_name=wan cfg_zone_wan_network='wan wan6 dsl'
cfg_zone_uplink_name=uplink cfg_zone_uplink_network=lte
cfg_zone_usb_name=usb cfg_zone_usb_device='usb0 usb1'
cfg_lan_device=br-lan cfg_lan_proto=static
cfg_dsl_device=eth1.7 cfg_dsl_proto=pppoe
cfg_lte_device=wwan0 cfg_lte_proto=dhcp
extra_command() { echo "command $1"; }
procd_open_instance() { :; }
procd_set_param() { echo "$@"; }
procd_add_jail() { echo "jail $*"; }
procd_open_data() { :; }
procd_close_data() { :; }
procd_close_instance() { :; }
procd_send_signal() { echo "signal $*"; }
json_add_array() { echo "$1:"; }
json_close_array() { :; }
json_add_object() { rule=''; }
json_add_string() { rule="$rule $1=$2"; }
json_close_object() { echo "$rule"; }
"#;

const CONFIG: &str = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\n";
const WAN: &str = "config wan 'wan0'\n\toption interface 'wan'\n\toption listen_port '51821'\n";

fn openwrt(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openwrt/files").join(path)
}

fn shell(run: &str) -> Output {
    let output = Command::new("sh").args(["-c", run]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Has `sh` run something behind the init script, on a router with this configuration; returns all that was said.
fn run(config: &str, what: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("dlan"), config).unwrap();
    std::fs::write(at("words"), WORDS).unwrap();
    let script = openwrt("etc/init.d/dlan");
    let run = format!(
        ". {}; . {}; program() {{ {} --config {} \"$@\"; }}; PROG=program; {what}",
        at("words").display(),
        script.display(),
        env!("CARGO_BIN_EXE_dlan"),
        at("dlan").display(),
    );
    let Output { stdout, stderr, .. } = shell(&run);
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    String::from_utf8(stdout).unwrap()
}

/// Returns what fw4 is told on a router with these sections beside its own.
fn opened(sections: &str) -> String {
    let said = run(&format!("{CONFIG}{sections}"), "start_service");
    said.split_once("firewall:\n").unwrap().1.to_owned()
}

fn wireguard(zone: &str) -> String {
    format!(" type=rule name=dlan: wireguard src={zone} proto=udp dest_port=51821 target=ACCEPT\n")
}

#[test]
fn the_agent_is_kept_running_with_few_rights_and_a_log_for_procd() {
    let said = run(&format!("{CONFIG}{WAN}"), "start_service");
    let (before, _) = said.split_once("firewall:\n").unwrap();
    let expected = "command openings\n\
                    command program agent --supervised\n\
                    env PATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
                    respawn 3600 1 0\n\
                    term_timeout 10\n\
                    stdout 1\n\
                    stderr 1\n\
                    capabilities /etc/capabilities/dlan.json\n\
                    no_new_privs 1\n\
                    jail dlan\n";
    assert_eq!(before, expected);
}

#[test]
fn the_agent_has_the_same_rights_on_openwrt_as_on_debian() {
    let unit = openwrt("../../packaging/debian/dlan.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let debian = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let debian: BTreeSet<&str> = debian.split(' ').collect();
    let text = std::fs::read_to_string(openwrt("etc/capabilities/dlan.json")).unwrap();
    let sets: Value = serde_json::from_str(&text).unwrap();
    for set in ["bounding", "effective", "permitted", "inheritable"] {
        let openwrt: BTreeSet<&str> =
            sets[set].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!(openwrt, debian, "{set}");
    }
}

#[test]
fn reload_has_the_agent_read_its_configuration_and_openings_does_not() {
    let said = run(CONFIG, "start() { echo start; }; running() { return 0; }; reload_service; openings");
    assert_eq!(said, "command openings\nstart\nsignal dlan agent HUP\nstart\n");
    let said = run(CONFIG, "start() { echo start; }; running() { return 1; }; openings");
    assert_eq!(said, "command openings\n");
}

#[test]
fn without_a_configuration_nothing_is_opened_and_nothing_is_said() {
    assert_eq!(run("# dlan does nothing yet\n", "start_service").split_once("firewall:\n").unwrap().1, "");
}

#[test]
fn wireguard_is_opened_in_the_zone_of_each_wan_once() {
    assert_eq!(opened(WAN), wireguard("wan"));
    let wan = |name: &str, source: &str| format!("config wan '{name}'\n\toption {source}\n");
    let two = format!("{WAN}{}", wan("wan1", "interface 'lte'"));
    assert_eq!(opened(&two), wireguard("uplink") + &wireguard("wan"));
    for (source, zone) in [
        ("device 'usb1'", "usb"),
        ("device 'eth1.7'", "wan"),
        ("device 'pppoe-dsl'", "wan"),
        ("device 'wwan0'", "uplink"),
        ("device 'eth9'", "wan"),
        ("interface 'elsewhere'", "wan"),
    ] {
        let section = wan("wan0", source) + "\toption listen_port '51821'\n";
        assert_eq!(opened(&section), wireguard(zone), "{source}");
    }
}

#[test]
fn what_services_listen_on_is_opened_ports_that_are_alike_together_and_nothing_else() {
    let services = "config service 'web'\n\tlist listen '*:443'\n\tlist listen '192.0.2.4:8443'\n\tlist upstream 'nas:443'\n\
                    config service 'plain'\n\tlist listen '*:80'\n\tlist upstream 'nas:80'\n\
                    config service 'old'\n\tlist listen '0.0.0.0:8080'\n\tlist upstream 'nas:80'\n\
                    config service 'game'\n\toption protocol 'udp'\n\tlist listen '[2001:db8::4]:27015'\n\tlist upstream 'nas:27015'\n";
    let rule = |rest: &str| format!(" type=rule name=dlan: service src=wan {rest} target=ACCEPT\n");
    let expected = [
        wireguard("wan"),
        rule("proto=tcp dest_port=80 443"),
        rule("proto=tcp family=ipv4 dest_port=8080"),
        rule("proto=tcp family=ipv4 dest_ip=192.0.2.4 dest_port=8443"),
        rule("proto=udp family=ipv6 dest_ip=2001:db8::4 dest_port=27015"),
    ];
    assert_eq!(opened(&format!("{WAN}{services}")), expected.concat());
}

#[test]
fn a_configuration_that_is_rejected_opens_nothing() {
    assert_eq!(opened(&format!("{WAN}config service 'web'\n\tlist listen '*:x'\n")), "");
}

#[test]
fn every_script_on_a_router_can_be_read_by_a_shell_that_is_no_bash() {
    let shell = if Path::new("/bin/dash").exists() { "dash" } else { "sh" };
    let scripts = [
        "init.d/dlan",
        "init.d/dlan-boot",
        "hotplug.d/iface/95-dlan",
        "uci-defaults/30-dlan",
        "profile.d/dlan.sh",
    ];
    let scripts = scripts.map(|script| openwrt("etc").join(script));
    for script in scripts.into_iter().chain([openwrt("usr/libexec/rpcd/dlan"), openwrt("../test.sh")]) {
        let read = Command::new(shell).arg("-n").arg(&script).output().unwrap();
        assert!(read.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&read.stderr));
    }
}

/// Runs the hotplug script; returns what ubus is told.
fn hotplug(action: &str, network: &str, device: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let words = directory.path().join("words");
    let more = "ubus() { echo \"$@\" >&2; }\nkill() { echo \"$1-$2\"; }\n";
    std::fs::write(&words, format!("{WORDS}{more}")).unwrap();
    let script = std::fs::read_to_string(openwrt("etc/hotplug.d/iface/95-dlan")).unwrap();
    let script = script.replace("/lib/functions.sh", &words.display().to_string());
    let script = script.replace("/etc/init.d/dlan", "true");
    let run = format!("ACTION={action} INTERFACE={network} DEVICE={device}\n{script}");
    String::from_utf8(shell(&run).stderr).unwrap()
}

#[test]
fn a_wan_that_comes_up_has_the_agent_look_and_not_read_its_configuration() {
    let look = "call service signal {\"name\":\"dlan\",\"signal\":-l-USR1}\n";
    assert_eq!(hotplug("ifup", "wan", "pppoe-wan"), look);
    assert_eq!(hotplug("ifupdate", "wan", "eth1"), look);
    assert_eq!(hotplug("ifup", "other", "eth7"), look);
    assert_eq!(hotplug("ifdown", "wan", "eth1"), "");
    assert_eq!(hotplug("ifup", "lan", "br-lan"), "");
    assert_eq!(hotplug("ifup", "", ""), "");
}

/// Runs rpcd's plugin, with a program in the place of `dlan` that answers this.
fn rpcd(arguments: &str, answer: &str) -> Output {
    let script = openwrt("usr/libexec/rpcd/dlan");
    let run =
        format!("dlan() {{ echo '{answer}'; }}; set -- {arguments}; (. {}); echo $? >&2", script.display());
    shell(&run)
}

fn object(output: &Output) -> Value {
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value.is_object(), "rpcd takes nothing else: {value}");
    value
}

#[test]
fn each_method_that_rpcd_is_told_of_may_be_called_and_answers_with_an_object() {
    let acl = std::fs::read_to_string(openwrt("usr/share/rpcd/acl.d/dlan.json")).unwrap();
    let acl: Value = serde_json::from_str(&acl).unwrap();
    let allowed = acl["dlan"]["read"]["ubus"]["dlan"].as_array().unwrap().clone();
    let listed = object(&rpcd("list", ""));
    let listed: BTreeSet<&str> = listed.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(allowed.iter().map(|one| one.as_str().unwrap()).collect::<BTreeSet<_>>(), listed);
    for method in listed {
        let call = format!("call {method}");
        assert_eq!(object(&rpcd(&call, "{\"a\":1}")), serde_json::json!({"a": 1}));
        assert_eq!(object(&rpcd(&call, "[1,2]")), serde_json::json!({method: [1, 2]}));
        assert!(object(&rpcd(&call, "")).get("error").is_some());
        let known = Command::new(env!("CARGO_BIN_EXE_dlan")).args([method, "--help"]).output().unwrap();
        assert!(known.status.success(), "dlan has no command {method}");
    }
    let unknown = rpcd("call stop", "{}");
    assert_eq!((unknown.stdout.as_slice(), unknown.stderr.as_slice()), (&b""[..], &b"1\n"[..]));
}
