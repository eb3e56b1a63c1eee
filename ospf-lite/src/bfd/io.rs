//! The words of the BFD machine's boundary: what goes in, what comes out.

use std::net::Ipv6Addr;
use std::num::NonZeroU8;
use std::time::Duration;

use super::fsm::SessionState;
use super::is_forwarding::Echo;
use super::packet::Diagnostic;
use super::refusal::Refusals;
use crate::ids::InterfaceId;
use crate::io::Reachability;
use crate::time::Instant;

/// What a session is started with: one per link, for both address families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// The interface of the link; names the session too.
    pub interface: InterfaceId,
    /// Its name, for logs.
    pub name: String,
    /// The far end's link-local address: where packets are sent for the whole life of the session (RFC 5881 section 6).
    pub remote: Ipv6Addr,
    /// Desired Min TX Interval and Required Min RX Interval while the session is Up.
    pub interval: Duration,
    /// Detect Mult: how many missed packets make this end's silence a failure.
    pub detect_mult: NonZeroU8,
}

/// What happens to a session besides packets and deadlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A session exists with this configuration: added, or changed with as little disturbance as possible. Another far
    /// end makes it another session.
    Configured(SessionConfig),
    /// It is not wanted any more. The far end is told for a Detection Time (RFC 5880 section 6.8.16), then it is gone.
    Removed(InterfaceId),
    /// The device of the link can carry packets. A session begins with one that can.
    PathUp(InterfaceId),
    /// It cannot: the session is Down without waiting, and silent.
    PathDown(InterfaceId),
    /// The operator, or a restart that was planned, takes the session down: no failure, and the far end is told so.
    Disabled(InterfaceId),
}

/// A packet that arrived on UDP port 3784.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// Where it arrived.
    pub interface: InterfaceId,
    /// The hop limit it arrived with.
    pub hop_limit: u8,
    /// How long ago: one that repeats the packet before may have waited, see [`Bfd::is_settled`](super::Bfd::is_settled).
    pub age: Duration,
    /// The UDP payload.
    pub octets: &'a [u8],
}

/// Something to send over a link, to the far end's link-local address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to send it.
    pub interface: InterfaceId,
    /// The far end.
    pub destination: Ipv6Addr,
    /// What to send.
    pub content: Content,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A Control packet: the UDP payload, for port 3784 with hop limit 255.
    Control(Vec<u8>),
    /// An ICMPv6 Echo Request. Answers are wanted from then on, see [`SessionView::is_asking`].
    Echo(Echo),
}

/// What the machine's owner is told. Unlike the engine's, a verdict must not be lost; each is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A session changed its state.
    StateChanged {
        /// The interface of its link.
        interface: InterfaceId,
        /// The state it left.
        from: SessionState,
        /// The state it is in.
        to: SessionState,
    },
    /// A session has come to another opinion of its far end.
    Reachability {
        /// The interface of its link.
        interface: InterfaceId,
        /// The opinion.
        reachability: Reachability,
    },
    /// A session that was removed has told the far end, and is gone.
    Ended(InterfaceId),
}

/// A session, for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// What it was started with.
    pub config: SessionConfig,
    /// Its state.
    pub state: SessionState,
    /// Since when.
    pub since: Instant,
    /// The state the far end told last.
    pub remote_state: SessionState,
    /// What it says of the far end.
    pub reachability: Reachability,
    /// Whether it was ever Up since the far end last took it down on purpose.
    pub was_up: bool,
    /// How often it came Up.
    pub ups: u64,
    /// Why this end last changed its state.
    pub diagnostic: Diagnostic,
    /// Why the far end did.
    pub remote_diagnostic: Diagnostic,
    /// The interval between this end's packets before jitter; nothing when the far end wants none.
    pub transmit_interval: Option<Duration>,
    /// The Detection Time agreed on.
    pub detection_time: Duration,
    /// Whether the far kernel is being asked.
    pub is_asking: bool,
    /// Control packets sent.
    pub sent: u64,
    /// Control packets accepted.
    pub received: u64,
    /// Control packets refused.
    pub refusals: Refusals,
}
