//! Every sentence an operator may read about services that do not fit together.

use std::fmt;

use super::{ProxyProtocol, Transport};
use crate::config::problem::{Problem, Shown};

/// What is wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceProblem {
    /// Two services on one address that nothing tells apart.
    #[error("{listen} is taken by {other} (line {line}): {}", Apart(*transport))]
    SharedListen {
        /// The address.
        listen: String,
        /// What clients speak there.
        transport: Transport,
        /// The other section.
        other: String,
        /// Where it listens.
        line: usize,
    },
    /// A server name twice on one address.
    #[error("{name} is taken by {other} (line {line}), which listens on {listen} too")]
    SharedName {
        /// The name.
        name: String,
        /// The address.
        listen: String,
        /// The other section.
        other: String,
        /// Where it has the name.
        line: usize,
    },
    /// Two services on one address that cannot share it.
    #[error(
        "{value} differs from {other_value} of {other} (line {line}), which listens on {listen} too: \
         services on one address have one {option}"
    )]
    SharedOption {
        /// The option.
        option: &'static str,
        /// Its value here.
        value: String,
        /// Its value there.
        other_value: String,
        /// The other section.
        other: String,
        /// The other section's line.
        line: usize,
        /// The address.
        listen: String,
    },
    /// A name that is too long.
    #[error("the name of a service has at most 63 characters")]
    LongName,
    /// An address twice in one service.
    #[error("it is written twice in this service; the first is on line {first}")]
    Twice {
        /// Where the first is.
        first: usize,
    },
    /// The PROXY protocol for UDP.
    #[error(
        "UDP has no connection that version {version} of the PROXY protocol could stand at the beginning of: \
         take it out, or use protocol tcp"
    )]
    ProxyProtocolOfUdp {
        /// The version.
        version: ProxyProtocol,
    },
    /// A TLS server name for UDP.
    #[error("TLS server names are read from TCP connections: take it out, or use protocol tcp")]
    NamesOfUdp,
    /// A check that does not speak what the service does.
    #[error("{health} asks {}, and this service speaks {protocol}: {instead}", Shown(asks))]
    HealthOfOther {
        /// The check.
        health: &'static str,
        /// What it speaks.
        asks: &'static str,
        /// What the service speaks.
        protocol: Transport,
        /// What would be right.
        instead: &'static str,
    },
    /// A UDP check without a packet.
    #[error("health 'udp' needs an option health_send: what the packet has in it that the upstream answers")]
    ProbeWithoutPacket,
    /// An option of UDP checks where there are none.
    #[error("it means something only with option health 'udp'")]
    WithoutUdpHealth,
    /// Only backups.
    #[error("every upstream is a backup or down: at least one must be used ordinarily")]
    OnlyBackups,
    /// A backup where nginx has none.
    #[error("balance 'hash' knows no backup: take backup out, or balance otherwise")]
    BackupWithHash,
    /// A port of dlan's own.
    #[error("UDP port {port} is dlan's own ({what}): take another port")]
    OwnPort {
        /// The port.
        port: u16,
        /// What it is for.
        what: &'static str,
    },
}

struct Apart(Transport);

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Transport::Tcp => "give one of them, or both, a list sni, which tells them apart by TLS server name; or take another address or port",
            Transport::Udp => "nothing tells UDP services apart, so take another address or port",
        })
    }
}

impl From<ServiceProblem> for Problem {
    fn from(problem: ServiceProblem) -> Self {
        Self::Service(Box::new(problem))
    }
}
