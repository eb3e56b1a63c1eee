//! WireGuard and VXLAN links as values, and the one place that speaks netlink for them.

pub mod change;
pub mod link;
pub mod vtep;
pub mod wireguard;
