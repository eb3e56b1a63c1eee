//! A WireGuard device as a value; its secrets cannot be printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;

/// What makes a WireGuard device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireGuardLink {
    /// The device's secret key.
    pub private_key: PrivateKey,
    /// The UDP port it listens on.
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
    /// Seconds between keepalives; `None` sends none.
    pub keepalive: Option<u16>,
    /// The addresses the peer may use as source, and that are sent to it.
    pub allowed_ips: BTreeSet<IpNet>,
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the 32 octets.
            pub const fn from_octets(octets: [u8; 32]) -> Self {
                Self(octets)
            }

            /// Returns the 32 octets.
            pub const fn octets(&self) -> &[u8; 32] {
                &self.0
            }
        }
    };
}
key!(
    /// A Curve25519 public key.
    PublicKey
);
key!(
    /// A Curve25519 private key; it has no readable `Debug` and is wiped when dropped.
    PrivateKey
);
key!(
    /// A pre-shared key; it has no readable `Debug` and is wiped when dropped.
    PresharedKey
);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(..)")
    }
}
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::STANDARD.encode(self.0))
    }
}
