//! What a router is, as one value: the same type says what is wanted and what is seen.

pub mod facts;
pub mod managed_file;
pub mod marks;
pub mod next_hop;
pub mod nginx;
pub mod program;
pub mod route;
pub mod rule;
pub mod ruleset;
pub mod setting;
pub mod uci;
pub mod upstreams;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use vxlan::link::{Link, LinkKind, LinkName};

use self::managed_file::ManagedFile;
use self::next_hop::{NextHop, NextHopId};
use self::program::{Program, ProgramName};
use self::route::{Route, RouteAction, RouteHop, RouteKey};
use self::rule::Rule;
use self::ruleset::Ruleset;
use self::setting::{Setting, SettingValue};
use self::uci::UciDhcp;

/// The device of the loopback identity.
pub const LOOPBACK_DEVICE: &str = "lo";

/// Everything on this router that carries dlan's mark: as it shall be, or as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The WireGuard device and the VXLAN devices.
    pub links: BTreeMap<LinkName, Link>,
    /// Those of them, as seen, that can carry nothing though they are up, as a cable that is not plugged in. It is nobody's wish, and
    /// no difference.
    pub without_carrier: BTreeSet<LinkName>,
    /// Addresses on devices that are not links: the loopback identity, LAN addresses that the config sets.
    pub addresses: BTreeSet<DeviceAddress>,
    /// Kernel next hop objects, which routes refer to.
    pub next_hops: BTreeMap<NextHopId, NextHop>,
    /// Kernel routes.
    pub routes: BTreeMap<RouteKey, Route>,
    /// Policy rules.
    pub rules: BTreeSet<Rule>,
    /// Kernel settings (sysctls).
    pub settings: BTreeMap<Setting, SettingValue>,
    /// The nftables table `inet dlan`.
    pub ruleset: Option<Ruleset>,
    /// Whole files that are ours.
    pub files: BTreeMap<PathBuf, ManagedFile>,
    /// The programs beside the agent, with the files that they read.
    pub programs: BTreeMap<ProgramName, Program>,
    /// What is ours of OpenWrt's own configuration of LANs.
    pub uci: Option<UciDhcp>,
}

impl State {
    /// Returns whether packets can leave by a link: its device is up and has its carrier, and so has the WireGuard device below. A
    /// VXLAN device keeps its carrier when the device below goes down.
    pub fn carries(&self, link: &Link) -> bool {
        let is_up = |name: &LinkName| {
            self.links.get(name).is_some_and(|link| link.up) && !self.without_carrier.contains(name)
        };
        is_up(&link.name)
            && match &link.kind {
                LinkKind::WireGuard(_) => true,
                LinkKind::Vxlan(vxlan) => is_up(&vxlan.underlay),
            }
    }

    /// Returns the ways that a route leads by; none for unreachable, or when its group is not there.
    pub fn hops<'a>(&'a self, route: &'a Route) -> Vec<&'a RouteHop> {
        match &route.action {
            RouteAction::Unreachable => Vec::new(),
            RouteAction::Unicast(unicast) => unicast.next_hops.iter().collect(),
            RouteAction::Group { group, .. } => self.ways(*group),
        }
    }

    /// Returns the ways that the kernel goes over to when the last of a route's ways goes.
    pub fn standbys(&self, route: &Route) -> Vec<&RouteHop> {
        let group = route.action.group().and_then(|group| self.next_hops.get(&group)?.group());
        let standbys = group.into_iter().flat_map(|group| &group.standbys);
        standbys.filter_map(|standby| self.next_hops.get(standby)?.way()).collect()
    }

    /// Returns the ways in use of a group.
    pub fn ways(&self, group: NextHopId) -> Vec<&RouteHop> {
        let ways =
            self.next_hops.get(&group).and_then(NextHop::group).into_iter().flat_map(|group| &group.ways);
        ways.filter_map(|way| self.next_hops.get(way)?.way()).collect()
    }
}

/// An address on a device, with its prefix length; host bits are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceAddress {
    /// The device.
    pub device: LinkName,
    /// The address and the length of the prefix it lies in.
    pub address: IpNet,
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.address, self.device)
    }
}
