//! Which kernel objects stand for the ways of the learned routes, so that a lost neighbor is one change however many routes
//! lead by it, and so that little changes from what stands; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vxlan::link::LinkName;

use crate::learned::Learned;
use crate::state::State;
use crate::state::next_hop::{Group, NextHop, NextHopId, NextHopTarget};
use crate::state::route::{RouteHop, RouteKey};

/// Where a learned route leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ways {
    /// The ways, used side by side.
    pub hops: BTreeSet<RouteHop>,
    /// What takes over at once when the only way is lost, side by side.
    pub alternates: BTreeSet<RouteHop>,
}

/// Returns those ways that lead over devices of which `is_there` says so: the same, where that is all of them.
pub fn over(ways: &Arc<Ways>, is_there: impl Fn(&LinkName) -> bool) -> Arc<Ways> {
    reduced(ways, is_there).unwrap_or_else(|| Arc::clone(ways))
}

/// Returns those ways that lead over devices of which `is_there` says so, unless that is all of them.
pub fn reduced(ways: &Arc<Ways>, is_there: impl Fn(&LinkName) -> bool) -> Option<Arc<Ways>> {
    if ways.hops.iter().chain(&ways.alternates).all(|hop| is_there(&hop.device)) {
        return None;
    }
    let those = |of: &BTreeSet<RouteHop>| of.iter().filter(|hop| is_there(&hop.device)).cloned().collect();
    Some(Arc::new(Ways { hops: those(&ways.hops), alternates: those(&ways.alternates) }))
}

/// The objects to have, and which group each route refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assigned {
    /// Ways and groups.
    pub objects: BTreeMap<NextHopId, NextHop>,
    /// The group of each route, in the order in which these were given.
    pub groups: Vec<(RouteKey, NextHopId)>,
}

/// So many groups may have the same ways: routes that come to lead alike by a loss part again when the link returns, and need not
/// leave their groups then either.
const KEPT_MAX: usize = 4;
/// Beyond them, one with at most so many routes gives them to a larger one, so that groups do not pile up.
const MERGED_MAX: usize = 64;

/// What all objects have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Make {
    /// The protocol number they carry.
    pub protocol: u8,
    /// Whether the kernel has groups that can have standbys.
    pub has_standbys: bool,
}

/// Assigns objects to routes.
///
/// Routes with the same ways and the same alternates share a group. A standing group stays with most of its routes and is
/// given their ways in place; the others move to another one. So when all routes of a group get other ways, which is what
/// the loss of a neighbor comes to, the group changes and no route does.
pub fn assign(make: Make, wanted: &[(RouteKey, Arc<Ways>)], standing: &State) -> Assigned {
    let stands = |key: &RouteKey| group_of(key, (make, standing));
    let mut alike: BTreeMap<(&Ways, Option<NextHopId>), usize> = BTreeMap::new();
    for (key, ways) in wanted {
        *alike.entry((ways, stands(key))).or_default() += 1;
    }
    let alike: Vec<Alike<'_>> =
        alike.into_iter().map(|((ways, stands), routes)| Alike { ways, stands, routes }).collect();
    let (objects, groups) = assign_alike(make, &alike, &standing.next_hops);
    let by_alike: BTreeMap<(&Ways, Option<NextHopId>), NextHopId> =
        alike.iter().zip(groups).map(|(alike, group)| ((alike.ways, alike.stands), group)).collect();
    let group = |(key, ways): &(RouteKey, Arc<Ways>)| Some((*key, *by_alike.get(&(&**ways, stands(key)))?));
    Assigned { objects, groups: wanted.iter().filter_map(group).collect() }
}

/// Routes with the same ways that stand by the same group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alike<'a> {
    /// The ways that they are to lead.
    pub ways: &'a Ways,
    /// The group that they stand by, if it can be given other ways in place.
    pub stands: Option<NextHopId>,
    /// How many they are.
    pub routes: usize,
}

/// Does the same as [`assign`] without a look at each route: returns the objects, and the group of each of `wanted`. The
/// objects that stand are `standing`.
pub fn assign_alike(
    make: Make,
    wanted: &[Alike<'_>],
    standing: &BTreeMap<NextHopId, NextHop>,
) -> (BTreeMap<NextHopId, NextHop>, Vec<NextHopId>) {
    let ids = Ids { standing, next: NextHopId::FIRST };
    let (ways, objects, claimed) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut assigning = Assigning { make, ids, ways, claimed, objects };
    let mut classes: BTreeMap<&Ways, Vec<(Option<NextHopId>, usize)>> = BTreeMap::new();
    for alike in wanted {
        classes.entry(alike.ways).or_default().push((alike.stands, alike.routes));
    }
    for ways in classes.keys() {
        for hop in ways.hops.iter().chain(&ways.alternates) {
            assigning.enter_way(hop);
        }
    }
    let claims = Claims::of(&classes);
    assigning.claimed = claims.owners.keys().copied().collect();
    let mut groups = BTreeMap::new();
    for (place, (ways, standing_by)) in classes.iter().enumerate() {
        let owned = claims.owned_by(place, &assigning.group(ways), standing);
        for (stands, group) in assigning.enter_class(ways, standing_by, owned) {
            groups.insert((*ways, stands), group);
        }
    }
    let groups = wanted.iter().filter_map(|alike| groups.get(&(alike.ways, alike.stands)).copied());
    (std::mem::take(&mut assigning.objects), groups.collect())
}

/// Returns the alternates of each group: ways that stand beside it.
pub fn alternates(state: &State, routes: &Learned) -> BTreeMap<NextHopId, BTreeSet<NextHopId>> {
    let ways = ways_of(&state.next_hops);
    let mut alternates = BTreeMap::new();
    for (key, route) in state.routes.iter().filter(|(key, _)| key.is_learned()) {
        if let (Some(group), Some(of)) = (route.action.group(), routes.get(&key.prefix)) {
            alternates
                .entry(group)
                .or_insert_with(|| of.alternates.iter().filter_map(|hop| ways.get(hop).copied()).collect());
        }
    }
    alternates
}

/// Returns the object of each way.
pub fn ways_of(objects: &BTreeMap<NextHopId, NextHop>) -> BTreeMap<&RouteHop, NextHopId> {
    objects.iter().filter_map(|(id, object)| Some((object.way()?, *id))).collect()
}

/// Numbers that nothing of ours has.
struct Ids<'a> {
    standing: &'a BTreeMap<NextHopId, NextHop>,
    next: NextHopId,
}

impl Ids<'_> {
    fn take(&mut self) -> NextHopId {
        while self.standing.contains_key(&self.next) {
            self.next.0 = self.next.0.wrapping_add(1);
        }
        let taken = self.next;
        self.next.0 = self.next.0.wrapping_add(1);
        taken
    }
}

/// Which standing groups each class of routes keeps.
struct Claims {
    /// By group: the class with most of its routes, how many, and whether others lead by it too.
    owners: BTreeMap<NextHopId, (usize, usize, bool)>,
}

/// A standing group that a class keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owned {
    group: NextHopId,
    routes: usize,
    /// Whether routes of other classes must leave it before it changes: until then no route may come.
    is_late: bool,
}

impl Claims {
    fn of(classes: &BTreeMap<&Ways, Vec<(Option<NextHopId>, usize)>>) -> Self {
        let mut counts: BTreeMap<NextHopId, BTreeMap<usize, usize>> = BTreeMap::new();
        for (place, standing_by) in classes.values().enumerate() {
            for (group, routes) in standing_by.iter().filter_map(|(group, routes)| Some(((*group)?, routes)))
            {
                *counts.entry(group).or_default().entry(place).or_default() += routes;
            }
        }
        let owner = |places: &BTreeMap<usize, usize>| {
            let (place, routes) =
                places.iter().max_by_key(|(place, routes)| (**routes, usize::MAX - **place))?;
            Some((*place, *routes, places.len() > 1))
        };
        Self { owners: counts.iter().filter_map(|(group, places)| Some((*group, owner(places)?))).collect() }
    }

    /// Returns the groups that a class keeps, the one that further routes join first.
    fn owned_by(&self, place: usize, wanted: &Group, standing: &BTreeMap<NextHopId, NextHop>) -> Vec<Owned> {
        let owned = self.owners.iter().filter(|(_, (owner, ..))| *owner == place);
        let mut owned: Vec<Owned> = owned
            .map(|(group, (_, routes, is_shared))| {
                let stands = standing.get(group).and_then(NextHop::group);
                Owned { group: *group, routes: *routes, is_late: *is_shared && stands != Some(wanted) }
            })
            .collect();
        owned.sort_by_key(|owned| (owned.is_late, usize::MAX - owned.routes, owned.group));
        let is_kept = |(at, owned): &(usize, Owned)| *at < KEPT_MAX || owned.routes > MERGED_MAX;
        owned.into_iter().enumerate().filter(is_kept).map(|(_, owned)| owned).collect()
    }
}

/// Returns the group by which a route stands, if it can be given other ways in place: one of another kind, as another
/// version of the agent or the kernel before left it, cannot.
fn group_of(key: &RouteKey, (make, standing): (Make, &State)) -> Option<NextHopId> {
    let group = standing.routes.get(key)?.action.group()?;
    let object = standing.next_hops.get(&group)?;
    let is_same = object.protocol == make.protocol && object.group()?.buckets == make.buckets();
    is_same.then_some(group)
}

impl Make {
    /// Returns among how many buckets the ways of a group share.
    pub const fn buckets(self) -> u16 {
        if self.has_standbys { Group::BUCKETS } else { 0 }
    }
}

struct Assigning<'a> {
    make: Make,
    ids: Ids<'a>,
    ways: BTreeMap<RouteHop, NextHopId>,
    /// The groups that some route stands by.
    claimed: BTreeSet<NextHopId>,
    /// The objects to have.
    objects: BTreeMap<NextHopId, NextHop>,
}

impl Assigning<'_> {
    fn enter_way(&mut self, hop: &RouteHop) {
        if self.ways.contains_key(hop) {
            return;
        }
        let object = NextHop { protocol: self.make.protocol, target: NextHopTarget::Way(hop.clone()) };
        let mut standing = self.ids.standing.iter();
        let stands = standing.find(|(_, stands)| **stands == object).map(|(id, _)| *id);
        let id = stands.unwrap_or_else(|| self.ids.take());
        self.ways.insert(hop.clone(), id);
        self.objects.insert(id, object);
    }

    fn group(&self, ways: &Ways) -> Group {
        let id = |hop: &RouteHop| self.ways.get(hop).copied();
        let standbys = ways.alternates.difference(&ways.hops).filter(|_| self.make.has_standbys);
        Group {
            ways: ways.hops.iter().filter_map(id).collect(),
            standbys: standbys.filter_map(id).collect(),
            buckets: self.make.buckets(),
        }
    }

    /// Returns a standing group of these ways that no route has.
    fn idle(&self, wanted: &Group) -> Option<NextHopId> {
        let mut standing = self.ids.standing.iter();
        let is_idle = |id: &NextHopId| !self.claimed.contains(id) && !self.objects.contains_key(id);
        let is_same =
            |object: &NextHop| object.protocol == self.make.protocol && object.group() == Some(wanted);
        standing.find(|(id, object)| is_idle(id) && is_same(object)).map(|(id, _)| *id)
    }

    /// Returns the group for those of the routes with these ways that stand by each.
    fn enter_class(
        &mut self,
        ways: &Ways,
        standing_by: &[(Option<NextHopId>, usize)],
        owned: Vec<Owned>,
    ) -> Vec<(Option<NextHopId>, NextHopId)> {
        let mut home = owned.first().filter(|first| !first.is_late).map(|first| first.group);
        let wanted = self.group(ways);
        let mut groups = Vec::new();
        for (stands, _) in standing_by {
            let kept = owned.iter().find(|owned| Some(owned.group) == *stands).map(|owned| owned.group);
            let group = kept.or(home).or_else(|| self.idle(&wanted)).unwrap_or_else(|| self.ids.take());
            if kept.is_none() {
                home = Some(group);
            }
            groups.push((*stands, group));
            let target = || NextHopTarget::Group(wanted.clone());
            let object = || NextHop { protocol: self.make.protocol, target: target() };
            self.objects.entry(group).or_insert_with(object);
        }
        groups
    }
}
