//! RFC 5340, OSPF for IPv6: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod flooding;
mod format;
mod origination;
mod packets;
mod routes;
#[cfg(feature = "driver")]
mod transport;
