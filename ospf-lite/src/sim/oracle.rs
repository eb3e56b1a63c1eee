//! The independent answer: every router's routes from the world's truth, not from any LSA.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use ipnet::IpNet;

use super::node::{link_interface, link_prefix, node_of, own_prefixes, router_id};
use super::topology::{LinkIndex, NodeIndex, Side};
use super::world::World;
use crate::engine::Engine;
use crate::ids::{Distance, InterfaceId, RouterId};
use crate::io::Route;
use crate::ospf::lsa::{LsaKey, SequenceNumber};
use crate::ospf::lsdb::Domain;
use crate::ospf::neighbor::NeighborState;
use crate::ospf::route::RouteTable;

/// An invariant that does not hold in a settled world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two ends of a whole link are not synchronised.
    #[error("{router} has no full neighbor {neighbor} on interface {interface}")]
    NotFull {
        /// The router that lacks a neighbor.
        router: RouterId,
        /// The router at the far end.
        neighbor: RouterId,
        /// The link's interface.
        interface: InterfaceId,
    },
    /// Two routers that reach each other have different databases.
    #[error("the databases of {router} and {other} differ in {key:?}")]
    DatabasesDiffer {
        /// A router.
        router: RouterId,
        /// Another one.
        other: RouterId,
        /// The first LSA of which one has another instance, or none.
        key: LsaKey,
    },
    /// A router lacks a route.
    #[error("{router} has no route to {prefix} at distance {}", distance.0)]
    Missing {
        /// The router.
        router: RouterId,
        /// Where it cannot go.
        prefix: IpNet,
        /// How far it is.
        distance: Distance,
    },
    /// A router has a route to where no way leads.
    #[error("{router} has a route to {prefix}, which it cannot reach")]
    Unreachable {
        /// The router.
        router: RouterId,
        /// Where it believes it can go.
        prefix: IpNet,
    },
    /// A route's distance is not that of the shortest path.
    #[error("{router} has {prefix} at {}, true is {}", found.0, distance.0)]
    WrongDistance {
        /// The router.
        router: RouterId,
        /// The prefix.
        prefix: IpNet,
        /// What the engine says.
        found: Distance,
        /// The truth.
        distance: Distance,
    },
    /// A route's next hops are not exactly the neighbors on shortest paths.
    #[error("{router} sends {prefix} to {found:?}, the shortest paths begin with {wanted:?}")]
    WrongNextHops {
        /// The router.
        router: RouterId,
        /// The prefix.
        prefix: IpNet,
        /// What the engine says.
        found: Vec<(InterfaceId, RouterId)>,
        /// The truth.
        wanted: Vec<(InterfaceId, RouterId)>,
    },
    /// A packet that follows the routes does not come nearer.
    #[error("{router} sends {prefix} to {next}, which is no nearer to it")]
    NoProgress {
        /// The router.
        router: RouterId,
        /// The prefix.
        prefix: IpNet,
        /// Where it sends.
        next: RouterId,
    },
}

/// A link as its sender sees it.
#[derive(Debug, Clone, Copy)]
struct Edge {
    to: usize,
    cost: u32,
    link: LinkIndex,
}

/// The world as it is.
struct Truth {
    /// The usable links of each router, in the order of their interfaces.
    edges: Vec<Vec<Edge>>,
    /// The distances to each router, nothing where no way leads: from those whose routes are checked, and their neighbors.
    distances: BTreeMap<usize, Vec<Option<u32>>>,
    /// Of each router the first that it reaches.
    first: Vec<usize>,
    /// Who has a prefix, and at what metric.
    owners: BTreeMap<IpNet, Vec<(usize, u32)>>,
}

/// Checks a settled world: every adjacency Full, databases equal wherever a way leads, every route as the truth has
/// it, and no packet that follows the routes led in a circle or to a dead end.
pub fn check(world: &World) -> Result<(), Violation> {
    let truth = Truth::of(world);
    for (node, edges) in truth.edges.iter().enumerate() {
        let Some(engine) = world.engine(NodeIndex(node)) else { continue };
        check_neighbors(engine, node, edges)?;
        if engine.config().routes {
            check_routes(engine, node, &truth)?;
            check_progress(world, engine, node)?;
        }
    }
    check_databases(world, &truth)
}

impl Truth {
    fn of(world: &World) -> Self {
        let mut edges = vec![Vec::new(); world.routers()];
        let mut owners = BTreeMap::<IpNet, Vec<(usize, u32)>>::new();
        for (index, link) in world.link_states().iter().enumerate() {
            let ends = link.topology.ends;
            let index = LinkIndex(index);
            let usable = link.is_whole() && world.is_running(ends.a) && world.is_running(ends.b);
            for side in Side::BOTH {
                let (from, to) = (ends.at(side).0, ends.at(side.other()).0);
                let cost = u32::from(link.costs.at(side).get());
                if let Some(list) = edges.get_mut(from).filter(|_| usable) {
                    list.push(Edge { to, cost, link: index });
                }
                if world.config().numbered && link.carrier && world.is_running(NodeIndex(from)) {
                    let prefix = link_prefix(index, world.config().family);
                    owners.entry(prefix).or_default().push((from, cost));
                }
            }
        }
        for node in (0..world.routers()).filter(|node| world.is_running(NodeIndex(*node))) {
            for (prefix, metric) in own_prefixes(NodeIndex(node), world.config()) {
                owners.entry(prefix).or_default().push((node, u32::from(metric)));
            }
        }
        let far = |node: &usize| edges.get(*node).into_iter().flatten().map(|edge: &Edge| edge.to);
        let checked = (0..edges.len()).filter(|node| routes_of(world, NodeIndex(*node)).is_some());
        let needed: BTreeSet<usize> =
            checked.flat_map(|node| std::iter::once(node).chain(far(&node)).collect::<Vec<_>>()).collect();
        let distances = needed.into_iter().map(|from| (from, distances(&edges, from))).collect();
        Self { first: firsts(&edges), edges, distances, owners }
    }

    fn distance(&self, from: usize, to: usize) -> Option<u32> {
        *self.distances.get(&from)?.get(to)?
    }

    /// Returns the distance from a router to the nearest owner of a prefix.
    fn distance_to(&self, from: usize, owners: &[(usize, u32)]) -> Option<u32> {
        owners.iter().filter_map(|(owner, metric)| Some(self.distance(from, *owner)? + metric)).min()
    }

    /// Returns the first steps of all shortest paths to a prefix: a step is one when its cost and the rest of the way
    /// from its far end make up the whole distance.
    fn first_steps(
        &self,
        from: usize,
        owners: &[(usize, u32)],
        distance: u32,
    ) -> Vec<(InterfaceId, RouterId)> {
        let edges = self.edges.get(from).map(Vec::as_slice).unwrap_or_default();
        let begins =
            |edge: &&Edge| self.distance_to(edge.to, owners).is_some_and(|rest| edge.cost + rest == distance);
        let step = |edge: &Edge| (link_interface(edge.link), router_id(NodeIndex(edge.to)));
        edges.iter().filter(begins).map(step).collect()
    }
}

/// Returns the routes of a router that runs and calculates them.
fn routes_of(world: &World, node: NodeIndex) -> Option<&RouteTable> {
    world.engine(node).filter(|engine| engine.config().routes).map(Engine::routes)
}

/// Returns whether a next hop's own routes are to be looked at: not when it only floods.
fn is_checked(world: &World, node: NodeIndex) -> bool {
    world.engine(node).is_none_or(|engine| engine.config().routes)
}

/// Returns for each router the first that it reaches.
fn firsts(edges: &[Vec<Edge>]) -> Vec<usize> {
    let mut firsts = vec![usize::MAX; edges.len()];
    for begin in 0..edges.len() {
        let mut waiting = vec![begin];
        while let Some(node) = waiting.pop() {
            let Some(first) = firsts.get_mut(node).filter(|first| **first == usize::MAX) else { continue };
            *first = begin;
            waiting.extend(edges.get(node).into_iter().flatten().map(|edge| edge.to));
        }
    }
    firsts
}

/// Returns the distances from one router, by Dijkstra's algorithm.
fn distances(edges: &[Vec<Edge>], from: usize) -> Vec<Option<u32>> {
    let mut found = vec![None; edges.len()];
    let mut queue = BinaryHeap::from([Reverse((0_u32, from))]);
    while let Some(Reverse((distance, node))) = queue.pop() {
        let Some(slot) = found.get_mut(node).filter(|slot| slot.is_none()) else { continue };
        *slot = Some(distance);
        for edge in edges.get(node).map(Vec::as_slice).unwrap_or_default() {
            queue.push(Reverse((distance + edge.cost, edge.to)));
        }
    }
    found
}

fn check_neighbors(engine: &Engine, node: usize, edges: &[Edge]) -> Result<(), Violation> {
    let full: BTreeMap<_, _> = engine
        .neighbors()
        .filter(|neighbor| neighbor.state == NeighborState::Full)
        .map(|neighbor| (neighbor.interface, neighbor.router_id))
        .collect();
    for edge in edges {
        let (interface, neighbor) = (link_interface(edge.link), router_id(NodeIndex(edge.to)));
        if full.get(&interface) != Some(&neighbor) {
            return Err(Violation::NotFull { router: router_id(NodeIndex(node)), neighbor, interface });
        }
    }
    Ok(())
}

fn check_routes(engine: &Engine, node: usize, truth: &Truth) -> Result<(), Violation> {
    let router = router_id(NodeIndex(node));
    let mut routes = engine.routes().iter().peekable();
    for (prefix, owners) in &truth.owners {
        let distance = truth.distance_to(node, owners);
        let route = routes.next_if(|(found, _)| *found <= prefix);
        match (route, distance) {
            (Some((found, _)), _) if found != prefix => {
                return Err(Violation::Unreachable { router, prefix: *found });
            }
            (Some(_), None) => return Err(Violation::Unreachable { router, prefix: *prefix }),
            (Some((_, route)), Some(distance)) => {
                check_route(router, (*prefix, route), Distance(distance))?;
                let is_own = owners.iter().any(|(owner, metric)| *owner == node && *metric == distance);
                let mut wanted = truth.first_steps(node, owners, distance);
                wanted.truncate(if is_own { 0 } else { engine.config().equal_cost_max });
                check_next_hops(router, (*prefix, route), wanted)?;
            }
            (None, Some(distance)) => {
                return Err(Violation::Missing { router, prefix: *prefix, distance: Distance(distance) });
            }
            (None, None) => {}
        }
    }
    match routes.next() {
        Some((prefix, _)) => Err(Violation::Unreachable { router, prefix: *prefix }),
        None => Ok(()),
    }
}

fn check_route(
    router: RouterId,
    (prefix, route): (IpNet, &Route),
    distance: Distance,
) -> Result<(), Violation> {
    if route.distance == distance {
        return Ok(());
    }
    Err(Violation::WrongDistance { router, prefix, found: route.distance, distance })
}

fn check_next_hops(
    router: RouterId,
    (prefix, route): (IpNet, &Route),
    wanted: Vec<(InterfaceId, RouterId)>,
) -> Result<(), Violation> {
    let steps = route.next_hops.iter().map(|hop| (hop.interface, hop.neighbor));
    if steps.clone().eq(wanted.iter().copied()) {
        return Ok(());
    }
    Err(Violation::WrongNextHops { router, prefix, found: steps.collect(), wanted })
}

/// Follows each route one step: the next router must have the prefix, and be nearer to it.
fn check_progress(world: &World, engine: &Engine, node: usize) -> Result<(), Violation> {
    for (prefix, route) in engine.routes().iter() {
        for hop in route.next_hops.iter() {
            let Some(next) = node_of(hop.neighbor).filter(|next| is_checked(world, *next)) else { continue };
            let nearer = routes_of(world, next).and_then(|next| next.get(prefix)).map(|next| next.distance);
            if nearer.is_none_or(|nearer| nearer >= route.distance) {
                let router = router_id(NodeIndex(node));
                return Err(Violation::NoProgress { router, prefix: *prefix, next: hop.neighbor });
            }
        }
    }
    Ok(())
}

/// Compares each router's area database with that of the first router it reaches.
fn check_databases(world: &World, truth: &Truth) -> Result<(), Violation> {
    let mut references = BTreeMap::new();
    for node in 0..world.routers() {
        let Some(engine) = world.engine(NodeIndex(node)) else { continue };
        let Some(first) = truth.first.get(node).copied() else { continue };
        let reference: &Engine = references.entry(first).or_insert(engine);
        if area_database(reference).eq(area_database(engine)) {
            continue;
        }
        let [one, other] = [reference, engine].map(|engine| area_database(engine).collect::<Vec<_>>());
        if let Some(key) = first_difference(&one, &other) {
            let (router, other) = (router_id(NodeIndex(first)), router_id(NodeIndex(node)));
            return Err(Violation::DatabasesDiffer { router, other, key });
        }
    }
    Ok(())
}

type Instance = (LsaKey, SequenceNumber, u16);

fn area_database(engine: &Engine) -> impl Iterator<Item = Instance> {
    engine
        .database()
        .filter(|view| matches!(view.domain, Domain::Area))
        .map(|view| (view.header.key, view.header.sequence, view.header.checksum))
}

fn first_difference(one: &[Instance], other: &[Instance]) -> Option<LsaKey> {
    let differing = one.iter().zip(other).find(|(a, b)| a != b).map(|(a, b)| a.0.min(b.0));
    let rest = || one.get(other.len()).or(other.get(one.len())).map(|instance| instance.0);
    differing.or_else(rest)
}
