//! BFD over single hops (RFC 5880, 5881) as a machine of its own, one session per link, and what its failures mean.
//!
//! [`Bfd`] is the machine, in the shape of the engine: it is told the time, packets and link events, and says what to send,
//! when to wake it, and by [`io::Event::Reachability`] what to tell the engines of both families.

pub mod fsm;
pub mod io;
pub mod is_forwarding;
mod machine;
pub mod packet;
pub mod poll;
pub mod refusal;
mod session;
pub mod timing;
pub mod verdict;

pub use machine::{Bfd, HOP_LIMIT};
