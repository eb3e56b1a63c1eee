//! The protocol: types, state machines and calculations, without clock or socket.

pub mod graph;
pub mod interface;
pub mod lsa;
pub mod lsdb;
pub mod neighbor;
pub mod outbox;
pub mod packet;
pub mod refusal;
pub mod route;
pub mod spf;
