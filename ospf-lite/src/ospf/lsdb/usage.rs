//! How much there is in the database, in all and of each part: every part may have only so much.

use super::key::{Domain, LsdbKey};
use crate::ids::{InterfaceId, RouterId};
use crate::ospf::shared::SharedMap;

/// Of what the database holds only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A link's own LSAs.
    Link(InterfaceId),
    /// What a router originates for the area or the AS.
    Router(RouterId),
}

impl Part {
    const fn of(key: &LsdbKey) -> Self {
        match key.domain {
            Domain::Link(id) => Self::Link(id),
            Domain::Area | Domain::As => Self::Router(key.lsa.advertising_router),
        }
    }
}

/// How much there is in the database.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    pub(super) octets: usize,
    /// No part is listed that has none.
    lsas: SharedMap<Part, u32>,
}

impl Usage {
    pub(super) const fn new() -> Self {
        Self { octets: 0, lsas: SharedMap::new() }
    }

    /// Returns how many LSAs there are of the part that `key` belongs to.
    pub(super) fn beside(&self, key: &LsdbKey) -> usize {
        self.lsas.get(&Part::of(key)).and_then(|lsas| usize::try_from(*lsas).ok()).unwrap_or_default()
    }

    pub(super) fn count(&mut self, key: &LsdbKey) {
        let part = Part::of(key);
        match self.lsas.get_mut(&part) {
            Some(lsas) => *lsas += 1,
            None => _ = self.lsas.insert(part, 1),
        }
    }

    pub(super) fn discount(&mut self, key: &LsdbKey) {
        let part = Part::of(key);
        if let Some(lsas) = self.lsas.get_mut(&part) {
            *lsas -= 1;
            if *lsas == 0 {
                self.lsas.remove(&part);
            }
        }
    }
}
