//! Services' upstreams: asks for what their machine wants to know, and hands on what it says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use super::Daemon;
use super::work::Done;
use crate::control::service_report::ServicesReport;
use crate::plan::Plan;
use crate::plan::change::{Act, Change};
use crate::probe;
use crate::services::ServiceAction;
use crate::services::health::Question;
use crate::services::names::Answer;
use crate::services::report::report;
use crate::state::program::ProgramName;

/// How long a name server may take.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);
/// What the C libraries say when who must know has said that there is no such name, or no address of it.
const NOTHING: [&str; 3] = ["not known", "No address", "does not resolve"];

impl Daemon {
    /// Hands out what the services' machine wants done, and what it knows.
    pub(super) fn pump_services(&mut self) {
        while let Some(action) = self.services.poll_action() {
            match action {
                ServiceAction::Resolve(name) => resolve(&self.done_in, name),
                ServiceAction::Probe(question) => ask(&self.done_in, question),
            }
        }
        let now = self.clock.now();
        if let Some(facts) = self.services.poll_facts(now) {
            self.reconciler.handle_upstreams(now, facts);
        }
    }

    /// Returns how services stand.
    pub(super) fn services_report(&self) -> ServicesReport {
        let config = self.reconciler.config().unwrap_or(&self.config);
        let (facts, known) = (self.reconciler.facts(), self.reconciler.known());
        ServicesReport { reloads: self.reloads, ..report(config, facts, known, &self.services) }
    }

    /// Counts how often nginx was told to read its configuration again.
    pub(super) fn count_reloads(&mut self, plan: &Plan) {
        let is_reload = |step: &&Change| match step {
            Change::Program(edit) => edit.key == ProgramName::Nginx && edit.act() == Act::Change,
            _ => false,
        };
        let reloads = plan.steps().iter().filter(is_reload).count();
        self.reloads = self.reloads.saturating_add(u64::try_from(reloads).unwrap_or_default());
    }

    /// Sees to it that no more workers of nginx are left than may be.
    pub(super) fn bound_replaced_workers(&self) {
        let programs = self.reconciler.known().map(|known| &known.programs);
        if programs.is_none_or(|programs| !programs.contains_key(&ProgramName::Nginx)) {
            return;
        }
        let system = Arc::clone(&self.system);
        tokio::task::spawn_local(async move {
            let ended = system.bound_replaced_workers().await;
            if ended > 0 {
                warn!(
                    ended,
                    "too many workers of nginx had connections from before a change: the oldest ended"
                );
            }
        });
    }
}

/// Looks a name up.
fn resolve(done: &mpsc::Sender<Done>, name: String) {
    let done = done.clone();
    tokio::task::spawn_local(async move {
        let answer = lookup(&name).await;
        // Without a main loop nobody wants it.
        let _ = done.send(Done::Name(name, answer)).await;
    });
}

async fn lookup(name: &str) -> Answer {
    match timeout(LOOKUP_DEADLINE, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => {
            let addresses: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
            match addresses.is_empty() {
                true => Answer::Nothing,
                false => Answer::Addresses { addresses, ttl: None },
            }
        }
        Ok(Err(error)) => {
            let error = error.to_string();
            match NOTHING.iter().any(|words| error.contains(words)) {
                true => Answer::Nothing,
                false => Answer::Failed(error),
            }
        }
        Err(_) => Answer::Failed(format!("no answer within {} s", LOOKUP_DEADLINE.as_secs())),
    }
}

/// Asks an upstream whether it works.
fn ask(done: &mpsc::Sender<Done>, question: Question) {
    let done = done.clone();
    tokio::task::spawn_local(async move {
        let Question { subject, health } = question;
        let answer = probe::ask(subject.1, &health).await;
        let _ = done.send(Done::Health(subject, answer)).await;
    });
}
