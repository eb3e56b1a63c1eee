//! What is said of services: where they listen, and how their upstreams are.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Every service, and the nginx that serves them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServicesReport {
    /// The version of the nginx that is installed, if one is that can serve.
    pub nginx: Option<String>,
    /// Whether it runs.
    pub running: bool,
    /// How often it was told to read its configuration again since the agent started.
    pub reloads: u64,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceReport>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Where it listens.
    pub listen: Vec<ListenReport>,
    /// Its TLS server names; none: all that no other service has.
    pub server_names: Vec<String>,
    /// Where clients are passed on to, an entry for each address.
    pub upstreams: Vec<UpstreamReport>,
    /// What nginx lacks that the service needs.
    pub lacks: Option<String>,
}

/// A socket of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenReport {
    /// Address and port.
    pub socket: SocketAddr,
    /// Whether clients are listened for.
    pub state: ListenState,
    /// What came and went there since the filter counts; `None` where nobody has asked the filter.
    pub traffic: Option<Traffic>,
}

/// What came to a socket and left from it, whether it was taken or not. Services that share a socket by name share this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// TCP connections that clients began; `None` of UDP, which has none.
    pub connections: Option<u64>,
    /// Octets that clients sent, with the headers of IP.
    pub received: u64,
    /// Octets that they were sent.
    pub sent: u64,
}

/// Whether clients are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListenState {
    /// They are.
    Open,
    /// The address is none of this router's.
    NotHere,
    /// No upstream can be used, or nothing serves.
    Closed,
}

/// An address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamReport {
    /// As it is written: name or address, and port.
    pub upstream: String,
    /// The address; none for a name without one.
    pub address: Option<SocketAddr>,
    /// How it is.
    pub state: UpstreamState,
    /// Why it is not used, or its name could not be asked for.
    pub why: Option<String>,
    /// Whether it is used only while no other can be.
    pub backup: bool,
}

/// How an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamState {
    /// The health check says that it works.
    Up,
    /// It is used without being asked, or before it has answered.
    Unchecked,
    /// The health check says that it does not work.
    Down,
    /// Its name has no address.
    Unresolved,
    /// It is left out by the configuration.
    LeftOut,
}
