//! BFD over one hop against RFC 5881, as far as only a kernel can show it.

use std::time::Duration;

use ospf_lite::bfd::fsm::SessionState;
use ospf_lite::ids::Family;
use ospf_lite::io::Reachability;
use ospf_lite::ospf::neighbor::NeighborState;

use crate::sniffer::{Datagram, Sniffer};
use crate::{LINK, Namespace, join};

#[test]
fn s2_one_session_per_link_comes_up_for_both_families_and_its_failure_ends_both_adjacencies() {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let (one, two) = (left.router(1), right.router(2));
    for router in [&one, &two] {
        router.wait_for_neighbor(Some(NeighborState::Full));
        router.wait_for_session("a session with a Detection Time of 900 ms", |session| {
            session.state == SessionState::Up && session.detection_time == Duration::from_millis(900)
        });
    }
    // The driver is not told, so only BFD can find out before RouterDeadInterval.
    right.ip("link set dev wire0 down");
    one.wait_for("an unreachable neighbor, which is Down", |engines| {
        let session = engines.sessions().remove(&LINK);
        session.is_some_and(|session| session.reachability == Reachability::Unreachable)
            && [Family::Ipv6, Family::Ipv4]
                .into_iter()
                .all(|family| engines.of(family).neighbors().next().is_none())
    });
}

/// Returns the packets of a session that has come up, as they arrive at the far end.
fn packets() -> Vec<Datagram> {
    let (left, right) = (Namespace::new(), Namespace::new());
    join(&left, &right);
    let one = left.router(1);
    let sniffer = Sniffer::new(&right);
    let two = right.router(2);
    for router in [&one, &two] {
        router.wait_for_session("a session that is Up", |session| session.state == SessionState::Up);
    }
    std::iter::repeat_with(|| sniffer.next()).take(8).collect()
}

#[test]
fn s4_encapsulation_is_to_port_3784_from_one_port_above_49152() {
    let seen = packets();
    assert!(seen[0].source_port >= 49_152);
    for datagram in &seen {
        assert_eq!((datagram.source_port, datagram.destination_port), (seen[0].source_port, 3784));
    }
}

#[test]
fn s5_sent_packets_have_hop_limit_255() {
    assert!(packets().iter().all(|datagram| datagram.hop_limit == Some(255)));
}
