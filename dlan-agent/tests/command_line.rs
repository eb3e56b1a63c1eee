//! The program as it is typed, where it needs neither an agent nor the kernel: output, exit codes, files.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a failed step fails the test"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const GOOD: &str = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\n\
                    config wan 'wan0'\n\toption device 'eth0'\n";

fn dlan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dlan")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn file(directory: &Path, content: &str) -> String {
    let path = directory.join("dlan");
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = dlan(&["--version"]);
    assert_eq!(text(&output.stdout), format!("dlan {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_mistyped_command_is_answered_with_the_likely_one_and_code_2() {
    let output = dlan(&["statsu"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("status"), "{output:?}");
}

#[test]
fn help_documents_the_exit_codes() {
    let output = text(&dlan(&["--help"]).stdout);
    assert!(output.contains("Exit codes") && output.contains("config"), "{output}");
}

#[test]
fn a_good_configuration_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), GOOD);
    assert_eq!(code(&dlan(&["config", "check", &path])), 0);
}

#[test]
fn a_bad_configuration_is_rejected_line_by_line_with_code_3() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), &GOOD.replace("'1'", "'one'"));
    let output = dlan(&["config", "check", &path]);
    assert_eq!(code(&output), 3);
    let said = text(&output.stderr);
    assert!(said.starts_with(&format!("{path}:2: mesh 'mesh': option host_id:")), "{said}");
    let json: serde_json::Value =
        serde_json::from_slice(&dlan(&["--json", "config", "check", &path]).stdout).unwrap();
    assert_eq!(json["errors"][0]["line"], 2);
}

#[test]
fn what_is_effective_is_itself_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), GOOD);
    let shown = dlan(&["--config", &path, "config", "show", "--effective"]);
    let again = file(directory.path(), &text(&shown.stdout));
    assert_eq!(code(&dlan(&["config", "check", &again])), 0);
}

#[test]
fn a_first_configuration_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("etc").join("dlan").display().to_string();
    let init =
        ["--config", &path, "init", "--host-id", "7", "--name", "r7", "--wan", "eth0", "--lan", "br-none"];
    assert_eq!(code(&dlan(&init)), 0);
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.contains("option host_id '7'") && first.contains("10.8.0.1/24"), "{first}");
    let second = dlan(&init);
    assert_eq!(code(&second), 1);
    assert!(text(&second.stderr).contains("is there already"), "{second:?}");
    assert_eq!(code(&dlan(&[&init[..], &["--force"]].concat())), 0);
}

#[test]
fn a_first_configuration_takes_the_place_of_a_file_with_comments_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "# nothing yet\n\n  # nor here\n");
    let init = ["--config", &path, "init", "--host-id", "7", "--name", "r7", "--wan", "eth0", "--no-lan"];
    assert_eq!(code(&dlan(&init)), 0);
    assert!(fs::read_to_string(&path).unwrap().contains("option host_id '7'"));
}

#[test]
fn a_missing_answer_is_named_with_its_option() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dlan").display().to_string();
    let output = dlan(&["--config", &path, "init", "--name", "r7", "--wan", "eth0", "--no-lan"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("--host-id"), "{output:?}");
    assert!(!Path::new(&path).exists());
}
