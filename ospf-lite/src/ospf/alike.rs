//! Prefixes that are announced alike: by the same routers, in the same way, at the same metric. One route is worked out for
//! all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::RouterId;
use crate::ospf::announced::Offer;
use crate::ospf::route::RouteId;
use crate::ospf::shared::SharedMap;

/// What is announced of prefixes, each set of offers once.
#[derive(Debug, Default)]
pub struct Alike {
    sets: Vec<Set>,
    /// Where each is.
    known: SharedMap<Arc<[Offer]>, RouteId>,
    /// The sets that a router has a part in.
    of_router: SharedMap<(RouterId, RouteId), ()>,
    /// Those that depend on the way to other prefixes.
    forwarded: BTreeSet<RouteId>,
    /// Those without a prefix: they may get one again before the change is over.
    left: BTreeSet<RouteId>,
    free: Vec<RouteId>,
}

/// The offers of some prefixes, in order.
#[derive(Debug)]
struct Set {
    offers: Arc<[Offer]>,
    prefixes: usize,
}

impl Alike {
    /// Makes one that knows of no prefix.
    pub const fn new() -> Self {
        Self {
            sets: Vec::new(),
            known: SharedMap::new(),
            of_router: SharedMap::new(),
            forwarded: BTreeSet::new(),
            left: BTreeSet::new(),
            free: Vec::new(),
        }
    }

    /// Returns the offers of prefixes, in order.
    pub fn offers(&self, id: RouteId) -> &[Offer] {
        self.set(id).map(|set| &*set.offers).unwrap_or_default()
    }

    /// Returns how many prefixes have these offers.
    pub fn prefixes(&self, id: RouteId) -> usize {
        self.set(id).map_or(0, |set| set.prefixes)
    }

    /// Returns every set of offers that some prefix has.
    pub fn all(&self) -> impl Iterator<Item = RouteId> {
        let ids = (0..).map(RouteId).zip(&self.sets);
        ids.filter(|(_, set)| set.prefixes > 0).map(|(id, _)| id)
    }

    /// Returns the sets that a router has a part in.
    pub fn of_router(&self, router: RouterId) -> impl Iterator<Item = RouteId> {
        let from = self.of_router.from(&(router, RouteId(0))).map(|(part, ())| *part);
        from.take_while(move |(of, _)| *of == router).map(|(_, id)| id)
    }

    /// Returns the sets that depend on the way to other prefixes.
    pub fn forwarded(&self) -> impl Iterator<Item = RouteId> {
        self.forwarded.iter().copied()
    }

    /// Takes in that one more prefix has these offers, which are in order.
    pub fn join(&mut self, offers: Vec<Offer>) -> RouteId {
        if let Some(id) = self.known.get(offers.as_slice()).copied() {
            self.left.remove(&id);
            self.count(id, 1);
            return id;
        }
        let set = Set { offers: offers.into(), prefixes: 1 };
        let end = RouteId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        let id = self.free.pop().unwrap_or(end);
        for offer in set.offers.iter() {
            self.of_router.insert((offer.router, id), ());
        }
        if set.offers.iter().any(Offer::is_forwarded) {
            self.forwarded.insert(id);
        }
        self.known.insert(Arc::clone(&set.offers), id);
        match self.set_mut(id) {
            Some(place) => *place = set,
            None => self.sets.push(set),
        }
        id
    }

    /// Takes in that one prefix less has these offers.
    pub fn leave(&mut self, id: RouteId) {
        if self.count(id, -1) == 0 {
            self.left.insert(id);
        }
    }

    /// Forgets the sets that no prefix has, and returns which they were: later ones may be known by the same.
    pub fn sweep(&mut self) -> BTreeSet<RouteId> {
        let left = std::mem::take(&mut self.left);
        for id in &left {
            let Some(set) = self.set_mut(*id) else { continue };
            let offers = std::mem::take(&mut set.offers);
            self.known.remove(&offers);
            self.forwarded.remove(id);
            for offer in offers.iter() {
                self.of_router.remove(&(offer.router, *id));
            }
            self.free.push(*id);
        }
        left
    }

    fn set(&self, id: RouteId) -> Option<&Set> {
        self.sets.get(usize::try_from(id.0).ok()?)
    }

    fn set_mut(&mut self, id: RouteId) -> Option<&mut Set> {
        self.sets.get_mut(usize::try_from(id.0).ok()?)
    }

    /// Counts prefixes and returns how many there are.
    fn count(&mut self, id: RouteId, change: isize) -> usize {
        self.set_mut(id).map_or(0, |set| {
            set.prefixes = set.prefixes.saturating_add_signed(change);
            set.prefixes
        })
    }
}
