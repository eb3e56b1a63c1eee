//! A router's first configuration, by the program as it is run: rejected, tried, undone. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

#[path = "fixture/namespace.rs"]
mod namespace;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONFIG: &str = "/etc/config/dlan";
/// How long a slow machine may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The program as an agent, ended with the test.
struct Agent(Child);

impl Agent {
    /// Starts it, and waits until it answers.
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dlan"));
        let child = command.arg("agent").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Self(child.spawn().unwrap());
        let begun = std::time::Instant::now();
        while dlan(&["window"]).0 != Some(0) {
            assert!(begun.elapsed() < LIMIT, "the agent does not answer: {:?}", dlan(&["window"]));
            std::thread::sleep(Duration::from_millis(50));
        }
        agent
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = dlan(&["down"]);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command; returns its exit code, and what it said.
fn dlan(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dlan")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn configuration(host_id: &str) -> String {
    format!(
        "config mesh 'mesh'\n\toption host_id '{host_id}'\n\toption name 'r1'\n\nconfig wan 'wan0'\n\toption device 'lo'\n"
    )
}

/// Runs the body on a router without a configuration of dlan's, and without anything else of the host's.
fn on_a_fresh_router(test: &str, body: impl FnOnce()) {
    if !namespace::is_inside(test, &["--net", "--mount"]) {
        return;
    }
    for at in ["/run", "/etc"] {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "mode=0755", "none", at]).status();
        assert!(mounted.unwrap().success(), "{at}");
    }
    fs::create_dir(CONFIG.rsplit_once('/').unwrap().0).unwrap();
    body();
}

#[test]
fn an_agent_whose_first_configuration_is_rejected_stays_and_says_why() {
    let test = "an_agent_whose_first_configuration_is_rejected_stays_and_says_why";
    on_a_fresh_router(test, || {
        fs::write(CONFIG, configuration("one")).unwrap();
        let mut agent = Agent::start();
        let (code, said) = dlan(&["status"]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("option host_id") || said.contains("'one'"), "{said}");
        assert!(said.contains("no last good one to run"), "{said}");
        assert!(agent.is_alive());
        fs::write(CONFIG, configuration("1")).unwrap();
        let (code, said) = dlan(&["apply"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(dlan(&["status"]).0, Some(0));
        assert!(agent.is_alive());
    });
}

#[test]
fn a_first_configuration_tells_every_step_to_it_and_back() {
    on_a_fresh_router("a_first_configuration_tells_every_step_to_it_and_back", || {
        let _agent = Agent::start();
        fs::write(CONFIG, configuration("1")).unwrap();
        let (code, applied) = dlan(&["apply", "--confirm", "10m"]);
        assert_eq!(code, Some(0), "{applied}");
        let (code, undone) = dlan(&["rollback"]);
        assert_eq!(code, Some(0), "{undone}");
        for what in ["dlan-wg", "10.1.1.1/32", "nftables table"] {
            assert!(applied.contains(what), "{what}: {applied}");
            assert!(undone.contains(what), "{what}: {undone}");
        }
        assert!(
            undone.ends_with("The state before it is back: this router has no configuration.\n"),
            "{undone}"
        );
    });
}
