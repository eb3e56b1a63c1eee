//! What an engine is told about its router: typed, in the units of the protocol.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use crate::ids::{AreaId, Cost, Family, InterfaceId, RouterId};

/// Everything an engine knows of its router before the first interface is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This router's identity; unique in the area and not 0.
    pub router_id: RouterId,
    /// The family whose prefixes are routed; decides the Instance ID.
    pub family: Family,
    /// The one area served.
    pub area: AreaId,
    /// How many equal-cost next hops a route keeps at most; those with the lowest (interface, neighbor) stay.
    pub equal_cost_max: usize,
    /// Whether routes are calculated. Without, a router only floods: for worlds of more routers than there is room for tables.
    pub routes: bool,
    /// Whether routes get loop-free alternates: a shortest-path tree for each neighbor.
    pub alternates: bool,
    /// Back-off between changes of the database and shortest-path runs.
    pub spf_delay: SpfDelayConfig,
    /// Whether the owner says by `Engine::handle_installed` when the routes are in use; until then the router does not
    /// offer itself for transit. Else they count as in use at once, or a second later where that decides.
    pub awaits_installation: bool,
    /// The high half of RFC 7166 sequence numbers. The caller makes sure that it grows with every start, so
    /// that no sequence number is used twice over restarts.
    pub authentication_epoch: u32,
    /// How much the database holds.
    pub limits: Limits,
    /// What is done about graceful restarts, this router's and its neighbors'.
    pub grace: GraceConfig,
    /// Whether this router starts while its routes of an earlier start are still in use, so that it restarts gracefully
    /// (RFC 3623 sections 2 and 5). Not to be said of a router that forwards nothing yet.
    pub restarting: bool,
}

/// Graceful restart (RFC 3623, RFC 5187).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceConfig {
    /// Whether the link of a neighbor is kept while its routing restarts.
    pub helps: bool,
    /// The grace period, in whole seconds: how long this router's own restart may take, and how long one lasts at most of a
    /// neighbor that cannot say how long it takes. 1..=1800 s: beyond LSRefreshTime LSAs would age out meanwhile.
    pub period: Duration,
}

impl Default for GraceConfig {
    /// Neighbors are helped; 120 s, as BIRD and FRR have it.
    fn default() -> Self {
        Self { helps: true, period: Duration::from_secs(120) }
    }
}

/// How much an engine takes of others. RFC 2328 knows no limits. What is beyond them is refused without an
/// acknowledgment, so that the neighbor repeats it and it comes in when there is room; own LSAs always fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// LSAs in the database, also on a neighbor's request list.
    pub lsas: usize,
    /// LSAs of one Advertising Router, beyond its link-scope ones.
    pub lsas_per_router: usize,
    /// Link-scope LSAs of one link.
    pub lsas_per_link: usize,
    /// Octets of all LSAs as they are on the wire; in memory it is about three times as much.
    pub octets: usize,
}

impl Default for Limits {
    /// Room for 10,000 routers and for a router that brings in as many prefixes from outside.
    fn default() -> Self {
        Self { lsas: 200_000, lsas_per_router: 32_768, lsas_per_link: 256, octets: 32 << 20 }
    }
}

impl Config {
    /// Returns the configuration of a router in the backbone with every default of the protocol.
    pub fn new(router_id: RouterId, family: Family) -> Self {
        Self {
            router_id,
            family,
            area: AreaId::BACKBONE,
            equal_cost_max: 16,
            routes: true,
            alternates: true,
            spf_delay: SpfDelayConfig::default(),
            awaits_installation: false,
            authentication_epoch: 0,
            limits: Limits::default(),
            grace: GraceConfig::default(),
            restarting: false,
        }
    }
}

/// The delays of RFC 8405 section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpfDelayConfig {
    /// INITIAL_SPF_DELAY: before the first run after a quiet time.
    pub initial: Duration,
    /// SHORT_SPF_DELAY: while one event's consequences arrive. Meant for up to 64 routers and transit networks; longer in
    /// proportion where there are more, up to 200 ms.
    pub short: Duration,
    /// LONG_SPF_DELAY: while the network keeps changing. Meant for up to 250 routers and transit networks; longer in
    /// proportion where there are more, up to 5 s.
    pub long: Duration,
    /// TIME_TO_LEARN_INTERVAL: how long one event's consequences may take to arrive.
    pub time_to_learn: Duration,
    /// HOLDDOWN_INTERVAL: how long it must be quiet before the next event counts as the first.
    pub holddown: Duration,
}

impl Default for SpfDelayConfig {
    /// TIME_TO_LEARN_INTERVAL is the one RFC 8405 proposes. The others answer sooner, for a mesh of tens of routers
    /// rather than of thousands: the first run waits for nothing, SHORT_SPF_DELAY is 50 ms, for the neighbors of a router
    /// that dies notice it one after the other, LONG_SPF_DELAY is one second (both grow with the topology), and after
    /// three quiet seconds the next event counts as the first again.
    fn default() -> Self {
        Self {
            initial: Duration::ZERO,
            short: Duration::from_millis(50),
            long: Duration::from_secs(1),
            time_to_learn: Duration::from_millis(500),
            holddown: Duration::from_secs(3),
        }
    }
}

/// One interface of the router as the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// The Interface ID; the same over restarts of the router, as far as the caller can.
    pub id: InterfaceId,
    /// The device's name, for people.
    pub name: String,
    /// The interface's prefixes of the engine's family, advertised while the interface is up.
    pub prefixes: Vec<AdvertisedPrefix>,
    /// Whether packets are exchanged over it.
    pub kind: InterfaceKind,
}

/// Whether, and how, packets are exchanged over an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceKind {
    /// Advertised, but no packet is sent or accepted (a LAN, the loopback).
    Stub,
    /// A link with exactly one router at its far end.
    PointToPoint(PointToPointConfig),
}

/// A prefix that this router originates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AdvertisedPrefix {
    /// The prefix, of the engine's family; host bits are ignored.
    pub prefix: IpNet,
    /// Its metric, 0..=65535.
    pub metric: u16,
    /// Whether it is an address of this router (LA-bit, RFC 5340 appendix A.4.1.1).
    pub local_address: bool,
}

/// How packets are exchanged over a point-to-point link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointToPointConfig {
    /// The output cost.
    pub cost: Cost,
    /// HelloInterval in whole seconds, 1..=65535; both ends must agree.
    pub hello_interval: Duration,
    /// RouterDeadInterval in whole seconds, 1..=65535; both ends must agree.
    pub dead_interval: Duration,
    /// RxmtInterval: how long an acknowledgment may take.
    pub rxmt_interval: Duration,
    /// InfTransDelay in whole seconds, at least 1: what an LSA ages while it crosses the link.
    pub inf_trans_delay: Duration,
    /// The largest IPv6 packet that crosses the link; both ends must agree.
    pub mtu: u16,
    /// The address packets are sent from.
    pub link_local: Ipv6Addr,
    /// The only router that packets are taken from; nothing takes them from whoever is heard.
    pub neighbor: Option<RouterId>,
    /// This end's IPv4 address; what a neighbor that cannot route IPv4 over IPv6 next hops needs (RFC 5838 section 2.5).
    pub ipv4_address: Option<Ipv4Addr>,
    /// RFC 7166 security associations: the first signs, all are accepted. None means no authentication.
    pub authentication: Vec<SecurityAssociation>,
}

/// An RFC 7166 security association (section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityAssociation {
    /// SA ID; BIRD's default is 1.
    pub id: u16,
    /// The authentication algorithm.
    pub algorithm: HmacAlgorithm,
    /// The secret.
    pub key: AuthenticationKey,
}

/// The HMAC of an authentication trailer (RFC 7166 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HmacAlgorithm {
    /// HMAC-SHA-1, 20 octets.
    Sha1,
    /// HMAC-SHA-256, 32 octets: the default.
    Sha256,
    /// HMAC-SHA-384, 48 octets.
    Sha384,
    /// HMAC-SHA-512, 64 octets.
    Sha512,
}

/// An authentication secret; it has no readable `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticationKey(Vec<u8>);

impl AuthenticationKey {
    /// Takes the secret's octets.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(octets.into())
    }

    /// Returns the secret's octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AuthenticationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationKey(..)")
    }
}
