//! Names of the whole mesh: what routers announce, who answers for what, and the agent's name server.
//!
//! [`own`] says what this router tells in LSAs of its own, [`announcement`] how it is written, [`heard`] what all routers
//! told; [`zones`] is the table that follows. [`resolver`] decides what a question is answered, by the table and what
//! [`cache`] keeps, with [`dns64`] and [`rate`]; all of these are pure. [`server`] has the sockets, [`asking`] asks others.

pub mod announcement;
pub mod asking;
pub mod cache;
pub mod dns64;
pub mod domain;
pub mod heard;
pub mod own;
pub mod rate;
pub mod record;
pub mod report;
pub mod resolver;
pub mod server;
pub mod wire;
pub mod zones;
