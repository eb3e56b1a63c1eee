//! Loading: asking a neighbor for what it has newer, and answering its requests (RFC 2328 sections 10.7 and 10.9).

use crate::ids::InterfaceId;
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::lsa::LsaKey;
use crate::ospf::lsdb::{Domain, LsdbKey};
use crate::ospf::neighbor::{NeighborInput, events, exchange};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::PacketBody;
use crate::ospf::refusal::Refusal;
use crate::wire::size;

/// How many Link State Request packets are out at most without an answer. The rest waits for the answers.
pub const REQUEST_BURST_MAX: usize = 4;

/// Asks for what is on the request list, and ends Loading when nothing is (RFC 2328 section 10.9).
fn send_requests(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let room = size::keys_in_request(interface.packet_body_max()).max(1);
    let Some(neighbor) = interface.neighbor.as_mut().filter(|neighbor| neighbor.state.takes_flooding())
    else {
        return;
    };
    let progress = &mut neighbor.exchange;
    if progress.requests.is_empty() {
        events::handle_input(area, id, NeighborInput::LoadingDone, cx);
        return;
    }
    if !progress.requested.is_empty() {
        return;
    }
    let keys: Vec<LsaKey> =
        progress.requests.keys().take(room.saturating_mul(REQUEST_BURST_MAX)).copied().collect();
    progress.requested.extend(&keys);
    progress.requested_at = cx.now;
    for chunk in keys.chunks(room) {
        interface.send(PacketBody::LinkStateRequest(chunk.to_vec()), cx);
    }
    exchange::arm(interface, cx);
}

/// Goes on asking, or ends Loading, wherever an LSA has come in, from whomever.
pub fn handle_progress(area: &mut Area, cx: &mut Cx<'_>) {
    let ids: Vec<InterfaceId> = area.synchronizing.iter().copied().collect();
    for id in ids {
        send_requests(area, id, cx);
    }
}

/// Answers a Link State Request (RFC 2328 section 10.7).
pub fn handle_link_state_request(
    area: &mut Area,
    id: InterfaceId,
    keys: &[LsaKey],
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    if !area.neighbor_state(id).takes_flooding() {
        return Err(Refusal::NeighborState);
    }
    let wanted: Option<Vec<LsdbKey>> = keys
        .iter()
        .map(|key| Some(LsdbKey { domain: Domain::of(key, id)?, lsa: *key }))
        .map(|key| key.filter(|key| area.lsdb.get(key).is_some()))
        .collect();
    let Some(wanted) = wanted else {
        events::handle_input(area, id, NeighborInput::BadLsReq, cx);
        return Err(Refusal::BadRequest);
    };
    if let Some(interface) = area.interfaces.get_mut(&id) {
        flood::send_update(interface, wanted, (&area.lsdb, usize::MAX), cx);
        if let Some(neighbor) = interface.neighbor.as_mut() {
            neighbor.exchange.answered_at = Some(cx.now);
        }
    }
    Ok(())
}
