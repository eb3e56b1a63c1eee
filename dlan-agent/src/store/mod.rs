//! What the agent keeps on disk, so that no power cut damages it: written seldom, whole, and checked when read.

pub mod durable;
pub mod history;
pub mod recovery;
pub mod snapshot;
pub mod stage;
