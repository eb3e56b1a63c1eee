//! State against state: what differs, in no order yet.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Edit};
use super::upset::Upset;
use crate::state::State;
use crate::state::next_hop::{NextHop, NextHopId, NextHopTarget};
use crate::state::setting::{Setting, SettingValue};

/// Returns what has to be done to `observed` so that it becomes `desired`.
pub fn diff(observed: &State, desired: &State) -> Vec<Change> {
    let mut changes: Vec<Change> =
        vxlan::diff::diff(&observed.links, &desired.links).into_iter().map(Change::Link).collect();
    changes.extend(sets(&observed.addresses, &desired.addresses).map(Change::Address));
    changes.extend(routes(observed, desired));
    changes.extend(sets(&observed.rules, &desired.rules).map(Change::Rule));
    changes.extend(settings(&observed.settings, &desired.settings));
    if observed.ruleset != desired.ruleset {
        changes.push(Change::Ruleset(Edit {
            key: (),
            from: observed.ruleset.clone(),
            to: desired.ruleset.clone(),
        }));
    }
    if observed.uci != desired.uci {
        let (from, to) = (observed.uci.clone(), desired.uci.clone());
        changes.push(Change::Uci(Edit { key: (), from, to }));
    }
    changes.extend(maps(&observed.files, &desired.files, |_, from, to| from == to).map(Change::File));
    let programs = maps(&observed.programs, &desired.programs, |_, from, to| from == to);
    changes.extend(programs.map(|edit| Change::Program(Box::new(edit))));
    changes
}

/// Returns what has to be done to the routes and the next hop objects that they refer to.
pub fn routes(observed: &State, desired: &State) -> Vec<Change> {
    let routes = maps(&observed.routes, &desired.routes, |_, from, to| from == to);
    let mut changes = next_hops(&observed.next_hops, &desired.next_hops);
    changes.extend(routes.map(Change::Route));
    changes.shrink_to_fit();
    changes
}

/// Returns what has to be done to the next hop objects alone.
pub fn next_hops(
    observed: &BTreeMap<NextHopId, NextHop>,
    desired: &BTreeMap<NextHopId, NextHop>,
) -> Vec<Change> {
    maps(observed, desired, |_, from, to| from == to).map(Change::NextHop).collect()
}

/// Returns what is left of a state when links upset it, and the steps that take the rest out of use before.
pub(super) fn without(observed: &State, upset: &Upset) -> (State, Vec<Change>) {
    let mut without = observed.clone();
    let mut gone = Vec::new();
    without.settings.retain(|setting, value| {
        let stays = setting.device().is_none_or(|device| !upset.has_device(device));
        if !stays {
            gone.push(Change::Setting(Edit { key: setting.clone(), from: Some(*value), to: None }));
        }
        stays
    });
    gone.extend(lose_next_hops(&mut without, upset));
    let next_hops = &without.next_hops;
    without.routes.retain(|key, route| {
        let is_grouped = route.action.group().is_none_or(|group| next_hops.contains_key(&group));
        let stays = is_grouped && !upset.has_route(route);
        if !stays {
            gone.push(Change::Route(Edit { key: *key, from: Some(route.clone()), to: None }));
        }
        stays
    });
    (without, gone)
}

/// Takes the ways over upset devices out of a state, and out of its groups.
fn lose_next_hops(state: &mut State, upset: &Upset) -> Vec<Change> {
    let before = state.next_hops.clone();
    let is_lost = |object: &NextHop| object.way().is_some_and(|way| upset.has_device(&way.device));
    let lost: BTreeSet<NextHopId> =
        before.iter().filter(|(_, object)| is_lost(object)).map(|(id, _)| *id).collect();
    state.next_hops.retain(|id, object| match &mut object.target {
        NextHopTarget::Way(_) => !lost.contains(id),
        NextHopTarget::Group(group) => group.without(&lost).map(|rest| *group = rest).is_some(),
    });
    maps(&before, &state.next_hops, |_, from, to| from == to).map(Change::NextHop).collect()
}

fn settings<'a>(
    observed: &'a BTreeMap<Setting, SettingValue>,
    desired: &'a BTreeMap<Setting, SettingValue>,
) -> impl Iterator<Item = Change> + 'a {
    maps(observed, desired, |key, from, to| key.is_met(*from, *to)).map(Change::Setting)
}

fn maps<'a, K: Ord + Clone, V: Clone>(
    observed: &'a BTreeMap<K, V>,
    desired: &'a BTreeMap<K, V>,
    is_met: impl Fn(&K, &V, &V) -> bool + 'a,
) -> impl Iterator<Item = Edit<K, V>> + 'a {
    let gone = observed.iter().filter(|(key, _)| !desired.contains_key(*key)).map(|(key, value)| Edit {
        key: key.clone(),
        from: Some(value.clone()),
        to: None,
    });
    let wanted = desired.iter().filter_map(move |(key, value)| {
        let from = observed.get(key);
        let met = from.is_some_and(|from| is_met(key, from, value));
        (!met).then(|| Edit { key: key.clone(), from: from.cloned(), to: Some(value.clone()) })
    });
    gone.chain(wanted)
}

fn sets<'a, K: Ord + Clone>(
    observed: &'a BTreeSet<K>,
    desired: &'a BTreeSet<K>,
) -> impl Iterator<Item = Edit<K, ()>> + 'a {
    let gone = observed.difference(desired).map(|key| Edit { key: key.clone(), from: Some(()), to: None });
    let wanted = desired.difference(observed).map(|key| Edit { key: key.clone(), from: None, to: Some(()) });
    gone.chain(wanted)
}
