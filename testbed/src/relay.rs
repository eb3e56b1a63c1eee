//! A machine in the way of UDP packets that hands each on a while later, as a long path does.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::node::Node;

/// How long a relay waits for a packet before it looks at what is due.
const WAIT: Duration = Duration::from_millis(1);
/// How many packets a relay holds each way; more are dropped.
const QUEUE_MAX: usize = 10_000;

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Relay {
    delay: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay in a node: what comes to `port` from anybody goes to `far`, and what comes back goes to who sent last.
    pub fn start(node: &Node, port: u16, far: SocketAddr) -> Result<Self, LabError> {
        let failed = |source: std::io::Error| LabError::Node {
            node: node.name.clone(),
            why: format!("no socket for a relay: {source}"),
        };
        let any = if far.is_ipv6() { "[::]" } else { "0.0.0.0" };
        let bind = |port: u16| node.inside(|| UdpSocket::bind(format!("{any}:{port}")));
        let (near_side, far_side) = (bind(port)?.map_err(failed)?, bind(0)?.map_err(failed)?);
        for socket in [&near_side, &far_side] {
            socket.set_read_timeout(Some(WAIT)).map_err(failed)?;
        }
        let sides = Arc::new((near_side, far_side));
        let caller = Arc::new(std::sync::Mutex::new(None));
        let mut relay = Self { delay: Arc::default(), is_over: Arc::default(), threads: Vec::new() };
        for is_out in [true, false] {
            let (sides, caller) = (Arc::clone(&sides), Arc::clone(&caller));
            let (delay, is_over) = (Arc::clone(&relay.delay), Arc::clone(&relay.is_over));
            relay.threads.push(std::thread::spawn(move || {
                let known = |seen: Option<SocketAddr>| {
                    let mut caller = caller.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    *caller = seen.or(*caller);
                    *caller
                };
                if is_out {
                    carry((&sides.0, &sides.1), (&delay, &is_over), |from| {
                        known(Some(from));
                        Some(far)
                    });
                } else {
                    carry((&sides.1, &sides.0), (&delay, &is_over), |_| known(None));
                }
            }));
        }
        Ok(relay)
    }

    /// Sets how long each packet is held, each way.
    pub fn set_delay(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that ended in a panic is over as well.
            let _ = thread.join();
        }
    }
}

/// Carries packets one way; `target` is told who sent a packet, and says where it goes.
fn carry(
    (from, to): (&UdpSocket, &UdpSocket),
    (delay, is_over): (&AtomicU64, &AtomicBool),
    target: impl Fn(SocketAddr) -> Option<SocketAddr>,
) {
    let mut held: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; 65_536];
    while !is_over.load(Ordering::Relaxed) {
        if let Ok((length, sender)) = from.recv_from(&mut buffer)
            && held.len() < QUEUE_MAX
            && let Some(target) = target(sender)
        {
            let due = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
            held.push_back((due, target, buffer.get(..length).unwrap_or_default().to_vec()));
        }
        while held.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            let Some((_, target, octets)) = held.pop_front() else { break };
            // A relay promises nothing, as no router does.
            let _ = to.send_to(&octets, target);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test says what it expects by failing.
    use super::*;

    #[test]
    fn packets_go_there_and_back_no_earlier_than_the_delay() {
        let [near, relay, out, far] = [(); 4].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let (relay_at, far_at) = (relay.local_addr().unwrap(), far.local_addr().unwrap());
        let (delay, is_over) = (AtomicU64::new(20_000), AtomicBool::new(false));
        relay.set_read_timeout(Some(WAIT)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| carry((&relay, &out), (&delay, &is_over), |_| Some(far_at)));
            let begun = Instant::now();
            for octet in [1, 2] {
                near.send_to(&[octet], relay_at).unwrap();
            }
            let mut seen = [0; 2];
            for octet in &mut seen {
                far.recv(std::slice::from_mut(octet)).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(seen, [1, 2]);
            assert!(begun.elapsed() >= Duration::from_millis(20));
        });
    }
}
