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
    /// Whether there is an adjacency with it, or one has begun.
    pub is_begun: bool,
    /// Whether the link flaps and is left alone by the engines.
    pub is_left_alone: bool,
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

/// Returns the session that a device is to have: one begins with an adjacency, and lasts as long as the neighbor is heard or the
/// session itself has something to say; a link that is left alone has one only while it is found to be of no use.
fn wanted(facts: &DeviceFacts<'_>, before: Option<&Wanted>, session: Option<&SessionView>) -> Option<Wanted> {
    let DeviceFacts { interface, is_up, neighbor, is_begun, is_left_alone } = *facts;
    let bfd = interface.bfd?;
    let source = interface.link_local()?;
    let is_unreachable = session.is_some_and(|session| session.reachability == Reachability::Unreachable);
    let is_kept = if is_left_alone {
        is_unreachable
    } else {
        let is_spoken =
            session.is_some_and(|session| matches!(session.state, SessionState::Init | SessionState::Up));
        is_unreachable || is_spoken || !is_up
    };
    let neighbor = neighbor.filter(|_| !is_left_alone && (is_begun || before.is_some()));
    let kept = before.filter(|_| is_kept).map(|before| before.config.remote);
    let config = SessionConfig {
        interface: interface.id(),
        name: interface.name.clone(),
        remote: neighbor.or(kept)?,
        interval: bfd.interval,
        detect_mult: bfd.multiplier,
    };
    Some(Wanted { config, ifindex: interface.ifindex, source, path_is_up: is_up, disabled: false })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::time::Duration;

    use super::*;
    use crate::bfd::packet::Diagnostic;
    use crate::bfd::refusal::Refusals;
    use crate::config::{InterfaceConfig, InterfaceKind, PointToPointConfig};
    use crate::driver::BfdConfig;
    use crate::ids::Cost;
    use crate::time::Instant;

    const OURS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const THEIRS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

    fn interface() -> DeviceInterface {
        let config = InterfaceConfig {
            id: InterfaceId(2),
            name: "wire0".to_owned(),
            prefixes: Vec::new(),
            kind: InterfaceKind::PointToPoint(PointToPointConfig {
                cost: Cost::new(10).unwrap(),
                hello_interval: Duration::from_secs(10),
                dead_interval: Duration::from_secs(40),
                rxmt_interval: Duration::from_secs(5),
                inf_trans_delay: Duration::from_secs(1),
                mtu: 1500,
                link_local: OURS,
                neighbor: None,
                ipv4_address: None,
                authentication: Vec::new(),
            }),
        };
        let bfd = BfdConfig { interval: Duration::from_millis(300), multiplier: NonZeroU8::new(3).unwrap() };
        DeviceInterface {
            ifindex: 7,
            name: "wire0".to_owned(),
            ipv6: config.clone(),
            ipv4: config,
            bfd: Some(bfd),
        }
    }

    fn view(config: SessionConfig, state: SessionState, reachability: Reachability) -> SessionView {
        SessionView {
            config,
            state,
            since: Instant::ORIGIN,
            remote_state: state,
            reachability,
            was_up: true,
            ups: 1,
            diagnostic: Diagnostic::None,
            remote_diagnostic: Diagnostic::None,
            transmit_interval: None,
            detection_time: Duration::ZERO,
            is_asking: false,
            sent: 0,
            received: 0,
            refusals: Refusals::new(),
        }
    }

    #[test]
    fn a_session_begins_with_an_adjacency_and_ends_where_a_link_is_left_alone() {
        let interface = interface();
        let facts = |is_up, is_left_alone| DeviceFacts {
            interface: &interface,
            is_up,
            neighbor: None,
            is_begun: false,
            is_left_alone,
        };
        let heard = |is_begun, is_left_alone| DeviceFacts {
            neighbor: Some(THEIRS),
            is_begun,
            ..facts(true, is_left_alone)
        };
        assert_eq!(wanted(&facts(true, false), None, None), None, "nobody is there");
        assert_eq!(wanted(&heard(false, false), None, None), None, "it is only heard");
        assert_eq!(wanted(&heard(false, true), None, None), None);
        let begun = wanted(&heard(true, false), None, None).unwrap();
        assert_eq!(wanted(&heard(false, false), Some(&begun), None).as_ref(), Some(&begun), "it may restart");
        assert_eq!(wanted(&heard(false, true), Some(&begun), None), None);
        assert_eq!((begun.config.remote, begun.source, begun.path_is_up), (THEIRS, OURS, true));

        let session = |state, reachability| view(begun.config.clone(), state, reachability);
        let is_kept = |is_up, is_left_alone, state, reachability| {
            let session = session(state, reachability);
            let kept = wanted(&facts(is_up, is_left_alone), Some(&begun), Some(&session));
            assert!(kept.as_ref().is_none_or(|kept| kept.config == begun.config && kept.path_is_up == is_up));
            kept.is_some()
        };
        let (reached, unreached) = (Reachability::Reachable, Reachability::Unreachable);
        for state in [SessionState::Init, SessionState::Up] {
            assert!(is_kept(true, false, state, reached), "it speaks");
            assert!(!is_kept(true, true, state, reached), "nobody asks what it says");
        }
        assert!(!is_kept(true, false, SessionState::Down, reached), "it has nothing to say");
        assert!(is_kept(true, false, SessionState::Down, unreached), "what holds until it says otherwise");
        assert!(is_kept(true, true, SessionState::Down, unreached), "what holds until it says otherwise");
        assert!(is_kept(false, false, SessionState::Down, reached), "the device may come back");
        assert!(!is_kept(false, true, SessionState::Down, reached), "it comes back and goes again");
    }
}
