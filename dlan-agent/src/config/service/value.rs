//! Turns the text of one option of a service into a value.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::{Balance, HealthKind, Listen, ListenAddress, ProxyProtocol, ServerName, Transport, Upstream};
use crate::config::kind::Kind;
use crate::config::suggest::nearest;
use crate::config::types::Endpoint;
use crate::config::value::{Rejection, domain, integer_u32, is_host, word};

type Decoded<T> = Result<T, Rejection>;

/// The most octets of a health check's packet.
const PROBE_MAX: usize = 512;
/// The words after an upstream's address.
const PARAMETERS: [&str; 6] = ["weight", "max_fails", "fail_timeout", "max_conns", "backup", "down"];

/// Reads what clients speak.
pub fn transport(text: &str, kind: Kind) -> Decoded<Transport> {
    word(text, kind).map(|word| if word == "udp" { Transport::Udp } else { Transport::Tcp })
}

/// Reads which upstream a client gets.
pub fn balance(text: &str, kind: Kind) -> Decoded<Balance> {
    Ok(match word(text, kind)? {
        "least_conn" => Balance::LeastConnections,
        "hash" => Balance::Hash,
        _ => Balance::RoundRobin,
    })
}

/// Reads how upstreams are told who the client is.
pub fn proxy_protocol(text: &str, kind: Kind) -> Decoded<ProxyProtocol> {
    Ok(match word(text, kind)? {
        "1" => ProxyProtocol::Version1,
        "2" => ProxyProtocol::Version2,
        _ => ProxyProtocol::None,
    })
}

/// Reads what upstreams are asked.
pub fn health(text: &str, kind: Kind) -> Decoded<HealthKind> {
    Ok(match word(text, kind)? {
        "connect" => HealthKind::Connect,
        "tls" => HealthKind::Tls,
        "udp" => HealthKind::Udp,
        _ => HealthKind::None,
    })
}

/// Reads where clients are listened for.
pub fn listen(text: &str, _: Kind) -> Decoded<Listen> {
    if port(text).is_ok() {
        return Err(Rejection::because("the address is missing").suggesting(format!("*:{text}")));
    }
    let (host, port) = split(text, 443)?;
    let at =
        match host {
            "*" => ListenAddress::Any,
            host => ListenAddress::Address(host.parse().map_err(|_| {
                Rejection::because("a router listens at an address of its own, not at a name")
            })?),
        };
    if let ListenAddress::Address(address) = at {
        let is_link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        if address.is_multicast() || is_link_local || is_mapped(address) {
            return Err(Rejection::because("clients cannot come to such an address"));
        }
    }
    Ok(Listen { at, port })
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// Reads where clients are passed on to.
pub fn upstream(text: &str, _: Kind) -> Decoded<Upstream> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let endpoint = endpoint(words.next().unwrap_or_default())?;
    let mut upstream = Upstream {
        endpoint,
        weight: 1,
        is_backup: false,
        is_down: false,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        max_connections: 0,
    };
    let mut seen = BTreeSet::new();
    for parameter in words {
        let (name, value) =
            parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        if !seen.insert(name) {
            return Err(Rejection::because(format!("{name} is written twice")));
        }
        set_parameter(&mut upstream, name, value)?;
    }
    Ok(upstream)
}

fn set_parameter(upstream: &mut Upstream, name: &str, value: Option<&str>) -> Decoded<()> {
    let number = |min: u32, max: u32| {
        let kind = Kind::Integer { min, max, unit: "" };
        let text = value.unwrap_or_default();
        let said = || Rejection::because(format!("{name} is {}, as in {name}={min}", kind.allowed()));
        integer_u32(text, kind).map_err(|_| said())
    };
    match (name, value) {
        ("backup", None) => upstream.is_backup = true,
        ("down", None) => upstream.is_down = true,
        ("weight", _) => upstream.weight = u16::try_from(number(1, 1000)?).unwrap_or(1),
        ("max_fails", _) => upstream.max_fails = u16::try_from(number(0, 1000)?).unwrap_or(1),
        ("max_conns", _) => upstream.max_connections = number(0, 1_000_000)?,
        ("fail_timeout", _) => {
            let text = value.unwrap_or_default();
            let seconds = text.strip_suffix('s').unwrap_or(text);
            let seconds = integer_u32(seconds, Kind::Integer { min: 1, max: 86_400, unit: "seconds" });
            let seconds = seconds.map_err(|_| {
                Rejection::because("fail_timeout is a whole number of seconds, as in fail_timeout=10")
            })?;
            upstream.fail_timeout = Duration::from_secs(seconds.into());
        }
        ("backup" | "down", Some(_)) => {
            return Err(Rejection::because(format!("{name} stands without a value")));
        }
        _ => {
            let suggestion = nearest(name, PARAMETERS);
            let rejection = Rejection::because(format!("{name:?} is not one of its words"));
            return Err(Rejection { suggestion, ..rejection });
        }
    }
    Ok(())
}

/// Reads a name or an address with a port.
fn endpoint(text: &str) -> Decoded<Endpoint> {
    let (host, port) = split(text, 443)?;
    let address = host.parse::<IpAddr>().ok();
    if address.is_none() && !is_host(host) {
        return Err(Rejection::because(format!("{host:?} is neither a name nor an address")));
    }
    if address.is_some_and(|address| address.is_unspecified() || address.is_multicast() || is_mapped(address))
    {
        return Err(Rejection::because("no host has that address"));
    }
    Ok(Endpoint { host: host.to_ascii_lowercase(), port })
}

/// Splits a text into host and port.
fn split(text: &str, example: u16) -> Decoded<(&str, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        let meant = text.rsplit_once(':').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok());
        let meant = meant.map_or(format!("[{text}]:{example}"), |(host, port)| format!("[{host}]:{port}"));
        return Err(Rejection::because("an IPv6 address stands in brackets").suggesting(meant));
    }
    if text.starts_with('[') && text.ends_with(']') {
        return Err(Rejection::because("the port is missing").suggesting(format!("{text}:{example}")));
    }
    let Some((host, number)) = text.rsplit_once(':') else {
        let is_usable = text.parse::<Ipv4Addr>().is_ok() || is_host(text) || text == "*";
        let rejection = Rejection::because("the port is missing");
        return Err(if is_usable { rejection.suggesting(format!("{text}:{example}")) } else { rejection });
    };
    let port = port(number)?;
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => Ok((inner, port)),
        Some(_) => Err(Rejection::because("only an IPv6 address stands in brackets")),
        None if host.contains(':') => Err(Rejection::because("an IPv6 address stands in brackets")),
        None => Ok((host, port)),
    }
}

fn port(text: &str) -> Decoded<u16> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let port = text.parse::<u16>().ok().filter(|&port| digits && port != 0);
    port.ok_or_else(|| Rejection::because("the port is a number from 1 to 65535"))
}

/// Reads a TLS server name.
pub fn server_name(text: &str, kind: Kind) -> Decoded<ServerName> {
    let (star, rest) = text.strip_prefix("*.").map_or(("", text), |rest| ("*.", rest));
    if rest.parse::<Ipv4Addr>().is_ok() || rest.contains(':') {
        return Err(Rejection::because("clients send names, never addresses"));
    }
    domain(rest, kind).map(|domain| ServerName(format!("{star}{domain}"))).map_err(|rejection| Rejection {
        suggestion: rejection.suggestion.map(|suggestion| format!("{star}{suggestion}")),
        ..rejection
    })
}

/// Reads from where clients may come.
pub fn source(text: &str, _: Kind) -> Decoded<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = text.parse().map_err(|_| Rejection::default())?;
    if net.trunc() == net {
        return Ok(net);
    }
    Err(Rejection::because("that is an address with a prefix length, not a network")
        .suggesting(net.trunc().to_string()))
}

/// Reads octets: hexadecimal digits after 0x, else the text itself.
pub fn octets(text: &str, _: Kind) -> Decoded<Vec<u8>> {
    let octets = match text.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits)
            .ok_or_else(|| Rejection::because("after 0x stand hexadecimal digits, two for each octet"))?,
        None => text.as_bytes().to_vec(),
    };
    if octets.len() > PROBE_MAX {
        return Err(Rejection::because(format!("it has {} octets", octets.len())));
    }
    Ok(octets)
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty()).then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
