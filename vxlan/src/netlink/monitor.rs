//! A stream of what the kernel says about devices and addresses, that never ends.

use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkFlags, LinkMessage};
use tokio::task::JoinHandle;

use super::device::Device;
use super::rtnl::read_address;
use crate::event::LinkEvent;
use crate::link::LinkName;

/// How long to wait before the socket is opened again after it failed.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// Listens to the kernel from the moment it is opened. Observe after opening it, and nothing is missed.
pub struct Monitor {
    messages: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
    connection: JoinHandle<()>,
}

impl Monitor {
    /// Opens a socket in the network namespace of the calling thread; must be called inside a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)?;
        let messages = messages.map(|(message, _)| message).boxed();
        Ok(Self { messages, connection: tokio::spawn(connection) })
    }

    /// Returns the next event, waiting for it. Where messages were lost, or the socket failed and was opened again, that
    /// is [`LinkEvent::Resync`]. Dropping the future loses nothing.
    pub async fn next(&mut self) -> LinkEvent {
        loop {
            match self.messages.next().await {
                Some(message) => {
                    if let Some(event) = read(&message.payload) {
                        return event;
                    }
                }
                None => match Self::open() {
                    Ok(monitor) => {
                        *self = monitor;
                        return LinkEvent::Resync;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot listen to the kernel's messages, trying again");
                        tokio::time::sleep(REOPEN_AFTER).await;
                    }
                },
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn read(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkEvent> {
    match payload {
        NetlinkPayload::Overrun(_) | NetlinkPayload::Error(_) => Some(LinkEvent::Resync),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => read_link(message),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
            let device = Device::read(message)?;
            Some(LinkEvent::LinkRemoved { index: device.index, name: LinkName::new(&device.name).ok()? })
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => {
            Some(LinkEvent::AddressAdded { index: message.header.index, address: read_address(message)? })
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => {
            Some(LinkEvent::AddressRemoved { index: message.header.index, address: read_address(message)? })
        }
        _ => None,
    }
}

fn read_link(message: &LinkMessage) -> Option<LinkEvent> {
    let device = Device::read(message)?;
    Some(LinkEvent::Link {
        index: device.index,
        name: LinkName::new(&device.name).ok()?,
        up: device.up,
        carrier: message.header.flags.contains(LinkFlags::LowerUp | LinkFlags::Running),
        mtu: (device.mtu > 0).then_some(device.mtu),
    })
}
