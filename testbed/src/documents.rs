//! What the documents for operators tell people to type, and who tries it.

/// The documents, with their text.
pub const DOCUMENTS: [(&str, &str); 4] = [
    ("install.md", include_str!("../../docs/install.md")),
    ("ansible.md", include_str!("../../docs/ansible.md")),
    ("migration.md", include_str!("../../docs/migration.md")),
    ("troubleshooting.md", include_str!("../../docs/troubleshooting.md")),
];

/// Who tries a command that the scenario `documents` does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// A scenario, by its name.
    Scenario(&'static str),
    /// A scenario of machines that boot a root tree of OpenWrt's, by its name.
    Machines(&'static str),
    /// A test, by its file.
    Test(&'static str),
    /// Nobody here, for a reason.
    Nobody(&'static str),
}

const OPENWRT: Elsewhere = Elsewhere::Machines("openwrts-own");
const SYSTEMD: Elsewhere = Elsewhere::Nobody("it is systemd's own, and no namespace has it");

/// How the commands begin that are tried elsewhere; the first that fits counts.
const ELSEWHERE: &[(&str, Elsewhere)] = &[
    ("ansible-playbook -i hosts.yml ansible/playbooks/migrate.yml", Elsewhere::Scenario("migration")),
    ("ansible-playbook", Elsewhere::Scenario("playbook")),
    ("apk", OPENWRT),
    ("apt", Elsewhere::Scenario("playbook")),
    ("dlan init", Elsewhere::Test("dlan-agent/tests/first_configuration.rs")),
    ("dlan take-over", Elsewhere::Scenario("migration")),
    ("export ANSIBLE_CONFIG", Elsewhere::Scenario("playbook")),
    ("journalctl", SYSTEMD),
    ("logread", OPENWRT),
    ("make", Elsewhere::Test("testbed/test")),
    ("nft list", OPENWRT),
    ("nslookup", Elsewhere::Scenario("names")),
    ("opkg", OPENWRT),
    ("pip install ansible-core", Elsewhere::Test("testbed/setup")),
    ("reload_config", OPENWRT),
    ("scp", Elsewhere::Nobody("a router has it, and its address")),
    ("service dlan", OPENWRT),
    ("ssh", Elsewhere::Scenario("playbook")),
    ("sysupgrade", OPENWRT),
    ("systemctl", SYSTEMD),
    ("ubus", OPENWRT),
    ("uci", OPENWRT),
];
/// Commands without arguments that are more than names of programs where they stand.
const ALONE: [&str; 2] = ["reload_config", "sysupgrade"];

/// Returns what a document tells people to type, in its order: the lines of blocks without a language, and what stands between
/// backticks and begins with a program.
pub fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language.is_empty()),
            (Some(_), Some(_)) => block = None,
            (None, Some(is_shell)) => {
                found.extend((is_shell && !line.is_empty()).then(|| line.trim().to_owned()))
            }
            (None, None) => found
                .extend(line.split('`').skip(1).step_by(2).filter(|it| is_command(it)).map(str::to_owned)),
        }
    }
    found
}

fn is_command(span: &str) -> bool {
    let (program, arguments) = span.split_once(' ').unwrap_or((span, ""));
    let is_known =
        program == "dlan" || ELSEWHERE.iter().any(|(begin, _)| begin.split(' ').next() == Some(program));
    ALONE.contains(&span) || is_known && !arguments.is_empty()
}

/// Returns who tries a command, if the scenario `documents` does not.
pub fn elsewhere(command: &str) -> Option<Elsewhere> {
    let fits = |begin: &str| {
        command.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '=']))
    };
    let given = ELSEWHERE.iter().find(|(begin, _)| fits(begin));
    given.map(|(_, elsewhere)| *elsewhere)
}

/// Returns the playbooks that documents tell people to run and a scenario is to, each with its options but for what `-e` says and for
/// the values of others.
pub fn playbooks(scenario: &str) -> Vec<String> {
    let commands = DOCUMENTS.iter().flat_map(|(_, text)| commands(text));
    let of_it = commands
        .filter(|command| matches!(elsewhere(command), Some(Elsewhere::Scenario(name)) if name == scenario));
    of_it
        .filter_map(|command| command.split_once("ansible/playbooks/").map(|(_, words)| played(words)))
        .collect()
}

/// Returns a playbook with its options, as [`playbooks`] does.
pub fn played(words: &str) -> String {
    let mut words = words.split(' ');
    let mut kept = vec![words.next().unwrap_or_default().trim_end_matches(".yml")];
    while let Some(word) = words.next() {
        if ["-e", "--limit"].contains(&word) {
            // Its value.
            let _ = words.next();
        }
        kept.extend((word != "-e").then_some(word));
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::scenarios;

    fn shown() -> Vec<String> {
        DOCUMENTS.iter().flat_map(|(_, text)| commands(text)).collect()
    }

    #[test]
    fn every_command_of_the_documents_is_run_or_tried_where_the_table_says() {
        let known: BTreeSet<&str> = scenarios::all().iter().map(|scenario| scenario.name).collect();
        let of_a_tree: BTreeSet<&str> =
            scenarios::machines::of_a_tree().iter().map(|scenario| scenario.name).collect();
        for command in shown() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            match elsewhere(&command) {
                Some(Elsewhere::Scenario(name)) => assert!(known.contains(name), "there is no {name}"),
                Some(Elsewhere::Machines(name)) => {
                    assert!(of_a_tree.contains(name), "there is no {name} of machines with a root tree");
                }
                Some(Elsewhere::Test(file)) => assert!(root.join(file).is_file(), "there is no {file}"),
                Some(Elsewhere::Nobody(why)) => assert!(!why.is_empty()),
                None => assert!(command.starts_with("dlan "), "nobody tries `{command}`"),
            }
        }
    }

    #[test]
    fn nothing_is_in_the_table_that_no_document_shows() {
        let shown = shown();
        assert!(shown.len() > 60, "{shown:?}");
        for (begin, _) in ELSEWHERE {
            assert!(shown.iter().any(|command| command.starts_with(begin)), "{begin}");
        }
    }

    #[test]
    fn commands_are_found_in_blocks_and_between_backticks_and_names_alone_are_none() {
        let text = "```\nmake package\n\ndlan key\n```\n`opkg` and `dlan apply` after `reload_config`\n```yaml\nall: {}\n```\n";
        assert_eq!(commands(text), ["make package", "dlan key", "dlan apply", "reload_config"]);
    }

    #[test]
    fn a_playbook_is_told_from_another_by_its_options_and_not_by_what_they_say() {
        assert_eq!(played("rollback.yml --limit r1"), "rollback --limit");
        assert_eq!(played("deploy.yml --check --diff"), "deploy --check --diff");
        assert_eq!(played("upgrade.yml -e dlan_package=FILE --limit r1"), "upgrade --limit");
        assert!(playbooks("playbook").contains(&"check".to_owned()));
        assert_eq!(playbooks("migration"), ["migrate --limit", "migrate"]);
    }
}
