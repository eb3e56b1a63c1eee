//! Which routers are linked with which, and at what cost.

use std::collections::BTreeSet;

use crate::ids::Cost;

/// A router of a world, counted from 0. Its Router ID is one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// A link of a world, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkIndex(pub usize);

/// One of the two ends of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end named first.
    A,
    /// The end named second.
    B,
}

impl Side {
    /// Both sides, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Returns the side at the far end.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Two values, one for each end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerSide<T> {
    /// At the end named first.
    pub a: T,
    /// At the end named second.
    pub b: T,
}

impl<T> PerSide<T> {
    /// Returns the value at one end.
    pub const fn at(&self, side: Side) -> &T {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// Returns the value at one end, to change it.
    pub const fn at_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

/// A link between two routers, with the cost that each end sets for sending over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopologyLink {
    /// The routers at its ends.
    pub ends: PerSide<NodeIndex>,
    /// The costs of its ends.
    pub costs: PerSide<Cost>,
}

/// The routers of a world and the links between them. Two routers may have several links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// How many routers there are.
    pub routers: usize,
    /// The links; each end is below [`Topology::routers`], and no link leads back to its own router.
    pub links: Vec<TopologyLink>,
}

/// The cost of every link of a generated topology: the default of the protocol's users.
const DEFAULT_COST: u16 = 10;

impl Topology {
    /// Takes a list of links (router, router, cost from the first, cost from the second). Links that lead back to
    /// their own router are left out, a cost of 0 counts as 1.
    pub fn from_links(routers: usize, links: &[(usize, usize, u16, u16)]) -> Self {
        let mut topology = Self { routers, links: Vec::new() };
        for &(a, b, cost_a, cost_b) in links {
            topology.routers = topology.routers.max(a + 1).max(b + 1);
            topology.link(a, b, cost_a, cost_b);
        }
        topology
    }

    /// Returns routers in a row.
    pub fn line(routers: usize) -> Self {
        let pairs = (1..routers).map(|router| (router - 1, router));
        Self::of_pairs(routers, pairs)
    }

    /// Returns routers in a circle.
    pub fn ring(routers: usize) -> Self {
        let pairs = (1..routers).map(|router| (router - 1, router));
        let closing = (routers > 2).then(|| (routers - 1, 0));
        Self::of_pairs(routers, pairs.chain(closing))
    }

    /// Returns rows and columns of routers, each linked with the next in its row and in its column: many equal costs.
    pub fn grid(rows: usize, columns: usize) -> Self {
        let mut pairs = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let router = row * columns + column;
                if column + 1 < columns {
                    pairs.push((router, router + 1));
                }
                if row + 1 < rows {
                    pairs.push((router, router + columns));
                }
            }
        }
        Self::of_pairs(rows * columns, pairs)
    }

    /// Returns `hubs` routers linked with each other, and the rest linked with every hub.
    pub fn hub_and_spoke(routers: usize, hubs: usize) -> Self {
        let pairs = (0..hubs).flat_map(|hub| (hub + 1..routers).map(move |router| (hub, router)));
        Self::of_pairs(routers, pairs)
    }

    /// Returns every router linked with every other.
    pub fn full_mesh(routers: usize) -> Self {
        Self::hub_and_spoke(routers, routers)
    }

    /// Returns a connected random mesh with about `degree` links a router (2 at least) and costs of 1..=20 that
    /// differ between the two ends in one link of four.
    pub fn random_mesh(routers: usize, degree: usize, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut topology = Self { routers, links: Vec::new() };
        let mut pairs = BTreeSet::new();
        for router in 1..routers {
            pairs.insert((rng.usize(0..router), router));
        }
        let possible = routers * routers.saturating_sub(1) / 2;
        let wanted = (routers * degree / 2).clamp(pairs.len(), possible);
        while pairs.len() < wanted {
            let (a, b) = (rng.usize(0..routers), rng.usize(0..routers));
            if a != b {
                pairs.insert((a.min(b), a.max(b)));
            }
        }
        for (a, b) in pairs {
            let cost = rng.u16(1..=20);
            let back = if rng.u8(0..4) == 0 { rng.u16(1..=20) } else { cost };
            topology.link(a, b, cost, back);
        }
        topology
    }

    fn of_pairs(routers: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut topology = Self { routers, links: Vec::new() };
        for (a, b) in pairs {
            topology.link(a, b, DEFAULT_COST, DEFAULT_COST);
        }
        topology
    }

    fn link(&mut self, a: usize, b: usize, cost_a: u16, cost_b: u16) {
        let cost = |value: u16| Cost::new(value.max(1)).unwrap_or(Cost::MAX);
        if a != b {
            self.links.push(TopologyLink {
                ends: PerSide { a: NodeIndex(a), b: NodeIndex(b) },
                costs: PerSide { a: cost(cost_a), b: cost(cost_b) },
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_links_its_name_says() {
        assert_eq!(Topology::line(5).links.len(), 4);
        assert_eq!(Topology::ring(5).links.len(), 5);
        assert_eq!(Topology::ring(2).links.len(), 1);
        assert_eq!(Topology::grid(3, 4).links.len(), 3 * 3 + 2 * 4);
        assert_eq!(Topology::hub_and_spoke(10, 1).links.len(), 9);
        assert_eq!(Topology::hub_and_spoke(10, 2).links.len(), 9 + 8);
        assert_eq!(Topology::full_mesh(6).links.len(), 15);
        assert_eq!(Topology::from_links(2, &[(0, 3, 0, 7), (1, 1, 1, 1)]).routers, 4);
        assert_eq!(Topology::from_links(2, &[(0, 3, 0, 7), (1, 1, 1, 1)]).links.len(), 1);
    }

    #[test]
    fn a_random_mesh_has_the_wanted_degree_and_is_the_same_for_the_same_seed() {
        let mesh = Topology::random_mesh(100, 4, 7);
        assert_eq!(mesh.links.len(), 200);
        assert_eq!(mesh, Topology::random_mesh(100, 4, 7));
        assert_ne!(mesh, Topology::random_mesh(100, 4, 8));
        assert_eq!(Topology::random_mesh(3, 50, 1).links.len(), 3);
    }
}
