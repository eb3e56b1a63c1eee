//! Which configuration is to be brought about, and what the rest of the agent is told of it.

use std::collections::BTreeSet;

use tracing::{error, warn};

use super::{Daemon, work};
use crate::config::service::openings;
use crate::config::{self, Config, Loaded};

impl Daemon {
    /// Makes the configuration in `self.config` the one to bring about, and returns its number.
    pub(super) fn bring_about(&mut self) -> u64 {
        let config = self.tell_parts();
        let generation = self.reconciler.handle_config(self.clock.now(), config);
        if self.window.is_some() {
            self.reconciler.handle_trial();
        }
        generation
    }

    /// Tells the parts beside the reconciler of the configuration in `self.config`, and returns it with what follows neighbors in it.
    fn tell_parts(&mut self) -> Config {
        let now = self.clock.now();
        let config = self.mtus.effective(&self.config);
        if self.has_asked_peers {
            self.endpoints.handle_config(now, &config);
        }
        self.round_trips.handle_config(now, &config);
        self.services.handle_config(now, &config);
        self.interfaces_due = true;
        config
    }

    pub(super) fn reload(&mut self) {
        if self.applying.is_some() || self.window.is_some() || self.unreturned.is_some() {
            warn!(
                "told to read the configuration while an apply is not through, not confirmed or not undone: not read"
            );
            return;
        }
        match config::load(&self.paths.config) {
            Ok(loaded) => {
                self.take_config(loaded);
            }
            Err(errors) => self.reject_config(&errors),
        }
    }

    pub(super) fn take_config(&mut self, loaded: Loaded) -> u64 {
        self.config_errors.clear();
        self.replace_config(loaded);
        let generation = self.bring_about();
        self.tell();
        generation
    }

    /// Follows the reconciler, which has given a configuration up for the last good one.
    pub(super) fn follow_back(&mut self) {
        let Some(loaded) = self.good.as_ref().and_then(|text| self.parse(text).ok()) else { return };
        if loaded.text != self.text {
            self.replace_config(loaded);
            self.tell_parts();
            self.tell();
        }
    }

    fn replace_config(&mut self, loaded: Loaded) {
        let before = std::mem::replace(&mut self.config, loaded.config);
        self.text = loaded.text;
        if openings(&before) != openings(&self.config) || ports(&before) != ports(&self.config) {
            // A firewall of the system's own opens them by the file.
            work::reload_system(&self.done_in, &self.config.mesh.reload_program);
        }
        self.mtus.handle_config(&before, &self.config);
    }

    /// Tells the mesh what this router says of itself.
    pub(super) fn tell(&self) {
        let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
        work::tell(&driver, &self.config, &self.round_trips.settled());
    }

    pub(super) fn reject_config(&mut self, errors: &config::ConfigErrors) {
        self.config_errors = errors.to_string().lines().map(str::to_owned).collect();
        for error in &self.config_errors {
            error!(%error, "configuration rejected, nothing changes");
        }
    }
}

/// Returns the ports on which WireGuard is to be reached.
fn ports(config: &Config) -> BTreeSet<u16> {
    config.wans.iter().map(|wan| wan.listen_port).collect()
}
