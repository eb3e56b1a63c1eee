//! What OSPFv3 changes of graceful restart, clause by clause (RFC 5187).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a failing test should stop where it fails"
)]

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::{InterfaceEvent, Leaving};
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody, RestartReason, SequenceNumber};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{Net, key, seconds, stub, update};

/// Routers 1 - 2 - 3 in a line.
fn line() -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2, 3]).link((1, 2), (2, 1)).link((2, 3), (3, 2));
    net.run(seconds(30));
    assert!(net.is_equal());
    net
}

/// Router 2 asks for grace and stops.
fn stop(net: &mut Net) {
    let now = net.now;
    net.engine(2).handle_leaving(now, Leaving::Restart(RestartReason::SoftwareRestart));
    net.collect(2);
    net.run_until(seconds(1), |net| net.engines[&2].is_acknowledged());
    net.engines.remove(&2);
}

fn start_again(net: &mut Net) {
    net.start_with(2, |config| config.restarting = true);
    for far in [1, 3] {
        net.configure_up((2, far), |_| {});
    }
}

fn sequences(net: &Net) -> Vec<(LsType, u32, i32)> {
    let headers = net.headers(1);
    let own = headers.iter().filter(|header| header.key.advertising_router.0 == 2);
    own.map(|header| (header.key.ls_type, header.key.link_state_id.0, header.sequence.0)).collect()
}

#[test]
fn s2_1_type_is_0x000b_which_stays_on_its_link() {
    let mut net = line();
    assert_eq!(LsType::GRACE.bits(), 0x000b);
    stop(&mut net);
    assert!(net.lsa(1, key(LsType::GRACE, 1, 2)).is_some());
    assert!(net.lsa(1, key(LsType::GRACE, 3, 2)).is_none());
}

#[test]
fn s2_2_link_state_id_is_the_interface_id() {
    let mut net = line();
    stop(&mut net);
    assert!(net.lsa(1, key(LsType::GRACE, 1, 2)).is_some());
    assert!(net.lsa(3, key(LsType::GRACE, 3, 2)).is_some());
}

#[test]
fn s2_2_tlvs_period_and_reason_are_always_there() {
    let mut net = line();
    stop(&mut net);
    let (_, planned) = net.lsa(1, key(LsType::GRACE, 1, 2)).unwrap();
    assert_eq!(planned.octets()[20..], [0, 1, 0, 4, 0, 0, 0, 120, 0, 2, 0, 1, 1, 0, 0, 0]);
    start_again(&mut net);
    net.run(seconds(1));
    let (_, unplanned) = net.lsa(1, key(LsType::GRACE, 1, 2)).unwrap();
    assert_eq!(unplanned.octets()[20..], [0, 1, 0, 4, 0, 0, 0, 120, 0, 2, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn s2_2_tlvs_that_are_missing_make_a_grace_lsa_count_for_nothing() {
    for octets in [vec![0, 1, 0, 4, 0, 0, 0, 120], vec![0, 2, 0, 1, 1, 0, 0, 0], Vec::new()] {
        let mut net = Net::pair(Family::Ipv6);
        let sequence = SequenceNumber(1_000_000);
        let lsa = Lsa::originate(key(LsType::GRACE, 1, 2), sequence, 0, LsaBody::Unknown(octets));
        net.inject_body((1, 1), update([lsa]));
        assert_eq!(net.refusals((1, 1), Refusal::LsaMalformed), 1);
        assert!(net.engines[&1].neighbors().all(|neighbor| neighbor.help.is_none()));
    }
}

#[test]
fn s3_1_ids_of_lsas_are_those_of_the_time_before() {
    let mut net = line();
    // The places are not those of a first derivation: one prefix of the first LSA goes, those of the second stay there.
    for id in 10..190 {
        net.configure(2, stub((2, id), Family::Ipv6));
        net.interface(2, InterfaceEvent::Up(InterfaceId(id)));
    }
    net.run(seconds(60));
    net.interface(2, InterfaceEvent::Down(InterfaceId(11)));
    net.run(seconds(60));
    let before = sequences(&net);
    assert!(before.len() > 3, "{before:?}");
    stop(&mut net);
    start_again(&mut net);
    for id in (10..190).filter(|id| *id != 11) {
        net.configure(2, stub((2, id), Family::Ipv6));
        net.interface(2, InterfaceEvent::Up(InterfaceId(id)));
    }
    net.run(seconds(60));
    assert!(net.is_equal());
    assert_eq!(sequences(&net), before);
}

#[test]
fn s3_2_interface_ids_are_those_of_the_time_before_and_the_router_lsa_stands() {
    let mut net = line();
    let before = net.lsa(1, key(LsType::ROUTER, 0, 2)).unwrap().1;
    stop(&mut net);
    start_again(&mut net);
    net.run(seconds(30));
    assert_eq!(net.lsa(1, key(LsType::ROUTER, 0, 2)).unwrap().1.octets()[2..], before.octets()[2..]);
    assert!(net.is_equal());
}
