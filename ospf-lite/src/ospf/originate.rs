//! Origination: wanted own LSAs against installed ones, no faster than MinLSInterval allows (RFC 2328 sections 12.4
//! and 13.4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::RouterId;
use crate::io::PrivateContent;
use crate::ospf::aging;
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::install;
use crate::ospf::lsa::{LsType, Lsa, LsaBody, RouterLink, Scope, SequenceNumber};
use crate::ospf::lsdb::{Domain, Entry, Lsdb, LsdbKey, Source};
use crate::ospf::outbox::Cx;
use crate::ospf::own::{Originations, Start, Throttle};
use crate::ospf::restart;
use crate::ospf::view::View;
use crate::ospf::wanted::{LSA_OCTETS_MAX, wanted};
use crate::time::Instant;
use crate::timer::TimerKey;
use crate::wire::size;

/// How long a router that has just started waits for its other links once it has one, before it originates its
/// Router-LSA. Neighbors keep that of its earlier life so long, and one without links would only cost MinLSArrival.
pub const SETTLE_HOLD: Duration = Duration::from_secs(1);
/// How much older than it is an LSA may look: it ages by InfTransDelay on every link.
const AGE_MARGIN: Duration = Duration::from_secs(3);
/// How many parts the owner's content may have per LSA type. More are refused.
pub const PRIVATE_PARTS_MAX: usize = 64;

/// One thing to do so that the installed own LSAs become the wanted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Originate(LsdbKey, LsaBody),
    Flush(LsdbKey),
}

impl Change {
    const fn key(&self) -> &LsdbKey {
        match self {
            Self::Originate(key, _) | Self::Flush(key) => key,
        }
    }
}

/// Takes the owner's content over, unless it is none of an unknown area-scope type with the U-bit, or too large.
pub fn handle_private(area: &mut Area, content: PrivateContent) {
    let PrivateContent { ls_type, mut parts } = content;
    let is_private =
        !ls_type.is_known() && ls_type.is_flooded_when_unknown() && ls_type.scope() == Scope::Area;
    let part_max = LSA_OCTETS_MAX - size::LSA_HEADER;
    if !is_private || parts.len() > PRIVATE_PARTS_MAX || parts.iter().any(|part| part.len() > part_max) {
        tracing::warn!(?ls_type, parts = parts.len(), "refuse private content");
        return;
    }
    for part in &mut parts {
        part.resize(part.len().next_multiple_of(4), 0);
    }
    if parts.is_empty() {
        area.originations.private.remove(&ls_type);
    } else {
        area.originations.private.insert(ls_type, parts);
    }
    area.due.origination = true;
}

/// Takes over whether other routers' traffic is to keep away from this one.
pub fn handle_stub_router(area: &mut Area, is_stub: bool) {
    if area.originations.is_stub_router != is_stub {
        tracing::info!(is_stub, "stub router");
        area.originations.is_stub_router = is_stub;
        area.due.origination = true;
        area.due.topology = true;
    }
}

/// Makes the installed own LSAs the wanted ones, as far as time allows.
pub fn update(area: &mut Area, cx: &mut Cx<'_>) {
    area.due.origination = false;
    let is_restarting = area.originations.is_restarting();
    if !area.is_settled() && !is_restarting && area.originations.start == Start::Unknown {
        area.originations.start = find_start(area, cx);
    }
    let returns = &area.originations.returns;
    let interfaces = area.interfaces.iter().filter(|(id, _)| !returns.is_quiet(**id));
    let is_told = |id| !returns.is_untold(id);
    let mut view = View::new(interfaces, is_told, cx.config, area.transit(), restart::grace(area, cx));
    view.adjacencies.retain(|id, _| !returns.holds(*id));
    let places = area.originations.places.next(&view);
    let wanted = if area.originations.leaves {
        BTreeMap::new()
    } else {
        wanted(&view, &places, &area.originations.private)
    };
    area.originations.places = places;
    area.originations.throttles.retain(|_, throttle| throttle.matters(cx.now));
    area.originations.refreshes.retain(|key| wanted.contains_key(key));
    if !area.offers_transit() && !view.adjacencies.is_empty() && area.originations.held_until.is_none() {
        area.originations.held_until = Some(cx.now + SETTLE_HOLD);
    }
    for change in diff(&wanted, &area.lsdb, &area.originations.refreshes) {
        // What an earlier life has originated stands until the restart is over (RFC 3623 section 2).
        if is_restarting && !matches!(change.key().domain, Domain::Link(_)) {
            continue;
        }
        match change {
            Change::Flush(key) => aging::flush(area, &key, cx),
            Change::Originate(key, body) => match allowed_at(area, &key) {
                Some(at) if at > cx.now => cx.timers.arm_no_later(TimerKey::Originate, at),
                Some(_) => originate(area, key, body, cx),
                None => {}
            },
        }
    }
}

/// Returns what differs: content, refreshes that are due, and installed own LSAs that are not wanted (of an earlier
/// life, perhaps).
fn diff(wanted: &BTreeMap<LsdbKey, LsaBody>, lsdb: &Lsdb, refreshes: &BTreeSet<LsdbKey>) -> Vec<Change> {
    let is_installed = |key: &LsdbKey, body: &LsaBody| {
        lsdb.get(key).is_some_and(|entry| !entry.is_flushed() && entry.lsa().body() == *body)
            && !refreshes.contains(key)
    };
    let flushes = lsdb
        .own()
        .iter()
        .filter(|key| !wanted.contains_key(key))
        .filter(|key| lsdb.get(key).is_some_and(|entry| !entry.is_flushed()))
        .map(|key| Change::Flush(*key));
    let originations = wanted
        .iter()
        .filter(|(key, body)| !is_installed(key, body))
        .map(|(key, body)| Change::Originate(*key, body.clone()));
    flushes.chain(originations).collect()
}

/// Returns when an LSA may be originated, or nothing while something else must happen first.
///
/// A router that starts waits with its Router-LSAs until it offers transit, or until it has had its first link for
/// [`SETTLE_HOLD`]. One that the others have given up does not wait: they must not take the Router-LSA of its earlier
/// life, which offers transit, for true when its links come back.
fn allowed_at(area: &Area, key: &LsdbKey) -> Option<Instant> {
    let Originations { throttles, held_until, start, .. } = &area.originations;
    if key.lsa.ls_type == LsType::GRACE {
        return Some(Instant::ORIGIN);
    }
    let throttled = throttles.get(key).map_or(Instant::ORIGIN, |throttle| throttle.allowed_at());
    let is_held = key.lsa.ls_type == LsType::ROUTER && !area.offers_transit() && *start != Start::Returning;
    if is_held { held_until.map(|until| until.max(throttled)) } else { Some(throttled) }
}

/// Finds out what the others know of this router, from the Router-LSA of its earlier life and those of the routers that
/// it had links to then. What they have said since it started proves nothing: they have heard it again.
fn find_start(area: &Area, cx: &Cx<'_>) -> Start {
    let started = area.started_at().unwrap_or(cx.now);
    let router_lsas = |router: RouterId| {
        area.lsdb
            .live_of(Domain::Area, LsType::ROUTER)
            .filter(move |(key, _)| key.lsa.advertising_router == router)
            .map(|(_, entry)| entry)
    };
    let is_before = |entry: &Entry| seconds(entry.age(cx.now)) > cx.now.since(started) + AGE_MARGIN;
    let counts_on = |router: RouterId| {
        router_lsas(router)
            .filter(|entry| is_before(entry))
            .flat_map(links)
            .any(|link| link.neighbor_router_id == cx.config.router_id)
    };
    let old = || router_lsas(cx.config.router_id).filter(|entry| entry.source() != Source::Originated);
    let mut neighbors = area.interfaces.values().filter_map(|interface| interface.neighbor.as_ref());
    if old().flat_map(links).any(|link| counts_on(link.neighbor_router_id)) {
        Start::Resuming
    } else if old().next().is_some()
        && neighbors.any(|neighbor| router_lsas(neighbor.router_id).next().is_some())
    {
        Start::Returning
    } else {
        Start::Unknown
    }
}

fn links(entry: &Entry) -> impl Iterator<Item = RouterLink> + use<'_> {
    entry.lsa().links()
}

/// Takes in that the routes have been put to use: the router offers itself for transit once the first database is in. One
/// that the others had given up does when it is said after that: the routes of its earlier life are too old.
pub fn handle_installed(area: &mut Area) {
    area.originations.is_installed = true;
    if area.is_settled() {
        area.originations.start = Start::Unknown;
    }
    area.due.origination = true;
}

/// Originates the next instance. When the sequence numbers are used up, the LSA is flushed first, and starts again once
/// it is gone (RFC 2328 section 12.1.6).
fn originate(area: &mut Area, key: LsdbKey, body: LsaBody, cx: &mut Cx<'_>) {
    let sequence = match area.lsdb.get(&key) {
        None if key.lsa.ls_type == LsType::GRACE => {
            Some(restart::first_sequence(cx.config.authentication_epoch))
        }
        None => Some(SequenceNumber::INITIAL),
        Some(entry) => entry.lsa().header().sequence.next(),
    };
    let Some(sequence) = sequence else {
        aging::flush(area, &key, cx);
        return;
    };
    tracing::debug!(key = ?key.lsa, sequence = sequence.0, "originate");
    area.originations.refreshes.remove(&key);
    let lsa = Arc::new(Lsa::originate(key.lsa, sequence, 0, body));
    install::install(area, key, (lsa, 0, Source::Originated), cx);
    if flood::flood(area, &key, None, cx) {
        // Only what others have to take in counts.
        let old = area.originations.throttles.get(&key).copied();
        area.originations.throttles.insert(key, Throttle::after(old, cx.now, !area.offers_transit()));
    }
}

fn seconds(age: u16) -> Duration {
    Duration::from_secs(u64::from(age))
}
