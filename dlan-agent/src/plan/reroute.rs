//! What the loss of a device comes to before the routing protocol has calculated: groups go on by their other ways, or by
//! their alternate.

use std::collections::{BTreeMap, BTreeSet};

use vxlan::link::LinkName;

use super::change::{Change, Edit};
use crate::state::State;
use crate::state::next_hop::{Group, NextHop, NextHopId, NextHopTarget};

/// How a device was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Nobody answers at its far end; in the kernel all stands.
    Neighbor,
    /// It is down, without carrier or gone: the kernel has dropped the ways over it, the groups of nothing else, and
    /// all routes of those.
    Device,
}

/// Returns the steps around a lost device and takes them as made.
///
/// There is one step for each group over the device, whatever the number of routes, and none where the kernel has gone over
/// to the standby by itself; where it has dropped the group, its routes come back with it. A group with nowhere else to go
/// is left alone.
pub fn around(
    known: &mut State,
    alternates: &BTreeMap<NextHopId, NextHopId>,
    lost: &LinkName,
    loss: Loss,
) -> Vec<Change> {
    let is_lost = |object: &NextHop| object.way().is_some_and(|way| way.device == *lost);
    let gone: BTreeSet<NextHopId> =
        known.next_hops.iter().filter(|(_, object)| is_lost(object)).map(|(id, _)| *id).collect();
    let mut steps = Vec::new();
    let mut dropped = BTreeSet::new();
    for (id, object) in &known.next_hops {
        let Some(group) = object.group().filter(|group| group.members().any(|member| gone.contains(&member)))
        else {
            continue;
        };
        let rest = group.without(&gone).or_else(|| {
            dropped.insert(*id);
            let stands = |way: &&NextHopId| known.next_hops.contains_key(way) && !gone.contains(way);
            let alternate = alternates.get(id).filter(stands)?;
            Some(Group { ways: BTreeSet::from([*alternate]), standby: None, buckets: group.buckets })
        });
        let to = rest.map(|rest| NextHop { protocol: object.protocol, target: NextHopTarget::Group(rest) });
        steps.push(Edit { key: *id, from: Some(object.clone()), to });
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
