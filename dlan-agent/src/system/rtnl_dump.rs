//! A long list of the kernel's, read piece by piece: of tens of thousands of routes, the messages of one datagram are in memory
//! at a time.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket};

use super::rtnl::{DEADLINE, Message, READ_AGAIN_MAX, RtnlError};

/// What the kernel puts into a datagram at most.
const DATAGRAM_MAX: usize = 32_768;

/// Asks for all things of a kind, in the network namespace of the calling thread, and gathers what `take` makes of each.
pub async fn gather<T: Default>(
    message: impl Into<Message>,
    take: impl Fn(&mut T, Message),
) -> Result<T, RtnlError> {
    let octets = request(message.into());
    for _ in 0..READ_AGAIN_MAX {
        let mut gathered = T::default();
        if read(&octets, |message| take(&mut gathered, message)).await? {
            return Ok(gathered);
        }
    }
    Err(RtnlError::Unsteady)
}

fn request(message: Message) -> Vec<u8> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.finalize();
    let mut octets = vec![0; request.buffer_len()];
    request.serialize(&mut octets);
    octets
}

/// Returns whether the list stayed the same while it was read.
async fn read(request: &[u8], mut take: impl FnMut(Message)) -> Result<bool, RtnlError> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE).map_err(RtnlError::Refused)?;
    socket.socket_mut().bind_auto().map_err(RtnlError::Refused)?;
    socket.send_to(request, &SocketAddr::new(0, 0)).await.map_err(RtnlError::Refused)?;
    let mut datagram = Vec::with_capacity(DATAGRAM_MAX);
    let mut is_steady = true;
    loop {
        datagram.clear();
        let received = tokio::time::timeout(DEADLINE, socket.recv(&mut datagram)).await;
        received.map_err(|_| RtnlError::Late)?.map_err(RtnlError::Refused)?;
        let mut rest = datagram.as_slice();
        if rest.is_empty() {
            return Err(RtnlError::Closed);
        }
        while let Some((answer, after)) = next(rest)? {
            rest = after;
            // One of a kind that nobody knows is passed over.
            let Some(answer) = answer else { continue };
            is_steady &= answer.header.flags & NLM_F_DUMP_INTR == 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => take(message),
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    return Err(RtnlError::Refused(error.to_io()));
                }
                NetlinkPayload::Done(_) => return Ok(is_steady),
                _ => {}
            }
        }
    }
}

/// A message, if it could be read, and what follows it.
type Read<'a> = (Option<NetlinkMessage<Message>>, &'a [u8]);

/// Takes the next message of a datagram.
fn next(datagram: &[u8]) -> Result<Option<Read<'_>>, RtnlError> {
    if datagram.is_empty() {
        return Ok(None);
    }
    let invalid = |_| RtnlError::Refused(io::ErrorKind::InvalidData.into());
    let length = NetlinkBuffer::new_checked(datagram).map_err(invalid)?.length();
    let length = usize::try_from(length).unwrap_or(usize::MAX).next_multiple_of(4);
    let rest = datagram.get(length..).unwrap_or_default();
    Ok(Some((NetlinkMessage::deserialize(datagram).ok(), rest)))
}
