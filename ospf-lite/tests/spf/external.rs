//! Prefixes from other areas and from outside: who may announce them, and which of several ways is the best.

use std::net::IpAddr;

use ospf_lite::ids::RouterId;
use ospf_lite::io::PathKind;
use ospf_lite::ospf::lsa::{
    AsExternalLsa, InterAreaPrefixLsa, InterAreaRouterLsa, LsaBody, Prefix, PrefixOptions,
};

use crate::area::{Area, FORWARDS, net};
use crate::table::{Brief, brief, table};

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
fn a_prefix_of_another_area_comes_by_way_of_the_closest_border_router() {
    let mut area = fork();
    inter(&mut area, 2, 15);
    inter(&mut area, 3, 4);
    assert_eq!(outside(&area), Some((PathKind::InterArea, 24, vec![(3, 3)])));
}

/// RFC 2328 section 16.2, step 4.
#[test]
fn a_prefix_of_another_area_from_a_router_that_is_no_border_router_does_not_count() {
    let mut area = fork();
    inter(&mut area, 2, 15);
    area.router(2).border = false;
    assert_eq!(outside(&area), None);
}

#[test]
fn a_prefix_of_another_area_at_infinity_does_not_count() {
    let mut area = fork();
    inter(&mut area, 2, 0x00ff_ffff);
    assert_eq!(outside(&area), None);
}

/// RFC 2328 section 11.
#[test]
fn a_way_inside_the_area_is_better_than_one_through_another_and_that_than_any_from_outside() {
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
fn of_comparable_external_metrics_the_sum_decides() {
    let mut area = fork();
    external(&mut area, 2, false, 50);
    external(&mut area, 3, false, 5);
    assert_eq!(outside(&area), Some((PathKind::External1, 25, vec![(3, 3)])));
}

#[test]
fn of_incomparable_external_metrics_the_smaller_wins_then_the_distance() {
    let mut area = fork();
    external(&mut area, 2, true, 50);
    external(&mut area, 3, true, 5);
    assert_eq!(outside(&area), Some((PathKind::External2, 20, vec![(3, 3)])));
    external(&mut area, 2, true, 5);
    assert_eq!(outside(&area), Some((PathKind::External2, 10, vec![(2, 2)])));
    assert_eq!(table(&area)[&net(OUTSIDE)].external_metric, 5);
}

/// RFC 2328 section 16.4, step 3.
#[test]
fn a_prefix_from_outside_needs_a_known_boundary_router() {
    let mut area = fork();
    external_to(&mut area, 2, false, 1, None);
    assert_eq!(outside(&area), None);
}

/// RFC 2328 section 16.4, step 3.
#[test]
fn a_boundary_router_of_another_area_is_reached_by_the_border_router() {
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
fn a_forwarding_address_is_where_the_way_leads() {
    let mut area = fork();
    area.prefix(3, "fd00:3::/64", 2);
    area.router(2).external = true;
    external_to(&mut area, 2, false, 1, Some("fd00:3::5"));
    assert_eq!(outside(&area), Some((PathKind::External1, 23, vec![(3, 3)])));
}

#[test]
fn a_forwarding_address_that_nobody_has_makes_no_route() {
    let mut area = fork();
    area.router(2).external = true;
    external_to(&mut area, 2, false, 1, Some("fd00:3::5"));
    assert_eq!(outside(&area), None);
}

#[test]
fn a_forwarding_address_on_an_own_prefix_is_reached_by_the_boundary_router() {
    let mut area = fork();
    area.prefix(1, "fd00:1::/64", 2);
    area.router(2).external = true;
    external_to(&mut area, 2, false, 1, Some("fd00:1::5"));
    assert_eq!(outside(&area), Some((PathKind::External1, 11, vec![(2, 2)])));
}

#[test]
fn what_this_router_announces_from_outside_is_no_way() {
    let mut area = fork();
    external(&mut area, 1, false, 1);
    inter(&mut area, 1, 1);
    assert_eq!(outside(&area), None);
}
