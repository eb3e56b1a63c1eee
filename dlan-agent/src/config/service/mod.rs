//! Services: what runs inside and is reached through this router's addresses, as the operator wrote it.

pub mod check;
pub mod problem;
pub mod schema;
pub mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::types::{Config, Endpoint};
use super::view::View;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The section's name; of an anonymous section UCI's address, such as `@service[0]`.
    pub name: String,
    /// What clients speak.
    pub protocol: Transport,
    /// Where clients are listened for, never nowhere.
    pub listen: Vec<Listen>,
    /// Where they are passed on to, never nowhere.
    pub upstreams: Vec<Upstream>,
    /// Which upstream a client gets.
    pub balance: Balance,
    /// How upstreams are told who the client is.
    pub proxy_protocol: ProxyProtocol,
    /// The TLS server names that are this service's; with none, what no other service on the address has.
    pub server_names: BTreeSet<ServerName>,
    /// Who may use it; nobody is kept away when this is empty.
    pub allow: BTreeSet<IpNet>,
    /// The most connections at one time; `None`: any number.
    pub connections: Option<u32>,
    /// The most connections at one time from one address.
    pub connections_per_source: Option<u32>,
    /// What one connection may carry in each direction, in kilobits a second.
    pub rate: Option<u32>,
    /// How long an upstream may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long nothing may be sent before a connection is ended.
    pub idle_timeout: Duration,
    /// Whether every connection is written to the system's log.
    pub access_log: bool,
    /// How upstreams are asked whether they work; `None`: not at all.
    pub health: Option<HealthConfig>,
}

/// What clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Where clients are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// At which addresses.
    pub at: ListenAddress,
    /// The port.
    pub port: u16,
}

/// At which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenAddress {
    /// At all of both families: `*`.
    Any,
    /// At one, or with the unspecified address at all of its family.
    Address(IpAddr),
}

impl Listen {
    /// Returns the sockets; an unspecified address stands for all of its family.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        let at = |address: IpAddr| SocketAddr::new(address, self.port);
        match self.at {
            ListenAddress::Any => vec![at(Ipv4Addr::UNSPECIFIED.into()), at(Ipv6Addr::UNSPECIFIED.into())],
            ListenAddress::Address(address) => vec![at(address)],
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            ListenAddress::Any => write!(f, "*:{}", self.port),
            ListenAddress::Address(address) => SocketAddr::new(address, self.port).fmt(f),
        }
    }
}

/// Where clients are passed on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// A name or an address, and the port.
    pub endpoint: Endpoint,
    /// Its share of the clients, against the others'.
    pub weight: u16,
    /// Whether it is used only while none of the others can be.
    pub is_backup: bool,
    /// Whether it is left out.
    pub is_down: bool,
    /// After how many failures within `fail_timeout` it is left alone for as long; 0: never.
    pub max_fails: u16,
    /// See `max_fails`.
    pub fail_timeout: Duration,
    /// The most connections at one time; 0: any number.
    pub max_connections: u32,
}

/// Which upstream a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest connections.
    LeastConnections,
    /// Always the same one for the same address.
    Hash,
}

/// How upstreams are told who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ProxyProtocol {
    /// Not at all.
    None,
    /// By a line of text before all else.
    Version1,
    /// By a binary header before all else.
    Version2,
}

impl fmt::Display for ProxyProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "0",
            Self::Version1 => "1",
            Self::Version2 => "2",
        })
    }
}

/// A TLS server name in lower case; the first label may be `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerName(String);

impl ServerName {
    /// Returns the name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it stands for every name below a domain.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How upstreams are asked whether they work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is asked.
    pub probe: Probe,
    /// What the upstream expects before it.
    pub proxy_protocol: ProxyProtocol,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// After how many failures in a row an upstream is taken out.
    pub fails: u8,
    /// After how many successes in a row it is taken in again.
    pub rises: u8,
}

/// What an upstream is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// To accept a TCP connection.
    Connect,
    /// To answer the beginning of a TLS handshake.
    Tls {
        /// The server name that is asked for.
        name: Option<ServerName>,
    },
    /// To answer a UDP packet.
    Udp {
        /// What the packet has in it.
        send: Vec<u8>,
        /// What the answer begins with.
        expect: Vec<u8>,
    },
}

/// A socket of a service that clients outside must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// TCP or UDP.
    pub transport: Transport,
    /// The address and port; an unspecified address stands for all of its family.
    pub socket: SocketAddr,
}

/// Returns what a firewall must let in so that the services can be reached: these sockets and nothing else.
pub fn openings(config: &Config) -> BTreeSet<Opening> {
    let of = |service: &ServiceConfig| {
        let transport = service.protocol;
        let sockets: Vec<SocketAddr> = service.listen.iter().flat_map(Listen::sockets).collect();
        sockets.into_iter().map(move |socket| Opening { transport, socket })
    };
    config.services.iter().flat_map(of).collect()
}

/// Puts a service together; nothing comes of a section with errors.
pub(super) fn service_config(view: &View<'_>) -> Option<ServiceConfig> {
    Some(ServiceConfig {
        name: view.name(),
        protocol: view.value(&schema::PROTOCOL)?,
        listen: view.list(&schema::LISTEN)?,
        upstreams: view.list(&schema::UPSTREAM)?,
        balance: view.value(&schema::BALANCE)?,
        proxy_protocol: view.value(&schema::PROXY_PROTOCOL)?,
        server_names: view.list(&schema::SNI)?.into_iter().collect(),
        allow: view.list(&schema::ALLOW)?.into_iter().collect(),
        connections: view.value(&schema::CONNECTIONS),
        connections_per_source: view.value(&schema::CONNECTIONS_PER_SOURCE),
        rate: view.value(&schema::RATE),
        connect_timeout: view.value(&schema::CONNECT_TIMEOUT)?,
        idle_timeout: view.value(&schema::IDLE_TIMEOUT)?,
        access_log: view.value(&schema::ACCESS_LOG)?,
        health: health_config(view)?,
    })
}

fn health_config(view: &View<'_>) -> Option<Option<HealthConfig>> {
    let probe = match view.value(&schema::HEALTH)? {
        HealthKind::None => return Some(None),
        HealthKind::Connect => Probe::Connect,
        HealthKind::Tls => {
            let mut names = view.list(&schema::SNI)?.into_iter();
            Probe::Tls { name: names.find(|name| !name.is_wildcard()) }
        }
        HealthKind::Udp => Probe::Udp {
            send: view.value(&schema::HEALTH_SEND)?,
            expect: view.value(&schema::HEALTH_EXPECT).unwrap_or_default(),
        },
    };
    Some(Some(HealthConfig {
        probe,
        proxy_protocol: view.value(&schema::PROXY_PROTOCOL)?,
        interval: view.value(&schema::HEALTH_INTERVAL)?,
        timeout: view.value(&schema::HEALTH_TIMEOUT)?,
        fails: view.value(&schema::HEALTH_FAILS)?,
        rises: view.value(&schema::HEALTH_RISES)?,
    }))
}

/// The words of `option health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthKind {
    /// Upstreams are not asked.
    None,
    /// See [`Probe::Connect`].
    Connect,
    /// See [`Probe::Tls`].
    Tls,
    /// See [`Probe::Udp`].
    Udp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    #[test]
    fn exactly_the_sockets_that_services_listen_on_are_to_be_opened() {
        let text = "config mesh\n option host_id 1\nconfig wan\n option device eth0\n\
            config service a\n list listen '*:443'\n list listen '192.0.2.4:80'\n list upstream 'nas:1'\n\
            config service b\n option protocol udp\n list listen '[::]:443'\n list upstream 'nas:2'\n";
        let loaded = parse(Source { file: "dlan", text, hostname: "r1" }).unwrap();
        let found = openings(&loaded.config);
        let found: Vec<String> = found.iter().map(|it| format!("{} {}", it.transport, it.socket)).collect();
        assert_eq!(found, ["tcp 0.0.0.0:443", "tcp 192.0.2.4:80", "tcp [::]:443", "udp [::]:443"]);
    }
}
