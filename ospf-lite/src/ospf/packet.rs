//! The five packets as types (RFC 5340 appendix A.3).

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AreaId, InstanceId, InterfaceId, RouterId};
use crate::ospf::lsa::{Lsa, LsaHeader, LsaKey};
use crate::wire::DecodeError;

pub use crate::ospf::options::Options;

/// A decoded packet: checked for length, version and checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The sender.
    pub router_id: RouterId,
    /// The area it belongs to.
    pub area_id: AreaId,
    /// The instance it belongs to.
    pub instance_id: InstanceId,
    /// What it says.
    pub body: PacketBody,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketBody {
    /// Type 1.
    Hello(Hello),
    /// Type 2.
    DatabaseDescription(DatabaseDescription),
    /// Type 3.
    LinkStateRequest(Vec<LsaKey>),
    /// Type 4.
    LinkStateUpdate(LinkStateUpdate),
    /// Type 5.
    LinkStateAcknowledgment(Vec<LsaHeader>),
}

impl PacketBody {
    /// Returns what kind of packet it is.
    pub const fn kind(&self) -> PacketKind {
        match self {
            Self::Hello(_) => PacketKind::Hello,
            Self::DatabaseDescription(_) => PacketKind::DatabaseDescription,
            Self::LinkStateRequest(_) => PacketKind::LinkStateRequest,
            Self::LinkStateUpdate(_) => PacketKind::LinkStateUpdate,
            Self::LinkStateAcknowledgment(_) => PacketKind::LinkStateAcknowledgment,
        }
    }
}

/// The five kinds of packets; each has a line of authentication sequence numbers of its own (RFC 7166 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketKind {
    /// Type 1.
    Hello,
    /// Type 2.
    DatabaseDescription,
    /// Type 3.
    LinkStateRequest,
    /// Type 4.
    LinkStateUpdate,
    /// Type 5.
    LinkStateAcknowledgment,
}

/// Carries LSAs (RFC 5340 appendix A.3.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkStateUpdate {
    /// The LSAs.
    pub lsas: Vec<AgedLsa>,
    /// Why others in a received packet were refused (RFC 2328 section 13, step 1); not sent.
    pub refused: Vec<DecodeError>,
}

/// An LSA at the age it is sent with, or was received with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgedLsa {
    /// The LSA.
    pub lsa: Arc<Lsa>,
    /// LS age in seconds, 0..=MaxAge.
    pub age: u16,
}

impl From<Lsa> for AgedLsa {
    fn from(lsa: Lsa) -> Self {
        Self { age: lsa.header().age, lsa: Arc::new(lsa) }
    }
}

/// Keeps a neighbor alive (RFC 5340 appendix A.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The sender's Interface ID for this link.
    pub interface_id: InterfaceId,
    /// Router Priority; without a meaning on point-to-point links.
    pub priority: u8,
    /// What the sender can do.
    pub options: Options,
    /// HelloInterval, whole seconds.
    pub hello_interval: Duration,
    /// RouterDeadInterval, whole seconds.
    pub dead_interval: Duration,
    /// The Designated Router's Router ID, or 0.0.0.0.
    pub designated_router: RouterId,
    /// The Backup Designated Router's Router ID, or 0.0.0.0.
    pub backup_designated_router: RouterId,
    /// The routers heard on the link within RouterDeadInterval.
    pub neighbors: Vec<RouterId>,
}

/// Tells which LSAs the sender has (RFC 5340 appendix A.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseDescription {
    /// What the sender can do.
    pub options: Options,
    /// The largest IPv6 packet the sender's interface carries.
    pub interface_mtu: u16,
    /// I-bit: the first packet of an exchange.
    pub init: bool,
    /// M-bit: more packets follow.
    pub more: bool,
    /// MS-bit: the sender leads the exchange.
    pub master: bool,
    /// DD sequence number.
    pub sequence: u32,
    /// The headers.
    pub headers: Vec<LsaHeader>,
}
