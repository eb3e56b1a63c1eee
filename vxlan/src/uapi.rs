//! The text protocol that userspace WireGuard devices speak (UAPI), as types.
//!
//! A request is `get=1` or `set=1` with `key=value` lines, ended by an empty line; a reply ends with `errno=` and an
//! empty line. See <https://www.wireguard.com/xplatform/#configuration-protocol>.

pub mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::key::{KEY_LENGTH, PresharedKey, PrivateKey, PublicKey};
use crate::wireguard::{Peer, PeerStatus, WireGuardLink};

/// The request for everything a device knows.
pub const GET: &str = "get=1\n\n";

/// A reply that does not follow the protocol, or says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UapiError {
    /// A line that is not `key=value`, or a value that does not fit its key. The value is not repeated: it may be secret.
    #[error("line {line} of the reply is not understood (key {key:?})")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What stands before the equals sign, at most 40 characters of it.
        key: String,
    },
    /// A line about a peer before any peer's key.
    #[error("line {0} of the reply is about a peer, but no peer was named")]
    NoPeer(usize),
    /// The reply ends without `errno=`.
    #[error("the reply has no errno")]
    NoErrno,
    /// The device refused.
    #[error("the device refused with error number {0}")]
    Refused(i32),
}

/// What a device says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceReport {
    /// Its secret key, if it has one.
    pub private_key: Option<PrivateKey>,
    /// The UDP port it listens on; 0 if it does not.
    pub listen_port: u16,
    /// The mark of its outer packets; 0 means none.
    pub fwmark: u32,
    /// Its peers.
    pub peers: BTreeMap<PublicKey, PeerReport>,
}

/// What a device says about a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerReport {
    /// How the peer is configured, with the endpoint that is used at this moment.
    pub peer: Peer,
    /// When the last handshake was completed, since 1970; `None` means never.
    pub last_handshake: Option<Duration>,
    /// Octets received from it.
    pub rx_bytes: u64,
    /// Octets sent to it.
    pub tx_bytes: u64,
}

impl DeviceReport {
    /// Returns the device as a value. One that has no key yet is seen with a key of zeros.
    pub fn to_link(&self) -> WireGuardLink {
        let no_key = || PrivateKey::from_octets([0; KEY_LENGTH]);
        WireGuardLink {
            private_key: self.private_key.clone().unwrap_or_else(no_key),
            listen_port: self.listen_port,
            fwmark: self.fwmark,
            peers: self.peers.iter().map(|(key, report)| (*key, report.peer.clone())).collect(),
        }
    }

    /// Returns whether nobody has configured the device.
    pub fn is_empty(&self) -> bool {
        self.private_key.is_none() && self.peers.is_empty()
    }

    /// Returns the status of each peer at the time `now`, since 1970.
    pub fn statuses(&self, now: Duration) -> BTreeMap<PublicKey, PeerStatus> {
        self.peers.iter().map(|(key, report)| (*key, report.status(now))).collect()
    }
}

impl PeerReport {
    /// Returns the peer's status at the time `now`, since 1970.
    pub fn status(&self, now: Duration) -> PeerStatus {
        PeerStatus {
            endpoint: self.peer.endpoint,
            handshake_age: self.last_handshake.map(|at| now.saturating_sub(at)),
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
        }
    }
}

/// The settings of a device that a request may change; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceSettings<'a> {
    /// The secret key.
    pub private_key: Option<&'a PrivateKey>,
    /// The UDP port, and the mark of its outer packets. They go together: the embedded device opens its sockets anew
    /// for another port, and the mark must be set on these.
    pub port_and_fwmark: Option<(u16, u32)>,
}

/// Returns the request that changes the device itself.
pub fn set_device(settings: &DeviceSettings<'_>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from("set=1\n"));
    if let Some(key) = settings.private_key {
        push_key(&mut text, "private_key", key.octets());
    }
    if let Some((port, fwmark)) = settings.port_and_fwmark {
        push(&mut text, format_args!("listen_port={port}\nfwmark={fwmark}\n"));
    }
    text.push('\n');
    text
}

/// Returns the request that takes a peer out.
pub fn remove_peer(key: &PublicKey) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from("set=1\n"));
    push_key(&mut text, "public_key", key.octets());
    text.push_str("remove=true\n\n");
    text
}

/// Returns the request that sets a peer whole.
pub fn set_peer(key: &PublicKey, peer: &Peer) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from("set=1\n"));
    push_key(&mut text, "public_key", key.octets());
    if let Some(preshared_key) = &peer.preshared_key {
        push_key(&mut text, "preshared_key", preshared_key.octets());
    }
    if let Some(endpoint) = peer.endpoint {
        push(&mut text, format_args!("endpoint={endpoint}\n"));
    }
    if let Some(keepalive) = peer.keepalive {
        push(&mut text, format_args!("persistent_keepalive_interval={keepalive}\n"));
    }
    text.push_str("replace_allowed_ips=true\n");
    for allowed in &peer.allowed_ips {
        push(&mut text, format_args!("allowed_ip={allowed}\n"));
    }
    text.push('\n');
    text
}

/// Reads the reply to a `set=1`.
pub fn parse_set_reply(text: &str) -> Result<(), UapiError> {
    parse_get_reply(text).map(drop)
}

/// Reads the reply to `get=1`. Keys this version does not know are passed over.
pub fn parse_get_reply(text: &str) -> Result<DeviceReport, UapiError> {
    let mut report = DeviceReport::default();
    let mut current: Option<PublicKey> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let (key, value) = line.split_once('=').ok_or_else(|| bad_line(number, line))?;
        let bad = || bad_line(number, key);
        match key {
            "errno" => {
                let errno: i32 = value.parse().map_err(|_| bad())?;
                return if errno == 0 { Ok(report) } else { Err(UapiError::Refused(errno)) };
            }
            "private_key" => {
                let octets = unhex(value).ok_or_else(bad)?;
                report.private_key = (*octets != [0; KEY_LENGTH]).then(|| PrivateKey::from_octets(*octets));
            }
            "listen_port" => report.listen_port = value.parse().map_err(|_| bad())?,
            "fwmark" => report.fwmark = value.parse().map_err(|_| bad())?,
            "public_key" => {
                let octets = unhex(value).ok_or_else(bad)?;
                let key = PublicKey::from_octets(*octets);
                report.peers.entry(key).or_insert_with(PeerReport::empty);
                current = Some(key);
            }
            _ if PEER_KEYS.contains(&key) => {
                let peer = current.and_then(|key| report.peers.get_mut(&key));
                let peer = peer.ok_or(UapiError::NoPeer(number))?;
                peer.read(key, value).ok_or_else(bad)?;
            }
            _ => {}
        }
    }
    Err(UapiError::NoErrno)
}

/// The keys that say something about the peer named last.
const PEER_KEYS: [&str; 8] = [
    "preshared_key",
    "endpoint",
    "persistent_keepalive_interval",
    "allowed_ip",
    "last_handshake_time_sec",
    "last_handshake_time_nsec",
    "rx_bytes",
    "tx_bytes",
];

impl PeerReport {
    /// A peer of which nothing is known but its key.
    pub(crate) fn empty() -> Self {
        let peer =
            Peer { endpoint: None, preshared_key: None, keepalive: None, allowed_ips: BTreeSet::new() };
        Self { peer, last_handshake: None, rx_bytes: 0, tx_bytes: 0 }
    }

    /// Takes in one line, or returns nothing where the value does not fit the key.
    fn read(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "preshared_key" => {
                let octets = unhex(value)?;
                let is_set = *octets != [0; KEY_LENGTH];
                self.peer.preshared_key = is_set.then(|| PresharedKey::from_octets(*octets));
            }
            "endpoint" => self.peer.endpoint = Some(canonical(value.parse().ok()?)),
            "persistent_keepalive_interval" => {
                let seconds: u16 = value.parse().ok()?;
                self.peer.keepalive = (seconds > 0).then_some(seconds);
            }
            "allowed_ip" => drop(self.peer.allowed_ips.insert(value.parse::<IpNet>().ok()?)),
            "last_handshake_time_sec" => {
                let seconds: u64 = value.parse().ok()?;
                self.last_handshake = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "last_handshake_time_nsec" => {
                let part: u32 = value.parse().ok().filter(|part| *part < 1_000_000_000)?;
                self.last_handshake = self.last_handshake.map(|at| Duration::new(at.as_secs(), part));
            }
            "rx_bytes" => self.rx_bytes = value.parse().ok()?,
            "tx_bytes" => self.tx_bytes = value.parse().ok()?,
            _ => {}
        }
        Some(())
    }
}

/// Returns the endpoint with an IPv4 address as such, where a device with one socket for both families says it as IPv6.
fn canonical(endpoint: SocketAddr) -> SocketAddr {
    match endpoint.ip().to_canonical() {
        IpAddr::V4(address) => SocketAddr::new(address.into(), endpoint.port()),
        IpAddr::V6(_) => endpoint,
    }
}

fn bad_line(line: usize, key: &str) -> UapiError {
    UapiError::Line { line, key: key.split('=').next().unwrap_or_default().chars().take(40).collect() }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = text.write_fmt(line);
}

fn push_key(text: &mut String, name: &str, octets: &[u8; KEY_LENGTH]) {
    push(text, format_args!("{name}="));
    for octet in octets {
        push(text, format_args!("{octet:02x}"));
    }
    text.push('\n');
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; KEY_LENGTH]>> {
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != KEY_LENGTH || !rest.is_empty() {
        return None;
    }
    let mut octets = Zeroizing::new([0; KEY_LENGTH]);
    for (octet, [high, low]) in octets.iter_mut().zip(digits) {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key_line(name: &str, octets: &[u8; KEY_LENGTH]) -> String {
        let mut text = String::new();
        push_key(&mut text, name, octets);
        text
    }

    /// What a device prints, written independently of the requests above.
    fn print(report: &DeviceReport) -> String {
        let mut text = String::new();
        if let Some(key) = &report.private_key {
            text += &key_line("private_key", key.octets());
        }
        text += &format!("listen_port={}\nfwmark={}\n", report.listen_port, report.fwmark);
        for (key, peer) in &report.peers {
            text += &key_line("public_key", key.octets());
            let no_key = PresharedKey::from_octets([0; KEY_LENGTH]);
            text += &key_line("preshared_key", peer.peer.preshared_key.as_ref().unwrap_or(&no_key).octets());
            text += &peer.peer.endpoint.map(|at| format!("endpoint={at}\n")).unwrap_or_default();
            text += &format!("persistent_keepalive_interval={}\n", peer.peer.keepalive.unwrap_or(0));
            for allowed in &peer.peer.allowed_ips {
                text += &format!("allowed_ip={allowed}\n");
            }
            let at = peer.last_handshake.unwrap_or_default();
            text += &format!("last_handshake_time_sec={}\n", at.as_secs());
            text += &format!("last_handshake_time_nsec={}\n", at.subsec_nanos());
            text += &format!("rx_bytes={}\ntx_bytes={}\nprotocol_version=1\n", peer.rx_bytes, peer.tx_bytes);
        }
        text + "errno=0\n\n"
    }

    fn octets() -> impl Strategy<Value = [u8; KEY_LENGTH]> {
        any::<[u8; KEY_LENGTH]>().prop_filter("zeros stand for no key", |octets| *octets != [0; KEY_LENGTH])
    }

    fn peer_report() -> impl Strategy<Value = PeerReport> {
        let endpoint = prop_oneof![
            any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
            any::<([u8; 16], u16)>().prop_map(|(ip, port)| canonical(SocketAddr::from((ip, port)))),
        ];
        let allowed = proptest::collection::btree_set(
            prop_oneof![
                (any::<[u8; 4]>(), 0u8..=32).prop_map(|(ip, n)| IpNet::new(ip.into(), n).unwrap()),
                (any::<[u8; 16]>(), 0u8..=128).prop_map(|(ip, n)| IpNet::new(ip.into(), n).unwrap()),
            ],
            0..4,
        );
        let handshake = (1u64..1 << 40, 0u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n));
        let configured = (
            proptest::option::of(endpoint),
            proptest::option::of(octets().prop_map(PresharedKey::from_octets)),
            proptest::option::of(1u16..),
            allowed,
        );
        (configured, proptest::option::of(handshake), any::<(u64, u64)>()).prop_map(
            |((endpoint, preshared_key, keepalive, allowed_ips), last_handshake, (rx_bytes, tx_bytes))| {
                let peer = Peer { endpoint, preshared_key, keepalive, allowed_ips };
                PeerReport { peer, last_handshake, rx_bytes, tx_bytes }
            },
        )
    }

    fn device_report() -> impl Strategy<Value = DeviceReport> {
        let peers =
            proptest::collection::btree_map(octets().prop_map(PublicKey::from_octets), peer_report(), 0..4);
        let private_key = proptest::option::of(octets().prop_map(PrivateKey::from_octets));
        (private_key, any::<(u16, u32)>(), peers).prop_map(|(private_key, (listen_port, fwmark), peers)| {
            DeviceReport { private_key, listen_port, fwmark, peers }
        })
    }

    proptest! {
        #[test]
        fn what_a_device_prints_is_read_back(report in device_report()) {
            prop_assert_eq!(parse_get_reply(&print(&report)), Ok(report));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([a-z_]{0,12}=?[0-9a-f:./\\[\\]]{0,70}\n?){0,8}") {
            let _ = parse_get_reply(&text);
        }

        #[test]
        fn damaged_reply_is_read_or_refused(report in device_report(), at in any::<prop::sample::Index>(), c: char) {
            let mut text: Vec<char> = print(&report).chars().collect();
            *at.get_mut(&mut text) = c;
            let _ = parse_get_reply(&text.into_iter().collect::<String>());
        }

        #[test]
        fn what_a_peer_is_set_to_is_what_a_device_prints(key in octets(), report in peer_report()) {
            let request = set_peer(&PublicKey::from_octets(key), &report.peer);
            let reply = request.replace("set=1\n", "").trim_end().to_owned() + "\nerrno=0\n\n";
            let read = parse_get_reply(&reply).unwrap();
            prop_assert_eq!(&read.peers[&PublicKey::from_octets(key)].peer, &report.peer);
        }
    }

    #[test]
    fn refusal_carries_the_error_number() {
        assert_eq!(parse_set_reply("errno=-98\n\n"), Err(UapiError::Refused(-98)));
        assert_eq!(parse_set_reply("errno=0\n\n"), Ok(()));
        assert_eq!(parse_set_reply(""), Err(UapiError::NoErrno));
    }

    #[test]
    fn errors_name_the_line_and_not_the_secret() {
        let secret = "ab".repeat(31);
        let error =
            parse_get_reply(&format!("listen_port=1\nprivate_key={secret}\nerrno=0\n\n")).unwrap_err();
        assert_eq!(error, UapiError::Line { line: 2, key: "private_key".to_owned() });
        assert!(!error.to_string().contains("abab"));
        assert_eq!(parse_get_reply("rx_bytes=1\nerrno=0\n\n"), Err(UapiError::NoPeer(1)));
    }

    #[test]
    fn port_and_mark_are_set_in_one_request() {
        let settings = DeviceSettings { private_key: None, port_and_fwmark: Some((51820, 0xd1a4)) };
        assert_eq!(*set_device(&settings), "set=1\nlisten_port=51820\nfwmark=53668\n\n");
    }
}
