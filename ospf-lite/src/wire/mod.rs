//! Bytes to types and back: every bit mask and every offset of the protocol is in here.
//!
//! What arrives is checked once, at this door; a decoded value needs no second check, and encoding cannot fail.

pub mod auth;
mod body;
pub mod checksum;
mod error;
mod grace;
pub mod lsa;
pub mod packet;
mod prefix;
mod reader;
pub mod size;
mod writer;

pub use error::DecodeError;
