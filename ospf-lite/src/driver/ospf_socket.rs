//! A raw IPv6 socket for protocol 89, bound to one device.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use nix::libc::in6_pktinfo;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clock::{OtherStamp, moment};
use super::repetition::{Instruction, Pattern, Repetition, filter};
use crate::ids::Family;
use crate::io::ALL_SPF_ROUTERS;

/// The IP protocol number of OSPF (RFC 5340 appendix A.1).
const OSPF_PROTOCOL: i32 = 89;
/// Packets stay on the link (RFC 5340 appendix A.1).
const HOP_LIMIT: u32 = 1;
/// What a sender with a time-to-live check (RFC 5082) uses instead.
const HOP_LIMIT_GTSM: i32 = 255;
/// Internetwork control (RFC 2328 appendix A.1).
const TRAFFIC_CLASS: u32 = 0xc0;
/// Room for a burst of updates while the task is busy with a shortest-path run, in octets.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open a socket on {device}: {act}")]
pub struct OpenError {
    device: String,
    act: &'static str,
    #[source]
    source: io::Error,
}

impl OpenError {
    pub(super) fn new(device: &str, act: &'static str, source: io::Error) -> Self {
        Self { device: device.to_owned(), act, source }
    }
}

/// A packet that arrived, without its IPv6 header; its octets are in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// How many octets of the buffer it fills.
    pub length: usize,
    /// The IPv6 source address.
    pub source: Ipv6Addr,
    /// The IPv6 destination address.
    pub destination: Ipv6Addr,
    /// The hop limit it arrived with.
    hop_limit: i32,
    /// Whether the buffer was too small for it.
    truncated: bool,
    /// When it arrived by the real clock, if it was set aside.
    stamp: Option<SystemTime>,
}

impl Arrival {
    /// Returns whether a neighbor on the link can have sent it: from a link-local address (RFC 5340 section 2.5), to
    /// a link-local address, or to AllSPFRouters with a hop limit that no router has lowered. Between two link-local
    /// addresses the hop limit says nothing, for no router forwards that; FRR leaves it at the system's 64 there.
    pub fn is_plausible(&self) -> bool {
        let is_fresh = self.hop_limit == HOP_LIMIT.cast_signed() || self.hop_limit == HOP_LIMIT_GTSM;
        let is_near =
            self.destination.is_unicast_link_local() || self.destination == ALL_SPF_ROUTERS && is_fresh;
        self.source.is_unicast_link_local() && is_near && !self.truncated
    }

    /// Returns when it arrived by the real clock, if it was set aside.
    pub fn stamp(&self) -> Option<SystemTime> {
        self.stamp
    }
}

/// What a filter answers for a packet that is let through whole, and for one that is not.
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// The socket of one device.
#[derive(Debug)]
pub struct OspfSocket {
    socket: Arc<Socket>,
    /// Nothing while nobody wakes up for what arrives.
    watched: Option<AsyncFd<Arc<Socket>>>,
    device: String,
    ifindex: u32,
    /// What each family's neighbor says again and again.
    asides: BTreeMap<Family, Aside>,
}

/// What a family's neighbor says again and again, and where that waits once it is expected.
#[derive(Debug, Default)]
struct Aside {
    repetition: Repetition,
    socket: Option<Socket>,
}

impl OspfSocket {
    /// Opens a socket that hears AllSPFRouters on the device.
    pub fn open(device: &str, ifindex: u32) -> Result<Self, OpenError> {
        let at = |act: &'static str| move |source: io::Error| OpenError::new(device, act, source);
        let socket = open_deaf(device, ifindex)?;
        socket.set_multicast_if_v6(ifindex).map_err(at("set the multicast device"))?;
        socket.set_multicast_loop_v6(false).map_err(at("turn multicast loop off"))?;
        socket.set_multicast_hops_v6(HOP_LIMIT).map_err(at("set the multicast hop limit"))?;
        socket.set_unicast_hops_v6(HOP_LIMIT).map_err(at("set the hop limit"))?;
        socket.set_tclass_v6(TRAFFIC_CLASS).map_err(at("set the traffic class"))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER).map_err(at("set the receive buffer"))?;
        socket.detach_filter().map_err(at("listen"))?;
        let mut this = Self {
            socket: Arc::new(socket),
            watched: None,
            device: device.to_owned(),
            ifindex,
            asides: BTreeMap::new(),
        };
        this.watch().map_err(at("register with the runtime"))?;
        Ok(this)
    }

    /// Lets what arrives, and what waits, wake the task up.
    pub fn watch(&mut self) -> io::Result<()> {
        if self.watched.is_none() {
            self.watched = Some(watch(Arc::clone(&self.socket))?);
        }
        Ok(())
    }

    /// Lets what arrives wait in the socket until it is received, and wake nobody up.
    pub fn unwatch(&mut self) {
        self.watched = None;
    }

    /// Returns whether [`OspfSocket::receive`] may find something; registers the task to be woken when it will, if it is watched.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.watched.as_ref().map_or(Poll::Pending, |watched| watched.poll_read_ready(cx).map(|_| ()))
    }

    /// Takes one packet into the buffer; nothing when none waits, or the runtime has not heard of one yet.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let Some(watched) = &self.watched else { return Ok(None) };
        none_waits(watched.try_io(Interest::READABLE, |socket| receive(socket, buffer)))
    }

    /// As [`OspfSocket::receive`], but asks the kernel.
    pub fn receive_directly(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        none_waits(receive(&self.socket, buffer))
    }

    /// Takes one of the Hellos that were set aside into the buffer; nothing when none waits.
    pub fn receive_aside(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        for socket in self.asides.values().filter_map(|aside| aside.socket.as_ref()) {
            if let Some(arrival) = none_waits(receive(socket, buffer))? {
                return Ok(Some(arrival));
            }
        }
        Ok(None)
    }

    /// Returns whether Hellos may be set aside.
    pub(super) fn has_aside(&self) -> bool {
        self.asides.values().any(|aside| aside.socket.is_some())
    }

    /// Takes in a Hello of a family's neighbor that was accepted; `is_settled` says that another one like it would say no more than
    /// that the neighbor is alive. Once it has said so often enough, what it says again is set aside, and wakes nobody up.
    pub fn hear(
        &mut self,
        family: Family,
        (hello, source): (&[u8], Ipv6Addr),
        is_settled: bool,
    ) -> io::Result<()> {
        let heard = Pattern::beginning(hello).map(|pattern| pattern.from(source));
        let is_changed = self.asides.entry(family).or_default().repetition.hear(heard, is_settled);
        let outcome = if is_changed { self.set_aside(family) } else { Ok(()) };
        // What could not be set aside must not be lost.
        outcome.or_else(|error| self.forget(family).and(Err(error)))
    }

    /// Sets nothing of a family's neighbor aside any more, and drops what waits: it was said before what is known now.
    pub fn forget(&mut self, family: Family) -> io::Result<()> {
        self.asides.entry(family).or_default().repetition.forget();
        self.set_aside(family)
    }

    /// Opens the socket for what is expected of a family before the other one leaves that out, and closes it after: a Hello that
    /// comes meanwhile comes to both, and to one at least.
    fn set_aside(&mut self, family: Family) -> io::Result<()> {
        let had_aside = self.has_aside();
        let Self { asides, socket, device, ifindex, .. } = self;
        let aside = asides.entry(family).or_default();
        if let (Some(pattern), None) = (aside.repetition.expected(), &aside.socket) {
            aside.socket = Some(open_aside(device, *ifindex, pattern)?);
        }
        let expected: Vec<_> = asides.values().filter_map(|aside| aside.repetition.expected()).collect();
        if !expected.is_empty() {
            attach(socket, &filter(&expected, NOTHING, ALL))?;
        } else if had_aside {
            socket.detach_filter()?;
        }
        asides
            .values_mut()
            .filter(|aside| aside.repetition.expected().is_none())
            .for_each(|aside| aside.socket = None);
        Ok(())
    }

    /// Sends one packet from the source address, or says why it could not; never waits.
    pub fn send(&self, source: Ipv6Addr, destination: Ipv6Addr, octets: &[u8]) -> io::Result<()> {
        let info = in6_pktinfo {
            ipi6_addr: nix::libc::in6_addr { s6_addr: source.octets() },
            ipi6_ifindex: self.ifindex,
        };
        let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, self.ifindex));
        let control = [ControlMessage::Ipv6PacketInfo(&info)];
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(octets)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}

/// Opens a socket on the device that hears nothing yet, not even what others hear until it is bound.
fn open_deaf(device: &str, ifindex: u32) -> Result<Socket, OpenError> {
    let at = |act: &'static str| move |source: io::Error| OpenError::new(device, act, source);
    let socket =
        Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(OSPF_PROTOCOL))).map_err(at("create"))?;
    socket.set_nonblocking(true).map_err(at("set non-blocking"))?;
    attach(&socket, &filter(&[], ALL, NOTHING)).map_err(at("hear nothing"))?;
    socket.bind_device(Some(device.as_bytes())).map_err(at("bind to the device"))?;
    socket.set_multicast_all_v6(false).map_err(at("leave others' groups"))?;
    socket.join_multicast_v6(&ALL_SPF_ROUTERS, ifindex).map_err(at("join AllSPFRouters"))?;
    socket.set_recv_hoplimit_v6(true).map_err(at("ask for hop limits"))?;
    setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)
        .map_err(|errno| at("ask for packet information")(errno.into()))?;
    // What came before the filter was there, from whatever device.
    while none_waits(receive(&socket, &mut [])).map_err(at("empty"))?.is_some() {}
    Ok(socket)
}

/// Opens a socket on the device that hears the packets that are alike, and notes when they came.
fn open_aside(device: &str, ifindex: u32, pattern: &Pattern) -> io::Result<Socket> {
    let aside = open_deaf(device, ifindex).map_err(io::Error::other)?;
    setsockopt(&aside, sockopt::ReceiveTimestampns, &true)?;
    attach(&aside, &filter(&[pattern], ALL, NOTHING))?;
    Ok(aside)
}

fn attach(socket: &Socket, filter: &[Instruction]) -> io::Result<()> {
    let filter: Vec<_> =
        filter.iter().map(|(code, yes, no, value)| SockFilter::new(*code, *yes, *no, *value)).collect();
    socket.attach_filter(&filter)
}

/// Has the runtime watch a descriptor for what arrives, and for nothing else: room to send again would wake the task after each
/// packet that it has sent.
#[expect(
    deprecated,
    reason = "the other way is `unsafe`, for the sake of types that lie about their descriptor"
)]
pub(super) fn watch<T: AsRawFd>(fd: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Returns what came of a call that does not wait; nothing when it would have had to.
pub(super) fn none_waits<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(arrival) => Ok(Some(arrival)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut control = nix::cmsg_space!(in6_pktinfo, i32, TimeSpec, OtherStamp);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let mut destination = Ipv6Addr::UNSPECIFIED;
    let mut hop_limit = 0;
    let mut stamp = None;
    // Without its destination a packet is implausible, and the next one may have all.
    for item in message.cmsgs().into_iter().flatten() {
        match item {
            ControlMessageOwned::Ipv6PacketInfo(info) => destination = Ipv6Addr::from(info.ipi6_addr.s6_addr),
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = limit,
            ControlMessageOwned::ScmTimestampns(time) => stamp = moment(time),
            _ => {}
        }
    }
    Ok(Arrival {
        length: message.bytes,
        source: message.address.map_or(Ipv6Addr::UNSPECIFIED, |address| address.ip()),
        destination,
        hop_limit,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        stamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival() -> Arrival {
        Arrival {
            length: 36,
            source: "fe80::2".parse().unwrap(),
            destination: ALL_SPF_ROUTERS,
            hop_limit: 1,
            truncated: false,
            stamp: None,
        }
    }

    #[test]
    fn only_packets_that_a_neighbor_on_the_link_can_have_sent_are_plausible() {
        assert!(arrival().is_plausible());
        assert!(Arrival { hop_limit: 255, ..arrival() }.is_plausible());
        let unicast = Arrival { destination: "fe80::1".parse().unwrap(), ..arrival() };
        assert!(unicast.is_plausible());
        assert!(Arrival { hop_limit: 64, ..unicast }.is_plausible());
        assert!(!Arrival { hop_limit: 64, source: "2001:db8::2".parse().unwrap(), ..unicast }.is_plausible());
        assert!(!Arrival { hop_limit: 64, ..arrival() }.is_plausible());
        assert!(!Arrival { source: "2001:db8::2".parse().unwrap(), ..arrival() }.is_plausible());
        assert!(!Arrival { destination: "2001:db8::1".parse().unwrap(), ..arrival() }.is_plausible());
        assert!(!Arrival { destination: "ff02::1".parse().unwrap(), ..arrival() }.is_plausible());
        assert!(!Arrival { truncated: true, ..arrival() }.is_plausible());
    }
}
