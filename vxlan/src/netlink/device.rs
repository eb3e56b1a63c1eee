//! A device as the kernel lists it, and the messages that create and change one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVxlan, LinkWireguard};

use crate::link::{Link, LinkKind, LinkName};
use crate::vtep::{MacAddress, Vni, VxlanLink};

/// A device as seen, ours or not.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) index: u32,
    pub(super) name: String,
    /// Empty where it has none.
    pub(super) alias: String,
    pub(super) mtu: u32,
    pub(super) up: bool,
    pub(super) kind: DeviceKind,
}

/// What a device is, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeviceKind {
    /// The kernel's WireGuard.
    WireGuard,
    /// A device that a process made, as the embedded WireGuard does.
    Tun,
    /// A VXLAN device.
    Vxlan(VxlanSeen),
    /// Anything else, by the kernel's word for it.
    Other(String),
}

/// What the kernel says of a VXLAN device; `None` where it is not set, or not what we ever set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct VxlanSeen {
    vni: Option<u32>,
    local: Option<Ipv4Addr>,
    port: Option<u16>,
    /// The number of the device below.
    pub(super) underlay: Option<u32>,
    mac: Option<MacAddress>,
}

impl Device {
    /// Reads a message of a device, or returns nothing where it is about something else (bridge ports have such).
    pub(super) fn read(message: &LinkMessage) -> Option<Self> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let mut device = Self {
            index: message.header.index,
            name: String::new(),
            alias: String::new(),
            mtu: 0,
            up: message.header.flags.contains(LinkFlags::Up),
            kind: DeviceKind::Other(String::new()),
        };
        let (mut infos, mut mac) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name.clone_from(name),
                LinkAttribute::IfAlias(alias) => device.alias.clone_from(alias),
                LinkAttribute::Mtu(mtu) => device.mtu = *mtu,
                LinkAttribute::Address(octets) => {
                    mac = <[u8; 6]>::try_from(octets.as_slice()).ok().map(MacAddress);
                }
                LinkAttribute::LinkInfo(list) => infos = Some(list),
                _ => {}
            }
        }
        device.kind = read_kind(infos.map_or(&[], Vec::as_slice), mac);
        (!device.name.is_empty()).then_some(device)
    }

    /// Returns whether the device carries our mark: a name of ours, an alias, and a kind that we make. Only such a
    /// device is ever observed, changed or removed.
    pub(super) fn is_ours(&self, prefix: &str) -> bool {
        let kind = !matches!(self.kind, DeviceKind::Other(_));
        kind && self.name.starts_with(prefix) && !self.alias.is_empty()
    }

    /// Returns whether this may be the wanted device left half-made: as it is right after its creation, down and before
    /// its alias could be set. A VXLAN device is known by its numbers; of a WireGuard device the caller must see that
    /// it is empty.
    pub(super) fn is_half_made(&self, wanted: &Link) -> bool {
        let is_untouched = self.name == wanted.name.as_str() && self.alias.is_empty() && !self.up;
        is_untouched
            && match (&self.kind, &wanted.kind) {
                (DeviceKind::Vxlan(seen), LinkKind::Vxlan(vxlan)) => seen.is(vxlan),
                (DeviceKind::WireGuard, LinkKind::WireGuard(_)) => true,
                _ => false,
            }
    }

    /// Says in words what it is, for an error.
    pub(super) fn words(&self) -> String {
        let kind = match &self.kind {
            DeviceKind::WireGuard => "wireguard",
            DeviceKind::Tun => "tun",
            DeviceKind::Vxlan(_) => "vxlan",
            DeviceKind::Other(kind) if kind.is_empty() => "device",
            DeviceKind::Other(kind) => kind,
        };
        if self.alias.is_empty() {
            format!("a {kind} without alias")
        } else {
            format!("a {kind} with alias {:?}", self.alias)
        }
    }
}

impl VxlanSeen {
    /// Returns whether it was created as the wanted device.
    fn is(&self, wanted: &VxlanLink) -> bool {
        let seen = (self.vni, self.local, self.port, self.mac);
        seen == (Some(wanted.vni.get()), Some(wanted.local), Some(wanted.port), Some(wanted.mac))
    }

    /// Returns the device as a value, or nothing where it lacks what each of ours has.
    pub(super) fn to_link(&self, underlay: LinkName, remotes: BTreeSet<Ipv4Addr>) -> Option<VxlanLink> {
        Some(VxlanLink {
            vni: Vni::new(self.vni?)?,
            local: self.local?,
            port: self.port?,
            underlay,
            mac: self.mac?,
            remotes,
        })
    }
}

fn read_kind(infos: &[LinkInfo], mac: Option<MacAddress>) -> DeviceKind {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    match kind {
        Some(InfoKind::Wireguard) => DeviceKind::WireGuard,
        Some(InfoKind::Tun) => DeviceKind::Tun,
        Some(InfoKind::Vxlan) => DeviceKind::Vxlan(read_vxlan(infos, mac)),
        Some(other) => DeviceKind::Other(other.to_string()),
        None => DeviceKind::Other(String::new()),
    }
}

fn read_vxlan(infos: &[LinkInfo], mac: Option<MacAddress>) -> VxlanSeen {
    let mut seen = VxlanSeen { mac, ..VxlanSeen::default() };
    for info in infos {
        let LinkInfo::Data(InfoData::Vxlan(attributes)) = info else { continue };
        for attribute in attributes {
            match attribute {
                InfoVxlan::Id(vni) => seen.vni = Some(*vni),
                InfoVxlan::Local(local) => seen.local = Some(*local),
                InfoVxlan::Port(port) => seen.port = Some(*port),
                InfoVxlan::Link(underlay) => seen.underlay = Some(*underlay),
                _ => {}
            }
        }
    }
    seen
}

/// Returns the message that creates a kernel WireGuard device, down.
pub(super) fn create_wireguard(link: &Link) -> LinkMessage {
    LinkMessageBuilder::<LinkWireguard>::new(link.name.as_str()).mtu(link.mtu).build()
}

/// Returns the message that creates a VXLAN device, down, over the device of number `underlay`. Its FDB gets the remote
/// afterwards: unlike a `remote` given here, an FDB entry can be changed while the device lives.
pub(super) fn create_vxlan(link: &Link, vxlan: &VxlanLink, underlay: u32) -> LinkMessage {
    LinkVxlan::new(link.name.as_str(), vxlan.vni.get())
        .dev(underlay)
        .local(vxlan.local)
        .port(vxlan.port)
        .learning(false)
        .mtu(link.mtu)
        .address(vxlan.mac.0.to_vec())
        .build()
}

/// Returns the message that marks a device as ours and keeps the kernel from inventing a link-local address: creation
/// takes neither of the two.
pub(super) fn mark(index: u32, alias: &str) -> LinkMessage {
    marking(index, alias).build()
}

/// Returns the message that makes a device, just made by a process of ours, one of ours.
#[cfg(feature = "userspace-wireguard")]
pub(super) fn mark_with_mtu(index: u32, alias: &str, mtu: u32) -> LinkMessage {
    marking(index, alias).mtu(mtu).build()
}

fn marking(index: u32, alias: &str) -> LinkMessageBuilder<LinkUnspec> {
    let no_address = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    LinkMessageBuilder::<LinkUnspec>::default()
        .index(index)
        .alias(alias)
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![no_address]))
}

/// Returns the message that changes what differs of the device's own attributes, if anything does.
pub(super) fn alter(index: u32, from: &Link, to: &Link) -> Option<LinkMessage> {
    let mac = |link: &Link| link.vxlan().map(|vxlan| vxlan.mac);
    if (&from.alias, from.mtu, from.up, mac(from)) == (&to.alias, to.mtu, to.up, mac(to)) {
        return None;
    }
    let mut builder = LinkMessageBuilder::<LinkUnspec>::default().index(index);
    if from.alias != to.alias {
        builder = builder.alias(to.alias.as_str());
    }
    if from.mtu != to.mtu {
        builder = builder.mtu(to.mtu);
    }
    if let Some(mac) = mac(to).filter(|new| mac(from) != Some(*new)) {
        builder = builder.address(mac.0.to_vec());
    }
    if from.up != to.up {
        builder = if to.up { builder.up() } else { builder.down() };
    }
    Some(builder.build())
}

/// Returns the message that gives a device another name.
pub(super) fn rename(index: u32, name: &LinkName) -> LinkMessage {
    LinkMessageBuilder::<LinkUnspec>::default().index(index).name(name.as_str()).build()
}

/// Returns the message that takes a device up or down.
pub(super) fn set_up(index: u32, up: bool) -> LinkMessage {
    let builder = LinkMessageBuilder::<LinkUnspec>::default().index(index);
    if up { builder.up().build() } else { builder.down().build() }
}
