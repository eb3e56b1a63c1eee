//! Origination: what a router says after a restart, and over how many LSAs.

use ospf_lite::ids::{Family, InterfaceId};
use ospf_lite::io::InterfaceEvent;
use ospf_lite::ospf::lsa::LsType;
use ospf_testnet::{Net, key, seconds, stub};

fn pair() -> Net {
    let mut net = Net::new(Family::Ipv6).routers(&[1, 2]).link((1, 1), (2, 1));
    net.run_until(seconds(10), Net::is_equal);
    net.run(seconds(20));
    net
}

#[test]
fn a_restarted_router_takes_back_what_it_does_not_want_any_more() {
    let mut net = pair();
    net.configure(1, stub((1, 9), Family::Ipv6));
    net.interface(1, InterfaceEvent::Up(InterfaceId(9)));
    net.run_until(seconds(10), |net| net.engines[&2].routes().len() == 1);
    net.start(1);
    net.configure_up((1, 1), |_| {});
    net.run_until(seconds(10), |net| net.is_equal() && net.engines[&2].routes().is_empty());
    net.run(seconds(10));
    assert!(net.lsa(2, key(LsType::INTRA_AREA_PREFIX, 0, 1)).is_none());
}

#[test]
fn a_restarted_router_with_the_same_links_says_nothing_that_was_known() {
    let mut net = pair();
    let before = net.lsa(2, key(LsType::ROUTER, 0, 2)).unwrap().0.sequence;
    net.start(2);
    net.configure_up((2, 1), |_| {});
    net.run_until(seconds(2), |net| net.is_equal() && net.engines[&2].is_settled());
    net.run(seconds(5));
    assert_eq!(net.lsa(1, key(LsType::ROUTER, 0, 2)).unwrap().0.sequence, before);
}

#[test]
fn a_hundred_links_and_their_prefixes_fit_into_lsas_of_limited_size() {
    let mut net = Net::new(Family::Ipv6).routers(&(1..=101).collect::<Vec<_>>());
    for far in 2..=101 {
        net.join((1, far), (far, 1), |_| {});
        net.configure(1, stub((1, 1_000 + far), Family::Ipv6));
        net.interface(1, InterfaceEvent::Up(InterfaceId(1_000 + far)));
    }
    net.run(seconds(12));
    assert!(net.is_equal());
    assert_eq!(net.engines[&101].routes().len(), 100);
    let own = |net: &Net| {
        let lsas = net.engines[&101].database();
        lsas.filter(|lsa| lsa.header.key.advertising_router.0 == 1)
            .filter(|lsa| lsa.header.key.ls_type == LsType::ROUTER)
            .map(|lsa| lsa.header)
            .collect::<Vec<_>>()
    };
    let before = own(&net);
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|header| header.length <= 1_100));
    assert_eq!(net.engines[&101].graph().vertices().count(), 101);

    net.interface(1, InterfaceEvent::Down(InterfaceId(2)));
    net.run(seconds(10));
    let after = own(&net);
    assert_eq!(after.iter().zip(&before).filter(|(new, old)| new.sequence != old.sequence).count(), 1);
}
