//! Logins over the network, as an operator comes: dropbear in one node, its client in another, with keys made for the lab.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::error::LabError;
use crate::foreign;
use crate::lab::{read_file, write_file};
use crate::node::Node;
use crate::wait;

/// The operator's home in a router: the host's own is left alone.
const HOME: &str = "/run/operator";
/// The operator's key, in the operator's node.
const KEY: &str = "/run/operator.key";
/// The key by which a router's server is known, in the router.
const HOST_KEY: &str = "/run/dropbear.key";
/// There while the server runs.
const PID_FILE: &str = "/run/dropbear.pid";
/// The number of a user who is not root.
const USER_ID: u32 = 4711;
const LIMIT: Duration = Duration::from_secs(20);
/// What ends the answer to a line.
const END: &str = "end-of-answer";

/// Makes the operator's key, unless it is there, and returns its public half.
pub fn key(operator: &Node) -> Result<String, LabError> {
    // One operator, one key, however many routers.
    let is_made = operator.path(KEY).exists();
    let make: &[&str] = if is_made { &["-y", "-f", KEY] } else { &["-t", "ed25519", "-f", KEY] };
    let said = crate::command::run(&mut tool(operator, "usr/bin/dropbearkey", make)?, "")?;
    Ok(said.lines().find(|line| line.starts_with("ssh-ed25519 ")).unwrap_or_default().to_owned())
}

/// Opens a router for logins of an operator who sits in another node.
pub fn open(router: &Node, operator: &Node) -> Result<(), LabError> {
    let public = key(operator)?;
    let directory = router.path(&format!("{HOME}/.ssh"));
    fs::create_dir_all(&directory).map_err(|source| failed("make", &directory, source))?;
    for path in [router.path(HOME), directory.clone()] {
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&path, mode).map_err(|source| failed("protect", &path, source))?;
    }
    write_file(&directory.join("authorized_keys"), &format!("{public}\n"))?;
    // The file of users is a link to the host's.
    let users = router.path("/etc/passwd");
    fs::remove_file(&users).map_err(|source| failed("replace", &users, source))?;
    let text = read_file(Path::new("/etc/passwd"))?;
    write_file(&users, &with_user(&text, "root", 0, HOME))?;
    crate::command::run(&mut tool(router, "usr/bin/dropbearkey", &["-t", "ed25519", "-f", HOST_KEY])?, "")?;
    let arguments = ["-F", "-s", "-r", HOST_KEY, "-P", PID_FILE];
    let mut server = tool(router, "usr/sbin/dropbear", &arguments)?;
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    server.spawn().map(drop).map_err(|source| LabError::Node {
        node: router.name.clone(),
        why: format!("cannot start dropbear: {source}"),
    })?;
    wait::until(LIMIT, "dropbear to listen", || {
        let is_there = router.path(PID_FILE).exists();
        if is_there { Ok(()) } else { Err("it does not run".to_owned()) }
    })
}

/// Lets the operator log in to an open router as a user of this name too, who is not root.
pub fn add_user(router: &Node, name: &str) -> Result<(), LabError> {
    let home = format!("/run/{name}");
    let users = router.path("/etc/passwd");
    write_file(&users, &with_user(&read_file(&users)?, name, USER_ID, &home))?;
    router.run("cp", &["-r", HOME, &home])?;
    router.run("chown", &["-R", &USER_ID.to_string(), &home])?;
    Ok(())
}

/// Returns a file of users in which this one has this number and home.
fn with_user(text: &str, name: &str, number: u32, home: &str) -> String {
    let others = text.lines().filter(|line| !line.starts_with(&format!("{name}:")));
    let own = format!("{name}:x:{number}:{number}:{name}:{home}:/bin/sh");
    others.map(str::to_owned).chain([own]).fold(String::new(), |text, line| text + &line + "\n")
}

/// Writes the operator's key for OpenSSH's client, and returns where, in the operator's node.
pub fn openssh_key(operator: &Node) -> Result<&'static str, LabError> {
    let path = "/run/operator.openssh";
    let convert = ["dropbear", "openssh", KEY, path];
    crate::command::run(&mut tool(operator, "usr/bin/dropbearconvert", &convert)?, "")?;
    Ok(path)
}

/// Ends the logins of a router, and gives it the host's users again.
pub fn close(router: &Node) -> Result<(), LabError> {
    for pid in router.processes(|arguments| arguments.first().is_some_and(|it| it.ends_with("dropbear"))) {
        crate::node::end_process(pid);
    }
    // One that was killed leaves them.
    router.run("rm", &["-f", HOST_KEY, PID_FILE])?;
    let users = router.path("/etc/passwd");
    fs::remove_file(&users).map_err(|source| failed("replace", &users, source))?;
    std::os::unix::fs::symlink("/run/host-etc/passwd", &users)
        .map_err(|source| failed("replace", &users, source))
}

/// A login that stays open.
#[derive(Debug)]
pub struct Login {
    client: Child,
    lines: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Login {
    /// Logs in from a node.
    pub fn open(operator: &Node, router: IpAddr) -> Result<Self, LabError> {
        let broken =
            |source| LabError::Node { node: operator.name.clone(), why: format!("no login: {source}") };
        let to = format!("root@{router}");
        let mut command = tool(operator, "usr/bin/dbclient", &["-y", "-y", "-T", "-i", KEY, &to, "sh"])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = command.spawn().map_err(broken)?;
        let missing = || broken(std::io::Error::other("no pipe"));
        let lines = client.stdin.take().ok_or_else(missing)?;
        let answers = BufReader::new(client.stdout.take().ok_or_else(missing)?);
        Ok(Self { client, lines, answers })
    }

    /// Has a line carried out by the shell of this login, and returns what it said, errors too, and its exit code.
    pub fn say(&mut self, line: &str) -> Result<(String, i32), LabError> {
        let broken = |source: std::io::Error| LabError::Asked(format!("the login broke off: {source}"));
        writeln!(self.lines, "{{ {line}; }} 2>&1; echo {END} $?").map_err(broken)?;
        self.lines.flush().map_err(broken)?;
        let mut said = String::new();
        loop {
            let mut answer = String::new();
            if self.answers.read_line(&mut answer).map_err(broken)? == 0 {
                return Err(broken(std::io::Error::other(format!("after {said:?}"))));
            }
            if let Some(code) = answer.trim().strip_prefix(END) {
                return Ok((said, code.trim().parse().unwrap_or(-1)));
            }
            said.push_str(&answer);
        }
    }

    /// Logs out.
    pub fn close(mut self) -> Result<(), LabError> {
        drop(self.lines);
        self.client.wait().map(drop).map_err(|source| LabError::Asked(format!("cannot log out: {source}")))
    }
}

fn tool(node: &Node, path: &str, arguments: &[&str]) -> Result<Command, LabError> {
    let dropbear = foreign::find("DLAN_DROPBEAR", "dropbear", "/usr/sbin/dropbear")?;
    let root = dropbear.ancestors().nth(3).unwrap_or(Path::new("/")).to_owned();
    let mut command = node.command(&root.join(path).to_string_lossy(), arguments);
    command.env("LD_LIBRARY_PATH", libraries(&root)).env("HOME", "/run");
    Ok(command)
}

/// Returns where the libraries lie that were unpacked with it.
fn libraries(root: &Path) -> PathBuf {
    let directories = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    let has_it = |path: &PathBuf| path.join("libtomcrypt.so.1").exists();
    directories.map(|entry| entry.path()).find(has_it).unwrap_or_default()
}

fn failed(act: &'static str, path: &Path, source: std::io::Error) -> LabError {
    LabError::File { act, path: path.to_owned(), source }
}
