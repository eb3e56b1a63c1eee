//! What a fault does to a world.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Occurrence, World};
use crate::io::{InterfaceEvent, Leaving};
use crate::ospf::lsa::RestartReason;
use crate::sim::fault::Fault;
use crate::sim::link::Link;
use crate::sim::node::{self, Start, link_config, link_interface};
use crate::sim::topology::{LinkIndex, NodeIndex, PerSide, Side};

impl World {
    /// Applies a fault at this moment.
    pub fn apply(&mut self, fault: &Fault) {
        self.schedule_watch();
        match fault {
            Fault::Cut(link) => self.change_link(*link, |link| link.blocked = PerSide { a: true, b: true }),
            Fault::CutOneWay(link, side) => {
                self.change_link(*link, |link| *link.blocked.at_mut(*side) = true)
            }
            Fault::CarrierDown(link) => self.set_carrier(*link, false),
            Fault::Heal(link) => self.heal(*link),
            Fault::Degrade(link, quality) => self.change_link(*link, |link| link.quality = *quality),
            Fault::SetCost(link, side, cost) => {
                self.change_link(*link, |link| *link.costs.at_mut(*side) = *cost);
                self.reconfigure(*link, *side);
            }
            Fault::Drain(node, is_drained) => self.drain(*node, *is_drained),
            Fault::Crash(node) => self.crash(*node),
            Fault::Boot(node) => self.boot(*node, false),
            Fault::Restart(node) => {
                self.crash(*node);
                self.boot(*node, false);
            }
            Fault::Kill(node) => {
                self.crash(*node);
                self.boot(*node, true);
            }
            Fault::Upgrade(node, time) => self.upgrade(*node, *time),
            Fault::Partition(nodes) => self.partition(&nodes.iter().copied().collect()),
            Fault::HealAll => {
                (0..self.links.len()).for_each(|link| self.heal(LinkIndex(link)));
                (0..self.nodes.len()).for_each(|node| self.boot(NodeIndex(node), false));
            }
        }
    }

    pub(super) fn change_link(&mut self, index: LinkIndex, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.get_mut(index.0) {
            change(link);
        }
    }

    fn heal(&mut self, index: LinkIndex) {
        let quality = self.config.quality;
        self.change_link(index, |link| {
            link.blocked = PerSide::default();
            link.quality = quality;
        });
        self.set_carrier(index, true);
    }

    fn set_carrier(&mut self, index: LinkIndex, carrier: bool) {
        let Some(link) = self.links.get_mut(index.0) else { return };
        if link.carrier == carrier {
            return;
        }
        link.carrier = carrier;
        let id = link_interface(index);
        let ends = link.topology.ends;
        let event = if carrier { InterfaceEvent::Up(id) } else { InterfaceEvent::Down(id) };
        for side in Side::BOTH {
            self.handle_interface(*ends.at(side), event.clone());
        }
    }

    fn reconfigure(&mut self, index: LinkIndex, side: Side) {
        let Some(link) = self.links.get(index.0) else { return };
        let config = link_config(index, side, link, &self.config);
        let end = *link.topology.ends.at(side);
        self.handle_interface(end, InterfaceEvent::Configured(config));
    }

    pub(super) fn handle_interface(&mut self, node: NodeIndex, event: InterfaceEvent) {
        let now = self.now;
        if let Some(engine) = self.nodes.get_mut(node.0).and_then(|node| node.engine.as_mut()) {
            engine.handle_interface(now, event);
        }
        self.attend(node);
    }

    fn drain(&mut self, node: NodeIndex, is_drained: bool) {
        let now = self.now;
        if let Some(engine) = self.nodes.get_mut(node.0).and_then(|node| node.engine.as_mut()) {
            engine.handle_stub_router(now, is_drained);
        }
        self.attend(node);
    }

    fn crash(&mut self, node: NodeIndex) {
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.engine = None;
        }
    }

    /// Has a router ask for grace, stops it, and starts it again after a while.
    fn upgrade(&mut self, index: NodeIndex, time: Duration) {
        let now = self.now;
        if let Some(engine) = self.nodes.get_mut(index.0).and_then(|node| node.engine.as_mut()) {
            engine.handle_leaving(now, Leaving::Restart(RestartReason::SoftwareRestart));
        }
        self.attend(index);
        self.crash(index);
        self.restarts = true;
        self.schedule(now + time, Occurrence::Return(index));
    }

    pub(super) fn boot(&mut self, index: NodeIndex, restarting: bool) {
        let seed = self.rng.u64(..);
        let Some(node) = self.nodes.get_mut(index.0).filter(|node| node.engine.is_none()) else { return };
        node.starts += 1;
        self.restarts |= restarting;
        let start = Start { restarting, config: &self.config, now: self.now, seed, pool: &self.pool };
        node.engine = Some(node::start(index, node, &self.links, &start));
        self.last_activity = self.now;
        self.attend(index);
        self.schedule_watch();
    }

    fn partition(&mut self, inside: &BTreeSet<NodeIndex>) {
        for link in &mut self.links {
            let ends = link.topology.ends;
            if inside.contains(&ends.a) != inside.contains(&ends.b) {
                link.blocked = PerSide { a: true, b: true };
            }
        }
    }
}
