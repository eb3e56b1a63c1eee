//! Random sequences of faults from a seed.

use std::time::Duration;

use super::fault::Fault;
use super::link::LinkQuality;
use super::topology::{LinkIndex, NodeIndex, Side};
use super::world::World;
use crate::ids::Cost;

/// How long the start of a router takes at most that was stopped to be upgraded.
const UPGRADE_MAX: Duration = Duration::from_secs(8);

/// A kind of random fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// [`Fault::Cut`] of a whole link, or [`Fault::Heal`] of one that is not whole.
    Cut,
    /// [`Fault::CutOneWay`] of a whole link, or [`Fault::Heal`] of one that is not whole.
    CutOneWay,
    /// [`Fault::CarrierDown`] of a whole link, or [`Fault::Heal`] of one that is not whole.
    Carrier,
    /// [`Fault::Degrade`].
    Degrade,
    /// [`Fault::SetCost`].
    Cost,
    /// [`Fault::Crash`] of a running router, or [`Fault::Boot`] of one that is off.
    Crash,
    /// [`Fault::Restart`] of a running router, or [`Fault::Boot`] of one that is off.
    Restart,
    /// [`Fault::Kill`] of a running router, or [`Fault::Boot`] of one that is off.
    Kill,
    /// [`Fault::Upgrade`] of a running router, or [`Fault::Boot`] of one that is off.
    Upgrade,
    /// [`Fault::Partition`] off of a random third of the routers.
    Partition,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Cut,
        Self::CutOneWay,
        Self::Carrier,
        Self::Degrade,
        Self::Cost,
        Self::Crash,
        Self::Restart,
        Self::Kill,
        Self::Upgrade,
        Self::Partition,
    ];
    /// The kinds that touch a single link or router, as they happen one by one in a large network.
    pub const SINGLE: [Self; 6] =
        [Self::Cut, Self::CutOneWay, Self::Carrier, Self::Cost, Self::Crash, Self::Restart];
}

/// An endless sequence of random faults.
#[derive(Debug)]
pub struct FaultSource {
    rng: fastrand::Rng,
    kinds: Vec<FaultKind>,
}

impl FaultSource {
    /// Makes a sequence of the kinds given; none given means every kind.
    pub fn new(seed: u64, kinds: &[FaultKind]) -> Self {
        let kinds = if kinds.is_empty() { &FaultKind::ALL } else { kinds };
        Self { rng: fastrand::Rng::with_seed(seed), kinds: kinds.to_vec() }
    }

    /// Returns a random time up to `most`.
    pub fn pause(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.rng.u64(0..=most))
    }

    /// Returns the next fault, one that changes something in the world as it is.
    pub fn next_fault(&mut self, world: &World) -> Fault {
        let kind = self.rng.choice(&self.kinds).copied().unwrap_or(FaultKind::Restart);
        if world.links() == 0 {
            return Fault::Restart(NodeIndex(self.rng.usize(0..world.routers().max(1))));
        }
        let link = LinkIndex(self.rng.usize(0..world.links()));
        let node = NodeIndex(self.rng.usize(0..world.routers().max(1)));
        let side = if self.rng.bool() { Side::A } else { Side::B };
        match kind {
            FaultKind::Cut | FaultKind::CutOneWay | FaultKind::Carrier if !world.is_whole(link) => {
                Fault::Heal(link)
            }
            FaultKind::Crash | FaultKind::Restart | FaultKind::Kill | FaultKind::Upgrade
                if !world.is_running(node) =>
            {
                Fault::Boot(node)
            }
            FaultKind::Cut => Fault::Cut(link),
            FaultKind::CutOneWay => Fault::CutOneWay(link, side),
            FaultKind::Carrier => Fault::CarrierDown(link),
            FaultKind::Degrade => Fault::Degrade(link, self.quality()),
            FaultKind::Cost => Fault::SetCost(link, side, self.cost()),
            FaultKind::Crash => Fault::Crash(node),
            FaultKind::Restart => Fault::Restart(node),
            FaultKind::Kill => Fault::Kill(node),
            FaultKind::Upgrade => Fault::Upgrade(node, self.pause(UPGRADE_MAX)),
            FaultKind::Partition => Fault::Partition(self.third(world.routers())),
        }
    }

    fn cost(&mut self) -> Cost {
        Cost::new(self.rng.u16(1..=30)).unwrap_or(Cost::MAX)
    }

    fn quality(&mut self) -> LinkQuality {
        LinkQuality {
            delay: Duration::from_micros(self.rng.u64(100..50_000)),
            jitter: Duration::from_micros(self.rng.u64(0..100_000)),
            loss: self.rng.u16(0..150),
            duplication: self.rng.u16(0..100),
            reordering: self.rng.u16(0..300),
        }
    }

    fn third(&mut self, routers: usize) -> Vec<NodeIndex> {
        (0..routers).map(NodeIndex).filter(|_| self.rng.u8(0..3) == 0).collect()
    }
}
