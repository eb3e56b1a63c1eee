//! Room for packets that arrive while the engine has no turn. Its sockets have what the system gives to any, which a full-speed
//! transfer overflows a thousand times a second on a busy machine; and what is lost then is anybody's, a Hello as well as data.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, setsockopt, sockopt,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// How many octets may wait in a socket; the kernel counts its own part of each packet as well, for which it doubles this.
pub const OCTETS: usize = 1 << 20;

/// Widens the receive buffers of all UDP sockets of this process, over what the system allows everybody. The engine makes them
/// and lends them to nobody, so each is taken as a second descriptor of the same socket (Linux 5.6).
pub fn widen() -> io::Result<()> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have been closed since the directory was read.
        let Ok(descriptor) = pidfd_getfd(&this, number, PidfdGetfdFlags::empty()) else { continue };
        if is_udp(&descriptor) {
            setsockopt(&descriptor, sockopt::RcvBufForce, &OCTETS)?;
        }
    }
    Ok(())
}

fn is_udp(descriptor: &OwnedFd) -> bool {
    let is_datagram = getsockopt(descriptor, sockopt::SockType) == Ok(SockType::Datagram);
    let family = getsockname::<SockaddrStorage>(descriptor.as_raw_fd()).ok().and_then(|name| name.family());
    is_datagram && matches!(family, Some(AddressFamily::Inet | AddressFamily::Inet6))
}
