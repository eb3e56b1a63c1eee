//! The engine: inputs in by `handle_*`, what to do about them out by `poll_*`, the state by queries.

use std::sync::Arc;

use crate::config::Config;
use crate::ids::InterfaceId;
use std::time::Duration;

use crate::io::{Event, InterfaceEvent, Leaving, PrivateContent, Received, Transmit};
use crate::ospf::area::Area;
use crate::ospf::graph::Graph;
use crate::ospf::interface::{Interface, events, hello};
use crate::ospf::lsa::{LsType, Lsa};
use crate::ospf::lsdb::{Domain, Lsdb};
use crate::ospf::neighbor::{self, Neighbor, NeighborInput, NeighborState, loading, retransmit};
use crate::ospf::outbox::{Cx, Outbox};
use crate::ospf::pool::LsaPool;
use crate::ospf::refusal::Refusal;
use crate::ospf::route::RouteTable;
use crate::ospf::routing::Routing;
use crate::ospf::snapshot::{self, FullNeighbor};
use crate::ospf::{aging, flood, grace, originate, receive, restart, returns};
use crate::query::{InterfaceView, LsaView, MtuMismatch, NeighborView};
use crate::random::Random;
use crate::time::Instant;
use crate::timer::{TimerKey, Timers};

/// One router's OSPFv3 for one address family.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    area: Area,
    routing: Routing,
    timers: Timers,
    outbox: Outbox,
    random: Random,
    pool: Option<LsaPool>,
    now: Instant,
}

impl Engine {
    /// Makes an engine without interfaces. The same seed and inputs give the same outputs.
    pub fn new(config: Config, now: Instant, seed: u64) -> Self {
        let mut area = Area::new(config.router_id, now);
        area.originations.is_installed = !config.awaits_installation;
        let mut engine = Self {
            area,
            routing: Routing::new(config.family),
            timers: Timers::default(),
            outbox: Outbox::new(config.authentication_epoch),
            random: Random::new(seed),
            pool: None,
            now,
            config,
        };
        engine.handle(now, |area, _, cx| restart::start(area, cx));
        engine
    }

    /// Holds the LSAs that it has in common with other engines of the process only once, from now on. It does nothing else
    /// by that.
    pub fn share_lsas(&mut self, pool: LsaPool) {
        self.pool = Some(pool);
    }

    /// Takes these neighbors for Full, and originates what follows from that, as if it had all been told before.
    pub fn stand_among(&mut self, now: Instant, neighbors: Vec<FullNeighbor>) {
        self.handle(now, |area, routing, cx| {
            snapshot::stand_among(area, neighbors, cx);
            routing.stand();
        });
    }

    /// Takes over the LSAs of the area from a network that has settled, and the neighbors' of its links.
    pub fn stand_on(&mut self, now: Instant, base: &Lsdb, links: Vec<(InterfaceId, Arc<Lsa>)>) {
        self.handle(now, |area, _, cx| snapshot::stand_on(area, base, links, cx));
    }

    /// Takes in a packet; returns why it was refused as a whole, if it was. That is counted as well, see
    /// [`Engine::refusals`].
    pub fn handle_packet(&mut self, now: Instant, received: &Received) -> Option<Refusal> {
        self.handle(now, |area, _, cx| receive::handle(area, received, cx)).err()
    }

    /// Takes in what happened to an interface.
    pub fn handle_interface(&mut self, now: Instant, event: InterfaceEvent) {
        self.handle(now, |area, _, cx| events::handle_event(area, event, cx));
    }

    /// Takes in the owner's content for an LSA type of its own, in place of that type's content before; no parts
    /// withdraw it.
    pub fn handle_private(&mut self, now: Instant, content: PrivateContent) {
        self.handle(now, |area, _, _| originate::handle_private(area, content));
    }

    /// Takes in whether other routers' traffic is to keep away from this one (RFC 6987): its Router-LSA says MaxLinkMetric
    /// of every link then, so that only what has no other way comes through. Its own prefixes cost what they did, and its
    /// own routes follow the configured costs.
    pub fn handle_stub_router(&mut self, now: Instant, is_stub: bool) {
        self.handle(now, |area, _, _| originate::handle_stub_router(area, is_stub));
    }

    /// Takes in that this router is about to stop, and how. [`Engine::is_acknowledged`] says when the neighbors know.
    pub fn handle_leaving(&mut self, now: Instant, leaving: Leaving) {
        self.handle(now, |area, _, _| restart::handle_leaving(area, leaving));
    }

    /// Takes in that packets of others would find their way: the routes are in use, those of a database that is in (see
    /// [`Engine::has_database`]) or those that an earlier life left. Only counts where the configuration says that the
    /// engine awaits it.
    pub fn handle_installed(&mut self, now: Instant) {
        self.handle(now, |area, _, _| originate::handle_installed(area));
    }

    /// Does what is due at `now`, and sends the Hellos that may go by then: a wake-up for one is one for all.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle(now, |area, routing, cx| {
            while let Some(key) = cx.timers.pop_due(cx.now) {
                handle_timer(area, routing, key, cx);
            }
            hello::send_early(area, cx);
        });
    }

    /// Runs a handler, then what its effects have made necessary, in this order: origination, routes, packets.
    fn handle<R>(
        &mut self,
        now: Instant,
        handler: impl FnOnce(&mut Area, &mut Routing, &mut Cx<'_>) -> R,
    ) -> R {
        let Self { config, area, routing, timers, outbox, random, pool, .. } = self;
        self.now = now;
        let cx = &mut Cx { now, config, timers, outbox, random, pool: pool.as_ref() };
        let outcome = handler(area, routing, cx);
        loading::handle_progress(area, cx);
        restart::handle_progress(area, cx);
        area.handle_settling(cx);
        // What this router originates anew is news too.
        for _ in 0..2 {
            if std::mem::take(&mut area.due.news) {
                grace::handle_topology_change(area, cx);
            }
            if area.due.links || area.due.origination {
                returns::handle_links(area, routing, cx);
            }
            if area.due.origination {
                originate::update(area, cx);
            }
        }
        routing.handle_changes(area, cx);
        routing.handle_settling(area, cx);
        flood::send_due(area, cx);
        outcome
    }

    /// Takes the next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.poll_transmit()
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.poll_event()
    }

    /// Returns when [`Engine::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Returns whether the routes are those of the first complete database: an adjacency is Full and none is on its way,
    /// and the neighbors say so too; or nobody was heard for RouterDeadInterval. Event::RoutesChanged is raised when that
    /// comes to be. Until the database is in, this router does not offer itself for transit (R-bit).
    pub const fn is_settled(&self) -> bool {
        self.routing.is_settled()
    }

    /// Returns whether the routes follow from a whole database, though neighbors may still have to say that the links to
    /// this router are there. Event::RoutesChanged is raised when that comes to be.
    pub const fn has_database(&self) -> bool {
        self.routing.has_database()
    }

    /// Returns whether other routers' traffic is to keep away from this one.
    pub const fn is_stub_router(&self) -> bool {
        self.area.originations.is_stub_router
    }

    /// Returns whether the neighbors have what this router says of itself: its own LSAs follow from the facts as they are,
    /// none waits for MinLSInterval, and no neighbor owes an acknowledgment of one.
    pub fn is_acknowledged(&self) -> bool {
        self.timers.deadline(TimerKey::Originate).is_none()
            && !self.area.awaits_acknowledgment(self.config.router_id)
    }

    /// Returns for how long at most the graceful restart goes on that this router started with; nothing once it is over.
    pub fn restart_left(&self) -> Option<Duration> {
        self.area.originations.restart_until().map(|until| until.since(self.now))
    }

    /// Returns what the engine was told of its router.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the routes. Other queries tell what is; this one tells what follows from it.
    pub const fn routes(&self) -> &RouteTable {
        self.routing.table()
    }

    /// Returns the topology that the database describes.
    pub fn graph(&self) -> Graph {
        let lsas = [LsType::ROUTER, LsType::NETWORK]
            .into_iter()
            .flat_map(|ls_type| self.area.lsdb.live_of(Domain::Area, ls_type))
            .map(|(_, entry)| Arc::clone(entry.lsa()));
        Graph::from_shared(lsas, self.config.family)
    }

    /// Returns the interfaces in the order of their ids.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceView<'_>> {
        self.area.interfaces.values().map(|interface| InterfaceView {
            config: &interface.config,
            state: interface.state,
            neighbor: interface.neighbor.as_ref().map(|neighbor| neighbor.router_id),
            flaps: self.area.originations.returns.flaps(interface.config.id),
            refusals: &interface.refusals,
        })
    }

    /// Returns the interfaces with an adjacency. Routes may lead over others, from before their loss, until the back-off lets
    /// them be calculated again.
    pub fn adjacent(&self) -> impl Iterator<Item = InterfaceId> {
        let is_adjacent =
            |interface: &&Interface| interface.neighbor.as_ref().is_some_and(Neighbor::is_adjacent);
        self.area.interfaces.values().filter(is_adjacent).map(|interface| interface.config.id)
    }

    /// Returns whether another Hello like the last one over an interface would say no more than that the neighbor is alive. It may
    /// be taken in late then, as long as that is before [`Engine::handle_timeout`] finds the neighbor overdue.
    pub fn is_settled_with(&self, interface: InterfaceId) -> bool {
        let neighbor = self.area.interfaces.get(&interface).and_then(|interface| interface.neighbor.as_ref());
        neighbor.is_some_and(|neighbor| neighbor.state == NeighborState::Full)
    }

    /// Returns whether [`Engine::handle_timeout`] would take a neighbor for dead at `now`: what has arrived should be taken in
    /// before.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.timers.due(now).any(|key| matches!(key, TimerKey::Inactivity(_)))
    }

    /// Returns whether an interface's link flaps and is left alone.
    pub fn is_left_alone(&self, interface: InterfaceId) -> bool {
        self.area.originations.returns.is_quiet(interface)
    }

    /// Returns the neighbors in the order of their interfaces' ids.
    pub fn neighbors(&self) -> impl Iterator<Item = NeighborView<'_>> {
        self.area.interfaces.values().filter_map(|interface| {
            let neighbor = interface.neighbor.as_ref()?;
            let id = interface.config.id;
            let dead_at = self.timers.deadline(TimerKey::Inactivity(id)).unwrap_or(self.now);
            Some(NeighborView {
                interface: id,
                interface_name: &interface.config.name,
                router_id: neighbor.router_id,
                state: neighbor.state,
                since: neighbor.since,
                link_local: neighbor.address,
                interface_id: neighbor.interface_id,
                sa_id: neighbor.sa_id,
                options: neighbor.options,
                dead_in: dead_at.since(self.now),
                help: neighbor.help.map(|help| (help.reason, help.until.since(self.now))),
                mtu_mismatch: neighbor
                    .mismatched_mtu
                    .zip(interface.link())
                    .map(|(theirs, link)| MtuMismatch { ours: link.mtu, theirs }),
                requests: neighbor.exchange.requests.len(),
                retransmissions: neighbor.retransmissions.len(),
            })
        })
    }

    /// Returns the LSAs in the database, in the order of link, area and AS, with their age at the last input.
    pub fn database(&self) -> impl Iterator<Item = LsaView<'_>> {
        self.area.lsdb.iter().map(|(key, entry)| LsaView {
            domain: key.domain,
            header: entry.header(self.now),
            lsa: entry.lsa(),
            is_self_originated: key.lsa.advertising_router == self.config.router_id,
        })
    }

    /// Returns the LSAs of the area of one type that are not flushed: a look at these, however many there are of others.
    pub fn living_of(&self, ls_type: LsType) -> impl Iterator<Item = &Arc<Lsa>> {
        self.area.lsdb.live_of(Domain::Area, ls_type).map(|(_, entry)| entry.lsa())
    }

    /// Returns what was refused, per interface and reason.
    pub fn refusals(&self) -> impl Iterator<Item = (InterfaceId, Refusal, u64)> + '_ {
        self.area.interfaces.iter().flat_map(|(id, interface)| {
            interface.refusals.iter().map(|(refusal, count)| (*id, refusal, count))
        })
    }
}

/// Routes a deadline to its handler.
fn handle_timer(area: &mut Area, routing: &mut Routing, key: TimerKey, cx: &mut Cx<'_>) {
    match key {
        TimerKey::Hello(id) => hello::handle_timeout(area, id, cx),
        TimerKey::HelloAnswer(id) => hello::handle_answer_timeout(area, id, cx),
        TimerKey::Inactivity(id) => {
            neighbor::events::handle_input(area, id, NeighborInput::InactivityTimer, cx)
        }
        TimerKey::Help(id) => grace::handle_timeout(area, id, cx),
        TimerKey::Announce(id) => restart::handle_announce_timeout(area, id, cx),
        TimerKey::Restart => restart::handle_timeout(area),
        TimerKey::Retransmit(id) => retransmit::handle_timeout(area, id, cx),
        TimerKey::Acknowledge(id) => flood::handle_acknowledge_timeout(area, id, cx),
        TimerKey::Aging => aging::handle_timeout(area, cx),
        TimerKey::Sweep => aging::handle_sweep_timeout(area, cx),
        TimerKey::Originate => area.due.origination = true,
        TimerKey::Return => area.due.links = true,
        TimerKey::Transit => originate::handle_installed(area),
        TimerKey::Flood(id) => _ = area.due.sending.insert(id),
        // Looked at after every input; the deadline only makes sure that there is one.
        TimerKey::Settle => {}
        TimerKey::Alternates => routing.handle_alternates_timeout(cx),
        TimerKey::ShortestPaths | TimerKey::Learn | TimerKey::Holddown => {
            routing.handle_timeout(area, key, cx);
        }
    }
}
