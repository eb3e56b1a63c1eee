//! What the kernel has told of devices so far: which are down, and whether a message says anything else of one than that its
//! carrier came or went.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vxlan::link::LinkName;

/// Devices that are remembered; what is told of others counts as something new each time.
const DEVICES_MAX: usize = 1024;

/// What was told.
#[derive(Debug, Default)]
pub struct Told {
    /// The devices that can carry nothing.
    down: BTreeSet<LinkName>,
    /// What each device is, by its number.
    devices: BTreeMap<u32, Vec<LinkAttribute>>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The device is down, without carrier, or gone.
    Down {
        /// The device.
        device: LinkName,
        /// Whether somebody has set it down, or removed it.
        is_set: bool,
    },
    /// The device that was said to be down can carry packets again.
    Up(LinkName),
    /// Nothing of a carrier that was not told before, but something else.
    Other,
    /// Nothing that was not told before.
    Nothing,
}

impl Told {
    /// Takes a message and returns what it says; nothing where it is of no device.
    pub fn handle(&mut self, payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<News> {
        let (link, is_gone) = match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => (link, false),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => (link, true),
            _ => return None,
        };
        if link.header.interface_family != AddressFamily::Unspec {
            // Of a port of a bridge: it may leave the bridge and be there all the same.
            return Some(News::Other);
        }
        let is_same = self.is_same(link, is_gone);
        let device = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => LinkName::new(name).ok(),
            _ => None,
        });
        let other = if is_same { News::Nothing } else { News::Other };
        let Some(device) = device else { return Some(other) };
        let flags = link.header.flags;
        if flags.contains(LinkFlags::Up | LinkFlags::LowerUp) && !is_gone {
            return Some(if self.down.remove(&device) { News::Up(device) } else { other });
        }
        if self.down.len() < DEVICES_MAX {
            self.down.insert(device.clone());
        }
        Some(News::Down { device, is_set: is_gone || !flags.contains(LinkFlags::Up) })
    }

    /// Notes what a device is, and returns whether that was told before.
    fn is_same(&mut self, link: &LinkMessage, is_gone: bool) -> bool {
        let index = link.header.index;
        if is_gone {
            self.devices.remove(&index);
            return false;
        }
        let lasting = |attribute: &&LinkAttribute| {
            matches!(
                attribute,
                LinkAttribute::IfName(_)
                    | LinkAttribute::IfAlias(_)
                    | LinkAttribute::Mtu(_)
                    | LinkAttribute::Address(_)
                    | LinkAttribute::LinkInfo(_)
                    | LinkAttribute::Link(_)
                    | LinkAttribute::Controller(_)
            )
        };
        let is: Vec<LinkAttribute> = link.attributes.iter().filter(lasting).cloned().collect();
        if self.devices.get(&index) == Some(&is) {
            return true;
        }
        if self.devices.len() < DEVICES_MAX || self.devices.contains_key(&index) {
            self.devices.insert(index, is);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flags: LinkFlags, mtu: u32) -> NetlinkPayload<RouteNetlinkMessage> {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.header.flags = flags;
        link.attributes = vec![LinkAttribute::IfName("dlan-vx2".to_owned()), LinkAttribute::Mtu(mtu)];
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link))
    }

    #[test]
    fn a_carrier_that_comes_back_is_told_once_and_says_nothing_else() {
        let (up, dark) = (LinkFlags::Up | LinkFlags::LowerUp, LinkFlags::Up);
        let device = || LinkName::new("dlan-vx2").unwrap();
        let mut told = Told::default();
        assert_eq!(told.handle(&message(up, 1370)), Some(News::Other), "it may have come");
        for _ in 0..3 {
            let lost = News::Down { device: device(), is_set: false };
            assert_eq!(told.handle(&message(dark, 1370)), Some(lost));
            assert_eq!(told.handle(&message(up, 1370)), Some(News::Up(device())));
            assert_eq!(told.handle(&message(up, 1370)), Some(News::Nothing), "the kernel tells twice");
        }
        assert_eq!(told.handle(&message(up, 1300)), Some(News::Other));
        let set = News::Down { device: device(), is_set: true };
        assert_eq!(told.handle(&message(LinkFlags::empty(), 1300)), Some(set));
    }

    #[test]
    fn a_device_that_was_removed_is_another_when_it_comes_again() {
        let up = || message(LinkFlags::Up | LinkFlags::LowerUp, 1370);
        let mut told = Told::default();
        told.handle(&up());
        assert_eq!(told.handle(&up()), Some(News::Nothing));
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = up() else { panic!() };
        told.handle(&NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)));
        assert!(matches!(told.handle(&up()), Some(News::Up(_))));
        assert_eq!(told.handle(&up()), Some(News::Nothing));
    }
}
