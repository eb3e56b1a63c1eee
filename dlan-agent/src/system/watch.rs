//! Tells that something in the kernel changed. What, is for whoever looks; but for devices that can carry nothing any
//! more, which cannot wait for a look.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_core::{NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::neighbour::{NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};
use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use vxlan::link::LinkName;

use super::rtnl_next_hop::{RTM_DELNEXTHOP, RTM_NEWNEXTHOP};
use super::told::{News, Told};
use crate::state::ruleset::TABLE_NAME;

/// How long until a socket that failed is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(1);
/// The kernel's group of changes to nftables (NFNLGRP_NFTABLES).
const GROUP_NFTABLES: u32 = 7;
/// The kernel's group of changes to next hop objects (RTNLGRP_NEXTHOP).
const GROUP_NEXT_HOPS: u32 = 32;
/// The first of the tables that are the system's own: `default`, `main`, `local`.
const RT_TABLE_DEFAULT: u8 = 253;
/// What tells of devices, addresses, routes, rules and the VXLAN devices' remote ends.
const GROUPS: [MulticastGroup; 8] = [
    MulticastGroup::Neigh,
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

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
        tokio::spawn(keep(sender.clone(), listen_next_hops));
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
    let (connection, _handle, mut messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
    let task = tokio::spawn(connection);
    let mut told = Told::default();
    loop {
        let message = tokio::select! {
            () = sender.looks.closed() => break,
            message = messages.next() => message,
        };
        match message {
            Some((message, _)) => {
                let when = match told.handle(&message.payload) {
                    Some(News::Down { device, is_set }) => {
                        sender.tell(Hint::Down(device));
                        is_set.then_some(When::Soon)
                    }
                    Some(News::Up(device)) => {
                        sender.tell(Hint::Up(device));
                        None
                    }
                    Some(News::Other) => Some(When::Soon),
                    Some(News::Nothing) => None,
                    None => when_to_look(&message, sender.own_port),
                };
                match when {
                    Some(When::Soon) => sender.hint(),
                    Some(When::Later) => sender.hint_later(),
                    None => {}
                }
            }
            None => break,
        }
    }
    task.abort();
    Ok(())
}

/// When it is to be looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Soon,
    Later,
}

/// Returns when it is to be looked for what a message tells of something that went, in whose name: this program knows what it
/// has taken away itself, and what the kernel takes comes with a device.
fn when_gone(port: u32, own_port: u32) -> Option<When> {
    match port {
        0 => Some(When::Later),
        port if port == own_port => None,
        _ => Some(When::Soon),
    }
}

/// Returns when it is to be looked because of a message that may tell of drift.
fn when_to_look(message: &NetlinkMessage<RouteNetlinkMessage>, own_port: u32) -> Option<When> {
    match &message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
            // Routes of its own the kernel takes away with a device or an address.
            let is_kernels = u8::from(route.header.protocol) == nix::libc::RTPROT_KERNEL;
            when_gone(message.header.port_number, own_port).filter(|_| !is_kernels)
        }
        _ => is_telling(message, own_port).then_some(When::Soon),
    }
}

/// Returns whether a message may tell of drift. Routes come and are changed mostly by our own doing, and in the main table by
/// that of others, which is no business of ours.
fn is_telling(message: &NetlinkMessage<RouteNetlinkMessage>, own_port: u32) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
            let is_replaced = message.header.flags & NLM_F_REPLACE != 0;
            is_replaced && message.header.port_number != own_port && route.header.table < RT_TABLE_DEFAULT
        }
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewNeighbour(neighbor) | RouteNetlinkMessage::DelNeighbour(neighbor),
        ) => is_made_by_hand(neighbor),
        NetlinkPayload::Done(_) | NetlinkPayload::Noop => false,
        _ => true,
    }
}

/// Returns whether it is an entry of a forwarding database that does not come and go with traffic, as the remote end of a
/// VXLAN device.
fn is_made_by_hand(neighbor: &NeighbourMessage) -> bool {
    // The state is a set of bits: the kernel also says that such an entry is reachable.
    let lasts = u16::from(NeighbourState::Permanent) | u16::from(NeighbourState::Noarp);
    neighbor.header.family == AddressFamily::Bridge && u16::from(neighbor.header.state) & lasts != 0
}

/// Listens for next hop objects that go, with which go routes, in IPv4 without a word; and for those that others change.
async fn listen_next_hops(sender: Sender) -> io::Result<()> {
    let mut socket = TokioSocket::new(protocols::NETLINK_ROUTE)?;
    socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
    socket.socket_mut().add_membership(GROUP_NEXT_HOPS)?;
    loop {
        let received = tokio::select! {
            () = sender.looks.closed() => return Ok(()),
            received = socket.recv_from_full() => received,
        };
        let (octets, _) = received?;
        let message_type = octets.get(4..6).and_then(|octets| octets.try_into().ok()).map(u16::from_ne_bytes);
        let port = octets.get(12..16).and_then(|octets| octets.try_into().ok()).map(u32::from_ne_bytes);
        let when = match (message_type, port) {
            (Some(RTM_DELNEXTHOP), Some(port)) => when_gone(port, sender.own_port),
            (Some(RTM_NEWNEXTHOP), Some(port)) if port != sender.own_port => Some(When::Soon),
            _ => None,
        };
        match when {
            Some(When::Soon) => sender.hint(),
            Some(When::Later) => sender.hint_later(),
            None => {}
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
