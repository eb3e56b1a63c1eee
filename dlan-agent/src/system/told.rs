//! What the kernel's notifications say: which devices went down or came back, and when it is to be looked for the rest. They
//! are read only as far as that takes, for where links flap there are many.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::{NLM_F_REPLACE, NLMSG_DONE, NLMSG_NOOP, NetlinkBuffer, NlasIterator};
use netlink_packet_route::link::LinkFlags;
use netlink_packet_route::neighbour::NeighbourState;
use nix::libc;
use vxlan::link::LinkName;

use super::rtnl_next_hop::{RTM_DELNEXTHOP, RTM_NEWNEXTHOP};

/// Devices that are remembered; what is told of others counts as something new each time.
const DEVICES_MAX: usize = 1024;
/// The first of the tables that are the system's own: `default`, `main`, `local`.
const RT_TABLE_DEFAULT: u8 = 253;
/// How long `struct ifinfomsg` is, which begins what is told of a device.
const IFINFOMSG: usize = 16;
/// What a device is whatever its carrier does: its address, name, MTU, what it stands on, what it is part of, its kind, its alias.
const LASTING: [u16; 7] = [
    libc::IFLA_ADDRESS,
    libc::IFLA_IFNAME,
    libc::IFLA_MTU,
    libc::IFLA_LINK,
    libc::IFLA_MASTER,
    libc::IFLA_LINKINFO,
    libc::IFLA_IFALIAS,
];

/// What was told so far.
#[derive(Debug)]
pub struct Told {
    /// The number that notifications of our own routes and next hop objects carry.
    own_port: u32,
    /// The devices that were told to carry nothing.
    down: BTreeSet<LinkName>,
    /// What each device is, by its number: the attributes that last, as they were told.
    devices: BTreeMap<u32, Vec<u8>>,
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
    /// Something that it is to be looked for.
    Soon,
    /// Something that it is to be looked for, but what the kernel itself does with a device that goes.
    Later,
    /// Nothing that was not told before, or that is anybody's drift.
    Nothing,
}

impl Told {
    /// Makes one that was told nothing. `own_port` is that of the connection which sets routes and next hop objects.
    pub const fn new(own_port: u32) -> Self {
        Self { own_port, down: BTreeSet::new(), devices: BTreeMap::new() }
    }

    /// Takes a message and returns what it says. Routes come and are changed mostly by our own doing, and in the main table by
    /// that of others, which is no business of ours.
    pub fn handle(&mut self, message: &NetlinkBuffer<&[u8]>) -> News {
        let (content, port) = (message.payload(), message.port_number());
        let soon = |is_telling: bool| if is_telling { News::Soon } else { News::Nothing };
        match message.message_type() {
            libc::RTM_NEWLINK => self.handle_device(content, false),
            libc::RTM_DELLINK => self.handle_device(content, true),
            // Routes of its own the kernel takes away with a device or an address.
            libc::RTM_DELROUTE if content.get(5) == Some(&libc::RTPROT_KERNEL) => News::Nothing,
            libc::RTM_DELROUTE | RTM_DELNEXTHOP => self.gone(port),
            libc::RTM_NEWROUTE => {
                let is_replaced = message.flags() & NLM_F_REPLACE != 0;
                let is_ours = content.get(4).is_some_and(|table| *table < RT_TABLE_DEFAULT);
                soon(is_replaced && port != self.own_port && is_ours)
            }
            RTM_NEWNEXTHOP => soon(port != self.own_port),
            libc::RTM_NEWNEIGH | libc::RTM_DELNEIGH => soon(is_made_by_hand(content)),
            NLMSG_DONE | NLMSG_NOOP => News::Nothing,
            _ => News::Soon,
        }
    }

    /// Returns what it says that something went in this name: this program knows what it has taken away itself, and what the
    /// kernel takes comes with a device.
    const fn gone(&self, port: u32) -> News {
        match port {
            0 => News::Later,
            port if port == self.own_port => News::Nothing,
            _ => News::Soon,
        }
    }

    fn handle_device(&mut self, content: &[u8], is_gone: bool) -> News {
        let (Some(family), Some(index), Some(flags)) =
            (content.first(), number(content, 4), number(content, 8))
        else {
            return News::Soon;
        };
        if i32::from(*family) != libc::AF_UNSPEC {
            // Of a port of a bridge: it may leave the bridge and be there all the same.
            return News::Soon;
        }
        let (mut device, mut lasting) = (None, Vec::new());
        let attributes = NlasIterator::new(content.get(IFINFOMSG..).unwrap_or_default());
        for attribute in attributes.map_while(Result::ok).filter(|one| LASTING.contains(&one.kind())) {
            let value = attribute.value();
            if attribute.kind() == libc::IFLA_IFNAME {
                device = str::from_utf8(value)
                    .ok()
                    .and_then(|name| LinkName::new(name.trim_end_matches('\0')).ok());
            }
            lasting.extend(attribute.kind().to_ne_bytes());
            lasting.extend(attribute.length().to_ne_bytes());
            lasting.extend(value);
        }
        let other = if self.is_same(index, lasting, is_gone) { News::Nothing } else { News::Soon };
        let Some(device) = device else { return other };
        let flags = LinkFlags::from_bits_retain(flags);
        if carries(flags) && !is_gone {
            return if self.down.remove(&device) { News::Up(device) } else { other };
        }
        let is_set = is_gone || !flags.contains(LinkFlags::Up);
        if self.down.contains(&device) && !is_set {
            return other;
        }
        if self.down.len() < DEVICES_MAX {
            self.down.insert(device.clone());
        }
        News::Down { device, is_set }
    }

    /// Notes what a device is, and returns whether that was told before.
    fn is_same(&mut self, index: u32, lasting: Vec<u8>, is_gone: bool) -> bool {
        if is_gone {
            self.devices.remove(&index);
            return false;
        }
        if self.devices.get(&index) == Some(&lasting) {
            return true;
        }
        if self.devices.len() < DEVICES_MAX || self.devices.contains_key(&index) {
            self.devices.insert(index, lasting);
        }
        false
    }
}

/// Returns whether a device with these flags can carry packets. One whose carrier is back is not running yet: until the kernel has told
/// that too, it drops what is sent.
pub fn carries(flags: LinkFlags) -> bool {
    flags.contains(LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running)
}

/// Returns whether it is an entry of a forwarding database that does not come and go with traffic, as the remote end of a
/// VXLAN device: by `struct ndmsg`.
fn is_made_by_hand(content: &[u8]) -> bool {
    // The state is a set of bits: the kernel also says that such an entry is reachable.
    let lasts = u16::from(NeighbourState::Permanent) | u16::from(NeighbourState::Noarp);
    let state = content.get(8..10).and_then(|octets| octets.try_into().ok()).map_or(0, u16::from_ne_bytes);
    content.first().is_some_and(|family| i32::from(*family) == libc::AF_BRIDGE) && state & lasts != 0
}

fn number(content: &[u8], at: usize) -> Option<u32> {
    content.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};
    use netlink_packet_route::neighbour::NeighbourMessage;
    use netlink_packet_route::route::{RouteMessage, RouteProtocol};
    use proptest::prelude::*;

    use super::*;

    const OWN: u32 = 4711;

    fn message(header: (u16, u16, u32), content: &impl Emitable) -> Vec<u8> {
        let mut octets = vec![0; content.buffer_len()];
        content.emit(&mut octets);
        framed(header, &octets)
    }

    fn framed((kind, flags, port): (u16, u16, u32), content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + content.len()).unwrap();
        let header = [length.to_ne_bytes(), [0; 4], [0; 4], port.to_ne_bytes()];
        let mut octets = [header.as_flattened(), content].concat();
        octets[4..6].copy_from_slice(&kind.to_ne_bytes());
        octets[6..8].copy_from_slice(&flags.to_ne_bytes());
        octets
    }

    fn device(kind: u16, flags: LinkFlags, mtu: u32) -> Vec<u8> {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.header.flags = flags;
        link.attributes = vec![LinkAttribute::IfName("dlan-vx2".to_owned()), LinkAttribute::Mtu(mtu)];
        message((kind, 0, 0), &link)
    }

    fn handle(told: &mut Told, octets: &[u8]) -> News {
        told.handle(&NetlinkBuffer::new_checked(octets).unwrap())
    }

    const UP: LinkFlags = LinkFlags::Up.union(LinkFlags::LowerUp).union(LinkFlags::Running);

    #[test]
    fn a_carrier_that_comes_back_is_told_once_and_says_nothing_else() {
        let name = || LinkName::new("dlan-vx2").unwrap();
        let of = |flags, mtu| device(libc::RTM_NEWLINK, flags, mtu);
        let mut told = Told::new(OWN);
        assert_eq!(handle(&mut told, &of(UP, 1370)), News::Soon, "it may have come");
        for _ in 0..3 {
            let lost = News::Down { device: name(), is_set: false };
            assert_eq!(handle(&mut told, &of(UP - LinkFlags::LowerUp, 1370)), lost);
            assert_eq!(handle(&mut told, &of(LinkFlags::Up, 1370)), News::Nothing, "the kernel tells twice");
            let back = handle(&mut told, &of(UP - LinkFlags::Running, 1370));
            assert_eq!(back, News::Nothing, "what is sent now is dropped");
            assert_eq!(handle(&mut told, &of(UP, 1370)), News::Up(name()));
            assert_eq!(handle(&mut told, &of(UP, 1370)), News::Nothing, "the kernel tells twice");
        }
        assert_eq!(handle(&mut told, &of(UP, 1300)), News::Soon);
        let set = News::Down { device: name(), is_set: true };
        assert_eq!(handle(&mut told, &of(LinkFlags::empty(), 1300)), set);
    }

    #[test]
    fn a_device_that_was_removed_is_another_when_it_comes_again() {
        let up = device(libc::RTM_NEWLINK, UP, 1370);
        let mut told = Told::new(OWN);
        handle(&mut told, &up);
        assert_eq!(handle(&mut told, &up), News::Nothing);
        handle(&mut told, &device(libc::RTM_DELLINK, UP, 1370));
        assert!(matches!(handle(&mut told, &up), News::Up(_)));
        assert_eq!(handle(&mut told, &up), News::Nothing);
    }

    #[test]
    fn of_routes_only_those_that_others_change_or_take_away_from_our_tables_are_looked_for() {
        let route = |kind, flags, port, protocol, table| {
            let mut route = RouteMessage::default();
            route.header.protocol = protocol;
            route.header.table = table;
            handle(&mut Told::new(OWN), &message((kind, flags, port), &route))
        };
        let (new, del) = (libc::RTM_NEWROUTE, libc::RTM_DELROUTE);
        let ours = RouteProtocol::Other(141);
        assert_eq!(route(new, NLM_F_REPLACE, 9, ours, 141), News::Soon);
        assert_eq!(route(new, NLM_F_REPLACE, OWN, ours, 141), News::Nothing);
        assert_eq!(route(new, NLM_F_REPLACE, 9, ours, 254), News::Nothing);
        assert_eq!(route(new, 0, 9, ours, 141), News::Nothing);
        assert_eq!(route(del, 0, 9, ours, 141), News::Soon);
        assert_eq!(route(del, 0, OWN, ours, 141), News::Nothing);
        assert_eq!(route(del, 0, 0, ours, 141), News::Later);
        assert_eq!(route(del, 0, 0, RouteProtocol::Kernel, 255), News::Nothing);
    }

    #[test]
    fn of_neighbors_only_remote_ends_that_were_set_are_looked_for() {
        let neighbor = |family, state| {
            let mut neighbor = NeighbourMessage::default();
            neighbor.header.family = family;
            neighbor.header.state = state;
            handle(&mut Told::new(OWN), &message((libc::RTM_NEWNEIGH, 0, 9), &neighbor))
        };
        assert_eq!(neighbor(AddressFamily::Bridge, NeighbourState::Permanent), News::Soon);
        assert_eq!(neighbor(AddressFamily::Bridge, NeighbourState::Reachable), News::Nothing);
        assert_eq!(neighbor(AddressFamily::Inet6, NeighbourState::Permanent), News::Nothing);
    }

    #[test]
    fn next_hop_objects_of_others_and_everything_unknown_are_looked_for() {
        let of =
            |kind, port| handle(&mut Told::new(OWN), &message((kind, 0, port), &RouteMessage::default()));
        assert_eq!(of(RTM_NEWNEXTHOP, OWN), News::Nothing);
        assert_eq!(of(RTM_NEWNEXTHOP, 9), News::Soon);
        assert_eq!(of(RTM_DELNEXTHOP, 0), News::Later);
        assert_eq!(of(RTM_DELNEXTHOP, 9), News::Soon);
        assert_eq!(of(libc::RTM_NEWADDR, 0), News::Soon);
        assert_eq!(of(libc::RTM_DELRULE, 9), News::Soon);
        assert_eq!(of(NLMSG_DONE, 0), News::Nothing);
    }

    proptest! {
        #[test]
        fn any_octets_are_taken(kind in 0_u16..130, content in prop::collection::vec(any::<u8>(), 0..120)) {
            handle(&mut Told::new(OWN), &framed((kind, 0, 9), &content));
        }
    }
}
