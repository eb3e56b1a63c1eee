//! Names: tells the mesh what this router answers for, and keeps the table of who answers for what.

use std::sync::Arc;

use ospf_lite::driver::Engines;
use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::Lsa;
use tracing::warn;

use super::{AgentError, Daemon, engine_view};
use crate::config::DelegateConfig;
use crate::names::announcement::Announcement;
use crate::names::heard::Heard;
use crate::names::own;
use crate::names::zones::{Conflict, ZoneTable};

/// What is known of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What was told to the engines; `None` before their start.
    told: Option<Announcement>,
    /// What the configuration delegates.
    delegates: Vec<DelegateConfig>,
    /// What the databases hold of others.
    lsas: Vec<Arc<Lsa>>,
    /// Who answers for what, once this router is known.
    pub(super) table: Option<Arc<ZoneTable>>,
}

impl Names {
    /// Forgets what engines were told that are no more.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }
}

impl Daemon {
    /// Tells the engines what this router announces, if it is something else than before.
    pub(super) async fn tell_names(&mut self) -> Result<(), AgentError> {
        let (Some(engine), Some(config), Some(facts)) =
            (&self.engine, self.reconciler.config(), self.reconciler.facts())
        else {
            return Ok(());
        };
        let announcement = own::announcement(config, facts);
        let is_told = self.names.told.as_ref() == Some(&announcement);
        let delegates = config.delegates.clone();
        if is_told && self.names.delegates == delegates {
            return Ok(());
        }
        self.names.delegates = delegates;
        if is_told {
            self.derive_names();
            return Ok(());
        }
        let (content, left_out) = announcement.encode();
        if left_out > 0 {
            warn!(left_out, "more records than this router can announce: no other router knows the rest");
        }
        for family in [Family::Ipv6, Family::Ipv4] {
            engine.driver.private(family, content.clone()).await?;
        }
        self.names.told = Some(announcement);
        self.derive_names();
        Ok(())
    }

    /// Takes over what the databases hold about names.
    pub(super) fn handle_names(&mut self, lsas: Vec<Arc<Lsa>>) {
        let is_same = |(one, other): (&Arc<Lsa>, &Arc<Lsa>)| Arc::ptr_eq(one, other);
        if lsas.len() != self.names.lsas.len() || !lsas.iter().zip(&self.names.lsas).all(is_same) {
            self.names.lsas = lsas;
            self.derive_names();
        }
    }

    /// Works out who answers for what.
    pub(super) fn derive_names(&mut self) {
        let (Some(config), Some(told)) = (self.reconciler.config(), &self.names.told) else { return };
        let Some(domain) = own::domain(&config.mesh) else { return };
        let mut heard = Heard::new(&self.names.lsas);
        heard.announced.insert(config.mesh.host_id, told.clone());
        heard.not_understood.retain(|conflict| conflict.by() != config.mesh.host_id);
        let mut table = ZoneTable::new(&domain, &heard.announced, &self.names.delegates);
        table.conflicts.extend(heard.not_understood);
        for conflict in self.new_conflicts(&table) {
            warn!(?conflict, "names");
        }
        self.names.table = Some(Arc::new(table));
    }

    fn new_conflicts(&self, table: &ZoneTable) -> Vec<Conflict> {
        let before = self.names.table.as_ref().map(|table| table.conflicts.clone()).unwrap_or_default();
        table.conflicts.difference(&before).cloned().collect()
    }
}

/// Returns the LSAs about names of both databases.
pub(super) fn read(engines: &Engines) -> Vec<Arc<Lsa>> {
    engine_view::announcements(engines).cloned().collect()
}
