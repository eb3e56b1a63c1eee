//! Programs beside the agent on the real system: they come, outlive whoever started them, are told to read again, and go.
//! Needs root.
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
#[path = "fixture/namespace.rs"]
mod namespace;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dlan_agent::plan::Plan;
use dlan_agent::state::State;
use dlan_agent::state::managed_file::ManagedFile;
use dlan_agent::state::marks::Marks;
use dlan_agent::state::program::{Program, ProgramFile, ProgramName, Reread};
use dlan_agent::system::{System, SystemConfig};
use namespace::is_inside;

const NAME: ProgramName = ProgramName::Dnsmasq;
/// Runs a test's body in network and mount namespaces of its own: the test program again, for this test only.
fn in_namespace<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if !is_inside(test, &["--net", "--mount"]) {
        return;
    }
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none", "/run"]).status().unwrap();
    assert!(mounted.success());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ended = NoneLeft;
    runtime.block_on(body());
}

/// Ends what a test that fails leaves running.
struct NoneLeft;

impl Drop for NoneLeft {
    fn drop(&mut self) {
        for pid in processes() {
            // It may have ended by itself.
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn open() -> System {
    let config = SystemConfig {
        run_dir: "/run/dlan".into(),
        state_dir: "/run/dlan-state".into(),
        own_program: env!("CARGO_BIN_EXE_dlan").into(),
        ..SystemConfig::default()
    };
    System::open(config).unwrap()
}

/// A program that tells of each SIGHUP and each start in a file beside its own, and goes on until it is told to end.
fn program(script: &str, words: &str) -> Program {
    let file = |text: &str, reread| ProgramFile { file: ManagedFile::new(&format!("{text}\n")), reread };
    let path = |name: &str| NAME.directory().join(name).display().to_string();
    Program {
        path: std::fs::canonicalize("/bin/sh").unwrap(),
        arguments: vec![path("script")],
        check: Some(vec!["-n".to_owned(), path("script")]),
        directories: BTreeSet::from(["/run/kept".into()]),
        files: BTreeMap::from([
            ("script".to_owned(), file(script, Reread::Restart)),
            ("words".to_owned(), file(words, Reread::Reload)),
        ]),
        device: None,
        is_running: true,
    }
}

const SCRIPT: &str = "trap 'tail -n 1 /run/dlan-programs/dnsmasq/words >> /run/kept/said' HUP\n\
    echo start >> /run/kept/said\nwhile true; do sleep 0.05; done\n";

fn with(program: Program) -> State {
    State { programs: BTreeMap::from([(NAME, program)]), ..State::default() }
}

async fn observe(system: &System) -> State {
    let state = system.observe(&Marks::of(&fixture::config().mesh)).await;
    state.unwrap_or_else(|error| panic!("{}", error.with_causes()))
}

async fn reach(system: &System, wanted: &State) {
    let plan = Plan::new(&observe(system).await, wanted).unwrap();
    let outcome = system.apply(&plan).await;
    assert!(outcome.is_success(), "{outcome}");
    assert_eq!(observe(system).await, *wanted);
}

/// Waits until the program has told so much.
async fn said(lines: &[&str]) {
    let read = || std::fs::read_to_string("/run/kept/said").unwrap_or_default();
    for _ in 0..1000 {
        if read().lines().eq(lines.iter().copied()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it said {:?} instead of {lines:?}", read());
}

/// The numbers of the processes that run the script.
fn processes() -> Vec<i32> {
    let found = Command::new("pgrep").args(["-f", "^[^ ]*sh /run/dlan-programs/dnsmasq/script"]).output();
    let text = String::from_utf8(found.unwrap().stdout).unwrap();
    // Other tests have the same paths in namespaces of their own.
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let is_here = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|at| at == own);
    let all: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).filter(is_here).collect();
    // A child that is about to become `sleep` is called like the script for a moment.
    all.iter().copied().filter(|pid| parent(*pid).is_some_and(|parent| !all.contains(&parent))).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn a_program_comes_is_told_to_read_again_and_goes() {
    in_namespace("a_program_comes_is_told_to_read_again_and_goes", || async {
        let system = open();
        reach(&system, &with(program(SCRIPT, "one"))).await;
        said(&["start"]).await;
        let [pid] = processes()[..] else { panic!("{:?}", processes()) };
        let session = Command::new("ps").args(["-o", "sid=", "-p", &pid.to_string()]).output().unwrap();
        assert_eq!(String::from_utf8(session.stdout).unwrap().trim(), pid.to_string());
        reach(&system, &with(program(SCRIPT, "two"))).await;
        said(&["start", "two"]).await;
        assert_eq!(processes(), [pid]);
        reach(&system, &with(program(&format!("{SCRIPT}#\n"), "two"))).await;
        said(&["start", "two", "start"]).await;
        let [other] = processes()[..] else { panic!("{:?}", processes()) };
        assert_ne!(other, pid);
        let (_, outcome) = system.down(None).await.unwrap();
        assert!(outcome.is_success(), "{outcome}");
        assert!(processes().is_empty());
        assert!(!Path::new("/run/dlan-programs").exists());
        assert!(Path::new("/run/kept").exists());
    });
}

#[test]
fn a_program_outlives_the_agent_and_is_taken_over_as_it_runs() {
    in_namespace("a_program_outlives_the_agent_and_is_taken_over_as_it_runs", || async {
        let wanted = with(program(SCRIPT, "one"));
        reach(&open(), &wanted).await;
        let before = processes();
        assert_eq!(before.len(), 1);
        let next = open();
        assert_eq!(observe(&next).await, wanted);
        // What an agent that was killed while it started a program has left is ended, not joined.
        std::fs::remove_file("/run/dlan/record.json").unwrap();
        let last = open();
        reach(&last, &wanted).await;
        let after = processes();
        assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
        assert!(last.down(None).await.unwrap().1.is_success());
    });
}

#[test]
fn a_program_that_is_killed_or_whose_file_is_changed_is_put_right() {
    in_namespace("a_program_that_is_killed_or_whose_file_is_changed_is_put_right", || async {
        let system = open();
        let wanted = with(program(SCRIPT, "one"));
        let mut ends = system.program_ends();
        reach(&system, &wanted).await;
        let pid = processes()[0];
        kill(pid);
        tokio::time::timeout(Duration::from_secs(30), ends.next()).await.expect("the end is told");
        let seen = observe(&system).await;
        assert!(!seen.programs[&NAME].is_running);
        reach(&system, &wanted).await;
        assert_ne!(processes(), [pid]);
        said(&["start", "start"]).await;
        std::fs::write("/run/dlan-programs/dnsmasq/words", "mine\n").unwrap();
        assert_ne!(observe(&system).await, wanted);
        reach(&system, &wanted).await;
        said(&["start", "start", "one"]).await;
        assert!(system.down(None).await.unwrap().1.is_success());
    });
}

#[test]
fn files_that_a_program_does_not_accept_never_take_the_place_of_those_it_runs_by() {
    in_namespace("files_that_a_program_does_not_accept_never_take_the_place_of_those_it_runs_by", || async {
        let system = open();
        let wanted = with(program(SCRIPT, "one"));
        reach(&system, &wanted).await;
        let before = processes();
        for (broken, word) in [("while true; do\n", "does not accept"), ("echo no room >&2\n", "no room")] {
            let plan = Plan::new(&observe(&system).await, &with(program(broken, "one"))).unwrap();
            let outcome = system.apply(&plan).await;
            assert!(!outcome.is_success());
            assert!(outcome.to_string().contains(word), "{outcome}");
            if word == "does not accept" {
                assert_eq!(processes(), before);
                assert_eq!(observe(&system).await, wanted);
            }
        }
        reach(&system, &wanted).await;
        let missing = Program { path: "/usr/sbin/nobody".into(), ..program("", "one") };
        let plan = Plan::new(&observe(&system).await, &with(missing)).unwrap();
        assert!(system.apply(&plan).await.to_string().contains("/usr/sbin/nobody"));
        assert!(system.down(None).await.unwrap().1.is_success());
        assert!(processes().is_empty());
    });
}

#[test]
fn a_program_with_a_device_runs_while_the_device_is_up() {
    in_namespace("a_program_with_a_device_runs_while_the_device_is_up", || async {
        let system = open();
        let ip = |arguments: &[&str]| assert!(Command::new("ip").args(arguments).status().unwrap().success());
        let script = format!("ip link delete dev device0\nip link add device0 type bridge\n{SCRIPT}");
        let device = vxlan::link::LinkName::new("device0").unwrap();
        let wanted = with(Program { device: Some(device), ..program(&script, "one") });
        reach(&system, &wanted).await;
        let before = processes();
        for act in [&["link", "set", "device0", "down"][..], &["link", "delete", "device0"]] {
            ip(act);
            assert!(!observe(&system).await.programs[&NAME].is_running);
            reach(&system, &wanted).await;
        }
        assert_ne!(processes(), before);
        let plain = with(Program { device: Some("device1".parse().unwrap()), ..program(SCRIPT, "one") });
        let plan = Plan::new(&observe(&system).await, &plain).unwrap();
        let outcome = system.apply(&plan).await;
        assert!(outcome.to_string().contains("device1"), "{outcome}");
        assert!(system.down(None).await.unwrap().1.is_success());
    });
}
