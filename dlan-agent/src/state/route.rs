//! A kernel route of ours as a value.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use vxlan::link::LinkName;

use super::next_hop::NextHopId;

/// Metric of routes to the neighbors' WireGuard addresses.
pub const METRIC_NEIGHBOR: u32 = 16;
/// Metric of routes to the translator between IPv6 and IPv4: better than those to another router's.
pub const METRIC_TRANSLATED: u32 = 16;
/// Metric of routes that the routing protocol found; BIRD's default for kernel routes.
pub const METRIC_LEARNED: u32 = 32;
/// Metric of the unreachable routes below all others.
pub const METRIC_UNREACHABLE: u32 = 9999;
/// Metric of a route that goes as soon as it has come: no packet finds it, but whatever is remembered of routes is looked up
/// again.
pub const METRIC_PASSING: u32 = u32::MAX;

/// What tells our routes apart in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteKey {
    /// The routing table.
    pub table: u32,
    /// The destination, host bits zero.
    pub prefix: IpNet,
    /// The metric; the lowest wins.
    pub metric: u32,
}

/// What a route does, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The protocol number it carries.
    pub protocol: u8,
    /// What happens to packets.
    pub action: RouteAction,
}

/// What a route does with packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteAction {
    /// Sends them on. Boxed, for most routes are by groups, and every one has the size of the largest.
    Unicast(Box<Unicast>),
    /// Sends them on by a group of next hop objects, which may change under the route.
    Group {
        /// The group.
        group: NextHopId,
        /// The source address of this router's own packets.
        source: Option<IpAddr>,
    },
    /// Answers them with "unreachable".
    Unreachable,
}

/// The ways of a route that names them itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unicast {
    /// The ways, used side by side; never empty.
    pub next_hops: BTreeSet<RouteHop>,
    /// The source address of this router's own packets.
    pub source: Option<IpAddr>,
}

/// One way of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteHop {
    /// The device to send by.
    pub device: LinkName,
    /// The neighbor to send to; an IPv6 address also serves IPv4 routes. `None`: the destination is on the link.
    pub via: Option<IpAddr>,
}

impl RouteKey {
    /// Returns whether the routing protocol found routes with this key.
    pub fn is_learned(&self) -> bool {
        self.metric == METRIC_LEARNED
    }
}

impl RouteAction {
    /// Sends packets on by these ways; this router's own come from `source`.
    pub fn unicast(next_hops: BTreeSet<RouteHop>, source: Option<IpAddr>) -> Self {
        Self::Unicast(Box::new(Unicast { next_hops, source }))
    }

    /// Returns the devices that it names: those of a group are named by its objects.
    pub fn devices(&self) -> impl Iterator<Item = &LinkName> {
        let hops = match self {
            Self::Unicast(unicast) => Some(&unicast.next_hops),
            Self::Group { .. } | Self::Unreachable => None,
        };
        hops.into_iter().flatten().map(|hop| &hop.device)
    }

    /// Returns the group of next hop objects that the route refers to.
    pub fn group(&self) -> Option<NextHopId> {
        match self {
            Self::Group { group, .. } => Some(*group),
            Self::Unicast(_) | Self::Unreachable => None,
        }
    }

    /// Returns whether a device is one of the ways that are in the route itself.
    pub fn is_over(&self, device: &LinkName) -> bool {
        match self {
            Self::Unicast(unicast) => unicast.next_hops.iter().any(|hop| hop.device == *device),
            Self::Group { .. } | Self::Unreachable => false,
        }
    }

    /// Returns the source address of this router's own packets.
    pub fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Unicast(unicast) => unicast.source,
            Self::Group { source, .. } => *source,
            Self::Unreachable => None,
        }
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} table {} metric {}", self.prefix, self.table, self.metric)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            RouteAction::Unreachable => f.write_str("unreachable"),
            RouteAction::Group { group, source } => {
                write!(f, "next hop group {group}")?;
                source.map_or(Ok(()), |source| write!(f, " src {source}"))
            }
            RouteAction::Unicast(unicast) => {
                for (index, hop) in unicast.next_hops.iter().enumerate() {
                    write!(f, "{}{hop}", if index > 0 { ", " } else { "" })?;
                }
                unicast.source.map_or(Ok(()), |source| write!(f, " src {source}"))
            }
        }
    }
}

impl fmt::Display for RouteHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Some(via) => write!(f, "via {via} dev {}", self.device),
            None => write!(f, "dev {}", self.device),
        }
    }
}
