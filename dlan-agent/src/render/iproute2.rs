//! Names for our routing table and protocol number, so that `ip route` shows them.

use crate::state::managed_file::ManagedFile;

/// Renders a file that gives a number the name `dlan`.
pub fn name(number: u32) -> ManagedFile {
    ManagedFile::new(&format!("{number}\tdlan\n"))
}
