//! Tells that something in the kernel changed. What, is for whoever looks; but for devices that can carry nothing any
//! more, which cannot wait for a look.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_core::{NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::link::{LinkAttribute, LinkFlags};
use netlink_packet_route::neighbour::{NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};
use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use vxlan::link::LinkName;

use super::rtnl_next_hop::{RTM_DELNEXTHOP, RTM_NEWNEXTHOP};
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

/// Devices that went down and were not heard of yet; beyond them a look finds out.
const DOWN_MAX: usize = 64;

/// What the kernel told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something changed.
    Look,
    /// The device is down, without carrier, or gone; ours or not.
    Down(LinkName),
}

/// A stream of hints; many changes make one hint when nobody looks in between.
#[derive(Debug)]
pub struct Hints {
    looks: mpsc::Receiver<()>,
    downs: mpsc::Receiver<LinkName>,
}

#[derive(Debug, Clone)]
struct Sender {
    looks: mpsc::Sender<()>,
    downs: mpsc::Sender<LinkName>,
    /// The number that notifications of our own routes and next hop objects carry.
    own_port: u32,
}

impl Sender {
    fn hint(&self) {
        // Full means that a hint waits already.
        let _ = self.looks.try_send(());
    }

    fn down(&self, device: LinkName) {
        // Whoever is so far behind looks at everything anyway.
        let _ = self.downs.try_send(device);
    }
}

impl Hints {
    /// Begins to listen, in the network namespace of the calling thread; within a runtime.
    /// `own_port` is that of the connection which sets routes and next hop objects.
    pub(super) fn start(own_port: u32) -> Self {
        // One hint waits: a second would say nothing more.
        let (looks_in, looks) = mpsc::channel(1);
        let (downs_in, downs) = mpsc::channel(DOWN_MAX);
        let sender = Sender { looks: looks_in, downs: downs_in, own_port };
        tokio::spawn(keep(sender.clone(), listen_rtnl));
        tokio::spawn(keep(sender.clone(), listen_next_hops));
        tokio::spawn(keep(sender, listen_nftables));
        Self { looks, downs }
    }

    /// Waits for a hint. One comes after each time that messages may have been lost.
    pub async fn next(&mut self) -> Hint {
        tokio::select! {
            biased;
            Some(device) = self.downs.recv() => Hint::Down(device),
            Some(()) = self.looks.recv() => Hint::Look,
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
    loop {
        let message = tokio::select! {
            () = sender.looks.closed() => break,
            message = messages.next() => message,
        };
        match message {
            Some((message, _)) => {
                if let Some(device) = lost_device(&message.payload) {
                    sender.down(device);
                }
                if is_telling(&message, sender.own_port) {
                    sender.hint();
                }
            }
            None => break,
        }
    }
    task.abort();
    Ok(())
}

/// Returns the device that a message says can carry nothing.
fn lost_device(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkName> {
    let (link, is_gone) = match payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => (link, false),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => (link, true),
        _ => return None,
    };
    if link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp) && !is_gone {
        return None;
    }
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => LinkName::new(name).ok(),
        _ => None,
    })
}

/// Returns whether a message may tell of drift. Routes come and are changed mostly by our own doing, and in the main table by
/// that of others, which is no business of ours.
fn is_telling(message: &NetlinkMessage<RouteNetlinkMessage>, own_port: u32) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
            let is_replaced = message.header.flags & NLM_F_REPLACE != 0;
            is_replaced && message.header.port_number != own_port && route.header.table < RT_TABLE_DEFAULT
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
            // What the kernel itself takes away comes with a device or an address.
            u8::from(route.header.protocol) != nix::libc::RTPROT_KERNEL
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
        let is_changed = message_type == Some(RTM_NEWNEXTHOP) && port != Some(sender.own_port);
        if message_type == Some(RTM_DELNEXTHOP) || is_changed {
            sender.hint();
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
