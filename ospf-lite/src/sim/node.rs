//! A router of a world: its addresses, its configuration, its engine.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::config::WorldConfig;
use super::link::Link;
use super::topology::{LinkIndex, NodeIndex, Side};
use crate::config::{
    AdvertisedPrefix, AuthenticationKey, Config, HmacAlgorithm, InterfaceConfig, InterfaceKind,
    PointToPointConfig, SecurityAssociation,
};
use crate::engine::Engine;
use crate::ids::{Family, InterfaceId, RouterId};
use crate::io::InterfaceEvent;
use crate::ospf::pool::LsaPool;
use crate::time::Instant;

/// The interface with the router's own address.
const LOOPBACK: InterfaceId = InterfaceId(1);
/// The interface with the hosts.
const LAN: InterfaceId = InterfaceId(2);
/// The interface with the prefix that two routers have.
const SHARED: InterfaceId = InterfaceId(3);
/// The interface of the world's first link; the others follow.
const FIRST_LINK: u32 = 16;
/// The metric of a LAN.
const LAN_METRIC: u16 = 10;
/// RxmtInterval of every link.
pub(super) const RXMT_INTERVAL: Duration = Duration::from_secs(5);

/// A router and its state over restarts.
#[derive(Debug)]
pub(super) struct Node {
    /// Nothing while the router is off.
    pub engine: Option<Engine>,
    /// Its links, and which of their ends is here.
    pub links: Vec<(LinkIndex, Side)>,
    /// How often it has been started; the high half of its authentication sequence numbers.
    pub starts: u32,
    /// The earliest moment at which the queue has a wake-up for it.
    pub wakes: Option<Instant>,
}

/// Returns the Router ID of a node.
pub fn router_id(node: NodeIndex) -> RouterId {
    RouterId(number(node.0).saturating_add(1))
}

/// Returns the node that has a Router ID; nothing for 0.
pub(super) fn node_of(router: RouterId) -> Option<NodeIndex> {
    usize::try_from(router.0.checked_sub(1)?).ok().map(NodeIndex)
}

/// Returns the Interface ID of a link, the same at both ends.
pub fn link_interface(link: LinkIndex) -> InterfaceId {
    InterfaceId(FIRST_LINK.saturating_add(number(link.0)))
}

/// Returns the link of an Interface ID; nothing for the stub interfaces.
pub(super) fn link_of(interface: InterfaceId) -> Option<LinkIndex> {
    usize::try_from(interface.0.checked_sub(FIRST_LINK)?).ok().map(LinkIndex)
}

/// Returns the link-local address of a link's end.
pub(super) fn link_local(link: LinkIndex, side: Side) -> Ipv6Addr {
    let [high, low] = halves(number(link.0));
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, high, low, side_number(side))
}

/// Returns the prefixes that a running router advertises for itself, with their metrics.
pub(super) fn own_prefixes(node: NodeIndex, config: &WorldConfig) -> Vec<(IpNet, u16)> {
    let mut prefixes = vec![(loopback(node, config.family), 0), (lan(node, config.family), LAN_METRIC)];
    if shares(node, config) {
        prefixes.push((shared(config.family), LAN_METRIC));
    }
    prefixes
}

/// Returns the prefix of a link.
pub(super) fn link_prefix(link: LinkIndex, family: Family) -> IpNet {
    match family {
        Family::Ipv6 => {
            let [high, low] = halves(number(link.0));
            IpNet::new_assert(Ipv6Addr::new(0xfd00, 3, high, low, 0, 0, 0, 0).into(), 64)
        }
        Family::Ipv4 => IpNet::new_assert(link_ipv4_network(link).into(), 30),
    }
}

/// Makes the engine of a router that starts, with its interfaces configured and up.
pub(super) fn start(node: NodeIndex, state: &Node, links: &[Link], cx: &Start<'_>) -> Engine {
    let mut config = Config::new(router_id(node), cx.config.family);
    config.equal_cost_max = cx.config.equal_cost_max;
    // Nobody here fails over by them, and thousands of routers would compute them at every change.
    config.alternates = false;
    config.routes = node.0.is_multiple_of(cx.config.routes_at_every);
    config.spf_delay = cx.config.spf_delay;
    config.authentication_epoch = state.starts;
    config.grace.period = cx.config.grace_period;
    config.restarting = cx.restarting;
    let mut engine = Engine::new(config, cx.now, cx.seed);
    engine.share_lsas(cx.pool.clone());
    let mut interfaces = stub_interfaces(node, cx.config);
    let mut down = Vec::new();
    for (index, side) in &state.links {
        if let Some(link) = links.get(index.0) {
            interfaces.push(link_config(*index, *side, link, cx.config));
            if !link.carrier {
                down.push(link_interface(*index));
            }
        }
    }
    for interface in interfaces {
        let id = interface.id;
        engine.handle_interface(cx.now, InterfaceEvent::Configured(interface));
        if !down.contains(&id) {
            engine.handle_interface(cx.now, InterfaceEvent::Up(id));
        }
    }
    engine
}

/// What a router is started with besides its own state.
pub(super) struct Start<'a> {
    /// Whether its routes of the start before are still in use.
    pub restarting: bool,
    pub config: &'a WorldConfig,
    pub now: Instant,
    pub seed: u64,
    pub pool: &'a LsaPool,
}

/// Returns the configuration of a link's end.
pub(super) fn link_config(
    index: LinkIndex,
    side: Side,
    link: &Link,
    config: &WorldConfig,
) -> InterfaceConfig {
    let cost = *link.costs.at(side);
    let prefix = AdvertisedPrefix {
        prefix: link_prefix(index, config.family),
        metric: cost.get(),
        local_address: false,
    };
    InterfaceConfig {
        id: link_interface(index),
        name: format!("link{}", index.0),
        prefixes: if config.numbered { vec![prefix] } else { Vec::new() },
        kind: InterfaceKind::PointToPoint(PointToPointConfig {
            cost,
            hello_interval: config.hello_interval,
            dead_interval: config.dead_interval,
            rxmt_interval: RXMT_INTERVAL,
            inf_trans_delay: Duration::from_secs(1),
            mtu: 1370,
            link_local: link_local(index, side),
            neighbor: None,
            ipv4_address: config.numbered.then(|| link_ipv4(index, side)),
            authentication: if config.authenticated { vec![association()] } else { Vec::new() },
        }),
    }
}

fn stub_interfaces(node: NodeIndex, config: &WorldConfig) -> Vec<InterfaceConfig> {
    let stub = |id: InterfaceId, name: &str, prefix: IpNet, metric: u16| InterfaceConfig {
        id,
        name: name.to_owned(),
        prefixes: vec![AdvertisedPrefix { prefix, metric, local_address: id == LOOPBACK }],
        kind: InterfaceKind::Stub,
    };
    let mut interfaces = vec![
        stub(LOOPBACK, "lo", loopback(node, config.family), 0),
        stub(LAN, "lan", lan(node, config.family), LAN_METRIC),
    ];
    if shares(node, config) {
        interfaces.push(stub(SHARED, "shared", shared(config.family), LAN_METRIC));
    }
    interfaces
}

/// Returns whether a router is one of the two (first and last) with the shared prefix.
fn shares(node: NodeIndex, config: &WorldConfig) -> bool {
    node.0 == 0 || node.0 + 1 == config.topology.routers
}

fn loopback(node: NodeIndex, family: Family) -> IpNet {
    let number = router_id(node).0;
    let [high, low] = halves(number);
    match family {
        Family::Ipv6 => IpNet::new_assert(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, high, low).into(), 128),
        Family::Ipv4 => IpNet::new_assert(Ipv4Addr::from(0xac10_0000 | (number & 0x000f_ffff)).into(), 32),
    }
}

fn lan(node: NodeIndex, family: Family) -> IpNet {
    let number = router_id(node).0;
    let [high, low] = halves(number);
    match family {
        Family::Ipv6 => IpNet::new_assert(Ipv6Addr::new(0xfd00, 1, high, low, 0, 0, 0, 0).into(), 64),
        Family::Ipv4 => IpNet::new_assert(Ipv4Addr::from(0x0a00_0000 | ((number & 0xffff) << 8)).into(), 24),
    }
}

fn shared(family: Family) -> IpNet {
    match family {
        Family::Ipv6 => IpNet::new_assert(Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0).into(), 64),
        Family::Ipv4 => IpNet::new_assert(Ipv4Addr::new(192, 168, 0, 0).into(), 24),
    }
}

fn link_ipv4_network(link: LinkIndex) -> Ipv4Addr {
    Ipv4Addr::from(0x6440_0000 | ((number(link.0) & 0x000f_ffff) << 2))
}

fn link_ipv4(link: LinkIndex, side: Side) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(link_ipv4_network(link)) + u32::from(side_number(side)))
}

fn association() -> SecurityAssociation {
    SecurityAssociation {
        id: 1,
        algorithm: HmacAlgorithm::Sha256,
        key: AuthenticationKey::new(*b"the secret of the world"),
    }
}

fn side_number(side: Side) -> u16 {
    match side {
        Side::A => 1,
        Side::B => 2,
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn halves(number: u32) -> [u16; 2] {
    let [a, b, c, d] = number.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}
