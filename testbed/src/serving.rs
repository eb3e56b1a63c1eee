//! Servers in nodes and connections to them that stay, to see what becomes of both.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};

use crate::error::LabError;
use crate::lab::Lab;

/// What a stranger says to a server that shall hold the line.
pub const HOLD: &str = "hold";

/// A server in a node, until it is dropped: it answers each connection with the first line that it heard.
pub struct Server {
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

impl Server {
    /// Serves TCP: what a connection says first is said back with the server's name, and then everything as it is.
    pub fn tcp(lab: &Lab, host: &str, at: SocketAddr) -> Result<Self, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("server on {host}: {why}"));
        let listener = lab.node(host)?.inside(|| TcpListener::bind(at))?.map_err(broken)?;
        listener.set_nonblocking(true).map_err(broken)?;
        let (end, name) = (Arc::new(AtomicBool::new(false)), host.to_owned());
        let is_over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let name = name.clone();
                        std::thread::spawn(move || answer(stream, &name));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Ok(Self { end, thread: Some(thread) })
    }

    /// Serves UDP: every packet is sent back with the server's name before it.
    pub fn udp(lab: &Lab, host: &str, at: SocketAddr) -> Result<Self, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("server on {host}: {why}"));
        let socket = lab.node(host)?.inside(|| UdpSocket::bind(at))?.map_err(broken)?;
        socket.set_read_timeout(Some(Duration::from_millis(20))).map_err(broken)?;
        let (end, name) = (Arc::new(AtomicBool::new(false)), host.to_owned());
        let is_over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while !is_over.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                let said = packet.get(..length).unwrap_or_default();
                // A client that is gone needs no answer.
                let _ = socket.send_to(&[name.as_bytes(), b" ", said].concat(), from);
            }
        });
        Ok(Self { end, thread: Some(thread) })
    }
}

/// Answers HTTP by a page with who was said to ask, anything else by what it says.
fn answer(stream: TcpStream, name: &str) {
    let _ = stream.set_nonblocking(false);
    let Ok(mut out) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream);
    let mut first = String::new();
    if lines.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let who = first.trim().to_owned();
    let mut line = if first.starts_with("PROXY ") { String::new() } else { first };
    if line.is_empty() && lines.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    if line.trim() == HOLD {
        let mut octets = [0; 16 * 1024];
        while let Ok(length @ 1..) = lines.read(&mut octets) {
            if out.write_all(octets.get(..length).unwrap_or_default()).is_err() {
                return;
            }
        }
        return;
    }
    if let Some(octets) = line.trim().strip_prefix("give ").and_then(|text| text.parse().ok()) {
        // A client that goes away is the scenario's affair.
        let _ = give(&mut out, octets);
        return;
    }
    let body = format!("{name} hears {who}\n");
    let _ = write!(out, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

/// Sends so many octets.
fn give(out: &mut TcpStream, octets: u64) -> std::io::Result<()> {
    let block: Vec<u8> = (0..PERIOD * 1024).map(octet).collect();
    let mut sent = 0;
    while sent < octets {
        let left = usize::try_from(octets - sent).unwrap_or(usize::MAX).min(block.len());
        out.write_all(block.get(..left).unwrap_or_default())?;
        sent += u64::try_from(left).unwrap_or_default();
    }
    Ok(())
}

/// After how many octets those that a server gives begin again: no length of a packet or buffer goes into it.
const PERIOD: u64 = 251;

/// Returns the octet at a place of what a server gives.
pub fn octet(at: u64) -> u8 {
    u8::try_from(at % PERIOD).unwrap_or_default()
}

/// Returns all addresses of a node with this port.
pub fn any(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// A connection to a server that holds it, which stays.
pub struct Line {
    stream: TcpStream,
    /// How many octets went there and back.
    pub octets: usize,
}

impl Line {
    /// Opens one from a node.
    pub fn open(lab: &Lab, node: &str, (address, port): (&str, u16)) -> Result<Self, LabError> {
        let broken =
            |why: std::io::Error| LabError::Asked(format!("connection to {address} port {port}: {why}"));
        let mut stream = lab.node(node)?.inside(|| TcpStream::connect((address, port)))?.map_err(broken)?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(broken)?;
        stream.write_all(format!("{HOLD}\n").as_bytes()).map_err(broken)?;
        Ok(Self { stream, octets: 0 })
    }

    /// Returns how many octets of data a segment has at most.
    pub fn segment(&self) -> Result<u32, LabError> {
        getsockopt(&self.stream, sockopt::TcpMaxSeg)
            .map_err(|errno| LabError::Asked(format!("size of segments: {errno}")))
    }

    /// Sends so many blocks of 16 kB there and back, and compares.
    pub fn exchange(&mut self, blocks: u8) -> Result<(), LabError> {
        let broken = |why: std::io::Error| LabError::Claim(format!("the connection broke: {why}"));
        for round in 0..blocks {
            let sent = vec![round; 16 * 1024];
            self.stream.write_all(&sent).map_err(broken)?;
            let mut heard = vec![0; sent.len()];
            self.stream.read_exact(&mut heard).map_err(broken)?;
            if heard != sent {
                return Err(LabError::Claim("what came back is something else".to_owned()));
            }
            self.octets += sent.len();
        }
        Ok(())
    }
}
