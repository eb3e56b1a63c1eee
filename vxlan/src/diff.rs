//! The wanted links against the seen ones: the changes that lead from these to those.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::LinkChange;
use crate::link::{Link, LinkKind, LinkName};

/// Returns the changes that make `observed` into `desired`, in the order to apply them: removals with each VXLAN
/// device before the WireGuard device under it, then devices changed in place, then new ones from the bottom up.
///
/// What is equal is not touched. Where a peer is seen at another endpoint than wanted, that is no difference, for peers
/// roam; a wanted endpoint counts where the device knows none. A wanted port of 0 is any port. A change in place keeps
/// the endpoints seen, and such a port.
pub fn diff(observed: &BTreeMap<LinkName, Link>, desired: &BTreeMap<LinkName, Link>) -> Vec<LinkChange> {
    let fresh = fresh(observed, desired);
    let mut removals: Vec<_> = observed
        .values()
        .filter(|link| fresh.contains(&link.name) || !desired.contains_key(&link.name))
        .collect();
    removals.sort_by_key(|link| std::cmp::Reverse(layer(link)));

    let mut alterations: Vec<_> = desired
        .values()
        .filter(|link| !fresh.contains(&link.name))
        .filter_map(|link| observed.get(&link.name).map(|seen| (seen, keeping_what_is_open(seen, link))))
        .filter(|(seen, wanted)| *seen != wanted)
        .collect();
    alterations.sort_by_key(|(seen, wanted)| turn(seen, wanted));

    let mut creations: Vec<_> = desired.values().filter(|link| fresh.contains(&link.name)).collect();
    creations.sort_by_key(|link| layer(link));

    let removals = removals.into_iter().cloned().map(LinkChange::Remove);
    let alterations = alterations
        .into_iter()
        .map(|(seen, wanted)| LinkChange::Alter { from: Box::new(seen.clone()), to: Box::new(wanted) });
    let creations = creations.into_iter().cloned().map(LinkChange::Create);
    removals.chain(alterations).chain(creations).collect()
}

/// Returns the wanted devices that must be made: those not there, those that cannot be altered into what is wanted,
/// and those on top of one that is made, for the kernel binds them to the device and not to its name.
fn fresh<'a>(
    observed: &BTreeMap<LinkName, Link>,
    desired: &'a BTreeMap<LinkName, Link>,
) -> BTreeSet<&'a LinkName> {
    let is_alterable = |link: &Link| observed.get(&link.name).is_some_and(|seen| can_become(seen, link));
    let mut fresh: BTreeSet<_> =
        desired.values().filter(|link| !is_alterable(link)).map(|link| &link.name).collect();
    loop {
        let on_top: Vec<_> = desired
            .values()
            .filter(|link| link.vxlan().is_some_and(|vxlan| fresh.contains(&vxlan.underlay)))
            .map(|link| &link.name)
            .filter(|name| !fresh.contains(name))
            .collect();
        if on_top.is_empty() {
            return fresh;
        }
        fresh.extend(on_top);
    }
}

/// Returns whether the live device can be changed into the wanted one.
fn can_become(seen: &Link, wanted: &Link) -> bool {
    match (&seen.kind, &wanted.kind) {
        (LinkKind::WireGuard(_), LinkKind::WireGuard(_)) => true,
        (LinkKind::Vxlan(seen), LinkKind::Vxlan(wanted)) => {
            (seen.vni, seen.local, seen.port, &seen.underlay)
                == (wanted.vni, wanted.local, wanted.port, &wanted.underlay)
        }
        (LinkKind::WireGuard(_), LinkKind::Vxlan(_)) | (LinkKind::Vxlan(_), LinkKind::WireGuard(_)) => false,
    }
}

/// Returns the wanted link with what it leaves open as it is seen: where each peer is, which port is any.
fn keeping_what_is_open(seen: &Link, wanted: &Link) -> Link {
    let mut link = wanted.clone();
    if let (Some(seen), LinkKind::WireGuard(wireguard)) = (seen.wireguard(), &mut link.kind) {
        if wireguard.listen_port == 0 {
            wireguard.listen_port = seen.listen_port;
        }
        for (key, peer) in &mut wireguard.peers {
            let at = seen.peers.get(key).and_then(|seen| seen.endpoint);
            peer.endpoint = at.or(peer.endpoint);
        }
    }
    link
}

/// Returns when a device is changed: no device may have a larger MTU than fits the one below it, so that one grows first
/// and shrinks last. The inverses, made backwards, keep to that as well.
fn turn(seen: &Link, wanted: &Link) -> u8 {
    match wanted.kind {
        LinkKind::WireGuard(_) if wanted.mtu >= seen.mtu => 0,
        LinkKind::Vxlan(_) => 1,
        LinkKind::WireGuard(_) => 2,
    }
}

/// Returns how many devices lie below one of this kind.
fn layer(link: &Link) -> u8 {
    match link.kind {
        LinkKind::WireGuard(_) => 0,
        LinkKind::Vxlan(_) => 1,
    }
}
