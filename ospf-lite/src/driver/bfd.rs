//! The BFD shell: a thread of its own with the sessions and their sockets, so that nothing else makes a packet late.
//!
//! What is wanted comes in whole, and how the sessions stand goes out whole, each as the latest value only: a slow reader
//! misses what has been overtaken, never what holds.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::Ipv6Addr;
use std::ops::Bound;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::alarm::Alarm;
use super::bfd_socket::{BfdSocket, EchoSocket};
use super::clock::Clock;
use super::ospf_socket::OpenError;
use crate::bfd::Bfd;
use crate::bfd::io::{Content, Event, Received, SessionConfig, SessionEvent, SessionView, Transmit};
use crate::ids::InterfaceId;
use crate::time::Instant;

/// How long after a failure a socket is opened again.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);
/// How old the counters in the published sessions may become while packets come.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// Packets taken from one session before the others and the timers get their turn.
const RECEIVE_BURST_MAX: usize = 16;
/// Packets that are taken at once of those that were set aside: more than the socket holds, so that none is left behind what
/// comes after it.
const ASIDE_MAX: usize = 1024;
/// Longer than any Control packet.
const PACKET_MAX: usize = 512;
/// The thread's nice value: it needs little time, but at once.
const NICE: i32 = -20;

/// A session that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub config: SessionConfig,
    /// The kernel's index of the device.
    pub ifindex: u32,
    /// The link-local address to send from.
    pub source: Ipv6Addr,
    /// Whether the device can carry packets.
    pub path_is_up: bool,
    /// Whether it is to be taken down on purpose.
    pub disabled: bool,
}

/// Every session that is wanted.
pub(super) type WantedSessions = BTreeMap<InterfaceId, Wanted>;
/// How the sessions stand.
pub(super) type Sessions = BTreeMap<InterfaceId, SessionView>;

/// Starts the thread in the caller's network namespace. It ends when the sender is dropped, after taking all sessions down.
pub(super) fn spawn(
    clock: Clock,
    seed: u64,
) -> io::Result<(watch::Sender<WantedSessions>, watch::Receiver<Sessions>)> {
    let (wanted_in, wanted) = watch::channel(WantedSessions::new());
    let (sessions, sessions_out) = watch::channel(Sessions::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let shell = Shell {
        clock,
        alarm: Alarm::new(clock),
        bfd: Bfd::new(seed),
        wanted,
        sessions,
        ends: BTreeMap::new(),
        buffer: vec![0; PACKET_MAX],
        served: InterfaceId(0),
        published: Instant::ORIGIN,
        looked: Instant::ORIGIN,
    };
    std::thread::Builder::new().name("dlan-bfd".to_owned()).spawn(move || {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "BFD runs with ordinary priority");
        }
        runtime.block_on(shell.run());
    })?;
    Ok((wanted_in, sessions_out))
}

/// A session as the shell sees it: what is wanted, and its sockets.
#[derive(Debug)]
struct End {
    wanted: Wanted,
    socket: Option<BfdSocket>,
    /// Open only while the far kernel is asked.
    echo: Option<EchoSocket>,
    reopen_at: Option<Instant>,
}

impl End {
    fn ensure_socket(&mut self, now: Instant) {
        if !self.wanted.path_is_up {
            self.socket = None;
            self.echo = None;
            self.reopen_at = None;
            return;
        }
        if self.socket.is_some() || self.reopen_at.is_some_and(|at| at > now) {
            return;
        }
        let Wanted { config, ifindex, source, .. } = &self.wanted;
        let socket = BfdSocket::open(&config.name, *ifindex, *source, config.interface.0);
        self.reopen_at = socket.is_err().then(|| now + REOPEN_INTERVAL);
        self.socket = noted(socket);
    }

    fn send(&mut self, transmit: &Transmit) -> io::Result<()> {
        match (&transmit.content, &self.socket) {
            (Content::Control(octets), Some(socket)) => socket.send(transmit.destination, octets),
            (Content::Control(_), None) => Ok(()),
            (Content::Echo(echo), _) => {
                if self.echo.is_none() {
                    self.echo = noted(EchoSocket::open(&self.wanted.config.name, self.wanted.ifindex));
                }
                self.echo.as_ref().map_or(Ok(()), |socket| socket.send(transmit.destination, *echo))
            }
        }
    }
}

fn noted<T>(opened: Result<T, OpenError>) -> Option<T> {
    opened.map_err(|error| tracing::warn!(error = &error as &dyn std::error::Error, "no BFD socket")).ok()
}

struct Shell {
    clock: Clock,
    alarm: Alarm,
    bfd: Bfd,
    wanted: watch::Receiver<WantedSessions>,
    sessions: watch::Sender<Sessions>,
    ends: BTreeMap<InterfaceId, End>,
    buffer: Vec<u8>,
    /// The session that was read last: the next one has the next turn.
    served: InterfaceId,
    published: Instant,
    /// When it was last looked at what had been set aside.
    looked: Instant,
}

enum Wake {
    Wanted,
    NothingWanted,
    Readable(InterfaceId),
    Timeout,
}

impl Shell {
    async fn run(mut self) {
        loop {
            self.handle_timeouts();
            self.pump();
            match self.wait().await {
                Wake::Wanted => self.handle_wanted(),
                Wake::NothingWanted => return self.end(),
                Wake::Readable(id) => self.receive(id),
                Wake::Timeout => {}
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let reopen = self.ends.values().filter_map(|end| end.reopen_at).min();
        let deadline = [self.bfd.poll_timeout(), reopen].into_iter().flatten().min();
        let (ends, served) = (&self.ends, self.served);
        tokio::select! {
            changed = self.wanted.changed() => if changed.is_ok() { Wake::Wanted } else { Wake::NothingWanted },
            id = readable(ends, served) => Wake::Readable(id),
            () = self.alarm.wait_until(deadline) => Wake::Timeout,
        }
    }

    /// Does what is due; packets that have arrived before are taken first, so that this thread's own lateness is no failure
    /// of the far end.
    fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        if self.bfd.poll_timeout().is_some_and(|at| at <= now) {
            let ids: Vec<_> = self.ends.keys().copied().collect();
            ids.into_iter().for_each(|id| self.receive_from(id, BfdSocket::receive_aside, ASIDE_MAX));
            self.looked = now;
            let overdue: Vec<_> = self.bfd.overdue(now).collect();
            overdue
                .into_iter()
                .for_each(|id| self.receive_from(id, BfdSocket::receive_directly, RECEIVE_BURST_MAX));
            self.bfd.handle_timeout(self.clock.now());
        }
        for end in self.ends.values_mut().filter(|end| end.reopen_at.is_some_and(|at| at <= now)) {
            end.reopen_at = None;
            end.ensure_socket(now);
        }
    }

    /// Makes the sessions those that are wanted.
    fn handle_wanted(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let now = self.clock.now();
        let gone: Vec<_> = self.ends.keys().filter(|id| !wanted.contains_key(id)).copied().collect();
        for id in gone {
            if let Some(end) = self.ends.get_mut(&id) {
                end.wanted.disabled = true;
            }
            self.bfd.handle_session(now, SessionEvent::Removed(id));
        }
        for (id, wanted) in wanted {
            self.handle_one_wanted(now, id, wanted);
        }
    }

    fn handle_one_wanted(&mut self, now: Instant, id: InterfaceId, wanted: Wanted) {
        let had = self.ends.get(&id).map(|end| end.wanted.clone());
        if had.as_ref() == Some(&wanted) && self.bfd.session(id).is_some() {
            return;
        }
        let end = self.ends.entry(id).or_insert_with(|| End {
            wanted: wanted.clone(),
            socket: None,
            echo: None,
            reopen_at: None,
        });
        let is_another_device = had.is_some_and(|had| {
            (had.ifindex, had.source, had.config.name)
                != (wanted.ifindex, wanted.source, wanted.config.name.clone())
        });
        if is_another_device {
            (end.socket, end.echo) = (None, None);
        }
        end.wanted = wanted.clone();
        end.ensure_socket(now);
        if wanted.disabled {
            self.bfd.handle_session(now, SessionEvent::Disabled(id));
        } else {
            self.bfd.handle_session(now, SessionEvent::Configured(wanted.config));
        }
        let path = if wanted.path_is_up { SessionEvent::PathUp(id) } else { SessionEvent::PathDown(id) };
        self.bfd.handle_session(now, path);
    }

    fn receive(&mut self, id: InterfaceId) {
        self.served = id;
        // First what came before.
        self.receive_from(id, BfdSocket::receive_aside, ASIDE_MAX);
        self.receive_from(id, BfdSocket::receive, RECEIVE_BURST_MAX);
        let now = self.clock.now();
        let Some(End { wanted, echo: Some(echo), .. }) = self.ends.get(&id) else { return };
        for _ in 0..RECEIVE_BURST_MAX {
            let Ok(Some((source, reply))) = echo.receive() else { return };
            if let Some(reply) = reply.filter(|_| source == wanted.config.remote) {
                self.bfd.handle_reply(now, id, reply);
            }
        }
    }

    fn receive_from(
        &mut self,
        id: InterfaceId,
        receive: fn(&BfdSocket, &mut [u8]) -> io::Result<Option<super::bfd_socket::ControlArrival>>,
        count: usize,
    ) {
        for _ in 0..count {
            let Some(end) = self.ends.get_mut(&id) else { return };
            let Some(socket) = &mut end.socket else { return };
            let arrival = match receive(socket, &mut self.buffer) {
                Ok(Some(arrival)) => arrival,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(device = %end.wanted.config.name, %error, "BFD socket failed");
                    end.socket = None;
                    end.reopen_at = Some(self.clock.now() + REOPEN_INTERVAL);
                    return;
                }
            };
            let octets = self.buffer.get(..arrival.length).unwrap_or_default();
            let age = self.clock.age(arrival.stamp, self.looked);
            let received = Received { interface: id, hop_limit: arrival.hop_limit, age, octets };
            let is_accepted = self.bfd.handle_packet(self.clock.now(), &received).is_none();
            let noted = match arrival.stamp {
                None if is_accepted => socket.hear(octets, self.bfd.is_settled(id)),
                // Who sends them is not the far end alone: they are looked at as they come again.
                Some(_) if !is_accepted => socket.forget(),
                _ => Ok(()),
            };
            tell(end, noted);
        }
    }

    /// Has all packets of the sessions wake the thread up again that wait for something else than that the far end stays alive.
    fn forget_repetitions(&mut self) {
        for (id, end) in &mut self.ends {
            let socket = end.socket.as_mut().filter(|socket| socket.is_setting_aside());
            if let Some(socket) = socket.filter(|_| !self.bfd.is_settled(*id)) {
                let noted = socket.forget();
                tell(end, noted);
            }
        }
    }

    /// Sends what is to be sent, and publishes how the sessions stand when that has changed.
    fn pump(&mut self) {
        self.transmit();
        self.forget_repetitions();
        let mut is_changed = false;
        while let Some(event) = self.bfd.poll_event() {
            is_changed = true;
            if let Event::Ended(id) = event {
                self.ends.remove(&id);
            }
        }
        for (id, end) in self.ends.iter_mut().filter(|(_, end)| end.echo.is_some()) {
            if !self.bfd.session(*id).is_some_and(|session| session.is_asking) {
                end.echo = None;
            }
        }
        let now = self.clock.now();
        if is_changed || now.since(self.published) >= PUBLISH_INTERVAL {
            self.published = now;
            let sessions: Sessions =
                self.bfd.sessions().map(|session| (session.config.interface, session)).collect();
            // Counters alone wake nobody.
            self.sessions.send_if_modified(|published| {
                *published = sessions;
                is_changed
            });
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.bfd.poll_transmit() {
            let Some(end) = self.ends.get_mut(&transmit.interface) else { continue };
            if let Err(error) = end.send(&transmit) {
                // A packet that the kernel does not take is like a lost one.
                tracing::debug!(device = %end.wanted.config.name, %error, "BFD packet not sent");
            }
        }
    }

    /// Tells every far end that this router's BFD ends on purpose.
    fn end(&mut self) {
        let now = self.clock.now();
        let ids: Vec<_> = self.ends.keys().copied().collect();
        ids.into_iter().for_each(|id| self.bfd.handle_session(now, SessionEvent::Disabled(id)));
        self.transmit();
    }
}

/// Without it packets wake the thread up as ever.
fn tell(end: &End, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(device = %end.wanted.config.name, %error, "BFD packets are not set aside");
    }
}

/// Waits until a session has a packet or an answer; the sessions after the one served last come first.
async fn readable(ends: &BTreeMap<InterfaceId, End>, served: InterfaceId) -> InterfaceId {
    poll_fn(|cx| {
        let after = ends.range((Bound::Excluded(served), Bound::Unbounded));
        for (id, end) in after.chain(ends.range(..=served)) {
            let has_packet = end.socket.as_ref().is_some_and(|socket| socket.poll_readable(cx).is_ready());
            if has_packet || end.echo.as_ref().is_some_and(|socket| socket.poll_readable(cx).is_ready()) {
                return Poll::Ready(*id);
            }
        }
        Poll::Pending
    })
    .await
}
