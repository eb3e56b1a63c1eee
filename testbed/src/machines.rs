//! The commands of the command line that are about machines.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Backend, Lab};
use crate::machine::qemu::{Start, copy, tell_monitor};
use crate::machine::{control, image, login, openwrt, serial};

/// Runs a command in the machine of a cabinet, with this process's input and output, and returns its exit code.
pub fn run_inside(cabinet: i32, command: &[String]) -> Result<u8, LabError> {
    let refused = |why: String| LabError::Asked(format!("cannot enter the cabinet of the machine: {why}"));
    // An answer of a machine that is gone would be waited for in vain, and who asked may be gone too.
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| refused(errno.to_string()))?;
    let namespace =
        File::open(format!("/proc/{cabinet}/ns/net")).map_err(|source| refused(source.to_string()))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| refused(errno.to_string()))?;
    control::run(command)
}

/// Joins this terminal with a machine's serial console.
pub fn console(lab: &Lab, router: &str) -> Result<(), LabError> {
    let node = lab.node(router)?;
    Console::complain("Ctrl-] leaves the console");
    serial::attach(&lab.fleet()?.file(&node.name, "console"))
}

/// Logs in to a machine from a host on its LAN, in the place of this process.
pub fn ssh(lab: &Lab, router: &str, words: &[String]) -> Result<u8, LabError> {
    let node = lab.node(router)?;
    lab.fleet()?;
    let host = lab.topology.hosts.iter().find(|host| host.router == node.name).ok_or_else(|| {
        LabError::Asked(format!("no host is on the LAN of {router}: `dlan-lab console {router}` needs none"))
    })?;
    let address = lab.topology.router(&node.name).map(|router| router.lan_ipv4.addr().to_string());
    let key = lab.file("machines/key");
    let source = login::command(lab.node(&host.name)?, &key, &address.unwrap_or_default(), words)?.exec();
    Err(LabError::Asked(format!("cannot run nsenter: {source}")))
}

/// Cuts a machine's power and switches it on again, with its clock at another time or without a module of its kernel.
pub fn reset(
    console: Console,
    lab: &Lab,
    router: &str,
    (clock, without): (Option<String>, Option<String>),
) -> Result<(), LabError> {
    let begun = Instant::now();
    let words = without.map(|module| format!("lab.without={module}")).into_iter().collect();
    console.replace(format!("{router} boots"));
    lab.reset(&lab.node(router)?.name, &Start { words, clock, ..Start::default() })?;
    console.replace("");
    console.line(format!("{router} has booted in {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Keeps the state of a machine, its memory and its disk, under a name; it goes on running.
pub fn snapshot(console: Console, lab: &Lab, router: &str, name: &str) -> Result<(), LabError> {
    let node = lab.node(router)?;
    let (state, disk, monitor) = kept(lab, &node.name, name)?;
    tell_monitor(&monitor, "stop")?;
    tell_monitor(&monitor, &format!("migrate \"exec:cat > {}\"", state.display()))?;
    let copied = copy(&lab.fleet()?.file(&node.name, "disk"), &disk);
    tell_monitor(&monitor, "cont")?;
    copied?;
    let octets = std::fs::metadata(&state).map_or(0, |state| state.len());
    console.line(format!("{router} is kept as '{name}': {} MB of memory, and its disk", octets >> 20));
    Ok(())
}

/// Puts a machine back into a state that was kept.
pub fn restore(console: Console, lab: &Lab, router: &str, name: &str) -> Result<(), LabError> {
    let node = lab.node(router)?;
    let (state, disk, monitor) = kept(lab, &node.name, name)?;
    if !disk.exists() {
        return Err(LabError::Asked(format!("nothing of {router} is kept as '{name}'")));
    }
    lab.cut_power(&node.name)?;
    copy(&disk, &lab.fleet()?.file(&node.name, "disk"))?;
    lab.boot(&node.name, &Start { resume: Some(state), ..Start::default() })?;
    // It was kept standing still, and goes on so.
    tell_monitor(&monitor, "cont")?;
    lab.wait_for_boot(&node.name)?;
    console.line(format!("{router} is as it was kept as '{name}'"));
    Ok(())
}

/// Returns where a kept state's memory and disk are, and the machine's monitor.
fn kept(lab: &Lab, router: &str, name: &str) -> Result<(PathBuf, PathBuf, PathBuf), LabError> {
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
        return Err(LabError::Asked(format!("'{name}' is no name for a state: letters, digits and '-'")));
    }
    let fleet = lab.fleet()?;
    let file = |kind: &str| fleet.file(router, &format!("{name}.{kind}"));
    Ok((file("state"), file("kept"), fleet.file(router, "monitor")))
}

/// Makes the image that machines boot.
pub fn image(console: Console, backend: &Backend) -> Result<(), LabError> {
    let image = match backend {
        Backend::Machines(Some(tree)) => openwrt::make(tree)?,
        _ => image::make()?,
    };
    let system = image.tree.map_or_else(String::new, |tree| format!("{}, ", tree.release.name));
    console.line(format!("machines boot {system}Linux {} with {}", image.version, image.system.display()));
    Ok(())
}
