//! A scan by packets made by hand: which TCP and UDP ports of a machine answer anything at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::LabError;
use crate::node::Node;

/// The source port of the questions: nobody listens there.
const SOURCE_PORT: u16 = 61_001;
/// How many questions are asked before answers are read.
const BURST: usize = 128;
/// How long an answer is waited for once everything was asked; each answer begins the wait anew.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the sender rests after a burst, so that no queue on the way overflows.
const REST: Duration = Duration::from_micros(300);
/// What is asked for an answer's room in the socket, in octets.
const RECEIVE_BUFFER: usize = 8 << 20;
/// The lengths of headers without options, in octets.
const TCP_HEADER: usize = 20;

/// What a port said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// A program listens there.
    Open,
    /// No program does, and the machine says so: no filter stands before it.
    Refused,
}

/// Asks every TCP port by a SYN, twice; silent ports are not in the answer.
pub fn tcp(node: &Node, to: IpAddr, ports: RangeInclusive<u16>) -> Result<BTreeMap<u16, Answer>, LabError> {
    node.inside(|| scan_tcp(to, ports))
        .and_then(|scanned| scanned.map_err(|source| failed(node, to, &source)))
}

/// Asks these UDP ports by a packet; silent ports are not in the answer.
pub fn udp(node: &Node, to: IpAddr, ports: &[u16]) -> Result<BTreeSet<u16>, LabError> {
    node.inside(|| scan_udp(to, ports))
        .and_then(|scanned| scanned.map_err(|source| failed(node, to, &source)))
}

fn failed(node: &Node, to: IpAddr, source: &io::Error) -> LabError {
    LabError::Node { node: node.name.clone(), why: format!("cannot scan {to}: {source}") }
}

fn scan_tcp(to: IpAddr, ports: RangeInclusive<u16>) -> io::Result<BTreeMap<u16, Answer>> {
    let from = source_of(to)?;
    let socket = Socket::new(Domain::for_address(SocketAddr::new(to, 0)), Type::RAW, Some(Protocol::TCP))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::from(SocketAddr::new(to, 0)))?;
    let mut answers = BTreeMap::new();
    for _ in 0..2 {
        for (at, port) in ports.clone().enumerate() {
            // What cannot be sent is asked the second time, or is as silent as if it had been lost.
            let _ = socket.send(&syn(from, to, port));
            if at % BURST == 0 {
                std::thread::sleep(REST);
                while read_answer(&socket, to, &mut answers) {}
            }
        }
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        while read_answer(&socket, to, &mut answers) {}
        socket.set_nonblocking(true)?;
    }
    Ok(answers)
}

/// Returns the address that packets to another leave with.
fn source_of(to: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((to, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// Takes one packet, if there is one; an answer is one to the port that was asked from.
fn read_answer(mut socket: &Socket, to: IpAddr, answers: &mut BTreeMap<u16, Answer>) -> bool {
    let mut packet = [0; 200];
    let Ok(length) = socket.read(&mut packet) else { return false };
    let packet = packet.get(..length).unwrap_or_default();
    // IPv4 hands out its header as well.
    let skipped = match to {
        IpAddr::V4(_) => packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4),
        IpAddr::V6(_) => 0,
    };
    if let Some((port, answer)) = packet.get(skipped..).and_then(answer) {
        answers.insert(port, answer);
    }
    true
}

/// Reads who answers what from a TCP header (RFC 9293 section 3.1).
fn answer(segment: &[u8]) -> Option<(u16, Answer)> {
    let port = |at: usize| Some(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?]));
    if port(2)? != SOURCE_PORT {
        return None;
    }
    match segment.get(13)? & 0b01_0110 {
        0b01_0010 => Some((port(0)?, Answer::Open)),
        flags if flags & 0b00_0100 != 0 => Some((port(0)?, Answer::Refused)),
        _ => None,
    }
}

/// Returns a SYN (RFC 9293 section 3.1).
fn syn(from: IpAddr, to: IpAddr, port: u16) -> Vec<u8> {
    let mut segment = Vec::with_capacity(TCP_HEADER);
    segment.extend(SOURCE_PORT.to_be_bytes());
    segment.extend(port.to_be_bytes());
    segment.extend(u32::from(port).wrapping_mul(65_537).to_be_bytes());
    segment.extend([0; 4]);
    segment.extend([0x50, 0x02, 0x20, 0, 0, 0, 0, 0]);
    let mut sum: u32 = 6 + TCP_HEADER as u32;
    let mut add = |octets: &[u8]| {
        for pair in octets.chunks(2) {
            let [high, low] = [pair.first(), pair.get(1)].map(|octet| u32::from(octet.copied().unwrap_or(0)));
            sum += (high << 8) | low;
        }
    };
    for address in [from, to] {
        match address {
            IpAddr::V4(address) => add(&address.octets()),
            IpAddr::V6(address) => add(&address.octets()),
        }
    }
    add(&segment);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).unwrap_or_default();
    segment.splice(16..18, checksum.to_be_bytes());
    segment
}

fn scan_udp(to: IpAddr, ports: &[u16]) -> io::Result<BTreeSet<u16>> {
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let (mut sockets, mut answers) = (Vec::new(), BTreeSet::new());
    let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    for port in ports {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((to, *port))?;
        // Twice: the first may be lost. The second is told of a refusal that has come by then.
        for _ in 0..2 {
            if socket.send(b"does anybody hear this?").is_err_and(|error| is_refused(&error)) {
                answers.insert(*port);
            }
        }
        sockets.push((*port, socket));
    }
    let mut patience = PATIENCE;
    for (port, socket) in sockets {
        socket.set_read_timeout(Some(patience))?;
        match socket.recv(&mut [0; 100]) {
            Ok(_) => drop(answers.insert(port)),
            Err(error) if is_refused(&error) => drop(answers.insert(port)),
            // The others have been waited for with it.
            Err(_) => patience = Duration::from_millis(1),
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_has_its_checksum() {
        let (from, to) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into());
        let segment = syn(from, to, 443);
        let words = [&[192, 0, 2, 1, 192, 0, 2, 2, 0, 6, 0, 20][..], &segment].concat();
        let sum: u32 = words.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }

    #[test]
    fn an_answer_is_told_by_its_flags_and_its_port() {
        let mut segment = syn(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into(), SOURCE_PORT);
        segment.splice(0..2, 443_u16.to_be_bytes());
        for (flags, expected) in [
            (0x12, Some((443, Answer::Open))),
            (0x14, Some((443, Answer::Refused))),
            (0x04, Some((443, Answer::Refused))),
            (0x02, None),
            (0x10, None),
        ] {
            segment[13] = flags;
            assert_eq!(answer(&segment), expected, "{flags:#x}");
        }
        segment.splice(2..4, 80_u16.to_be_bytes());
        segment[13] = 0x12;
        assert_eq!(answer(&segment), None);
    }
}
