use proptest::prelude::*;

use super::*;

const THEIRS: &str = "# by hand
config dnsmasq
	option domain 'lan'	# said
	list server '/example/192.0.2.1'

config dhcp 'lan'
	option interface lan
	option start 100

config dhcp 'dlan_lan0'
	option interface 'old'
	list dhcp_option '26,1400'

config odhcpd 'odhcpd'
	option maindhcp '0'";

const NETWORK: &str = "config interface 'loopback'
	option device 'lo'
config device
	option name 'br-lan'
config interface 'lan'
	option device 'br-lan'
config interface 'lan6'
	option device '@lan'
config interface 'cam'
	option ifname 'eth0.7'
config interface 'wan'
	option proto 'pppoe'
	option device 'eth1'
";

fn section(kind: &str, options: &[(&str, &str)]) -> UciSection {
    options.iter().fold(UciSection::new(kind), |section, (name, value)| section.set(name, value))
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [(DHCP_PACKAGE, THEIRS), (NETWORK_PACKAGE, NETWORK)] {
        let path = place(root.path(), Path::new(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

/// Makes those who serve, who write down what they are told.
fn with_services(root: &Path) {
    std::fs::create_dir_all(root.join("etc/init.d")).unwrap();
    for service in ["dnsmasq", "odhcpd"] {
        let script = root.join("etc/init.d").join(service);
        let told = root.join("told").display().to_string();
        std::fs::write(&script, format!("#!/bin/sh\necho {service} $1 >> {told}\n")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn told(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("told")).unwrap_or_default();
    let _ = std::fs::remove_file(root.join("told"));
    text
}

fn make(root: &Path, from: Option<UciDhcp>, to: Option<UciDhcp>) -> Result<(), UciError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(apply(root, &Edit { key: (), from, to }))
}

fn wanted(name: &str, hosts: &str) -> UciDhcp {
    let sections = BTreeMap::from([(format!("dlan_{name}"), section("dhcp", &[("interface", "cam")]))]);
    let files = BTreeMap::from([
        (PathBuf::from("/tmp/dnsmasq.d/dlan.conf"), ManagedFile::new("local=/r1.lan/\n")),
        (PathBuf::from(HOSTS_PATH), ManagedFile::new(hosts)),
    ]);
    UciDhcp { sections, files }
}

#[test]
fn only_what_is_ours_is_seen_and_every_other_line_stays() {
    let root = root();
    let found = observe(root.path()).unwrap();
    assert_eq!(found.sections.keys().collect::<Vec<_>>(), ["dlan_lan0"]);
    assert_eq!(
        found.sections["dlan_lan0"].options["dhcp_option"],
        UciValue::List(vec!["26,1400".to_owned()])
    );
    make(root.path(), Some(found), Some(wanted("lan1", ""))).unwrap();
    let text = std::fs::read_to_string(root.path().join("etc/config/dhcp")).unwrap();
    let rest = THEIRS
        .replace("\nconfig dhcp 'dlan_lan0'\n\toption interface 'old'\n\tlist dhcp_option '26,1400'\n", "");
    assert_eq!(text, format!("{rest}\n\nconfig dhcp 'dlan_lan1'\n\toption interface 'cam'\n"));
    assert_eq!(observe(root.path()), Some(wanted("lan1", "")));
    make(root.path(), Some(wanted("lan1", "")), None).unwrap();
    assert_eq!(std::fs::read_to_string(root.path().join("etc/config/dhcp")).unwrap(), format!("{rest}\n"));
    assert_eq!(observe(root.path()), None);
}

#[test]
fn who_serves_is_told_as_much_as_changed() {
    let root = root();
    with_services(root.path());
    let before = observe(root.path());
    make(root.path(), before, Some(wanted("lan1", "one"))).unwrap();
    assert_eq!(told(root.path()), "dnsmasq restart\nodhcpd reload\n");
    make(root.path(), Some(wanted("lan1", "one")), Some(wanted("lan1", "two"))).unwrap();
    assert_eq!(told(root.path()), "dnsmasq reload\n");
    let mut other = wanted("lan1", "two");
    other.files.insert("/tmp/dnsmasq.d/dlan.conf".into(), ManagedFile::new("local=/r2.lan/\n"));
    make(root.path(), Some(wanted("lan1", "two")), Some(other.clone())).unwrap();
    assert_eq!(told(root.path()), "dnsmasq restart\n");
    make(root.path(), Some(other), None).unwrap();
    assert_eq!(told(root.path()), "dnsmasq restart\nodhcpd reload\n");
}

#[test]
fn where_who_serves_cannot_be_told_everything_is_as_before_and_to_be_done_again() {
    let root = root();
    with_services(root.path());
    let before = observe(root.path());
    for service in ["odhcpd", "dnsmasq"] {
        std::fs::write(root.path().join("etc/init.d").join(service), "#!/bin/sh\nexit 1\n").unwrap();
        make(root.path(), before.clone(), Some(wanted("lan1", "one"))).unwrap_err();
        assert_eq!(observe(root.path()), before);
    }
}

#[test]
fn a_package_that_cannot_be_read_is_left_alone() {
    let root = root();
    let path = root.path().join("etc/config/dhcp");
    let broken = "config dhcp 'lan\n\toption start 100\n";
    std::fs::write(&path, broken).unwrap();
    let refused = make(root.path(), None, Some(wanted("lan1", ""))).unwrap_err();
    assert!(refused.to_string().contains("line 1"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
}

#[test]
fn networks_are_found_by_their_devices_and_so_is_who_serves_them() {
    let root = root();
    let found = facts(root.path());
    let networks: Vec<_> =
        found.networks.iter().map(|(device, name)| (device.as_str(), name.as_str())).collect();
    assert_eq!(
        networks,
        [("br-lan", "lan"), ("eth0.7", "cam"), ("eth1", "wan"), ("lo", "loopback"), ("pppoe-wan", "wan")]
    );
    assert_eq!(found.taken, BTreeMap::from([("lan".to_owned(), "lan".to_owned())]));
    assert_eq!(found.drop_ins, Path::new("/tmp/dnsmasq.d"));
    let anonymous = "config dhcp\n\toption interface 'a'\nconfig dhcp\n\toption interface 'b'\n";
    let taken = taken(&uci::decode(anonymous).0);
    assert_eq!(taken["b"], "@dhcp[1]");
}

#[test]
fn drop_ins_are_where_dnsmasq_of_that_release_reads_them() {
    let root = root();
    let at = |dhcp: &str| drop_ins(root.path(), &uci::decode(dhcp).0);
    assert_eq!(at("config dnsmasq\n\toption confdir '/etc/d,*.conf'\n"), Path::new("/etc/d"));
    std::fs::create_dir_all(root.path().join("tmp/dnsmasq.cfg01411c.d")).unwrap();
    assert_eq!(at("config dnsmasq\n"), Path::new("/tmp/dnsmasq.cfg01411c.d"));
}

fn any_section() -> impl Strategy<Value = UciSection> {
    let text = || "[ -~]{1,8}|[a-z'\"\\\\#\n]{1,6}".prop_filter("", |text: &String| !text.contains('\n'));
    let value = prop_oneof![
        text().prop_map(UciValue::One),
        prop::collection::vec(text(), 1..4).prop_map(UciValue::List),
    ];
    let options = prop::collection::btree_map("[a-z_]{1,6}", value, 0..4);
    options.prop_map(|options| UciSection { kind: "dhcp".to_owned(), options })
}

fn any_sections() -> impl Strategy<Value = BTreeMap<String, UciSection>> {
    prop::collection::btree_map("dlan_[a-z0-9_]{1,5}", any_section(), 0..4)
}

proptest! {
    /// What is written is what is read, whatever it is, beside whatever others have written.
    #[test]
    fn sections_come_and_go_beside_others(first in any_sections(), second in any_sections(), theirs in prop::collection::btree_map("[a-c][a-z]{0,4}", any_section(), 0..3)) {
        let original = format!("# theirs\n{}", encode(&theirs));
        let with = merge(&original, &first).unwrap();
        prop_assert_eq!(&sections(&uci::decode(&with).0), &first);
        let other = merge(&with, &second).unwrap();
        prop_assert_eq!(&sections(&uci::decode(&other).0), &second);
        prop_assert_eq!(merge(&other, &BTreeMap::new()).unwrap(), original);
    }

    #[test]
    fn any_file_is_merged_or_refused(text in "([a-z' \t\n#\"\\\\]|config dhcp '|option x '|dlan_a'){0,30}", wanted in any_sections()) {
        if let Ok(merged) = merge(&text, &wanted) {
            prop_assert_eq!(sections(&uci::decode(&merged).0), wanted);
        }
    }
}
