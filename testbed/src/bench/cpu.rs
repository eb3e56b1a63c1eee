//! What a process has used: processor time, memory.

use std::fs;
use std::io;
use std::time::Duration;

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
    fn memory_that_a_process_touches_becomes_its_own() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = resident_memory(pid).unwrap();
        let block = std::hint::black_box(vec![1_u8; 16 << 20]);
        let after = resident_memory(pid).unwrap();
        assert!(after.private >= before.private + 15 * 1024, "{before:?} {after:?} {}", block.len());
        assert!(after.resident >= after.private);
    }
}
