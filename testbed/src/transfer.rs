//! TCP transfers between hosts, whose every octet is checked.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::lab::Lab;
use crate::node::Node;

/// Words that are in every part of a transfer's content, and must not be readable on the way.
pub const MARKER: &[u8] = b"dlan-lab-marker-that-nobody-on-the-way-may-read";

/// The content is this block over and over.
const BLOCK: usize = 16 * 1024;
/// How long a transfer may stand still before it counts as broken.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// A transfer that runs in the background.
#[derive(Debug)]
pub struct Transfer {
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<Done, LabError>>,
}

/// What a transfer came to.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Octets that arrived as they were sent.
    pub octets: u64,
    /// How long it took.
    pub took: Duration,
    /// The longest time in which nothing arrived.
    pub longest_pause: Duration,
}

impl Done {
    /// Returns the rate in Mbit/s.
    pub fn megabits_per_second(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let bits = self.octets as f64 * 8.0;
        bits / self.took.as_secs_f64().max(1e-9) / 1e6
    }
}

impl Transfer {
    /// Starts a transfer of `octets` from one host to another; `u64::MAX` goes on until it is stopped.
    pub fn start(lab: &Lab, from: &str, to: &str, is_ipv6: bool, octets: u64) -> Result<Self, LabError> {
        let address = lab.address_of(to, is_ipv6)?;
        let any = if is_ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let broken = |why: std::io::Error| LabError::Asked(format!("transfer {from} to {to}: {why}"));
        let listener =
            lab.node(to)?.inside(|| TcpListener::bind(SocketAddr::new(any, 0)))?.map_err(broken)?;
        let port = listener.local_addr().map_err(broken)?.port();
        let (received, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let sender_node = lab.node(from)?.clone();
        let (count, end) = (Arc::clone(&received), Arc::clone(&stop));
        let label = format!("transfer {from} to {to}");
        let thread = std::thread::spawn(move || {
            let target = SocketAddr::new(address, port);
            carry(&sender_node, &listener, target, octets, (&count, &end)).map_err(|why| {
                LabError::Asked(format!("{label}: {why}, after {} octets", count.load(Ordering::SeqCst)))
            })
        });
        Ok(Self { received, stop, thread })
    }

    /// Returns how many octets arrived so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Returns whether the transfer has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has the sender end after what it has sent, and waits for the rest to arrive.
    pub fn stop(self) -> Result<Done, LabError> {
        self.stop.store(true, Ordering::SeqCst);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(self) -> Result<Done, LabError> {
        self.thread.join().unwrap_or_else(|_| Err(LabError::Asked("a transfer ended in a panic".to_owned())))
    }
}

/// Sends and receives at the same time.
fn carry(
    sender: &Node,
    listener: &TcpListener,
    target: SocketAddr,
    octets: u64,
    (received, stop): (&AtomicU64, &AtomicBool),
) -> Result<Done, String> {
    let has_failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let result = match sender.inside(|| send(target, octets, stop)) {
                Ok(result) => result.map_err(|error| format!("sending to {target}: {error}")),
                Err(error) => Err(error.with_causes()),
            };
            has_failed.store(result.is_err(), Ordering::SeqCst);
            result
        });
        let stream = accept(listener, &has_failed);
        let done = stream
            .and_then(|stream| receive(stream, received))
            .map_err(|error| format!("receiving: {error}"));
        let sent = sending.join().unwrap_or_else(|_| Err("the sender ended in a panic".to_owned()))?;
        let done = done?;
        if done.octets == sent {
            Ok(done)
        } else {
            Err(format!("{sent} octets were sent, {} arrived", done.octets))
        }
    })
}

/// Waits for the sender, but no longer than until it has failed.
fn accept(listener: &TcpListener, has_failed: &AtomicBool) -> std::io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let begun = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if has_failed.load(Ordering::SeqCst) || begun.elapsed() > STALL_LIMIT {
                    return Err(std::io::Error::other("nobody connected"));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

fn send(target: SocketAddr, octets: u64, stop: &AtomicBool) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(10))?;
    stream.set_write_timeout(Some(STALL_LIMIT))?;
    let block = block();
    let mut sent = 0;
    while sent < octets && !stop.load(Ordering::SeqCst) {
        let wanted = usize::try_from(octets - sent).unwrap_or(BLOCK).min(BLOCK);
        stream.write_all(block.get(..wanted).unwrap_or_default())?;
        sent += wanted as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(sent)
}

fn receive(mut stream: TcpStream, received: &AtomicU64) -> std::io::Result<Done> {
    stream.set_read_timeout(Some(STALL_LIMIT))?;
    let block = block();
    let begun = Instant::now();
    let mut last = begun;
    let mut longest_pause = Duration::ZERO;
    let mut buffer = vec![0; BLOCK];
    let mut total = 0;
    loop {
        let at = usize::try_from(total % BLOCK as u64).unwrap_or(0);
        let room = buffer.get_mut(..BLOCK - at).unwrap_or_default();
        let count = match stream.read(room) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        longest_pause = longest_pause.max(last.elapsed());
        last = Instant::now();
        if count == 0 {
            return Ok(Done { octets: total, took: begun.elapsed(), longest_pause });
        }
        if buffer.get(..count) != block.get(at..at + count) {
            return Err(std::io::Error::other(format!(
                "what arrived differs from what was sent, near octet {total}"
            )));
        }
        total += count as u64;
        received.store(total, Ordering::SeqCst);
    }
}

/// Returns the block that every transfer repeats: numbers that do not repeat within it, and the marker.
fn block() -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut state: u32 = 0x9e37_79b9;
    while block.len() < BLOCK {
        if block.len() % 512 == 0 {
            block.extend_from_slice(MARKER);
        } else {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            block.push(state.to_le_bytes()[0]);
        }
    }
    block.truncate(BLOCK);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_in_every_packet_sized_part_of_a_transfer() {
        let block = block();
        assert_eq!(block.len(), BLOCK);
        for part in block.chunks(1200) {
            assert!(part.windows(MARKER.len()).any(|window| window == MARKER) || part.len() < 600);
        }
    }
}
