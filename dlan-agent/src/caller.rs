//! Who asks over the control socket: the user, and the remote session that the asking process belongs to.

use std::fs;

use serde::{Deserialize, Serialize};

/// Programs that carry a remote session; each connection has a process of its own.
const SESSION_PROGRAMS: [&str; 3] = ["sshd", "sshd-session", "dropbear"];
/// How far up the line of parents is looked.
const PARENTS_MAX: usize = 32;
/// The kernel's clock ticks in a second, for all that it tells user space.
pub const TICKS_PER_SECOND: u64 = 100;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The user's number.
    pub uid: u32,
    /// The remote session; none for a caller on the router itself.
    pub session: Option<Session>,
}

/// A remote session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When its process began, in ticks since the boot.
    pub began: u64,
    /// Its ends, when the session says so.
    pub ends: Option<SessionEnds>,
}

/// The addresses at the two ends of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnds {
    /// The operator's.
    pub client: std::net::IpAddr,
    /// The router's, which the operator called.
    pub router: std::net::IpAddr,
    /// The router's port.
    #[serde(default)]
    pub port: u16,
}

impl Caller {
    /// Finds out about a process that asks. What cannot be read is left out.
    pub fn of(pid: Option<i32>, uid: u32) -> Self {
        Self { uid, session: pid.and_then(session) }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.uid {
            0 => f.write_str("root")?,
            uid => write!(f, "user {uid}")?,
        }
        match &self.session {
            None => f.write_str(", on the router itself"),
            Some(Session { ends: Some(ends), .. }) => write!(f, ", from {}", ends.client),
            Some(Session { ends: None, .. }) => f.write_str(", by a remote session"),
        }
    }
}

/// Returns the time since the boot, in ticks.
pub fn ticks_now() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    parse_uptime(&text).unwrap_or_default()
}

fn session(pid: i32) -> Option<Session> {
    session_of(pid, |pid| parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?), ends)
}

/// Goes up the line of parents to the program that carries the session. What it told of its ends the process need not know itself:
/// `sudo` takes it out of the environment.
fn session_of(
    pid: i32,
    stat: impl Fn(i32) -> Option<Stat>,
    ends: impl Fn(i32) -> Option<SessionEnds>,
) -> Option<Session> {
    let (mut process, mut told) = (pid, None);
    for _ in 0..PARENTS_MAX {
        let stat = stat(process)?;
        if SESSION_PROGRAMS.contains(&stat.program.as_str()) {
            return Some(Session { began: stat.began, ends: told });
        }
        told = told.or_else(|| ends(process));
        process = stat.parent;
        if process <= 1 {
            return None;
        }
    }
    None
}

/// Returns what the session told the process about its ends.
fn ends(pid: i32) -> Option<SessionEnds> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|octet| *octet == 0);
    parse_ends(
        variables.find_map(|variable| str::from_utf8(variable.strip_prefix(b"SSH_CONNECTION=")?).ok())?,
    )
}

fn parse_ends(text: &str) -> Option<SessionEnds> {
    // A link-local client is named with its device.
    let address = |word: &str| word.split('%').next()?.parse().ok();
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        [client, _, router, port] => {
            Some(SessionEnds { client: address(client)?, router: address(router)?, port: port.parse().ok()? })
        }
        _ => None,
    }
}

/// What is wanted of a process's `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    program: String,
    parent: i32,
    began: u64,
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The program's name may hold anything, parentheses and spaces as well: the last one closes it.
    let (_, rest) = text.split_once('(')?;
    let (program, rest) = rest.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let parent = words.nth(1)?.parse().ok()?;
    let began = words.nth(17)?.parse().ok()?;
    Some(Stat { program: program.to_owned(), parent, began })
}

fn parse_uptime(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_whitespace().next()?.split_once('.')?;
    let ticks: u64 = fraction.get(..2)?.parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(TICKS_PER_SECOND)?.checked_add(ticks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_is_read_from_what_the_kernel_says() {
        let text =
            "814 (dlan (x) y) S 77 814 77 34816 814 4194304 95 0 0 0 0 0 0 0 20 0 1 0 4711 2334720 143 1";
        let told = Stat { program: "dlan (x) y".to_owned(), parent: 77, began: 4711 };
        assert_eq!(parse_stat(text), Some(told));
        let own = parse_stat(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert!(own.began <= ticks_now(), "{own:?}");
        assert_eq!(own.parent, nix::unistd::getppid().as_raw());
    }

    #[test]
    fn uptime_is_in_hundredths() {
        assert_eq!(parse_uptime("350735.47 234388.90\n"), Some(35_073_547));
        assert_eq!(parse_uptime("soon"), None);
    }

    #[test]
    fn the_ends_of_a_session_are_two_addresses() {
        let ends = parse_ends("fe80::1%br-lan 50312 fd00::2 22").unwrap();
        assert_eq!(ends.client.to_string(), "fe80::1");
        assert_eq!((ends.router.to_string().as_str(), ends.port), ("fd00::2", 22));
        assert_eq!(parse_ends("10.2.0.2 50312"), None);
    }

    #[test]
    fn who_has_become_root_comes_from_where_the_login_came_from() {
        // dlan, sudo, the login's shell, its session, the listening server.
        let line = [(9, "dlan", 8), (8, "sudo", 7), (7, "sh", 6), (6, "dropbear", 5), (5, "dropbear", 1)];
        let stat = |pid| {
            let (_, program, parent) = *line.iter().find(|(number, ..)| *number == pid)?;
            Some(Stat { program: program.to_owned(), parent, began: 100 - u64::try_from(pid).ok()? })
        };
        let told = parse_ends("192.0.2.7 50312 192.0.2.1 22");
        let found = session_of(9, stat, |pid| told.filter(|_| pid == 7));
        assert_eq!(found, Some(Session { began: 94, ends: told }));
        assert_eq!(session_of(9, |pid| stat(pid).filter(|_| pid > 7), |_| None), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = (parse_stat(&text), parse_uptime(&text), parse_ends(&text));
        }
    }
}
