//! Names for our routing table and protocol number, so that `ip route` shows them.

use crate::state::managed_file::ManagedFile;

/// Where iproute2 reads names of tables.
pub const TABLES_PATH: &str = "/etc/iproute2/rt_tables.d/dlan.conf";
/// Where iproute2 reads names of protocols.
pub const PROTOCOLS_PATH: &str = "/etc/iproute2/rt_protos.d/dlan.conf";

/// Renders a file that gives a number the name `dlan`.
pub fn name(number: u32) -> ManagedFile {
    ManagedFile::new(&format!("{number}\tdlan\n"))
}
