//! WireGuard and VXLAN links as values, and the one place that speaks netlink for them.
//!
//! [`link::Link`] is one type for the wanted and the seen device. [`diff::diff`] turns two tables of links into
//! [`change::LinkChange`]s, each with its inverse.

pub mod change;
pub mod diff;
pub mod event;
pub mod key;
pub mod link;
pub mod mtu;
pub mod uapi;
pub mod vtep;
pub mod wireguard;
