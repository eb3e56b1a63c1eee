//! A world that has settled before it begins: too many routers to start them cold.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::WorldConfig;
use super::node::{self, Start, link_interface, link_local, router_id};
use super::topology::{NodeIndex, Side};
use super::world::World;
use crate::ids::InterfaceId;
use crate::ospf::lsa::Lsa;
use crate::ospf::lsdb::Domain;
use crate::ospf::snapshot::{self, FullNeighbor};

/// The LSAs of links, by the place of the router that they are told.
type LinkLsas = BTreeMap<usize, Vec<(InterfaceId, Arc<Lsa>)>>;

impl World {
    /// Makes a world whose routers all run, are Full with their neighbors and have the same database, which they share in
    /// memory as far as nobody changes it.
    pub fn settled(config: WorldConfig, seed: u64) -> Self {
        let mut world = Self::at_rest(config, seed);
        let now = world.now();
        for place in 0..world.routers() {
            let neighbors = world.neighbors(NodeIndex(place));
            let seed = world.draw();
            let start = Start { restarting: false, config: &world.config, now, seed, pool: &world.pool };
            let Some(node) = world.nodes.get(place) else { continue };
            let mut engine = node::start(NodeIndex(place), node, &world.links, &start);
            engine.stand_among(now, neighbors);
            while engine.poll_transmit().is_some() {}
            if let Some(node) = world.nodes.get_mut(place) {
                node.starts = 1;
                node.engine = Some(engine);
            }
        }
        let (area, mut links) = world.originated();
        let base = snapshot::database(area, now);
        for place in 0..world.routers() {
            let links = links.remove(&place).unwrap_or_default();
            if let Some(engine) = world.nodes.get_mut(place).and_then(|node| node.engine.as_mut()) {
                engine.stand_on(now, &base, links);
                while engine.poll_transmit().is_some() {}
            }
            world.attend(NodeIndex(place));
        }
        world
    }

    fn neighbors(&self, node: NodeIndex) -> Vec<FullNeighbor> {
        let links = self.nodes.get(node.0).map(|node| node.links.as_slice()).unwrap_or_default();
        let full = links.iter().filter_map(|(index, side)| {
            let far = *self.links.get(index.0)?.topology.ends.at(side.other());
            Some(FullNeighbor {
                interface: link_interface(*index),
                router_id: router_id(far),
                address: link_local(*index, side.other()),
                interface_id: link_interface(*index),
            })
        });
        full.collect()
    }

    /// Returns the LSAs that the routers originated: of the area, and of its links by the place of the router at the far end.
    fn originated(&self) -> (Vec<Arc<Lsa>>, LinkLsas) {
        let (mut area, mut links) = (Vec::new(), LinkLsas::new());
        for node in &self.nodes {
            let far = |interface: InterfaceId| {
                let (index, side): &(_, Side) =
                    node.links.iter().find(|(index, _)| link_interface(*index) == interface)?;
                Some(self.links.get(index.0)?.topology.ends.at(side.other()).0)
            };
            for view in node.engine.iter().flat_map(|engine| engine.database()) {
                let lsa = Arc::clone(view.lsa);
                match view.domain {
                    Domain::Link(interface) => {
                        if let Some(far) = far(interface) {
                            links.entry(far).or_default().push((interface, lsa));
                        }
                    }
                    Domain::Area | Domain::As => area.push(lsa),
                }
            }
        }
        area.sort_by_key(|lsa| lsa.header().key);
        (area, links)
    }
}
