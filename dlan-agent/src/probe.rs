//! Asks an upstream whether it works: by a TCP connection, the beginning of a TLS handshake, or a UDP packet.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::config::service::{HealthConfig, Probe, ProxyProtocol};

/// The PROXY protocol's header of a connection that is nobody's, version 1.
const PROXY_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
/// The same in version 2: the signature, version and the command LOCAL, no family, no addresses.
const PROXY_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
/// The types of the records that an answer to a TLS handshake begins with (RFC 8446 section 5.1): alert, handshake.
const TLS_ANSWERS: [u8; 2] = [21, 22];
/// The largest UDP answer that is read.
const ANSWER_MAX: usize = 2048;
/// How often a UDP packet is sent before its answer counts as missing.
const UDP_ATTEMPTS: u32 = 2;

/// Asks an upstream, and says why it does not work, if it does not.
pub async fn ask(upstream: SocketAddr, health: &HealthConfig) -> Result<(), String> {
    let asked = async {
        match &health.probe {
            Probe::Connect => TcpStream::connect(upstream).await.map(drop),
            Probe::Tls { name } => {
                let name = name.as_ref().map(|name| name.as_str());
                shake_hands(upstream, health.proxy_protocol, name).await
            }
            Probe::Udp { send, expect } => send_packet(upstream, (send, expect), health.timeout).await,
        }
    };
    match timeout(health.timeout, asked).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", health.timeout.as_secs())),
    }
}

async fn shake_hands(upstream: SocketAddr, proxy: ProxyProtocol, name: Option<&str>) -> io::Result<()> {
    let mut stream = TcpStream::connect(upstream).await?;
    let mut begin = match proxy {
        ProxyProtocol::None => Vec::new(),
        ProxyProtocol::Version1 => PROXY_UNKNOWN.to_vec(),
        ProxyProtocol::Version2 => PROXY_LOCAL.to_vec(),
    };
    begin.extend(client_hello(name));
    stream.write_all(&begin).await?;
    let mut first = [0; 1];
    let length = stream.read(&mut first).await?;
    match first.get(..length) {
        Some([first]) if TLS_ANSWERS.contains(first) => Ok(()),
        Some([_]) => Err(io::Error::other("the answer is not TLS")),
        _ => Err(io::Error::other("the connection is ended without an answer")),
    }
}

async fn send_packet(
    upstream: SocketAddr,
    (send, expect): (&[u8], &[u8]),
    within: Duration,
) -> io::Result<()> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Connected, it hears that nobody listens there.
    socket.connect(upstream).await?;
    let mut answer = vec![0; ANSWER_MAX];
    loop {
        socket.send(send).await?;
        let Ok(length) = timeout(within / UDP_ATTEMPTS, socket.recv(&mut answer)).await else { continue };
        let is_expected = answer.get(..length?).is_some_and(|answer| answer.starts_with(expect));
        let otherwise = || io::Error::other("the answer begins with something else");
        return if is_expected { Ok(()) } else { Err(otherwise()) };
    }
}

/// Returns the first record of a TLS handshake (RFC 8446 sections 4.1.2 and 5.1) that servers of TLS 1.2 and 1.3 answer.
/// Nothing comes of it, so it has no secrets and nothing random.
fn client_hello(name: Option<&str>) -> Vec<u8> {
    const VERSION_1_2: [u8; 2] = [3, 3];
    const SUITES: [u16; 10] =
        [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0x009c, 0x002f];
    const GROUPS: [u16; 3] = [0x001d, 0x0017, 0x0018];
    const SIGNATURES: [u16; 9] = [0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807];
    let numbers =
        |numbers: &[u16]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let host = [vec![0], with_length(name.as_bytes())].concat();
        extensions.extend(extension(0, &with_length(&host)));
    }
    extensions.extend(extension(10, &with_length(&numbers(&GROUPS))));
    extensions.extend(extension(13, &with_length(&numbers(&SIGNATURES))));
    extensions.extend(extension(43, &[4, 3, 4, 3, 3]));
    // No key is offered: a server of TLS 1.3 asks for one, which is answer enough.
    extensions.extend(extension(51, &with_length(&[])));
    let mut body = VERSION_1_2.to_vec();
    body.extend([0x64; 32]);
    body.push(0);
    body.extend(with_length(&numbers(&SUITES)));
    body.extend([1, 0]);
    body.extend(with_length(&extensions));
    // A handshake message has its length in three octets.
    let handshake = [vec![1, 0], with_length(&body)].concat();
    [vec![22, 3, 1], with_length(&handshake)].concat()
}

fn extension(number: u16, content: &[u8]) -> Vec<u8> {
    [number.to_be_bytes().to_vec(), with_length(content)].concat()
}

/// Puts the length of a content before it, in two octets; nothing here is nearly as long.
fn with_length(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().to_vec(), content.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn health(probe: Probe) -> HealthConfig {
        HealthConfig {
            probe,
            proxy_protocol: ProxyProtocol::None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            fails: 1,
            rises: 1,
        }
    }

    /// Answers each TCP connection with these octets, and returns what came in.
    async fn server(answer: &'static [u8]) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = vec![0; 4096];
            let length = stream.read(&mut heard).await.unwrap();
            heard.truncate(length);
            stream.write_all(answer).await.unwrap();
            heard
        });
        (at, task)
    }

    #[tokio::test]
    async fn a_tcp_upstream_works_when_it_accepts_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        assert_eq!(ask(at, &health(Probe::Connect)).await, Ok(()));
        drop(listener);
        assert!(ask(at, &health(Probe::Connect)).await.unwrap_err().contains("refused"));
    }

    #[tokio::test]
    async fn a_tls_upstream_works_when_it_answers_in_tls_and_hears_the_header_that_it_expects_first() {
        let (at, task) = server(&[22, 3, 3]).await;
        let probe = Probe::Tls { name: None };
        let with_header = HealthConfig { proxy_protocol: ProxyProtocol::Version1, ..health(probe.clone()) };
        assert_eq!(ask(at, &with_header).await, Ok(()));
        assert!(task.await.unwrap().starts_with(b"PROXY UNKNOWN\r\n\x16\x03\x01"));
        let (at, _task) = server(b"HTTP/1.1 400 Bad Request\r\n").await;
        assert_eq!(ask(at, &health(probe.clone())).await, Err("the answer is not TLS".to_owned()));
        let (at, _task) = server(&[]).await;
        let ended = ask(at, &health(probe)).await;
        assert_eq!(ended, Err("the connection is ended without an answer".to_owned()));
    }

    #[tokio::test]
    async fn a_udp_upstream_works_when_its_answer_begins_as_expected() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 64];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                socket.send_to(&packet[..length], from).await.unwrap();
            }
        });
        let probe = |expect: &[u8]| Probe::Udp { send: b"ping".to_vec(), expect: expect.to_vec() };
        assert_eq!(ask(at, &health(probe(b"pi"))).await, Ok(()));
        assert_eq!(ask(at, &health(probe(b""))).await, Ok(()));
        let other = ask(at, &health(probe(b"po"))).await;
        assert_eq!(other, Err("the answer begins with something else".to_owned()));
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(ask(nobody, &health(probe(b""))).await.unwrap_err().contains("refused"));
    }

    #[test]
    fn every_length_in_the_first_tls_record_is_that_of_what_follows() {
        for name in [None, Some("www.example.com")] {
            let record = client_hello(name);
            let length = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
            assert_eq!(length(3), record.len() - 5, "the record");
            assert_eq!((record[6], length(7)), (0, record.len() - 9), "the handshake message");
            let suites = length(44);
            let extensions_at = 46 + suites + 2;
            assert_eq!(length(extensions_at), record.len() - extensions_at - 2, "the extensions");
            let mut at = extensions_at + 2;
            while at < record.len() {
                at += 4 + length(at + 2);
            }
            assert_eq!(at, record.len());
        }
    }
}
