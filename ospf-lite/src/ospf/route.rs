//! The route table: the best way to every prefix. Prefixes that are announced alike share a route, and copies of the table
//! share what has not changed since.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::io::Route;
use crate::ospf::shared::SharedMap;

/// What a route is known by that several prefixes may have in common. It stays theirs for as long as they are announced
/// alike, however the route changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u32);

/// The best way to each prefix, in order.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    /// Every prefix that is announced, whether there is a way to it or not.
    places: Arc<SharedMap<IpNet, RouteId>>,
    /// The ways that there are.
    routes: SharedMap<RouteId, Arc<Route>>,
    /// How many prefixes there are ways to.
    len: usize,
}

impl RouteTable {
    /// Returns the route to a prefix.
    pub fn get(&self, prefix: &IpNet) -> Option<&Route> {
        self.route(*self.places.get(prefix)?).map(|route| &**route)
    }

    /// Returns whether there is a route to a prefix.
    pub fn contains_key(&self, prefix: &IpNet) -> bool {
        self.get(prefix).is_some()
    }

    /// Returns all routes by their prefixes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&IpNet, &Route)> {
        self.places.iter().filter_map(|(prefix, id)| Some((prefix, &**self.route(*id)?)))
    }

    /// Returns every prefix that there is a route to, in order.
    pub fn keys(&self) -> impl Iterator<Item = &IpNet> {
        self.iter().map(|(prefix, _)| prefix)
    }

    /// Returns the route of each prefix, in the prefixes' order.
    pub fn values(&self) -> impl Iterator<Item = &Route> {
        self.iter().map(|(_, route)| route)
    }

    /// Returns how many prefixes there are routes to.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns which route each announced prefix has, if any. It is the same value until a prefix comes, goes or is
    /// announced by others: as long as it is, only [`RouteTable::routes`] can differ.
    pub const fn places(&self) -> &Arc<SharedMap<IpNet, RouteId>> {
        &self.places
    }

    /// Returns every route once, however many prefixes have it.
    pub fn routes(&self) -> impl Iterator<Item = (RouteId, &Arc<Route>)> {
        self.routes.iter().map(|(id, route)| (*id, route))
    }

    /// Returns whether the same prefixes have routes, whichever these are, as far as that shows without a look at each prefix.
    pub fn has_keys_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.places, &other.places)
            && self.routes().map(|(id, _)| id).eq(other.routes().map(|(id, _)| id))
    }

    /// Returns every prefix that there is a route to in one of two tables and not in the other, and perhaps some more: without a
    /// look at those that both have in common, but where a route came or went.
    pub fn keys_apart(&self, other: &Self) -> BTreeSet<IpNet> {
        let same = Arc::ptr_eq(&self.places, &other.places);
        let apart = if same { Vec::new() } else { self.places.apart(&other.places) };
        let mut apart: BTreeSet<IpNet> = apart.into_iter().copied().collect();
        for (one, other) in [(self, other), (other, self)] {
            let ids = one.routes().map(|(id, _)| id).filter(|id| other.route(*id).is_none());
            let alone: BTreeSet<RouteId> = ids.collect();
            if !alone.is_empty() {
                let places = one.places.iter().filter(|(_, id)| alone.contains(id));
                apart.extend(places.map(|(prefix, _)| *prefix));
            }
        }
        apart
    }

    pub(super) fn route(&self, id: RouteId) -> Option<&Arc<Route>> {
        self.routes.get(&id)
    }

    pub(super) fn place(&self, prefix: &IpNet) -> Option<RouteId> {
        self.places.get(prefix).copied()
    }

    /// Gives a prefix another route, or none at all.
    pub(super) fn set_place(&mut self, prefix: IpNet, id: Option<RouteId>) {
        let before = self.place(&prefix);
        if before == id {
            return;
        }
        let has_route = |id: Option<RouteId>| usize::from(id.is_some_and(|id| self.route(id).is_some()));
        self.len = self.len + has_route(id) - has_route(before);
        let places = Arc::make_mut(&mut self.places);
        match id {
            Some(id) => _ = places.insert(prefix, id),
            None => _ = places.remove(&prefix),
        }
    }

    /// Gives so many prefixes a route in place of the one that they had.
    pub(super) fn set_route(&mut self, id: RouteId, route: Option<Arc<Route>>, prefixes: usize) {
        let is_there = route.is_some();
        let before = match route {
            Some(route) => self.routes.insert(id, route),
            None => self.routes.remove(&id),
        };
        match (before.is_some(), is_there) {
            (false, true) => self.len += prefixes,
            (true, false) => self.len -= prefixes,
            (true, true) | (false, false) => {}
        }
    }
}

impl FromIterator<(IpNet, Route)> for RouteTable {
    /// Gives each prefix a route of its own.
    fn from_iter<I: IntoIterator<Item = (IpNet, Route)>>(all: I) -> Self {
        let mut table = Self::default();
        for (id, (prefix, route)) in (0..).map(RouteId).zip(all) {
            table.set_place(prefix, Some(id));
            table.set_route(id, Some(Arc::new(route)), 1);
        }
        table
    }
}

impl PartialEq for RouteTable {
    /// Whether the routes to all prefixes are the same, whichever of them share one.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for RouteTable {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::Distance;
    use crate::io::{HopList, PathKind};

    fn table(places: &[(u8, u32)], routed: &[u32]) -> RouteTable {
        let route = Route {
            kind: PathKind::IntraArea,
            distance: Distance(1),
            external_metric: 0,
            advertising: std::iter::empty().collect(),
            next_hops: HopList::default(),
            alternates: HopList::default(),
        };
        let mut table = RouteTable::default();
        for (number, id) in places {
            let prefix = IpNet::new([10, 0, *number, 0].into(), 24).unwrap();
            table.set_place(prefix, Some(RouteId(*id)));
        }
        for id in routed {
            let prefixes = table.places.iter().filter(|(_, of)| of.0 == *id).count();
            table.set_route(RouteId(*id), Some(Arc::new(route.clone())), prefixes);
        }
        table
    }

    proptest! {
        #[test]
        fn every_prefix_that_only_one_of_two_tables_has_a_route_to_is_apart(
            places in prop::collection::vec((0_u8..12, 0_u32..4), 0..16),
            changes in prop::collection::vec((0_u8..12, 0_u32..4), 0..3),
            routed in [prop::collection::vec(0_u32..4, 0..4), prop::collection::vec(0_u32..4, 0..4)],
        ) {
            let one = table(&places, &routed[0]);
            let other = table(&[places, changes].concat(), &routed[1]);
            let (ones, others): (BTreeSet<_>, BTreeSet<_>) = (one.keys().collect(), other.keys().collect());
            let apart = one.keys_apart(&other);
            prop_assert!(ones.symmetric_difference(&others).all(|prefix| apart.contains(*prefix)));
            prop_assert!(one.keys_apart(&one.clone()).is_empty());
        }
    }
}
