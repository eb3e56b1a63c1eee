//! Between the engines and the BFD sessions: which sessions are wanted, and what the engines are told of them.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use tokio::sync::watch;

use super::bfd::{Sessions, Wanted, WantedSessions};
use super::device::DeviceInterface;
use crate::bfd::fsm::SessionState;
use crate::bfd::io::{SessionConfig, SessionView};
use crate::ids::InterfaceId;
use crate::io::Reachability;

/// The driver's end of the BFD thread.
#[derive(Debug)]
pub(super) struct SessionFeed {
    wanted: watch::Sender<WantedSessions>,
    sessions: watch::Receiver<Sessions>,
    /// What the engines believe, where it is not [`Reachability::Reachable`].
    told: BTreeMap<InterfaceId, Reachability>,
    disabled: bool,
}

/// What a session follows from.
#[derive(Debug)]
pub(super) struct DeviceFacts<'a> {
    pub interface: &'a DeviceInterface,
    pub is_up: bool,
    /// The source address of the neighbor, while it is heard.
    pub neighbor: Option<Ipv6Addr>,
}

impl SessionFeed {
    pub fn new(wanted: watch::Sender<WantedSessions>, sessions: watch::Receiver<Sessions>) -> Self {
        Self { wanted, sessions, told: BTreeMap::new(), disabled: false }
    }

    /// Waits until a session has changed.
    pub async fn changed(&mut self) {
        if self.sessions.changed().await.is_err() {
            // The thread has ended, so nothing will ever change.
            std::future::pending().await
        }
    }

    /// Returns how the sessions stand, counters included up to a second ago.
    pub fn sessions(&self) -> Sessions {
        self.sessions.borrow().clone()
    }

    /// Returns whether there is to be no session.
    pub fn wants_none(&self) -> bool {
        self.wanted.borrow().is_empty()
    }

    /// Wants all sessions taken down on purpose.
    pub fn disable(&mut self) {
        self.disabled = true;
    }

    /// Wants the sessions that follow from the devices.
    pub fn want<'a>(&mut self, devices: impl Iterator<Item = DeviceFacts<'a>>) {
        let sessions = self.sessions.borrow();
        let before = self.wanted.borrow().clone();
        let wanted: WantedSessions = devices
            .filter_map(|facts| {
                let id = facts.interface.id();
                let mut wanted = wanted(&facts, before.get(&id), sessions.get(&id))?;
                wanted.disabled = self.disabled;
                Some((id, wanted))
            })
            .collect();
        self.wanted.send_if_modified(|sent| {
            let is_changed = *sent != wanted;
            *sent = wanted;
            is_changed
        });
    }

    /// Returns what the engines are to be told now.
    pub fn verdicts(&mut self) -> Vec<(InterfaceId, Reachability)> {
        let sessions = self.sessions.borrow_and_update();
        let said =
            |id: &InterfaceId| sessions.get(id).map_or(Reachability::Reachable, |one| one.reachability);
        let verdicts = sessions.keys().chain(self.told.keys()).filter_map(|id| {
            let told = self.told.get(id).copied().unwrap_or_default();
            (told != said(id)).then(|| (*id, said(id)))
        });
        let verdicts: BTreeMap<_, _> = verdicts.collect();
        drop(sessions);
        self.told.extend(&verdicts);
        self.told.retain(|_, reachability| *reachability != Reachability::Reachable);
        verdicts.into_iter().collect()
    }

    /// Takes in that the engines take the far end of a link for reachable because its device went up or down.
    pub fn handle_device(&mut self, id: InterfaceId) {
        self.told.remove(&id);
    }
}

/// Returns the session that a device is to have: one begins when OSPF hears a neighbor, and lasts as long as that or the
/// session itself has something to say.
fn wanted(facts: &DeviceFacts<'_>, before: Option<&Wanted>, session: Option<&SessionView>) -> Option<Wanted> {
    let DeviceFacts { interface, is_up, neighbor } = *facts;
    let bfd = interface.bfd?;
    let source = interface.link_local()?;
    let has_say = session.is_some_and(|session| {
        matches!(session.state, SessionState::Init | SessionState::Up)
            || session.reachability == Reachability::Unreachable
    });
    let kept = before.filter(|_| has_say || !is_up).map(|before| before.config.remote);
    let config = SessionConfig {
        interface: interface.id(),
        name: interface.name.clone(),
        remote: neighbor.or(kept)?,
        interval: bfd.interval,
        detect_mult: bfd.multiplier,
    };
    Some(Wanted { config, ifindex: interface.ifindex, source, path_is_up: is_up, disabled: false })
}
