//! Turns the texts of options about names into values.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::kind::Kind;
use super::value::{self, Rejection};
use crate::names::domain::DomainName;
use crate::names::record::{RecordData, TEXT_MAX};
use crate::state::facts::is_private;

type Decoded<T> = Result<T, Rejection>;

/// Reads a DNS name of any kind.
pub fn name(text: &str, _: Kind) -> Decoded<DomainName> {
    let name: DomainName = text.parse().map_err(|_| Rejection::default())?;
    let is_address = text.parse::<IpAddr>().is_ok();
    if is_address { Err(Rejection::because("that is an address")) } else { Ok(name) }
}

/// Reads a name that another one points to.
pub fn pointer(text: &str, kind: Kind) -> Decoded<RecordData> {
    name(text, kind).map(RecordData::Ptr)
}

/// Reads an address that somebody can have.
pub fn address(text: &str, _: Kind) -> Decoded<IpAddr> {
    let address: IpAddr = text.parse().map_err(|_| match text.split_once('/') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
            Rejection::because("an address has no prefix length here").suggesting(address)
        }
        _ => Rejection::default(),
    })?;
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() || address.is_multicast() || is_link_local {
        return Err(Rejection::because("no name can stand for that address"));
    }
    Ok(address)
}

/// Reads a network.
pub fn prefix(text: &str, _: Kind) -> Decoded<IpNet> {
    let net: IpNet = text.parse().map_err(|_| Rejection::default())?;
    if net.trunc() != net {
        let rejection = Rejection::because("that is an address, not a network");
        return Err(rejection.suggesting(net.trunc().to_string()));
    }
    if net.prefix_len() == 0 { Err(Rejection::because("that is every address")) } else { Ok(net) }
}

/// Reads a prefix that IPv4 addresses are put into.
pub fn dns64_prefix(text: &str, kind: Kind) -> Decoded<Ipv6Net> {
    let net = value::ipv6_pool(text, kind)?;
    if net.prefix_len() == 96 { Ok(net) } else { Err(Rejection::because("the prefix length is 96")) }
}

/// Reads a private network from which hosts have addresses while their packets are translated.
pub fn nat64_pool(text: &str, kind: Kind) -> Decoded<Ipv4Net> {
    let net = value::ipv4_pool(text, kind)?;
    if !is_private(&net.into()) {
        return Err(Rejection::because("its addresses are not private"));
    }
    if net.prefix_len() > 29 { Err(Rejection::because("that has room for too few hosts")) } else { Ok(net) }
}

/// Reads a host and port, and if need be priority and weight.
pub fn service(text: &str, kind: Kind) -> Decoded<RecordData> {
    let number = |text: Option<&str>| match text {
        Some(text) => text.parse::<u16>().map_err(|_| Rejection::default()),
        None => Ok(0),
    };
    let mut words = text.split_ascii_whitespace();
    let target = name(words.next().unwrap_or_default(), kind)?;
    let port = number(words.next())?;
    let (priority, weight) = (number(words.next())?, number(words.next())?);
    if port == 0 || words.next().is_some() {
        return Err(Rejection::default());
    }
    Ok(RecordData::Srv { priority, weight, port, target })
}

/// Reads a text of a record.
pub fn text(text: &str, _: Kind) -> Decoded<RecordData> {
    if text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        return Err(Rejection::default());
    }
    Ok(RecordData::Txt(text.as_bytes().to_vec()))
}
