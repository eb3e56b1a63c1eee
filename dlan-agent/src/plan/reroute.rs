//! What the loss of a device comes to before the routing protocol has calculated: groups go on by their other ways, or by
//! their alternates.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vxlan::link::LinkName;

use super::change::{Change, Edit};
use crate::state::State;
use crate::state::next_hop::{Group, NextHop, NextHopId, NextHopTarget};
use crate::state::route::{METRIC_PASSING, Route, RouteAction, RouteKey};

/// How a device was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Nobody answers at its far end; in the kernel all stands.
    Neighbor,
    /// It is down, without carrier or gone: the kernel has dropped the ways over it, the groups of nothing else, and
    /// all routes of those.
    Device,
}

/// Returns the steps that take the ways over a device whose far end is silent out of all groups, and takes them as made. Nothing
/// where a group has no other way: with its last one the kernel drops it, and its routes.
///
/// The kernel leaves the routes of a group alone then; when a group is replaced, it visits each one. What it does not do is
/// tell the sockets of the router itself that remember such a way: these look again where any route has changed, which
/// one does in each family, worse than the one beside it and gone at once.
pub fn without(known: &mut State, lost: &LinkName) -> Option<Vec<Change>> {
    let gone = ways_over(known, lost);
    let mut rest = Vec::new();
    for (id, _, group) in groups_of(known, &gone) {
        rest.push((id, group.without(&gone).filter(|rest| rest.buckets > 0)?));
    }
    if rest.is_empty() {
        return None;
    }
    for (id, rest) in rest {
        if let Some(object) = known.next_hops.get_mut(&id) {
            object.target = NextHopTarget::Group(rest);
        }
    }
    let goes = |id| Some(Edit { key: id, from: Some(known.next_hops.remove(&id)?), to: None });
    let mut steps: Vec<Change> = gone.into_iter().filter_map(goes).map(Change::NextHop).collect();
    for (key, route) in passing_routes(known) {
        let (from, to) = (Some(route.clone()), Some(route));
        steps.push(Change::Route(Edit { key, from: None, to }));
        steps.push(Change::Route(Edit { key, from, to: None }));
    }
    Some(steps)
}

/// Returns the ways over a device.
fn ways_over(known: &State, device: &LinkName) -> BTreeSet<NextHopId> {
    let is_over = |object: &NextHop| object.way().is_some_and(|way| way.device == *device);
    known.next_hops.iter().filter(|(_, object)| is_over(object)).map(|(id, _)| *id).collect()
}

/// Returns the groups that have any of these ways.
fn groups_of<'a>(
    known: &'a State,
    ways: &'a BTreeSet<NextHopId>,
) -> impl Iterator<Item = (NextHopId, &'a NextHop, &'a Group)> {
    let groups = known.next_hops.iter().filter_map(|(id, object)| Some((*id, object, object.group()?)));
    groups.filter(|(.., group)| group.members().any(|member| ways.contains(&member)))
}

/// Returns a route for each family that is the worst to a prefix for which there is another one of ours.
fn passing_routes(known: &State) -> Vec<(RouteKey, Route)> {
    let Some((first, Route { protocol, .. })) = known.routes.first_key_value() else { return Vec::new() };
    let families = [IpNet::from(Ipv4Net::default()), IpNet::from(Ipv6Net::default())];
    let first_of = |prefix: IpNet| {
        let lowest = RouteKey { table: first.table, prefix, metric: 0 };
        let (key, _) = known.routes.range(lowest..).next()?;
        (key.prefix.addr().is_ipv4() == prefix.addr().is_ipv4()).then_some(*key)
    };
    let passing = |key| (RouteKey { metric: METRIC_PASSING, ..key }, RouteAction::Unreachable);
    let routes = families.into_iter().filter_map(first_of).map(passing);
    routes.map(|(key, action)| (key, Route { protocol: *protocol, action })).collect()
}

/// Returns the steps around a lost device and takes them as made.
///
/// There is one step for each group over the device, whatever the number of routes, and none where the kernel has gone over
/// to the standbys by itself; where it has dropped the group, its routes come back with it. A group with nowhere else to go
/// is left alone.
pub fn around(
    known: &mut State,
    alternates: &BTreeMap<NextHopId, BTreeSet<NextHopId>>,
    lost: &LinkName,
    loss: Loss,
) -> Vec<Change> {
    let gone = ways_over(known, lost);
    let mut steps = Vec::new();
    let mut dropped = BTreeSet::new();
    for (id, object, group) in groups_of(known, &gone) {
        let rest = group.without(&gone).or_else(|| {
            dropped.insert(id);
            let stands = |way: &&NextHopId| known.next_hops.contains_key(way) && !gone.contains(way);
            let ways: BTreeSet<NextHopId> = alternates.get(&id)?.iter().filter(stands).copied().collect();
            let is_any = !ways.is_empty();
            is_any.then_some(Group { ways, standbys: BTreeSet::new(), buckets: group.buckets })
        });
        let to = rest.map(|rest| NextHop { protocol: object.protocol, target: NextHopTarget::Group(rest) });
        steps.push(Edit { key: id, from: Some(object.clone()), to });
    }
    let mut made: Vec<Change> = match loss {
        Loss::Neighbor => Vec::new(),
        Loss::Device => return after_drop(known, (&gone, &dropped), steps),
    };
    for step in steps.into_iter().filter(|step| step.to.is_some()) {
        known.next_hops.extend(step.to.clone().map(|to| (step.key, to)));
        made.push(Change::NextHop(step));
    }
    made
}

/// The same where the kernel has dropped the ways, and the groups and routes of nothing else.
fn after_drop(
    known: &mut State,
    (gone, dropped): (&BTreeSet<NextHopId>, &BTreeSet<NextHopId>),
    steps: Vec<Edit<NextHopId, NextHop>>,
) -> Vec<Change> {
    let mut made = Vec::new();
    let mut back = BTreeSet::new();
    known.next_hops.retain(|id, _| !gone.contains(id));
    for Edit { key, to, .. } in steps {
        match to {
            // The kernel took the lost way out of this one by itself.
            Some(to) if !dropped.contains(&key) => drop(known.next_hops.insert(key, to)),
            Some(to) => {
                known.next_hops.insert(key, to.clone());
                back.insert(key);
                made.push(Change::NextHop(Edit { key, from: None, to: Some(to) }));
            }
            None => drop(known.next_hops.remove(&key)),
        }
    }
    if dropped.is_empty() {
        return made;
    }
    known.routes.retain(|key, route| {
        let Some(group) = route.action.group().filter(|group| dropped.contains(group)) else { return true };
        let is_back = back.contains(&group);
        if is_back {
            made.push(Change::Route(Edit { key: *key, from: None, to: Some(route.clone()) }));
        }
        is_back
    });
    made
}
