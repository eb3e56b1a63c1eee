//! The control socket is root's: another user is told so in words, and nothing reaches the agent. Needs root.
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
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use dlan_agent::control::CONTROL_SOCKET;
use dlan_agent::control::client;
use dlan_agent::control::protocol::{Reply, Request};
use dlan_agent::control::server::{Call, Server};
use tokio::sync::mpsc;

/// Somebody who is not root.
const STRANGER: u32 = 65534;
/// Where everybody can run the program.
const PROGRAM: &str = "/run/dlan-of-the-test";

/// Runs the program as somebody else.
fn run_as_stranger(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).uid(STRANGER).gid(STRANGER).current_dir("/").output().unwrap()
}

fn assert_refused(calls: &mut mpsc::Receiver<Call>, what: &str) {
    for arguments in [&["status"][..], &["apply", "--force"], &["confirm", "aaaa-aaaa"], &["rollback"]] {
        let output = run_as_stranger(arguments);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{what}, {arguments:?}: {words}");
        assert!(words.contains("run it as root"), "{what}, {arguments:?}: {words}");
        assert!(calls.try_recv().is_err(), "{what}, {arguments:?} reached the agent");
    }
}

#[test]
fn another_user_is_told_to_be_root_and_nothing_reaches_the_agent() {
    if !namespace::is_inside(
        "another_user_is_told_to_be_root_and_nothing_reaches_the_agent",
        &["--net", "--mount"],
    ) {
        return;
    }
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "mode=0755", "none", "/run"]).status();
    assert!(mounted.unwrap().success());
    fs::copy(env!("CARGO_BIN_EXE_dlan"), PROGRAM).unwrap();
    let socket = Path::new(CONTROL_SOCKET);
    let directory = socket.parent().unwrap();
    fs::create_dir(directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind(socket).unwrap();
        let (calls_in, mut calls) = mpsc::channel(1);
        tokio::spawn(server.serve(calls_in));
        // As it is on a router, and where somebody has opened the directory to all.
        for mode in [0o700, 0o755] {
            fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
            assert_refused(&mut calls, &format!("a directory of mode {mode:o}"));
        }
        // Root is served all the same.
        tokio::spawn(async move {
            let call = calls.recv().await.unwrap();
            call.answer.send(Reply::Stopping).unwrap();
        });
        let reply = client::ask(socket, &Request::Status {}, Duration::from_secs(30)).await.unwrap();
        assert_eq!(reply, Reply::Stopping);
    });
}
