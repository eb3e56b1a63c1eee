//! Floods of routing packets made by hand: sent from wherever an intruder would sit, at a given rate.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::LabError;
use crate::node::Node;

/// The IP protocol number of OSPF.
const OSPF: i32 = 89;
/// BFD's port (RFC 5881 section 4).
const BFD_PORT: u16 = 3784;
/// The hop limit of BFD's packets (RFC 5881 section 5).
const BFD_HOP_LIMIT: u32 = 255;
/// How often the rate is brought into line.
const TICK: Duration = Duration::from_millis(2);
/// The longest packet that is recorded.
const PACKET_MAX: usize = 2_000;

/// What is flooded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// OSPF packets.
    Ospf,
    /// BFD packets.
    Bfd,
}

/// Where a flood goes.
#[derive(Debug, Clone)]
pub struct Aim {
    /// The device it leaves by; none leaves that to the routes.
    pub device: Option<&'static str>,
    /// Where it goes.
    pub to: Ipv6Addr,
    /// What it is.
    pub kind: Kind,
    /// Whom it claims to come from; none for an address of the sender's own. OSPF's only.
    pub from: Option<Ipv6Addr>,
}

/// How fast, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Packets a second, if the machine can.
    pub rate: u32,
    /// For so long.
    pub time: Duration,
}

/// Sends the packets in turn; returns how many have left, which those are not that a full queue has dropped at once.
pub fn send(node: &Node, aim: &Aim, packets: &[Vec<u8>], pace: Pace) -> Result<u64, LabError> {
    let sent = node.inside(|| flood(aim, packets, pace))?;
    sent.map_err(|source| LabError::Node {
        node: node.name.clone(),
        why: format!("cannot flood {}: {source}", aim.to),
    })
}

fn flood(aim: &Aim, packets: &[Vec<u8>], pace: Pace) -> io::Result<u64> {
    let (socket, to) = open(aim)?;
    let headed: Vec<Vec<u8>>;
    let packets = match aim.from {
        Some(from) => {
            headed = packets.iter().map(|packet| with_header(packet, from, aim.to)).collect();
            &headed
        }
        None => packets,
    };
    let (begin, mut sent, mut tried, mut turn) = (Instant::now(), 0, 0_u64, packets.iter().cycle());
    while begin.elapsed() < pace.time {
        let due =
            u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX) * u64::from(pace.rate) / 1_000_000;
        while tried < due
            && begin.elapsed() < pace.time
            && let Some(packet) = turn.next()
        {
            match socket.send_to(packet, &to) {
                Ok(_) => sent += 1,
                // A queue that is full drops: that is the most this machine can.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
            tried += 1;
        }
        std::thread::sleep(TICK);
    }
    Ok(sent)
}

/// Opens the socket of a flood.
fn open(aim: &Aim) -> io::Result<(Socket, SockAddr)> {
    let raw = |protocol| Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(protocol)));
    let socket = match (aim.kind, aim.from) {
        (Kind::Ospf, None) => raw(OSPF)?,
        (Kind::Ospf, Some(_)) => raw(nix::libc::IPPROTO_RAW)?,
        (Kind::Bfd, _) => Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?,
    };
    let mut scope = 0;
    if let Some(device) = aim.device {
        scope = if_nametoindex(device)?;
        socket.bind_device(Some(device.as_bytes()))?;
        socket.set_multicast_if_v6(scope)?;
    }
    if aim.kind == Kind::Bfd {
        socket.set_unicast_hops_v6(BFD_HOP_LIMIT)?;
    } else if aim.to.is_multicast() {
        socket.set_multicast_hops_v6(1)?;
    } else if aim.to.is_unicast_link_local() {
        socket.set_unicast_hops_v6(1)?;
    }
    let port = if aim.kind == Kind::Bfd { BFD_PORT } else { 0 };
    Ok((socket, SockAddr::from(SocketAddr::V6(SocketAddrV6::new(aim.to, port, 0, scope)))))
}

/// Puts the IPv6 header of an OSPF packet before it, with any source, as OSPF sends it: hop limit 1, traffic class CS6.
fn with_header(packet: &[u8], from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let [high, low] = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
    let protocol = u8::try_from(OSPF).unwrap_or_default();
    [&[0x6c, 0, 0, 0, high, low, protocol, 1][..], &from.octets(), &to.octets(), packet].concat()
}

/// Records the OSPF packets from one address that arrive on a device, for some time.
pub fn record(node: &Node, device: &str, from: Ipv6Addr, time: Duration) -> Result<Vec<Vec<u8>>, LabError> {
    let heard = node.inside(|| listen(device, from, time))?;
    heard.map_err(|source| LabError::Node {
        node: node.name.clone(),
        why: format!("cannot record on {device}: {source}"),
    })
}

fn listen(device: &str, from: Ipv6Addr, time: Duration) -> io::Result<Vec<Vec<u8>>> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(OSPF)))?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let socket = std::net::UdpSocket::from(socket);
    let (end, mut heard, mut buffer) = (Instant::now() + time, Vec::new(), vec![0; PACKET_MAX]);
    while Instant::now() < end {
        match socket.recv_from(&mut buffer) {
            Ok((length, source)) if source.ip() == IpAddr::V6(from) => {
                heard.push(buffer.get(..length).unwrap_or_default().to_vec());
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_packet_has_the_header_of_an_ospf_packet() {
        let (from, to) = ("fe80::1".parse().unwrap(), "ff02::5".parse().unwrap());
        let packet = with_header(&[3, 1, 0, 4], from, to);
        assert_eq!(packet.len(), 44);
        assert_eq!(packet[..8], [0x6c, 0, 0, 0, 0, 4, 89, 1]);
        assert_eq!((packet[8], packet[9], packet[24], packet[25]), (0xfe, 0x80, 0xff, 0x02));
    }
}
