//! Zones and openings as the configuration has them, and how their texts are read.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::kind::Kind;
use super::value::Rejection;

/// The zone whose hosts reach everything; whatever says nothing else is in it.
pub const INTERNAL: &str = "internal";
/// The zone whose hosts reach only what they are given.
pub const ISOLATED: &str = "isolated";
/// What `reach` calls this router's own WANs.
pub const WAN: &str = "wan";
/// The longest name of a zone.
const NAME_MAX: usize = 15;

/// What the hosts of a zone reach. Of `internal` there is none: it reaches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneConfig {
    /// Its name: small letters, digits and underscores.
    pub name: String,
    /// Where its hosts may begin a connection to.
    pub reach: Vec<Reach>,
    /// What they may reach beside that.
    pub allow: Vec<Allowed>,
}

/// A place that the hosts of a zone may reach as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Beyond this router's own WANs.
    Wan,
    /// The hosts of a zone, wherever in the mesh.
    Zone(String),
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wan => WAN,
            Self::Zone(name) => name,
        })
    }
}

/// Addresses, with all that they offer or one service of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// The addresses.
    pub net: IpNet,
    /// The service; `None` stands for every protocol.
    pub ports: Option<Ports>,
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.net.prefix_len() == self.net.max_prefix_len() {
            write!(f, "{}", self.net.addr())?;
        } else {
            write!(f, "{}", self.net)?;
        }
        self.ports.map_or(Ok(()), |ports| write!(f, " {ports}"))
    }
}

/// Ports of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// The protocol.
    pub protocol: Protocol,
    /// The lowest port, from 1.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl Ports {
    /// Returns one port of a protocol.
    pub const fn one(protocol: Protocol, port: u16) -> Self {
        Self { protocol, first: port, last: port }
    }

    /// Returns the ports.
    pub const fn range(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.first)?;
        if self.last > self.first { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Returns its name, as nftables has it too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What becomes of packets that a WAN brings for this router and nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WanInput {
    /// They are left to other programs' filters.
    Leave,
    /// They are dropped, but for what the configuration opens and what a network cannot do without.
    Drop,
}

/// Reads a zone's name.
pub fn zone_name(text: &str, _: Kind) -> Result<String, Rejection> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = text.len() <= NAME_MAX && text.starts_with(|c: char| c.is_ascii_lowercase());
    if fits && text.chars().all(plain) { Ok(text.to_owned()) } else { Err(Rejection::default()) }
}

/// Reads what the hosts of a zone may reach as a whole.
pub fn reach(text: &str, kind: Kind) -> Result<Reach, Rejection> {
    if text == WAN { Ok(Reach::Wan) } else { zone_name(text, kind).map(Reach::Zone) }
}

/// Reads addresses with a service.
pub fn allowed(text: &str, _: Kind) -> Result<Allowed, Rejection> {
    let mut words = text.split_ascii_whitespace();
    let Some(net) = words.next().and_then(network) else { return Err(Rejection::default()) };
    if net.trunc() != net {
        return Err(Rejection {
            because: Some(format!("{} is not where the network begins", net.addr())),
            suggestion: Some(net.trunc().to_string()),
            hides_value: false,
        });
    }
    if net.prefix_len() == 0 {
        let because =
            Some("that is everything; the internet by this router's WAN is list reach 'wan'".to_owned());
        return Err(Rejection { because, ..Rejection::default() });
    }
    let rest: Vec<&str> = words.collect();
    let ports = if rest.is_empty() { None } else { Some(ports_of(&rest)?) };
    Ok(Allowed { net, ports })
}

/// Reads ports of a protocol.
pub fn ports(text: &str, _: Kind) -> Result<Ports, Rejection> {
    ports_of(&text.split_ascii_whitespace().collect::<Vec<_>>())
}

/// Reads what becomes of packets from a WAN.
pub fn wan_input(text: &str, _: Kind) -> Result<WanInput, Rejection> {
    match text {
        "leave" => Ok(WanInput::Leave),
        "drop" => Ok(WanInput::Drop),
        _ => Err(Rejection::default()),
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn ports_of(words: &[&str]) -> Result<Ports, Rejection> {
    let [protocol, ports] = words else { return Err(Rejection::default()) };
    let protocol = match *protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(Rejection::default()),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Ports { protocol, first, last }),
        _ => Err(Rejection::default()),
    }
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.chars().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Allowed> {
        allowed(text, Kind::Allowed).ok()
    }

    #[test]
    fn what_is_allowed_is_addresses_and_a_service() {
        for text in ["10.2.4.16", "10.2.4.0/24 tcp 443", "fd79:4::16 udp 5000-5010", "fd79:4::/64"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "tcp 443",
            "10.2.4.1/24",
            "0.0.0.0/0",
            "::/0 tcp 80",
            "10.2.4.16 tcp",
            "10.2.4.16 tcp 0",
            "10.2.4.16 tcp 9-8",
            "10.2.4.16 icmp 8",
            "10.2.4.16 tcp 80 81",
            "10.2.4.16 tcp +80",
            "nas tcp 80",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_zone_s_name_is_plain() {
        for name in ["cameras", "zone_2", "abcdefghijklmno"] {
            assert_eq!(zone_name(name, Kind::Zone).as_deref(), Ok(name));
        }
        for name in ["", "2", "Cameras", "a-b", "a b", "@a", "abcdefghijklmnop", "é"] {
            assert!(zone_name(name, Kind::Zone).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[0-9a-f:./ tcpud-]{0,30}") {
            if let Some(read_once) = read(&text) {
                prop_assert_eq!(read(&read_once.to_string()), Some(read_once));
            }
            let _ = (zone_name(&text, Kind::Zone), reach(&text, Kind::Zone), ports(&text, Kind::Ports));
        }
    }
}
