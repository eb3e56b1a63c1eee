//! What zones come to, as claims.

use std::collections::BTreeSet;

use ospf_lite::ids::{Distance, RouterId};
use ospf_lite::io::{PathKind, Route};

use super::*;
use crate::config::{Source, parse};

fn config() -> Config {
    let text = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\nconfig wan 'wan0'\n\toption device 'eth0'\n\
        config lan 'lan0'\n\toption device 'br-lan'\n\toption ipv4 '10.2.1.1/24'\n\
        config lan 'guests'\n\toption device 'br-guest'\n\toption ipv4 '10.2.9.1/24'\n\toption zone 'isolated'\n\
        config zone 'isolated'\n\tlist reach 'cameras'\n\tlist reach 'wan'\n\
        config zone 'cameras'\n";
    parse(Source { file: "test", text, hostname: "r1" }).unwrap().config
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> BTreeSet<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

fn names_of(zones: &[&str]) -> BTreeSet<String> {
    zones.iter().map(|zone| (*zone).to_owned()).collect()
}

/// Returns the zone sets of router 1, which has routes to these prefixes.
fn sets_of(reached: &[&str], far: &FarZones, zones: &[&str]) -> ZoneSets {
    let config = config();
    let (wans, lans) = Default::default();
    let sides = Sides { wans: &wans, lans: &lans };
    let reached: Vec<IpNet> = reached.iter().map(|prefix| net(prefix)).collect();
    sets(&members(&config, sides, &reached, far), &names_of(zones))
}

fn claims(claimed: &[(&str, &[&str])]) -> FarZones {
    let claimed = claimed.iter().map(|(prefix, zones)| (net(prefix), names_of(zones)));
    FarZones { claimed: claimed.collect(), standing: None }
}

#[test]
fn what_nobody_says_anything_of_is_internal() {
    let sets = sets_of(&["10.2.4.0/24", "fd79:4::/64"], &claims(&[]), &["internal", "isolated", "cameras"]);
    assert_eq!(
        sets["internal"],
        nets(&["10.1.1.1/32", "fd00:0:1:1::1/128", "10.2.1.0/24", "10.2.4.0/24", "fd79:4::/64"])
    );
    assert_eq!(sets["isolated"], nets(&["10.2.9.0/24"]));
    assert!(sets["cameras"].is_empty());
}

#[test]
fn a_default_route_is_no_zone_s() {
    let sets = sets_of(&["0.0.0.0/0", "::/0"], &claims(&[]), &["internal"]);
    assert!(sets["internal"].iter().all(|prefix| prefix.prefix_len() > 0));
}

#[test]
fn a_prefix_within_another_zone_s_is_cut_out_of_it() {
    let far = claims(&[("10.4.128.0/17", &["cameras"])]);
    let sets = sets_of(&["10.4.0.0/16", "10.4.128.0/17", "10.4.200.0/24"], &far, &["internal", "cameras"]);
    assert_eq!(
        sets["cameras"],
        nets(&[
            "10.4.128.0/18",
            "10.4.192.0/21",
            "10.4.201.0/24",
            "10.4.202.0/23",
            "10.4.204.0/22",
            "10.4.208.0/20",
            "10.4.224.0/19"
        ])
    );
    assert!(sets["internal"].is_superset(&nets(&["10.4.0.0/17", "10.4.200.0/24"])));
}

#[test]
fn a_contradiction_is_in_no_zone() {
    let far = claims(&[("10.4.0.0/24", &["cameras", "internal"])]);
    let sets = sets_of(&["10.4.0.0/23", "10.4.0.0/24"], &far, &["internal", "cameras"]);
    assert!(sets["cameras"].is_empty());
    assert!(sets["internal"].contains(&net("10.4.1.0/24")));
    assert!(!sets["internal"].iter().any(|prefix| prefix.contains(&net("10.4.0.0/24"))));
}

#[test]
fn until_the_database_is_whole_the_sets_of_before_hold_but_for_own_lans() {
    let standing = BTreeMap::from([("internal".to_owned(), nets(&["10.2.4.0/24", "10.2.9.0/24"]))]);
    let far = FarZones { standing: Some(standing), ..FarZones::default() };
    let sets = sets_of(&["10.2.77.0/24"], &far, &["internal"]);
    assert!(sets["internal"].contains(&net("10.2.4.0/24")));
    assert!(!sets["internal"].iter().any(|prefix| prefix.contains(&net("10.2.9.0/24"))));
    assert!(!sets["internal"].contains(&net("10.2.77.0/24")), "heard of before its zone is");
}

#[test]
fn what_stood_for_a_part_of_an_own_lan_holds_no_more_but_a_route_within_it_does() {
    let before = BTreeMap::from([("internal".to_owned(), nets(&["10.2.9.128/25"]))]);
    let far = FarZones { standing: Some(before), ..FarZones::default() };
    let sets = sets_of(&[], &far, &["internal", "isolated"]);
    assert_eq!(sets["isolated"], nets(&["10.2.9.0/24"]), "the LAN is here, and isolated as a whole");
    assert!(!sets["internal"].contains(&net("10.2.9.128/25")));
    let sets = sets_of(&["10.2.9.128/25"], &claims(&[]), &["internal", "isolated"]);
    assert!(sets["internal"].contains(&net("10.2.9.128/25")), "another router announces it");
    assert_eq!(sets["isolated"], nets(&["10.2.9.0/25"]));
}

fn route(prefix: &str, advertising: &[u32]) -> (IpNet, Route) {
    let route = Route {
        kind: PathKind::IntraArea,
        distance: Distance(10),
        external_metric: 0,
        advertising: advertising.iter().map(|id| RouterId(*id)).collect(),
        next_hops: Default::default(),
        alternates: Default::default(),
    };
    (net(prefix), route)
}

fn announced(all: &[(u32, &str, &str)]) -> Announced {
    let mut announced = Announced::new();
    for (router, prefix, zone) in all {
        let zones: &mut BTreeSet<String> = announced.entry((RouterId(*router), net(prefix))).or_default();
        zones.insert((*zone).to_owned());
    }
    announced
}

#[test]
fn a_router_is_believed_about_its_own_prefixes_only() {
    let routes = [route("10.2.4.0/24", &[4]), route("10.2.5.0/24", &[5]), route("10.2.6.0/24", &[6])];
    let routes = RouteTable::from_iter(routes);
    let said = announced(&[(4, "10.2.4.0/24", "isolated"), (4, "10.2.5.0/24", "cameras")]);
    assert_eq!(claimed(&[routes], &said), BTreeMap::from([(net("10.2.4.0/24"), names_of(&["isolated"]))]));
}

#[test]
fn two_routers_that_disagree_are_both_heard() {
    let said = announced(&[(4, "10.2.4.0/24", "isolated")]);
    let claimed = claimed(&[RouteTable::from_iter([route("10.2.4.0/24", &[4, 5])])], &said);
    assert_eq!(claimed[&net("10.2.4.0/24")], names_of(&["internal", "isolated"]));
}

#[test]
fn what_a_zone_reaches_follows_from_the_lans_that_are_here() {
    let config = config();
    assert_eq!(held(&config).iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>(), ["isolated"]);
    assert_eq!(reached(&config), names_of(&["cameras"]));
    assert_eq!(names(&config), names_of(&["cameras", "internal", "isolated"]));
    assert_eq!(rules(&config, "internal"), None);
}
