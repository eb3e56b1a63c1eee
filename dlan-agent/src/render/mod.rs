//! Configuration to the text of what other programs read; pure.

pub mod dnsmasq;
pub mod iproute2;
pub mod nftables;
pub mod nginx;
pub mod tayga;
pub mod uci;
