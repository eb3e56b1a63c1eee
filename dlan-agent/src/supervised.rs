//! An agent under a service manager does not outlive the process that watches over it.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tracing::warn;

/// Has this process end in order when the one that started it is gone: between procd and the agent stands a jail's process, and
/// an agent without it would neither be started again nor be stopped with the service. The calling thread is to be the first one.
pub fn end_with_parent() {
    if let Err(error) = set_pdeathsig(Signal::SIGTERM) {
        warn!(%error, "the agent goes on when its service manager's process is gone");
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::prctl::get_pdeathsig;

    use super::*;

    #[test]
    fn the_agent_is_told_to_end_when_its_parent_is_gone() {
        end_with_parent();
        assert_eq!(get_pdeathsig(), Ok(Some(Signal::SIGTERM)));
        set_pdeathsig(None).unwrap();
    }
}
