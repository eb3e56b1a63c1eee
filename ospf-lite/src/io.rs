//! The words of the engine's boundary: what goes in, what comes out.

use std::borrow::Borrow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use crate::config::InterfaceConfig;
use crate::ids::{Distance, InterfaceId, RouterId};
use crate::ospf::lsa::{LsType, RestartReason};
use crate::ospf::neighbor::fsm::NeighborState;

/// An OSPF packet that arrived, without its IPv6 header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Where it arrived.
    pub interface: InterfaceId,
    /// The IPv6 source address.
    pub source: Ipv6Addr,
    /// The IPv6 destination address.
    pub destination: Ipv6Addr,
    /// How long ago: a Hello that repeats the one before may have waited. Others are taken in at once.
    pub age: Duration,
    /// The octets from the OSPF header on, authentication trailer included.
    pub octets: Vec<u8>,
}

/// An OSPF packet to send, checksum and trailer in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to send it.
    pub interface: InterfaceId,
    /// AllSPFRouters or the neighbor's link-local address. The source is the interface's link-local address.
    pub destination: Ipv6Addr,
    /// The octets from the OSPF header on.
    pub octets: Vec<u8>,
}

/// AllSPFRouters, `ff02::5` (RFC 5340 appendix A.1).
pub const ALL_SPF_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5);

/// What happens to the router's interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceEvent {
    /// An interface exists with this configuration: added, or changed with as little disturbance as possible (a
    /// changed cost or prefix keeps the adjacency). A new interface is down until told otherwise.
    Configured(InterfaceConfig),
    /// An interface is gone.
    Removed(InterfaceId),
    /// The interface can carry packets.
    Up(InterfaceId),
    /// It cannot.
    Down(InterfaceId),
    /// What watches the link beside OSPF has come to another opinion of its far end.
    Reachability {
        /// The interface of the link.
        interface: InterfaceId,
        /// The opinion; [`Reachability::Reachable`] until told otherwise, and again when the interface comes up.
        reachability: Reachability,
    },
}

/// Whether the far end of a link can be reached, as far as BFD can tell (RFC 5882 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Reachability {
    /// Nothing speaks against it: the session is Up, or there is none that could tell.
    #[default]
    Reachable,
    /// The router at the far end is silent, but its kernel still answers over the link: it goes on forwarding.
    Forwarding,
    /// Nothing gets through in at least one direction.
    Unreachable,
}

/// How a router that is about to stop leaves its area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaving {
    /// It comes back, and forwards meanwhile: the neighbors are asked for grace (RFC 3623 section 2.1).
    Restart(RestartReason),
    /// For good, and its forwarding ends too: everything it has originated is flushed.
    ForGood,
}

/// Content of an LSA type that the engine itself does not know, originated for the engine's owner in area scope
/// with the U-bit set. Part n gets Link State ID n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateContent {
    /// The LS type; anything but an unknown area-scope type with the U-bit is refused.
    pub ls_type: LsType,
    /// The parts, each at most 1,080 octets.
    pub parts: Vec<Vec<u8>>,
}

/// Something the engine's owner may want to look at. Events are hints: the truth is in the engine's queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `Engine::routes` gives another answer than before, or `Engine::is_settled` does.
    RoutesChanged,
    /// LSAs say something else that are only kept and handed on here: what they say is known to others.
    OtherLsasChanged,
    /// The link to a neighbor counts no longer: what leads by it has to go another way. Not raised for one that is helped.
    NeighborLost {
        /// The interface it was heard on.
        interface: InterfaceId,
    },
    /// A neighbor changed state.
    NeighborChanged {
        /// The interface it is heard on.
        interface: InterfaceId,
        /// The neighbor.
        neighbor: RouterId,
        /// The state it left.
        from: NeighborState,
        /// The state it is in.
        to: NeighborState,
    },
}

/// What kind of path a route follows, best first (RFC 2328 section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// Inside the area.
    IntraArea,
    /// Through an area border router.
    InterArea,
    /// To another protocol's prefix, metrics comparable.
    External1,
    /// To another protocol's prefix, its metric decides first.
    External2,
}

/// The best way to a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What kind of path it is.
    pub kind: PathKind,
    /// The distance to the prefix; for [`PathKind::External2`] the distance to the router that announces it.
    pub distance: Distance,
    /// The external metric of [`PathKind::External2`], else 0.
    pub external_metric: u32,
    /// The routers that announce it at this distance, in order.
    pub advertising: Announcers,
    /// Where to send; empty when the prefix is this router's own.
    pub next_hops: HopList,
    /// Where to send when the only next hop is lost, until the routes are others: equally good loop-free alternates (RFC
    /// 5286), to be used side by side. In large areas they come a moment after the rest.
    pub alternates: HopList,
}

/// Next hops: in order, without repetition. Routes that lead alike share them, and the list takes a route one word: there are
/// many routes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HopList(Option<Arc<Vec<NextHop>>>);

impl HopList {
    /// Returns how many share it; of an empty one none.
    pub(crate) fn shares(&self) -> usize {
        self.0.as_ref().map_or(0, Arc::strong_count)
    }
}

impl Deref for HopList {
    type Target = [NextHop];

    fn deref(&self) -> &[NextHop] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl Borrow<[NextHop]> for HopList {
    fn borrow(&self) -> &[NextHop] {
        self
    }
}

impl FromIterator<NextHop> for HopList {
    fn from_iter<I: IntoIterator<Item = NextHop>>(next_hops: I) -> Self {
        let list: Vec<NextHop> = next_hops.into_iter().collect();
        Self((!list.is_empty()).then(|| Arc::new(list)))
    }
}

/// Routers that announce the same prefix. Of most there is one, which takes no place of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcers(Kept);

/// One alone is never kept as a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    One(RouterId),
    List(Arc<[RouterId]>),
}

impl Deref for Announcers {
    type Target = [RouterId];

    fn deref(&self) -> &[RouterId] {
        match &self.0 {
            Kept::One(router) => slice::from_ref(router),
            Kept::List(list) => list,
        }
    }
}

impl FromIterator<RouterId> for Announcers {
    fn from_iter<I: IntoIterator<Item = RouterId>>(routers: I) -> Self {
        let mut routers = routers.into_iter();
        Self(match (routers.next(), routers.next()) {
            (Some(one), None) => Kept::One(one),
            (first, second) => Kept::List(first.into_iter().chain(second).chain(routers).collect()),
        })
    }
}

/// A neighbor to send through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The interface to send over.
    pub interface: InterfaceId,
    /// The neighbor at its far end.
    pub neighbor: RouterId,
    /// The neighbor's link-local address, the source of its packets.
    pub link_local: Ipv6Addr,
    /// The IPv4 address in the neighbor's Link-LSA (IPv4 family only; RFC 5838 section 2.5).
    pub ipv4: Option<Ipv4Addr>,
}
