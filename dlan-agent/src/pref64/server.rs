//! The sockets: sends a LAN's advertisements, and hears who solicits them.

use std::collections::BTreeMap;
use std::future::pending;
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg};
use ospf_lite::driver::Clock;
use ospf_lite::random::Random;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{info, warn};
use vxlan::link::LinkName;

use super::wire::{self, HOP_LIMIT, SOLICITATION};
use super::{Advertiser, Told};

/// Who hears advertisements, and who hears solicitations (RFC 4291 section 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// The largest solicitation that is looked at.
const SOLICITATION_MAX: usize = 1500;
/// How soon a device that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// The advertisements of all LANs. They live in the tasks of a `LocalSet`, and end when this is dropped.
#[derive(Debug)]
pub struct Advertisements {
    clock: Clock,
    tasks: BTreeMap<LinkName, (watch::Sender<Told>, JoinHandle<()>)>,
}

impl Advertisements {
    /// Makes none.
    pub const fn new(clock: Clock) -> Self {
        Self { clock, tasks: BTreeMap::new() }
    }

    /// Tells the hosts on these devices, and those on no other. On a device that comes without a prefix nothing is begun.
    pub fn tell(&mut self, told: &BTreeMap<LinkName, Told>) {
        self.tasks.retain(|device, (_, task)| {
            let stays = told.contains_key(device);
            if !stays {
                task.abort();
            }
            stays
        });
        for (device, told) in told {
            match self.tasks.get(device) {
                Some((teller, _)) => {
                    _ = teller.send_if_modified(|was| std::mem::replace(was, *told) != *told)
                }
                None if told.prefix.is_none() => {}
                None => {
                    let (teller, hear) = watch::channel(*told);
                    let task = tokio::task::spawn_local(advertise(device.clone(), self.clock, hear));
                    self.tasks.insert(device.clone(), (teller, task));
                }
            }
        }
    }

    /// Takes back at once what hosts were told, for this router ends for good.
    pub fn take_back(&mut self) {
        for (device, (told, task)) in std::mem::take(&mut self.tasks) {
            task.abort();
            let told = *told.borrow();
            let octets = told.prefix.map(|prefix| wire::encode(told.header, [(prefix, Duration::ZERO)]));
            let sent = octets.map(|octets| open(&device).and_then(|(socket, to)| send(&socket, to, &octets)));
            if let Some(Err(error)) = sent {
                warn!(%device, %error, "hosts are not told that nothing translates any more");
            }
        }
    }
}

impl Drop for Advertisements {
    fn drop(&mut self) {
        self.tasks.values().for_each(|(_, task)| task.abort());
    }
}

/// Advertises on one device for as long as it is wanted.
async fn advertise(device: LinkName, clock: Clock, mut told: watch::Receiver<Told>) {
    let (now, first) = (clock.now(), *told.borrow_and_update());
    let seed =
        device.as_str().bytes().fold(now.as_micros(), |seed, octet| seed.rotate_left(8) ^ u64::from(octet));
    let mut advertiser = Advertiser::new(now, first, Random::new(seed));
    let mut is_said = false;
    loop {
        let outcome = match open(&device).and_then(|(socket, to)| Ok((watched(socket)?, to))) {
            Ok((socket, to)) => {
                info!(%device, "hosts are told of the prefix for IPv4");
                is_said = false;
                serve(&socket, to, clock, (&mut advertiser, &mut told)).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => return,
            Err(error) if !is_said => {
                warn!(%device, %error, "hosts are not told of the prefix for IPv4, tried again");
                is_said = true;
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

/// Serves one socket until it fails, or until nobody has anything to tell any more.
async fn serve(
    socket: &AsyncFd<Socket>,
    to: SocketAddrV6,
    clock: Clock,
    (advertiser, told): (&mut Advertiser, &mut watch::Receiver<Told>),
) -> io::Result<()> {
    loop {
        let due = advertiser.poll_timeout().map(|due| due.since(clock.now()));
        let timeout = async {
            match due {
                Some(rest) => sleep(rest).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = told.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let told = *told.borrow_and_update();
                advertiser.handle_told(clock.now(), told);
            }
            arrival = socket.async_io(Interest::READABLE, receive) => {
                if arrival? {
                    advertiser.handle_solicitation(clock.now());
                }
            }
            () = timeout => {
                if let Some(octets) = advertiser.handle_timeout(clock.now()) {
                    send(socket.get_ref(), to, &octets)?;
                }
            }
        }
    }
}

/// Opens a socket on a device that hears solicitations; returns it with the address of all nodes there.
fn open(device: &LinkName) -> io::Result<(Socket, SocketAddrV6)> {
    let index = if_nametoindex(device.as_str())?;
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(device.as_str().as_bytes()))?;
    // Loads the type; passes the whole packet if it is a Router Solicitation, nothing of it if not.
    socket.attach_filter(&[
        SockFilter::new(0x30, 0, 0, 0),
        SockFilter::new(0x15, 0, 1, SOLICITATION.into()),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ])?;
    socket.join_multicast_v6(&ALL_ROUTERS, index)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
    socket.set_recv_hoplimit_v6(true)?;
    Ok((socket, SocketAddrV6::new(ALL_NODES, 0, 0, index)))
}

/// Has the runtime watch a socket for what arrives.
#[expect(
    deprecated,
    reason = "the other way is `unsafe`, for the sake of types that lie about their descriptor"
)]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Takes one packet, and returns whether it is a solicitation.
fn receive(socket: &Socket) -> io::Result<bool> {
    let mut buffer = [0; SOLICITATION_MAX];
    let mut control = nix::cmsg_space!(i32);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let mut hop_limit = 0;
    for item in message.cmsgs()? {
        if let ControlMessageOwned::Ipv6HopLimit(limit) = item {
            hop_limit = u8::try_from(limit).unwrap_or_default();
        }
    }
    let length = message.bytes;
    Ok(wire::is_solicitation(hop_limit, buffer.get(..length).unwrap_or_default()))
}

/// Sends to all nodes from the device's link-local address, which is the one that the kernel takes for them.
fn send(socket: &Socket, to: SocketAddrV6, octets: &[u8]) -> io::Result<()> {
    socket.send_to(octets, &to.into()).map(|_| ())
}
