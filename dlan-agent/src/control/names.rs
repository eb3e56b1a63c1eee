//! What the agent answers about names, as values.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Names of the whole mesh, as this router's name server knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesReport {
    /// The mesh's domain.
    pub domain: String,
    /// Where the server is asked on this router.
    pub places: Vec<PlaceReport>,
    /// The zones and who answers for each.
    pub zones: Vec<ZoneReport>,
    /// The networks and who answers for the names of their addresses.
    pub reverse: Vec<ReverseReport>,
    /// The records that routers announce to the whole mesh.
    pub records: Vec<RecordReport>,
    /// Answers of other routers that are kept.
    pub cache: Vec<CachedReport>,
}

/// An address at which the server is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceReport {
    /// The address, UDP and TCP.
    pub address: SocketAddr,
    /// Whether IPv6 addresses stand for missing IPv4 ones there.
    pub dns64: bool,
    /// Why the server does not listen there.
    pub error: Option<String>,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneReport {
    /// Its name.
    pub zone: String,
    /// Who answers.
    pub owner: OwnerReport,
}

/// A network whose addresses have names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseReport {
    /// The network.
    pub prefix: IpNet,
    /// Who answers.
    pub owner: OwnerReport,
}

/// Who answers for a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerReport {
    /// The router's number; none of one that announces nothing and is configured.
    pub host_id: Option<u16>,
    /// Whether it is this router.
    pub is_own: bool,
    /// Where it is asked.
    pub servers: Vec<IpAddr>,
}

/// A record that a router announces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReport {
    /// Its name.
    pub name: String,
    /// Its type, such as `AAAA`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What it says.
    pub data: String,
    /// The router's number.
    pub host_id: u16,
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedReport {
    /// The name that was asked for.
    pub name: String,
    /// The type that was asked for.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What was answered; nothing when there is no such name or record.
    pub data: Vec<String>,
    /// Seconds since it was answered.
    pub age_seconds: u64,
    /// Whether it is given only while its router cannot be asked.
    pub stale: bool,
    /// Seconds until it is stale, or forgotten when it is stale already.
    pub seconds_left: u64,
}
