//! Files as people write them, and what is said about each: every `tests/config/*/*.conf` beside its expected text.
//!
//! `DLAN_UPDATE=1 cargo test -p dlan-agent --test config_files` writes the expected texts; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dlan_agent::config::{self, Source, effective, effective_text, load, parse};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "conf")).collect();
    files.sort();
    files
}

/// Compares a text with the file that holds what is expected, or writes that file; tells where they differ.
fn differs(path: &Path, text: &str) -> Option<String> {
    if std::env::var_os("DLAN_UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    (expected != text).then(|| format!("{}\n--- expected\n{expected}--- got\n{text}", path.display()))
}

fn short(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_broken_file_is_rejected_with_its_exact_words() {
    let files = files("bad");
    assert!(files.len() >= 45, "{} files", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let Err(mut errors) = load(&path) else { panic!("{} was accepted", path.display()) };
        assert!(!errors.errors.is_empty(), "{}", path.display());
        errors.file = short(&path);
        wrong.extend(differs(&path.with_extension("err"), &format!("{errors}\n")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_good_file_is_accepted_with_every_value_and_its_origin() {
    let mut wrong = Vec::new();
    for path in files("good") {
        let loaded = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        wrong.extend(differs(&path.with_extension("effective"), &effective_text(&loaded)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_effective_is_a_file_that_means_the_same() {
    for path in files("good") {
        let loaded = load(&path).unwrap();
        let text = effective_text(&loaded);
        let again = parse(Source { file: "effective", text: &text, hostname: "" });
        let again = again.unwrap_or_else(|errors| panic!("{}: {errors}\n{text}", path.display()));
        assert_eq!(again.config, loaded.config, "{}", path.display());
    }
}

#[test]
fn a_file_means_the_same_after_uci_has_exported_it() {
    let by_hand = load(&folder("good").join("by-hand.conf")).unwrap();
    let exported = load(&folder("good").join("uci-export.conf")).unwrap();
    assert_eq!(by_hand.config, exported.config);
}

#[test]
fn a_truncated_file_never_gives_half_a_value() {
    let text = fs::read_to_string(folder("good").join("reference.conf")).unwrap();
    let whole = load(&folder("good").join("reference.conf")).unwrap().document;
    let mut accepted = 0;
    for end in 0..text.len() {
        let source = Source { file: "dlan", text: &text[..end], hostname: "r1" };
        let Ok(loaded) = parse(source) else { continue };
        accepted += 1;
        for (section, of_whole) in loaded.document.sections.iter().zip(&whole.sections) {
            assert_eq!((&section.kind, &section.name), (&of_whole.kind, &of_whole.name), "{end}");
            assert!(section.entries.iter().all(|entry| of_whole.entries.contains(entry)), "{end}");
        }
    }
    assert!(accepted > 0);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "# a comment\n".repeat(30_000)).unwrap();
    let message = load(file.path()).unwrap_err().errors[0].message();
    assert_eq!(message, "the file is larger than 262144 octets, so it is no configuration of dlan");
}

#[test]
fn no_more_errors_are_told_than_a_person_reads() {
    let mut text = fs::read_to_string(folder("good").join("reference.conf")).unwrap();
    (0..130).for_each(|index| text.push_str(&format!("\n\toption cost{index} '1'")));
    let errors = parse(Source { file: "dlan", text: &text, hostname: "" }).unwrap_err();
    assert_eq!((errors.errors.len(), errors.more), (100, 30));
    assert!(errors.to_string().ends_with("\ndlan: 30 more errors are not shown"));
}

#[test]
fn what_is_no_file_is_told_in_words() {
    let missing = load(Path::new("/nowhere/dlan")).unwrap_err().to_string();
    assert_eq!(missing, "/nowhere/dlan: there is no such file; 'dlan init' writes a first one");
    let folder = load(Path::new("/")).unwrap_err().to_string();
    assert_eq!(folder, "/: this is not a regular file");
}

#[test]
fn the_system_s_host_name_stands_for_a_missing_name() {
    let text = "config mesh\n option host_id 1\nconfig wan\n option device eth0\n";
    let name = |hostname| {
        parse(Source { file: "dlan", text, hostname })
            .map(|loaded| loaded.config.mesh.name)
            .map_err(|e| e.to_string())
    };
    assert_eq!(name("OpenWrt.lan"), Ok("openwrt".to_owned()));
    let allowed = "a host name: 1 to 63 lower-case letters, digits and '-', with no '-' at either end";
    let expected = format!(
        "dlan:1: @mesh[0]: option name: it is missing, and the system's host name 'a b' cannot stand for it: it must be {allowed}"
    );
    assert_eq!(name("a b"), Err(expected));
}

#[test]
fn errors_as_json_have_the_place_and_the_words() {
    let text =
        "config mesh 'mesh'\n\toption host_id '0'\n\toption name 'r1'\nconfig wan\n\toption device eth0\n";
    let errors = parse(Source { file: "dlan", text, hostname: "" }).unwrap_err();
    let json = serde_json::to_value(&errors).unwrap();
    let expected = serde_json::json!({
        "file": "dlan",
        "errors": [{
            "line": 2, "column": null, "section": "mesh 'mesh'", "option": "host_id",
            "message": "'0' is not a whole number from 1 to 4095",
        }],
        "more": 0,
    });
    assert_eq!(json, expected);
}

#[test]
fn effective_options_as_json_tell_where_each_value_comes_from() {
    let loaded = load(&folder("good").join("by-hand.conf")).unwrap();
    let options = effective(&loaded);
    let find = |section: &str, option: &str| {
        let found = options.iter().find(|one| one.section == section && one.option == option);
        serde_json::to_value(found.unwrap()).unwrap()
    };
    assert_eq!(find("mesh", "keepalive")["origin"], serde_json::json!({"from": "default"}));
    assert_eq!(
        find("r5", "hello_interval")["origin"],
        serde_json::json!({"from": "mesh", "option": "hello_interval", "line": 6})
    );
    assert_eq!(find("wan1", "listen_port")["value"], "40000");
    assert_eq!(find("r5", "endpoint")["value"], serde_json::Value::Null);
}

#[test]
fn the_document_is_the_schema_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let differs = differs(&path, &config::docs::markdown());
    let how = "DLAN_UPDATE=1 cargo test -p dlan-agent --test config_files";
    assert!(differs.is_none(), "docs/config.md is not what the schema says; run\n{how}");
}

#[test]
fn the_document_s_example_is_accepted() {
    let text = config::docs::example();
    parse(Source { file: "example", text: &text, hostname: "" }).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn every_option_that_the_page_for_those_who_come_from_the_role_names_is_there() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/predecessor.md");
    let text = fs::read_to_string(page).unwrap();
    let spans =
        |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .map(|(before, here)| (before.to_owned(), here.to_owned()))
        .collect();
    let variables: BTreeSet<String> =
        rows.iter().flat_map(|(before, _)| spans(before)).filter(|span| span.starts_with("dlan_")).collect();
    assert_eq!(variables.len(), 28, "26 variables and two constants: {variables:?}");
    let mut named = 0;
    for option in rows.iter().flat_map(|(_, here)| spans(here)) {
        let Some((section, name)) = option.split_once('.').filter(|(_, name)| !name.is_empty()) else {
            continue;
        };
        if option.chars().any(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit() && !"_.".contains(c))
            || section.is_empty()
        {
            continue;
        }
        let schema =
            config::schema::section(section).unwrap_or_else(|| panic!("no section {section}: {option}"));
        assert!(schema.option(name).is_some(), "no option {option}");
        named += 1;
    }
    assert!(named > 60, "{named} options");
}
