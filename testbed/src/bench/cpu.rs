//! What a process has used: processor time, wake-ups, memory.

use std::fs;
use std::io;
use std::iter::Sum;
use std::time::Duration;

/// The unit in which the kernel tells of processes' children (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Returns the processor time of every thread of a process, to the nanosecond where the kernel counts so.
pub fn processor_time(pid: i32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Some(text) = of_a_running_thread(fs::read_to_string(task?.path().join("schedstat")))? else {
            continue;
        };
        let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
        sum += Duration::from_nanos(nanoseconds);
    }
    Ok(sum)
}

/// What processes have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time, that of ended children included.
    pub processor: Duration,
    /// How often a thread had gone to sleep, and so was woken.
    wakeups: u32,
}

impl Usage {
    /// Returns what was used since.
    pub fn since(self, before: Self) -> Self {
        Self {
            processor: self.processor.saturating_sub(before.processor),
            wakeups: self.wakeups.saturating_sub(before.wakeups),
        }
    }

    /// Returns the wake-ups.
    pub fn wakeups(self) -> f64 {
        f64::from(self.wakeups)
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            processor: sum.processor + one.processor,
            wakeups: sum.wakeups.saturating_add(one.wakeups),
        })
    }
}

/// Returns what a process has used so far.
pub fn usage(pid: i32) -> io::Result<Usage> {
    let mut wakeups = 0_u32;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = of_a_running_thread(fs::read_to_string(task?.path().join("status")))?.unwrap_or_default();
        let slept = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        wakeups = wakeups.saturating_add(slept.and_then(|word| word.trim().parse().ok()).unwrap_or_default());
    }
    let children = times_of_children(&fs::read_to_string(format!("/proc/{pid}/stat"))?);
    Ok(Usage { processor: processor_time(pid)? + children, wakeups })
}

/// Reads the times that ended children have taken from a process's `stat`: the 14th and 15th word after its name.
fn times_of_children(stat: &str) -> Duration {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|word| word.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// Returns what was read, or nothing where the thread has ended meanwhile.
fn of_a_running_thread(read: io::Result<String>) -> io::Result<Option<String>> {
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the resident memory of a process in kibibytes, and what of it no other process could share.
pub fn resident_memory(pid: i32) -> io::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let of = |field: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    };
    Ok(Memory { resident: of("Rss:"), private: of("Private_Clean:") + of("Private_Dirty:") })
}

/// Memory of a process, in kibibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident, shared libraries included.
    pub resident: u64,
    /// Resident and the process's own.
    pub private: u64,
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self { resident: 0, private: 0 }, |sum, one| Self {
            resident: sum.resident + one.resident,
            private: sum.private + one.private,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_processor_time() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = processor_time(pid).unwrap();
        let mut sum = 0_u64;
        while processor_time(pid).unwrap() < before + Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_time(pid).unwrap() > before);
    }

    #[test]
    fn sleeping_is_counted() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = usage(pid).unwrap();
        (0..20).for_each(|_| std::thread::sleep(Duration::from_micros(100)));
        assert!(usage(pid).unwrap().since(before).wakeups() >= 20.0);
    }

    #[test]
    fn the_times_of_children_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 200 0 0 11 12 30 7 20 0 1 0 5 6 7";
        assert_eq!(times_of_children(stat), Duration::from_millis(370));
    }

    #[test]
    fn memory_that_a_process_touches_becomes_its_own() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = resident_memory(pid).unwrap();
        let block = std::hint::black_box(vec![1_u8; 16 << 20]);
        let after = resident_memory(pid).unwrap();
        assert!(after.private >= before.private + 15 * 1024, "{before:?} {after:?} {}", block.len());
        assert!(after.resident >= after.private);
    }
}
