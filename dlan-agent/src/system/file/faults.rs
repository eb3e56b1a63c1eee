//! What goes wrong with a file system, for tests: the process dies at a step, a step fails, writes are short, the power goes.
//!
//! Every write of every test is short in this way; faults are this thread's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::DiskAct;

/// How many octets a write takes at most.
const SHORT: usize = 7;

/// What is to go wrong on this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The process dies before the step of this number, from 0: neither it nor any later one is taken.
    Death(usize),
    /// The step of this number fails with this error, those after it go well; a failing write has written half.
    Error(usize, i32),
    /// Every step from this number on fails with this error.
    Errors(usize, i32),
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    act: DiskAct,
    path: PathBuf,
    to: Option<PathBuf>,
    /// What was written.
    octets: Vec<u8>,
}

#[derive(Debug, Default)]
struct Bench {
    fault: Fault,
    count: usize,
    is_dead: bool,
    taken: Vec<Taken>,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
}

/// Begins to count steps, with this fault.
pub(crate) fn begin(fault: Fault) {
    BENCH.with_borrow_mut(|bench| *bench = Bench { fault, ..Bench::default() });
}

/// Returns whether the process has died.
pub(crate) fn is_dead() -> bool {
    BENCH.with_borrow(|bench| bench.is_dead)
}

/// Returns whether the fault came to its step.
pub(crate) fn has_struck() -> bool {
    BENCH.with_borrow(|bench| match bench.fault {
        Fault::None => false,
        Fault::Death(at) | Fault::Error(at, _) | Fault::Errors(at, _) => bench.count > at,
    })
}

/// Returns the steps taken since the beginning.
pub(crate) fn taken() -> Vec<DiskAct> {
    BENCH.with_borrow(|bench| bench.taken.iter().map(|step| step.act).collect())
}

/// Returns whether a path is on the disk; what is elsewhere does not outlive the kernel and lies in its memory.
fn is_at_stake(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "etc")
}

/// Decides about the next step.
fn next() -> io::Result<()> {
    BENCH.with_borrow_mut(|bench| {
        let number = bench.count;
        bench.count += 1;
        match bench.fault {
            Fault::Death(at) if number >= at => {
                bench.is_dead = true;
                Err(io::Error::other("the process has died"))
            }
            Fault::Error(at, error) if number == at => Err(io::Error::from_raw_os_error(error)),
            Fault::Errors(at, error) if number >= at => Err(io::Error::from_raw_os_error(error)),
            _ => Ok(()),
        }
    })
}

fn note(act: DiskAct, path: &Path, to: Option<&Path>, octets: &[u8]) {
    let taken = Taken { act, path: path.into(), to: to.map(Path::to_owned), octets: octets.to_vec() };
    BENCH.with_borrow_mut(|bench| bench.taken.push(taken));
}

pub(super) fn step<T>(
    act: DiskAct,
    path: &Path,
    to: Option<&Path>,
    take: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if !is_at_stake(path) {
        return take();
    }
    next()?;
    let taken = take()?;
    note(act, path, to, &[]);
    Ok(taken)
}

pub(super) fn write_octets(file: &mut File, path: &Path, octets: &[u8]) -> io::Result<()> {
    if !is_at_stake(path) {
        return file.write_all(octets);
    }
    let next = next();
    let octets = if next.is_ok() { octets } else { &octets[..octets.len() / 2] };
    if !is_dead() {
        Short { file, is_interrupted: false }.write_all(octets)?;
        note(DiskAct::Write, path, None, octets);
    }
    next
}

/// Writes a few octets at a time, and is interrupted every other time.
struct Short<'a> {
    file: &'a mut File,
    is_interrupted: bool,
}

impl Write for Short<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.file.write(&octets[..octets.len().min(SHORT)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Files below one directory, by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A file on a disk that has not taken everything yet.
#[derive(Debug, Clone, Default)]
struct Inode {
    octets: Vec<u8>,
    is_synced: bool,
}

/// Returns every state in which a power cut may leave the disk that held `before`, at any moment of the steps taken since.
///
/// Of what was done to names since their directory was last synced, any part may be lost; a file's octets that were not
/// synced may be there whole, by half or not at all.
pub(crate) fn after_power_cuts(before: &Files) -> Vec<Files> {
    let taken = BENCH.with_borrow(|bench| bench.taken.clone());
    let mut states = Vec::new();
    for end in 0..=taken.len() {
        let (done, synced) = taken[..end].iter().enumerate().fold((0, 0), |(_, synced), (index, step)| {
            (index + 1, if step.act == DiskAct::SyncDirectory { index + 1 } else { synced })
        });
        let loose: Vec<usize> = (synced..done).filter(|index| is_about_names(taken[*index].act)).collect();
        for kept in 0..1_u32 << loose.len() {
            let is_kept = |index: usize| {
                loose.iter().position(|it| *it == index).is_none_or(|place| kept & (1 << place) != 0)
            };
            let steps = taken[..end].iter().enumerate().filter(|(index, _)| is_kept(*index));
            let disk = replay(before, steps.map(|(_, step)| step));
            for share in [0, 1, 2] {
                let left = |inode: &Inode| match inode.is_synced {
                    true => inode.octets.clone(),
                    false => inode.octets[..inode.octets.len() * share / 2].to_vec(),
                };
                let files: Files = disk.iter().map(|(path, inode)| (path.clone(), left(inode))).collect();
                if !states.contains(&files) {
                    states.push(files);
                }
            }
        }
    }
    states
}

fn is_about_names(act: DiskAct) -> bool {
    matches!(act, DiskAct::Create | DiskAct::Rename | DiskAct::Remove)
}

fn replay<'a>(before: &Files, steps: impl Iterator<Item = &'a Taken>) -> BTreeMap<PathBuf, Inode> {
    let whole = |octets: &Vec<u8>| Inode { octets: octets.clone(), is_synced: true };
    let mut disk: BTreeMap<_, _> =
        before.iter().map(|(path, octets)| (path.clone(), whole(octets))).collect();
    for step in steps {
        match step.act {
            DiskAct::Create => drop(disk.insert(step.path.clone(), Inode::default())),
            DiskAct::Write => {
                if let Some(inode) = disk.get_mut(&step.path) {
                    *inode = Inode { octets: step.octets.clone(), is_synced: false };
                }
            }
            DiskAct::Sync => {
                if let Some(inode) = disk.get_mut(&step.path) {
                    inode.is_synced = true;
                }
            }
            DiskAct::Rename => {
                if let (Some(inode), Some(to)) = (disk.remove(&step.path), &step.to) {
                    disk.insert(to.clone(), inode);
                }
            }
            DiskAct::Remove => drop(disk.remove(&step.path)),
            DiskAct::SyncDirectory | DiskAct::MakeDirectory => {}
        }
    }
    disk
}
