//! Database Descriptions taken in: who leads, what comes next, what the neighbor has newer (RFC 2328 section 10.6).

use crate::ids::InterfaceId;
use crate::ospf::area::Area;
use crate::ospf::lsa::LsaHeader;
use crate::ospf::lsdb::{Domain, LsdbKey};
use crate::ospf::neighbor::{NeighborInput, NeighborState, Received, events, exchange};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::DatabaseDescription;
use crate::ospf::refusal::Refusal;

/// Takes in a Database Description (RFC 2328 section 10.6).
pub fn handle_database_description(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    check_mtu(area, id, description)?;
    if area.neighbor_state(id) == NeighborState::Init {
        events::handle_input(area, id, NeighborInput::TwoWayReceived, cx);
    }
    match area.neighbor_state(id) {
        NeighborState::ExStart => negotiate(area, id, description, cx),
        NeighborState::Exchange => follow(area, id, description, cx),
        NeighborState::Loading | NeighborState::Full => repeat_or_restart(area, id, description, cx),
        NeighborState::Down | NeighborState::Attempt | NeighborState::Init | NeighborState::TwoWay => {
            Err(Refusal::NeighborState)
        }
    }
}

/// Refuses another MTU. Departure from RFC 2328 section 10.6, which lets a smaller one pass: the neighbor refuses ours
/// then, and both ends show why.
fn check_mtu(area: &mut Area, id: InterfaceId, description: &DatabaseDescription) -> Result<(), Refusal> {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return Err(Refusal::InterfaceNotActive);
    };
    let ours = interface.mtu();
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return Err(Refusal::UnknownNeighbor);
    };
    let theirs = description.interface_mtu;
    if ours == Some(theirs) {
        neighbor.mismatched_mtu = None;
        return Ok(());
    }
    if neighbor.mismatched_mtu != Some(theirs) {
        tracing::warn!(interface = %interface.config.name, neighbor = %neighbor.router_id, ?ours, theirs, "MTU differs");
    }
    neighbor.mismatched_mtu = Some(theirs);
    Err(Refusal::MtuMismatch)
}

/// ExStart: settles who leads.
fn negotiate(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    let neighbor = area.neighbor_mut(id)?;
    let is_first =
        description.init && description.more && description.master && description.headers.is_empty();
    let is_answer = !description.init
        && !description.master
        && description.sequence == neighbor.exchange.sequence
        && neighbor.router_id < cx.config.router_id;
    if is_first && neighbor.router_id > cx.config.router_id {
        neighbor.exchange.is_master = false;
        neighbor.exchange.sequence = description.sequence;
    } else if !is_answer {
        // The neighbor has not seen our first one yet, or will not lead; ours is repeated after RxmtInterval.
        return Err(Refusal::Negotiation);
    }
    events::handle_input(area, id, NeighborInput::NegotiationDone, cx);
    advance(area, id, description, cx)
}

/// Exchange: takes the next description, or answers a repeated one.
fn follow(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    if repeat_if_duplicate(area, id, description, cx)? {
        return Ok(());
    }
    let progress = &area.neighbor_mut(id)?.exchange;
    let expected = if progress.is_master { progress.sequence } else { progress.sequence.wrapping_add(1) };
    let has_changed = progress.received.is_some_and(|last| last.options != description.options);
    let refusal = if description.master == progress.is_master {
        Refusal::MasterMismatch
    } else if has_changed {
        Refusal::OptionsChanged
    } else if description.init || description.sequence != expected {
        Refusal::SequenceMismatch
    } else {
        return advance(area, id, description, cx);
    };
    restart(area, id, (description, refusal), cx)
}

/// Loading and Full: the neighbor may have missed our last description; anything else is out of sequence.
fn repeat_or_restart(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    if repeat_if_duplicate(area, id, description, cx)? {
        Ok(())
    } else {
        restart(area, id, (description, Refusal::SequenceMismatch), cx)
    }
}

/// Returns whether the description is the last one again; the one that follows then repeats its answer.
fn repeat_if_duplicate(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<bool, Refusal> {
    let progress = &area.neighbor_mut(id)?.exchange;
    let is_duplicate = progress.received == Some(Received::from(description));
    if is_duplicate
        && !progress.is_master
        && let Some(interface) = area.interfaces.get_mut(&id)
    {
        exchange::send_description(interface, cx);
    }
    Ok(is_duplicate)
}

/// Begins again. When it was the neighbor that did, its first description counts at once: it would not come again before
/// RxmtInterval.
fn restart(
    area: &mut Area,
    id: InterfaceId,
    (description, refusal): (&DatabaseDescription, Refusal),
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    events::handle_input(area, id, NeighborInput::SeqNumberMismatch, cx);
    if description.init { negotiate(area, id, description, cx) } else { Err(refusal) }
}

/// Takes an accepted description: what it lists, then our answer or our next.
fn advance(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    if let Err(refusal) = compare(area, id, &description.headers, cx) {
        return restart(area, id, (description, refusal), cx);
    }
    let progress = &mut area.neighbor_mut(id)?.exchange;
    progress.received = Some(Received::from(description));
    let has_told_all = progress.sent.as_ref().is_some_and(|sent| !sent.more);
    let is_done = if progress.is_master && has_told_all && !description.more {
        true
    } else {
        progress.sequence =
            if progress.is_master { progress.sequence.wrapping_add(1) } else { description.sequence };
        let is_last = exchange::describe(area, id, cx);
        is_last && !description.more && !area.neighbor_mut(id)?.exchange.is_master
    };
    if is_done {
        events::handle_input(area, id, NeighborInput::ExchangeDone, cx);
    }
    Ok(())
}

/// Puts what the neighbor has newer on the request list, unless the list does not hold it or a header has no scope (RFC
/// 2328 section 10.6: an LSA that cannot be resets the exchange).
fn compare(area: &mut Area, id: InterfaceId, headers: &[LsaHeader], cx: &Cx<'_>) -> Result<(), Refusal> {
    let Some(neighbor) = area.interfaces.get_mut(&id).and_then(|interface| interface.neighbor.as_mut())
    else {
        return Ok(());
    };
    for header in headers {
        let domain = Domain::of(&header.key, id).ok_or(Refusal::DescriptionScope)?;
        let ours = area.lsdb.get(&LsdbKey { domain, lsa: header.key });
        if ours.is_none_or(|entry| header.is_newer_than(&entry.header(cx.now))) {
            neighbor.exchange.requests.insert(header.key, *header);
        }
    }
    if neighbor.exchange.requests.len() <= cx.config.limits.lsas {
        Ok(())
    } else {
        Err(Refusal::RequestsFull)
    }
}
