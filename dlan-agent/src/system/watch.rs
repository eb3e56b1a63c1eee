//! Tells that something in the kernel changed. What, is for whoever looks.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::neighbour::{NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};
use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::state::ruleset::TABLE_NAME;

/// How long until a socket that failed is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(1);
/// The kernel's group of changes to nftables (NFNLGRP_NFTABLES).
const GROUP_NFTABLES: u32 = 7;
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

/// A stream of hints; many changes make one hint when nobody looks in between.
#[derive(Debug)]
pub struct Hints {
    receiver: mpsc::Receiver<()>,
}

impl Hints {
    /// Begins to listen, in the network namespace of the calling thread; within a runtime.
    pub(super) fn start() -> Self {
        // One hint waits: a second would say nothing more.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(keep(sender.clone(), listen_rtnl));
        tokio::spawn(keep(sender, listen_nftables));
        Self { receiver }
    }

    /// Waits for a hint. One comes after each time that messages may have been lost.
    pub async fn next(&mut self) {
        if self.receiver.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Listens again whenever listening ends.
async fn keep<F: Future<Output = io::Result<()>>>(
    sender: mpsc::Sender<()>,
    listen: impl Fn(mpsc::Sender<()>) -> F,
) {
    while !sender.is_closed() {
        if let Err(error) = listen(sender.clone()).await {
            warn!(%error, "netlink notifications interrupted");
        }
        tokio::time::sleep(REOPEN_DELAY).await;
        hint(&sender);
    }
}

fn hint(sender: &mpsc::Sender<()>) {
    // Full means that a hint waits already.
    let _ = sender.try_send(());
}

async fn listen_rtnl(sender: mpsc::Sender<()>) -> io::Result<()> {
    let (connection, _handle, mut messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
    let task = tokio::spawn(connection);
    loop {
        let message = tokio::select! {
            () = sender.closed() => break,
            message = messages.next() => message,
        };
        match message {
            Some((message, _)) if is_telling(&message.payload) => hint(&sender),
            Some(_) => {}
            None => break,
        }
    }
    task.abort();
    Ok(())
}

/// Returns whether a message may tell of drift: routes that come are mostly our own doing.
fn is_telling(payload: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
    match payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(_)) => false,
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
    neighbor.header.family == AddressFamily::Bridge
        && matches!(neighbor.header.state, NeighbourState::Permanent | NeighbourState::Noarp)
}

async fn listen_nftables(sender: mpsc::Sender<()>) -> io::Result<()> {
    let mut socket = TokioSocket::new(protocols::NETLINK_NETFILTER)?;
    socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
    socket.socket_mut().add_membership(GROUP_NFTABLES)?;
    loop {
        let received = tokio::select! {
            () = sender.closed() => return Ok(()),
            received = socket.recv_from_full() => received,
        };
        let (octets, _) = received?;
        // The table's name is in every message about something in it, as text with its end.
        let name = [TABLE_NAME.as_bytes(), b"\0"].concat();
        if octets.windows(name.len()).any(|window| window == name) {
            debug!("nftables changed");
            hint(&sender);
        }
    }
}
