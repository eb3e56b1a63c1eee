//! Sections 11, 16.2 and 16.4: prefixes from other areas and from outside.

use std::net::IpAddr;

use ospf_lite::ids::RouterId;
use ospf_lite::io::PathKind;
use ospf_lite::ospf::lsa::{
    AsExternalLsa, InterAreaPrefixLsa, InterAreaRouterLsa, LsType, Lsa, LsaBody, Prefix, PrefixOptions,
};

use ospf_testnet::area::{Area, Brief, FORWARDS, brief, net, table, table_of};

const OUTSIDE: &str = "2001:db8::/32";

/// Router 1 between routers 2 (cost 10) and 3 (cost 20).
fn fork() -> Area {
    let mut area = Area::default();
    area.link(1, 2, 10);
    area.link(1, 3, 20);
    area
}

fn prefix(text: &str) -> Prefix {
    Prefix { net: net(text), options: PrefixOptions::default() }
}

fn inter(area: &mut Area, router: u32, metric: u32) {
    area.router(router).border = true;
    let prefix = prefix(OUTSIDE);
    area.add_next(router, LsaBody::InterAreaPrefix(InterAreaPrefixLsa { metric, prefix }));
}

fn external(area: &mut Area, router: u32, type2: bool, metric: u32) {
    area.router(router).external = true;
    external_to(area, router, type2, metric, None);
}

fn external_to(area: &mut Area, router: u32, type2: bool, metric: u32, address: Option<&str>) {
    area.add_next(
        router,
        LsaBody::AsExternal(AsExternalLsa {
            type2,
            metric,
            prefix: prefix(OUTSIDE),
            forwarding_address: address.map(|address| address.parse::<IpAddr>().unwrap()),
            tag: None,
            referenced: None,
        }),
    );
}

/// The route to what is outside.
fn outside(area: &Area) -> Option<Brief> {
    brief(table(area).get(&net(OUTSIDE)))
}

#[test]
fn s16_2_border_router_that_is_closest_carries_a_prefix_of_another_area() {
    let mut area = fork();
    inter(&mut area, 2, 15);
    inter(&mut area, 3, 4);
    assert_eq!(outside(&area), Some((PathKind::InterArea, 24, vec![(3, 3)])));
}

#[test]
fn s16_2_border_router_bit_is_required() {
    let mut area = fork();
    inter(&mut area, 2, 15);
    area.router(2).border = false;
    assert_eq!(outside(&area), None);
}

#[test]
fn s16_2_infinity_does_not_count() {
    let mut area = fork();
    inter(&mut area, 2, 0x00ff_ffff);
    assert_eq!(outside(&area), None);
}

#[test]
fn s11_preference_is_for_ways_inside_the_area_then_through_others_then_comparable_ones_from_outside() {
    let mut area = fork();
    external(&mut area, 2, true, 1);
    assert_eq!(outside(&area), Some((PathKind::External2, 10, vec![(2, 2)])));
    external(&mut area, 3, false, 1000);
    assert_eq!(outside(&area), Some((PathKind::External1, 1020, vec![(3, 3)])));
    inter(&mut area, 2, 5000);
    assert_eq!(outside(&area), Some((PathKind::InterArea, 5010, vec![(2, 2)])));
    area.prefix(3, OUTSIDE, 60_000);
    assert_eq!(outside(&area), Some((PathKind::IntraArea, 60_020, vec![(3, 3)])));
}

#[test]
fn s16_4_type_1_metrics_are_added_to_the_distance() {
    let mut area = fork();
    external(&mut area, 2, false, 50);
    external(&mut area, 3, false, 5);
    assert_eq!(outside(&area), Some((PathKind::External1, 25, vec![(3, 3)])));
}

#[test]
fn s16_4_type_2_metrics_decide_before_the_distance() {
    let mut area = fork();
    external(&mut area, 2, true, 50);
    external(&mut area, 3, true, 5);
    assert_eq!(outside(&area), Some((PathKind::External2, 20, vec![(3, 3)])));
    external(&mut area, 2, true, 5);
    assert_eq!(outside(&area), Some((PathKind::External2, 10, vec![(2, 2)])));
    assert_eq!(table(&area).get(&net(OUTSIDE)).unwrap().external_metric, 5);
}

#[test]
fn s16_4_boundary_router_that_is_unknown_makes_no_route() {
    let mut area = fork();
    external_to(&mut area, 2, false, 1, None);
    assert_eq!(outside(&area), None);
}

#[test]
fn s16_4_boundary_router_of_another_area_is_reached_by_the_border_router() {
    let mut area = fork();
    area.router(3).border = true;
    let destination = RouterId(77);
    area.add_next(
        3,
        LsaBody::InterAreaRouter(InterAreaRouterLsa { options: FORWARDS, metric: 6, destination }),
    );
    external_to(&mut area, 77, false, 1, None);
    assert_eq!(outside(&area), Some((PathKind::External1, 27, vec![(3, 3)])));
}

#[test]
fn s16_4_forwarding_address_is_where_the_way_leads() {
    let mut area = fork();
    area.prefix(3, "fd00:3::/64", 2);
    area.router(2).external = true;
    external_to(&mut area, 2, false, 1, Some("fd00:3::5"));
    assert_eq!(outside(&area), Some((PathKind::External1, 23, vec![(3, 3)])));
}

#[test]
fn s16_4_forwarding_address_that_nobody_has_makes_no_route() {
    let mut area = fork();
    area.router(2).external = true;
    external_to(&mut area, 2, false, 1, Some("fd00:3::5"));
    assert_eq!(outside(&area), None);
}

#[test]
fn s16_4_forwarding_address_on_an_own_prefix_is_reached_by_the_boundary_router() {
    let mut area = fork();
    area.prefix(1, "fd00:1::/64", 2);
    area.router(2).external = true;
    external_to(&mut area, 2, false, 1, Some("fd00:1::5"));
    assert_eq!(outside(&area), Some((PathKind::External1, 11, vec![(2, 2)])));
}

#[test]
fn s16_4_own_announcements_are_no_way() {
    let mut area = fork();
    external(&mut area, 1, false, 1);
    inter(&mut area, 1, 1);
    assert_eq!(outside(&area), None);
}

#[test]
fn s16_4_infinity_does_not_count() {
    let mut area = fork();
    external(&mut area, 2, false, 0x00ff_ffff);
    external(&mut area, 2, true, 0x00ff_ffff);
    assert_eq!(outside(&area), None);
    external(&mut area, 3, false, 0x00ff_fffe - 20);
    assert_eq!(outside(&area), Some((PathKind::External1, 0x00ff_fffe, vec![(3, 3)])));
}

#[test]
fn s16_2_max_age_lsas_of_other_areas_are_ignored_and_so_are_those_from_outside() {
    for announce in [|area: &mut Area| external(area, 2, false, 1), |area: &mut Area| inter(area, 3, 1)] {
        let mut area = fork();
        announce(&mut area);
        let routes = |age: u16| {
            let aged =
                |lsa: Lsa| if lsa.header().key.ls_type == LsType::ROUTER { lsa } else { lsa.aged(age) };
            table_of(&area.lsas().into_iter().map(aged).collect::<Vec<_>>()).len()
        };
        assert_eq!((routes(3599), routes(3600)), (1, 0));
    }
}
