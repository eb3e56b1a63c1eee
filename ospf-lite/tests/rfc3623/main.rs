//! Graceful restart, clause by clause (RFC 3623; what RFC 5187 changes is in `rfc5187.rs`): the ring in which it is tried.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a failing test should stop where it fails"
)]

mod helping;
mod restarting;

use ospf_lite::config::InterfaceKind;
use ospf_lite::ids::{Cost, Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, Leaving, Reachability};
use ospf_lite::ospf::lsa::{GraceLsa, LsType, Lsa, LsaBody, RestartReason, SequenceNumber};
use ospf_lite::ospf::neighbor::HelpReason;
use ospf_lite::ospf::packet::Packet;
use ospf_testnet::{End, Net, interface, key, prefix, seconds, stub};

pub const FAMILIES: [Family; 2] = [Family::Ipv6, Family::Ipv4];
/// The grace period by default.
pub const PERIOD: u32 = 120;

/// 1 - 2 - 3 is the way, 1 - 4 - 3 the longer one; 1 and 3 have a LAN.
pub fn ring(family: Family) -> Net {
    let mut net = Net::new(family)
        .routers(&[1, 2, 3, 4])
        .link((1, 2), (2, 1))
        .link((2, 3), (3, 2))
        .link((1, 4), (4, 1))
        .link((4, 3), (3, 4));
    for end in [(1, 4), (3, 4)] {
        set_cost(&mut net, end, 50);
        net.configure(end.0, stub((end.0, 9), family));
        net.interface(end.0, InterfaceEvent::Up(InterfaceId(9)));
    }
    net.run(seconds(30));
    assert!(net.is_equal());
    assert_eq!(hops(&net, 1), [2]);
    net
}

pub fn set_cost(net: &mut Net, end: End, cost: u16) {
    let mut config = interface(end, net.family);
    if let InterfaceKind::PointToPoint(link) = &mut config.kind {
        link.cost = Cost::new(cost).unwrap();
    }
    net.configure(end.0, config);
}

/// The interfaces over which router 1 or 3 reaches the LAN of the other.
pub fn hops(net: &Net, router: u32) -> Vec<u32> {
    let far = if router == 1 { 3 } else { 1 };
    let route = net.engines[&router].routes().get(&prefix((far, 9), net.family).prefix);
    route.map(|route| route.next_hops.iter().map(|hop| hop.interface.0).collect()).unwrap_or_default()
}

pub fn is_undisturbed(net: &Net) -> bool {
    hops(net, 1) == [2] && hops(net, 3) == [2]
}

/// Router 2 starts again as one that has gone on forwarding.
pub fn start_again(net: &mut Net) {
    net.start_with(2, |config| config.restarting = true);
    for far in [1, 3] {
        net.configure_up((2, far), |_| {});
    }
}

pub fn help(net: &Net, (router, id): End) -> Option<HelpReason> {
    let mut neighbors = net.engines[&router].neighbors();
    neighbors.find(|one| one.interface == InterfaceId(id)).and_then(|one| one.help).map(|(reason, _)| reason)
}

pub fn is_helped(net: &Net, reason: HelpReason) -> bool {
    help(net, (1, 2)) == Some(reason) && help(net, (3, 2)) == Some(reason)
}

pub fn sequences(net: &Net, router: u32) -> Vec<(LsType, u32, i32)> {
    let headers = net.headers(4);
    let own = headers.iter().filter(|header| header.key.advertising_router.0 == router);
    own.map(|header| (header.key.ls_type, header.key.link_state_id.0, header.sequence.0)).collect()
}

/// Router 2 asks for grace and stops.
pub fn stop(net: &mut Net) {
    let now = net.now;
    net.engine(2).handle_leaving(now, Leaving::Restart(RestartReason::SoftwareReload));
    net.collect(2);
    net.run_until(seconds(1), |net| net.engines[&2].is_acknowledged());
    net.engines.remove(&2);
}

/// What router 2 sent over an interface since its last start, in order.
pub fn said(net: &Net, since: ospf_lite::time::Instant, from: End) -> Vec<Packet> {
    let sent = net.sent.iter().filter(|sent| sent.at >= since && sent.from == from);
    sent.map(|sent| sent.packet(net.family)).collect()
}

/// A Grace-LSA of router 2 for the link to router 1.
pub fn grace_lsa(period: u32, age: u16, sequence: i32) -> Lsa {
    let body = LsaBody::Grace(GraceLsa { period, reason: RestartReason::Unknown });
    Lsa::originate(key(LsType::GRACE, 1, 2), SequenceNumber(1_000_000 + sequence), age, body)
}

/// What routers 1 and 3 are told of router 2.
pub fn tell(net: &mut Net, reachability: Reachability) {
    for router in [1, 3] {
        let interface = InterfaceId(2);
        net.interface(router, InterfaceEvent::Reachability { interface, reachability });
    }
}
