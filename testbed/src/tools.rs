//! Programs of others that set-up unpacks for the lab: where they are, and how the agent finds them.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::LabError;
use crate::node::own_program;

/// The programs that the agent starts, each a folder of what was unpacked.
const OF_THE_AGENT: [&str; 3] = ["dnsmasq", "nginx", "tayga"];

/// Returns the folder of a tool: below what the environment's `DLAN_TOOLS` says, else below what set-up unpacked.
pub fn folder(tool: &str) -> Result<PathBuf, LabError> {
    let beside = own_program()?.parent().map(|directory| directory.join("../tools")).unwrap_or_default();
    Ok(std::env::var_os("DLAN_TOOLS").map_or(beside, PathBuf::from).join(tool))
}

/// Returns a program of a tool.
pub fn program(tool: &str, path: &str) -> Result<String, LabError> {
    let program = folder(tool)?.join(path);
    let program = program.canonicalize().map_err(|_| {
        LabError::Asked(format!(
            "there is no {}: `testbed/setup --test` unpacks it, DLAN_TOOLS names the folder",
            program.display()
        ))
    })?;
    Ok(program.to_string_lossy().into_owned())
}

/// Returns the environment in which the agent finds its programs before the system's.
pub fn environment() -> Result<Vec<(&'static str, OsString)>, LabError> {
    let folders = OF_THE_AGENT.map(folder).into_iter().collect::<Result<Vec<_>, _>>()?;
    let there = || folders.iter().filter_map(|folder| folder.canonicalize().ok());
    let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let before = |variable: &str, ours: Vec<PathBuf>| {
        let theirs = std::env::var_os(variable).unwrap_or_default();
        let theirs: Vec<_> = std::env::split_paths(&theirs).filter(|path| path.is_absolute()).collect();
        // A path with a colon in it cannot be said, and is left out.
        std::env::join_paths(ours.into_iter().chain(theirs)).unwrap_or_default()
    };
    Ok(vec![
        ("PATH", before("PATH", there().map(|folder| folder.join("usr/sbin")).collect())),
        ("LD_LIBRARY_PATH", before("LD_LIBRARY_PATH", there().map(|folder| folder.join(&machine)).collect())),
    ])
}
