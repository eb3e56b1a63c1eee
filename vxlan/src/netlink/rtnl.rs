//! Requests to the kernel's route netlink: devices, their addresses, the FDB of VXLAN devices.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt as _;
use ipnet::IpNet;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::adopt::is_link_local;
use super::device::Device;
use super::error::NetlinkError;

/// The kernel's sign that a list changed while it was read (`NLM_F_DUMP_INTR`).
const DUMP_INTERRUPTED: u16 = 0x10;

/// How often a list that changed while it was read is read again.
const DUMP_ATTEMPTS: usize = 8;

/// The MAC address of the FDB entry that takes every frame without an entry of its own.
const DEFAULT_ENTRY: [u8; 6] = [0; 6];

/// A connection to route netlink, one request at a time.
#[derive(Debug)]
pub(super) struct Rtnl {
    handle: Handle,
}

impl Rtnl {
    /// Opens a socket in the network namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        let (mut connection, handle, _) = rtnetlink::new_connection()?;
        // Without these an answer that never came looks like a good one.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Returns all devices, by their number.
    pub(super) async fn devices(&mut self) -> Result<BTreeMap<u32, Device>, NetlinkError> {
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let found = self.dump(message).await?;
        let devices = found.iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewLink(link) => Device::read(link),
            _ => None,
        });
        Ok(devices.map(|device| (device.index, device)).collect())
    }

    /// Returns the device of that name, if there is one.
    pub(super) async fn device(&mut self, name: &str) -> Result<Option<Device>, NetlinkError> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
        request.header.flags = NLM_F_REQUEST;
        let mut replies = self.handle.request(request).map_err(|_| NetlinkError::Closed)?;
        let reply = replies.next().await.ok_or(NetlinkError::Closed)?;
        match (check(&reply.payload), &reply.payload) {
            (Ok(()), NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link))) => {
                Ok(Device::read(link))
            }
            (Err(error), _) if error.is_absent() => Ok(None),
            (Err(error), _) => Err(error),
            (Ok(()), _) => Err(NetlinkError::Closed),
        }
    }

    /// Returns the addresses of all devices, by the device's number, without those that linger: the kernel takes them away by
    /// itself.
    pub(super) async fn addresses(&mut self) -> Result<BTreeMap<u32, BTreeSet<IpNet>>, NetlinkError> {
        let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let mut addresses: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
        for message in self.dump(message).await? {
            if let RouteNetlinkMessage::NewAddress(message) = message
                && let Some(address) = read_address(&message)
                && !lingers(&message, &address)
            {
                addresses.entry(message.header.index).or_default().insert(address);
            }
        }
        Ok(addresses)
    }

    /// Returns the remote VTEPs of each VXLAN device's default FDB entry, by the device's number.
    pub(super) async fn remotes(&mut self) -> Result<BTreeMap<u32, BTreeSet<Ipv4Addr>>, NetlinkError> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        let mut remotes: BTreeMap<u32, BTreeSet<Ipv4Addr>> = BTreeMap::new();
        for message in self.dump(RouteNetlinkMessage::GetNeighbour(message)).await? {
            if let RouteNetlinkMessage::NewNeighbour(message) = message
                && let Some(remote) = read_default_entry(&message)
            {
                remotes.entry(message.header.ifindex).or_default().insert(remote);
            }
        }
        Ok(remotes)
    }

    /// Creates a device; refused where one of the name exists.
    pub(super) async fn create(&mut self, link: LinkMessage) -> Result<(), NetlinkError> {
        self.act(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL).await
    }

    /// Changes the device that the message's header names by number.
    pub(super) async fn set(&mut self, link: LinkMessage) -> Result<(), NetlinkError> {
        self.act(RouteNetlinkMessage::SetLink(link), 0).await
    }

    /// Deletes a device.
    pub(super) async fn delete(&mut self, index: u32) -> Result<(), NetlinkError> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.act(RouteNetlinkMessage::DelLink(link), 0).await
    }

    /// Gives a device exactly these addresses, touching only what differs.
    ///
    /// What the kernel has is read again after the removals, for with an IPv4 address go the others of its subnet.
    pub(super) async fn set_addresses(
        &mut self,
        index: u32,
        wanted: &BTreeSet<IpNet>,
    ) -> Result<(), NetlinkError> {
        let seen = self.addresses().await?.remove(&index).unwrap_or_default();
        let superfluous: Vec<_> = seen.difference(wanted).collect();
        for address in &superfluous {
            self.act(RouteNetlinkMessage::DelAddress(address_message(index, **address)), 0)
                .await
                .or_else(NetlinkError::unless_absent)?;
        }
        let left = if superfluous.is_empty() {
            seen
        } else {
            self.addresses().await?.remove(&index).unwrap_or_default()
        };
        for address in wanted.difference(&left) {
            let message = address_message(index, *address);
            self.act(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
                .await
                .or_else(NetlinkError::unless_present)?;
        }
        Ok(())
    }

    /// Has the kernel take an address away after a time, and use it for nothing of its own until then.
    pub(super) async fn let_linger(
        &mut self,
        index: u32,
        address: IpNet,
        time: Duration,
    ) -> Result<(), NetlinkError> {
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let mut message = address_message(index, address);
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
        self.act(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE).await
    }

    /// Makes these the remote VTEPs of a VXLAN device, adding before removing: frames always have a way.
    pub(super) async fn set_remotes(
        &mut self,
        index: u32,
        wanted: &BTreeSet<Ipv4Addr>,
    ) -> Result<(), NetlinkError> {
        let seen = self.remotes().await?.remove(&index).unwrap_or_default();
        for remote in wanted.difference(&seen) {
            let message = RouteNetlinkMessage::NewNeighbour(default_entry(index, *remote));
            self.act(message, NLM_F_CREATE | NLM_F_APPEND).await?;
        }
        for remote in seen.difference(wanted) {
            let message = RouteNetlinkMessage::DelNeighbour(default_entry(index, *remote));
            self.act(message, 0).await.or_else(NetlinkError::unless_absent)?;
        }
        Ok(())
    }

    async fn act(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut replies = self.handle.request(request).map_err(|_| NetlinkError::Closed)?;
        while let Some(reply) = replies.next().await {
            check(&reply.payload)?;
            if is_acknowledgment(&reply.payload) {
                return Ok(());
            }
        }
        Err(NetlinkError::Closed)
    }

    /// Reads a list, again if it changed meanwhile.
    async fn dump(&mut self, message: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.try_dump(message.clone()).await? {
                return Ok(found);
            }
        }
        Err(NetlinkError::Unsteady)
    }

    /// Reads a list, or nothing if it changed meanwhile.
    async fn try_dump(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Option<Vec<RouteNetlinkMessage>>, NetlinkError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut replies = self.handle.request(request).map_err(|_| NetlinkError::Closed)?;
        let (mut found, mut interrupted) = (Vec::new(), false);
        while let Some(reply) = replies.next().await {
            interrupted |= reply.header.flags & DUMP_INTERRUPTED != 0;
            check(&reply.payload)?;
            match reply.payload {
                NetlinkPayload::InnerMessage(message) => found.push(message),
                NetlinkPayload::Done(_) => return Ok((!interrupted).then_some(found)),
                _ => {}
            }
        }
        Err(NetlinkError::Closed)
    }
}

/// Returns the kernel's refusal, if the payload is one.
pub(super) fn check<T>(payload: &NetlinkPayload<T>) -> Result<(), NetlinkError> {
    match payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(NetlinkError::Kernel(error.to_io())),
        NetlinkPayload::Overrun(_) => Err(NetlinkError::Unsteady),
        _ => Ok(()),
    }
}

/// Returns whether the kernel says that it is done.
pub(super) fn is_acknowledgment<T>(payload: &NetlinkPayload<T>) -> bool {
    matches!(payload, NetlinkPayload::Error(error) if error.code.is_none())
}

/// Returns the device's own address: `IFA_LOCAL` where there is one, for on a point-to-point device `IFA_ADDRESS` is
/// the far end's.
pub(super) fn read_address(message: &AddressMessage) -> Option<IpNet> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    IpNet::new(local.or(address)?, message.header.prefix_len).ok()
}

/// Returns whether it is a link-local address with a lifetime, as [`Rtnl::let_linger`] leaves it.
fn lingers(message: &AddressMessage, address: &IpNet) -> bool {
    is_link_local(address) && !message.header.flags.contains(AddressHeaderFlags::Permanent)
}

fn address_message(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix_len();
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    if address.addr().is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes =
        vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
    message
}

fn default_entry(index: u32, remote: Ipv4Addr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes = vec![
        NeighbourAttribute::LinkLayerAddress(DEFAULT_ENTRY.to_vec()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet(remote)),
    ];
    message
}

fn read_default_entry(message: &NeighbourMessage) -> Option<Ipv4Addr> {
    let is_default = message.attributes.iter().any(
        |attribute| matches!(attribute, NeighbourAttribute::LinkLayerAddress(mac) if mac.as_slice() == DEFAULT_ENTRY),
    );
    let remote = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(remote)) => Some(*remote),
        // In an FDB entry the family is that of the bridge, so the address arrives as octets.
        NeighbourAttribute::Destination(NeighbourAddress::Other(octets)) => {
            <[u8; 4]>::try_from(octets.as_slice()).ok().map(Ipv4Addr::from)
        }
        _ => None,
    });
    remote.filter(|_| is_default)
}
