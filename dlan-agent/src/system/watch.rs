//! Tells that something in the kernel changed. What, is for whoever looks; but for devices that can carry nothing any
//! more, which cannot wait for a look.

use std::io;
use std::time::Duration;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};
use nix::libc;
use socket2::SockRef;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use vxlan::link::LinkName;

use super::told::{self, News, Told};
use crate::state::ruleset::TABLE_NAME;

/// How long until a socket that failed is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(1);
/// The kernel's group of changes to nftables (NFNLGRP_NFTABLES).
const GROUP_NFTABLES: u32 = 7;
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

/// Devices that went down or came back and were not heard of yet; beyond them a look finds out.
const CARRIERS_MAX: usize = 64;

/// What the kernel told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something changed.
    Look,
    /// A device came or went, and what the kernel itself does with it; its own hint says what matters at once.
    LookLater,
    /// The device is down, without carrier, or gone; ours or not.
    Down(LinkName),
    /// The device that was said to be down can carry packets again.
    Up(LinkName),
}

/// A stream of hints; many changes make one hint when nobody looks in between.
#[derive(Debug)]
pub struct Hints {
    looks: mpsc::Receiver<()>,
    late_looks: mpsc::Receiver<()>,
    carriers: mpsc::Receiver<Hint>,
}

#[derive(Debug, Clone)]
struct Sender {
    looks: mpsc::Sender<()>,
    late_looks: mpsc::Sender<()>,
    carriers: mpsc::Sender<Hint>,
    /// The number that notifications of our own routes and next hop objects carry.
    own_port: u32,
}

impl Sender {
    fn hint(&self) {
        // Full means that a hint waits already.
        let _ = self.looks.try_send(());
    }

    fn hint_later(&self) {
        let _ = self.late_looks.try_send(());
    }

    fn tell(&self, carrier: Hint) {
        // Whoever is so far behind looks at everything anyway.
        let _ = self.carriers.try_send(carrier);
        self.hint_later();
    }
}

impl Hints {
    /// Begins to listen, in the network namespace of the calling thread; within a runtime.
    /// `own_port` is that of the connection which sets routes and next hop objects.
    pub(super) fn start(own_port: u32) -> Self {
        // One hint waits: a second would say nothing more.
        let (looks_in, looks) = mpsc::channel(1);
        let (late_in, late_looks) = mpsc::channel(1);
        let (carriers_in, carriers) = mpsc::channel(CARRIERS_MAX);
        let sender = Sender { looks: looks_in, late_looks: late_in, carriers: carriers_in, own_port };
        tokio::spawn(keep(sender.clone(), listen_rtnl));
        tokio::spawn(keep(sender, listen_nftables));
        Self { looks, late_looks, carriers }
    }

    /// Waits for a hint. One comes after each time that messages may have been lost.
    pub async fn next(&mut self) -> Hint {
        tokio::select! {
            biased;
            Some(carrier) = self.carriers.recv() => carrier,
            Some(()) = self.looks.recv() => Hint::Look,
            Some(()) = self.late_looks.recv() => Hint::LookLater,
            else => std::future::pending().await,
        }
    }
}

/// Listens again whenever listening ends.
async fn keep<F: Future<Output = io::Result<()>>>(sender: Sender, listen: impl Fn(Sender) -> F) {
    while !sender.looks.is_closed() {
        if let Err(error) = listen(sender.clone()).await {
            warn!(%error, "netlink notifications interrupted");
        }
        tokio::time::sleep(REOPEN_DELAY).await;
        sender.hint();
    }
}

async fn listen_rtnl(sender: Sender) -> io::Result<()> {
    let mut socket = TokioSocket::new(protocols::NETLINK_ROUTE)?;
    if let Err(error) = SockRef::from(socket.socket_ref()).attach_filter(&told::filter(sender.own_port)) {
        debug!(%error, "the kernel tells more than is read");
    }
    socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
    for group in GROUPS {
        socket.socket_mut().add_membership(group)?;
    }
    let mut told = Told::new(sender.own_port);
    let mut datagram = Vec::with_capacity(DATAGRAM_MAX);
    loop {
        datagram.clear();
        tokio::select! {
            () = sender.looks.closed() => return Ok(()),
            received = socket.recv(&mut datagram) => received?,
        }
        let mut rest = datagram.as_slice();
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            match told.handle(&message) {
                News::Down { device, is_set } => {
                    sender.tell(Hint::Down(device));
                    if is_set {
                        sender.hint();
                    }
                }
                News::Up(device) => sender.tell(Hint::Up(device)),
                News::Soon => sender.hint(),
                News::Later => sender.hint_later(),
                News::Nothing => {}
            }
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

async fn listen_nftables(sender: Sender) -> io::Result<()> {
    let mut socket = TokioSocket::new(protocols::NETLINK_NETFILTER)?;
    socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
    socket.socket_mut().add_membership(GROUP_NFTABLES)?;
    loop {
        let received = tokio::select! {
            () = sender.looks.closed() => return Ok(()),
            received = socket.recv_from_full() => received,
        };
        let (octets, _) = received?;
        // The table's name is in every message about something in it, as text with its end.
        let name = [TABLE_NAME.as_bytes(), b"\0"].concat();
        if octets.windows(name.len()).any(|window| window == name) {
            debug!("nftables changed");
            sender.hint();
        }
    }
}
