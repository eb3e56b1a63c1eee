//! Names of the whole mesh: what routers announce, who answers for what, and the agent's name server.
//!
//! [`announcement`] is what routers tell in LSAs of their own, [`zones`] the table that follows from it.

pub mod announcement;
pub mod domain;
pub mod heard;
pub mod own;
pub mod record;
pub mod zones;
