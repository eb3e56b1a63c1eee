//! What link changes take along: routes and settings that the kernel drops with a device or an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use vxlan::change::LinkChange;
use vxlan::link::LinkName;

use super::change::Change;
use crate::state::route::{Route, RouteAction};

/// Devices that go and come again as others, and addresses that devices lose in place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Upset {
    devices: BTreeSet<LinkName>,
    addresses: BTreeSet<IpAddr>,
}

impl Upset {
    /// Finds what these steps upset.
    pub(super) fn by(steps: &[Change]) -> Self {
        let (mut created, mut removed, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for step in steps {
            match step {
                Change::Link(LinkChange::Create(link)) => drop(created.insert(link.name.clone())),
                Change::Link(LinkChange::Remove(link)) => drop(removed.insert(link.name.clone())),
                Change::Link(LinkChange::Alter { from, to }) => {
                    addresses.extend(from.addresses.difference(&to.addresses).map(IpNet::addr));
                }
                _ => {}
            }
        }
        Self { devices: created.intersection(&removed).cloned().collect(), addresses }
    }

    /// Returns whether nothing is upset.
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.addresses.is_empty()
    }

    /// Returns whether a device is made anew.
    pub(super) fn has_device(&self, device: &LinkName) -> bool {
        self.devices.contains(device)
    }

    /// Returns whether a route cannot outlive it.
    pub(super) fn has_route(&self, route: &Route) -> bool {
        let RouteAction::Unicast { next_hops, source } = &route.action else { return false };
        next_hops.iter().any(|hop| self.devices.contains(&hop.device))
            || source.is_some_and(|source| self.addresses.contains(&source))
    }
}
