//! The sockets of one BFD session: UDP with hop limit 255 on one device, and raw ICMPv6 for echo replies.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use std::time::SystemTime;

use nix::libc::{sock_filter, sock_fprog};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clock::{OtherStamp, moment};
use super::ospf_socket::{OpenError, none_waits, watch};
use super::repetition::{Pattern, Repetition, filter};
use crate::bfd::HOP_LIMIT;
use crate::bfd::is_forwarding::Echo;

/// The UDP port of single-hop Control packets (RFC 5881 section 4).
const CONTROL_PORT: u16 = 3784;
/// The first UDP port that packets may be sent from (RFC 5881 section 4).
const SOURCE_PORT_FIRST: u16 = 49_152;
/// How many ports may be taken by others before a session gives up for a while.
const SOURCE_PORT_ATTEMPTS: u16 = 64;
/// Internetwork control, as OSPF's packets.
const TRAFFIC_CLASS: u32 = 0xc0;
/// The kernel's queueing priority of control packets: a full-speed transfer does not make them wait.
const PRIORITY: u32 = 7;
/// ICMPv6 Echo Reply (RFC 4443 section 4.2).
const ECHO_REPLY: u32 = 129;

/// A packet that arrived on port 3784; its octets are in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ControlArrival {
    pub length: usize,
    pub hop_limit: u8,
    /// When it arrived by the real clock, if it was set aside.
    pub stamp: Option<SystemTime>,
}

/// The sockets of one session: one hears port 3784 on the device, one sends from a port of its own.
#[derive(Debug)]
pub(super) struct BfdSocket {
    listener: AsyncFd<Socket>,
    sender: Socket,
    device: String,
    ifindex: u32,
    /// What the far end says again and again.
    repetition: Repetition,
    /// Where that waits, from the first time on that any was expected.
    aside: Option<Socket>,
}

impl BfdSocket {
    /// Opens the sockets on a device. `number` spreads the source ports, so that each session has one of its own.
    pub fn open(device: &str, ifindex: u32, source: Ipv6Addr, number: u32) -> Result<Self, OpenError> {
        let at = |act: &'static str| move |error: io::Error| OpenError::new(device, act, error);
        let listener = listener(device)?;
        bind_listener(&listener).map_err(at("bind to BFD's port"))?;
        let sender = on_device(device, Type::DGRAM, Protocol::UDP)?;
        sender.set_unicast_hops_v6(HOP_LIMIT.into()).map_err(at("set the hop limit"))?;
        sender.set_tclass_v6(TRAFFIC_CLASS).map_err(at("set the traffic class"))?;
        sender.set_priority(PRIORITY).map_err(at("set the priority"))?;
        bind_source(&sender, source, ifindex, number).map_err(at("bind to a BFD source port"))?;
        Ok(Self {
            listener: watch(listener).map_err(at("register with the runtime"))?,
            sender,
            device: device.to_owned(),
            ifindex,
            repetition: Repetition::default(),
            aside: None,
        })
    }

    /// Returns whether [`BfdSocket::receive`] may find something; registers the task to be woken when it will.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.listener.poll_read_ready(cx).map(|_| ())
    }

    /// Takes one packet into the buffer; nothing when none waits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<ControlArrival>> {
        none_waits(self.listener.try_io(Interest::READABLE, |socket| receive_control(socket, buffer)))
    }

    /// As [`BfdSocket::receive`], but asks the kernel even if the runtime has not heard of a packet yet.
    pub fn receive_directly(&self, buffer: &mut [u8]) -> io::Result<Option<ControlArrival>> {
        none_waits(receive_control(self.listener.get_ref(), buffer))
    }

    /// Takes one of the packets that were set aside into the buffer; nothing when none waits.
    pub fn receive_aside(&self, buffer: &mut [u8]) -> io::Result<Option<ControlArrival>> {
        self.aside.as_ref().map_or(Ok(None), |aside| none_waits(receive_control(aside, buffer)))
    }

    /// Returns whether packets are set aside.
    pub fn is_setting_aside(&self) -> bool {
        self.repetition.expected().is_some()
    }

    /// Takes in a packet that was accepted; `is_settled` says that another one like it would say no more than that the far end is
    /// alive. Once it has said so often enough, what it says again is set aside, and wakes nobody up.
    pub fn hear(&mut self, octets: &[u8], is_settled: bool) -> io::Result<()> {
        let is_changed = self.repetition.hear(Pattern::beginning(octets), is_settled);
        let outcome = if is_changed { self.set_aside() } else { Ok(()) };
        outcome.inspect_err(|_| self.repetition.forget())
    }

    /// Sets nothing aside any more; what waits is still there for [`BfdSocket::receive_aside`].
    pub fn forget(&mut self) -> io::Result<()> {
        self.repetition.forget();
        if self.aside.is_some() { self.set_aside() } else { Ok(()) }
    }

    fn set_aside(&mut self) -> io::Result<()> {
        if self.aside.is_none() {
            let aside = listener(&self.device).map_err(io::Error::other)?;
            setsockopt(&aside, sockopt::ReceiveTimestampns, &true)?;
            // Before there is a second one, or the kernel would give it every other packet.
            select(self.listener.get_ref(), &[])?;
            bind_listener(&aside)?;
            self.aside = Some(aside);
        }
        let expected: Vec<_> = self.repetition.expected().into_iter().collect();
        select(self.listener.get_ref(), &expected)
    }

    /// Sends one packet, or says why it could not; never waits.
    pub fn send(&self, destination: Ipv6Addr, octets: &[u8]) -> io::Result<()> {
        let to = SocketAddrV6::new(destination, CONTROL_PORT, 0, self.ifindex);
        nix::sys::socket::sendto(self.sender.as_raw_fd(), octets, &SockaddrIn6::from(to), MsgFlags::empty())?;
        Ok(())
    }
}

/// A raw ICMPv6 socket on one device that hears Echo Replies and nothing else. The kernel computes the checksum.
#[derive(Debug)]
pub(super) struct EchoSocket {
    fd: AsyncFd<Socket>,
    ifindex: u32,
}

impl EchoSocket {
    /// Opens the socket on a device.
    pub fn open(device: &str, ifindex: u32) -> Result<Self, OpenError> {
        let at = |act: &'static str| move |error: io::Error| OpenError::new(device, act, error);
        let socket = on_device(device, Type::RAW, Protocol::ICMPV6)?;
        // Loads the type; passes the whole packet if it is an Echo Reply, nothing of it if not.
        let filter = [
            SockFilter::new(0x30, 0, 0, 0),
            SockFilter::new(0x15, 0, 1, ECHO_REPLY),
            SockFilter::new(0x06, 0, 0, u32::MAX),
            SockFilter::new(0x06, 0, 0, 0),
        ];
        socket.attach_filter(&filter).map_err(at("keep out all but echo replies"))?;
        Ok(Self { fd: watch(socket).map_err(at("register with the runtime"))?, ifindex })
    }

    /// Returns whether [`EchoSocket::receive`] may find something; registers the task to be woken when it will.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.fd.poll_read_ready(cx).map(|_| ())
    }

    /// Takes one packet: its source, and the reply if it is one; nothing when none waits.
    pub fn receive(&self) -> io::Result<Option<(Ipv6Addr, Option<Echo>)>> {
        let mut buffer = [0; 64];
        let arrival = none_waits(self.fd.try_io(Interest::READABLE, |socket| {
            Ok(nix::sys::socket::recvfrom::<SockaddrIn6>(socket.as_raw_fd(), &mut buffer)?)
        }))?;
        Ok(arrival.map(|(length, source)| {
            let source = source.map_or(Ipv6Addr::UNSPECIFIED, |source| source.ip());
            (source, Echo::decode_reply(buffer.get(..length).unwrap_or_default()))
        }))
    }

    /// Sends one request, or says why it could not; never waits.
    pub fn send(&self, destination: Ipv6Addr, echo: Echo) -> io::Result<()> {
        let to = SocketAddrV6::new(destination, 0, 0, self.ifindex);
        let octets = echo.encode_request();
        nix::sys::socket::sendto(self.fd.as_raw_fd(), &octets, &SockaddrIn6::from(to), MsgFlags::empty())?;
        Ok(())
    }
}

fn on_device(device: &str, kind: Type, protocol: Protocol) -> Result<Socket, OpenError> {
    let at = |act: &'static str| move |error: io::Error| OpenError::new(device, act, error);
    let socket = Socket::new(Domain::IPV6, kind, Some(protocol)).map_err(at("create"))?;
    socket.set_nonblocking(true).map_err(at("set non-blocking"))?;
    socket.bind_device(Some(device.as_bytes())).map_err(at("bind to the device"))?;
    if kind == Type::DGRAM {
        socket.set_only_v6(true).map_err(at("leave IPv4 to others"))?;
    }
    Ok(socket)
}

/// Makes a socket for what arrives; those of one device share the port.
fn listener(device: &str) -> Result<Socket, OpenError> {
    let at = |act: &'static str| move |error: io::Error| OpenError::new(device, act, error);
    let listener = on_device(device, Type::DGRAM, Protocol::UDP)?;
    listener.set_reuse_address(true).map_err(at("share BFD's port with other devices"))?;
    listener.set_reuse_port(true).map_err(at("share BFD's port"))?;
    listener.set_recv_hoplimit_v6(true).map_err(at("ask for hop limits"))?;
    Ok(listener)
}

fn bind_listener(listener: &Socket) -> io::Result<()> {
    listener.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CONTROL_PORT, 0, 0).into())
}

/// Has the second of the sockets that share a port take what is expected, and the first one all else: they count in the order in
/// which they were bound.
fn select(listener: &Socket, expected: &[&Pattern]) -> io::Result<()> {
    let (first, second) = (0, 1);
    let mut program: Vec<_> = filter(expected, second, first)
        .into_iter()
        .map(|(code, jt, jf, k)| sock_filter { code, jt, jf, k })
        .collect();
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    Ok(setsockopt(listener, sockopt::AttachReusePortCbpf, &program)?)
}

/// Binds to a free port of 49152..=65535, the same one as long as nobody else takes it (RFC 5881 section 4).
fn bind_source(socket: &Socket, source: Ipv6Addr, ifindex: u32, number: u32) -> io::Result<()> {
    let mut outcome = Ok(());
    for attempt in 0..SOURCE_PORT_ATTEMPTS {
        outcome = socket.bind(&SocketAddrV6::new(source, source_port(number, attempt), 0, ifindex).into());
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            _ => return outcome,
        }
    }
    outcome
}

/// Returns the port to try, in the order of the attempts.
fn source_port(number: u32, attempt: u16) -> u16 {
    let span = u32::from(u16::MAX - SOURCE_PORT_FIRST) + 1;
    // Attempts are far apart, so that a session does not take the first port of its neighbor.
    let offset = number.wrapping_add(u32::from(attempt) * 257) % span;
    SOURCE_PORT_FIRST.saturating_add(u16::try_from(offset).unwrap_or_default())
}

fn receive_control(socket: &Socket, buffer: &mut [u8]) -> io::Result<ControlArrival> {
    let mut control = nix::cmsg_space!(i32, TimeSpec, OtherStamp);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let (mut hop_limit, mut stamp) = (0, None);
    // Without its hop limit a packet is refused, and the next one may have all.
    for item in message.cmsgs().into_iter().flatten() {
        match item {
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).unwrap_or_default(),
            ControlMessageOwned::ScmTimestampns(time) => stamp = moment(time),
            _ => {}
        }
    }
    Ok(ControlArrival { length: message.bytes, hop_limit, stamp })
}

#[cfg(test)]
mod tests {
    use super::super::repetition::ALIKE_MIN;
    use super::*;
    use std::collections::BTreeSet;
    use std::future::poll_fn;
    use std::process::Command;
    use std::time::Duration;

    use nix::sched::{CloneFlags, unshare};
    use tokio::time::timeout;

    /// How long anything may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// How long nothing happens.
    const SOON: Duration = Duration::from_millis(100);

    /// Runs something in a network namespace of its own, over its loopback device.
    #[expect(clippy::disallowed_methods, reason = "a namespace belongs to a thread")]
    fn alone(test: impl AsyncFnOnce() + Send + 'static) {
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("this test makes a network namespace: run it as root");
            assert!(Command::new("ip").args(["link", "set", "dev", "lo", "up"]).status().unwrap().success());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test());
        });
        thread.join().unwrap();
    }

    #[test]
    fn what_the_far_end_says_again_and_again_waits_aside_and_wakes_nobody() {
        alone(async || {
            let mut socket = BfdSocket::open("lo", 1, Ipv6Addr::LOCALHOST, 1).unwrap();
            let mut buffer = [0; 64];
            let send = |socket: &BfdSocket, octet| socket.send(Ipv6Addr::LOCALHOST, &[octet; 24]).unwrap();
            for heard in 1..=ALIKE_MIN {
                socket.hear(&[7; 24], true).unwrap();
                assert_eq!(socket.is_setting_aside(), heard == ALIKE_MIN);
            }
            // The kernel begins to stamp what arrives a moment after somebody has asked for it.
            let stamped = async {
                loop {
                    send(&socket, 7);
                    tokio::time::sleep(SOON).await;
                    let arrived = socket.receive_aside(&mut buffer).unwrap().expect("it is gone");
                    if arrived.stamp.is_some_and(|stamp| stamp.elapsed().is_ok_and(|age| age >= SOON)) {
                        break;
                    }
                }
            };
            timeout(PATIENCE, stamped).await.expect("nothing is stamped as it arrives");

            // Many, for the kernel would spread them over both by chance.
            for _ in 0..16 {
                send(&socket, 7);
            }
            let ready = poll_fn(|cx| socket.poll_readable(cx));
            assert!(timeout(SOON, ready).await.is_err(), "it wakes somebody");
            assert_eq!(socket.receive_directly(&mut buffer).unwrap(), None);
            for _ in 0..16 {
                let arrived = socket.receive_aside(&mut buffer).unwrap().expect("it is gone");
                assert_eq!((arrived.length, arrived.hop_limit), (24, HOP_LIMIT));
                let age = arrived.stamp.expect("nobody knows when").elapsed().unwrap();
                assert!(age >= SOON && age < PATIENCE, "{age:?}");
            }
            assert_eq!(socket.receive_aside(&mut buffer).unwrap(), None);

            for _ in 0..16 {
                send(&socket, 8);
                timeout(PATIENCE, poll_fn(|cx| socket.poll_readable(cx))).await.expect("nobody is woken");
                let arrived = socket.receive(&mut buffer).unwrap().expect("it is gone");
                assert_eq!((arrived.length, arrived.hop_limit, arrived.stamp), (24, HOP_LIMIT, None));
                assert_eq!(buffer[..24], [8; 24]);
                assert_eq!(socket.receive(&mut buffer).unwrap(), None);
            }

            send(&socket, 7);
            socket.forget().unwrap();
            assert!(socket.receive_aside(&mut buffer).unwrap().is_some(), "it is lost");
            for _ in 0..16 {
                send(&socket, 7);
                assert!(socket.receive_directly(&mut buffer).unwrap().is_some());
            }
            assert_eq!(socket.receive_aside(&mut buffer).unwrap(), None);
        });
    }

    #[test]
    fn s4_source_ports_are_in_the_range_of_the_standard_and_differ_between_links() {
        let ports: BTreeSet<u16> = (1..=256).map(|number| source_port(number, 0)).collect();
        assert_eq!(ports.len(), 256);
        for number in [0, 1, 16_383, 16_384, u32::MAX] {
            for attempt in 0..SOURCE_PORT_ATTEMPTS {
                assert!(source_port(number, attempt) >= SOURCE_PORT_FIRST);
            }
        }
    }
}
