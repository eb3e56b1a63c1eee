//! The tokio shell: one task that owns an engine per family and a raw socket per device, and a thread for BFD.

mod alarm;
mod bfd;
mod bfd_socket;
mod budget;
mod clock;
mod device;
mod handle;
mod ospf_socket;
mod pending;
mod repetition;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::ops::Bound;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;

pub use alarm::Alarm;
pub use clock::Clock;
pub use device::{BfdConfig, DeviceInterface, SocketCounters};
pub use handle::{DriverEnded, DriverEvent, DriverHandle, Engines};
pub use ospf_socket::{Arrival, OpenError, OspfSocket};

use crate::config::Config;
use crate::engine::Engine;
use crate::ids::{Family, InterfaceId};
use crate::io::{Event, InterfaceEvent, Received};
use crate::ospf::neighbor::NeighborState;
use crate::time::Instant;
use device::Device;
use handle::Command;
use pending::Pending;
use sessions::{DeviceFacts, SessionFeed};

/// Commands that wait for the driver; a caller beyond them waits.
const COMMANDS_MAX: usize = 64;
/// Events that wait in the reader's channel; beyond them the driver keeps them, see [`Pending`].
const EVENTS_MAX: usize = 64;
/// Packets taken from one device before the others, the timers and the commands get their turn.
const RECEIVE_BURST_MAX: usize = 32;
/// Packets that are taken at once of those that were set aside: more than the sockets hold, so that none is left behind what
/// comes after it.
const ASIDE_MAX: usize = 1024;
/// How long what wakes nobody up waits at least before it is looked at, unless a neighbor counts as dead without.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The longest OSPF packet that IPv6 carries without a jumbo payload.
const PACKET_MAX: usize = 65_535;
/// Where the OSPF header has the Instance ID (RFC 5340 appendix A.3.1).
const INSTANCE_ID_OFFSET: usize = 14;

/// What a driver is started with.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// The engine of the IPv6 family.
    pub ipv6: Config,
    /// The engine of the IPv4 family.
    pub ipv4: Config,
    /// Where the engines' randomness comes from; another one at each start.
    pub seed: u64,
}

/// Starts a driver in the current tokio runtime. It ends when the last handle is dropped.
pub fn spawn(config: DriverConfig) -> (DriverHandle, mpsc::Receiver<DriverEvent>) {
    let clock = Clock::start();
    let now = clock.now();
    let (commands_in, commands) = mpsc::channel(COMMANDS_MAX);
    let (events, events_out) = mpsc::channel(EVENTS_MAX);
    let bfd = bfd::spawn(clock, config.seed.rotate_left(32));
    let bfd = bfd.inspect_err(|error| tracing::error!(%error, "no BFD: its thread cannot be started")).ok();
    let sessions = bfd.as_ref().map(|(_, sessions)| sessions.clone());
    let driver = Driver {
        clock,
        alarm: Alarm::new(clock),
        engines: Engines {
            ipv6: Engine::new(config.ipv6, now, config.seed),
            ipv4: Engine::new(config.ipv4, now, !config.seed),
            now,
            devices: BTreeMap::new(),
            bfd: bfd.map(|(wanted, sessions)| SessionFeed::new(wanted, sessions)),
        },
        sessions_due: false,
        commands,
        events: Some(events),
        pending: Pending::default(),
        buffer: vec![0; PACKET_MAX],
        served: InterfaceId(0),
        looked: now,
    };
    tokio::spawn(driver.run());
    (DriverHandle::new(commands_in, sessions), events_out)
}

/// Returns the family whose engine serves an Instance ID (RFC 5838 section 2.1).
fn family_of_instance(instance_id: u8) -> Option<Family> {
    match instance_id {
        0..=31 => Some(Family::Ipv6),
        64..=95 => Some(Family::Ipv4),
        _ => None,
    }
}

/// Returns a Hello without what follows it: an authentication trailer is another one each time (RFC 5340 appendix A.3.2).
fn hello_of(packet: &[u8]) -> Option<&[u8]> {
    match packet {
        [_, 1, high, low, ..] => packet.get(..u16::from_be_bytes([*high, *low]).into()),
        _ => None,
    }
}

struct Driver {
    clock: Clock,
    alarm: Alarm,
    engines: Engines,
    /// Whether other BFD sessions may be wanted.
    sessions_due: bool,
    commands: mpsc::Receiver<Command>,
    /// Nothing once the reader has gone away.
    events: Option<mpsc::Sender<DriverEvent>>,
    pending: Pending,
    buffer: Vec<u8>,
    /// The device that was read last: the next one has the next turn.
    served: InterfaceId,
    /// When it was last looked at what wakes nobody up.
    looked: Instant,
}

/// How a packet is taken out of a socket into a buffer.
type Receive = fn(&OspfSocket, &mut [u8]) -> io::Result<Option<Arrival>>;

enum Wake {
    Command(Option<Command>),
    Readable(InterfaceId),
    Sessions,
    Timeout,
    RoomForEvents,
}

impl Driver {
    async fn run(mut self) {
        loop {
            self.engines.now = self.clock.now();
            // What was said before a change must not be taken in after it.
            self.collect_events();
            self.handle_timeouts();
            self.transmit();
            self.leave_alone();
            self.raise_events();
            self.want_sessions();
            match self.wait().await {
                Wake::Command(None) => return,
                Wake::Command(Some(command)) => self.handle_command(command),
                Wake::Readable(id) => {
                    self.served = id;
                    // First what came before.
                    self.receive_aside(id);
                    self.receive(id, OspfSocket::receive, RECEIVE_BURST_MAX);
                }
                Wake::Sessions => self.handle_sessions(),
                Wake::Timeout | Wake::RoomForEvents => {}
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let deadline = self.next_deadline();
        let Engines { devices, bfd, now, .. } = &mut self.engines;
        let (devices, served, now) = (&*devices, self.served, *now);
        let has_pending = !self.pending.is_empty();
        tokio::select! {
            () = changed(bfd.as_mut()) => Wake::Sessions,
            command = self.commands.recv() => Wake::Command(command),
            id = readable(devices, served, now) => Wake::Readable(id),
            () = self.alarm.wait_until(deadline) => Wake::Timeout,
            () = room(self.events.as_ref()), if has_pending => Wake::RoomForEvents,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let engines = [self.engines.ipv6.poll_timeout(), self.engines.ipv4.poll_timeout()];
        let devices = self.engines.devices.values();
        let devices = devices.flat_map(|device| [device.reopen_at(), device.paused_until(self.engines.now)]);
        engines.into_iter().chain(devices).flatten().min()
    }

    fn handle_timeouts(&mut self) {
        let now = self.engines.now;
        let families = [Family::Ipv6, Family::Ipv4];
        let is_due = |family| self.engines.of(family).poll_timeout().is_some_and(|at| at <= now);
        if families.into_iter().any(is_due) {
            self.look_aside();
            let now = self.engines.now;
            // Both: what one may send early spares a wake-up.
            families.into_iter().for_each(|family| self.engines.of_mut(family).handle_timeout(now));
        }
        let due = |device: &Device| device.reopen_at().is_some_and(|at| at <= now);
        let ids: Vec<_> =
            self.engines.devices.iter().filter(|(_, device)| due(device)).map(|(id, _)| *id).collect();
        for id in ids {
            self.ensure_socket(id);
        }
    }

    /// Takes in, if it is time to, what wakes nobody up: Hellos that were set aside, and what came over links left alone, so that
    /// it is known who is there when one is taken up.
    fn look_aside(&mut self) {
        let Engines { ipv6, ipv4, devices, now, .. } = &self.engines;
        let is_time = now.since(self.looked) >= LOOK_INTERVAL;
        if is_time || ipv6.is_overdue(*now) || ipv4.is_overdue(*now) {
            let (now, ids): (_, Vec<_>) = (*now, devices.keys().copied().collect());
            for id in ids {
                if self.engines.devices.get(&id).is_some_and(|device| device.is_left_alone) {
                    self.receive(id, OspfSocket::receive_directly, RECEIVE_BURST_MAX);
                } else {
                    self.receive_aside(id);
                }
            }
            self.looked = now;
        }
    }

    fn handle_command(&mut self, command: Command) {
        self.engines.now = self.clock.now();
        self.sessions_due |= command.is_about_devices();
        match command {
            Command::Configure(interface) => self.configure(*interface),
            Command::Remove(id) => {
                if self.engines.devices.remove(&id).is_some_and(|device| device.is_left_alone) {
                    self.tell_left_alone();
                }
                self.handle_interface(&InterfaceEvent::Removed(id));
            }
            Command::Up(id) => {
                self.discard_unheard(id);
                self.set_up(id, true);
                self.forget_verdict(id);
                self.handle_interface(&InterfaceEvent::Up(id));
            }
            Command::Down(id) => {
                self.handle_interface(&InterfaceEvent::Down(id));
                self.transmit();
                self.set_up(id, false);
                self.forget_verdict(id);
            }
            Command::DisableBfd => {
                if let Some(bfd) = &mut self.engines.bfd {
                    bfd.disable();
                }
            }
            Command::Leave(leaving) => {
                let now = self.engines.now;
                self.engines.ipv6.handle_leaving(now, leaving);
                self.engines.ipv4.handle_leaving(now, leaving);
            }
            Command::Private(family, content) => {
                let now = self.engines.now;
                self.engines.of_mut(family).handle_private(now, content);
            }
            Command::Installed => {
                let now = self.engines.now;
                self.engines.ipv6.handle_installed(now);
                self.engines.ipv4.handle_installed(now);
            }
            Command::StubRouter(is_stub) => {
                let now = self.engines.now;
                self.engines.ipv6.handle_stub_router(now, is_stub);
                self.engines.ipv4.handle_stub_router(now, is_stub);
            }
            Command::Inspect(question) => question(&self.engines),
        }
    }

    fn configure(&mut self, interface: DeviceInterface) {
        let now = self.engines.now;
        let id = interface.id();
        self.engines.ipv6.handle_interface(now, InterfaceEvent::Configured(interface.ipv6.clone()));
        self.engines.ipv4.handle_interface(now, InterfaceEvent::Configured(interface.ipv4.clone()));
        match self.engines.devices.get_mut(&id) {
            Some(device) => device.reconfigure(interface),
            None => {
                self.engines.devices.insert(id, Device::new(interface));
            }
        }
        self.ensure_socket(id);
    }

    fn set_up(&mut self, id: InterfaceId, up: bool) {
        if let Some(device) = self.engines.devices.get_mut(&id) {
            device.set_up(up);
        }
        self.ensure_socket(id);
    }

    fn handle_interface(&mut self, event: &InterfaceEvent) {
        let now = self.engines.now;
        for family in [Family::Ipv6, Family::Ipv4] {
            self.engines.of_mut(family).handle_interface(now, event.clone());
        }
    }

    /// Tells the engines what BFD has found out.
    fn handle_sessions(&mut self) {
        self.engines.now = self.clock.now();
        self.sessions_due = true;
        let verdicts = self.engines.bfd.as_mut().map(SessionFeed::verdicts).unwrap_or_default();
        for (interface, reachability) in verdicts {
            self.handle_interface(&InterfaceEvent::Reachability { interface, reachability });
        }
    }

    fn forget_verdict(&mut self, id: InterfaceId) {
        if let Some(bfd) = &mut self.engines.bfd {
            bfd.handle_device(id);
        }
    }

    /// Listens no more to devices whose links flap and are left alone than it takes to know who is there: what they say has to wait,
    /// and nobody wakes up for it.
    fn leave_alone(&mut self) {
        let Engines { ipv6, ipv4, devices, .. } = &mut self.engines;
        let (mut is_changed, mut failed) = (false, Vec::new());
        for (id, device) in &mut *devices {
            let is_left_alone = ipv6.is_left_alone(*id) && ipv4.is_left_alone(*id);
            is_changed |= is_left_alone != device.is_left_alone;
            if let Err(error) = device.leave_alone(is_left_alone) {
                failed.push((*id, error));
            }
        }
        if is_changed {
            self.sessions_due = true;
            self.tell_left_alone();
        }
        failed.into_iter().for_each(|(id, error)| self.abandon_socket(id, error));
    }

    fn tell_left_alone(&mut self) {
        let left_alone = self.engines.devices.iter().filter(|(_, device)| device.is_left_alone);
        self.pending.push(DriverEvent::LeftAlone(left_alone.map(|(id, _)| *id).collect()));
    }

    /// Wants the BFD sessions that follow from devices and neighbors, if these may have changed.
    fn want_sessions(&mut self) {
        if !std::mem::take(&mut self.sessions_due) {
            return;
        }
        let Engines { ipv6, ipv4, devices, bfd, .. } = &mut self.engines;
        let Some(bfd) = bfd else { return };
        if bfd.wants_none() && devices.values().all(|device| device.interface.bfd.is_none()) {
            return;
        }
        let neighbors = || ipv4.neighbors().chain(ipv6.neighbors());
        let heard: BTreeMap<_, _> = neighbors().map(|one| (one.interface, one.link_local)).collect();
        let begun = neighbors().filter(|one| one.state > NeighborState::TwoWay);
        let begun: BTreeSet<_> = begun.map(|one| one.interface).collect();
        bfd.want(devices.iter().map(|(id, device)| DeviceFacts {
            interface: &device.interface,
            is_up: device.is_up(),
            neighbor: heard.get(id).copied(),
            is_begun: begun.contains(id),
            is_left_alone: device.is_left_alone,
        }));
    }

    /// Drops what was not listened to before the link was lost: it says nothing of who is there now.
    fn discard_unheard(&mut self, id: InterfaceId) {
        let device = self.engines.devices.get(&id).filter(|device| device.is_left_alone);
        if let Some(socket) = device.and_then(|device| device.socket.as_ref()) {
            for _ in 0..RECEIVE_BURST_MAX {
                if !matches!(socket.receive_directly(&mut self.buffer), Ok(Some(_))) {
                    return;
                }
            }
        }
    }

    fn ensure_socket(&mut self, id: InterfaceId) {
        let Some(device) = self.engines.devices.get_mut(&id) else { return };
        if let Err(error) = device.ensure_socket(self.engines.now) {
            self.pending.push(DriverEvent::SocketNotOpened(id, error));
        }
    }

    /// Takes in the Hellos of a device that were set aside.
    fn receive_aside(&mut self, id: InterfaceId) {
        let has_aside = |device: &Device| device.socket.as_ref().is_some_and(OspfSocket::has_aside);
        if !self.engines.devices.get(&id).is_some_and(has_aside) {
            return;
        }
        let are_taken = self.receive(id, OspfSocket::receive_aside, ASIDE_MAX);
        if let Some(device) = self.engines.devices.get_mut(&id).filter(|_| !are_taken) {
            // Who sends them is not the neighbor alone: they are looked at as they come again.
            [Family::Ipv6, Family::Ipv4].into_iter().for_each(|family| device.forget_repetitions(family));
        }
    }

    /// Takes in what waits in a device's socket, so many packets at most; returns whether none was refused.
    fn receive(&mut self, id: InterfaceId, receive: Receive, count: usize) -> bool {
        let mut are_taken = true;
        self.engines.now = self.clock.now();
        for _ in 0..count {
            let began = self.engines.now;
            let Some(device) = self.engines.devices.get_mut(&id) else { break };
            if device.budget.is_paused(began) {
                device.counters.pauses += 1;
                break;
            }
            let Some(socket) = &device.socket else { break };
            let arrival = match receive(socket, &mut self.buffer) {
                Ok(Some(arrival)) => arrival,
                Ok(None) => break,
                Err(error) => {
                    self.abandon_socket(id, error);
                    break;
                }
            };
            let is_taken = self.take(id, arrival);
            are_taken &= is_taken;
            self.engines.now = self.clock.now();
            let now = self.engines.now;
            if let Some(device) = self.engines.devices.get_mut(&id).filter(|_| !is_taken) {
                device.budget.charge(now, now.since(began));
            }
        }
        are_taken
    }

    /// Hands what has arrived in the buffer to the engine it is for; returns whether it was taken.
    fn take(&mut self, id: InterfaceId, arrival: Arrival) -> bool {
        let Some(device) = self.engines.devices.get_mut(&id) else { return false };
        let octets = self.buffer.get(..arrival.length).unwrap_or_default();
        let family = octets.get(INSTANCE_ID_OFFSET).copied().and_then(family_of_instance);
        let Some(family) = family else {
            device.counters.foreign_instance += 1;
            return false;
        };
        if !arrival.is_plausible() {
            device.counters.implausible += 1;
            return false;
        }
        device.counters.received += 1;
        let received = Received {
            interface: id,
            source: arrival.source,
            destination: arrival.destination,
            age: self.clock.age(arrival.stamp(), self.looked),
            octets: octets.to_vec(),
        };
        let now = self.clock.now();
        let engine = self.engines.of_mut(family);
        let is_accepted = engine.handle_packet(now, &received).is_none();
        let is_settled = engine.is_settled_with(id);
        let is_heard = is_accepted && arrival.stamp().is_none();
        if let (Some(device), Some(hello)) =
            (self.engines.devices.get_mut(&id), hello_of(&received.octets).filter(|_| is_heard))
        {
            device.hear(family, (hello, received.source), is_settled);
        }
        is_accepted
    }

    fn transmit(&mut self) {
        for family in [Family::Ipv6, Family::Ipv4] {
            while let Some(transmit) = self.engines.of_mut(family).poll_transmit() {
                let id = transmit.interface;
                let Some(device) = self.engines.devices.get_mut(&id) else { continue };
                if let Err(error) = device.send(family, transmit.destination, &transmit.octets) {
                    self.abandon_socket(id, error);
                }
            }
        }
    }

    fn abandon_socket(&mut self, id: InterfaceId, error: io::Error) {
        if let Some(device) = self.engines.devices.get_mut(&id) {
            device.abandon_socket(self.engines.now);
            tracing::warn!(device = %device.interface.name, %error, "socket failed");
        }
        self.pending.push(DriverEvent::SocketFailed(id, error));
    }

    /// Takes what the engines have to tell; a neighbor that has changed must be heard again before it says nothing new.
    fn collect_events(&mut self) {
        for family in [Family::Ipv6, Family::Ipv4] {
            while let Some(event) = self.engines.of_mut(family).poll_event() {
                if let Event::NeighborChanged { interface, .. } = &event {
                    self.sessions_due = true;
                    if let Some(device) = self.engines.devices.get_mut(interface) {
                        device.forget_repetitions(family);
                    }
                }
                self.pending.push(DriverEvent::Engine(family, event));
            }
        }
    }

    fn raise_events(&mut self) {
        self.collect_events();
        while let Some(event) = self.pending.pop() {
            match self.events.as_ref().map(|events| events.try_send(event)) {
                Some(Ok(())) => {}
                Some(Err(mpsc::error::TrySendError::Full(event))) => return self.pending.put_back(event),
                Some(Err(mpsc::error::TrySendError::Closed(_))) | None => self.events = None,
            }
        }
    }
}

/// Waits until a device that is not paused has a packet; the devices after the one served last come first.
async fn readable(devices: &BTreeMap<InterfaceId, Device>, served: InterfaceId, now: Instant) -> InterfaceId {
    poll_fn(|cx| {
        let after = devices.range((Bound::Excluded(served), Bound::Unbounded));
        let unpaused = |(_, device): &(&InterfaceId, &Device)| !device.budget.is_paused(now);
        for (id, device) in after.chain(devices.range(..=served)).filter(unpaused) {
            if device.socket.as_ref().is_some_and(|socket| socket.poll_readable(cx).is_ready()) {
                return Poll::Ready(*id);
            }
        }
        Poll::Pending
    })
    .await
}

async fn changed(bfd: Option<&mut SessionFeed>) {
    match bfd {
        Some(bfd) => bfd.changed().await,
        None => std::future::pending().await,
    }
}

async fn room(events: Option<&mpsc::Sender<DriverEvent>>) {
    if let Some(events) = events {
        // An error says that the reader has gone away, which the next attempt to send finds out as well.
        let _ = events.reserve().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_belong_to_the_families_of_rfc_5838() {
        let ids =
            |family| (0..=u8::MAX).filter(|id| family_of_instance(*id) == Some(family)).collect::<Vec<_>>();
        assert_eq!(ids(Family::Ipv6), (0..=31).collect::<Vec<_>>());
        assert_eq!(ids(Family::Ipv4), (64..=95).collect::<Vec<_>>());
    }
}
