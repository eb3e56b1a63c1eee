//! The protocol: types, state machines and calculations, without clock or socket.

pub mod lsa;
pub mod neighbor;
pub mod packet;
