//! A world: engines, the links between them and what is going to happen, in order of time.

mod faults;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::engine::Engine;
use crate::io::{ALL_SPF_ROUTERS, Event, InterfaceEvent, Reachability, Received, Transmit};
use crate::ospf::pool::LsaPool;
use crate::sim::config::WorldConfig;
use crate::sim::link::Link;
use crate::sim::node::{self, Node, link_interface, link_local, link_of};
use crate::sim::topology::{LinkIndex, NodeIndex, Side};
use crate::sim::trace::{Statistics, TraceHash, Traffic};
use crate::time::Instant;

/// How long it takes to notice that a link was cut, or is whole again, where links are watched.
const DETECTION: Duration = Duration::from_millis(900);

/// The world did not settle in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not settled after {limit:?}: last activity at {last_activity}")]
pub struct NotSettled {
    limit: Duration,
    last_activity: Instant,
}

/// Something that is going to happen. The order breaks ties between things that happen at the same moment.
#[derive(Debug)]
struct Scheduled {
    at: Instant,
    order: u64,
    what: Occurrence,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

#[derive(Debug)]
enum Occurrence {
    Boot(NodeIndex),
    Return(NodeIndex),
    Wake(NodeIndex),
    Watch,
    Arrival { to: NodeIndex, from: Side, link: LinkIndex, destination: Ipv6Addr, octets: Vec<u8> },
}

/// A world of routers. Everything in it follows from its configuration, its seed and the faults applied.
#[derive(Debug)]
pub struct World {
    pub(super) config: WorldConfig,
    now: Instant,
    rng: fastrand::Rng,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    last_activity: Instant,
    /// Whether any router has restarted gracefully.
    restarts: bool,
    trace: TraceHash,
    statistics: Statistics,
    /// What all routers have in common.
    pub(super) pool: LsaPool,
}

impl World {
    /// Makes a world whose routers are all about to start.
    pub fn new(config: WorldConfig, seed: u64) -> Self {
        let mut world = Self::at_rest(config, seed);
        let within = u64::try_from(world.config.start_within.as_micros()).unwrap_or(u64::MAX);
        for node in 0..world.nodes.len() {
            let at = Instant::from_micros(world.rng.u64(0..=within));
            world.schedule(at, Occurrence::Boot(NodeIndex(node)));
        }
        world
    }

    /// Makes a world in which nobody runs.
    pub(super) fn at_rest(config: WorldConfig, seed: u64) -> Self {
        let topology = &config.topology;
        let links: Vec<_> = topology.links.iter().map(|link| Link::new(*link, config.quality)).collect();
        let mut nodes: Vec<_> = (0..topology.routers)
            .map(|_| Node { engine: None, links: Vec::new(), starts: 0, wakes: None })
            .collect();
        for (index, link) in topology.links.iter().enumerate() {
            for side in Side::BOTH {
                if let Some(node) = nodes.get_mut(link.ends.at(side).0) {
                    node.links.push((LinkIndex(index), side));
                }
            }
        }
        Self {
            now: Instant::ORIGIN,
            rng: fastrand::Rng::with_seed(seed),
            nodes,
            links,
            queue: BinaryHeap::new(),
            scheduled: 0,
            last_activity: Instant::ORIGIN,
            restarts: false,
            trace: TraceHash::new(seed),
            statistics: Statistics::default(),
            pool: LsaPool::default(),
            config,
        }
    }

    /// Returns what the world is made of.
    pub const fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Returns the present moment.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Returns how many routers there are, running or not.
    pub const fn routers(&self) -> usize {
        self.nodes.len()
    }

    /// Returns how many links there are, whole or not.
    pub const fn links(&self) -> usize {
        self.links.len()
    }

    /// Returns the engine of a running router.
    pub fn engine(&self, node: NodeIndex) -> Option<&Engine> {
        self.nodes.get(node.0)?.engine.as_ref()
    }

    /// Returns whether a router is running.
    pub fn is_running(&self, node: NodeIndex) -> bool {
        self.engine(node).is_some()
    }

    /// Returns whether packets cross a link in both directions.
    pub fn is_whole(&self, link: LinkIndex) -> bool {
        self.links.get(link.0).is_some_and(Link::is_whole)
    }

    /// Returns a number that is the same whenever the same things happened.
    pub const fn trace_hash(&self) -> u64 {
        self.trace.value()
    }

    /// Returns what went over the links.
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Draws what a router starts from.
    pub(super) fn draw(&mut self) -> u64 {
        self.rng.u64(..)
    }

    pub(super) fn link_states(&self) -> &[Link] {
        &self.links
    }

    /// Lets everything happen up to a moment.
    pub fn run_until(&mut self, at: Instant) {
        while self.next_at().is_some_and(|next| next <= at) {
            self.step();
        }
        self.now = self.now.max(at);
    }

    /// Lets everything happen for a while.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Lets everything happen until the world is settled, and returns how long after the call the last activity was.
    ///
    /// Activity is a packet that synchronises databases (any but a Hello or an Acknowledgment), an event of an engine,
    /// or a router that starts. The world is settled when there was none for RouterDeadInterval (a silent cut shows
    /// only then) plus RxmtInterval (a lost packet is repeated then; MinLSInterval is no longer) plus two seconds
    /// (shortest-path runs wait less).
    pub fn settle(&mut self, limit: Duration) -> Result<Duration, NotSettled> {
        let begun = self.now;
        self.last_activity = begun;
        // A graceful restart may end with nothing but its grace period.
        let grace = if self.restarts { self.config.grace_period } else { Duration::ZERO };
        let quiet = self.config.dead_interval + node::RXMT_INTERVAL + Duration::from_secs(2) + grace;
        loop {
            let settled_at = self.last_activity + quiet;
            if self.next_at().is_none_or(|next| next > settled_at) {
                self.now = settled_at;
                return Ok(self.last_activity.since(begun));
            }
            if self.now > begun + limit {
                return Err(NotSettled { limit, last_activity: self.last_activity });
            }
            self.step();
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(next)| next.at)
    }

    fn schedule(&mut self, at: Instant, what: Occurrence) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled { at, order: self.scheduled, what }));
    }

    fn schedule_watch(&mut self) {
        if self.config.watched {
            self.schedule(self.now + DETECTION, Occurrence::Watch);
        }
    }

    fn step(&mut self) {
        let Some(Reverse(next)) = self.queue.pop() else { return };
        self.now = self.now.max(next.at);
        match next.what {
            Occurrence::Boot(node) => self.boot(node, false),
            Occurrence::Return(node) => self.boot(node, true),
            Occurrence::Wake(node) => self.wake(node),
            Occurrence::Watch => self.watch(),
            Occurrence::Arrival { to, from, link, destination, octets } => {
                let received = Received {
                    interface: link_interface(link),
                    source: link_local(link, from),
                    destination,
                    age: Duration::ZERO,
                    octets,
                };
                self.arrive(to, link, from, &received);
            }
        }
    }

    /// Tells both ends of every link that packets cross again, or no more.
    fn watch(&mut self) {
        for index in (0..self.links.len()).map(LinkIndex) {
            let Some(link) = self.links.get(index.0) else { continue };
            let ends = link.topology.ends;
            let crosses = link.is_whole() && self.is_running(ends.a) && self.is_running(ends.b);
            if link.reported == crosses {
                continue;
            }
            self.change_link(index, |link| link.reported = crosses);
            let reachability = if crosses { Reachability::Reachable } else { Reachability::Unreachable };
            let event = InterfaceEvent::Reachability { interface: link_interface(index), reachability };
            for side in Side::BOTH {
                self.handle_interface(*ends.at(side), event.clone());
            }
        }
    }

    fn wake(&mut self, index: NodeIndex) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index.0) else { return };
        if node.wakes.is_none_or(|at| at > now) {
            return;
        }
        node.wakes = None;
        let Some(engine) = &mut node.engine else { return };
        if engine.poll_timeout().is_some_and(|at| at <= now) {
            self.statistics.timeouts += 1;
            self.trace.happening(now, index.0, &[]);
            engine.handle_timeout(now);
        }
        self.attend(index);
    }

    fn arrive(&mut self, to: NodeIndex, index: LinkIndex, from: Side, received: &Received) {
        let carried = self.links.get(index.0).is_some_and(|link| link.carries(from));
        let engine = self.nodes.get_mut(to.0).and_then(|node| node.engine.as_mut());
        let Some(engine) = engine.filter(|_| carried) else {
            self.statistics.lost += 1;
            return;
        };
        self.statistics.delivered += 1;
        self.trace.happening(self.now, to.0, &received.octets);
        engine.handle_packet(self.now, received);
        self.attend(to);
    }

    /// Does what an engine wants done after it was told something.
    pub(super) fn attend(&mut self, index: NodeIndex) {
        let now = self.now;
        while let Some(engine) = self.nodes.get_mut(index.0).and_then(|node| node.engine.as_mut()) {
            let Some(transmit) = engine.poll_transmit() else { break };
            self.transmit(index, transmit);
        }
        let Some(node) = self.nodes.get_mut(index.0) else { return };
        let Some(engine) = &mut node.engine else { return };
        while let Some(event) = engine.poll_event() {
            self.last_activity = now;
            if event == Event::RoutesChanged {
                self.statistics.route_changes += 1;
            }
        }
        let due = engine.poll_timeout();
        if let Some(due) = due.filter(|due| node.wakes.is_none_or(|wakes| *due < wakes)) {
            node.wakes = Some(due);
            self.schedule(due, Occurrence::Wake(index));
        }
    }

    fn transmit(&mut self, sender: NodeIndex, transmit: Transmit) {
        if self.statistics.sent(&transmit.octets) == Traffic::Synchronising {
            self.last_activity = self.now;
        }
        let Some(index) = link_of(transmit.interface) else { return };
        let Some(link) = self.links.get_mut(index.0) else { return };
        let from = if link.topology.ends.a == sender { Side::A } else { Side::B };
        let to = *link.topology.ends.at(from.other());
        let destination = transmit.destination;
        if destination != ALL_SPF_ROUTERS && destination != link_local(index, from.other()) {
            self.statistics.lost += 1;
            return;
        }
        let [first, second] = link.send(self.now, from, &mut self.rng);
        let arrival = |octets: Vec<u8>| Occurrence::Arrival { to, from, link: index, destination, octets };
        if let Some(at) = second {
            self.schedule(at, arrival(transmit.octets.clone()));
        }
        match first {
            Some(at) => self.schedule(at, arrival(transmit.octets)),
            None => self.statistics.lost += 1,
        }
    }
}
