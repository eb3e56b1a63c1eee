//! What a former start, of the agent or of its routing alone, has left: taken over, kept until the routing protocol knows better.
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

use dlan_agent::desired::RoutingInput;
use dlan_agent::reconcile::Report;
use dlan_agent::render::nftables;
use dlan_agent::state::State;
use dlan_agent::state::route::{RouteAction, RouteKey};
use fixture::{config, routing};
use reconciled::{OTHER_WAY, Router, WAY};

#[test]
fn a_restarted_agent_plans_nothing_and_keeps_routes_until_the_engine_has_settled() {
    let standing = Router::settled(&routing(WAY)).system.state;
    let mut router = Router::new(standing.clone());
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.applied(), 0, "{:?}", router.done);
    let unsettled =
        RoutingInput { settled: false, ..routing(&[("10.2.7.0/24", &[("dlan-vx2", "fe80::2:1")])]) };
    router.reconciler.handle_routes(router.now, unsettled);
    router.run();
    assert!(standing.routes.keys().all(|key| router.system.state.routes.contains_key(key)));
    let is_early = |key: &RouteKey| key.is_learned() && key.prefix.to_string() == "10.2.7.0/24";
    assert!(!router.system.state.routes.keys().any(is_early), "half a database makes no routes");
    router.reconciler.handle_routes(router.now, routing(OTHER_WAY));
    router.run();
    assert_eq!(router.learned(), ["10.2.4.0/24 via fe80::2:1 dev dlan-vx2"]);
}

#[test]
fn routing_that_starts_again_leaves_the_routes_until_it_has_settled() {
    let mut router = Router::settled(&routing(WAY));
    let before = router.system.state.clone();
    router.reconciler.handle_routing_restarted(router.now);
    router.reconciler.handle_routes(router.now, RoutingInput { settled: false, ..routing(&[]) });
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.system.state, before);
    router.reconciler.handle_routes(router.now, routing(&[]));
    router.run();
    assert!(!router.system.state.routes.keys().any(|key| key.is_learned()));
    let left = router.system.state.routes.keys().filter(|key| key.prefix.to_string() == "10.2.4.0/24");
    assert_eq!(left.count(), 1, "what was once learned stays unreachable");
}

/// Returns whether the filter that stands holds back what is for private addresses.
fn holds_private(router: &Router) -> bool {
    nftables::holds_private(router.system.state.ruleset.as_ref().unwrap())
}

/// A way of either family.
const BOTH: &[(&str, &[(&str, &str)])] =
    &[("10.2.4.0/24", &[("dlan-vx4", "fe80::4:1")]), ("fd79:4::/64", &[("dlan-vx4", "fe80::4:1")])];

#[test]
fn what_is_for_private_addresses_stays_off_the_wan_until_the_mesh_was_heard() {
    let mut router = Router::new(State::default());
    router.reconciler.handle_config(router.now, config());
    router.run();
    let hear = |router: &mut Router, routing: RoutingInput| {
        router.reconciler.handle_routes(router.now, routing);
        router.run();
        router.wait(Duration::from_secs(30));
        holds_private(router)
    };
    // No neighbor answers: the database is as whole as it can be, and says nothing.
    assert!(hear(&mut router, routing(&[])));
    assert!(hear(&mut router, RoutingInput { complete: false, ..routing(BOTH) }), "half a database");
    assert!(hear(&mut router, routing(WAY)), "one family alone");
    assert!(hear(&mut router, routing(BOTH)), "others may follow for RouterDeadInterval, 40 s");
    router.wait(Duration::from_secs(20));
    assert!(!holds_private(&router));
    assert!(!hear(&mut router, routing(&[])), "what was learned is known by now");
    router.reconciler.handle_routing_restarted(router.now);
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert!(!holds_private(&router), "an engine that starts again forgets nothing of this");
}

#[test]
fn a_restarted_agent_holds_back_no_more_than_the_one_before() {
    let restarted = |mut router: Router| {
        router.wait(Duration::from_secs(60));
        let mut router = Router::new(router.system.state);
        router.reconciler.handle_config(router.now, config());
        router.run();
        holds_private(&router)
    };
    assert!(!restarted(Router::settled(&routing(BOTH))));
    assert!(restarted(Router::settled(&routing(&[]))), "the one before had heard nothing");
}

#[test]
fn a_restarted_agent_keeps_off_the_wan_what_it_once_learned_though_the_routes_are_gone() {
    let mut standing = Router::settled(&routing(WAY)).system.state;
    standing.routes.clear();
    let mut router = Router::new(standing);
    router.reconciler.handle_config(router.now, config());
    router.run();
    let routes = &router.system.state.routes;
    let guard = routes.iter().find(|(key, _)| key.prefix.to_string() == "10.2.4.0/24");
    assert_eq!(guard.map(|(_, route)| &route.action), Some(&RouteAction::Unreachable));
    assert!(serde_json::to_string(&router.system.state.ruleset).unwrap().contains("10.2.4.0"));
}

#[test]
fn adopted_routes_go_when_the_engine_never_settles() {
    let standing = Router::settled(&routing(WAY)).system.state;
    let mut router = Router::new(standing);
    router.reconciler.handle_config(router.now, config());
    router.run();
    // The grace period, and as long as the engine may take to settle without the neighbors of before.
    router.wait(Duration::from_secs(179));
    assert!(router.system.state.routes.keys().any(|key| key.is_learned()));
    router.wait(Duration::from_secs(2));
    assert!(!router.system.state.routes.keys().any(|key| key.is_learned()));
}

#[test]
fn routes_count_as_in_use_when_they_have_been_applied_and_not_before() {
    let mut router = Router::new(State::default());
    router.reconciler.handle_config(router.now, config());
    router.run();
    router.reconciler.handle_routes(router.now, RoutingInput { complete: false, ..routing(WAY) });
    router.run();
    assert!(!router.reports.contains(&Report::Installed), "the database is not in");
    router.reconciler.handle_routes(router.now, RoutingInput { settled: false, ..routing(WAY) });
    router.run();
    assert!(!router.reports.contains(&Report::Installed), "links of this router are not in");
    router.reconciler.handle_routes(router.now, routing(OTHER_WAY));
    let action = router.reconciler.poll_action().unwrap();
    // While the system takes its time there is another change: what is being applied is not what is wanted any more.
    assert_eq!(router.reconciler.poll_report(), None);
    router.reconciler.handle_routes(router.now, routing(WAY));
    router.act(action);
    assert_eq!(router.reconciler.poll_report(), None);
    let action = router.reconciler.poll_action().unwrap();
    assert_eq!(router.reconciler.poll_report(), None);
    router.act(action);
    assert_eq!(router.reconciler.poll_report(), Some(Report::Installed));
    router.reconciler.handle_routes(router.now, routing(OTHER_WAY));
    router.run();
    assert!(!router.reports.contains(&Report::Installed), "that is told once");
}

#[test]
fn routes_of_an_earlier_start_are_in_use_from_the_first_look_on() {
    let standing = Router::settled(&routing(WAY)).system.state;
    let mut router = Router::new(standing);
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.reports.iter().filter(|report| **report == Report::Installed).count(), 1);
    router.forget();
    router.reconciler.handle_routes(router.now, routing(WAY));
    router.run();
    assert_eq!(router.reports.iter().filter(|report| **report == Report::Installed).count(), 1);
}
