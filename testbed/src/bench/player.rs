//! The process that plays an area of many routers to whoever is at the far end of a device.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::time::Duration;

use ospf_lite::config::{Config, InterfaceConfig, InterfaceKind, PointToPointConfig};
use ospf_lite::driver::{Clock, OpenError, OspfSocket};
use ospf_lite::engine::Engine;
use ospf_lite::ids::{Cost, Family, InterfaceId, RouterId};
use ospf_lite::io::{InterfaceEvent, Received};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::sim::Topology;
use ospf_lite::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::area::{Area, Attachment, Change, Puppet};

/// The player's Router ID: above those of the area, so that the puppet never leads an exchange.
const ROUTER_ID: RouterId = RouterId(0xf000_0001);
/// The link to the listener.
const OUTSIDE: InterfaceId = InterfaceId(1);
/// The link to the puppet.
const INSIDE: InterfaceId = InterfaceId(2);
/// HelloInterval and RouterDeadInterval of both links: long enough that a busy machine loses nobody.
pub const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(40));
/// MTU of both links.
pub const MTU: u16 = 1500;

/// Why the player ended.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// The device cannot be used.
    #[error("cannot play an area on the device")]
    Socket(#[from] OpenError),
    /// The device failed.
    #[error("cannot receive from the device")]
    Receive(#[source] io::Error),
    /// No signals.
    #[error("cannot listen for signals")]
    Signal(#[source] io::Error),
}

/// What there is to play, and where.
#[derive(Debug, Clone)]
pub struct Play {
    /// The device to the listener.
    pub device: String,
    /// Its index.
    pub ifindex: u32,
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// How many routers the area has, in a random mesh with about four links each.
    pub routers: usize,
}

/// Plays until it is ended. Says `full` when the listener has the whole area; changes it when a signal says so, see
/// [`signal_of`], and answers that by `changed`.
pub async fn play(play: Play) -> Result<(), PlayerError> {
    let clock = Clock::start();
    let socket = OspfSocket::open(&play.device, play.ifindex)?;
    let listen = |change| {
        let kind = SignalKind::from_raw(signal_of(change) as i32);
        signal(kind).map_err(PlayerError::Signal)
    };
    let [mut far, mut near] = [listen(Change::Far)?, listen(Change::Near)?];
    let [mut leaf, mut prefix] = [listen(Change::Leaf)?, listen(Change::Prefix)?];
    let mut player = Player::new(clock, &play);
    loop {
        let now = clock.now();
        player.step(now, &socket, play.address);
        let deadline = player.deadline(now);
        tokio::select! {
            () = poll_fn(|cx| socket.poll_readable(cx)) => player.receive(&socket).map_err(PlayerError::Receive)?,
            _ = next(&mut far) => player.change(clock.now(), Change::Far),
            _ = next(&mut near) => player.change(clock.now(), Change::Near),
            _ = next(&mut leaf) => player.change(clock.now(), Change::Leaf),
            _ = next(&mut prefix) => player.change(clock.now(), Change::Prefix),
            () = tokio::time::sleep(deadline) => {}
        }
    }
}

async fn next(changes: &mut Signal) -> Option<()> {
    changes.recv().await
}

/// Returns the signal that asks a player for a change.
pub const fn signal_of(change: Change) -> nix::sys::signal::Signal {
    use nix::sys::signal::Signal::{SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};
    match change {
        Change::Far => SIGUSR1,
        Change::Near => SIGUSR2,
        Change::Leaf => SIGWINCH,
        Change::Prefix => SIGHUP,
    }
}

struct Player {
    clock: Clock,
    engine: Engine,
    area: Area,
    puppet: Puppet,
    hello_at: Instant,
    loaded: bool,
    listener_is_full: bool,
    changes: usize,
    buffer: Vec<u8>,
}

impl Player {
    fn new(clock: Clock, play: &Play) -> Self {
        let now = clock.now();
        let attachment =
            Attachment { router_id: ROUTER_ID, interface: INSIDE, intervals: INTERVALS, mtu: MTU };
        let mut engine = Engine::new(Config::new(ROUTER_ID, Family::Ipv6), now, 1);
        let inside = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        for (id, name, address) in [(OUTSIDE, play.device.as_str(), play.address), (INSIDE, "area", inside)] {
            engine.handle_interface(now, InterfaceEvent::Configured(interface(id, name, address)));
            engine.handle_interface(now, InterfaceEvent::Up(id));
        }
        Self {
            clock,
            engine,
            area: Area::new(Topology::random_mesh(play.routers, 4, 1), attachment),
            puppet: Puppet::new(attachment),
            hello_at: now,
            loaded: false,
            listener_is_full: false,
            changes: 0,
            buffer: vec![0; 65_535],
        }
    }

    /// Lets time pass, and everything that follows from it.
    fn step(&mut self, now: Instant, socket: &OspfSocket, address: Ipv6Addr) {
        if self.hello_at <= now {
            self.hello_at = now + INTERVALS.0;
            self.puppet.hello(now, &mut self.engine);
        }
        self.engine.handle_timeout(now);
        while let Some(transmit) = self.engine.poll_transmit() {
            if transmit.interface == INSIDE {
                self.puppet.handle(now, &mut self.engine, &transmit);
            } else if self.loaded {
                // What the device does not take is sent again by the protocol.
                let _ = socket.send(address, transmit.destination, &transmit.octets);
            }
        }
        while self.engine.poll_event().is_some() {}
        if !self.loaded && self.is_full(INSIDE) {
            self.loaded = true;
            self.puppet.flood(now, &mut self.engine, &self.area.lsas());
        }
        if self.is_full(OUTSIDE) != self.listener_is_full {
            self.listener_is_full = !self.listener_is_full;
            say(if self.listener_is_full { "full" } else { "lost" });
        }
    }

    fn is_full(&self, id: InterfaceId) -> bool {
        self.engine
            .neighbors()
            .any(|neighbor| neighbor.interface == id && neighbor.state == NeighborState::Full)
    }

    fn deadline(&self, now: Instant) -> Duration {
        let at = self.engine.poll_timeout().map_or(self.hello_at, |at| at.min(self.hello_at));
        at.since(now)
    }

    fn receive(&mut self, socket: &OspfSocket) -> io::Result<()> {
        while let Some(arrival) = socket.receive(&mut self.buffer)? {
            let octets = self.buffer.get(..arrival.length).unwrap_or_default().to_vec();
            if self.loaded && arrival.is_plausible() {
                let received = Received {
                    interface: OUTSIDE,
                    source: arrival.source,
                    destination: arrival.destination,
                    age: Duration::ZERO,
                    octets,
                };
                self.engine.handle_packet(self.clock.now(), &received);
            }
        }
        Ok(())
    }

    /// Makes a change, up and down in turn.
    fn change(&mut self, now: Instant, change: Change) {
        self.changes += 1;
        let (up, down) = if change == Change::Near { (60, 40) } else { (17, 3) };
        let lsas = self.area.change(change, if self.changes.is_multiple_of(2) { down } else { up });
        self.puppet.flood(now, &mut self.engine, &lsas);
        say("changed");
    }
}

fn interface(id: InterfaceId, name: &str, link_local: Ipv6Addr) -> InterfaceConfig {
    InterfaceConfig {
        id,
        name: name.to_owned(),
        prefixes: Vec::new(),
        kind: InterfaceKind::PointToPoint(link(link_local)),
    }
}

/// Returns how a link of the benchmark is run at either end.
pub fn link(link_local: Ipv6Addr) -> PointToPointConfig {
    PointToPointConfig {
        cost: Cost::new(10).unwrap_or(Cost::MAX),
        hello_interval: INTERVALS.0,
        dead_interval: INTERVALS.1,
        rxmt_interval: Duration::from_secs(5),
        inf_trans_delay: Duration::from_secs(1),
        mtu: MTU,
        link_local,
        neighbor: None,
        ipv4_address: None,
        authentication: Vec::new(),
    }
}

fn say(word: &str) {
    // Whoever started the player reads this; when nobody does, there is nobody to tell.
    let _ = writeln!(io::stdout(), "{word}");
}
