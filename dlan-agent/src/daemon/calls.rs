//! What clients ask of the main loop, and when they are answered.

use std::sync::Arc;
use std::time::Duration;

use ospf_lite::time::Instant;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::requests::{self, refused};
use super::snapshot::{self, AgentView};
use super::work::{Checked, Purpose};
use super::{Daemon, work};
use crate::addressing;
use crate::causes::with_causes;
use crate::config::LinkConfig;
use crate::control::protocol::{RefusalKind, Reply, Request};
use crate::control::server::Call;
use crate::problems::Repaired;
use crate::reconcile::{Health, Report};
use crate::routing::{self, WantedInterfaces};
use crate::services;
use crate::store::durable::{self, StoreError};

/// How long a repair of drift stays a problem to be shown.
const REPAIR_SHOWN: Duration = Duration::from_secs(600);
/// How long a refusal counts as lasting, at least; else two RouterDeadIntervals.
const REFUSED_SHOWN: Duration = Duration::from_secs(20);

impl Daemon {
    pub(super) fn handle_call(&mut self, call: Call) {
        match call.request {
            Request::Plan { stage } => match self.wanted(stage.as_deref()) {
                Ok(loaded) => {
                    let config = self.mtus.effective(&loaded.config);
                    work::preview((&self.system, &self.done_in), config, Purpose::Plan(call.answer));
                }
                Err(refusal) => drop(call.answer.send(Reply::Refused(refusal))),
            },
            Request::Apply(orders) => self.begin_apply(orders, call.caller, call.answer),
            Request::Rollback { number } => self.begin_rollback(number, call.caller, call.answer),
            Request::Confirm { token, local } => {
                let reply = self.confirm(&token, &call.caller, local);
                let _ = call.answer.send(reply);
            }
            Request::Window {} => drop(call.answer.send(Reply::Window(self.window_report()))),
            Request::Openings {} => drop(call.answer.send(Reply::Openings(self.openings()))),
            Request::History {} => drop(call.answer.send(self.history())),
            Request::Names {} => {
                let reply = self.names_report().map_or_else(
                    || refused(RefusalKind::Failed, "the agent is starting: names are not known yet"),
                    |report| Reply::Names(Box::new(report)),
                );
                let _ = call.answer.send(reply);
            }
            Request::Services {} => {
                let (mut report, config) = (self.services_report(), self.config.clone());
                let system = Arc::clone(&self.system);
                tokio::task::spawn_local(async move {
                    // What is told of services does not hang on what was counted.
                    let counts = system.filter_counters().await.unwrap_or_default();
                    services::report::add_counts(&mut report, &config, &counts);
                    let _ = call.answer.send(Reply::Services(report));
                });
            }
            Request::Drain {} => self.drain(true, call.answer),
            Request::Zones {} => {
                let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
                let (view, system) = (self.view(), Arc::clone(&self.system));
                tokio::task::spawn_local(async move {
                    let counts = system.filter_counters().await;
                    let reply = match counts {
                        Ok(counts) => {
                            let packets =
                                counts.into_iter().map(|(name, counted)| (name, counted.packets)).collect();
                            requests::zones(view, driver, packets).await
                        }
                        Err(error) => refused(RefusalKind::Failed, error.with_causes()),
                    };
                    let _ = call.answer.send(reply);
                });
            }
            Request::Undrain {} => self.drain(false, call.answer),
            request => {
                let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
                let view = self.view();
                tokio::spawn(async move {
                    let _ = call.answer.send(requests::answer(view, driver, request).await);
                });
            }
        }
    }

    pub(super) fn handle_report(&mut self, report: Report) {
        match report {
            Report::Applied { generation, plan } => {
                info!(steps = plan.steps().len(), generation, "applied");
                self.count_reloads(&plan);
                self.handle_applied_plan(generation, &plan);
            }
            Report::Settled { generation } => self.handle_settled(generation),
            Report::Failed { generation, error, reverted } => {
                self.handle_failed(generation, &error, reverted);
                self.interfaces_due = true;
            }
            Report::Installed => self.installed_due = true,
            Report::Drift { repairs } => self.repaired = Some((self.clock.now(), repairs)),
        }
    }

    /// Returns the interfaces that the engines have or are about to have.
    pub(super) fn interfaces(&self) -> WantedInterfaces {
        let parts = self.reconciler.config().zip(self.reconciler.facts());
        let interfaces = |config| routing::interfaces(&self.round_trips.effective(config), parts?.1).ok();
        parts.and_then(|(config, _)| interfaces(config)).unwrap_or_default()
    }

    /// Answers what a configuration would change.
    pub(super) fn handle_previewed(&self, checked: Checked, answer: oneshot::Sender<Reply>) {
        let Checked { config, facts, observed, .. } = checked;
        let reply = match self.reconciler.preview(&config, &facts, &observed) {
            Ok(plan) => {
                let after = self.round_trips.effective(&config);
                let after = routing::interfaces(&after, &facts).unwrap_or_default();
                let ospf = routing::describe_changes(&self.interfaces(), &after);
                Reply::Plan(snapshot::plan(&plan, ospf))
            }
            Err(error) => refused(RefusalKind::Failed, error.to_string()),
        };
        // A client that has gone away wants no answer.
        let _ = answer.send(reply);
    }

    pub(super) fn keep_checkpoint(&self) {
        if let Err(error) = self.write_checkpoint() {
            warn!(error = with_causes(&error), "a rejected configuration would find no good one");
        }
    }

    /// Writes down that the configuration in force is a good one.
    pub(super) fn write_checkpoint(&self) -> Result<(), StoreError> {
        if self.config_errors.is_empty() && durable::write(&self.paths.checkpoint, &self.text)? {
            info!("this configuration is the last good one");
        }
        Ok(())
    }

    pub(super) fn view(&self) -> AgentView {
        let now = self.clock.now();
        let config = self.reconciler.config().unwrap_or(&self.config);
        let window = |link: &LinkConfig| (link.dead_interval * 2).max(REFUSED_SHOWN);
        let configured =
            |link: &LinkConfig| self.mtus.is_lowered(link.host_id).then_some((link.host_id, link.mtu));
        AgentView {
            uptime_seconds: Some(now.since(Instant::ORIGIN).as_secs()),
            mtu_configured: self.config.links.iter().filter_map(configured).collect(),
            is_drained: self.is_drained,
            config_errors: self.config_errors.clone(),
            facts: self.reconciler.facts().cloned(),
            known: self.reconciler.known().cloned().unwrap_or_default(),
            peers: self.peers.clone(),
            resolve_errors: config
                .links
                .iter()
                .filter_map(|link| Some((link.host_id, self.endpoints.error(&link.public_key)?.to_owned())))
                .collect(),
            refused: config
                .links
                .iter()
                .map(|link| {
                    let interface = addressing::link_interface_id(link);
                    (interface, self.refusals.recent(now, interface, window(link)))
                })
                .collect(),
            repaired: self
                .repaired
                .as_ref()
                .filter(|(at, _)| now.since(*at) < REPAIR_SHOWN)
                .map(|(at, what)| Repaired { seconds: now.since(*at).as_secs(), what: what.clone() }),
            apply_failure: match self.reconciler.health() {
                Health::Failing(error) | Health::Reverted(error) => Some(error.clone()),
                Health::Starting | Health::Working | Health::Settled => None,
            },
            program_errors: self.reconciler.program_errors(),
            occupied: self.reconciler.occupied(),
            qualities: self.round_trips.qualities(),
            config: self.round_trips.effective(config),
            window: self.window_report(),
            name_conflicts: self.names.conflicts(),
            name_server_refused: self.names.refused(),
            services: self.services_report(),
        }
    }
}
