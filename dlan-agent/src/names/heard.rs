//! What the routers of the mesh announce, put together from the LSAs of the databases; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ospf_lite::ospf::lsa::Lsa;

use super::announcement::{Announcement, PARTS_MAX};
use super::zones::Conflict;
use crate::addressing;
use crate::config::HostId;

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Each router's announcement.
    pub announced: BTreeMap<HostId, Announcement>,
    /// What could not be read.
    pub not_understood: BTreeSet<Conflict>,
}

impl Heard {
    /// Reads the LSAs of one or both families: of a router that tells both the same, either will do.
    pub fn new<'a>(lsas: impl IntoIterator<Item = &'a Arc<Lsa>>) -> Self {
        let mut heard = Self::default();
        for lsa in lsas {
            let key = lsa.header().key;
            let Some(host) = addressing::host_id(key.advertising_router) else { continue };
            if usize::try_from(key.link_state_id.0).map_or(true, |part| part >= PARTS_MAX) {
                continue;
            }
            match Announcement::decode(lsa) {
                Some(Ok(part)) => heard.announced.entry(host).or_default().merge(part),
                Some(Err(error)) => {
                    let conflict = Conflict::NotUnderstood { by: host, why: error.to_string() };
                    heard.not_understood.insert(conflict);
                }
                None => {}
            }
        }
        heard
    }
}
