//! State against state: what differs, in no order yet.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Edit};
use super::upset::Upset;
use crate::state::State;
use crate::state::route::{Route, RouteKey};
use crate::state::setting::{Setting, SettingValue};

/// Returns what has to be done to `observed` so that it becomes `desired`.
pub fn diff(observed: &State, desired: &State) -> Vec<Change> {
    let mut changes: Vec<Change> =
        vxlan::diff::diff(&observed.links, &desired.links).into_iter().map(Change::Link).collect();
    changes.extend(sets(&observed.addresses, &desired.addresses).map(Change::Address));
    changes.extend(routes(&observed.routes, &desired.routes));
    changes.extend(sets(&observed.rules, &desired.rules).map(Change::Rule));
    changes.extend(settings(&observed.settings, &desired.settings));
    if observed.ruleset != desired.ruleset {
        changes.push(Change::Ruleset(Edit {
            key: (),
            from: observed.ruleset.clone(),
            to: desired.ruleset.clone(),
        }));
    }
    changes.extend(maps(&observed.files, &desired.files, |_, from, to| from == to).map(Change::File));
    changes
}

/// Returns what has to be done to the routes.
pub fn routes(observed: &BTreeMap<RouteKey, Route>, desired: &BTreeMap<RouteKey, Route>) -> Vec<Change> {
    maps(observed, desired, |_, from, to| from == to).map(Change::Route).collect()
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
    without.routes.retain(|key, route| {
        let stays = !upset.has_route(route);
        if !stays {
            gone.push(Change::Route(Edit { key: *key, from: Some(route.clone()), to: None }));
        }
        stays
    });
    (without, gone)
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
