//! A few engines wired back to back, and the words to talk to one as its neighbor would: what the tests of ospf-lite share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// Only tests use it.

pub mod area;
mod make;
mod neighbor;
mod net;
pub mod whole;

pub use make::{
    ALL, PRIVATE, STRANGE, altered, description, foreign, hello, interface, key, link_local, packet_of_two,
    prefix, seconds, secret, stub, update,
};
pub use neighbor::WANTED;
pub use net::{DELAY, End, Net, Sent, is_acknowledgment, is_update};
