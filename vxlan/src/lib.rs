//! WireGuard and VXLAN links as values, and the one place that speaks netlink for them.
//!
//! [`link::Link`] is one type for the wanted and the seen device. [`diff::diff`] turns two tables of links into
//! [`change::LinkChange`]s, each with its inverse; [`netlink::Links`] observes devices and applies changes;
//! [`netlink::monitor::Monitor`] says when to look again. Only `netlink`, `uapi::client` and `userspace` touch the
//! system; the rest has no clock, no socket and no file.

pub mod change;
pub mod diff;
pub mod event;
pub mod key;
pub mod link;
pub mod mtu;
pub mod name;
pub mod netlink;
pub mod uapi;
#[cfg(feature = "userspace-wireguard")]
pub mod userspace;
pub mod vtep;
pub mod wireguard;
