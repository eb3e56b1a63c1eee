//! Asks addresses whether they are there: one ICMP echo each, with a deadline (RFC 792, RFC 4443 section 4).

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket as StdUdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

/// Octets behind the echo header: the nonce by which an answer is known, and some to make it an ordinary size.
const PAYLOAD: usize = 56;
const NONCE: usize = 8;
/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Sends one echo request to the address (the port is of no meaning, a link-local address needs its scope) and returns how
/// long the answer took; nothing when none came in time.
pub async fn echo(to: SocketAddr, nonce: u64, deadline: Duration) -> io::Result<Option<Duration>> {
    let (socket, is_raw) = open(to.ip())?;
    let to = match to {
        SocketAddr::V4(mut to) => {
            to.set_port(0);
            SocketAddr::V4(to)
        }
        SocketAddr::V6(mut to) => {
            to.set_port(0);
            SocketAddr::V6(to)
        }
    };
    let request = encode_request(to.ip(), nonce);
    let sent = Instant::now();
    match socket.send_to(&request, to).await {
        Ok(_) => {}
        Err(error) if is_no_way(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut buffer = [0; 2048];
    let answered = timeout(deadline, async {
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await?;
            let octets = buffer.get(..length).unwrap_or_default();
            if from.ip() == to.ip() && is_reply(to.ip(), is_raw, octets, nonce) {
                return Ok(sent.elapsed());
            }
        }
    });
    match answered.await {
        Ok(Ok(elapsed)) => Ok(Some(elapsed)),
        Ok(Err(error)) if is_no_way(&error) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Sends one ICMPv6 echo request to each address over one socket, and returns how long each answer took; nothing for those
/// that did not come in time.
pub async fn echoes(
    to: &[SocketAddrV6],
    nonce: u64,
    deadline: Duration,
) -> io::Result<Vec<Option<Duration>>> {
    let (socket, is_raw) = open(IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    let mut sent = Vec::with_capacity(to.len());
    for to in to {
        let request = encode_request(IpAddr::V6(*to.ip()), nonce);
        let at = Instant::now();
        // One that cannot be sent is one without an answer.
        let is_sent = socket.send_to(&request, SocketAddr::V6(*to)).await.is_ok();
        sent.push(is_sent.then_some(at));
    }
    let mut answers = vec![None; to.len()];
    let mut buffer = [0; 2048];
    let collect = async {
        while answers.iter().zip(&sent).any(|(answer, sent)| answer.is_none() && sent.is_some()) {
            let (length, from) = socket.recv_from(&mut buffer).await?;
            let octets = buffer.get(..length).unwrap_or_default();
            let SocketAddr::V6(from) = from else { continue };
            let is_it = |to: &SocketAddrV6| (to.ip(), to.scope_id()) == (from.ip(), from.scope_id());
            let place = to.iter().position(is_it);
            if let Some(place) = place.filter(|_| is_reply(IpAddr::V6(*from.ip()), is_raw, octets, nonce))
                && let (Some(answer), Some(Some(sent))) = (answers.get_mut(place), sent.get(place))
            {
                answer.get_or_insert(sent.elapsed());
            }
        }
        io::Result::Ok(())
    };
    match timeout(deadline, collect).await {
        Ok(Err(error)) if !is_no_way(&error) => Err(error),
        Ok(_) | Err(_) => Ok(answers),
    }
}

/// Returns whether the kernel says that there is no way: an answer to the question, not a failure to ask it.
fn is_no_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::ConnectionRefused
    )
}

/// Opens a raw socket, or where that is not allowed the kernel's socket for unprivileged echoes; says whether it is raw.
fn open(to: IpAddr) -> io::Result<(UdpSocket, bool)> {
    let (domain, protocol) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let (socket, is_raw) = match Socket::new(domain, Type::RAW, Some(protocol)) {
        Ok(socket) => (socket, true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            (Socket::new(domain, Type::DGRAM, Some(protocol))?, false)
        }
        Err(error) => return Err(error),
    };
    socket.set_nonblocking(true)?;
    Ok((UdpSocket::from_std(StdUdpSocket::from(socket))?, is_raw))
}

fn encode_request(to: IpAddr, nonce: u64) -> Vec<u8> {
    let kind = if to.is_ipv4() { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
    let [.., high, low] = nonce.to_be_bytes();
    let mut octets = vec![kind, 0, 0, 0, high, low, 0, 1];
    octets.extend(nonce.to_be_bytes());
    octets.resize(HEADER + PAYLOAD, 0);
    // The kernel computes the checksum of ICMPv6 itself: it needs the source address (RFC 3542 section 3.1).
    if to.is_ipv4() {
        let sum = checksum(&octets).to_be_bytes();
        octets.splice(2..4, sum);
    }
    octets
}

/// The internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        let high = pair.first().copied().unwrap_or_default();
        u32::from(u16::from_be_bytes([high, pair.get(1).copied().unwrap_or_default()]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// Returns whether the octets are the answer to the request with this nonce. Raw IPv4 sockets give the IP header as well.
fn is_reply(from: IpAddr, is_raw: bool, octets: &[u8], nonce: u64) -> bool {
    let (kind, octets) = match from {
        IpAddr::V4(_) if is_raw => {
            let header = octets.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
            (ECHO_REPLY_V4, octets.get(header..).unwrap_or_default())
        }
        IpAddr::V4(_) => (ECHO_REPLY_V4, octets),
        IpAddr::V6(_) => (ECHO_REPLY_V6, octets),
    };
    octets.first() == Some(&kind) && octets.get(HEADER..HEADER + NONCE) == Some(&nonce.to_be_bytes()[..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn reply(to: IpAddr, nonce: u64) -> Vec<u8> {
        let mut octets = encode_request(to, nonce);
        octets[0] = if to.is_ipv4() { ECHO_REPLY_V4 } else { ECHO_REPLY_V6 };
        octets
    }

    #[test]
    fn the_answer_to_this_request_is_known() {
        assert!(is_reply(V6, true, &reply(V6, 7), 7));
        assert!(!is_reply(V6, true, &reply(V6, 8), 7));
        assert!(!is_reply(V6, true, &encode_request(V6, 7), 7));
        assert!(is_reply(V4, false, &reply(V4, 7), 7));
        let mut with_header = vec![0x45; 20];
        with_header.extend(reply(V4, 7));
        assert!(is_reply(V4, true, &with_header, 7));
    }

    #[test]
    fn the_checksum_of_a_checked_request_is_zero() {
        assert_eq!(checksum(&encode_request(V4, 0x0102_0304_0506_0708)), 0);
    }

    #[test]
    fn the_loopback_answers() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(echo(SocketAddr::new(V4, 0), 99, Duration::from_secs(5)));
        match answer {
            Ok(answer) => assert!(answer.is_some()),
            // Where neither kind of socket is allowed there is nothing to claim.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_looked_at_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..128)) {
            for from in [V4, V6] {
                let _ = is_reply(from, true, &octets, 0) | is_reply(from, false, &octets, 0);
            }
        }
    }
}
