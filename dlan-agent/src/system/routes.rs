//! Kernel routes: messages to values and back, and many changes at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags, RouteProtocol,
    RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::rtnl::{BATCH_MAX, Devices, Message, Rtnl, RtnlError};
use super::rtnl_dump;
use crate::plan::change::Edit;
use crate::state::marks::Marks;
use crate::state::next_hop::NextHopId;
use crate::state::route::{Route, RouteAction, RouteHop, RouteKey, Unicast};

/// Returns the routes that carry one of the marks.
pub async fn observe(
    devices: &Devices,
    marks: &BTreeSet<Marks>,
) -> Result<BTreeMap<RouteKey, Route>, RtnlError> {
    let take = |routes: &mut Vec<(RouteKey, Route)>, found| {
        if let Message::Route(RouteNetlinkMessage::NewRoute(message)) = found
            && marks.iter().any(|mark| is_marked(&message, mark))
        {
            routes.extend(decode(&message, devices));
        }
    };
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        routes.extend(rtnl_dump::gather(RouteNetlinkMessage::GetRoute(message), take).await?);
    }
    // Made of all at once, a map has no empty places.
    Ok(routes.into_iter().collect())
}

/// Makes the edits in order, and returns what became of each.
pub async fn apply(
    rtnl: &Rtnl,
    devices: &Devices,
    edits: &[&Edit<RouteKey, Route>],
) -> Vec<Result<(), RtnlError>> {
    let mut results = Vec::with_capacity(edits.len());
    for edits in edits.chunks(BATCH_MAX) {
        let mut requests = Vec::with_capacity(edits.len());
        let encoded = edits.iter().map(|edit| request(edit, devices).map(|request| requests.push(request)));
        let encoded: Vec<Result<(), RtnlError>> = encoded.collect();
        let mut answers = rtnl.request_batch(requests).await.into_iter();
        results.extend(encoded.into_iter().zip(edits).map(|(encoded, edit)| {
            match encoded.and_then(|()| answers.next().unwrap_or(Err(RtnlError::Closed))) {
                Err(error) if edit.to.is_none() && error.is_absence() => Ok(()),
                result => result,
            }
        }));
    }
    results
}

fn request(edit: &Edit<RouteKey, Route>, devices: &Devices) -> Result<(Message, u16), RtnlError> {
    let (message, flags) = match (&edit.from, &edit.to) {
        (from, Some(to)) => {
            let flag = if from.is_none() { NLM_F_EXCL } else { NLM_F_REPLACE };
            (RouteNetlinkMessage::NewRoute(encode(&edit.key, to, devices)?), NLM_F_CREATE | flag)
        }
        (Some(from), None) => (RouteNetlinkMessage::DelRoute(removal(&edit.key, from)), 0),
        (None, None) => return Err(RtnlError::Closed),
    };
    Ok((message.into(), flags))
}

/// Returns whether a route is ours.
pub fn is_marked(message: &RouteMessage, marks: &Marks) -> bool {
    u8::from(message.header.protocol) == marks.route_protocol && table(message) == marks.route_table
}

fn table(message: &RouteMessage) -> u32 {
    let attribute = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    attribute.unwrap_or_else(|| message.header.table.into())
}

/// Takes a route from a message, unless it is of a kind that we never make.
pub fn decode(message: &RouteMessage, devices: &Devices) -> Option<(RouteKey, Route)> {
    let length = message.header.destination_prefix_length;
    let mut prefix = match message.header.address_family {
        AddressFamily::Inet => IpNet::V4(Ipv4Net::new([0, 0, 0, 0].into(), length).ok()?),
        AddressFamily::Inet6 => IpNet::V6(Ipv6Net::new([0; 16].into(), length).ok()?),
        _ => return None,
    };
    let (mut metric, mut source, mut group, mut hops) = (0, None, None, BTreeSet::new());
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => prefix = IpNet::new(ip(to)?, length).ok()?,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::PrefSource(address) => source = ip(address),
            RouteAttribute::NhId(id) => group = Some(NextHopId(*id)),
            RouteAttribute::MultiPath(ways) => {
                let alive = ways.iter().filter(|way| !way.flags.contains(RouteNextHopFlags::Dead));
                hops.extend(alive.filter_map(|way| hop(way.interface_index, &way.attributes, devices)));
            }
            RouteAttribute::Oif(index) => hops.extend(hop(*index, &message.attributes, devices)),
            _ => {}
        }
    }
    let action = match message.header.kind {
        RouteType::Unicast => match group {
            Some(group) => RouteAction::Group { group, source },
            None => RouteAction::unicast(hops, source),
        },
        RouteType::Unreachable => RouteAction::Unreachable,
        _ => return None,
    };
    let protocol = u8::from(message.header.protocol);
    Some((RouteKey { table: table(message), prefix, metric }, Route { protocol, action }))
}

fn hop(index: u32, attributes: &[RouteAttribute], devices: &Devices) -> Option<RouteHop> {
    let via = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some(IpAddr::V4(*address)),
        _ => None,
    });
    Some(RouteHop { device: devices.name(index)?.clone(), via })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// Makes the message that sets a route.
pub fn encode(key: &RouteKey, route: &Route, devices: &Devices) -> Result<RouteMessage, RtnlError> {
    let mut message = head(key, route);
    match &route.action {
        RouteAction::Unreachable => message.header.kind = RouteType::Unreachable,
        RouteAction::Group { group, source } => {
            message.header.kind = RouteType::Unicast;
            message.attributes.extend(source.map(|source| RouteAttribute::PrefSource(source.into())));
            message.attributes.push(RouteAttribute::NhId(group.0));
        }
        RouteAction::Unicast(unicast) => {
            let Unicast { next_hops, source } = &**unicast;
            message.header.kind = RouteType::Unicast;
            if next_hops.iter().all(|hop| hop.via.is_none()) {
                message.header.scope = RouteScope::Link;
            }
            message.attributes.extend(source.map(|source| RouteAttribute::PrefSource(source.into())));
            let mut ways = Vec::new();
            for hop in next_hops {
                let mut way = RouteNextHop::default();
                way.interface_index = devices.index(&hop.device)?;
                way.attributes.extend(hop.via.map(|via| gateway(&key.prefix, via)));
                ways.push(way);
            }
            if ways.len() > 1 {
                message.attributes.push(RouteAttribute::MultiPath(ways));
            } else if let Some(way) = ways.pop() {
                message.attributes.push(RouteAttribute::Oif(way.interface_index));
                message.attributes.extend(way.attributes);
            }
        }
    }
    Ok(message)
}

/// Makes the message that removes a route with all its ways.
pub fn removal(key: &RouteKey, route: &Route) -> RouteMessage {
    let mut message = head(key, route);
    // Any scope, any kind: table, prefix, metric and protocol say enough.
    message.header.scope = RouteScope::NoWhere;
    message.header.kind = RouteType::Unspec;
    message
}

fn head(key: &RouteKey, route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = match key.prefix {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = key.prefix.prefix_len();
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.scope = RouteScope::Universe;
    message.header.flags = RouteFlags::empty();
    message.header.table = u8::try_from(key.table).unwrap_or_default();
    message.attributes.push(RouteAttribute::Table(key.table));
    message.attributes.push(RouteAttribute::Destination(key.prefix.network().into()));
    message.attributes.push(RouteAttribute::Priority(key.metric));
    message
}

/// An IPv4 route by an IPv6 neighbor says so with an attribute of its own (RFC 5549).
fn gateway(prefix: &IpNet, via: IpAddr) -> RouteAttribute {
    match (prefix, via) {
        (IpNet::V4(_), IpAddr::V6(via)) => RouteAttribute::Via(RouteVia::Inet6(via)),
        (_, via) => RouteAttribute::Gateway(via.into()),
    }
}

#[cfg(test)]
mod tests {
    use vxlan::link::LinkName;

    use super::*;

    fn devices() -> Devices {
        let mut devices = Devices::default();
        devices.insert(7, LinkName::new("dlan-vx2").unwrap());
        devices.insert(8, LinkName::new("dlan-vx3").unwrap());
        devices
    }

    fn route(prefix: &str, hops: &[(&str, Option<&str>)], source: &str) -> (RouteKey, Route) {
        let next_hops = hops
            .iter()
            .map(|(device, via)| RouteHop {
                device: LinkName::new(device).unwrap(),
                via: via.map(|via| via.parse().unwrap()),
            })
            .collect();
        let key = RouteKey { table: 1410, prefix: prefix.parse().unwrap(), metric: 32 };
        let action = RouteAction::unicast(next_hops, Some(source.parse().unwrap()));
        (key, Route { protocol: 141, action })
    }

    #[test]
    fn a_route_survives_the_way_into_a_message_and_back() {
        for (key, value) in [
            route("10.2.0.0/24", &[("dlan-vx2", Some("fe80::1"))], "10.1.1.1"),
            route(
                "10.2.0.0/24",
                &[("dlan-vx2", Some("fe80::1")), ("dlan-vx3", Some("10.0.4.10"))],
                "10.1.1.1",
            ),
            route("10.1.0.2/32", &[("dlan-vx2", None)], "10.1.0.1"),
            route("fd00::/64", &[("dlan-vx2", Some("fe80::1")), ("dlan-vx3", Some("fe80::1"))], "fd00::1"),
        ] {
            let message = encode(&key, &value, &devices()).unwrap();
            assert_eq!(decode(&message, &devices()), Some((key, value)));
        }
        let (key, Route { protocol, action }) = route("10.2.0.0/24", &[], "10.1.1.1");
        let by_group = RouteAction::Group { group: NextHopId(141_000_001), source: action.source() };
        let value = Route { protocol, action: by_group };
        let message = encode(&key, &value, &devices()).unwrap();
        assert_eq!(decode(&message, &devices()), Some((key, value)));
    }

    #[test]
    fn a_way_that_the_kernel_calls_dead_is_not_there() {
        let (key, value) =
            route("10.2.0.0/24", &[("dlan-vx2", Some("fe80::1")), ("dlan-vx3", Some("fe80::2"))], "10.1.1.1");
        let mut message = encode(&key, &value, &devices()).unwrap();
        for attribute in &mut message.attributes {
            if let RouteAttribute::MultiPath(ways) = attribute {
                ways[0].flags |= RouteNextHopFlags::Dead;
            }
        }
        let (_, seen) = decode(&message, &devices()).unwrap();
        let RouteAction::Unicast(unicast) = seen.action else { panic!("{seen}") };
        assert_eq!(unicast.next_hops.len(), 1);
    }

    #[test]
    fn only_our_protocol_in_our_table_is_ours() {
        let (key, value) = route("10.2.0.0/24", &[("dlan-vx2", Some("fe80::1"))], "10.1.1.1");
        let message = encode(&key, &value, &devices()).unwrap();
        let marks = |route_table, route_protocol| Marks {
            route_table,
            route_protocol,
            loopback_ipv4: "10.1.1.0/24".parse().unwrap(),
            loopback_ipv6: "fd00:0:1:1::/64".parse().unwrap(),
            wg_device: LinkName::new("dlan-wg").unwrap(),
        };
        assert!(is_marked(&message, &marks(1410, 141)));
        assert!(!is_marked(&message, &marks(1410, 4)));
        assert!(!is_marked(&message, &marks(254, 141)));
    }
}
