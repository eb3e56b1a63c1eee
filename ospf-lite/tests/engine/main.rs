//! What engines do together, by claims.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)] // tests

mod adjacency;
mod failures;
mod flaps;
mod flooding;
mod limits;
mod origination;
mod reachability;
mod restart;
mod transit;

use ospf_testnet as harness;
