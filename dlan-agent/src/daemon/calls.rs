//! What clients ask of the main loop, and when they are answered.

use std::time::Duration;

use ospf_lite::time::Instant;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::requests::{self, refused};
use super::snapshot::{self, AgentView};
use super::work::Preview;
use super::{Daemon, work};
use crate::addressing;
use crate::causes::with_causes;
use crate::checkpoint;
use crate::config::{self, LinkConfig};
use crate::control::protocol::{RefusalKind, Reply, Request};
use crate::control::report::ApplyReport;
use crate::control::server::Call;
use crate::plan::Plan;
use crate::problems::Repaired;
use crate::reconcile::{Health, Report};
use crate::routing::{self, WantedInterfaces};

/// How long a repair of drift stays a problem to be shown.
const REPAIR_SHOWN: Duration = Duration::from_secs(600);
/// How long a refusal counts as lasting, at least; else two RouterDeadIntervals.
const REFUSED_SHOWN: Duration = Duration::from_secs(20);

/// A client that waits for its apply to be seen to hold.
pub(super) struct Waiting {
    pub(super) generation: u64,
    /// What was done in the kernel for it.
    pub(super) plan: Plan,
    /// The OSPF interfaces before it.
    pub(super) before: WantedInterfaces,
    pub(super) answer: oneshot::Sender<Reply>,
}

impl Daemon {
    pub(super) fn handle_call(&mut self, call: Call) {
        match call.request {
            Request::Plan {} => match config::load(&self.paths.config) {
                Ok(loaded) => {
                    let config = self.mtus.effective(&loaded.config);
                    work::preview((&self.system, &self.done_in), config, call.answer)
                }
                Err(errors) => {
                    let _ = call.answer.send(refused(RefusalKind::ConfigRejected, errors.to_string()));
                }
            },
            Request::Apply {} => self.apply(call.answer),
            Request::Drain {} => self.drain(true, call.answer),
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

    pub(super) fn apply(&mut self, answer: oneshot::Sender<Reply>) {
        match config::load(&self.paths.config) {
            Ok(loaded) => {
                let before = self.interfaces();
                let generation = self.take_config(loaded);
                self.waiting.push(Waiting { generation, plan: Plan::default(), before, answer });
            }
            Err(errors) => {
                self.reject_config(&errors);
                let _ = answer.send(refused(RefusalKind::ConfigRejected, errors.to_string()));
            }
        }
    }

    pub(super) fn handle_report(&mut self, report: Report) {
        match report {
            Report::Applied { generation, plan } => {
                info!(steps = plan.steps().len(), generation, "applied");
                for waiting in self.waiting.iter_mut().filter(|waiting| waiting.generation <= generation) {
                    waiting.plan = plan.clone();
                }
            }
            Report::Settled { generation } => {
                let outcome = "Done, and seen to hold.";
                self.answer_waiting(generation, true, outcome);
                self.keep_checkpoint();
            }
            Report::Failed { generation, error, reverted } => {
                let after = if reverted { "the configuration before it runs" } else { "it is tried again" };
                self.answer_waiting(generation, false, &format!("Failed: {error}\n{after}"));
                self.interfaces_due = true;
            }
            Report::Installed => self.installed_due = true,
            Report::Drift { repairs } => self.repaired = Some((self.clock.now(), repairs)),
        }
    }

    pub(super) fn answer_waiting(&mut self, generation: u64, done: bool, outcome: &str) {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.generation <= generation);
        self.waiting = later;
        let after = self.interfaces();
        for waiting in due {
            let ospf = routing::describe_changes(&waiting.before, &after);
            let plan = snapshot::plan(&waiting.plan, ospf);
            let report = ApplyReport { plan, done, outcome: outcome.to_owned() };
            let _ = waiting.answer.send(Reply::Apply(report));
        }
    }

    /// Returns the interfaces that the engines have or are about to have.
    fn interfaces(&self) -> WantedInterfaces {
        let parts = self.reconciler.config().zip(self.reconciler.facts());
        let interfaces = |config| routing::interfaces(&self.round_trips.effective(config), parts?.1).ok();
        parts.and_then(|(config, _)| interfaces(config)).unwrap_or_default()
    }

    /// Answers what a configuration would change.
    pub(super) fn handle_previewed(&self, preview: Preview) {
        let Preview { config, facts, observed, answer } = preview;
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

    pub(super) fn keep_checkpoint(&mut self) {
        if !self.config_errors.is_empty() {
            return;
        }
        match checkpoint::write(&self.paths.checkpoint, &self.text) {
            Ok(true) => info!("this configuration is the last good one"),
            Ok(false) => {}
            Err(error) => {
                warn!(error = with_causes(&error), "a rejected configuration would find no good one")
            }
        }
    }

    pub(super) fn view(&self) -> AgentView {
        let now = self.clock.now();
        let config = self.reconciler.config().unwrap_or(&self.config);
        let window = |link: &LinkConfig| (link.dead_interval * 2).max(REFUSED_SHOWN);
        let interface = |link: &LinkConfig| addressing::link_interface_id(link.host_id);
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
                .map(|link| (interface(link), self.refusals.recent(now, interface(link), window(link))))
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
            qualities: self.round_trips.qualities(),
            config: self.round_trips.effective(config),
        }
    }
}
