//! The scripts on OpenWrt: what the service is to procd and has fw4 open, what a WAN that comes up tells the agent, and what
//! `ubus call dlan` answers; with the words of procd and UCI in their places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::collections::{BTreeMap, BTreeSet};
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
procd_add_reload_trigger() { echo "reload at $*"; }
procd_open_trigger() { :; }
procd_add_config_trigger() { echo "at $*"; }
procd_close_trigger() { :; }
procd_set_config_changed() { :; }
json_add_array() { if [ "$1" = firewall ]; then echo firewall:; else rule="$rule $1=["; fi; }
json_close_array() { rule="$rule ]"; }
json_add_object() { rule=''; }
json_add_string() { rule="$rule ${1:+$1=}$2"; }
json_close_object() { echo "$rule"; }
"#;

/// The sets that fw4 keeps for dlan, and what packets are matched by.
const SETS: [(&str, &str); 8] = [
    ("dlan_tcp4", "inet_service"),
    ("dlan_tcp4_at", "ipv4_addr . inet_service"),
    ("dlan_tcp6", "inet_service"),
    ("dlan_tcp6_at", "ipv6_addr . inet_service"),
    ("dlan_udp4", "inet_service"),
    ("dlan_udp4_at", "ipv4_addr . inet_service"),
    ("dlan_udp6", "inet_service"),
    ("dlan_udp6_at", "ipv6_addr . inet_service"),
];

const CONFIG: &str = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\n";
const WAN: &str = "config wan 'wan0'\n\toption interface 'wan'\n\toption listen_port '51821'\n";

const SERVICES: &str = "config service 'web'
	list listen '*:443'
	list listen '192.0.2.4:8443'
	list upstream 'nas:443'
config service 'plain'
	list listen '*:80'
	list upstream 'nas:80'
config service 'old'
	list listen '0.0.0.0:8080'
	list upstream 'nas:80'
config service 'game'
	option protocol 'udp'
	list listen '[2001:db8::4]:27015'
	list upstream 'nas:27015'
";

fn openwrt(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openwrt/files").join(path)
}

fn shell(run: &str) -> Output {
    let output = Command::new("sh").args(["-c", run]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A router with the init script, and what becomes of the openings on it.
struct Router(tempfile::TempDir);

impl Router {
    fn new(config: &str) -> Self {
        let router = Self(tempfile::tempdir().unwrap());
        router.configure(config);
        std::fs::write(router.at("words"), WORDS).unwrap();
        router
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, config: &str) {
        std::fs::write(self.at("dlan"), config).unwrap();
    }

    /// What a shell reads before it is told to do something. nftables is told nothing, but it is noted what it would be.
    fn before(&self) -> String {
        format!(
            ". {}; . {}; program() {{ {} --config {} \"$@\"; }}; PROG=program; OPENINGS={}; FW4_LOCK={}; nft() {{ cat > {}; }}; ",
            self.at("words").display(),
            openwrt("etc/init.d/dlan").display(),
            env!("CARGO_BIN_EXE_dlan"),
            self.at("dlan").display(),
            self.at("openings").display(),
            self.at("lock").display(),
            self.at("nft").display(),
        )
    }

    /// Has `sh` run something behind the init script; returns all that was said.
    fn run(&self, what: &str) -> String {
        let Output { stdout, stderr, .. } = shell(&format!("{}{what}", self.before()));
        assert_eq!(String::from_utf8_lossy(&stderr), "");
        String::from_utf8(stdout).unwrap()
    }

    /// Starts the service; returns what fw4 is told, but for where it finds the elements of its sets.
    fn start(&self) -> String {
        let said = self.run("start_service; service_started");
        let told = said.split_once("firewall:\n").unwrap().1;
        told.replace(&format!(" loadfile={}/", self.at("openings").display()), " loadfile=")
    }

    /// Returns what fw4 finds there.
    fn held(&self) -> BTreeMap<&'static str, Vec<String>> {
        let elements = |name: &str| std::fs::read_to_string(self.at("openings").join(name)).unwrap();
        let held =
            SETS.map(|(name, _)| (name, elements(name).lines().map(str::to_owned).collect::<Vec<_>>()));
        held.into_iter().filter(|(_, elements)| !elements.is_empty()).collect()
    }
}

/// Has `sh` run something behind the init script, on a router with this configuration; returns all that was said.
fn run(config: &str, what: &str) -> String {
    Router::new(config).run(what)
}

/// Returns what fw4 is told of zones.
fn rules(zones: &[&str]) -> String {
    let sets = SETS.map(|(name, holds)| {
        let family = if name.contains('4') { "ipv4" } else { "ipv6" };
        let address = if holds.contains("addr") { "dest_ip " } else { "" };
        format!(" type=ipset name={name} family={family} match=[ {address}dest_port ] loadfile={name}\n")
    });
    let rules = zones.iter().flat_map(|zone| {
        SETS.map(|(name, _)| {
            let (protocol, family) = (&name[5..8], &name[8..9]);
            format!(" type=rule src={zone} ipset={name} family=ipv{family} proto={protocol} target=ACCEPT\n")
        })
    });
    sets.into_iter().chain(rules).collect()
}

fn wireguard(port: &str) -> BTreeMap<&'static str, Vec<String>> {
    BTreeMap::from([("dlan_udp4", vec![port.to_owned()]), ("dlan_udp6", vec![port.to_owned()])])
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
fn reload_has_the_agent_read_its_configuration() {
    let said = run(CONFIG, "start() { echo start; }; reload_service");
    assert_eq!(said, "command openings\nstart\nsignal dlan agent HUP\n");
}

#[test]
fn another_configuration_is_read_and_another_firewall_has_the_zones_looked_at() {
    let said = run(CONFIG, "service_triggers");
    let expected = "command openings\nreload at dlan\nat config.change firewall /etc/init.d/dlan openings\n";
    assert_eq!(said, expected);
}

#[test]
fn without_a_configuration_nothing_is_opened_and_nothing_is_said() {
    let router = Router::new("# dlan does nothing yet\n");
    assert_eq!(router.start(), "");
    assert_eq!(router.held(), BTreeMap::new());
}

#[test]
fn wireguard_is_opened_in_the_zone_of_each_wan_once() {
    let opened = |sections: &str| {
        let router = Router::new(&format!("{CONFIG}{sections}"));
        let told = router.start();
        assert_eq!(router.held(), wireguard("51821"), "{sections}");
        told
    };
    assert_eq!(opened(WAN), rules(&["wan"]));
    let wan = |name: &str, source: &str| format!("config wan '{name}'\n\toption {source}\n");
    let two = format!("{WAN}{}", wan("wan1", "interface 'lte'"));
    assert_eq!(opened(&two), rules(&["uplink", "wan"]));
    for (source, zone) in [
        ("device 'usb1'", "usb"),
        ("device 'eth1.7'", "wan"),
        ("device 'pppoe-dsl'", "wan"),
        ("device 'wwan0'", "uplink"),
        ("device 'eth9'", "wan"),
        ("interface 'elsewhere'", "wan"),
    ] {
        let section = wan("wan0", source) + "\toption listen_port '51821'\n";
        assert_eq!(opened(&section), rules(&[zone]), "{source}");
    }
}

#[test]
fn what_services_listen_on_is_opened_and_nothing_else() {
    let router = Router::new(&format!("{CONFIG}{WAN}{SERVICES}"));
    assert_eq!(router.start(), rules(&["wan"]));
    let expected = [
        ("dlan_tcp4", &["80", "443", "8080"][..]),
        ("dlan_tcp4_at", &["192.0.2.4 8443"]),
        ("dlan_tcp6", &["80", "443"]),
        ("dlan_udp4", &["51821"]),
        ("dlan_udp6", &["51821"]),
        ("dlan_udp6_at", &["2001:db8::4 27015"]),
    ];
    let expected = expected.map(|(set, held)| (set, held.iter().map(|&one| one.to_owned()).collect()));
    assert_eq!(router.held(), BTreeMap::from(expected));
}

#[test]
fn a_configuration_that_is_rejected_opens_nothing() {
    let router = Router::new(&format!("{CONFIG}{WAN}config service 'web'\n\tlist listen '*:x'\n"));
    assert_eq!(router.start(), "");
    assert_eq!(router.held(), BTreeMap::new());
}

#[test]
fn other_ports_are_other_elements_of_the_same_sets_and_fw4_is_not_troubled() {
    let router = Router::new(&format!("{CONFIG}{WAN}"));
    let told = router.start();
    router.configure(&format!("{CONFIG}{}{SERVICES}", WAN.replace("51821", "51999")));
    let openings = "start() { echo start; }; running() { return 0; }; openings";
    assert_eq!(router.run(openings), "command openings\n");
    assert_eq!(router.held()["dlan_udp6"], ["51999"]);
    let script = std::fs::read_to_string(router.at("nft")).unwrap();
    assert!(
        script.contains("flush set inet fw4 dlan_udp4\nadd element inet fw4 dlan_udp4 { 51999 }\n"),
        "{script}"
    );
    assert!(script.contains("flush set inet fw4 dlan_udp4_at\nflush set"), "{script}");
    assert_eq!(router.start(), told);
}

#[test]
fn a_wan_in_another_zone_has_the_service_tell_fw4_of_it() {
    let router = Router::new(&format!("{CONFIG}{WAN}"));
    router.start();
    router.configure(&format!("{CONFIG}{}", WAN.replace("'wan'\n\toption listen", "'lte'\n\toption listen")));
    let running = "start() { echo start; }; running() { return 0; }; openings";
    assert_eq!(router.run(running), "command openings\nstart\n");
    router.start();
    assert_eq!(router.run(running), "command openings\n");
    router.configure(&format!("{CONFIG}{WAN}"));
    let ended = "start() { echo start; }; running() { return 1; }; openings || :";
    assert_eq!(router.run(ended), "command openings\n");
}

#[test]
fn what_was_ended_before_fw4_was_told_of_a_zone_is_done_by_the_next_call() {
    let router = Router::new(CONFIG);
    router.start();
    router.configure(&format!("{CONFIG}{WAN}"));
    let ended = "start() { exit 0; }; running() { return 0; }; openings";
    assert_eq!(router.run(ended), "command openings\n");
    let running = "start() { echo start; }; running() { return 0; }; openings";
    assert_eq!(router.run(running), "command openings\nstart\n");
}

#[test]
fn the_kernel_takes_the_sets_as_fw4_makes_them_and_has_no_port_of_before() {
    let router = Router::new(&format!("{CONFIG}{WAN}{SERVICES}"));
    let sets = SETS.map(|(name, holds)| format!("set {name} {{ type {holds}; }}"));
    let table = format!("table inet fw4 {{\n{}\n}}\n", sets.join("\n"));
    std::fs::write(router.at("fw4"), table).unwrap();
    let run = format!(
        "{} unset -f nft; PATH=$PATH:/usr/sbin; nft -f {}; nft add element inet fw4 dlan_udp4 {{ 1 }}; start_service > /dev/null; nft list table inet fw4",
        router.before(),
        router.at("fw4").display(),
    );
    let output = Command::new("unshare").args(["-n", "sh", "-c", &run]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = said.split_whitespace().collect();
    let said = words.join(" ");
    for held in [
        "set dlan_tcp4 { type inet_service elements = { 80, 443, 8080 } }",
        "set dlan_tcp4_at { type ipv4_addr . inet_service elements = { 192.0.2.4 . 8443 } }",
        "set dlan_tcp6_at { type ipv6_addr . inet_service }",
        "set dlan_udp4 { type inet_service elements = { 51821 } }",
        "set dlan_udp6_at { type ipv6_addr . inet_service elements = { 2001:db8::4 . 27015 } }",
    ] {
        assert!(said.contains(held), "no {held} in {said}");
    }
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
