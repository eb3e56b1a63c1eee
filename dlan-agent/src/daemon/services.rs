//! Services' upstreams: asks for what their machine wants to know, and hands on what it says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use super::Daemon;
use super::work::Done;
use crate::control::service_report::ServicesReport;
use crate::names::server::Asker;
use crate::names::wire::Question;
use crate::plan::Plan;
use crate::plan::change::{Act, Change};
use crate::probe;
use crate::services::health;
use crate::services::names::Answer;
use crate::services::report::report;
use crate::services::{ServiceAction, lookup};
use crate::state::program::ProgramName;

/// The names that this router was told by hand.
const HOSTS_FILE: &str = "/etc/hosts";
/// How long the system's resolver may take.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);
/// What the C libraries say when who must know has said that there is no such name, or no address of it.
const NOTHING: [&str; 3] = ["not known", "No address", "does not resolve"];

impl Daemon {
    /// Hands out what the services' machine wants done, and what it knows.
    pub(super) fn pump_services(&mut self) {
        while let Some(action) = self.services.poll_action() {
            match action {
                ServiceAction::Resolve(name) => resolve(&self.done_in, self.names.asker(), name),
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
fn resolve(done: &mpsc::Sender<Done>, asker: Option<(Asker, bool)>, name: String) {
    let done = done.clone();
    tokio::task::spawn_local(async move {
        let answer = lookup(asker, &name).await;
        // Without a main loop nobody wants it.
        let _ = done.send(Done::Name(name, answer)).await;
    });
}

/// Asks as programs do: the hosts file first, then name servers. The agent's own client knows how long an answer holds; what it
/// cannot ask for, the system's resolver is asked: names without a dot, and all while no name server is known.
async fn lookup(asker: Option<(Asker, bool)>, name: &str) -> Answer {
    let hosts = std::fs::read_to_string(HOSTS_FILE).unwrap_or_default();
    let addresses = lookup::in_hosts_file(&hosts, name);
    if !addresses.is_empty() {
        return Answer::Addresses { addresses, ttl: None, missing: None, is_stale: false };
    }
    let asked = Name::from_ascii(name).ok().filter(|name| name.num_labels() > 1);
    match (asker, asked) {
        (Some((asker, is_complete)), Some(asked)) if asker.can_answer(&asked) => {
            let ask = |record_type| asker.ask(Question::new(&asked, record_type));
            let (ipv4, ipv6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
            lookup::answer((&ipv4, &ipv6), is_complete)
        }
        // The agent's own name server comes with the engines: until then that there is nothing may change.
        (None, Some(_)) => match ask_system(name).await {
            found @ Answer::Addresses { .. } => found,
            _ => Answer::NotYet("the agent has just started".to_owned()),
        },
        _ => ask_system(name).await,
    }
}

async fn ask_system(name: &str) -> Answer {
    match timeout(LOOKUP_DEADLINE, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => {
            let addresses: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
            match addresses.is_empty() {
                true => Answer::Nothing,
                false => Answer::Addresses { addresses, ttl: None, missing: None, is_stale: false },
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
fn ask(done: &mpsc::Sender<Done>, question: health::Question) {
    let done = done.clone();
    tokio::task::spawn_local(async move {
        let health::Question { subject, health } = question;
        let answer = probe::ask(subject.1, &health).await;
        let _ = done.send(Done::Health(subject, answer)).await;
    });
}
