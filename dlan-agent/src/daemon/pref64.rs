//! NAT64's prefix: has the LANs' hosts told of it, while something translates.

use super::Daemon;
use crate::pref64;

impl Daemon {
    /// Has hosts told what follows from the configuration, the facts and the mesh's routes.
    pub(super) fn tell_hosts(&mut self) {
        if let (Some(config), Some(facts)) = (self.reconciler.config(), self.reconciler.facts()) {
            self.advertisements.tell(&pref64::told(config, facts, self.names.prefixes()));
        }
    }
}
