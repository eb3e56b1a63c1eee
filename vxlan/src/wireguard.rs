//! A WireGuard device and its peers as values.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

pub use crate::key::{KeyError, PresharedKey, PrivateKey, PublicKey, RandomnessError};

/// The alias of our WireGuard device, by which it is known.
pub const WIREGUARD_ALIAS: &str = "dlan";

/// What makes a WireGuard device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireGuardLink {
    /// The device's secret key.
    pub private_key: PrivateKey,
    /// The UDP port it listens on; a wanted one of 0 is any.
    pub listen_port: u16,
    /// The mark of its outer packets; 0 means none.
    pub fwmark: u32,
    /// Who may speak to it, by public key.
    pub peers: BTreeMap<PublicKey, Peer>,
}

/// One peer of a WireGuard device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where to send first. A peer that roams is seen elsewhere: the difference alone is no drift (see `diff`).
    pub endpoint: Option<SocketAddr>,
    /// The pre-shared key, if any.
    pub preshared_key: Option<PresharedKey>,
    /// Seconds between keepalives, at least 1; `None` sends none.
    pub keepalive: Option<u16>,
    /// The prefixes the peer may use as source, and that are sent to it; without host bits.
    pub allowed_ips: BTreeSet<IpNet>,
}

/// What a device knows of a peer at this moment; no part of any wanted state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerStatus {
    /// Where packets to the peer go: configured, or learnt from what it sent.
    pub endpoint: Option<SocketAddr>,
    /// How long ago the last handshake was completed; `None` means never.
    pub handshake_age: Option<Duration>,
    /// Octets received from the peer.
    pub rx_bytes: u64,
    /// Octets sent to the peer.
    pub tx_bytes: u64,
}

/// A device at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireGuardSeen {
    /// How it is configured.
    pub link: WireGuardLink,
    /// What it knows of its peers.
    pub peers: BTreeMap<PublicKey, PeerStatus>,
}

/// One step from the peers a device has to those it shall have. Peers that stay as they are need none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerStep<'a> {
    /// Take the peer out, with its session.
    Remove(&'a PublicKey),
    /// Put the peer in.
    Add(&'a PublicKey, &'a Peer),
    /// Change the peer, keeping its session where the device can.
    Update {
        /// Which peer.
        key: &'a PublicKey,
        /// What it was.
        from: &'a Peer,
        /// What it shall be.
        to: &'a Peer,
    },
}

/// Returns the steps between two sets of peers, removals first: a prefix that moves is free before it is taken.
pub fn peer_steps<'a>(
    from: &'a BTreeMap<PublicKey, Peer>,
    to: &'a BTreeMap<PublicKey, Peer>,
) -> Vec<PeerStep<'a>> {
    let removed = from.keys().filter(|key| !to.contains_key(key)).map(PeerStep::Remove);
    let set = to.iter().filter_map(|(key, peer)| match from.get(key) {
        None => Some(PeerStep::Add(key, peer)),
        Some(seen) if seen == peer => None,
        Some(seen) => Some(PeerStep::Update { key, from: seen, to: peer }),
    });
    removed.chain(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(keepalive: u16) -> Peer {
        Peer { endpoint: None, preshared_key: None, keepalive: Some(keepalive), allowed_ips: BTreeSet::new() }
    }

    #[test]
    fn only_peers_that_differ_get_a_step_and_removals_come_first() {
        let key = |n| PublicKey::from_octets([n; 32]);
        let from = BTreeMap::from([(key(1), peer(1)), (key(2), peer(2)), (key(9), peer(9))]);
        let to = BTreeMap::from([(key(1), peer(1)), (key(2), peer(3)), (key(4), peer(4))]);
        let steps = peer_steps(&from, &to);
        let expected = [
            PeerStep::Remove(&key(9)),
            PeerStep::Update { key: &key(2), from: &peer(2), to: &peer(3) },
            PeerStep::Add(&key(4), &peer(4)),
        ];
        assert_eq!(steps, expected);
    }
}
