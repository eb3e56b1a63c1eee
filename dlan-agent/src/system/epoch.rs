//! The authentication epoch: a number that grows with every start, so that sequence numbers never go back
//! (RFC 7166 section 4.1), whatever the clock says.

use std::io;
use std::path::{Path, PathBuf};

use super::file;

/// Where the boots are counted, among what outlives a boot; written once a boot.
const BOOTS_FILE: &str = "boots";
/// Where the starts since then are counted, among what does not.
const STARTS_FILE: &str = "starts";
/// How many bits of the epoch count starts.
const START_BITS: u32 = 12;
/// The kernel's identity of this boot.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// A count that could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the count of starts in {}", path.display())]
pub struct EpochError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Counts this start and returns its epoch. Without the start count (a boot, or the run directory is gone) the boot
/// count moves on.
///
/// Where the boot count cannot be written, the router starts all the same, with epoch 0: that says to its neighbors that it
/// keeps no count, so that they take no packet of this start for one of an earlier start, and take it up once they have
/// forgotten the start before, after RouterDeadInterval.
pub fn advance(state_dir: &Path, run_dir: &Path) -> Result<u32, EpochError> {
    let path = Path::new(BOOT_ID_PATH);
    let boot_id = std::fs::read_to_string(path).map_err(|source| EpochError { path: path.into(), source })?;
    advance_in(state_dir, run_dir, boot_id.trim())
}

/// Forgets the starts of this boot; the next start counts as one of another boot.
pub fn forget_starts(run_dir: &Path) -> Result<(), EpochError> {
    let path = run_dir.join(STARTS_FILE);
    file::remove(&path).map_err(|source| EpochError { path, source })
}

fn advance_in(state_dir: &Path, run_dir: &Path, boot_id: &str) -> Result<u32, EpochError> {
    let (boots_path, starts_path) = (state_dir.join(BOOTS_FILE), run_dir.join(STARTS_FILE));
    let boots = std::fs::read_to_string(&boots_path).unwrap_or_default();
    let mut words = boots.split_whitespace();
    let count: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let is_this_boot = words.next() == Some(boot_id);
    let starts: Option<u32> =
        std::fs::read_to_string(&starts_path).ok().and_then(|text| text.trim().parse().ok());
    let last = (1 << START_BITS) - 1;
    let (count, starts) = match starts.filter(|starts| is_this_boot && *starts < last) {
        Some(starts) => (count, starts.saturating_add(1)),
        None => {
            let count = count.saturating_add(1);
            let text = format!("{count} {boot_id}\n");
            let written = file::write_whole(&boots_path, text.as_bytes(), file::PRIVATE);
            if let Err(error) = written.or_else(|_| file::overwrite(&boots_path, text.as_bytes())) {
                tracing::warn!(
                    path = %boots_path.display(), %error,
                    "cannot count this boot: neighbors may refuse this router for RouterDeadInterval; make room there"
                );
                file::remove(&starts_path).map_err(|source| EpochError { path: starts_path, source })?;
                return Ok(0);
            }
            (count, 0)
        }
    };
    if let Err(error) = file::write_volatile(&starts_path, starts.to_string().as_bytes(), file::PRIVATE) {
        // Without a start count the next start counts as one of another boot.
        tracing::warn!(path = %starts_path.display(), %error, "cannot count this start");
        file::remove(&starts_path).map_err(|source| EpochError { path: starts_path, source })?;
    }
    Ok(count << START_BITS | starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_a_higher_epoch_than_those_before_it() {
        let (state, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = |boot| advance_in(state.path(), run.path(), boot).unwrap();
        let mut epochs = vec![start("a"), start("a"), start("a")];
        std::fs::remove_file(run.path().join(STARTS_FILE)).unwrap();
        epochs.extend([start("b"), start("b")]);
        // `dlan down` takes the run directory along.
        std::fs::remove_file(run.path().join(STARTS_FILE)).unwrap();
        epochs.push(start("b"));
        // A run directory that outlives a boot.
        epochs.push(start("c"));
        std::fs::write(run.path().join(STARTS_FILE), "4094").unwrap();
        epochs.extend([start("c"), start("c"), start("c")]);
        assert!(epochs.is_sorted_by(|one, next| one < next), "{epochs:?}");
    }

    #[test]
    fn a_router_that_cannot_count_starts_without_a_count_and_goes_on_counting_later() {
        let (state, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = |boot| advance_in(state.path(), run.path(), boot).unwrap();
        let first = start("a");
        let boots = state.path().join(BOOTS_FILE);
        // Neither can be written where a directory is in the way, whoever asks.
        let aside = state.path().join("boots.part");
        std::fs::create_dir(&aside).unwrap();
        let text = std::fs::read(&boots).unwrap();
        std::fs::remove_file(&boots).unwrap();
        std::fs::create_dir(&boots).unwrap();
        assert_eq!([start("b"), start("b")], [0, 0]);
        std::fs::remove_dir(&boots).unwrap();
        std::fs::remove_dir(&aside).unwrap();
        std::fs::write(&boots, text).unwrap();
        assert!(start("b") > first);
    }

    #[test]
    fn a_full_file_system_takes_the_count_where_the_one_before_lies() {
        let (state, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = |boot| advance_in(state.path(), run.path(), boot).unwrap();
        let first = start("a");
        // Nothing can be written beside it.
        std::fs::create_dir(state.path().join("boots.part")).unwrap();
        let second = start("b");
        assert!(first < second && second < start("c"));
    }

    #[test]
    fn flash_is_written_once_a_boot() {
        let (state, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        advance_in(state.path(), run.path(), "a").unwrap();
        let written = std::fs::metadata(state.path().join(BOOTS_FILE)).unwrap().modified().unwrap();
        advance_in(state.path(), run.path(), "a").unwrap();
        assert_eq!(std::fs::metadata(state.path().join(BOOTS_FILE)).unwrap().modified().unwrap(), written);
    }
}
