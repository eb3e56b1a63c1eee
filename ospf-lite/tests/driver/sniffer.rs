//! The UDP packets that arrive in a namespace, whoever they are for.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Namespace, PATIENCE};

/// A packet's UDP header and hop limit, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    pub source_port: u16,
    pub destination_port: u16,
    pub hop_limit: Option<i32>,
    pub content: Vec<u8>,
}

/// Hears every UDP packet: one to a port that nobody listens on is seen by a raw socket all the same.
pub struct Sniffer(Socket);

impl Sniffer {
    pub fn new(namespace: &Namespace) -> Self {
        Self(namespace.run(|| {
            let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::UDP)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.set_recv_hoplimit_v6(true).unwrap();
            socket
        }))
    }

    /// Waits for the next packet.
    pub fn next(&self) -> Datagram {
        loop {
            match self.receive() {
                // The end of another test's process interrupts whoever waits.
                Err(Errno::EINTR) => {}
                received => return received.unwrap(),
            }
        }
    }

    fn receive(&self) -> Result<Datagram, Errno> {
        let mut buffer = [0; 128];
        let mut control = nix::cmsg_space!(i32);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let message =
            recvmsg::<SockaddrIn6>(self.0.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
        let hop_limit = message.cmsgs()?.find_map(|item| match item {
            ControlMessageOwned::Ipv6HopLimit(limit) => Some(limit),
            _ => None,
        });
        let length = message.bytes;
        let port = |at: usize| u16::from_be_bytes([buffer[at], buffer[at + 1]]);
        let content = buffer[8..length].to_vec();
        Ok(Datagram { source_port: port(0), destination_port: port(2), hop_limit, content })
    }
}
