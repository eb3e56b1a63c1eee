//! What can go wrong between us and the kernel's devices.

use std::io;
use std::time::Duration;

use nix::libc;

use crate::link::LinkName;
use crate::uapi::client::ClientError;

/// A netlink request that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused.
    #[error("the kernel refused: {0}")]
    Kernel(io::Error),
    /// The socket is closed.
    #[error("the netlink socket is closed")]
    Closed,
    /// A list changed each time while it was read.
    #[error("the kernel's list changed each time while it was read")]
    Unsteady,
}

impl NetlinkError {
    fn is_one_of(&self, numbers: &[i32]) -> bool {
        let Self::Kernel(error) = self else { return false };
        error.raw_os_error().is_some_and(|number| numbers.contains(&number))
    }

    /// Takes for success that what was to be removed is not there.
    pub(super) fn unless_absent(self) -> Result<(), Self> {
        let absent = self.is_one_of(&[libc::ENOENT, libc::ENODEV, libc::EADDRNOTAVAIL]);
        if absent { Ok(()) } else { Err(self) }
    }

    /// Takes for success that what was to be added is there.
    pub(super) fn unless_present(self) -> Result<(), Self> {
        if self.is_one_of(&[libc::EEXIST]) { Ok(()) } else { Err(self) }
    }

    /// Returns whether the kernel does not do it as long as the thing is in use.
    pub(super) fn is_busy(&self) -> bool {
        self.is_one_of(&[libc::EBUSY])
    }

    /// Returns whether the kernel does not know what was asked for.
    pub(super) fn is_absent(&self) -> bool {
        self.is_one_of(&[libc::ENOENT, libc::ENODEV])
    }
}

/// Links that could not be observed or changed.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// A list of the kernel cannot be read.
    #[error("cannot read {what}")]
    Observe {
        /// What was read.
        what: &'static str,
        /// Why not.
        #[source]
        source: NetlinkError,
    },
    /// A device cannot be changed.
    #[error("cannot {act} {device}")]
    Change {
        /// What was to be done.
        act: &'static str,
        /// To which device.
        device: LinkName,
        /// Why not.
        #[source]
        source: NetlinkError,
    },
    /// The name is taken by a device that is not ours; it is left alone.
    #[error("{device} exists but is not ours ({what}): it is left alone; rename or remove it")]
    Foreign {
        /// The device.
        device: LinkName,
        /// What it is.
        what: String,
    },
    /// The wanted device could not be told from a stranger's.
    #[error(
        "{device} cannot carry our mark: its name must begin with {prefix:?}, and its alias must not be empty"
    )]
    Unmarked {
        /// The device.
        device: LinkName,
        /// How the names of our devices begin.
        prefix: String,
    },
    /// The device cannot carry packets of this size. The kernel would take less without a word.
    #[error("{device} cannot have an MTU of {mtu}: at most {max} fits {reason}")]
    Mtu {
        /// The device.
        device: LinkName,
        /// The wanted MTU.
        mtu: u32,
        /// The largest it can have.
        max: u32,
        /// What sets the limit.
        reason: &'static str,
    },
    /// The device is not there.
    #[error("there is no device {0}")]
    Absent(LinkName),
    /// The process of an embedded WireGuard device does not do what it is asked.
    #[error("cannot {act} {device}")]
    Embedded {
        /// What was to be done.
        act: &'static str,
        /// To which device.
        device: LinkName,
        /// Why not.
        #[source]
        source: ClientError,
    },
    /// The process of an embedded WireGuard device cannot be started.
    #[error("cannot start the WireGuard process of {device}")]
    Spawn {
        /// The device.
        device: LinkName,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The process of an embedded WireGuard device ended at once.
    #[error("the WireGuard process of {device} ended: {said}")]
    Ended {
        /// The device.
        device: LinkName,
        /// What it said last, or its exit status.
        said: String,
    },
    /// The process of an embedded WireGuard device was started but did not come up, or did not go away, in time.
    #[error("the WireGuard process of {device} did not {act} within {} s", limit.as_secs())]
    Late {
        /// The device.
        device: LinkName,
        /// What it was to do.
        act: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// Neither the kernel has WireGuard nor is an embedded one configured.
    #[error(
        "the kernel has no WireGuard module (OpenWrt: kmod-wireguard), and this program no embedded WireGuard"
    )]
    NoWireGuard,
}
