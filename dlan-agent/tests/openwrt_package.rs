//! What the package does to OpenWrt's configuration when it comes and when it goes, with a `uci` of a few lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// OpenWrt's `uci` as far as the scripts need it: a line in `$STORE` for each section and each value.
const UCI: &str = r#"
uci() {
	[ "$1" = -q ] && shift
	case "$1" in
		get) grep "^$2=" "$STORE" ;;
		delete) grep -q "^$2=" "$STORE" || return 1; grep -v -e "^$2=" -e "^$2\." "$STORE" > "$STORE.n"; mv "$STORE.n" "$STORE" ;;
		commit) echo "commit $2" >> "$STORE.log" ;;
		batch) while read -r word rest; do case "$word" in
			set | add_list) echo "$rest" | tr -d "'" >> "$STORE" ;;
			commit) uci commit "$rest" ;;
			*) echo "uci: $word" >&2 ;;
		esac; done ;;
		*) echo "uci: $1" >&2; return 1 ;;
	esac
}
"#;

/// The program, which cannot be asked for a moment, time that passes at once, and a filter of which it is noted what is done to it.
const DLAN: &str = r#"
dlan() { echo "$1" >> "$STORE.dlan"; [ "$(wc -l < "$STORE.dlan")" -gt 2 ]; }
sleep() { :; }
nft() { echo "$*" >> "$STORE.nft"; }
"#;

/// What is there before the package is.
const BEFORE: &str =
    "firewall.lan=zone\nfirewall.lan.name=lan\nfirewall.dlan_x0=rule\nfirewall.dlan_x0.name=mine\n";

fn openwrt(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openwrt").join(path)
}

/// Returns what stands in the Makefile between `define Package/dlan/NAME` and `endef`, as it is on a router.
fn block(name: &str) -> String {
    let makefile = std::fs::read_to_string(openwrt("Makefile")).unwrap();
    let begin = format!("define Package/dlan/{name}\n");
    let (_, rest) = makefile.split_once(&begin).unwrap();
    rest.split_once("\nendef").unwrap().0.replace("$$", "$")
}

/// A router's store, on which scripts are run.
struct Store(tempfile::TempDir);

impl Store {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("store"), BEFORE).unwrap();
        Self(directory)
    }

    fn run(&self, script: &str) -> String {
        let store = self.0.path().join("store");
        // What is told of the change, and is there on every router.
        let told = self.0.path().join("reload_config").display().to_string();
        let script = script.replace("/sbin/reload_config", &told);
        std::fs::write(&told, "#!/bin/sh\necho told >> $0.log\n").unwrap();
        std::fs::set_permissions(&told, std::fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.replace("/etc/init.d/", "/nonexistent/").replace("/usr/bin/dlan", "dlan");
        let run = format!("STORE={}\n{UCI}\n{DLAN}\n{script}", store.display());
        let output = Command::new("sh").args(["-c", &run]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(store).unwrap()
    }

    fn first_boot(&self) -> String {
        self.run(&std::fs::read_to_string(openwrt("files/etc/uci-defaults/30-dlan")).unwrap())
    }
}

#[test]
fn what_the_package_adds_to_the_firewall_goes_with_it_and_nothing_else_does() {
    let store = Store::new();
    let with = store.first_boot();
    assert!(with.starts_with(BEFORE) && with.contains("firewall.dlan=zone\n"), "{with}");
    assert!(with.contains("firewall.dlan_nat64=zone\n"), "{with}");
    assert_eq!(store.run(&block("prerm")), BEFORE);
}

#[test]
fn the_sets_that_fw4_was_given_go_with_the_package() {
    let store = Store::new();
    store.run(&block("prerm"));
    let done = std::fs::read_to_string(store.0.path().join("store.nft")).unwrap();
    let prefix = "delete set inet fw4 ";
    let gone: Vec<&str> = done.lines().filter_map(|line| line.strip_prefix(prefix)).collect();
    let script = openwrt("files/etc/init.d/dlan");
    let all = format!("extra_command() {{ :; }}; . {}; for_each_set echo", script.display());
    let all = Command::new("sh").args(["-c", &all]).output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    let all: Vec<&str> = all.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((gone.len(), gone), (8, all));
}

#[test]
fn a_removal_waits_for_an_agent_that_is_ending() {
    let store = Store::new();
    store.run(&block("prerm"));
    let asked = std::fs::read_to_string(store.0.path().join("store.dlan")).unwrap();
    assert_eq!(asked, "down\n".repeat(3));
}

#[test]
fn reload_config_has_seen_the_package_once_it_is_installed() {
    let store = Store::new();
    assert_eq!(store.run(&block("postinst")), BEFORE);
    assert_eq!(std::fs::read_to_string(store.0.path().join("reload_config.log")).unwrap(), "told\n");
}

#[test]
fn an_upgrade_takes_nothing_out_of_the_firewall() {
    let store = Store::new();
    let with = store.first_boot();
    assert_eq!(store.run(&format!("PKG_UPGRADE=1\n{}", block("prerm"))), with);
}

#[test]
fn joining_the_firewall_again_changes_nothing_also_where_the_operator_took_a_section_out() {
    let store = Store::new();
    store.first_boot();
    let narrower = store.run("uci delete firewall.dlan_from_lan");
    assert_eq!(store.first_boot(), narrower);
}
