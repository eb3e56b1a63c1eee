//! What changes of links and programs take along: routes and settings that the kernel drops with a device or an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use vxlan::change::LinkChange;
use vxlan::link::LinkName;

use super::change::{Change, Edit};
use crate::state::next_hop::{NextHop, NextHopId};
use crate::state::program::Transition;
use crate::state::route::{Route, RouteAction};

/// Devices that go and come again as others, and addresses that devices lose in place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Upset {
    devices: BTreeSet<LinkName>,
    addresses: BTreeSet<IpAddr>,
    /// The ways over those devices and the groups of nothing else that the steps remove.
    next_hops: BTreeSet<NextHopId>,
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
        let mut devices: BTreeSet<LinkName> = created.intersection(&removed).cloned().collect();
        devices.extend(steps.iter().filter_map(restarted_device));
        let mut upset = Self { devices, addresses, next_hops: BTreeSet::new() };
        let is_lost_way = |edit: &&Edit<NextHopId, NextHop>| {
            let way = edit.from.as_ref().and_then(NextHop::way);
            way.is_some_and(|way| upset.devices.contains(&way.device))
        };
        upset.next_hops = removed_next_hops(steps).filter(is_lost_way).map(|edit| edit.key).collect();
        let is_lost_group = |edit: &&Edit<NextHopId, NextHop>| {
            let group = edit.from.as_ref().and_then(NextHop::group);
            group.is_some_and(|group| group.members().all(|member| upset.next_hops.contains(&member)))
        };
        let groups: Vec<NextHopId> =
            removed_next_hops(steps).filter(is_lost_group).map(|edit| edit.key).collect();
        upset.next_hops.extend(groups);
        upset
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
        let is_over_device = match &route.action {
            RouteAction::Unicast(_) => self.devices.iter().any(|device| route.action.is_over(device)),
            RouteAction::Group { group, .. } => self.next_hops.contains(group),
            RouteAction::Unreachable => false,
        };
        is_over_device || route.action.source().is_some_and(|source| self.addresses.contains(&source))
    }

    /// Returns whether a step takes out of use what a device is about to take along.
    pub(super) fn has_next_hop(&self, edit: &Edit<NextHopId, NextHop>) -> bool {
        let members = |object: &Option<NextHop>| -> Option<BTreeSet<NextHopId>> {
            Some(object.as_ref()?.group()?.members().collect())
        };
        match (members(&edit.from), members(&edit.to)) {
            (Some(from), Some(to)) => {
                from != to
                    && to.is_subset(&from)
                    && from.difference(&to).all(|id| self.next_hops.contains(id))
            }
            _ => edit.to.is_none() && self.next_hops.contains(&edit.key),
        }
    }
}

/// Returns the device that a program takes along while it is started anew.
fn restarted_device(step: &Change) -> Option<LinkName> {
    let Change::Program(edit) = step else { return None };
    let Edit { from: Some(from), to: Some(to), .. } = &**edit else { return None };
    let restarts = Transition::between(Some(from), Some(to)) == Transition::Restart;
    from.device.clone().filter(|_| restarts)
}

fn removed_next_hops(steps: &[Change]) -> impl Iterator<Item = &Edit<NextHopId, NextHop>> {
    steps.iter().filter_map(|step| match step {
        Change::NextHop(edit) if edit.to.is_none() => Some(edit),
        _ => None,
    })
}
