//! The simulator: a world of engines that runs from one seed, and an independent answer to check it against.

mod config;
mod fault;
mod fault_source;
mod link;
mod node;
mod oracle;
pub mod pipe;
mod settled;
mod topology;
mod trace;
mod world;

pub use config::WorldConfig;
pub use fault::Fault;
pub use fault_source::{FaultKind, FaultSource};
pub use link::LinkQuality;
pub use node::{link_interface, router_id};
pub use oracle::{Violation, check};
pub use topology::{LinkIndex, NodeIndex, PerSide, Side, Topology, TopologyLink};
pub use trace::Statistics;
pub use world::{NotSettled, World};
