//! `dig` in a node: what is asked where, and what comes back, as values.

use std::path::{Path, PathBuf};

use crate::command;
use crate::error::LabError;
use crate::foreign::find;
use crate::lab::Lab;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The response code, such as `NOERROR`; empty when nothing came.
    pub status: String,
    /// The flags, such as `qr rd ra`.
    pub flags: String,
    /// The records of the answer.
    pub records: Vec<Record>,
    /// Whether the answer is marked as stale.
    pub is_stale: bool,
    /// Whether it has an authority record, as answers that there is nothing have.
    pub has_authority: bool,
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its type.
    pub kind: String,
    /// What it says.
    pub data: String,
}

impl Answer {
    /// Returns what the records of a type say, in order.
    pub fn data(&self, kind: &str) -> Vec<String> {
        let mut data: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.kind == kind)
            .map(|record| record.data.clone())
            .collect();
        data.sort();
        data
    }

    /// Returns whether a flag is set.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.split_whitespace().any(|set| set == flag)
    }

    /// Reads what dig writes.
    fn parse(text: &str) -> Self {
        let mut answer = Self::default();
        let mut section = "";
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once("status: ") {
                answer.status = rest.split(',').next().unwrap_or_default().to_owned();
            } else if let Some(rest) = line.strip_prefix(";; flags: ") {
                answer.flags = rest.split(';').next().unwrap_or_default().to_owned();
                answer.has_authority = !rest.contains("AUTHORITY: 0");
            } else if line.starts_with("; EDE: 3") {
                answer.is_stale = true;
            } else if let Some(title) = line.strip_prefix(";; ") {
                section = title;
            } else if section.starts_with("ANSWER SECTION") && !line.starts_with(';') {
                let mut words = line.split_whitespace();
                let (name, ttl, _) = (words.next(), words.next(), words.next());
                let (Some(name), Some(Ok(ttl)), Some(kind)) = (name, ttl.map(str::parse), words.next())
                else {
                    continue;
                };
                let data = words.collect::<Vec<_>>().join(" ");
                answer.records.push(Record { name: name.to_owned(), ttl, kind: kind.to_owned(), data });
            }
        }
        answer
    }
}

impl Lab {
    /// Asks in a node. Nothing coming back is an answer without a status.
    pub fn dig(&self, node: &str, arguments: &[&str]) -> Result<Answer, LabError> {
        let program = program()?;
        let arguments = [&["+tries=1", "+time=4"], arguments].concat();
        let mut command = self.node(node)?.command(&program.to_string_lossy(), &arguments);
        command.env("LD_LIBRARY_PATH", libraries(&program));
        let output = command::output(&mut command, "")?;
        Ok(Answer::parse(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Returns where dig is: what the environment's `DLAN_DIG` says, else the one that set-up unpacked, else the system's.
fn program() -> Result<PathBuf, LabError> {
    find("DLAN_DIG", "dig", "/usr/bin/dig")
}

/// Returns where unpacked libraries are, for the dynamic linker.
fn libraries(program: &Path) -> String {
    let usr = program.ancestors().nth(2).filter(|usr| *usr != Path::new("/usr"));
    let entries = usr.and_then(|usr| std::fs::read_dir(usr.join("lib")).ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
; <<>> DiG 9.18 <<>> nas.r1.lan
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711
;; flags: qr rd tc; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
; EDE: 3 (Stale Answer)
;; QUESTION SECTION:
;nas.r1.lan.			IN	A

;; ANSWER SECTION:
git.lan.		60	IN	CNAME	nas.r1.lan.
nas.r1.lan.		10	IN	A	10.2.1.2

;; Query time: 0 msec
";

    #[test]
    fn an_answer_is_read_from_what_dig_writes() {
        let answer = Answer::parse(TEXT);
        assert_eq!((answer.status.as_str(), answer.flags.as_str()), ("NOERROR", "qr rd tc"));
        assert!(answer.is_stale && !answer.has_authority && answer.has_flag("tc") && !answer.has_flag("ra"));
        assert_eq!((answer.data("A"), answer.records[1].ttl), (vec!["10.2.1.2".to_owned()], 10));
        assert_eq!(Answer::parse(";; communications error: timed out"), Answer::default());
    }
}
