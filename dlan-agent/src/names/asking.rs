//! Asks another name server: over UDP, again or at its other address when nothing comes, over TCP when the answer was cut short.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::wire;

/// The port that name servers are asked at.
pub const PORT: u16 = 53;
/// How long an answer is waited for, at first and at the second attempt; whoever asked us waits for some seconds.
const ATTEMPTS: [Duration; 2] = [Duration::from_millis(600), Duration::from_millis(900)];
/// How long an exchange over TCP may take.
const TCP_DEADLINE: Duration = Duration::from_secs(2);
/// The largest message that is read over UDP.
const UDP_BUFFER: usize = 4096;

/// Returns the answer of the first of the servers that gives one. With a single server it is asked twice.
pub async fn ask(servers: &[IpAddr], query: &Message) -> Option<Message> {
    let octets = query.to_vec().ok()?;
    for (server, deadline) in servers.iter().cycle().zip(ATTEMPTS) {
        let server = SocketAddr::new(*server, PORT);
        let Ok(Ok(answer)) = timeout(deadline, by_udp(server, query, &octets)).await else { continue };
        if !answer.metadata.truncation {
            return Some(answer);
        }
        if let Ok(Ok(answer)) = timeout(TCP_DEADLINE, by_tcp(server, query, &octets)).await {
            return Some(answer);
        }
    }
    None
}

async fn by_udp(server: SocketAddr, query: &Message, octets: &[u8]) -> io::Result<Message> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own for each question, and answers from that server only.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut buffer = vec![0; UDP_BUFFER];
    let until = Instant::now() + ATTEMPTS.iter().max().copied().unwrap_or_default();
    loop {
        let length = timeout_at(until, socket.recv(&mut buffer)).await??;
        let answer = buffer.get(..length).and_then(|octets| Message::from_vec(octets).ok());
        if let Some(answer) = answer.filter(|answer| wire::is_answer(answer, query)) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, query: &Message, octets: &[u8]) -> io::Result<Message> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(octets.len()).map_err(|_| malformed())?;
    stream.write_all(&[&length.to_be_bytes(), octets].concat()).await?;
    let mut buffer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut buffer).await?;
    let answer = Message::from_vec(&buffer).map_err(|_| malformed())?;
    if wire::is_answer(&answer, query) { Ok(answer) } else { Err(malformed()) }
}
