//! BFD against RFC 5880: what the standard binds a session to, clause by clause, and that a breach is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod lone;
mod reception;
mod session;
mod timing;
