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

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, Leaving, Reachability};
use ospf_lite::ospf::lsa::{GraceLsa, LsType, Lsa, LsaBody, RestartReason, SequenceNumber};
use ospf_lite::ospf::neighbor::HelpReason;
use ospf_lite::ospf::packet::Packet;
use ospf_testnet::{End, Net, key, seconds};

pub const FAMILIES: [Family; 2] = [Family::Ipv6, Family::Ipv4];
/// The grace period by default.
pub const PERIOD: u32 = 120;

pub fn is_undisturbed(net: &Net) -> bool {
    net.hops(1, 3) == [2] && net.hops(3, 1) == [2]
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
