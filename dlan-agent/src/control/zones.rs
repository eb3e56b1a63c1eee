//! What `dlan zones` answers, as values.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The zones, and what the filter does about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonesReport {
    /// Every zone that has a name here or elsewhere.
    pub zones: Vec<ZoneReport>,
    /// Prefixes of which the mesh says different things: they are in no zone.
    pub contradictions: Vec<Contradiction>,
    /// The WANs.
    pub wans: Vec<WanReport>,
    /// What was dropped, by its reason.
    pub drops: Vec<DropReport>,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneReport {
    /// Its name.
    pub name: String,
    /// Whether this router's configuration knows it. Of others it cannot be said here what they reach.
    pub known: bool,
    /// The LANs of this router in it.
    pub lans: Vec<ZoneLan>,
    /// The prefixes of other routers in it.
    pub elsewhere: Vec<ZonePrefix>,
    /// Whether its hosts reach everything.
    pub everything: bool,
    /// The zones that its hosts reach; `wan` stands for the internet by this router's WANs.
    pub reach: Vec<String>,
    /// What they reach beside that.
    pub allow: Vec<String>,
    /// How many packets of its hosts here were dropped; none where the zone is not held to anything here.
    pub dropped: Option<u64>,
}

/// A LAN in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneLan {
    /// The section's name.
    pub name: String,
    /// The device.
    pub device: String,
    /// Its prefixes.
    pub prefixes: BTreeSet<IpNet>,
}

/// A prefix of other routers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ZonePrefix {
    /// The prefix.
    pub prefix: IpNet,
    /// Who announces it.
    pub routers: Vec<String>,
}

/// A prefix of which the mesh says different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// The prefix.
    pub prefix: IpNet,
    /// The zones.
    pub zones: BTreeSet<String>,
    /// Who announces it.
    pub routers: Vec<String>,
}

/// What passes a WAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WanReport {
    /// The section's name.
    pub name: String,
    /// The device, when there is one.
    pub device: Option<String>,
    /// Whether it is closed but for `open`.
    pub closed: bool,
    /// What is open, such as `udp 51820`; services with their address.
    pub open: Vec<String>,
    /// Whether what leaves from the inside gets this router's address.
    pub masquerade: bool,
}

/// What was dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropReport {
    /// The counter in the table `inet dlan`.
    pub counter: String,
    /// What it counts.
    pub what: String,
    /// Packets since the table was made first.
    pub packets: u64,
}
