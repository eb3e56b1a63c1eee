//! A node's whole state as lines of text, to be compared before and after.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::LabError;
use crate::node::Node;

/// Values that change by themselves.
const VOLATILE: [&str; 8] =
    ["stats", "stats64", "preferred_life_time", "valid_life_time", "expires", "used", "age", "operstate"];

/// Kernel settings that the kernel writes by itself.
const VOLATILE_SETTINGS: [&str; 5] =
    ["nf_conntrack_count", "stable_secret", "route/flush", "/mtu", "tcp_fastopen_key"];

/// Lists a node's files: what is no plain file by its name. One that goes meanwhile is none.
const FILES: &str = "find /etc /run -path /run/host-etc -prune -o -type d -exec printf 'directory %s\\n' {} + -o -type f -exec cksum {} + \
                     -o -exec printf 'file %s\\n' {} + 2>/dev/null || true";

/// A node's state: one line per thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    lines: BTreeSet<String>,
}

impl Snapshot {
    /// Takes a node's state: devices, addresses, routes, rules, neighbors made by hand, nftables, settings and files.
    pub fn take(node: &Node) -> Result<Self, LabError> {
        let mut lines = BTreeSet::new();
        for (what, arguments) in [
            ("link", ["-d", "-j", "link", "show"].as_slice()),
            ("address", &["-j", "addr", "show"]),
            ("route", &["-j", "-4", "route", "show", "table", "all"]),
            ("route", &["-j", "-6", "route", "show", "table", "all"]),
            ("rule", &["-j", "-4", "rule", "show"]),
            ("rule", &["-j", "-6", "rule", "show"]),
            ("nexthop", &["-j", "nexthop", "show"]),
        ] {
            let text = node.run("ip", arguments)?;
            let things: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            for mut thing in things {
                strip(&mut thing);
                lines.insert(format!("{what} {thing}"));
            }
        }
        let ruleset = node.run("nft", &["-s", "list", "ruleset"])?;
        lines
            .extend(ruleset.lines().enumerate().map(|(number, line)| format!("nftables {number:04} {line}")));
        lines.extend(node.run("sh", &["-c", FILES])?.lines().map(file));
        let settings = node.run("sh", &["-c", "grep -rs '' /proc/sys/net || true"])?;
        let steady =
            settings.lines().filter(|line| !VOLATILE_SETTINGS.iter().any(|volatile| line.contains(volatile)));
        lines.extend(steady.map(|line| format!("setting {line}")));
        Ok(Self { lines })
    }

    /// Returns the lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = &String> {
        self.lines.iter()
    }

    /// Returns what went (`-`) and what came (`+`) from this state to `after`.
    pub fn differences(&self, after: &Self) -> Vec<String> {
        let gone = self.lines.difference(&after.lines).map(|line| format!("- {line}"));
        let come = after.lines.difference(&self.lines).map(|line| format!("+ {line}"));
        gone.chain(come).collect()
    }
}

/// Takes away what changes by itself.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !VOLATILE.contains(&name.as_str()) && !name.ends_with("_timer"));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Returns a line of what lists the files: a file that has content with its length and a sum over it.
fn file(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(sum), Some(length), Some(name)) if name.starts_with('/') => {
            format!("file {name}, {length} octets, sum {sum}")
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_by_itself_is_not_compared() {
        let mut value =
            serde_json::json!({ "dev": "eth0", "linkinfo": { "gc_timer": 1.5, "kind": "bridge" } });
        strip(&mut value);
        assert_eq!(value, serde_json::json!({ "dev": "eth0", "linkinfo": { "kind": "bridge" } }));
    }

    #[test]
    fn a_file_is_told_with_what_is_in_it_and_anything_else_by_its_name() {
        assert_eq!(file("4711 12 /etc/a file"), "file /etc/a file, 12 octets, sum 4711");
        assert_eq!(file("directory /etc/dlan"), "directory /etc/dlan");
        assert_eq!(file("file /run/dlan/dlan.sock"), "file /run/dlan/dlan.sock");
    }

    #[test]
    fn differences_say_what_went_and_what_came() {
        let of = |lines: &[&str]| Snapshot { lines: lines.iter().map(|line| (*line).to_owned()).collect() };
        assert_eq!(of(&["a", "b"]).differences(&of(&["b", "c"])), ["- a", "+ c"]);
    }
}
