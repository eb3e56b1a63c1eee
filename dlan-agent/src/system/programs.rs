//! The programs beside the agent: seen by their processes and files, started, told to read again, and ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;
use tracing::info;

use super::command::{self, CommandError};
use super::nginx_workers::{self, Words};
use super::process::{self, Process, Signal};
use super::record::{Record, Recorded};
use super::rtnl::Devices;
use super::{SystemConfig, file, managed_files};
use crate::plan::change::Edit;
use crate::state::managed_file::ManagedFile;
use crate::state::program::{PROGRAMS_DIRECTORY, Program, ProgramFile, ProgramName, Transition};

/// How long a process must live before it counts as started: one that cannot serve ends at once.
const PROBATION: Duration = Duration::from_millis(250);
/// How long a process may take to end before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked whether a process has ended.
const POLL: Duration = Duration::from_millis(10);
/// Where a program says why it does not start, in its directory.
const LAST_WORDS_FILE: &str = "stderr";
/// The most that is told of what a program said before it ended, in octets.
const LAST_WORDS_MAX: usize = 2000;
/// Where programs of the system are.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// What is there where systemd is the system's first process.
const SYSTEMD_DIRECTORY: &str = "run/systemd/system";

/// Why a program could not be brought about.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A file or a directory of it could not be changed.
    #[error("cannot change {}", path.display())]
    Change {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not accept its files.
    #[error("{program} does not accept its files")]
    Refused {
        /// The program.
        program: ProgramName,
        /// What it said.
        #[source]
        source: CommandError,
    },
    /// It could not be started.
    #[error("cannot start {program} ({})", path.display())]
    Spawn {
        /// The program.
        program: ProgramName,
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// systemd did not start it.
    #[error("cannot start {program} as a unit of systemd")]
    Unit {
        /// The program.
        program: ProgramName,
        /// What systemd said.
        #[source]
        source: CommandError,
    },
    /// It ended right after its start.
    #[error("{program} ended right after its start: {said}")]
    Ended {
        /// The program.
        program: ProgramName,
        /// Its last words.
        said: String,
    },
    /// It goes on by the files that it had.
    #[error("{program} does not serve by its changed files: {said}")]
    NotTaken {
        /// The program.
        program: ProgramName,
        /// What it said.
        said: String,
    },
    /// A signal could not be sent.
    #[error("cannot {act} {program}")]
    Signal {
        /// What the signal was for.
        act: &'static str,
        /// The program.
        program: ProgramName,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It goes on although it was killed.
    #[error("{program} does not end")]
    DoesNotEnd {
        /// The program.
        program: ProgramName,
    },
    /// What must be remembered could not be written.
    #[error("cannot keep the record of {program}")]
    Record {
        /// The program.
        program: ProgramName,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Returns where an installed program's file is.
pub(super) fn find(name: ProgramName) -> Option<PathBuf> {
    // A service's path often lacks the directories of the programs of the system.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SYSTEM_DIRECTORIES.map(PathBuf::from));
    directories
        .map(|directory| directory.join(name.as_str()))
        .find(|file| file.is_absolute() && file.is_file())
}

/// Returns the programs that are ours, as they are but for their devices.
pub(super) fn observe(root: &Path, record: &Record) -> BTreeMap<ProgramName, Program> {
    let seen = record.programs.iter().map(|(name, recorded)| {
        let program = Program {
            files: files(root, *name, &recorded.given),
            is_running: recorded.process.is_some_and(process::runs),
            ..recorded.given.clone()
        };
        (*name, program)
    });
    seen.collect()
}

/// Returns the programs that are ours, as they are: one whose device is not up does not run.
pub(super) fn observe_whole(
    root: &Path,
    record: &Record,
    devices: &Devices,
) -> BTreeMap<ProgramName, Program> {
    let mut programs = observe(root, record);
    for program in programs.values_mut() {
        program.is_running &= program.device.as_ref().is_none_or(|device| devices.is_up(device));
    }
    programs
}

/// Returns the processes of ours that are to be watched.
pub(super) fn processes(record: &Record) -> BTreeSet<Process> {
    record.programs.values().filter_map(|recorded| recorded.process).collect()
}

fn files(root: &Path, name: ProgramName, given: &Program) -> BTreeMap<String, ProgramFile> {
    let directory = managed_files::place(root, &name.directory());
    let found = given.files.iter().filter_map(|(name, file)| {
        let text = std::fs::read_to_string(directory.join(name)).ok()?;
        Some((name.clone(), ProgramFile { file: ManagedFile { text }, reread: file.reread }))
    });
    found.collect()
}

/// Lets a program judge its files, which lie elsewhere for that; nothing else is touched.
pub(super) async fn check(root: &Path, name: ProgramName, program: &Program) -> Result<(), ProgramError> {
    let Some(arguments) = &program.check else { return Ok(()) };
    let theirs = name.directory();
    let mut candidate = theirs.clone().into_os_string();
    candidate.push(".check");
    let candidate = managed_files::place(root, Path::new(&candidate));
    // What the files say of each other is said of the candidates.
    let moved =
        |text: &str| text.replace(&format!("{}/", theirs.display()), &format!("{}/", candidate.display()));
    let failed = |source| ProgramError::Change { path: candidate.clone(), source };
    make_directory(&candidate).map_err(failed)?;
    for (file, content) in &program.files {
        let text = moved(&content.file.text);
        file::write_volatile(&candidate.join(file), text.as_bytes(), file::PUBLIC).map_err(failed)?;
    }
    let arguments: Vec<String> = arguments.iter().map(|argument| moved(argument)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let judged = command::run(&program.path.to_string_lossy(), &arguments, b"").await;
    std::fs::remove_dir_all(&candidate).map_err(failed)?;
    // Where no program has its files yet, nothing is left.
    let _ = candidate.parent().map(std::fs::remove_dir);
    judged.map(drop).map_err(|source| ProgramError::Refused { program: name, source })
}

/// Makes the edit: files first, then the process.
///
/// What is remembered before is that no process is known, so that a step cut short ends in another start.
pub(super) async fn apply(
    (config, record): (&SystemConfig, &mut Record),
    edit: &Edit<ProgramName, Program>,
) -> Result<(), ProgramError> {
    let (name, root) = (edit.key, config.root.as_path());
    let known = record.programs.get(&name);
    let recorded = known.and_then(|recorded| recorded.process);
    let mut left: BTreeSet<Process> = known.map(|recorded| recorded.left.clone()).unwrap_or_default();
    left.retain(|process| process::runs(*process));
    let running = recorded.filter(|process| process::runs(*process));
    let transition = match (Transition::between(edit.from.as_ref(), edit.to.as_ref()), running) {
        // It has ended since it was seen.
        (Transition::Reload | Transition::Restart, None) => Transition::Start,
        (transition, _) => transition,
    };
    if let (Some(ended), None) = (recorded, running) {
        left.extend(rest(edit, ended));
    }
    let mut remember = |given: Option<&Program>, process| {
        match given {
            Some(given) => {
                let recorded = Recorded { given: given.clone(), process, left: left.clone() };
                record.programs.insert(name, recorded)
            }
            None => record.programs.remove(&name),
        };
        record.write(&config.run_dir).map_err(|source| ProgramError::Record { program: name, source })
    };
    let kept = running.filter(|_| transition == Transition::Nothing);
    remember(edit.to.as_ref().or(edit.from.as_ref()), kept)?;
    if let Some(to) = &edit.to {
        write_files(root, name, edit.from.as_ref(), to)?;
    }
    if running.is_none() {
        release(name, &left)?;
    }
    let process = match (transition, &edit.to) {
        (Transition::Nothing, _) => kept,
        (Transition::Reload, _) => {
            if let Some(process) = running {
                reload(root, name, process).await?;
            }
            running
        }
        (Transition::Start | Transition::Restart, Some(to)) => {
            stop(root, edit).await?;
            let process = start(config, name, to).await?;
            // Known from here on: an agent that ends meanwhile leaves a program that the next one takes over.
            remember(Some(to), Some(process))?;
            match name {
                ProgramName::Dnsmasq | ProgramName::Tayga => outlive_probation(config, name, process).await?,
                ProgramName::Nginx => begin_to_serve(config, name, process).await?,
            }
            Some(process)
        }
        (Transition::Start | Transition::Restart | Transition::Stop, _) => {
            stop(root, edit).await?;
            None
        }
    };
    if transition != Transition::Nothing {
        info!(program = %name, ?transition, pid = process.map(|process| process.pid), "program");
    }
    if edit.to.is_none() {
        end(name, || left.iter().copied().filter(|process| process::runs(*process)).collect()).await?;
        remove_files(root, name)?;
    }
    remember(edit.to.as_ref(), process)
}

fn write_files(
    root: &Path,
    name: ProgramName,
    from: Option<&Program>,
    to: &Program,
) -> Result<(), ProgramError> {
    for directory in &to.directories {
        let path = managed_files::place(root, directory);
        std::fs::create_dir_all(&path).map_err(|source| ProgramError::Change { path, source })?;
    }
    let directory = managed_files::place(root, &name.directory());
    make_directory(&directory).map_err(|source| ProgramError::Change { path: directory.clone(), source })?;
    for (file, content) in &to.files {
        let path = directory.join(file);
        file::write_volatile(&path, content.file.text.as_bytes(), file::PUBLIC)
            .map_err(|source| ProgramError::Change { path, source })?;
    }
    let gone =
        from.into_iter().flat_map(|from| from.files.keys()).filter(|file| !to.files.contains_key(*file));
    for file in gone {
        let path = directory.join(file);
        file::remove(&path).map_err(|source| ProgramError::Change { path, source })?;
    }
    Ok(())
}

/// A directory that anyone may enter: programs read their files again without the rights they started with.
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path)?;
    for directory in path.ancestors().take(2) {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn remove_files(root: &Path, name: ProgramName) -> Result<(), ProgramError> {
    let path = managed_files::place(root, &name.directory());
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(ProgramError::Change { path, source });
        }
        _ => {}
    }
    // The other programs' directories are in it, as long as there are any.
    let _ = std::fs::remove_dir(managed_files::place(root, Path::new(PROGRAMS_DIRECTORY)));
    Ok(())
}

/// Starts the process, in a session of its own; under systemd in a unit of its own, which the end of the agent's does not
/// take along.
async fn start(config: &SystemConfig, name: ProgramName, program: &Program) -> Result<Process, ProgramError> {
    let is_under_systemd = config.root.join(SYSTEMD_DIRECTORY).exists();
    let pid = if is_under_systemd {
        start_unit(name, program).await?
    } else {
        start_detached(config, name, program)?
    };
    Process::of(pid)
        .ok_or_else(|| ProgramError::Ended { program: name, said: last_words(&config.root, name) })
}

/// Waits until a process that was started has lived long enough.
async fn outlive_probation(
    config: &SystemConfig,
    name: ProgramName,
    process: Process,
) -> Result<(), ProgramError> {
    let deadline = Instant::now() + PROBATION;
    while Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
        if !process::runs(process) {
            return Err(ProgramError::Ended { program: name, said: last_words(&config.root, name) });
        }
    }
    Ok(())
}

/// Waits until a process that was started has a worker; without one it ends, when a port is taken.
async fn begin_to_serve(
    config: &SystemConfig,
    name: ProgramName,
    process: Process,
) -> Result<(), ProgramError> {
    let file = managed_files::place(&config.root, &name.directory()).join(LAST_WORDS_FILE);
    if nginx_workers::has_another(process, &BTreeSet::new(), &Words::after_now(&file)).await {
        return Ok(());
    }
    outlive_probation(config, name, process).await
}

fn start_detached(config: &SystemConfig, name: ProgramName, program: &Program) -> Result<i32, ProgramError> {
    let failed = |source| ProgramError::Spawn { program: name, path: program.path.clone(), source };
    let words = managed_files::place(&config.root, &name.directory()).join(LAST_WORDS_FILE);
    let words = std::fs::File::create(words).map_err(failed)?;
    let child = Command::new(&config.own_program)
        .args(["run-program", "--"])
        .arg(&program.path)
        .args(&program.arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(words)
        .spawn()
        .map_err(failed)?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    pid.ok_or_else(|| ProgramError::Ended { program: name, said: last_words(&config.root, name) })
}

async fn start_unit(name: ProgramName, program: &Program) -> Result<i32, ProgramError> {
    let failed = |source| ProgramError::Unit { program: name, source };
    let unit = format!("dlan-{name}.service");
    let path = program.path.to_string_lossy();
    let unit_argument = format!("--unit={unit}");
    let mut arguments =
        vec!["--quiet", "--collect", "--service-type=exec", unit_argument.as_str(), "--", &path];
    arguments.extend(program.arguments.iter().map(String::as_str));
    command::run("systemd-run", &arguments, b"").await.map_err(failed)?;
    let shown = command::run("systemctl", &["show", "--property=MainPID", "--value", &unit], b"").await;
    let shown = shown.map_err(failed)?;
    let pid = String::from_utf8_lossy(&shown).trim().parse().ok().filter(|pid| *pid > 0);
    let said = format!("`journalctl --unit={unit}` says why");
    pid.ok_or(ProgramError::Ended { program: name, said })
}

fn last_words(root: &Path, name: ProgramName) -> String {
    let path = managed_files::place(root, &name.directory()).join(LAST_WORDS_FILE);
    let said = std::fs::read(path).unwrap_or_default();
    let end = said.get(said.len().saturating_sub(LAST_WORDS_MAX)..).unwrap_or_default();
    or_nothing(String::from_utf8_lossy(end).trim().to_owned())
}

fn or_nothing(said: String) -> String {
    if said.is_empty() { "it said nothing".to_owned() } else { said }
}

/// Has the process read its files again. Of one that shows it is waited for that it serves by them.
async fn reload(root: &Path, name: ProgramName, process: Process) -> Result<(), ProgramError> {
    let file = managed_files::place(root, &name.directory()).join(LAST_WORDS_FILE);
    let (words, before) = (Words::after_now(&file), nginx_workers::serving(process));
    let failed = |source| ProgramError::Signal { act: "reload", program: name, source };
    process::signal(process, Signal::HUP).map_err(failed)?;
    match name {
        ProgramName::Dnsmasq | ProgramName::Tayga => Ok(()),
        ProgramName::Nginx if nginx_workers::has_another(process, &before, &words).await => Ok(()),
        ProgramName::Nginx => Err(ProgramError::NotTaken { program: name, said: or_nothing(words.read()) }),
    }
}

/// Returns what a program's first process left behind when it was killed: such are the workers of nginx, which go on without it.
fn rest(edit: &Edit<ProgramName, Program>, ended: Process) -> Vec<Process> {
    let paths: BTreeSet<&PathBuf> = edit.from.iter().chain(&edit.to).map(|program| &program.path).collect();
    paths.iter().flat_map(|path| process::of_session(path, ended.pid)).collect()
}

/// Lets what was left behind finish what it has begun, and begin nothing more.
fn release(program: ProgramName, left: &BTreeSet<Process>) -> Result<(), ProgramError> {
    for process in left {
        process::signal(*process, Signal::QUIT).map_err(|source| ProgramError::Signal {
            act: "release the rest of",
            program,
            source,
        })?;
    }
    Ok(())
}

/// Ends every process of the program: the one that is remembered, and one that a start cut short may have left.
async fn stop(root: &Path, edit: &Edit<ProgramName, Program>) -> Result<(), ProgramError> {
    let mark = format!("{}/", managed_files::place(root, &edit.key.directory()).display());
    let paths: BTreeSet<&PathBuf> = edit.from.iter().chain(&edit.to).map(|program| &program.path).collect();
    end(edit.key, || paths.iter().flat_map(|path| process::find(path, &mark)).collect()).await
}

/// Ends processes, by force those that do not do it in time.
async fn end(name: ProgramName, found: impl Fn() -> Vec<Process>) -> Result<(), ProgramError> {
    for (act, signal) in [("end", Signal::TERM), ("kill", Signal::KILL)] {
        let processes = found();
        for process in &processes {
            process::signal(*process, signal).map_err(|source| ProgramError::Signal {
                act,
                program: name,
                source,
            })?;
        }
        let limit = Instant::now() + STOP_LIMIT;
        while processes.iter().copied().any(process::runs) && Instant::now() < limit {
            tokio::time::sleep(POLL).await;
        }
    }
    if found().is_empty() { Ok(()) } else { Err(ProgramError::DoesNotEnd { program: name }) }
}
