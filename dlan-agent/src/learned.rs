//! Where learned prefixes lead. Prefixes that the engine has one route for share their ways: where only ways change, as with
//! a lost link, nothing is done for each prefix; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use ospf_lite::ids::Family;
use ospf_lite::ospf::route::RouteId;
use ospf_lite::ospf::shared::SharedMap;

use crate::next_hops::Ways;

/// Prefixes of one family that have their ways in common.
pub type Bundle = (Family, RouteId);

/// Which bundle each prefix of a family is in: the same value, until a prefix comes, goes or is put into another one.
pub type Places = Arc<SharedMap<IpNet, RouteId>>;

/// Where learned prefixes lead.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    ipv4: OfFamily,
    ipv6: OfFamily,
}

/// Where the prefixes of a family lead.
#[derive(Debug, Clone, Default)]
pub struct OfFamily {
    /// Which bundle each prefix is in.
    pub places: Places,
    /// The ways of each bundle that leads anywhere.
    pub ways: SharedMap<RouteId, Arc<Ways>>,
}

impl Learned {
    /// Returns those of a family.
    pub const fn of(&self, family: Family) -> &OfFamily {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// Returns those of a family, to change them.
    pub const fn of_mut(&mut self, family: Family) -> &mut OfFamily {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }

    fn families(&self) -> [(Family, &OfFamily); 2] {
        // In the order of prefixes.
        [(Family::Ipv4, &self.ipv4), (Family::Ipv6, &self.ipv6)]
    }

    /// Returns every prefix that leads anywhere, with its bundle and its ways, in order.
    pub fn placed(&self) -> impl Iterator<Item = (&IpNet, Bundle, &Arc<Ways>)> {
        self.families().into_iter().flat_map(|(family, of)| {
            of.places.iter().filter_map(move |(prefix, id)| Some((prefix, (family, *id), of.ways.get(id)?)))
        })
    }

    /// Returns every prefix that leads anywhere, with its ways, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&IpNet, &Arc<Ways>)> {
        self.placed().map(|(prefix, _, ways)| (prefix, ways))
    }

    /// Returns every prefix that leads anywhere, in order.
    pub fn keys(&self) -> impl Iterator<Item = &IpNet> {
        self.iter().map(|(prefix, _)| prefix)
    }

    /// Returns where a prefix leads.
    pub fn get(&self, prefix: &IpNet) -> Option<&Arc<Ways>> {
        self.families().into_iter().find_map(|(_, of)| of.ways.get(of.places.get(prefix)?))
    }

    /// Returns the ways of each bundle.
    pub fn ways(&self) -> impl Iterator<Item = (Bundle, &Arc<Ways>)> {
        let families = self.families().into_iter();
        families.flat_map(|(family, of)| of.ways.iter().map(move |(id, ways)| ((family, *id), ways)))
    }

    /// Gives bundles other ways, where there are any.
    pub fn replace_ways(&mut self, mut other: impl FnMut(&Arc<Ways>) -> Option<Arc<Ways>>) {
        for of in [&mut self.ipv4, &mut self.ipv6] {
            let others: Vec<(RouteId, Arc<Ways>)> =
                of.ways.iter().filter_map(|(id, ways)| Some((*id, other(ways)?))).collect();
            others.into_iter().for_each(|(id, ways)| _ = of.ways.insert(id, ways));
        }
    }

    /// Returns every prefix that leads anywhere and did not there, and perhaps others: all of them where a bundle leads
    /// anywhere that did not there.
    pub fn apart_from(&self, other: &Self) -> Vec<IpNet> {
        let leads = |(family, id): Bundle| other.of(family).ways.get(&id).is_some();
        if self.ways().all(|(bundle, _)| leads(bundle)) {
            let apart = self.apart(other).into_iter();
            apart
                .filter(|(family, prefix)| self.bundle(*family, prefix).is_some())
                .map(|(_, at)| *at)
                .collect()
        } else {
            self.keys().copied().collect()
        }
    }

    /// Returns the prefixes that are in another bundle there, or in none on one side: without a look at those that both have
    /// in common.
    pub fn apart<'a>(&'a self, other: &'a Self) -> Vec<(Family, &'a IpNet)> {
        let of = |(family, one): (Family, &'a OfFamily)| {
            let other = other.of(family);
            let same = Arc::ptr_eq(&one.places, &other.places);
            let apart = if same { Vec::new() } else { one.places.apart(&other.places) };
            apart.into_iter().map(move |prefix| (family, prefix))
        };
        self.families().into_iter().flat_map(of).collect()
    }

    /// Returns the prefixes in any of these bundles, with their bundle: a walk over all, but no more.
    pub fn prefixes_of<'a>(
        &'a self,
        bundles: &'a BTreeSet<Bundle>,
    ) -> impl Iterator<Item = (&'a IpNet, Bundle)> {
        let is_meant = |family| bundles.iter().any(|(of, _)| *of == family);
        let families = self.families().into_iter().filter(move |(family, _)| is_meant(*family));
        families.flat_map(move |(family, of)| {
            let places = of.places.iter().filter(move |(_, id)| bundles.contains(&(family, **id)));
            places.map(move |(prefix, id)| (prefix, (family, *id)))
        })
    }

    /// Returns every prefix with its bundle, whether that leads anywhere or not, in order.
    pub fn places(&self) -> impl Iterator<Item = (&IpNet, Bundle)> {
        let families = self.families().into_iter();
        families.flat_map(|(family, of)| of.places.iter().map(move |(prefix, id)| (prefix, (family, *id))))
    }

    /// Returns the bundle of a prefix, whether that leads anywhere or not.
    pub fn place(&self, family: Family, prefix: &IpNet) -> Option<Bundle> {
        self.of(family).places.get(prefix).map(|id| (family, *id))
    }

    /// Returns the bundle of a prefix that leads anywhere.
    pub fn bundle(&self, family: Family, prefix: &IpNet) -> Option<Bundle> {
        self.place(family, prefix).filter(|bundle| self.ways_of(*bundle).is_some())
    }

    /// Returns the ways of a bundle that leads anywhere.
    pub fn ways_of(&self, (family, id): Bundle) -> Option<&Arc<Ways>> {
        self.of(family).ways.get(&id).filter(|ways| !ways.hops.is_empty())
    }
}

impl PartialEq for Learned {
    /// Whether the same prefixes lead the same ways.
    fn eq(&self, other: &Self) -> bool {
        if self.apart(other).is_empty() { self.ways().eq(other.ways()) } else { self.iter().eq(other.iter()) }
    }
}

impl Eq for Learned {}

impl FromIterator<(IpNet, Arc<Ways>)> for Learned {
    /// Puts those into a bundle that have the same ways.
    fn from_iter<I: IntoIterator<Item = (IpNet, Arc<Ways>)>>(all: I) -> Self {
        let mut learned = Self::default();
        let mut known: BTreeMap<Arc<Ways>, RouteId> = BTreeMap::new();
        for (prefix, ways) in all {
            let family = if prefix.addr().is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
            let next = RouteId(u32::try_from(known.len()).unwrap_or(u32::MAX));
            let id = *known.entry(Arc::clone(&ways)).or_insert(next);
            let of = learned.of_mut(family);
            Arc::make_mut(&mut of.places).insert(prefix, id);
            of.ways.insert(id, ways);
        }
        learned
    }
}
