//! One rtnetlink connection: requests with their acknowledgments, dumps, and the names of devices.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_proto::ConnectionHandle;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket as _, SocketAddr};
use nix::net::if_::if_nametoindex;
use vxlan::link::LinkName;

use super::rtnl_next_hop::NextHopRequest;
use super::told;

/// How long an answer may take: one that was lost never comes.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// How many requests a datagram has at most: it must fit into the socket's buffer, and so must the answers.
pub(super) const BATCH_MAX: usize = 64;
/// How often a list is read again that changed while it was read.
pub(super) const READ_AGAIN_MAX: usize = 5;

/// A connection to the kernel's routing side; a task of the runtime serves it.
#[derive(Debug, Clone)]
pub struct Rtnl {
    handle: ConnectionHandle<Message>,
    port: u32,
}

/// What is said over the connection: `netlink-packet-route` does not know next hop objects.
#[derive(Debug, Clone)]
pub enum Message {
    /// About devices, addresses, routes and rules.
    Route(RouteNetlinkMessage),
    /// About next hop objects.
    NextHop(NextHopRequest),
}

impl From<RouteNetlinkMessage> for Message {
    fn from(message: RouteNetlinkMessage) -> Self {
        Self::Route(message)
    }
}

impl From<NextHopRequest> for Message {
    fn from(message: NextHopRequest) -> Self {
        Self::NextHop(message)
    }
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        Self::InnerMessage(message)
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        match self {
            Self::Route(message) => message.message_type(),
            Self::NextHop(message) => message.message_type(),
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Route(message) => Emitable::buffer_len(message),
            Self::NextHop(message) => message.encode().len(),
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        match self {
            Self::Route(message) => message.emit(buffer),
            Self::NextHop(message) => {
                let octets = message.encode();
                buffer.iter_mut().zip(octets).for_each(|(octet, value)| *octet = value);
            }
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        if NextHopRequest::has_type(header.message_type) {
            NextHopRequest::decode(header.message_type, payload).map(Self::NextHop)
        } else {
            RouteNetlinkMessage::deserialize(header, payload).map(Self::Route)
        }
    }
}

/// Why the kernel did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RtnlError {
    /// It refused.
    #[error(transparent)]
    Refused(io::Error),
    /// The socket is gone.
    #[error("the netlink socket closed without an answer")]
    Closed,
    /// No answer came.
    #[error("the kernel gave no answer within {DEADLINE:?}")]
    Late,
    /// A list changed each time while it was read.
    #[error("the kernel's list changed each time while it was read")]
    Unsteady,
    /// No such device.
    #[error("there is no device {0}")]
    NoDevice(LinkName),
}

impl RtnlError {
    /// Returns whether the thing to be removed was not there: it is gone, which is what was wanted.
    pub fn is_absence(&self) -> bool {
        const ABSENCES: [i32; 4] =
            [nix::libc::ESRCH, nix::libc::ENOENT, nix::libc::ENODEV, nix::libc::EADDRNOTAVAIL];
        match self {
            Self::Refused(error) => error.raw_os_error().is_some_and(|code| ABSENCES.contains(&code)),
            Self::NoDevice(_) => true,
            Self::Closed | Self::Late | Self::Unsteady => false,
        }
    }

    /// Returns whether the place of the thing to be made is taken.
    pub fn is_presence(&self) -> bool {
        matches!(self, Self::Refused(error) if error.raw_os_error() == Some(nix::libc::EEXIST))
    }
}

/// The devices by number and by name.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    by_index: BTreeMap<u32, LinkName>,
    by_name: BTreeMap<LinkName, u32>,
    up: BTreeSet<LinkName>,
    without_carrier: BTreeSet<LinkName>,
}

impl Devices {
    /// Returns those of these devices that are there, in the network namespace of the calling thread, by their numbers alone: the
    /// kernel lists all devices with all that it counts at each.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a LinkName>) -> Self {
        let mut devices = Self::default();
        for name in names {
            if !devices.by_name.contains_key(name)
                && let Ok(index) = if_nametoindex(name.as_str())
            {
                devices.insert(index, name.clone());
            }
        }
        devices
    }

    /// Returns a device's name.
    pub fn name(&self, index: u32) -> Option<&LinkName> {
        self.by_index.get(&index)
    }

    /// Returns a device's number.
    pub fn index(&self, name: &LinkName) -> Result<u32, RtnlError> {
        self.by_name.get(name).copied().ok_or_else(|| RtnlError::NoDevice(name.clone()))
    }

    /// Returns whether a device is there and up.
    pub fn is_up(&self, name: &LinkName) -> bool {
        self.up.contains(name)
    }

    /// Returns whether a device is there and up, and can carry nothing all the same.
    pub fn is_without_carrier(&self, name: &LinkName) -> bool {
        self.without_carrier.contains(name)
    }

    /// Returns the numbers by name.
    pub fn into_indexes(self) -> BTreeMap<LinkName, u32> {
        self.by_name
    }

    /// Enters a device.
    pub fn insert(&mut self, index: u32, name: LinkName) {
        self.by_index.insert(index, name.clone());
        self.by_name.insert(name, index);
    }
}

impl Rtnl {
    /// Opens a connection in the network namespace of the calling thread; within a runtime.
    pub fn open() -> io::Result<Self> {
        let (mut connection, handle, _) = netlink_proto::new_connection::<Message>(NETLINK_ROUTE)?;
        // Without them, an answer cannot be told from a socket that closed.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        let port = connection.socket_mut().socket_mut().bind_auto()?.port_number();
        tokio::spawn(connection);
        Ok(Self { handle, port })
    }

    /// Returns the number that the kernel's notifications of what was asked here carry.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Sends a request at once; the answer is awaited with what is returned.
    pub fn request<M: Into<Message>>(
        &self,
        message: M,
        flags: u16,
    ) -> impl Future<Output = Result<(), RtnlError>> + use<M> {
        let answers = self.handle.request(acknowledged(message, flags), SocketAddr::new(0, 0));
        async move { acknowledgment(&mut answers.map_err(|_| RtnlError::Closed)?).await }
    }

    /// Sends requests at once and in order in one datagram, at most [`BATCH_MAX`]; what becomes of each is awaited with what is
    /// returned.
    pub fn request_batch(
        &self,
        requests: Vec<(Message, u16)>,
    ) -> impl Future<Output = Vec<Result<(), RtnlError>>> + use<> {
        let count = requests.len();
        let requests = requests.into_iter().map(|(message, flags)| acknowledged(message, flags));
        let answers = self.handle.request_batch(requests.collect::<Vec<_>>(), SocketAddr::new(0, 0));
        async move {
            let mut results = Vec::with_capacity(count);
            if let Ok(mut answers) = answers {
                while results.len() < count && !matches!(results.last(), Some(Err(RtnlError::Late))) {
                    results.push(acknowledgment(&mut answers).await);
                }
            }
            // What was not answered in time is not waited for once more with each.
            results.resize_with(count, || Err(RtnlError::Closed));
            results
        }
    }

    /// Asks for one thing; nothing where there is none.
    pub async fn get(&self, message: impl Into<Message>) -> Result<Option<Message>, RtnlError> {
        let mut message = NetlinkMessage::from(message.into());
        message.header.flags = NLM_F_REQUEST;
        let answers = self.handle.request(message, SocketAddr::new(0, 0));
        let mut answers = answers.map_err(|_| RtnlError::Closed)?;
        match next(&mut answers).await?.map(|answer| answer.payload) {
            Some(NetlinkPayload::InnerMessage(message)) => Ok(Some(message)),
            Some(NetlinkPayload::Error(error)) => {
                let error = RtnlError::Refused(error.to_io());
                if error.is_absence() { Ok(None) } else { Err(error) }
            }
            _ => Err(RtnlError::Closed),
        }
    }

    /// Asks for all things of a kind.
    pub async fn dump(&self, message: impl Into<Message>) -> Result<Vec<Message>, RtnlError> {
        let message = message.into();
        for _ in 0..READ_AGAIN_MAX {
            if let Some(found) = self.dump_once(message.clone()).await? {
                return Ok(found);
            }
        }
        Err(RtnlError::Unsteady)
    }

    /// Returns nothing when the list changed while it was read.
    async fn dump_once(&self, message: Message) -> Result<Option<Vec<Message>>, RtnlError> {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let answers = self.handle.request(message, SocketAddr::new(0, 0));
        let mut answers = answers.map_err(|_| RtnlError::Closed)?;
        let (mut found, mut is_steady) = (Vec::new(), true);
        while let Some(answer) = next(&mut answers).await? {
            is_steady &= answer.header.flags & NLM_F_DUMP_INTR == 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => found.push(message),
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    return Err(RtnlError::Refused(error.to_io()));
                }
                NetlinkPayload::Done(_) => return Ok(is_steady.then_some(found)),
                _ => {}
            }
        }
        Err(RtnlError::Closed)
    }

    /// Sets a device up.
    pub async fn set_up(&self, index: u32) -> Result<(), RtnlError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(message), 0).await
    }

    /// Asks for the devices.
    pub async fn devices(&self) -> Result<Devices, RtnlError> {
        let mut devices = Devices::default();
        for message in self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).await? {
            let Message::Route(RouteNetlinkMessage::NewLink(link)) = message else { continue };
            let name = link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => LinkName::new(name).ok(),
                _ => None,
            });
            if let Some(name) = name {
                if link.header.flags.contains(LinkFlags::Up) {
                    devices.up.insert(name.clone());
                    if !told::carries(link.header.flags) {
                        devices.without_carrier.insert(name.clone());
                    }
                }
                devices.insert(link.header.index, name);
            }
        }
        Ok(devices)
    }
}

type Answer = NetlinkMessage<Message>;

/// Makes a request that the kernel acknowledges.
fn acknowledged(message: impl Into<Message>, flags: u16) -> NetlinkMessage<Message> {
    let mut message = NetlinkMessage::from(message.into());
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    message
}

/// Returns what the next acknowledgment says: the kernel answers in the order of the requests.
async fn acknowledgment(answers: &mut (impl Stream<Item = Answer> + Unpin)) -> Result<(), RtnlError> {
    while let Some(answer) = next(answers).await? {
        if let NetlinkPayload::Error(error) = answer.payload {
            return match error.code {
                None => Ok(()),
                Some(_) => Err(RtnlError::Refused(error.to_io())),
            };
        }
    }
    Err(RtnlError::Closed)
}

async fn next(answers: &mut (impl Stream<Item = Answer> + Unpin)) -> Result<Option<Answer>, RtnlError> {
    tokio::time::timeout(DEADLINE, answers.next()).await.map_err(|_| RtnlError::Late)
}
