//! Addresses on devices that are not links.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::rtnl::{Devices, Message, Rtnl, RtnlError};
use crate::plan::change::Edit;
use crate::state::marks::Marks;
use crate::state::{DeviceAddress, LOOPBACK_DEVICE};

/// An address as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The address.
    pub at: DeviceAddress,
    /// Who set it (IFA_PROTO); 0 where the kernel does not keep that.
    pub protocol: u8,
    /// Whether programs can use it: an IPv6 address cannot be used while it is being tried whether another host has it.
    pub is_usable: bool,
}

impl Found {
    /// Returns whether it carries the mark: its protocol number; on older kernels the record of what we set, or
    /// being an identity of this mesh on the loopback device.
    pub fn is_marked(&self, marks: &BTreeSet<Marks>, recorded: &BTreeSet<DeviceAddress>) -> bool {
        let is_identity = |mark: &Marks| {
            self.at.device.as_str() == LOOPBACK_DEVICE
                && match self.at.address {
                    IpNet::V4(net) => net.prefix_len() == 32 && mark.loopback_ipv4.contains(&net.addr()),
                    IpNet::V6(net) => net.prefix_len() == 128 && mark.loopback_ipv6.contains(&net.addr()),
                }
        };
        recorded.contains(&self.at)
            || marks.iter().any(|mark| mark.route_protocol == self.protocol || is_identity(mark))
    }
}

/// Returns all addresses of all devices.
pub async fn dump(rtnl: &Rtnl, devices: &Devices) -> Result<Vec<Found>, RtnlError> {
    let messages = rtnl.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).await?;
    let found = messages.into_iter().filter_map(|message| match message {
        Message::Route(RouteNetlinkMessage::NewAddress(message)) => decode(&message, devices),
        _ => None,
    });
    Ok(found.collect())
}

/// Makes the edit. `protocol` is left with the address, where the kernel keeps it.
pub async fn apply(
    rtnl: &Rtnl,
    devices: &Devices,
    edit: &Edit<DeviceAddress, ()>,
    protocol: u8,
) -> Result<(), RtnlError> {
    let message = devices.index(&edit.key.device).map(|index| encode(&edit.key, index, protocol));
    if edit.to.is_some() {
        return rtnl.request(RouteNetlinkMessage::NewAddress(message?), NLM_F_CREATE | NLM_F_EXCL).await;
    }
    let result = match message {
        Ok(message) => rtnl.request(RouteNetlinkMessage::DelAddress(message), 0).await,
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.is_absence() => Ok(()),
        result => result,
    }
}

fn decode(message: &AddressMessage, devices: &Devices) -> Option<Found> {
    let (mut local, mut address, mut protocol) = (None, None, 0);
    let mut flags = AddressFlags::empty();
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Protocol(number) => protocol = u8::from(*number),
            AddressAttribute::Flags(found) => flags = *found,
            _ => {}
        }
    }
    let device = devices.name(message.header.index)?.clone();
    let address = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    let is_usable = !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed);
    Some(Found { at: DeviceAddress { device, address }, protocol, is_usable })
}

fn encode(at: &DeviceAddress, index: u32, protocol: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    let ip = at.address.addr();
    message.header.index = index;
    message.header.prefix_len = at.address.prefix_len();
    message.header.family = match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(ip));
    message.attributes.push(AddressAttribute::Address(ip));
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(protocol)));
    if ip.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message
}

#[cfg(test)]
mod tests {
    use vxlan::link::LinkName;

    use super::*;

    fn found(device: &str, address: &str, protocol: u8) -> Found {
        let at = DeviceAddress { device: LinkName::new(device).unwrap(), address: address.parse().unwrap() };
        Found { at, protocol, is_usable: true }
    }

    #[test]
    fn identities_marked_and_recorded_addresses_are_ours_and_no_others() {
        let marks = BTreeSet::from([Marks {
            route_table: 141,
            route_protocol: 141,
            loopback_ipv4: "10.1.1.0/24".parse().unwrap(),
            loopback_ipv6: "fd00:0:1:1::/64".parse().unwrap(),
            wg_device: LinkName::new("dlan-wg").unwrap(),
        }]);
        let recorded = BTreeSet::from([found("br-lan", "10.2.0.1/24", 0).at]);
        let is_marked =
            |device, address, protocol| found(device, address, protocol).is_marked(&marks, &recorded);
        assert!(is_marked("lo", "10.1.1.7/32", 0));
        assert!(is_marked("lo", "fd00:0:1:1::7/128", 0));
        assert!(is_marked("br-lan", "10.2.0.1/24", 0));
        assert!(is_marked("eth1", "192.168.7.1/24", 141));
        assert!(!is_marked("lo", "10.1.1.7/24", 0), "an identity has no prefix");
        assert!(!is_marked("lo", "127.0.0.1/8", 0));
        assert!(!is_marked("br-lan", "10.1.1.7/32", 0));
        assert!(!is_marked("br-lan", "10.2.0.2/24", 3));
    }

    #[test]
    fn an_address_survives_the_way_into_a_message_and_back() {
        let mut devices = Devices::default();
        devices.insert(3, LinkName::new("br-lan").unwrap());
        for address in ["10.2.0.1/24", "fd79::1/64"] {
            let found = found("br-lan", address, 141);
            assert_eq!(decode(&encode(&found.at, 3, 141), &devices), Some(found));
        }
    }
}
