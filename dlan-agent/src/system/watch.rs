//! Tells that something in the kernel changed. What, is for whoever looks; but for devices that can carry nothing any
//! more, which cannot wait for a look.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols};
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use vxlan::link::LinkName;

use super::notifications::Notifications;
use super::told::News;
use crate::state::ruleset::TABLE_NAME;

/// How long until a socket that failed is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(1);
/// The kernel's group of changes to nftables (NFNLGRP_NFTABLES).
const GROUP_NFTABLES: u32 = 7;
/// Devices that went down or came back and were not heard of yet; beyond them a look finds out.
const CARRIERS_MAX: usize = 512;

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
    /// The numbers of the devices that nobody hurries to hear of.
    unhurried: watch::Receiver<BTreeSet<u32>>,
}

impl Sender {
    fn hint(&self) {
        // Full means that a hint waits already.
        let _ = self.looks.try_send(());
    }

    fn hint_later(&self) {
        let _ = self.late_looks.try_send(());
    }

    fn say(&self, news: News) {
        match news {
            News::Down { device, is_set } => {
                self.tell(Hint::Down(device));
                if is_set {
                    self.hint();
                }
            }
            News::Up(device) => self.tell(Hint::Up(device)),
            News::Soon => self.hint(),
            News::Later => self.hint_later(),
            News::Nothing => {}
        }
    }

    fn tell(&self, carrier: Hint) {
        match self.carriers.try_send(carrier) {
            Ok(()) => self.hint_later(),
            // Whoever is so far behind looks at everything.
            Err(_) => self.hint(),
        }
    }
}

impl Hints {
    /// Begins to listen, in the network namespace of the calling thread; within a runtime.
    /// `own_port` is that of the connection which sets routes and next hop objects, `unhurried` the numbers of the devices that nobody
    /// hurries to hear of: what is told of them is heard before the next other thing, and whenever these are said again.
    pub(super) fn start(own_port: u32, unhurried: watch::Receiver<BTreeSet<u32>>) -> Self {
        // One hint waits: a second would say nothing more.
        let (looks_in, looks) = mpsc::channel(1);
        let (late_in, late_looks) = mpsc::channel(1);
        let (carriers_in, carriers) = mpsc::channel(CARRIERS_MAX);
        let sender =
            Sender { looks: looks_in, late_looks: late_in, carriers: carriers_in, own_port, unhurried };
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
    let mut notifications = Notifications::listen(sender.own_port)?;
    let mut unhurried = sender.unhurried.clone();
    let say = |news| sender.say(news);
    loop {
        tokio::select! {
            () = sender.looks.closed() => return Ok(()),
            Ok(()) = unhurried.changed() => {
                let devices = unhurried.borrow_and_update().clone();
                notifications.put_aside(&devices, &say)?;
            }
            heard = notifications.hear(&say) => heard?,
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
