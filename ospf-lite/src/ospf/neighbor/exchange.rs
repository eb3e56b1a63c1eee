//! The exchange of databases with a neighbor: descriptions, requests, retransmission (RFC 2328 sections 10.6 to 10.9,
//! 13.6).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::ids::InterfaceId;
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::interface::{Interface, router_options};
use crate::ospf::lsa::{LsaHeader, LsaKey};
use crate::ospf::lsdb::{Domain, Lsdb, LsdbKey};
use crate::ospf::neighbor::{self, NeighborInput, NeighborState};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{DatabaseDescription, Options, PacketBody};
use crate::ospf::refusal::Refusal;
use crate::time::Instant;
use crate::timer::TimerKey;
use crate::wire::size;

/// How many Link State Request packets are out at most without an answer. The rest waits for the answers.
pub const REQUEST_BURST_MAX: usize = 4;
/// How many Updates with retransmitted LSAs go out at most at one time. The rest waits for the next RxmtInterval.
pub const RETRANSMIT_BURST_MAX: usize = 16;
/// How far apart two runs of the retransmission timer are at least.
const RETRANSMIT_GAP: Duration = Duration::from_millis(50);

/// What tells a repeated Database Description from the next (RFC 2328 section 10.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Received {
    init: bool,
    more: bool,
    master: bool,
    options: Options,
    sequence: u32,
}

impl From<&DatabaseDescription> for Received {
    fn from(description: &DatabaseDescription) -> Self {
        let DatabaseDescription { init, more, master, options, sequence, .. } = *description;
        Self { init, more, master, options, sequence }
    }
}

/// How far the two databases have been compared.
#[derive(Debug)]
pub struct Exchange {
    /// Whether this router leads the exchange.
    is_master: bool,
    /// DD sequence number.
    sequence: u32,
    /// The last Database Description from the neighbor.
    received: Option<Received>,
    /// The last Database Description to the neighbor, kept to be repeated.
    sent: Option<DatabaseDescription>,
    sent_at: Instant,
    /// Database summary list: what is still to be described.
    summary: VecDeque<LsdbKey>,
    /// Link state request list: what the neighbor has that is newer.
    pub requests: BTreeMap<LsaKey, LsaHeader>,
    /// Those that have been asked for.
    requested: BTreeSet<LsaKey>,
    requested_at: Instant,
}

impl Exchange {
    /// Makes one that has not begun.
    pub const fn new() -> Self {
        Self {
            is_master: false,
            sequence: 0,
            received: None,
            sent: None,
            sent_at: Instant::ORIGIN,
            summary: VecDeque::new(),
            requests: BTreeMap::new(),
            requested: BTreeSet::new(),
            requested_at: Instant::ORIGIN,
        }
    }

    /// Takes an LSA off the request list if `header` is at least as recent as what was to be asked for; returns
    /// whether it was more recent, or nothing when the LSA is not on the list (RFC 2328 section 13.3, step 1b).
    pub fn satisfy(&mut self, header: &LsaHeader) -> Option<std::cmp::Ordering> {
        let order = header.compare_recency(self.requests.get(&header.key)?);
        if order.is_ge() {
            self.requests.remove(&header.key);
            self.requested.remove(&header.key);
        }
        Some(order)
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

/// Forgets what was exchanged: the neighbor has left the exchange or begins it again.
pub fn forget(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    cx.timers.disarm(TimerKey::Retransmit(id));
    cx.timers.disarm(TimerKey::Flood(id));
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    interface.flooding.clear();
    if let Some(neighbor) = interface.neighbor.as_mut() {
        neighbor.retransmissions.clear();
        neighbor.exchange = Exchange { sequence: neighbor.exchange.sequence, ..Exchange::new() };
    }
}

/// Begins the exchange: both claim to lead it, the higher Router ID will (RFC 2328 section 10.8).
pub fn start(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let options = router_options(cx.config.family, area.is_settled());
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let options = interface.options(options);
    let Some((neighbor, interface_mtu)) = interface.neighbor.as_mut().zip(mtu(&interface.config)) else {
        return;
    };
    let exchange = &mut neighbor.exchange;
    exchange.sequence = match exchange.sequence {
        // A sequence that no earlier life of this router is likely to have used.
        0 => u32::try_from(cx.random.bits() >> 33).unwrap_or(1).max(1),
        last => last.wrapping_add(1),
    };
    exchange.is_master = true;
    exchange.sent = Some(DatabaseDescription {
        options,
        interface_mtu,
        init: true,
        more: true,
        master: true,
        sequence: exchange.sequence,
        headers: Vec::new(),
    });
    send_description(interface, cx);
}

/// Fills the Database summary list. What is being flushed is not described but flooded (RFC 2328 section 10.3,
/// NegotiationDone).
pub fn summarize(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return;
    };
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    for domain in [Domain::Link(id), Domain::Area, Domain::As] {
        for (key, entry) in area.lsdb.domain(domain) {
            if entry.is_flushed() {
                neighbor.retransmissions.insert(*key, cx.now);
                interface.flooding.insert(*key);
            } else {
                neighbor.exchange.summary.push_back(*key);
            }
        }
    }
}

/// Takes in a Database Description (RFC 2328 section 10.6).
pub fn handle_database_description(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    check_mtu(area, id, description)?;
    if state(area, id) == NeighborState::Init {
        neighbor::handle_input(area, id, NeighborInput::TwoWayReceived, cx);
    }
    match state(area, id) {
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
    let ours = mtu(&interface.config);
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
    let neighbor = neighbor_of(area, id)?;
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
        return Ok(());
    }
    neighbor::handle_input(area, id, NeighborInput::NegotiationDone, cx);
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
    let exchange = &neighbor_of(area, id)?.exchange;
    let expected = if exchange.is_master { exchange.sequence } else { exchange.sequence.wrapping_add(1) };
    let has_changed = exchange.received.is_some_and(|last| last.options != description.options);
    let is_next = description.sequence == expected
        && description.master != exchange.is_master
        && !description.init
        && !has_changed;
    if is_next { advance(area, id, description, cx) } else { restart(area, id, cx) }
}

/// Loading and Full: the neighbor may have missed our last description; anything else is out of sequence.
fn repeat_or_restart(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    if repeat_if_duplicate(area, id, description, cx)? { Ok(()) } else { restart(area, id, cx) }
}

/// Returns whether the description is the last one again; the one that follows then repeats its answer.
fn repeat_if_duplicate(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<bool, Refusal> {
    let exchange = &neighbor_of(area, id)?.exchange;
    let is_duplicate = exchange.received == Some(Received::from(description));
    if is_duplicate
        && !exchange.is_master
        && let Some(interface) = area.interfaces.get_mut(&id)
    {
        send_description(interface, cx);
    }
    Ok(is_duplicate)
}

fn restart(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) -> Result<(), Refusal> {
    neighbor::handle_input(area, id, NeighborInput::SeqNumberMismatch, cx);
    Err(Refusal::SequenceMismatch)
}

/// Takes an accepted description: what it lists, then our answer or our next.
fn advance(
    area: &mut Area,
    id: InterfaceId,
    description: &DatabaseDescription,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    if !compare(area, id, &description.headers, cx) {
        return restart(area, id, cx);
    }
    let exchange = &mut neighbor_of(area, id)?.exchange;
    exchange.received = Some(Received::from(description));
    let has_told_all = exchange.sent.as_ref().is_some_and(|sent| !sent.more);
    let is_done = if exchange.is_master && has_told_all && !description.more {
        true
    } else {
        exchange.sequence =
            if exchange.is_master { exchange.sequence.wrapping_add(1) } else { description.sequence };
        let is_last = describe(area, id, cx);
        is_last && !description.more && !neighbor_of(area, id)?.exchange.is_master
    };
    if is_done {
        neighbor::handle_input(area, id, NeighborInput::ExchangeDone, cx);
    }
    Ok(())
}

/// Puts what the neighbor has newer on the request list; returns whether every header has a scope (RFC 2328 section
/// 10.6: an LSA that cannot be resets the exchange).
fn compare(area: &mut Area, id: InterfaceId, headers: &[LsaHeader], cx: &Cx<'_>) -> bool {
    let Some(neighbor) = area.interfaces.get_mut(&id).and_then(|interface| interface.neighbor.as_mut())
    else {
        return true;
    };
    for header in headers {
        let Some(domain) = Domain::of(&header.key, id) else {
            return false;
        };
        let ours = area.lsdb.get(&LsdbKey { domain, lsa: header.key });
        if ours.is_none_or(|entry| header.is_newer_than(&entry.header(cx.now))) {
            neighbor.exchange.requests.insert(header.key, *header);
        }
    }
    true
}

/// Sends the next description; returns whether it is the last.
fn describe(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) -> bool {
    let Some(interface) = area.interfaces.get_mut(&id) else {
        return true;
    };
    let room = size::headers_in_description(interface.packet_body_max()).max(1);
    let Some((neighbor, interface_mtu)) = interface.neighbor.as_mut().zip(mtu(&interface.config)) else {
        return true;
    };
    let exchange = &mut neighbor.exchange;
    let headers = take_summary(&mut exchange.summary, room, &area.lsdb, cx.now);
    let more = !exchange.summary.is_empty();
    // The Options stay those of the first description: a change in the middle would reset the exchange.
    let options = exchange.sent.as_ref().map_or(Options::default(), |sent| sent.options);
    exchange.sent = Some(DatabaseDescription {
        options,
        interface_mtu,
        init: false,
        more,
        master: exchange.is_master,
        sequence: exchange.sequence,
        headers,
    });
    send_description(interface, cx);
    !more
}

/// Takes up to `room` headers off the list, leaving out what has gone or is being flushed meanwhile.
fn take_summary(summary: &mut VecDeque<LsdbKey>, room: usize, lsdb: &Lsdb, now: Instant) -> Vec<LsaHeader> {
    let mut headers = Vec::with_capacity(room.min(summary.len()));
    while headers.len() < room
        && let Some(key) = summary.pop_front()
    {
        headers.extend(lsdb.get(&key).filter(|entry| !entry.is_flushed()).map(|entry| entry.header(now)));
    }
    headers
}

fn send_description(interface: &mut Interface, cx: &mut Cx<'_>) {
    let Some(neighbor) = interface.neighbor.as_mut() else {
        return;
    };
    let Some(description) = neighbor.exchange.sent.clone() else {
        return;
    };
    neighbor.exchange.sent_at = cx.now;
    interface.send(PacketBody::DatabaseDescription(description), cx);
    arm(interface, cx);
}

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
    let exchange = &mut neighbor.exchange;
    if exchange.requests.is_empty() {
        neighbor::handle_input(area, id, NeighborInput::LoadingDone, cx);
        return;
    }
    if !exchange.requested.is_empty() {
        return;
    }
    let keys: Vec<LsaKey> =
        exchange.requests.keys().take(room.saturating_mul(REQUEST_BURST_MAX)).copied().collect();
    exchange.requested.extend(&keys);
    exchange.requested_at = cx.now;
    for chunk in keys.chunks(room) {
        interface.send(PacketBody::LinkStateRequest(chunk.to_vec()), cx);
    }
    arm(interface, cx);
}

/// Goes on asking, or ends Loading, wherever an LSA has come in, from whomever.
pub fn handle_progress(area: &mut Area, cx: &mut Cx<'_>) {
    let is_synchronizing = |interface: &Interface| {
        interface.neighbor.as_ref().is_some_and(|neighbor| neighbor.state.is_synchronizing())
    };
    let ids: Vec<InterfaceId> = area
        .interfaces
        .iter()
        .filter(|(_, interface)| is_synchronizing(interface))
        .map(|(id, _)| *id)
        .collect();
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
    if !state(area, id).takes_flooding() {
        return Err(Refusal::NeighborState);
    }
    let wanted: Option<Vec<LsdbKey>> = keys
        .iter()
        .map(|key| Some(LsdbKey { domain: Domain::of(key, id)?, lsa: *key }))
        .map(|key| key.filter(|key| area.lsdb.get(key).is_some()))
        .collect();
    let Some(wanted) = wanted else {
        neighbor::handle_input(area, id, NeighborInput::BadLsReq, cx);
        return Err(Refusal::BadRequest);
    };
    if let Some(interface) = area.interfaces.get(&id) {
        flood::send_update(interface, wanted, (&area.lsdb, usize::MAX), cx);
    }
    Ok(())
}

/// Repeats what the neighbor has not answered within RxmtInterval: the description, the requests, the LSAs.
pub fn handle_retransmit_timeout(area: &mut Area, id: InterfaceId, cx: &mut Cx<'_>) {
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
    let repeats_description = awaits_description(neighbor.state, exchange) && is_due(exchange.sent_at);
    let repeats_requests = !exchange.requested.is_empty() && is_due(exchange.requested_at);
    if repeats_requests {
        exchange.requested.clear();
    }
    let late: Vec<LsdbKey> =
        neighbor.retransmissions.iter().filter(|(_, sent)| is_due(**sent)).map(|(key, _)| *key).collect();
    let sent = flood::send_update(interface, late, (&area.lsdb, RETRANSMIT_BURST_MAX), cx);
    if let Some(neighbor) = interface.neighbor.as_mut() {
        for key in sent {
            neighbor.retransmissions.insert(key, cx.now);
        }
    }
    if repeats_description {
        send_description(interface, cx);
    }
    arm(interface, cx);
}

/// Arms the retransmission timer for the first thing that will be late, if anything is out.
pub fn arm(interface: &Interface, cx: &mut Cx<'_>) {
    let id = interface.config.id;
    let Some((link, neighbor)) = interface.link().zip(interface.neighbor.as_ref()) else {
        return;
    };
    let exchange = &neighbor.exchange;
    let description = awaits_description(neighbor.state, exchange).then_some(exchange.sent_at);
    let requests = (!exchange.requested.is_empty()).then_some(exchange.requested_at);
    let lsas = neighbor.retransmissions.values().min().copied();
    match description.into_iter().chain(requests).chain(lsas).min() {
        Some(first) => {
            let at = (first + link.rxmt_interval).max(cx.now + RETRANSMIT_GAP);
            cx.timers.arm(TimerKey::Retransmit(id), at);
        }
        None => cx.timers.disarm(TimerKey::Retransmit(id)),
    }
}

/// Returns whether it is this router's turn to repeat its description: in ExStart both do, then the one that leads.
fn awaits_description(state: NeighborState, exchange: &Exchange) -> bool {
    match state {
        NeighborState::ExStart => true,
        NeighborState::Exchange => exchange.is_master,
        _ => false,
    }
}

fn state(area: &Area, id: InterfaceId) -> NeighborState {
    area.interfaces
        .get(&id)
        .and_then(|interface| interface.neighbor.as_ref())
        .map_or(NeighborState::Down, |neighbor| neighbor.state)
}

fn neighbor_of(area: &mut Area, id: InterfaceId) -> Result<&mut neighbor::Neighbor, Refusal> {
    area.interfaces
        .get_mut(&id)
        .and_then(|interface| interface.neighbor.as_mut())
        .ok_or(Refusal::UnknownNeighbor)
}

fn mtu(config: &crate::config::InterfaceConfig) -> Option<u16> {
    match &config.kind {
        crate::config::InterfaceKind::PointToPoint(link) => Some(link.mtu),
        crate::config::InterfaceKind::Stub => None,
    }
}
