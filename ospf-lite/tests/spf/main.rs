//! Graph, shortest paths and route table against the standard's clauses, and against another implementation's distances.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod alternates;
mod changes;
mod random;
mod table;
mod tree;
mod work;

use ospf_testnet::{area, whole};
