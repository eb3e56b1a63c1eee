//! A route of somebody else's at exactly our place in our table: ours is left out and told, and nothing else waits for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;
#[path = "fixture/reconciled.rs"]
mod reconciled;

use std::time::Duration;

use dlan_agent::reconcile::Health;
use dlan_agent::state::route::RouteKey;
use reconciled::Router;

const ROUTES: &[(&str, &[(&str, &str)])] =
    &[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")]), ("10.4.0.0/24", &[("dlan-vx3", "fe80::2")])];

fn settled() -> Router {
    Router::settled(&fixture::routing(ROUTES))
}

fn place(router: &Router, prefix: &str) -> RouteKey {
    let prefix = prefix.parse().unwrap();
    let mut keys = router.system.state.routes.keys();
    *keys.find(|key| key.prefix == prefix && key.is_learned()).unwrap()
}

/// Somebody puts a route of theirs in the place of one of ours, and takes other things away.
fn upset(router: &mut Router, place: RouteKey) {
    router.system.state.routes.remove(&place);
    router.system.strangers.insert(place);
    router.system.state.rules.clear();
    router.system.state.ruleset = None;
    router.reconciler.handle_hint(router.now);
}

#[test]
fn everything_but_the_route_itself_is_repaired_and_the_place_is_told() {
    let mut router = settled();
    let (mut wanted, place) = (router.system.state.clone(), place(&router, "10.3.0.0/24"));
    upset(&mut router, place);
    router.wait(Duration::from_secs(3));
    wanted.routes.remove(&place);
    assert_eq!(router.system.state, wanted);
    assert_eq!(*router.reconciler.health(), Health::Settled);
    assert_eq!(router.reconciler.occupied().into_iter().collect::<Vec<_>>(), [place]);
}

#[test]
fn the_route_comes_back_once_its_place_is_free() {
    let mut router = settled();
    let (wanted, place) = (router.system.state.clone(), place(&router, "10.3.0.0/24"));
    upset(&mut router, place);
    router.wait(Duration::from_secs(70));
    assert!(!router.system.state.routes.contains_key(&place));
    router.system.strangers.clear();
    router.wait(Duration::from_secs(60));
    assert_eq!(router.system.state, wanted);
    assert!(router.reconciler.occupied().is_empty());
}

#[test]
fn another_configuration_is_brought_about_all_the_same() {
    let mut router = settled();
    let place = place(&router, "10.3.0.0/24");
    upset(&mut router, place);
    let text = fixture::with_keys(&fixture::CONFIG.replace("10.2.1.1/24", "10.2.9.1/24"));
    router.reconciler.handle_config(router.now, fixture::config_of(&text));
    router.run();
    router.wait(Duration::from_secs(3));
    assert_eq!(*router.reconciler.health(), Health::Settled);
    let address = "10.2.9.1/24".parse().unwrap();
    assert!(router.system.state.addresses.iter().any(|at| at.address == address));
    assert!(!router.system.state.routes.contains_key(&place));
}
