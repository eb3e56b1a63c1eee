//! OSPFv3 with address families for point-to-point links in one area, as a pure state machine.
//!
//! An engine is a plain value: it is told the time, the packets and the interface events, and says what to send,
//! when to wake it and which routes hold. It owns no clock, socket, file or thread; the shells around it do.
//!
//! [`engine::Engine`] is the machine, one value per address family; [`config`], [`io`] and [`query`] are the words of its
//! boundary, `ospf` is the protocol, `wire` the octets. Feature `driver` adds the shell for tokio with raw sockets,
//! feature `sim` a world of engines that runs from a seed. Without features there is no async runtime and no socket.

pub mod bfd;
pub mod config;
#[cfg(feature = "driver")]
pub mod driver;
pub mod engine;
pub mod ids;
pub mod io;
pub mod ospf;
pub mod query;
pub mod random;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
pub mod timer;
pub mod wire;
