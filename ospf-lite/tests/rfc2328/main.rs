//! RFC 2328, OSPF, as far as RFC 5340 builds on it: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod aging;
mod description;
mod external;
mod flooding;
mod hello;
mod loading;
mod machines;
mod origination;
mod tree;
