//! What goes wrong in a world.

use std::time::Duration;

use super::link::LinkQuality;
use super::topology::{LinkIndex, NodeIndex, Side};
use crate::ids::Cost;

/// A change from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Packets vanish in both directions; neither end is told.
    Cut(LinkIndex),
    /// Packets sent at one end vanish; neither end is told.
    CutOneWay(LinkIndex, Side),
    /// Both ends are told that the link carries nothing.
    CarrierDown(LinkIndex),
    /// The link is good again, whatever was wrong with it, and both ends are told when they were told before.
    Heal(LinkIndex),
    /// The link treats packets differently.
    Degrade(LinkIndex, LinkQuality),
    /// One end sets another cost.
    SetCost(LinkIndex, Side, Cost),
    /// The router asks others to go around it (RFC 6987), or does no longer.
    Drain(NodeIndex, bool),
    /// The router stops without a word.
    Crash(NodeIndex),
    /// The router, if it is off, starts without any memory but its number of starts.
    Boot(NodeIndex),
    /// Crash and boot at the same moment: the neighbors have noticed nothing yet.
    Restart(NodeIndex),
    /// The router stops without a word and starts at the same moment, its routes still in use.
    Kill(NodeIndex),
    /// The router asks its neighbors for grace, stops, and starts within this time, its routes still in use.
    Upgrade(NodeIndex, Duration),
    /// Every link between these routers and the others is cut.
    Partition(Vec<NodeIndex>),
    /// Every link is healed, every router that is off is started.
    HealAll,
}
