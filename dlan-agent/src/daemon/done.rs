//! What became of the work that was handed out, taken back into the main loop.

use ospf_lite::time::Instant;
use tracing::warn;
use vxlan::link::LinkName;
use vxlan::netlink::LinksError;

use super::work::{self, Done};
use super::{Daemon, measured};
use crate::causes::with_causes;
use crate::config;
use crate::plan::reroute::Loss;
use crate::round_trips::Echoes;
use crate::system::{Peers, Untold};

impl Daemon {
    pub(super) fn find_out(&mut self) {
        let is_there = |device: &&LinkName| {
            self.reconciler.known().is_some_and(|known| known.links.contains_key(*device))
        };
        let device = Some(&self.config.mesh.wg_device).filter(is_there).cloned();
        if !std::mem::replace(&mut self.is_finding_out, true) {
            work::find_out(&self.system, &self.done_in, device);
        }
    }

    pub(super) fn handle_done(&mut self, done: Done) {
        let now = self.clock.now();
        match done {
            Done::Gathered(Ok(facts)) => {
                self.reconciler.handle_facts(now, *facts);
                self.interfaces_due = true;
            }
            Done::Gathered(Err(error)) => self.reconciler.handle_facts_failed(now, error),
            Done::Observed(Ok(state)) => {
                self.reconciler.handle_observed(now, *state);
                self.interfaces_due = true;
            }
            Done::Observed(Err(error)) => self.reconciler.handle_observe_failed(now, error),
            Done::Applied(outcome) => {
                self.interfaces_due |= !self.reconciler.is_setting_routes();
                self.reconciler.handle_applied(now, outcome);
            }
            Done::Rerouted(outcome) => self.reconciler.handle_rerouted(now, &outcome),
            Done::Hint => self.reconciler.handle_hint(now),
            Done::DeviceDown(device) if self.reconciler.is_up(&device) => {
                self.handle_lost(&device, Loss::Device);
                self.unhurried.handle_lost(now, &device);
                self.hear_late();
                self.carriers.push((device, false));
            }
            Done::DeviceDown(_) => {}
            Done::LateHint => self.reconciler.handle_late_hint(now),
            Done::DeviceUp(device) => {
                self.reconciler.handle_returned(now, &device);
                if self.reconciler.is_up(&device) {
                    self.carriers.push((device, true));
                }
            }
            Done::Resolved(peer, answer) => {
                if let Err(error) = &answer {
                    warn!(%error, "endpoint not resolved");
                }
                self.endpoints.handle_resolved(now, &peer, answer);
            }
            Done::Name(name, answer) => self.services.handle_name(now, &name, answer),
            Done::Health(subject, answer) => self.services.handle_health(now, &subject, answer),
            Done::Untold(untold) => self.handle_untold(now, untold),
            Done::Echoes(echoes) => self.handle_echoes(now, echoes),
            Done::Previewed(checked, answer) => self.handle_previewed(*checked, answer),
            Done::Checked(checked) => self.handle_checked(checked.map(|checked| *checked)),
            Done::Required(name) => self.handle_required(&name),
            Done::Reloaded(result) => self.handle_reloaded(result),
        }
    }

    fn handle_echoes(&mut self, now: Instant, echoes: Result<Echoes, String>) {
        let echoes = echoes.unwrap_or_else(|error| {
            warn!(%error, "neighbors cannot be asked for an echo");
            Echoes::default()
        });
        if self.round_trips.handle_echoes(now, &echoes) {
            self.interfaces_due = true;
            self.tell();
            if let Err(error) = measured::write(&self.paths.run_directory, &self.round_trips.settled()) {
                warn!(%error, "round-trip times are measured afresh by the next start");
            }
        }
    }

    fn handle_untold(&mut self, now: Instant, untold: Untold) {
        self.is_finding_out = false;
        if untold.has_drifted {
            self.reconciler.handle_hint(now);
        }
        if let Some(answer) = untold.peers {
            self.handle_peers(now, answer);
        }
    }

    fn handle_peers(&mut self, now: Instant, answer: Result<Peers, LinksError>) {
        match answer {
            Ok(peers) => {
                self.endpoints.handle_peers(now, &peers);
                let links = self.config.links.iter();
                let of_link = |link: &config::LinkConfig| Some((link.host_id, *peers.get(&link.public_key)?));
                self.peers = links.filter_map(of_link).collect();
            }
            // At the start there may be no device yet.
            Err(_) if !self.has_asked_peers => {}
            Err(error) => warn!(error = %with_causes(&error), "WireGuard does not say how its peers are"),
        }
        if !std::mem::replace(&mut self.has_asked_peers, true) {
            self.endpoints.handle_config(now, &self.config);
        }
    }
}
