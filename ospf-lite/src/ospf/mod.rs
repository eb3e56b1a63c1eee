//! The protocol: types, state machines and calculations, without clock or socket.

pub mod aging;
pub mod announced;
pub mod area;
pub mod calculation;
pub mod flood;
pub mod graph;
pub mod install;
pub mod interface;
pub mod lfa;
pub mod lsa;
pub mod lsdb;
pub mod neighbor;
pub mod options;
pub mod originate;
pub mod outbox;
pub mod own;
pub mod packet;
pub mod receive;
pub mod refusal;
pub mod route;
pub mod routing;
pub mod spf;
pub mod spf_delay;
pub mod spf_update;
pub mod view;
pub mod wanted;
