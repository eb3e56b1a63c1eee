//! The kernel's table of neighbors, where a next hop is looked up: ARP's and Neighbor Discovery's (RFC 4861 section 7.2).

use std::net::IpAddr;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::rtnl::{Message, Rtnl, RtnlError};

/// Has the kernel forget that it asked for a neighbor in vain: it would wait up to a second before it asks again, and lose or hold
/// up what is sent meanwhile (RFC 4861 section 10, `RETRANS_TIMER`). What it knows of a neighbor stays.
pub async fn forget_unanswered(rtnl: &Rtnl, device: u32, address: IpAddr) -> Result<(), RtnlError> {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = device;
    let (family, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.attributes = vec![NeighbourAttribute::Destination(destination)];
    let found = rtnl.get(RouteNetlinkMessage::GetNeighbour(message.clone())).await?;
    let Some(Message::Route(RouteNetlinkMessage::NewNeighbour(neighbor))) = found else { return Ok(()) };
    if !matches!(neighbor.header.state, NeighbourState::Incomplete | NeighbourState::Failed) {
        return Ok(());
    }
    match rtnl.request(RouteNetlinkMessage::DelNeighbour(message), 0).await {
        Err(error) if error.is_absence() => Ok(()),
        result => result,
    }
}
