//! Retransmission: what a neighbor has not answered within RxmtInterval is sent again (RFC 2328 sections 10.8, 10.9 and
//! 13.6).

use crate::ids::InterfaceId;
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::lsdb::LsdbKey;
use crate::ospf::neighbor::exchange;
use crate::ospf::outbox::Cx;
use crate::time::Instant;

/// How many Updates with retransmitted LSAs go out at most at one time. The rest waits for the next RxmtInterval.
pub const RETRANSMIT_BURST_MAX: usize = 16;

/// Repeats what the neighbor has not answered within RxmtInterval: the description, the requests, the LSAs.
pub fn handle_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(interval) = interface.link().map(|link| link.rxmt_interval) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let is_due = |sent: Instant| cx.now.since(sent) >= interval;
    let exchange = &mut neighbor.exchange;
    let repeats_description =
        exchange::awaits_description(neighbor.state, exchange) && is_due(exchange.sent_at);
    let repeats_requests = !exchange.requested.is_empty() && is_due(exchange.requested_at);
    if repeats_requests {
        exchange.requested.clear();
    }
    let late: Vec<LsdbKey> =
        neighbor.retransmissions.iter().filter(|(_, due)| **due <= cx.now).map(|(key, _)| *key).collect();
    let sent = flood::send_update(interface, late, (&area.lsdb, RETRANSMIT_BURST_MAX), cx);
    if let Some(neighbor) = interface.neighbor.as_mut() {
        for key in sent {
            neighbor.withheld.remove(&key);
            neighbor.retransmissions.insert(key, cx.now + interval);
        }
    }
    if repeats_description {
        exchange::send_description(interface, cx);
    }
    exchange::arm(interface, cx);
}
