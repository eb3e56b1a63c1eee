//! The kernel's notifications of the network, in two sockets: one for what is to be heard at once, one for what is told of
//! devices that nobody hurries to hear of. What waits there wakes nobody up, and is read before what is heard next.

use std::collections::BTreeSet;
use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket, protocols};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockFilter, SockRef};

use super::notification_filter as filter;
use super::told::{News, Told};

/// What tells of devices, addresses, routes, rules, the VXLAN devices' remote ends and next hop objects. With an object that
/// goes go routes, in IPv4 without a word.
const GROUPS: [u32; 9] = [
    libc::RTNLGRP_NEIGH,
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_RULE,
    libc::RTNLGRP_NEXTHOP,
];
/// Longer than anything that the kernel tells at a time, in octets.
const DATAGRAM_MAX: usize = 32 * 1024;

/// Room for what waits until somebody is awake anyway, in octets.
const ASIDE_BUFFER: usize = 1 << 20;

/// The sockets, and what was told by them so far.
pub(super) struct Notifications {
    at_once: TokioSocket,
    /// While something is put aside.
    aside: Option<Socket>,
    /// The numbers of the devices that nobody hurries to hear of.
    put_aside: BTreeSet<u32>,
    own_port: u32,
    told: Told,
    /// What is heard at once, and what was put aside.
    datagrams: [Vec<u8>; 2],
}

impl Notifications {
    /// Begins to listen, in the network namespace of the calling thread; within a runtime. `own_port` is that of the connection
    /// which sets routes and next hop objects.
    pub fn listen(own_port: u32) -> io::Result<Self> {
        let mut at_once = TokioSocket::new(protocols::NETLINK_ROUTE)?;
        if let Err(error) = attach(at_once.socket_ref(), &filter::at_once(own_port, &BTreeSet::new())) {
            tracing::debug!(%error, "the kernel tells more than is read");
        }
        at_once.socket_mut().bind(&SocketAddr::new(0, 0))?;
        for group in GROUPS {
            at_once.socket_mut().add_membership(group)?;
        }
        let datagrams = [Vec::with_capacity(DATAGRAM_MAX), Vec::with_capacity(DATAGRAM_MAX)];
        let told = Told::new(own_port);
        Ok(Self { at_once, aside: None, put_aside: BTreeSet::new(), own_port, told, datagrams })
    }

    /// Waits for something that is to be heard at once; says what was put aside, and then that. Nothing is lost when it is dropped
    /// before.
    pub async fn hear(&mut self, say: &impl Fn(News)) -> io::Result<()> {
        let [datagram, _] = &mut self.datagrams;
        datagram.clear();
        self.at_once.recv(datagram).await?;
        self.hear_aside(say)?;
        let [datagram, _] = &self.datagrams;
        take(datagram, &mut self.told, say);
        Ok(())
    }

    /// Says what was put aside; where there was more than there is room for, that it is to be looked for.
    fn hear_aside(&mut self, say: &impl Fn(News)) -> io::Result<()> {
        let ([_, waiting], Some(aside)) = (&mut self.datagrams, &self.aside) else { return Ok(()) };
        match drain(aside, (&mut self.told, waiting), say) {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                say(News::Soon);
                drain(aside, (&mut self.told, waiting), say)
            }
            outcome => outcome,
        }
    }

    /// Says what was put aside, and puts aside from now on what is told of the devices with these numbers. What is told of a device
    /// is said in the order in which it was told; but what is told in the middle of this may be said again. Where the kernel has no
    /// filters nothing is put aside.
    pub fn put_aside(&mut self, devices: &BTreeSet<u32>, say: &impl Fn(News)) -> io::Result<()> {
        let Err(error) = self.filter(devices, say) else { return Ok(()) };
        tracing::debug!(%error, "nothing is put aside");
        SockRef::from(self.at_once.socket_ref()).detach_filter()?;
        self.aside = None;
        self.put_aside.clear();
        say(News::Soon);
        Ok(())
    }

    fn filter(&mut self, devices: &BTreeSet<u32>, say: &impl Fn(News)) -> io::Result<()> {
        let devices: BTreeSet<u32> = devices.iter().copied().take(filter::ASIDE_MAX).collect();
        let kept: BTreeSet<u32> = self.put_aside.intersection(&devices).copied().collect();
        if kept != self.put_aside {
            attach(self.at_once.socket_ref(), &filter::at_once(self.own_port, &kept))?;
            self.let_pass()?;
        }
        // What follows of the others is heard at once, after this.
        self.hear_aside(say)?;
        if devices != self.put_aside {
            match &self.aside {
                _ if devices.is_empty() => self.aside = None,
                None => self.aside = Some(open_aside(&devices)?),
                Some(aside) => attach(aside, &filter::aside(&devices))?,
            }
            self.let_pass()?;
            // What came of the others in the meantime comes at once as well, and this is not to be said after that.
            self.hear_aside(say)?;
        }
        if kept != devices {
            attach(self.at_once.socket_ref(), &filter::at_once(self.own_port, &devices))?;
            // What follows of the new ones is put aside, after this.
            let [_, waiting] = &mut self.datagrams;
            drain(self.at_once.socket_ref(), (&mut self.told, waiting), say)?;
        }
        self.put_aside = devices;
        Ok(())
    }

    /// Waits until what the kernel is about to tell has passed the filters: it may have passed one of them before it was changed, and
    /// would pass none if the other one was changed now. Who joins a group waits for that.
    fn let_pass(&self) -> io::Result<()> {
        self.at_once.socket_ref().add_membership(libc::RTNLGRP_LINK)
    }
}

/// Says what waits in a socket.
fn drain(
    socket: &Socket,
    (told, datagram): (&mut Told, &mut Vec<u8>),
    say: &impl Fn(News),
) -> io::Result<()> {
    loop {
        datagram.clear();
        match socket.recv(datagram, libc::MSG_DONTWAIT) {
            Ok(_) => take(datagram, told, say),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Says what the messages of a datagram say.
fn take(datagram: &[u8], told: &mut Told, say: &impl Fn(News)) {
    let mut rest = datagram;
    while let Ok(message) = NetlinkBuffer::new_checked(rest) {
        say(told.handle(&message));
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Opens a socket that hears of these devices alone.
fn open_aside(devices: &BTreeSet<u32>) -> io::Result<Socket> {
    let mut socket = Socket::new(protocols::NETLINK_ROUTE)?;
    attach(&socket, &filter::aside(devices))?;
    if let Err(error) = setsockopt(&socket, sockopt::RcvBufForce, &ASIDE_BUFFER) {
        tracing::debug!(%error, "less room for what is told of links left alone");
    }
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.add_membership(libc::RTNLGRP_LINK)?;
    Ok(socket)
}

fn attach(socket: &Socket, filter: &[SockFilter]) -> io::Result<()> {
    SockRef::from(socket).attach_filter(filter)
}
