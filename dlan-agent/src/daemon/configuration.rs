//! Which configuration is to be brought about, and what the rest of the agent is told of it.

use tracing::{error, warn};

use super::{Daemon, work};
use crate::config::{self, Config, Loaded};
use crate::openings::Openings;

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
        self.reopen();
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
        self.mtus.handle_config(&before, &self.config);
    }

    /// Returns what a firewall of the system's own must let in for the configuration in force.
    pub(super) fn openings(&self) -> Openings {
        Openings::of(self.reconciler.config().unwrap_or(&self.config))
    }

    /// Has a firewall of the system's own ask again what it must let in, if that is something else than before.
    pub(super) fn reopen(&mut self) {
        let openings = self.openings();
        if openings != self.openings_told {
            self.openings_told = openings;
            work::reopen(&self.done_in, &self.paths.init_script);
        }
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
