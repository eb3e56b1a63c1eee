//! Sections 10.7 and 10.9: Link State Requests received and sent.

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{LsType, LsaKey};
use ospf_lite::ospf::neighbor::NeighborState::{self, ExStart, Exchange, Full, Loading};
use ospf_lite::ospf::packet::{LinkStateUpdate, PacketBody};
use ospf_lite::ospf::refusal::Refusal;
use ospf_testnet::{End, Net, PRIVATE, WANTED, foreign, key, seconds, update};

const AT: End = (1, 1);
fn at(state: NeighborState) -> Net {
    let mut net = Net::following(Family::Ipv6);
    net.bring(AT, state);
    net
}

fn updates(net: &Net, since: ospf_lite::time::Instant) -> Vec<LinkStateUpdate> {
    let bodies = net.bodies(AT, since).into_iter();
    bodies
        .filter_map(|body| match body {
            PacketBody::LinkStateUpdate(update) => Some(update),
            _ => None,
        })
        .collect()
}

fn requests(net: &Net) -> Vec<Vec<LsaKey>> {
    let bodies = net.bodies(AT, ospf_lite::time::Instant::ORIGIN).into_iter();
    bodies
        .filter_map(|body| match body {
            PacketBody::LinkStateRequest(keys) => Some(keys),
            _ => None,
        })
        .collect()
}

#[test]
fn s10_7_answer_to_a_request_is_an_update_with_the_lsas() {
    let mut net = at(Full);
    net.inject_body(AT, update([foreign(PRIVATE, 1, 0, 1), foreign(PRIVATE, 2, 0, 1)]));
    net.run(seconds(10));
    let start = net.now;
    let keys = vec![key(PRIVATE, 1, 99), key(PRIVATE, 2, 99)];
    net.inject_body(AT, PacketBody::LinkStateRequest(keys.clone()));
    let sent: Vec<LsaKey> = updates(&net, start)
        .iter()
        .flat_map(|update| &update.lsas)
        .map(|aged| aged.lsa.header().key)
        .collect();
    assert_eq!(sent, keys);
    // Neither is put on the retransmission list.
    net.run(seconds(20));
    let is_one =
        |update: &&LinkStateUpdate| update.lsas.iter().any(|aged| keys.contains(&aged.lsa.header().key));
    assert_eq!(updates(&net, start).iter().filter(is_one).count(), 1);
}

#[test]
fn s10_7_bad_request_starts_the_exchange_again() {
    let mut net = at(Full);
    let start = net.now;
    net.inject_body(AT, PacketBody::LinkStateRequest(vec![key(LsType::ROUTER, 0, 1), key(PRIVATE, 77, 99)]));
    assert_eq!((net.state(AT), net.refusals(AT, Refusal::BadRequest)), (Some(ExStart), 1));
    assert_eq!(updates(&net, start).len(), 0);
}

#[test]
fn s10_7_state_below_exchange_answers_no_request() {
    let mut net = at(ExStart);
    let start = net.now;
    net.inject_body(AT, PacketBody::LinkStateRequest(vec![key(LsType::ROUTER, 0, 1)]));
    assert_eq!((net.state(AT), net.refusals(AT, Refusal::NeighborState)), (Some(ExStart), 1));
    assert_eq!(updates(&net, start).len(), 0);
}

#[test]
fn s10_9_requests_are_repeated_every_rxmt_interval_and_end_with_the_answer() {
    let mut net = at(Loading);
    let wanted = vec![key(WANTED, 1, 99)];
    assert_eq!(requests(&net), std::slice::from_ref(&wanted));
    net.run(seconds(11));
    assert_eq!(requests(&net), [wanted.clone(), wanted.clone(), wanted]);
    net.inject_body(AT, update([foreign(WANTED, 1, 0, 1)]));
    assert_eq!(net.state(AT), Some(Full));
    net.run(seconds(20));
    assert_eq!(requests(&net).len(), 3);
}

#[test]
fn s10_9_requests_are_not_sent_again_while_their_answers_arrive() {
    let mut net = at(Exchange);
    let headers = (0..50).map(|id| foreign(WANTED, id, 0, 1).header()).collect();
    let next = net.next_description(AT);
    net.describe(AT, ospf_lite::ospf::packet::DatabaseDescription { headers, more: false, ..next });
    let asked = requests(&net).len();
    for id in 0..49 {
        net.inject_body(AT, update([foreign(WANTED, id, 0, 1)]));
        assert_eq!((net.state(AT), requests(&net).len()), (Some(Loading), asked));
    }
    net.inject_body(AT, update([foreign(WANTED, 49, 0, 1)]));
    assert_eq!(net.state(AT), Some(Full));
}
