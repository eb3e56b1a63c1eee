//! The act of telling a WireGuard device where to call a peer.

use std::net::SocketAddr;

use vxlan::change::LinkChange;
use vxlan::link::{LinkKind, LinkName};
use vxlan::wireguard::PublicKey;

use crate::state::State;

/// Returns the change that sets a peer's endpoint, or nothing when the device does not know the peer.
pub fn set_endpoint(
    known: &State,
    device: &LinkName,
    peer: &PublicKey,
    endpoint: SocketAddr,
) -> Option<LinkChange> {
    let LinkKind::WireGuard(wg) = &known.links.get(device)?.kind else { return None };
    let value = wg.peers.get(peer)?.clone();
    Some(LinkChange::SetEndpoint { device: device.clone(), peer: *peer, value: Box::new(value), endpoint })
}
