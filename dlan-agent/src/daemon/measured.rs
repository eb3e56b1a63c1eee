//! The round-trip times that count, kept for the next start of the agent: automatic costs then do not move for a moment.

use std::io;
use std::path::Path;

use tracing::warn;

use crate::round_trips::Settled;
use crate::system::file;

/// The file in the run directory: another boot measures afresh.
const FILE: &str = "round-trips.json";

/// Returns what was kept; nothing when there is none, or none that can be read.
pub(super) fn read(directory: &Path) -> Settled {
    let Ok(text) = std::fs::read_to_string(directory.join(FILE)) else { return Settled::new() };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        warn!(%error, "round-trip times cannot be read, and are measured afresh");
        Settled::new()
    })
}

/// Keeps the round-trip times.
pub(super) fn write(directory: &Path, settled: &Settled) -> io::Result<()> {
    file::write_volatile(&directory.join(FILE), serde_json::to_string(settled)?.as_bytes(), file::PRIVATE)
}

/// Removes what was kept.
pub fn forget(directory: &Path) -> io::Result<()> {
    file::remove(&directory.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostId;

    #[test]
    fn what_is_kept_is_read_and_what_cannot_be_read_is_measured_afresh() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(directory.path()).is_empty());
        let settled = Settled::from([(HostId(4), 12_345), (HostId(5), 1)]);
        write(directory.path(), &settled).unwrap();
        assert_eq!(read(directory.path()), settled);
        forget(directory.path()).unwrap();
        assert!(read(directory.path()).is_empty());
        std::fs::write(directory.path().join(FILE), "{\"4\": -1}").unwrap();
        assert!(read(directory.path()).is_empty());
    }
}
