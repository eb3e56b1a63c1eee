//! What README.md and docs/ tell people to type is understood: commands, options, targets, files, configuration.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a document that is wrong fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use dlan_agent::cli::Cli;
use dlan_agent::config::{Source, parse};

/// What is not run here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ansible-playbook", "ansible/tests/test_docs.py has ansible itself read them"),
    ("apt", "Debian's own; packaging/test looks at the package"),
    ("apt-get", "as apt"),
    ("dlan-lab", "the lab's program, whose parser reads them in testbed/src/cli.rs"),
    ("export", "the shell's own"),
    ("opkg", "OpenWrt's own"),
    ("pip", "from PyPI"),
    ("scp", "needs a router"),
    ("ssh", "needs a router"),
    ("uci", "OpenWrt's own"),
];
/// Words in capitals that stand for something, and what stands there for the parser.
const PLACES: &[(&str, &str)] = &[
    ("NUMBER", "7"),
    ("FILE", "/etc/config/dlan"),
    ("TOKEN", "a-b"),
    ("COMMAND", "status"),
    ("LEVEL", "info"),
    ("DIRECTORY", "/tmp/stage"),
    ("HOST", "r4"),
    ("TIME", "90s"),
];
/// What a piece of a configuration may leave out.
const USUAL: &[(&str, &str)] = &[
    ("config mesh ", "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\n"),
    ("config wan ", "config wan 'wan0'\n\toption device 'eth0'\n"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every document with its name.
fn documents() -> Vec<(String, String)> {
    let names = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names =
        names.map(|name| format!("docs/{}", name.to_string_lossy())).filter(|name| name.ends_with(".md"));
    let mut names: Vec<String> = names.chain(["README.md".to_owned()]).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// The fenced blocks of a document, and the rest of it.
fn blocks(text: &str) -> (Vec<(&str, String)>, String) {
    let (mut blocks, mut rest, mut block) = (Vec::new(), String::new(), None);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut block) {
            (Some(language), None) => block = Some((language, String::new())),
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (None, Some((_, lines))) => *lines += &format!("{line}\n"),
            (None, None) => rest += &format!("{line}\n"),
        }
    }
    assert!(block.is_none(), "a block without end");
    (blocks, rest)
}

fn is_config(block: &str) -> bool {
    block.lines().any(|line| line.starts_with("config ") || line.trim_start().starts_with("option "))
}

fn is_picture(block: &str) -> bool {
    block.contains('─')
}

/// The commands of a document: each line of a block of commands, and what stands between backticks and begins with a program.
fn commands(text: &str) -> Vec<String> {
    let (blocks, rest) = blocks(text);
    let of_commands = blocks
        .iter()
        .filter(|(language, block)| language.is_empty() && !is_config(block) && !is_picture(block));
    let lines = of_commands.flat_map(|(_, block)| block.lines().map(str::to_owned));
    let lines = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    let mut found: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    let spans = rest.split('`').skip(1).step_by(2).map(|span| span.replace("\\|", "|").replace('\n', " "));
    let ours = ["dlan", "make", "cargo", "testbed/run", "testbed/setup"];
    let programs: BTreeSet<&str> = ours.into_iter().chain(ELSEWHERE.iter().map(|(name, _)| *name)).collect();
    found.extend(
        spans.filter(|span| span.split_once(' ').is_some_and(|(program, _)| programs.contains(program))),
    );
    found
}

/// What a command with `[options]` and alternatives stands for, with something in each place.
fn meanings(command: &str) -> Vec<String> {
    let mut words = command.to_owned();
    for (place, value) in PLACES {
        let fill = |word: &str| {
            let bare = word.trim_matches(['[', ']', ',']);
            if bare == *place { word.replace(place, value) } else { word.to_owned() }
        };
        words = words.split(' ').map(fill).collect::<Vec<_>>().join(" ");
    }
    let (Some(start), Some(end)) = (words.find('['), words.find(']')) else { return vec![words] };
    let (before, inside, after) = (&words[..start], &words[start + 1..end], &words[end + 1..]);
    let choices = inside.split(['|', ',']).map(str::trim).chain([""]);
    choices.flat_map(|choice| meanings(&format!("{before}{choice}{after}"))).collect()
}

fn understand_dlan(command: &str) -> Result<(), String> {
    for meaning in meanings(command) {
        let words = meaning.split_whitespace().map(|word| word.trim_matches('\''));
        match Cli::try_parse_from(words) {
            Ok(_) => {}
            // `--help`, `--version` and `help COMMAND` are answered by the parser itself.
            Err(error) if !error.use_stderr() => {}
            Err(error) => return Err(format!("`{meaning}`: {error}")),
        }
    }
    Ok(())
}

fn understand_make(command: &str) -> Result<(), String> {
    let makefile = read("Makefile");
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
    let targets: BTreeSet<&str> = phony.split_whitespace().collect();
    let mut words = command.split_whitespace().skip(1);
    let target = words.next().unwrap_or_default();
    if !targets.contains(target) {
        return Err(format!("`{command}`: no target {target}"));
    }
    match words.find_map(|word| word.split_once('=')) {
        Some((name, _)) if !makefile.contains(&format!("$({name})")) => {
            Err(format!("`{command}`: no variable {name}"))
        }
        _ => Ok(()),
    }
}

fn understand_cargo(command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |option: &str| Some(words[words.iter().position(|word| *word == option)? + 1]);
    let Some(package) = after("-p") else { return Ok(()) };
    let file = match (after("--example"), after("--bench")) {
        (Some(name), _) => format!("examples/{name}"),
        (_, Some(name)) => format!("benches/{name}"),
        _ => "src".to_owned(),
    };
    let at = root().join(package).join(file);
    let is_there = at.is_dir() || at.with_extension("rs").is_file();
    if is_there { Ok(()) } else { Err(format!("`{command}`: there is no {}", at.display())) }
}

fn understand(command: &str) -> Result<(), String> {
    let program = command.split_whitespace().next().unwrap_or_default();
    match program {
        "dlan" => understand_dlan(command),
        "make" => understand_make(command),
        "cargo" => understand_cargo(command),
        file if file.contains('/') => {
            if root().join(file).is_file() {
                Ok(())
            } else {
                Err(format!("`{command}`: there is no {file}"))
            }
        }
        other if ELSEWHERE.iter().any(|(name, _)| *name == other) => Ok(()),
        other => Err(format!("`{command}`: nothing is known of {other}")),
    }
}

#[test]
fn every_command_shown_is_understood() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, text) in documents() {
        for command in commands(&text) {
            count += 1;
            wrong.extend(understand(&command).err().map(|why| format!("{name}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "only {count} commands were found");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let text =
        "```\ndlan statsu\nmake lunch\n```\n`dlan apply --confrim 90s` `cargo run -p vxlan --example none`\n";
    let found = commands(text);
    assert_eq!(found.len(), 4, "{found:?}");
    for command in found {
        assert!(understand(&command).is_err(), "{command}");
    }
    assert_eq!(
        meanings("dlan topology [--dot | --svg]"),
        ["dlan topology --dot", "dlan topology --svg", "dlan topology "]
    );
}

#[test]
fn every_configuration_shown_is_accepted() {
    let mut count = 0;
    for (name, text) in documents() {
        for (_, block) in blocks(&text).0.into_iter().filter(|(_, block)| is_config(block)) {
            // Options without a section say more of the service shown before them.
            let block = match block.starts_with("config ") {
                true => block,
                false => format!(
                    "config service 'web'\n\tlist listen '*:443'\n\tlist upstream '10.2.0.7:443'\n{block}"
                ),
            };
            let missing = USUAL.iter().filter(|(section, _)| !block.contains(section)).map(|(_, text)| *text);
            let whole = format!("{}{block}", missing.collect::<String>());
            let parsed = parse(Source { file: &name, text: &whole, hostname: "r1" });
            assert!(parsed.is_ok(), "{name}: {}\n{whole}", parsed.err().unwrap());
            count += 1;
        }
    }
    assert!(count > 5, "only {count} configurations were found");
}

#[test]
fn every_option_named_by_its_section_exists() {
    let schema = read("docs/config.md");
    let sections: Vec<&str> = schema.split("\n## config ").skip(1).collect();
    let options = |kind: &str| {
        let of_kind = sections.iter().filter(|section| section.split_whitespace().next() == Some(kind));
        of_kind.copied().collect::<String>()
    };
    let mut wrong = Vec::new();
    for (name, text) in documents() {
        for span in blocks(&text).1.split('`').skip(1).step_by(2) {
            let Some((kind, option)) = span.split_once('.') else { continue };
            let is_name = |word: &str| {
                !word.is_empty()
                    && word.chars().all(|it| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit())
            };
            let of_kind = options(kind);
            if is_name(kind)
                && is_name(option)
                && !of_kind.is_empty()
                && !of_kind.contains(&format!("\n| `{option}` |"))
            {
                wrong.push(format!("{name}: `{span}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_needs_neither_router_nor_agent_does_what_the_documents_say() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dlan");
    let key = directory.path().join("wg.key");
    let (_, example) = blocks(&read("docs/config.md")).0.remove(0);
    let mine = format!("\toption private_key_file '{}'\n\toption host_id '1'", key.display());
    fs::write(&path, example.replace("\toption host_id '1'", &mine)).unwrap();
    for command in
        ["config check", "config show --effective", "key", "firewall --openings", "firewall", "help status"]
    {
        let mut program = Command::new(env!("CARGO_BIN_EXE_dlan"));
        let output = program.arg("--config").arg(&path).args(command.split(' ')).output().unwrap();
        assert!(output.status.success(), "dlan {command}: {output:?}");
    }
}
