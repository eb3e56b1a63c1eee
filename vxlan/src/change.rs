//! What can be done to link devices, each with its inverse.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::link::{Link, LinkKind, LinkName};
use crate::wireguard::{Peer, PeerStep, PublicKey, WireGuardLink, peer_steps};

/// One step from the seen devices towards the wanted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkChange {
    /// Create a device with everything it has.
    Create(Link),
    /// Remove a device; the value is what it was, for the inverse.
    Remove(Link),
    /// Change a device in place, touching only what differs. Never used where only a new device will do (another
    /// VNI, local address, port or underlay): `diff` then gives Remove and Create.
    Alter {
        /// What it was.
        from: Box<Link>,
        /// What it shall be. Peers that are equal in both are not touched.
        to: Box<Link>,
    },
    /// Send to a peer at another address; not a difference of state but an act (a name resolved anew).
    SetEndpoint {
        /// The WireGuard device.
        device: LinkName,
        /// The peer.
        peer: PublicKey,
        /// What the peer was, for an embedded device that must replace it whole.
        value: Box<Peer>,
        /// Where to send.
        endpoint: SocketAddr,
    },
}

impl LinkChange {
    /// Returns the device that is changed.
    pub fn device(&self) -> &LinkName {
        match self {
            Self::Create(link) | Self::Remove(link) => &link.name,
            Self::Alter { to, .. } => &to.name,
            Self::SetEndpoint { device, .. } => device,
        }
    }

    /// Returns the change that undoes this one. An endpoint cannot be taken away from a peer again, so where there was
    /// none the inverse leaves the peer with the endpoint it has, which is no difference of state.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Self::Create(link) => Self::Remove(link.clone()),
            Self::Remove(link) => Self::Create(link.clone()),
            Self::Alter { from, to } => Self::Alter { from: to.clone(), to: from.clone() },
            Self::SetEndpoint { device, peer, value, endpoint } => Self::SetEndpoint {
                device: device.clone(),
                peer: *peer,
                value: Box::new(Peer { endpoint: Some(*endpoint), ..(**value).clone() }),
                endpoint: value.endpoint.unwrap_or(*endpoint),
            },
        }
    }

    /// Makes the change in a table of links, as `Links::apply` does it in the kernel.
    pub fn apply_to(&self, links: &mut BTreeMap<LinkName, Link>) {
        match self {
            Self::Create(link) => drop(links.insert(link.name.clone(), link.clone())),
            Self::Remove(link) => drop(links.remove(&link.name)),
            Self::Alter { to, .. } => drop(links.insert(to.name.clone(), (**to).clone())),
            Self::SetEndpoint { device, peer, endpoint, .. } => {
                if let Some(Link { kind: LinkKind::WireGuard(wireguard), .. }) = links.get_mut(device)
                    && let Some(peer) = wireguard.peers.get_mut(peer)
                {
                    peer.endpoint = Some(*endpoint);
                }
            }
        }
    }
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(link) => write!(f, "create {}: {}", link.name, summary(link)),
            Self::Remove(link) => write!(f, "remove {}: {}", link.name, summary(link)),
            Self::Alter { from, to } => write!(f, "alter {}: {}", to.name, differences(from, to).join(", ")),
            Self::SetEndpoint { device, peer, endpoint, .. } => {
                write!(f, "send from {device} to peer {peer} at {endpoint}")
            }
        }
    }
}

fn summary(link: &Link) -> String {
    let addresses = list(&link.addresses);
    let what = match &link.kind {
        LinkKind::WireGuard(wireguard) => {
            let (port, peers) = (wireguard.listen_port, wireguard.peers.len());
            format!("wireguard, UDP port {port}, {peers} peers")
        }
        LinkKind::Vxlan(vxlan) => {
            let (vni, local, remotes) = (vxlan.vni, vxlan.local, list(&vxlan.remotes));
            format!("vxlan {vni} from {local} to {remotes} over {}", vxlan.underlay)
        }
    };
    format!("{what}, alias {:?}, mtu {}, addresses {addresses}", link.alias, link.mtu)
}

fn differences(from: &Link, to: &Link) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, old: String, new: String| {
        if old != new {
            found.push(format!("{what} {old} -> {new}"));
        }
    };
    compare("alias", format!("{:?}", from.alias), format!("{:?}", to.alias));
    compare("mtu", from.mtu.to_string(), to.mtu.to_string());
    compare("state", up(from).to_owned(), up(to).to_owned());
    compare("addresses", list(&from.addresses), list(&to.addresses));
    match (&from.kind, &to.kind) {
        (LinkKind::WireGuard(old), LinkKind::WireGuard(new)) => {
            compare("port", old.listen_port.to_string(), new.listen_port.to_string());
            compare("fwmark", format!("{:#x}", old.fwmark), format!("{:#x}", new.fwmark));
            let key = |link: &WireGuardLink| link.private_key.public_key().to_string();
            compare("public key", key(old), key(new));
            found.extend(peer_steps(&old.peers, &new.peers).iter().map(peer_difference));
        }
        (LinkKind::Vxlan(old), LinkKind::Vxlan(new)) => {
            compare("mac", old.mac.to_string(), new.mac.to_string());
            compare("remote", list(&old.remotes), list(&new.remotes));
        }
        (LinkKind::WireGuard(_), LinkKind::Vxlan(_)) | (LinkKind::Vxlan(_), LinkKind::WireGuard(_)) => {
            found.push("kind".to_owned());
        }
    }
    found
}

fn peer_difference(step: &PeerStep<'_>) -> String {
    match step {
        PeerStep::Remove(key) => format!("remove peer {key}"),
        PeerStep::Add(key, _) => format!("add peer {key}"),
        PeerStep::Update { key, from, to } => {
            let parts = [
                ("endpoint", from.endpoint != to.endpoint),
                ("pre-shared key", from.preshared_key != to.preshared_key),
                ("keepalive", from.keepalive != to.keepalive),
                ("allowed IPs", from.allowed_ips != to.allowed_ips),
            ];
            let changed: Vec<_> =
                parts.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what).collect();
            format!("change peer {key} ({})", changed.join(", "))
        }
    }
}

fn up(link: &Link) -> &'static str {
    if link.up { "up" } else { "down" }
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(" ") }
}
