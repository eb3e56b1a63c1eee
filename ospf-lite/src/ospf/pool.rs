//! LSAs that several engines of one process have in common, held once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::ospf::lsa::{Lsa, LsaHeader, LsaKey, MAX_AGE, SequenceNumber};

/// How many instances there may be before those that nobody holds any more are taken out, at least.
const ROOM_MIN: usize = 4_096;

/// The instances by what tells them apart.
#[derive(Debug, Default)]
struct Instances {
    held: BTreeMap<(LsaKey, SequenceNumber, u16), Weak<Lsa>>,
    /// How many there may be before they are looked through.
    room: usize,
}

/// A pool of LSAs. It changes what engines take, not what they do; clones are the same pool.
#[derive(Debug, Clone, Default)]
pub struct LsaPool(Arc<Mutex<Instances>>);

impl LsaPool {
    /// Finds an instance by its header and its octets.
    pub fn find(&self, header: &LsaHeader, octets: &[u8]) -> Option<Arc<Lsa>> {
        let instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lsa = instances.held.get(&(header.key, header.sequence, header.checksum))?.upgrade()?;
        lsa.is(octets).then_some(lsa)
    }

    /// Puts an instance in for others to find. One that is being flushed is not kept.
    pub fn share(&self, lsa: &Arc<Lsa>) {
        if lsa.header().age >= MAX_AGE {
            return;
        }
        let mut instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if instances.held.len() >= instances.room {
            instances.held.retain(|_, lsa| lsa.strong_count() > 0);
            instances.room = ROOM_MIN.max(2 * instances.held.len());
        }
        let LsaHeader { key, sequence, checksum, .. } = lsa.header();
        instances.held.insert((key, sequence, checksum), Arc::downgrade(lsa));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LinkStateId, RouterId};
    use crate::ospf::lsa::{LsType, LsaBody};

    fn lsa(age: u16, content: u8) -> Arc<Lsa> {
        let key = LsaKey {
            ls_type: LsType::from_bits(0xbff0),
            link_state_id: LinkStateId(1),
            advertising_router: RouterId(2),
        };
        Arc::new(Lsa::originate(key, SequenceNumber::INITIAL, age, LsaBody::Unknown(vec![content; 4])))
    }

    #[test]
    fn the_same_instance_at_another_age_is_held_once() {
        let pool = LsaPool::default();
        let held = lsa(3, 7);
        pool.share(&held);
        let again = lsa(900, 7);
        let found = pool.clone().find(&again.header(), again.octets()).unwrap();
        assert!(Arc::ptr_eq(&found, &held));
    }

    #[test]
    fn octets_that_differ_are_never_taken_for_the_same() {
        let pool = LsaPool::default();
        let held = lsa(3, 7);
        pool.share(&held);
        let mut forged = held.octets().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        assert!(pool.find(&held.header(), &forged).is_none());
        assert!(pool.find(&lsa(3, 8).header(), lsa(3, 8).octets()).is_none());
    }

    #[test]
    fn what_nobody_holds_and_what_is_being_flushed_is_not_found() {
        let pool = LsaPool::default();
        let flushed = lsa(MAX_AGE, 7);
        pool.share(&flushed);
        assert!(pool.find(&flushed.header(), flushed.octets()).is_none());
        let held = lsa(3, 7);
        pool.share(&held);
        drop(held);
        assert!(pool.find(&flushed.header(), flushed.octets()).is_none());
    }
}
