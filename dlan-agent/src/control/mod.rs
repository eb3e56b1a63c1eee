//! The agent's control socket: what can be asked, what is answered, and both ends of the conversation.

pub mod apply_report;
pub mod client;
pub mod names;
pub mod protocol;
pub mod report;
pub mod server;
pub mod service_report;
pub mod zones;

/// Where the agent listens.
pub const CONTROL_SOCKET: &str = "/run/dlan/control.sock";
