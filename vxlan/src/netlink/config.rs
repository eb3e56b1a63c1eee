//! How links are made: names, places, and who moves WireGuard's packets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::link::LinkName;

/// How the names of our devices begin, where nothing else is configured.
pub const DEVICE_PREFIX: &str = "dlan-";

/// Where the processes of embedded WireGuard devices have their sockets, where nothing else is configured.
pub const SOCKET_DIRECTORY: &str = "/run/dlan/wireguard";

/// Returns the UAPI socket of an embedded device.
pub fn socket_path(directory: &Path, device: &LinkName) -> PathBuf {
    directory.join(format!("{device}.sock"))
}

/// Who moves the packets of a WireGuard device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The kernel's module.
    Kernel,
    /// A process of ours with a tun device.
    Embedded,
}

/// How to start the process of an embedded WireGuard device: `path arguments.. DEVICE --mtu MTU`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program, for the agent its own (`/proc/self/exe`).
    pub path: PathBuf,
    /// What comes before the device's name, for the agent `wireguard`.
    pub arguments: Vec<OsString>,
}

/// What [`Links`] needs to know.
#[derive(Debug, Clone)]
pub struct LinksConfig {
    /// How the names of our devices begin.
    pub prefix: String,
    /// Where embedded devices have their sockets.
    pub socket_directory: PathBuf,
    /// How embedded devices are started; `None` where this build has none.
    pub program: Option<Program>,
    /// Who moves the packets of WireGuard devices to be created; `None` means the kernel if it can.
    pub backend: Option<Backend>,
}

impl Default for LinksConfig {
    /// Returns the usual names, and no embedded WireGuard.
    fn default() -> Self {
        Self {
            prefix: DEVICE_PREFIX.to_owned(),
            socket_directory: SOCKET_DIRECTORY.into(),
            program: None,
            backend: None,
        }
    }
}
