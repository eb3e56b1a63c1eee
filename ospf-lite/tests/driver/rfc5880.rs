//! BFD against RFC 5880, as far as only a kernel can show it.

use std::net::{Ipv6Addr, SocketAddrV6};

use ospf_lite::bfd::fsm::SessionState;

use crate::sniffer::Sniffer;
use crate::{Namespace, join};

/// The UDP port of Echo packets (RFC 5881 section 4).
const ECHO_PORT: u16 = 3785;

#[test]
fn s6_8_9_echo_packets_are_not_sent_and_one_that_comes_is_not_looped_back() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let one = left.router(1);
    let sniffer = Sniffer::new(&right);
    let two = right.router(2);
    for router in [&one, &two] {
        router.wait_for_session("a session that is Up", |session| session.state == SessionState::Up);
    }
    let echo = b"an Echo packet of router 2";
    let ifindex = right.ifindex("wire0");
    right.run(move || {
        let socket = std::net::UdpSocket::bind(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0)).unwrap();
        socket2::SockRef::from(&socket).set_unicast_hops_v6(255).unwrap();
        let router_1 = SocketAddrV6::new("fe80::1".parse().unwrap(), ECHO_PORT, 0, ifindex);
        socket.send_to(echo, router_1).unwrap();
    });
    for _ in 0..8 {
        let datagram = sniffer.next();
        assert_eq!(datagram.destination_port, 3784, "{datagram:?}");
        assert_ne!(datagram.content, echo);
    }
}
