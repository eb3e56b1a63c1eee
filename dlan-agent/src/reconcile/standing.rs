//! Which groups the learned prefixes stand by: what it takes to have them lead other ways without a look at each of them.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ospf_lite::ids::Family;

use crate::learned::{Bundle, Learned};
use crate::next_hops::{self, Alike, Make};
use crate::state::State;
use crate::state::next_hop::{NextHop, NextHopId};
use crate::state::route::{METRIC_LEARNED, RouteKey};
use crate::zones::FarZones;

/// So many prefixes may come, go or be announced by others, and each is looked at alone.
const CHANGED_MAX: usize = 64;

/// The learned prefixes as they were brought about.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    routes: Learned,
    groups: Groups,
    zones: FarZones,
    table: u32,
}

/// How many prefixes of each bundle stand by which group; by none where they lead nowhere, and where the kernel has dropped it
/// with their routes.
type Groups = BTreeMap<(Bundle, Option<NextHopId>), usize>;

/// Other ways for all groups.
#[derive(Debug)]
pub(super) struct Moved {
    /// The objects to have.
    pub objects: BTreeMap<NextHopId, NextHop>,
    /// The ways that take over for each group.
    pub alternates: BTreeMap<NextHopId, BTreeSet<NextHopId>>,
    /// The prefixes that stand by another group than before, or come, or go.
    pub changed: Vec<(RouteKey, Option<NextHopId>)>,
    /// How they stand then.
    pub standing: Standing,
}

/// A prefix that came, went or is in another bundle.
#[derive(Debug)]
struct Changed {
    key: RouteKey,
    /// The bundle that it is in now.
    bundle: Option<Bundle>,
    /// The one that it was in.
    before: Option<Bundle>,
    /// The group that it stands by.
    group: Option<NextHopId>,
}

/// What is assigned to the bundles, and to each changed prefix.
#[derive(Debug)]
struct Assigned {
    objects: BTreeMap<NextHopId, NextHop>,
    bundles: Vec<Option<NextHopId>>,
    changed: Vec<Option<NextHopId>>,
}

impl Standing {
    /// Notes how the routes of a state lead these ways; nothing where one of them does not stand.
    pub fn of(routes: &Learned, zones: &FarZones, state: &State, table: u32) -> Option<Self> {
        let mut groups = Groups::new();
        for (prefix, bundle) in routes.places() {
            let group = match routes.ways_of(bundle) {
                Some(_) => Some(state.routes.get(&key(table, prefix))?.action.group()?),
                None => None,
            };
            *groups.entry((bundle, group)).or_default() += 1;
        }
        // Filled one by one a map is half empty, made of all at once it is full.
        let groups = groups.into_iter().collect();
        Some(Self { routes: routes.clone(), groups, zones: zones.clone(), table })
    }

    /// Takes that only these objects are left, and no route by a group that is not.
    pub fn handle_dropped(&mut self, objects: &BTreeMap<NextHopId, NextHop>) {
        let mut left = Groups::new();
        for ((bundle, group), count) in std::mem::take(&mut self.groups) {
            let group = group.filter(|group| objects.contains_key(group));
            *left.entry((bundle, group)).or_default() += count;
        }
        self.groups = left;
    }

    /// Returns what the groups have to be for the prefixes to lead these ways, as they stand in `known`, and which prefixes
    /// have to stand by others: only these are looked at. Nothing where many prefixes came or went.
    pub fn moved(&self, routes: &Learned, zones: &FarZones, make: Make, known: &State) -> Option<Moved> {
        let apart = Some(routes.apart(&self.routes)).filter(|apart| apart.len() <= CHANGED_MAX)?;
        if *zones != self.zones {
            return None;
        }
        let group = |key: &RouteKey| known.routes.get(key).and_then(|route| route.action.group());
        let changed = |(family, prefix): (Family, &IpNet)| {
            let key = key(self.table, prefix);
            let (bundle, before) = (routes.place(family, prefix), self.routes.place(family, prefix));
            Changed { key, bundle, before, group: group(&key) }
        };
        let changed: Vec<Changed> = apart.into_iter().map(changed).collect();
        let before = self.without(&changed)?;
        let assigned = Self::assign((routes, make), (&before, &changed), &known.next_hops)?;
        let (mut groups, mut leaving) = (Groups::new(), BTreeMap::new());
        for (((bundle, from), count), to) in before.iter().zip(&assigned.bundles) {
            *groups.entry((*bundle, *to)).or_default() += count;
            if from != to {
                leaving.insert((*bundle, *from), *to);
            }
        }
        let mut moved = Vec::new();
        let told_apart: BTreeSet<RouteKey> = changed.iter().map(|one| one.key).collect();
        let bundles: BTreeSet<Bundle> = leaving.keys().map(|(bundle, _)| *bundle).collect();
        for (prefix, bundle) in routes.prefixes_of(&bundles) {
            let key = key(self.table, prefix);
            if let Some(to) = leaving.get(&(bundle, group(&key))).filter(|_| !told_apart.contains(&key)) {
                moved.push((key, *to));
            }
        }
        for (one, to) in changed.into_iter().zip(assigned.changed) {
            if let Some(bundle) = one.bundle {
                *groups.entry((bundle, to)).or_default() += 1;
            }
            if one.group != to {
                moved.push((one.key, to));
            }
        }
        let alternates = alternates(&groups, routes, &assigned.objects);
        let standing = Self { routes: routes.clone(), groups, ..self.clone() };
        Some(Moved { objects: assigned.objects, alternates, changed: moved, standing })
    }

    /// Returns whether a learned prefix led anywhere: its route stood, though the kernel may have dropped it since.
    pub fn leads(&self, key: &RouteKey) -> bool {
        key.is_learned() && self.routes.get(&key.prefix).is_some()
    }

    /// Returns how the others stand.
    fn without(&self, changed: &[Changed]) -> Option<Groups> {
        let mut groups = self.groups.clone();
        for one in changed {
            let Some(before) = one.before else { continue };
            let count = groups.get_mut(&(before, one.group))?;
            *count -= 1;
            if *count == 0 {
                groups.remove(&(before, one.group));
            }
        }
        Some(groups)
    }

    /// Assigns objects to bundles and to changed prefixes, none to those that lead nowhere; nothing where that cannot be done.
    fn assign(
        (routes, make): (&Learned, Make),
        (groups, changed): (&Groups, &[Changed]),
        standing: &BTreeMap<NextHopId, NextHop>,
    ) -> Option<Assigned> {
        let can_move = |group: &NextHopId| {
            let object = standing.get(group).filter(|object| object.protocol == make.protocol);
            object.and_then(NextHop::group).is_some_and(|group| group.buckets == make.buckets())
        };
        let alike = |bundle: Bundle, group: Option<NextHopId>, count: usize| {
            let ways = routes.ways_of(bundle)?;
            Some(Alike { ways, stands: group.filter(can_move), routes: count })
        };
        let of_bundles = groups.iter().map(|((bundle, group), count)| alike(*bundle, *group, *count));
        let of_changed = changed.iter().map(|one| alike(one.bundle?, one.group, 1));
        let leading: Vec<Option<Alike<'_>>> = of_bundles.chain(of_changed).collect();
        let wanted: Vec<Alike<'_>> = leading.iter().flatten().copied().collect();
        let (objects, assigned) = next_hops::assign_alike(make, &wanted, standing);
        if assigned.len() != wanted.len() {
            return None;
        }
        let mut assigned = assigned.into_iter();
        let mut bundles: Vec<Option<NextHopId>> =
            leading.iter().map(|alike| alike.as_ref().and_then(|_| assigned.next())).collect();
        let changed = bundles.split_off(groups.len());
        Some(Assigned { objects, bundles, changed })
    }
}

/// Returns the ways that take over for each group.
fn alternates(
    groups: &Groups,
    routes: &Learned,
    objects: &BTreeMap<NextHopId, NextHop>,
) -> BTreeMap<NextHopId, BTreeSet<NextHopId>> {
    let ways = next_hops::ways_of(objects);
    let of = |(bundle, group): &(Bundle, Option<NextHopId>)| {
        let alternates = &routes.ways_of(*bundle)?.alternates;
        Some(((*group)?, alternates.iter().filter_map(|hop| ways.get(hop).copied()).collect()))
    };
    groups.keys().filter_map(of).collect()
}

const fn key(table: u32, prefix: &IpNet) -> RouteKey {
    RouteKey { table, prefix: *prefix, metric: METRIC_LEARNED }
}
