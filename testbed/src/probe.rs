//! One flow of small packets at a steady pace, and how long it was away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::node::Node;

/// How long a probe may take before it counts as late.
const LATE: Duration = Duration::from_millis(50);
/// The UDP ports that probes go to: an IPv6 socket takes a port's IPv4 packets too.
const PORT_IPV6: u16 = 9006;
const PORT_IPV4: u16 = 9004;

/// A running flow, one way.
#[derive(Debug)]
pub struct Probe {
    interval: Duration,
    seen: Arc<Progress>,
    sender: JoinHandle<Vec<Instant>>,
    receiver: JoinHandle<Vec<(usize, Instant)>>,
}

/// What a flow's two threads and its owner tell each other.
#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    /// How many were sent.
    sent: AtomicU64,
    /// The first that counts, by its number.
    mark: AtomicU64,
    /// How many that count have arrived.
    arrived: AtomicU64,
}

/// What became of the probes of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gaps {
    /// How long what was sent did not arrive: from each first lost probe to the next one that arrived, summed.
    pub away: Duration,
    /// How many were lost.
    pub lost: usize,
    /// How many arrived, but late.
    pub late: usize,
}

impl Probe {
    /// Starts a flow from a node to an address of another, a probe every `interval`.
    pub fn start(from: &Node, to: &Node, address: IpAddr, interval: Duration) -> Result<Self, LabError> {
        let (any, port) = if address.is_ipv6() {
            (IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT_IPV6)
        } else {
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT_IPV4)
        };
        let bind = |node: &Node, port| -> Result<UdpSocket, LabError> {
            node.inside(|| UdpSocket::bind((any, port)))?.map_err(|source| LabError::Node {
                node: node.name.clone(),
                why: format!("no socket for probes: {source}"),
            })
        };
        let (near, far) = (bind(from, 0)?, bind(to, port)?);
        far.set_read_timeout(Some(Duration::from_millis(50))).map_err(|source| LabError::Node {
            node: to.name.clone(),
            why: format!("no socket for probes: {source}"),
        })?;
        let seen = Arc::new(Progress::default());
        let (of_sender, of_receiver) = (Arc::clone(&seen), Arc::clone(&seen));
        let target = SocketAddr::new(address, port);
        let sender = std::thread::spawn(move || send(&near, target, interval, &of_sender));
        let receiver = std::thread::spawn(move || receive(&far, &of_receiver));
        Ok(Self { interval, seen, sender, receiver })
    }

    /// Has only those count that are sent later than now by `margin`.
    pub fn mark(&self, margin: Duration) {
        let ahead = margin.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        let first = self.seen.sent.load(Ordering::Relaxed) + u64::try_from(ahead).unwrap_or(u64::MAX);
        self.seen.mark.store(first, Ordering::Relaxed);
        self.seen.arrived.store(0, Ordering::Relaxed);
    }

    /// Returns how many of those that count have arrived.
    pub fn arrived(&self) -> u64 {
        self.seen.arrived.load(Ordering::Relaxed)
    }

    /// Ends the flow and says what became of it.
    pub fn stop(self) -> Result<Gaps, LabError> {
        self.seen.stop.store(true, Ordering::Relaxed);
        let broken = |_| LabError::Asked("a flow of probes ended in a panic".to_owned());
        let sent = self.sender.join().map_err(broken)?;
        Ok(gaps(&sent, &self.receiver.join().map_err(broken)?))
    }
}

fn send(socket: &UdpSocket, target: SocketAddr, interval: Duration, progress: &Progress) -> Vec<Instant> {
    let mut sent = Vec::new();
    let mut next = Instant::now();
    while !progress.stop.load(Ordering::Relaxed) {
        // What the node itself does not take is lost like any other.
        let _ = socket.send_to(&(sent.len() as u64).to_be_bytes(), target);
        sent.push(Instant::now());
        progress.sent.fetch_add(1, Ordering::Relaxed);
        next = (next + interval).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    sent
}

fn receive(socket: &UdpSocket, progress: &Progress) -> Vec<(usize, Instant)> {
    let mut seen = Vec::new();
    let mut buffer = [0; 8];
    // A moment longer than it is sent: the last ones are on their way.
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((8, _)) => {
                let number = u64::from_be_bytes(buffer);
                seen.push((usize::try_from(number).unwrap_or(usize::MAX), Instant::now()));
                if number >= progress.mark.load(Ordering::Relaxed) {
                    progress.arrived.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(_) => {}
            Err(_) if progress.stop.load(Ordering::Relaxed) => return seen,
            Err(_) => {}
        }
    }
}

/// Works out the gaps from when each probe was sent, and which arrived when.
fn gaps(sent: &[Instant], seen: &[(usize, Instant)]) -> Gaps {
    let mut arrived = vec![None; sent.len()];
    for (number, at) in seen {
        if let Some(slot) = arrived.get_mut(*number) {
            *slot = Some(*at);
        }
    }
    let mut gaps = Gaps::default();
    let mut first_lost = None;
    // What was lost at the very end has no end of its own: it was on its way.
    for (sent, arrived) in sent.iter().zip(&arrived) {
        match (arrived, first_lost) {
            (None, None) => first_lost = Some((*sent, 1)),
            (None, Some((first, lost))) => first_lost = Some((first, lost + 1)),
            (Some(at), lost) => {
                if let Some((first, lost)) = lost {
                    gaps.away += sent.saturating_duration_since(first);
                    gaps.lost += lost;
                }
                first_lost = None;
                gaps.late += usize::from(at.saturating_duration_since(*sent) > LATE);
            }
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_summed_from_each_first_lost_probe_to_the_next_that_arrived() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let sent: Vec<Instant> = (0..10).map(at).collect();
        // 2, 3 and 6 are lost, 7 is late, 9 is still on its way.
        let seen = [(0, at(1)), (1, at(2)), (4, at(5)), (5, at(6)), (7, at(99)), (8, at(9))];
        let expected = Gaps { away: Duration::from_millis(3), lost: 3, late: 1 };
        assert_eq!(gaps(&sent, &seen), expected);
    }
}
