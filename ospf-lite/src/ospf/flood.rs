//! Flooding: LSAs taken in, acknowledged and passed on (RFC 2328 section 13, RFC 5340 section 4.5).

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::InterfaceId;
use crate::ospf::area::Area;
use crate::ospf::grace;
use crate::ospf::install;
use crate::ospf::interface::Interface;
use crate::ospf::lsa::{LsType, LsaHeader, MAX_AGE, SequenceNumber};
use crate::ospf::lsdb::{Domain, Lsdb, LsdbKey, MIN_LS_ARRIVAL, Source};
use crate::ospf::mesh;
use crate::ospf::neighbor::{Neighbor, NeighborInput, events, exchange};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{AgedLsa, LinkStateUpdate, PacketBody};
use crate::ospf::refusal::Refusal;
use crate::time::Instant;
use crate::timer::TimerKey;
use crate::wire::{DecodeError, size};

/// How far apart flooded Updates are at least, per interface: what arrives meanwhile shares the next one.
pub const FLOOD_GAP: Duration = Duration::from_millis(10);
/// How many Updates are flooded at most at one time. The rest waits for [`FLOOD_GAP`].
pub const FLOOD_BURST_MAX: usize = 64;
/// Longest delay before an acknowledgment. It is also kept to a fifth of RxmtInterval, or neighbors would retransmit
/// for nothing (RFC 2328 section 13.5).
pub const ACKNOWLEDGE_DELAY_MAX: Duration = Duration::from_secs(1);

/// When a Grace-LSA is sent for the second time.
const GRACE_AGAIN: Duration = Duration::from_millis(100);

/// What became of a received LSA.
enum Verdict {
    /// Go on with the next.
    Next,
    /// Refused, go on with the next.
    Refused(Refusal),
    /// The exchange with the neighbor is in error (BadLSReq): the rest of the packet does not count.
    Stop,
}

/// Takes in a Link State Update (RFC 2328 section 13).
pub fn handle_link_state_update(
    area: &mut Area,
    id: InterfaceId,
    update: LinkStateUpdate,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    let interface = area.interfaces.get_mut(&id).ok_or(Refusal::InterfaceNotActive)?;
    let neighbor = interface.neighbor.as_ref();
    let takes_all = neighbor.is_some_and(|neighbor| neighbor.state.takes_flooding());
    // One that is helped may say for how long; of everything else it hears in the exchange that it begins.
    if !takes_all && neighbor.is_none_or(|neighbor| neighbor.help.is_none()) {
        return Err(Refusal::NeighborState);
    }
    for error in &update.refused {
        interface.refusals.count(match error {
            DecodeError::Checksum { .. } => Refusal::LsaChecksum,
            DecodeError::Truncated { .. } | DecodeError::Field { .. } | DecodeError::Length { .. } => {
                Refusal::LsaMalformed
            }
        });
    }
    for aged in update.lsas {
        if !takes_all && aged.lsa.header().key.ls_type != LsType::GRACE {
            continue;
        }
        match handle_lsa(area, id, aged, cx) {
            Verdict::Next => {}
            Verdict::Refused(refusal) => count_refused(area, id, refusal),
            Verdict::Stop => {
                events::handle_input(area, id, NeighborInput::BadLsReq, cx);
                return Err(Refusal::BadAnswer);
            }
        }
    }
    Ok(())
}

/// Counts an LSA that was refused; of the first of its kind the log tells, unless that is ordinary.
fn count_refused(area: &mut Area, id: InterfaceId, refusal: Refusal) {
    if let Some(interface) = area.interfaces.get_mut(&id)
        && interface.refusals.count(refusal)
        && !refusal.is_ordinary()
    {
        tracing::warn!(interface = %interface.config.name, %refusal, "refuse LSAs from here on");
    }
}

/// Judges one LSA; the numbers are the steps of RFC 2328 section 13.
fn handle_lsa(area: &mut Area, id: InterfaceId, aged: AgedLsa, cx: &mut Cx<'_>) -> Verdict {
    let header = LsaHeader { age: aged.age, ..aged.lsa.header() };
    // 2 and 3, as RFC 5340 section 4.5.1 has them.
    let Some(domain) = Domain::of(&header.key, id) else {
        return Verdict::Refused(Refusal::LsaScope);
    };
    if header.sequence == SequenceNumber::RESERVED {
        return Verdict::Refused(Refusal::LsaSequence);
    }
    let key = LsdbKey { domain, lsa: header.key };
    let entry = area.lsdb.get(&key);
    // 4.
    if header.age >= MAX_AGE && entry.is_none() && !area.is_synchronizing() {
        acknowledge_directly(area, id, header);
        return Verdict::Next;
    }
    let is_requested = area
        .interfaces
        .get(&id)
        .and_then(|interface| interface.neighbor.as_ref())
        .is_some_and(|neighbor| neighbor.requests(&header.key));
    let order = entry.map_or(Ordering::Greater, |entry| header.compare_recency(&entry.header(cx.now)));
    match order {
        // 5a. An answer to a request is no flooding, and neither counts as too soon nor makes the next one so.
        Ordering::Greater if !is_requested && entry.is_some_and(|entry| entry.is_too_soon(cx.now)) => {
            Verdict::Refused(Refusal::LsaTooSoon)
        }
        Ordering::Greater => {
            if let Err(refusal) = area.lsdb.check_room(&key, aged.lsa.octets().len(), &cx.config.limits) {
                // Asked for again and again, it would keep the adjacency from becoming Full.
                if let Ok(neighbor) = area.neighbor_mut(id) {
                    neighbor.exchange.satisfy(&header);
                }
                return Verdict::Refused(refusal);
            }
            let source = if is_requested { Source::Requested } else { Source::Flooded };
            take(area, id, (key, aged, source), cx);
            Verdict::Next
        }
        // 6.
        Ordering::Equal | Ordering::Less if is_requested => take_answer(area, id, header),
        // 7.
        Ordering::Equal => {
            if !take_off_list(area, id, &key) {
                acknowledge_directly(area, id, header);
            }
            Verdict::Next
        }
        // 8.
        Ordering::Less => {
            send_back(area, id, key, cx);
            Verdict::Next
        }
    }
}

/// Step 6: an answer no newer than the own copy is an error, unless it is what was asked for. Where only the ages tell
/// copies apart (section 13.1), the answer has aged by InfTransDelay and can be equal; an exchange begun again for that
/// would come to the same, without end.
fn take_answer(area: &mut Area, id: InterfaceId, header: LsaHeader) -> Verdict {
    let neighbor = area.interfaces.get_mut(&id).and_then(|interface| interface.neighbor.as_mut());
    let order = neighbor.and_then(|neighbor| neighbor.exchange.satisfy(&header));
    if order.is_none_or(Ordering::is_lt) {
        return Verdict::Stop;
    }
    acknowledge_directly(area, id, header);
    Verdict::Next
}

/// Step 5b to 5f: installs a newer instance, passes it on and acknowledges it.
fn take(area: &mut Area, id: InterfaceId, (key, aged, source): (LsdbKey, AgedLsa, Source), cx: &mut Cx<'_>) {
    let AgedLsa { lsa, age } = aged;
    let header = LsaHeader { age, ..lsa.header() };
    install::install(area, key, (lsa, age, source), cx);
    flood(area, &key, Some(id), cx);
    if key.lsa.ls_type == LsType::GRACE {
        grace::handle_grace_lsa(area, &key, cx);
        acknowledge_directly(area, id, header);
    } else {
        acknowledge_later(area, id, header, cx);
    }
    if key.lsa.advertising_router == cx.config.router_id {
        // 13.4: an own LSA, from an earlier life perhaps; origination decides what to do about it.
        area.due.origination = true;
    }
}

/// Passes the installed instance on to all but the neighbor that it came from (RFC 2328 section 13.3); the Updates go
/// out with [`send_due`]. Returns whether anybody gets it.
pub fn flood(area: &mut Area, key: &LsdbKey, from: Option<InterfaceId>, cx: &mut Cx<'_>) -> bool {
    let served = match key.domain {
        Domain::Link(_) => BTreeSet::new(),
        Domain::Area | Domain::As => mesh::served(area, from),
    };
    let Area { interfaces, lsdb, due, .. } = area;
    let Some(entry) = lsdb.get(key) else {
        return false;
    };
    let (header, is_news) = (entry.header(cx.now), entry.is_change() && key.lsa.ls_type.is_topology());
    let mut is_passed_on = false;
    for interface in interfaces.values_mut() {
        let is_in_domain = match key.domain {
            Domain::Link(id) => interface.config.id == id,
            Domain::Area | Domain::As => true,
        };
        if from == Some(interface.config.id) {
            if let Some(neighbor) = interface.neighbor.as_mut() {
                neighbor.exchange.satisfy(&header);
            }
            continue;
        }
        if !is_in_domain {
            continue;
        }
        let neighbor = interface.neighbor.as_ref().map(|neighbor| neighbor.router_id);
        if neighbor.is_some_and(|neighbor| served.contains(&neighbor)) {
            is_passed_on |= withhold(interface, (key, &header, is_news), cx);
        } else if flood_over(interface, (key, &header, is_news), cx) {
            is_passed_on = true;
            due.sending.insert(interface.config.id);
        }
    }
    is_passed_on
}

/// Steps 1a to 1d for the one neighbor of an interface; the caller has seen to it that the LSA did not come from there.
fn flood_over(
    interface: &mut Interface,
    (key, header, is_news): (&LsdbKey, &LsaHeader, bool),
    cx: &mut Cx<'_>,
) -> bool {
    let Some(interval) = interface.link().map(|link| link.rxmt_interval) else {
        return false;
    };
    // The second copy is acknowledged at once, and who asks for grace has no time to lose.
    let is_grace = key.lsa.ls_type == LsType::GRACE;
    let interval = if is_grace { GRACE_AGAIN } else { interval };
    let again = |neighbor: &Neighbor| exchange::first_retransmission(&neighbor.exchange, interval, cx.now);
    let again = interface.neighbor.as_ref().map_or(cx.now, again);
    let is_listed = list(interface, (key, header, is_news), again, cx);
    if is_listed {
        interface.flooding.insert(*key);
    }
    is_listed
}

/// Lets a neighbor that gets the LSA from elsewhere know that it is here, and sends it only if the neighbor does not.
fn withhold(
    interface: &mut Interface,
    (key, header, is_news): (&LsdbKey, &LsaHeader, bool),
    cx: &mut Cx<'_>,
) -> bool {
    let again = cx.now + mesh::WITHHOLD;
    let is_listed = list(interface, (key, header, is_news), again, cx);
    if is_listed {
        if let Some(neighbor) = interface.neighbor.as_mut() {
            neighbor.withheld.insert(*key);
        }
        interface.delayed_acknowledgments.insert(header.key, *header);
        cx.timers.arm_no_later(TimerKey::Acknowledge(interface.config.id), cx.now + mesh::TELL_DELAY);
    }
    is_listed
}

/// Puts the LSA on the neighbor's retransmission list, due at `again`; returns whether the neighbor is to get it at all.
fn list(
    interface: &mut Interface,
    (key, header, is_news): (&LsdbKey, &LsaHeader, bool),
    again: Instant,
    cx: &mut Cx<'_>,
) -> bool {
    let id = interface.config.id;
    let Some(neighbor) = interface.neighbor.as_mut().filter(|neighbor| neighbor.state.takes_flooding())
    else {
        return false;
    };
    if matches!(neighbor.exchange.satisfy(header), Some(Ordering::Less | Ordering::Equal)) {
        return false;
    }
    neighbor.retransmissions.insert(*key, again);
    if is_news {
        neighbor.news.insert(*key);
    }
    cx.timers.arm_no_later(TimerKey::Retransmit(id), again);
    true
}

/// Sends the acknowledgments and the flooded LSAs that an input has left to send, over the interfaces that have any: to look
/// through all of them after each input would cost a router its neighbors squared.
pub fn send_due(area: &mut Area, cx: &mut Cx<'_>) {
    for id in std::mem::take(&mut area.due.sending) {
        if let Some(interface) = area.interfaces.get_mut(&id) {
            send_flooded(interface, &area.lsdb, cx);
        }
    }
}

fn send_flooded(interface: &mut Interface, lsdb: &Lsdb, cx: &mut Cx<'_>) {
    let direct = std::mem::take(&mut interface.direct_acknowledgments);
    send_acknowledgments(interface, &direct, cx);
    if interface.flooding.is_empty() {
        return;
    }
    let id = interface.config.id;
    let allowed = interface.flooded_at.map_or(cx.now, |flooded| flooded + FLOOD_GAP);
    if allowed > cx.now {
        cx.timers.arm_no_later(TimerKey::Flood(id), allowed);
        return;
    }
    interface.flooded_at = Some(cx.now);
    let keys: Vec<LsdbKey> = interface.flooding.iter().copied().collect();
    let sent = send_update(interface, keys, (lsdb, FLOOD_BURST_MAX), cx);
    for key in &sent {
        interface.flooding.remove(key);
    }
    // What is left without having been sent has gone from the database.
    interface.flooding.retain(|key| lsdb.get(key).is_some());
    if !interface.flooding.is_empty() {
        cx.timers.arm(TimerKey::Flood(id), cx.now + FLOOD_GAP);
    }
}

/// Sends LSAs in as few Updates as the MTU allows, and at most `burst` of them; returns which were sent. Each is aged
/// by InfTransDelay (RFC 2328 section 13.3). LSAs that are not in the database are left out.
pub fn send_update(
    interface: &Interface,
    keys: Vec<LsdbKey>,
    (lsdb, burst): (&Lsdb, usize),
    cx: &mut Cx<'_>,
) -> Vec<LsdbKey> {
    let Some(link) = interface.link() else {
        return Vec::new();
    };
    // Never 0: an LSA that went round in circles would not age (RFC 5340 appendix C.3).
    let delay = u16::try_from(link.inf_trans_delay.as_secs()).unwrap_or(MAX_AGE).max(1);
    let room = size::lsas_in_update(interface.packet_body_max());
    let mut sent = Vec::with_capacity(keys.len());
    let mut lsas: Vec<AgedLsa> = Vec::new();
    let (mut octets, mut packets) = (0, 0);
    for key in keys {
        let Some(entry) = lsdb.get(&key) else {
            continue;
        };
        let length = entry.lsa().octets().len();
        if !lsas.is_empty() && octets + length > room {
            send_lsas(interface, std::mem::take(&mut lsas), cx);
            octets = 0;
            packets += 1;
            if packets == burst {
                break;
            }
        }
        octets += length;
        let age = entry.age(cx.now).saturating_add(delay).min(MAX_AGE);
        lsas.push(AgedLsa { lsa: Arc::clone(entry.lsa()), age });
        sent.push(key);
    }
    if !lsas.is_empty() {
        send_lsas(interface, lsas, cx);
    }
    sent
}

fn send_lsas(interface: &Interface, lsas: Vec<AgedLsa>, cx: &mut Cx<'_>) {
    interface.send(PacketBody::LinkStateUpdate(LinkStateUpdate { lsas, refused: Vec::new() }), cx);
}

/// Step 8: the neighbor has an older instance; it gets ours, unless it got it within MinLSArrival. An LSA whose
/// sequence numbers are used up is being flushed, and says nothing.
fn send_back(area: &mut Area, id: InterfaceId, key: LsdbKey, cx: &mut Cx<'_>) {
    let Area { interfaces, lsdb, .. } = area;
    let Some(entry) = lsdb.get(&key) else {
        return;
    };
    if entry.is_flushed() && entry.lsa().header().sequence == SequenceNumber::MAX {
        return;
    }
    if lsdb.send_back(&key, cx.now, MIN_LS_ARRIVAL)
        && let Some(interface) = interfaces.get(&id)
    {
        send_update(interface, vec![key], (lsdb, 1), cx);
    }
}

/// Takes in a Link State Acknowledgment (RFC 2328 section 13.7).
pub fn handle_link_state_acknowledgment(
    area: &mut Area,
    id: InterfaceId,
    headers: &[LsaHeader],
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    let Area { interfaces, lsdb, .. } = area;
    let interface = interfaces.get_mut(&id).ok_or(Refusal::InterfaceNotActive)?;
    let Some(neighbor) = interface.neighbor.as_mut().filter(|neighbor| neighbor.state.takes_flooding())
    else {
        return Err(Refusal::NeighborState);
    };
    for header in headers {
        let Some(domain) = Domain::of(&header.key, id) else {
            continue;
        };
        let key = LsdbKey { domain, lsa: header.key };
        let is_same =
            lsdb.get(&key).is_some_and(|entry| header.compare_recency(&entry.header(cx.now)).is_eq());
        if is_same {
            neighbor.retransmissions.remove(&key);
            neighbor.withheld.remove(&key);
            neighbor.news.remove(&key);
            interface.flooding.remove(&key);
        } else {
            interface.refusals.count(Refusal::AcknowledgmentMismatch);
        }
    }
    if neighbor.retransmissions.is_empty() {
        exchange::arm(interface, cx);
    }
    Ok(())
}

/// Takes an LSA off the list of the neighbor that has just sent the same instance: that is an acknowledgment too.
/// Returns whether the neighbor has one from us as well: it has if this router's copy is on its way, not if that still
/// waits to be sent.
fn take_off_list(area: &mut Area, id: InterfaceId, key: &LsdbKey) -> bool {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return false;
    };
    let is_unsent = interface.flooding.remove(key);
    let is_unsent =
        is_unsent | interface.neighbor.as_mut().is_some_and(|neighbor| neighbor.withheld.remove(key));
    let is_listed = interface.neighbor.as_mut().is_some_and(|neighbor| {
        neighbor.news.remove(key);
        neighbor.retransmissions.remove(key).is_some()
    });
    is_listed && !is_unsent
}

fn acknowledge_directly(area: &mut Area, id: InterfaceId, header: LsaHeader) {
    if let Some(interface) = area.interfaces.get_mut(&id) {
        interface.direct_acknowledgments.push(header);
        area.due.sending.insert(id);
    }
}

/// Puts an acknowledgment off so that it shares a packet with others; a full packet does not wait.
fn acknowledge_later(area: &mut Area, id: InterfaceId, header: LsaHeader, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(interval) = interface.link().map(|link| link.rxmt_interval) else {
        return;
    };
    interface.delayed_acknowledgments.insert(header.key, header);
    if interface.delayed_acknowledgments.len() >= size::headers_in_acknowledgment(interface.packet_body_max())
    {
        handle_acknowledge_timeout(area, id, cx);
    } else if cx.timers.deadline(TimerKey::Acknowledge(id)).is_none() {
        let delay = ACKNOWLEDGE_DELAY_MAX.min(interval / 5);
        cx.timers.arm(TimerKey::Acknowledge(id), cx.now + delay);
    }
}

/// Sends the delayed acknowledgments.
pub fn handle_acknowledge_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    cx.timers.disarm(TimerKey::Acknowledge(id));
    if let Some(interface) = area.interfaces.get_mut(&id) {
        let delayed: Vec<LsaHeader> =
            std::mem::take(&mut interface.delayed_acknowledgments).into_values().collect();
        send_acknowledgments(interface, &delayed, cx);
    }
}

fn send_acknowledgments(interface: &Interface, headers: &[LsaHeader], cx: &mut Cx<'_>) {
    let room = size::headers_in_acknowledgment(interface.packet_body_max()).max(1);
    for chunk in headers.chunks(room) {
        interface.send(PacketBody::LinkStateAcknowledgment(chunk.to_vec()), cx);
    }
}
