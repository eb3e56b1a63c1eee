//! Names: tells the mesh what this router answers for, keeps the table of who answers for what, and has it served.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ospf_lite::driver::Engines;
use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::Lsa;
use ospf_lite::ospf::route::RouteTable;
use ospf_lite::time::Instant;
use tracing::warn;

use super::{AgentError, Daemon, EARLY, engine_view};
use crate::control::names::NamesReport;
use crate::names::announcement::Announcement;
use crate::names::heard::Heard;
use crate::names::own;
use crate::names::report;
use crate::names::resolver::{Resolver, Settings};
use crate::names::server::{Asker, NameServer, Places};
use crate::names::zones::{Belief, Conflict, ZoneTable};
use crate::routing::EngineRoutes;

/// How soon after other prefixes are routed questions from there are answered, and no more from those that are gone: one
/// event brings many, and routes come first.
const PREFIXES_AFTER: Duration = Duration::from_millis(500);

/// What is known of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What was told to the engines; `None` before their start.
    told: Option<Announcement>,
    /// What the databases hold of others.
    lsas: Vec<Arc<Lsa>>,
    /// Whether the databases were whole at some time.
    is_complete: bool,
    /// The mesh's routes, as they were last looked at.
    tables: [RouteTable; 2],
    /// The prefixes of those below, but for the default routes.
    prefixes: BTreeSet<IpNet>,
    /// The routes that the prefixes were last taken from.
    taken: [RouteTable; 2],
    /// When these have to be looked at, because there may be others.
    prefixes_at: Option<Instant>,
    /// What the server goes by and where it listens, once this router is known.
    served: Option<Served>,
    server: Option<NameServer>,
}

/// What the server goes by, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Served {
    table: Arc<ZoneTable>,
    settings: Settings,
    places: Places,
}

impl Names {
    /// Forgets what engines were told that are no more.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }

    /// Returns when the prefixes have to be looked at.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.prefixes_at
    }

    /// Returns what routers claim and do not have.
    pub(super) fn conflicts(&self) -> BTreeSet<Conflict> {
        self.served.as_ref().map(|served| served.table.conflicts.clone()).unwrap_or_default()
    }

    /// Returns who can be asked for names, and whether the names of the whole mesh are known.
    pub(super) fn asker(&self) -> Option<(Asker, bool)> {
        Some((self.server.as_ref()?.asker(), self.is_complete))
    }

    /// Returns the prefixes of the mesh's routes.
    pub(super) const fn prefixes(&self) -> &BTreeSet<IpNet> {
        &self.prefixes
    }

    /// Returns where the server cannot listen.
    pub(super) fn refused(&self) -> BTreeMap<SocketAddr, String> {
        self.server.as_ref().map(NameServer::refused).unwrap_or_default()
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
        if self.names.told.as_ref() != Some(&announcement) {
            let (content, left_out) = announcement.encode();
            if left_out > 0 {
                warn!(left_out, "more records than this router can announce: no other router knows the rest");
            }
            for family in [Family::Ipv6, Family::Ipv4] {
                engine.driver.private(family, content.clone()).await?;
            }
            self.names.told = Some(announcement);
        }
        self.serve_names();
        self.hand_on_foreign_names();
        self.tell_hosts();
        Ok(())
    }

    /// Takes over what the databases hold about names, and whose questions are answered.
    pub(super) fn handle_names(&mut self, routes: &EngineRoutes, lsas: Vec<Arc<Lsa>>) {
        let has_same_prefixes =
            self.names.tables.iter().zip(&routes.tables).all(|(one, other)| one.has_keys_of(other));
        self.names.is_complete |= routes.complete;
        let is_same = |(one, other): (&Arc<Lsa>, &Arc<Lsa>)| Arc::ptr_eq(one, other);
        let are_same = lsas.len() == self.names.lsas.len() && lsas.iter().zip(&self.names.lsas).all(is_same);
        self.names.tables.clone_from(&routes.tables);
        if !has_same_prefixes {
            self.names.prefixes_at.get_or_insert(self.clock.now() + PREFIXES_AFTER);
        }
        if !are_same {
            self.names.lsas = lsas;
            self.serve_names();
            self.tell_hosts();
        }
        self.hand_on_foreign_names();
    }

    /// Takes over whose questions are answered, once a while has passed since that changed.
    pub(super) fn handle_names_timeout(&mut self) {
        let now = self.clock.now();
        if self.names.prefixes_at.take_if(|at| *at <= now + EARLY).is_some() {
            let before = std::mem::replace(&mut self.names.taken, self.names.tables.clone());
            for (table, before) in self.names.tables.iter().zip(&before) {
                for prefix in table.keys_apart(before).into_iter().filter(|prefix| prefix.prefix_len() > 0) {
                    if table.contains_key(&prefix) {
                        self.names.prefixes.insert(prefix);
                    } else {
                        self.names.prefixes.remove(&prefix);
                    }
                }
            }
            match self.names.served.as_ref().map(|served| Arc::clone(&served.table)) {
                Some(table) => self.serve(table),
                None => self.serve_names(),
            }
        }
    }

    /// Lets dnsmasq know which names outside the mesh's domain are asked of the agent.
    fn hand_on_foreign_names(&mut self) {
        if let Some(served) = self.names.served.as_ref().filter(|_| self.names.is_complete) {
            self.reconciler.handle_foreign_names(self.clock.now(), served.table.foreign());
        }
    }

    /// Works out who answers for what, and has it served.
    fn serve_names(&mut self) {
        if let Some(table) = self.zone_table() {
            self.serve(table);
        }
    }

    /// Has it served who answers for what.
    fn serve(&mut self, table: Arc<ZoneTable>) {
        let Some(wanted) = self.wanted_service(table) else { return };
        if self.names.served.as_ref() == Some(&wanted) {
            return;
        }
        let before = self.names.conflicts();
        for conflict in wanted.table.conflicts.difference(&before) {
            warn!(?conflict, "names");
        }
        let (table, settings, now) = (Arc::clone(&wanted.table), wanted.settings.clone(), self.clock.now());
        match &mut self.names.server {
            Some(server) => server.with(|resolver| resolver.reconfigure(now, table, settings)),
            None => self.names.server = Some(NameServer::new(self.clock, Resolver::new(table, settings))),
        }
        if let Some(server) = &mut self.names.server {
            server.listen(&wanted.places);
        }
        self.names.served = Some(wanted);
    }

    fn zone_table(&self) -> Option<Arc<ZoneTable>> {
        let config = self.reconciler.config()?;
        let (domain, told) = (own::domain(&config.mesh)?, self.names.told.as_ref()?);
        let mut heard = Heard::new(&self.names.lsas);
        heard.announced.insert(config.mesh.host_id, told.clone());
        let belief = Belief { own: config.mesh.host_id, domains: &config.names.foreign };
        let mut table = ZoneTable::new(&domain, &heard.announced, &config.delegates, belief);
        table.conflicts.extend(heard.not_understood);
        Some(Arc::new(table))
    }

    fn wanted_service(&self, table: Arc<ZoneTable>) -> Option<Served> {
        let (config, facts) = (self.reconciler.config()?, self.reconciler.facts()?);
        let mut settings = own::settings(config, facts);
        settings.clients.extend(self.names.prefixes.iter().copied());
        Some(Served { table, settings, places: own::places(config, facts) })
    }

    /// Returns what is known of names; `None` before this router is.
    pub(super) fn names_report(&self) -> Option<NamesReport> {
        let (server, served) = (self.names.server.as_ref()?, self.names.served.as_ref()?);
        let refused = server.refused();
        Some(server.with(|resolver| report::report(self.clock.now(), resolver, &served.places, &refused)))
    }
}

/// Returns the LSAs about names of both databases.
pub(super) fn read(engines: &Engines) -> Vec<Arc<Lsa>> {
    engine_view::announcements(engines).cloned().collect()
}
