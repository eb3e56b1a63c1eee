//! A network device as the driver sees it: its configuration, its socket, its counters.

use std::io;
use std::net::Ipv6Addr;
use std::num::NonZeroU8;
use std::time::Duration;

use nix::errno::Errno;

use super::budget::Budget;
use super::ospf_socket::{OpenError, OspfSocket};
use crate::config::{InterfaceConfig, InterfaceKind};
use crate::ids::{Family, InterfaceId};
use crate::time::Instant;

/// How long after a failure a socket is opened again.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);

/// A device and what each family's engine is to know of it. Both configurations carry the same Interface ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInterface {
    /// The kernel's index of the device.
    pub ifindex: u32,
    /// The kernel's name of the device.
    pub name: String,
    /// For the IPv6 family.
    pub ipv6: InterfaceConfig,
    /// For the IPv4 family.
    pub ipv4: InterfaceConfig,
    /// How the far end is watched by BFD, for both families; nothing when it is not.
    pub bfd: Option<BfdConfig>,
}

/// How the far end of a link is watched (RFC 5880).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdConfig {
    /// Desired Min TX Interval and Required Min RX Interval while the session is Up.
    pub interval: Duration,
    /// Detect Mult: how many missed packets make silence a failure.
    pub multiplier: NonZeroU8,
}

impl DeviceInterface {
    /// Returns the Interface ID in both families.
    pub fn id(&self) -> InterfaceId {
        self.ipv6.id
    }

    /// Returns the address a family's packets are sent from; nothing when it sends none here.
    fn source(&self, family: Family) -> Option<Ipv6Addr> {
        let config = match family {
            Family::Ipv6 => &self.ipv6,
            Family::Ipv4 => &self.ipv4,
        };
        match &config.kind {
            InterfaceKind::Stub => None,
            InterfaceKind::PointToPoint(link) => Some(link.link_local),
        }
    }

    /// Returns the address that packets are sent from, in whichever family.
    pub(super) fn link_local(&self) -> Option<Ipv6Addr> {
        self.source(Family::Ipv6).or(self.source(Family::Ipv4))
    }
}

/// What became of the packets of one device since the driver started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketCounters {
    /// Packets sent.
    pub sent: u64,
    /// Packets that the kernel did not take (device down, no room, source address not there); the protocol repeats them.
    pub send_errors: u64,
    /// Packets handed to an engine.
    pub received: u64,
    /// Packets that no neighbor on the link can have sent: wrong addresses or hop limit, longer than the buffer.
    pub implausible: u64,
    /// Packets of an Instance ID that no engine serves.
    pub foreign_instance: u64,
    /// How often the device was left unread for a moment because refused packets had taken their share of time.
    pub pauses: u64,
    /// How often the socket was opened.
    pub opened: u64,
    /// How often it could not be opened, or died.
    pub failures: u64,
}

/// A device with its socket. One is opened when the device is up and a family sends over it, and outlasts the loss of a carrier.
#[derive(Debug)]
pub(super) struct Device {
    pub interface: DeviceInterface,
    pub socket: Option<OspfSocket>,
    pub counters: SocketCounters,
    /// What refused packets have taken.
    pub budget: Budget,
    /// Whether its link flaps and is left alone by both engines.
    pub is_left_alone: bool,
    up: bool,
    reopen_at: Option<Instant>,
}

impl Device {
    pub fn new(interface: DeviceInterface) -> Self {
        Self {
            interface,
            socket: None,
            counters: SocketCounters::default(),
            budget: Budget::default(),
            is_left_alone: false,
            up: false,
            reopen_at: None,
        }
    }

    /// Takes over a changed configuration; the socket stays unless the device is another one.
    pub fn reconfigure(&mut self, interface: DeviceInterface) {
        if (interface.ifindex, &interface.name) != (self.interface.ifindex, &self.interface.name) {
            self.socket = None;
        }
        self.interface = interface;
    }

    /// Takes whether the link is left alone. What arrives wakes nobody up then.
    pub fn leave_alone(&mut self, is_left_alone: bool) -> io::Result<()> {
        if is_left_alone == std::mem::replace(&mut self.is_left_alone, is_left_alone) {
            return Ok(());
        }
        match &mut self.socket {
            Some(socket) if is_left_alone => socket.unwatch(),
            Some(socket) => socket.watch()?,
            None => {}
        }
        Ok(())
    }

    pub fn set_up(&mut self, up: bool) {
        self.up = up;
        self.reopen_at = None;
    }

    /// Returns whether the device can carry packets.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Returns when [`Device::ensure_socket`] should be called again.
    pub fn reopen_at(&self) -> Option<Instant> {
        self.reopen_at
    }

    /// Returns until when the device is not read, if it is not.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.budget.paused_until().filter(|until| *until > now)
    }

    /// Opens or closes the socket, whichever the state of the device asks for.
    pub fn ensure_socket(&mut self, now: Instant) -> Result<(), OpenError> {
        if self.interface.link_local().is_none() {
            self.socket = None;
        }
        if !self.up || self.interface.link_local().is_none() {
            self.reopen_at = None;
            return Ok(());
        }
        if self.socket.is_some() || self.reopen_at.is_some_and(|at| at > now) {
            return Ok(());
        }
        match OspfSocket::open(&self.interface.name, self.interface.ifindex) {
            Ok(mut socket) => {
                if self.is_left_alone {
                    socket.unwatch();
                }
                self.socket = Some(socket);
                self.reopen_at = None;
                self.counters.opened += 1;
                Ok(())
            }
            Err(error) => {
                self.counters.failures += 1;
                self.reopen_at = Some(now + REOPEN_INTERVAL);
                Err(error)
            }
        }
    }

    /// Takes in a Hello of a family's neighbor, see [`OspfSocket::hear`].
    pub fn hear(&mut self, family: Family, hello: (&[u8], Ipv6Addr), is_settled: bool) {
        let heard = self.socket.as_mut().map_or(Ok(()), |socket| socket.hear(family, hello, is_settled));
        self.tell(heard);
    }

    /// Has all Hellos of a family wake the task up again.
    pub fn forget_repetitions(&mut self, family: Family) {
        let forgotten = self.socket.as_mut().map_or(Ok(()), |socket| socket.forget(family));
        self.tell(forgotten);
    }

    /// Without it Hellos wake the task up as ever.
    fn tell(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            tracing::debug!(device = %self.interface.name, %error, "Hellos are not set aside");
        }
    }

    /// Gives up a socket that has failed; it is opened again a while later.
    pub fn abandon_socket(&mut self, now: Instant) {
        self.socket = None;
        self.counters.failures += 1;
        self.reopen_at = Some(now + REOPEN_INTERVAL);
    }

    /// Sends a family's packet and counts it. An error is returned only when the socket is of no more use.
    pub fn send(&mut self, family: Family, destination: Ipv6Addr, octets: &[u8]) -> io::Result<()> {
        let (Some(socket), Some(source)) = (&self.socket, self.interface.source(family)) else {
            self.counters.send_errors += 1;
            return Ok(());
        };
        let Err(error) = socket.send(source, destination, octets) else {
            self.counters.sent += 1;
            return Ok(());
        };
        self.counters.send_errors += 1;
        tracing::debug!(device = %self.interface.name, %source, %destination, %error, "packet not sent");
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENODEV | Errno::ENXIO) => Err(error),
            _ => Ok(()),
        }
    }
}
