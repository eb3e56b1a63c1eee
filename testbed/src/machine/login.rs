//! Logging in to a machine as an operator does: by ssh over its LAN, with a key made for the lab.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::error::LabError;
use crate::node::Node;
use crate::tools;

/// Makes a key in a file and returns its public half.
pub fn make_key(file: &Path) -> Result<String, LabError> {
    let mut command = Command::new(tools::program("dropbear", "usr/bin/dropbearkey")?);
    command.args(["-t", "ed25519", "-f"]).arg(file).envs(libraries()?);
    let said = command::run(&mut command, "")?;
    let public = said.lines().find(|line| line.starts_with("ssh-ed25519 "));
    public
        .map(|line| format!("{line}\n"))
        .ok_or_else(|| LabError::Asked(format!("dropbearkey names no key: {said}")))
}

/// Returns the command that logs in to an address from another node; without `words` it opens a shell, on a terminal where this program
/// has one.
pub fn command(from: &Node, key: &Path, address: &str, words: &[String]) -> Result<Command, LabError> {
    let client = tools::program("dropbear", "usr/bin/dbclient")?;
    let mut command = Command::new("nsenter");
    command.args(["-t", &from.pid.to_string(), "-n", "--", &client, "-y", "-y", "-i"]).arg(key);
    if words.is_empty() && !std::io::stdin().is_terminal() {
        command.arg("-T");
    }
    command.arg(format!("root@{address}")).args(words).envs(libraries()?);
    Ok(command)
}

fn libraries() -> Result<Vec<(&'static str, std::path::PathBuf)>, LabError> {
    let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    // The client notes the keys of those that it has seen in its home.
    Ok(vec![("LD_LIBRARY_PATH", tools::folder("dropbear")?.join(machine)), ("HOME", std::env::temp_dir())])
}
