//! What can be done to link devices, each with its inverse.

use std::net::SocketAddr;

use crate::link::{Link, LinkName};
use crate::wireguard::{Peer, PublicKey};

/// One step from the seen devices towards the wanted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkChange {
    /// Create a device with everything it has.
    Create(Link),
    /// Remove a device; the value is what it was, for the inverse.
    Remove(Link),
    /// Change a device in place, touching only what differs. Never used where only a new device will do (another
    /// VNI, local address or underlay): `diff` then gives Remove and Create.
    Alter {
        /// What it was.
        from: Link,
        /// What it shall be. Peers that are equal in both are not touched.
        to: Link,
    },
    /// Send to a peer at another address; not a difference of state but an act (a name resolved anew).
    SetEndpoint {
        /// The WireGuard device.
        device: LinkName,
        /// The peer.
        peer: PublicKey,
        /// What the peer was, for an embedded device that must replace it whole.
        value: Peer,
        /// Where to send.
        endpoint: SocketAddr,
    },
}
