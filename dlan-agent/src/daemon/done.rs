//! What became of the work that was handed out, taken back into the main loop.

use ospf_lite::time::Instant;
use tracing::warn;

use super::work::{self, Done};
use super::{Daemon, measured};
use crate::config;
use crate::plan::reroute::Loss;
use crate::round_trips::Echoes;

impl Daemon {
    pub(super) fn ask_peers(&mut self) {
        let device = &self.config.mesh.wg_device;
        let is_there = self.reconciler.known().is_some_and(|known| known.links.contains_key(device));
        if is_there && !std::mem::replace(&mut self.is_asking_peers, true) {
            work::peers(&self.system, &self.done_in, device.clone());
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
                self.carriers_due = true;
            }
            Done::DeviceDown(_) => {}
            Done::LateHint => self.reconciler.handle_late_hint(now),
            Done::DeviceUp(device) => {
                self.reconciler.handle_returned(now, &device);
                self.carriers_due = true;
            }
            Done::Resolved(peer, answer) => {
                if let Err(error) = &answer {
                    warn!(%error, "endpoint not resolved");
                }
                self.endpoints.handle_resolved(now, &peer, answer);
            }
            Done::Name(name, answer) => self.services.handle_name(now, &name, answer),
            Done::Health(subject, answer) => self.services.handle_health(now, &subject, answer),
            Done::Peers(answer) => self.handle_peers(now, answer),
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

    fn handle_peers(&mut self, now: Instant, answer: Result<work::Peers, String>) {
        self.is_asking_peers = false;
        match answer {
            Ok(peers) => {
                self.endpoints.handle_peers(now, &peers);
                let links = self.config.links.iter();
                let of_link = |link: &config::LinkConfig| Some((link.host_id, *peers.get(&link.public_key)?));
                self.peers = links.filter_map(of_link).collect();
            }
            // At the start there may be no device yet.
            Err(_) if !self.has_asked_peers => {}
            Err(error) => warn!(%error, "WireGuard does not say how its peers are"),
        }
        if !std::mem::replace(&mut self.has_asked_peers, true) {
            self.endpoints.handle_config(now, &self.config);
        }
    }
}
