//! Turns the text of one option into a value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use ospf_lite::config::HmacAlgorithm;
use ospf_lite::ids::Cost;
use vxlan::key::{KeyError, PublicKey};
use vxlan::link::LinkName;

use super::kind::Kind;
use super::suggest::nearest;
use super::types::{Endpoint, HostId, LISTEN_PORT_DEFAULT, LanAddress, LinkCost};

/// Why a text is not a value, beyond what the option allows in general.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong with this very text.
    pub because: Option<String>,
    /// What it may have been meant to be.
    pub suggestion: Option<String>,
    /// Whether the text may be a secret, which is never repeated.
    pub hides_value: bool,
}

impl Rejection {
    /// Says no more than that the text is not allowed.
    fn plain() -> Self {
        Self::default()
    }

    /// Says why the text is not allowed.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { because: Some(reason.into()), ..Self::default() }
    }

    /// Says what the text may have been meant to be.
    pub fn suggesting(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

type Decoded<T> = Result<T, Rejection>;

/// Reads a whole number within the kind's bounds.
pub fn integer_u32(text: &str, kind: Kind) -> Decoded<u32> {
    let (Kind::Integer { min, max, .. } | Kind::IntegerOrAuto { min, max } | Kind::Number { min, max }) =
        kind
    else {
        return Err(Rejection::plain());
    };
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (min..=max).contains(&number) => Ok(number),
        _ => Err(number_rejection(text, min, max)),
    }
}

/// Explains the numbers that people write with a unit.
fn number_rejection(text: &str, min: u32, max: u32) -> Rejection {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let unit = text.trim_start_matches(&digits as &str).trim();
    let in_bounds = digits.parse().is_ok_and(|number| (min..=max).contains(&number));
    if in_bounds && ["s", "sec", "seconds", "bytes", "octets"].contains(&unit) {
        Rejection::because("write the number without a unit").suggesting(digits)
    } else {
        Rejection::plain()
    }
}

/// Reads a whole number that fits 16 bits.
pub fn integer_u16(text: &str, kind: Kind) -> Decoded<u16> {
    u16::try_from(integer_u32(text, kind)?).map_err(|_| Rejection::plain())
}

/// Reads a whole number that fits 8 bits.
pub fn integer_u8(text: &str, kind: Kind) -> Decoded<u8> {
    u8::try_from(integer_u32(text, kind)?).map_err(|_| Rejection::plain())
}

/// Reads a number in decimal or hexadecimal.
pub fn number(text: &str, kind: Kind) -> Decoded<u32> {
    let Some(hexadecimal) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return integer_u32(text, kind);
    };
    let digits = hexadecimal.chars().all(|c| c.is_ascii_hexdigit());
    match u32::from_str_radix(hexadecimal, 16) {
        Ok(number) if digits => integer_u32(&number.to_string(), kind),
        _ => Err(Rejection::plain()),
    }
}

/// Reads a routing table's number, leaving the kernel's own tables alone.
pub fn route_table(text: &str, kind: Kind) -> Decoded<u32> {
    match number(text, kind)? {
        253..=255 => Err(Rejection::because("tables 253 to 255 are the kernel's own (default, main, local)")),
        table => Ok(table),
    }
}

/// Reads whole seconds.
pub fn seconds(text: &str, kind: Kind) -> Decoded<Duration> {
    integer_u32(text, kind).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Reads whole milliseconds.
pub fn milliseconds(text: &str, kind: Kind) -> Decoded<Duration> {
    integer_u32(text, kind).map(|millis| Duration::from_millis(millis.into()))
}

/// Reads what is on or off.
pub fn switch(text: &str, kind: Kind) -> Decoded<bool> {
    word(text, kind).map(|word| word == "1")
}

/// Reads a whole number that fits 8 bits and is not 0.
pub fn nonzero_u8(text: &str, kind: Kind) -> Decoded<NonZeroU8> {
    NonZeroU8::new(integer_u8(text, kind)?).ok_or_else(Rejection::plain)
}

/// Reads a host id.
pub fn host_id(text: &str, kind: Kind) -> Decoded<HostId> {
    integer_u16(text, kind).map(HostId)
}

/// Reads an output cost, or `auto`.
pub fn link_cost(text: &str, kind: Kind) -> Decoded<LinkCost> {
    if text == "auto" { Ok(LinkCost::Auto) } else { cost(text, kind).map(LinkCost::Fixed) }
}

/// Reads an output cost.
pub fn cost(text: &str, kind: Kind) -> Decoded<Cost> {
    Cost::new(integer_u16(text, kind)?).ok_or_else(Rejection::plain)
}

fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
    text.len() <= 63
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        && edge(text.chars().next())
        && edge(text.chars().last())
}

/// Reads a DNS label.
pub fn label(text: &str, _: Kind) -> Decoded<String> {
    let lower = text.to_ascii_lowercase().replace('_', "-");
    match (is_label(text), is_label(&lower)) {
        (true, _) => Ok(text.to_owned()),
        (_, true) => Err(Rejection::plain().suggesting(lower)),
        _ => Err(Rejection::plain()),
    }
}

/// Reads a DNS name.
pub fn domain(text: &str, _: Kind) -> Decoded<String> {
    let trimmed = text.trim_matches('.').to_ascii_lowercase();
    let is_domain = |text: &str| text.len() <= 200 && text.split('.').all(is_label);
    match (is_domain(text), is_domain(&trimmed)) {
        (true, _) => Ok(text.to_owned()),
        (_, true) => Err(Rejection::plain().suggesting(trimmed)),
        _ => Err(Rejection::plain()),
    }
}

/// Reads a neighbor's name.
pub fn neighbor_name(text: &str, _: Kind) -> Decoded<String> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if begins && rest && text.len() <= 63 { Ok(text.to_owned()) } else { Err(Rejection::plain()) }
}

/// Reads an IPv4 network from which the mesh's addresses come.
pub fn ipv4_pool(text: &str, _: Kind) -> Decoded<Ipv4Net> {
    let net: Ipv4Net = text.parse().map_err(|_| network_rejection(text, 32))?;
    if net.trunc() != net {
        return Err(
            Rejection::because("that is an address, not a network").suggesting(net.trunc().to_string())
        );
    }
    if !is_usable_ipv4(net.network()) || !is_usable_ipv4(net.broadcast()) {
        return Err(Rejection::because(RESERVED));
    }
    Ok(net)
}

/// Reads an IPv4 network, or `none`.
pub fn ipv4_pool_or_none(text: &str, kind: Kind) -> Decoded<Option<Ipv4Net>> {
    if text == "none" { Ok(None) } else { ipv4_pool(text, kind).map(Some) }
}

/// Reads an IPv6 network from which the mesh's addresses come.
pub fn ipv6_pool(text: &str, _: Kind) -> Decoded<Ipv6Net> {
    let net: Ipv6Net = text.parse().map_err(|_| network_rejection(text, 128))?;
    if net.trunc() != net {
        return Err(
            Rejection::because("that is an address, not a network").suggesting(net.trunc().to_string())
        );
    }
    if !is_usable_ipv6(net.network()) || !is_usable_ipv6(net.broadcast()) {
        return Err(Rejection::because(RESERVED));
    }
    Ok(net)
}

const RESERVED: &str = "that range is reserved (loopback, link-local, multicast or unspecified)";

fn network_rejection(text: &str, bits: u8) -> Rejection {
    match text.split_once('/') {
        None if text.parse::<IpAddr>().is_ok() => Rejection::because("the prefix length is missing"),
        Some((address, length)) if address.parse::<IpAddr>().is_ok() => match length.parse::<u8>() {
            Ok(length) if length <= bits => Rejection::because("that is of the other address family"),
            _ => Rejection::because(format!("the prefix length is a number from 0 to {bits}")),
        },
        _ => Rejection::plain(),
    }
}

fn is_usable_ipv4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first < 224 && !address.is_loopback() && !address.is_link_local()
}

fn is_usable_ipv6(address: Ipv6Addr) -> bool {
    let special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    !special && !address.is_unicast_link_local() && address.to_ipv4_mapped().is_none()
}

/// Reads a router's IPv4 address on a LAN.
pub fn ipv4_address(text: &str, _: Kind) -> Decoded<LanAddress<Ipv4Addr>> {
    let net: Ipv4Net = text.parse().map_err(|_| network_rejection(text, 32))?;
    let address = net.addr();
    let reason = if !is_usable_ipv4(address) {
        RESERVED.to_owned()
    } else if !(8..=30).contains(&net.prefix_len()) {
        "the prefix length of a LAN is from 8 to 30".to_owned()
    } else if address == net.network() {
        format!("{address} is the network's own address, which no router can have")
    } else if address == net.broadcast() {
        format!("{address} is the network's broadcast address, which no router can have")
    } else {
        return Ok(LanAddress { address, prefix_len: net.prefix_len() });
    };
    Err(Rejection::because(reason))
}

/// Reads a router's IPv6 address on a LAN.
pub fn ipv6_address(text: &str, _: Kind) -> Decoded<LanAddress<Ipv6Addr>> {
    let net: Ipv6Net = text.parse().map_err(|_| network_rejection(text, 128))?;
    let address = net.addr();
    let reason = if !is_usable_ipv6(address) {
        RESERVED.to_owned()
    } else if !(16..=126).contains(&net.prefix_len()) {
        "the prefix length of a LAN is from 16 to 126, mostly 64".to_owned()
    } else if address == net.network() {
        format!("{address} is the network's own address, which no router can have")
    } else {
        return Ok(LanAddress { address, prefix_len: net.prefix_len() });
    };
    Err(Rejection::because(reason))
}

/// Reads a device name.
pub fn device(text: &str, _: Kind) -> Decoded<LinkName> {
    LinkName::new(text).ok().filter(is_plain_device).ok_or_else(Rejection::plain)
}

/// Returns whether a device's name is text and nothing else to every program that is told it: the kernel allows names that
/// to a firewall are patterns, sets or quotes.
pub fn is_plain_device(device: &LinkName) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    device.as_str().chars().all(is_plain) && !device.as_str().starts_with('-')
}

/// Reads a name of OpenWrt's network configuration.
pub fn network(text: &str, _: Kind) -> Decoded<String> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if fits && text.len() <= 32 { Ok(text.to_owned()) } else { Err(Rejection::plain()) }
}

/// Reads an absolute path of a file.
pub fn file(text: &str, _: Kind) -> Decoded<PathBuf> {
    // Files hold secrets, and a secret may have been written in the place of its file.
    let is_key = text.parse::<PublicKey>().is_ok();
    if is_key || !text.contains('/') {
        let rejection = Rejection::because("put a secret into a file, and write the file's path here");
        return Err(Rejection { hides_value: true, ..rejection });
    }
    let reason = if !text.starts_with('/') {
        return Err(Rejection::plain());
    } else if text.ends_with('/') {
        "that is a directory"
    } else if text.split('/').any(|part| part == ".." || part == ".") {
        "write the path without '.' and '..'"
    } else {
        return Ok(PathBuf::from(text));
    };
    Err(Rejection::because(reason))
}

/// Reads a WireGuard public key.
pub fn public_key(text: &str, _: Kind) -> Decoded<PublicKey> {
    text.parse().map_err(|error| match error {
        KeyError::TextLength(length) => Rejection::because(format!("it has {length} characters")),
        KeyError::Base64 => Rejection::because("a character in it, or the end of it, is wrong"),
        KeyError::Zero => Rejection::because("a key of zeros is nobody's"),
    })
}

/// Reads where to call a neighbor.
pub fn endpoint(text: &str, _: Kind) -> Decoded<Endpoint> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Rejection::because("an IPv6 address stands in brackets")
            .suggesting(format!("[{text}]:{LISTEN_PORT_DEFAULT}")));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let rejection = Rejection::because("the port is missing");
        return Err(if is_host(text) {
            rejection.suggesting(format!("{text}:{LISTEN_PORT_DEFAULT}"))
        } else {
            rejection
        });
    };
    let digits = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|&port| digits && port != 0);
    let Some(port) = port else {
        return Err(Rejection::because("the port is a number from 1 to 65535"));
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
        Some(_) => return Err(Rejection::because("only an IPv6 address stands in brackets")),
        None if is_host(host) => host,
        None => return Err(Rejection::because(format!("{host:?} is neither a name nor an address"))),
    };
    if host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified() || address.is_multicast()) {
        return Err(Rejection::because("no router has that address"));
    }
    Ok(Endpoint { host: host.to_owned(), port })
}

/// Returns whether a text is an IPv4 address or a DNS name; a name of digits only would be a mistyped address.
pub(super) fn is_host(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let numeric = name.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_part = |part: &str| is_label(&part.replace('_', "a"));
    text.parse::<Ipv4Addr>().is_ok() || (!numeric && name.len() <= 253 && name.split('.').all(is_part))
}

/// Reads one of the kind's words.
pub(super) fn word(text: &str, kind: Kind) -> Decoded<&'static str> {
    let Kind::OneOf(words) = kind else {
        return Err(Rejection::plain());
    };
    let found = words.iter().find(|&&word| word == text);
    found
        .copied()
        .ok_or_else(|| Rejection { suggestion: nearest(text, words.iter().copied()), ..Rejection::default() })
}

/// Reads an authentication algorithm.
pub fn algorithm(text: &str, kind: Kind) -> Decoded<HmacAlgorithm> {
    match word(text, kind)? {
        "hmac-sha-1" => Ok(HmacAlgorithm::Sha1),
        "hmac-sha-384" => Ok(HmacAlgorithm::Sha384),
        "hmac-sha-512" => Ok(HmacAlgorithm::Sha512),
        _ => Ok(HmacAlgorithm::Sha256),
    }
}
