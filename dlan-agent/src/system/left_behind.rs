//! Routes that a routing program of before has left in the kernel's main table.

use std::collections::BTreeMap;
use std::path::Path;

use netlink_packet_route::route::{RouteHeader, RouteMessage, RouteProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vxlan::link::LinkName;

use super::routes;
use super::rtnl::{Devices, Message, Rtnl, RtnlError};
use super::rtnl_dump;
use crate::state::route::{Route, RouteKey};

/// A route that somebody else made.
#[derive(Debug, Clone)]
pub struct LeftRoute {
    message: RouteMessage,
    /// What tells it apart.
    pub key: RouteKey,
    /// What it does.
    pub route: Route,
}

/// Returns the routes of the main table that are not the kernel's own.
pub async fn observe(devices: &Devices) -> Result<Vec<LeftRoute>, RtnlError> {
    let take = |found: &mut Vec<LeftRoute>, message| {
        if let Message::Route(RouteNetlinkMessage::NewRoute(message)) = message
            && message.header.table == RouteHeader::RT_TABLE_MAIN
            && message.header.protocol != RouteProtocol::Kernel
            && let Some((key, route)) = routes::decode(&message, devices)
        {
            found.push(LeftRoute { message, key, route });
        }
    };
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        found.extend(rtnl_dump::gather(RouteNetlinkMessage::GetRoute(request), take).await?);
    }
    Ok(found)
}

/// Removes routes. One that is gone, as those of a device that was down are, is as good as removed.
pub async fn remove(rtnl: &Rtnl, left: impl IntoIterator<Item = &LeftRoute>) -> Result<(), RtnlError> {
    for left in left {
        match rtnl.request(RouteNetlinkMessage::DelRoute(left.message.clone()), 0).await {
            Err(error) if error.is_absence() => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Has the kernel tell a device's neighbors when its MAC address changes: whom they know under the former one would else be silent for
/// them until they ask again.
pub fn announce(root: &Path, device: &LinkName) -> std::io::Result<()> {
    let settings = BTreeMap::from([("net/ipv4/conf", "arp_notify"), ("net/ipv6/conf", "ndisc_notify")]);
    for (of, name) in settings {
        std::fs::write(root.join("proc/sys").join(of).join(device.as_str()).join(name), "1")?;
    }
    Ok(())
}
