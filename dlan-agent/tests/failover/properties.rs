//! Through any history routes lead where they are wanted, and nothing is left over.

use std::collections::{BTreeMap, BTreeSet};

use dlan_agent::desired::{RoutingInput, desired};
use dlan_agent::next_hops::Ways;
use dlan_agent::plan::Plan;
use dlan_agent::plan::reroute::Loss;
use dlan_agent::state::State;
use dlan_agent::state::route::{RouteHop, RouteKey};
use dlan_agent::system::fake::FakeSystem;
use ipnet::IpNet;
use proptest::prelude::*;

use crate::fixture::{config, facts};
use crate::{Router, block_on, bundled, prefix, ways, with_other_ways};

/// Ways for each of some prefixes.
fn any_routes() -> impl Strategy<Value = Vec<Ways>> {
    let some = |least| proptest::collection::btree_set(2..=4_u8, least..=3);
    let one = (some(1), some(0)).prop_map(|(hops, alternates)| {
        let hops: Vec<u8> = hops.into_iter().collect();
        ways(&hops, alternates.into_iter().filter(|alternate| hops.len() == 1 && hops[0] != *alternate))
    });
    proptest::collection::vec(one, 200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_ways_prefixes_come_to_have_they_lead_there(history in proptest::collection::vec(any_routes(), 2..8)) {
        let first = history[0].iter().take(5).enumerate().flat_map(|(part, ways)| {
            (0..20).map(move |number| (prefix(part * 20 + number), ways.clone().into()))
        });
        let first = RoutingInput { routes: first.collect(), complete: true, settled: true, ..RoutingInput::default() };
        let mut router = Router::settled(first.clone());
        for others in &history {
            let routing = with_other_ways(&first, others);
            router.take(routing.clone());
            let found = router.neighbors();
            for (prefix, ways) in routing.routes.iter() {
                let wanted: BTreeSet<String> = ways.hops.iter().map(|hop| hop.device.to_string()).collect();
                prop_assert_eq!(&found[prefix], &wanted);
            }
        }
    }

    #[test]
    fn whatever_comes_goes_and_is_lost_routes_lead_as_wanted_and_no_object_is_left_over(
        history in proptest::collection::vec(
            (
                proptest::collection::vec(proptest::option::weighted(0.7, 2..=4_u8), 6),
                proptest::collection::vec(proptest::option::weighted(0.9, 0..6_u32), 30),
                proptest::option::of((2..=4_u8, prop_oneof![Just(Loss::Neighbor), Just(Loss::Device)])),
            ),
            2..12,
        )
    ) {
        let mut router = Router::settled(bundled(&history[0].0, &history[0].1));
        let targets = router.reconciler.targets();
        for (ways_of, bundle_of, lost) in &history {
            // Where nothing is announced anew the ways alone are others.
            for places in [&history[0].1, bundle_of] {
                let routing = bundled(ways_of, places);
                router.take(routing.clone());
                let wanted: BTreeMap<IpNet, BTreeSet<String>> = routing
                    .routes
                    .iter()
                    .map(|(prefix, ways)| (*prefix, ways.hops.iter().map(|hop| hop.device.to_string()).collect()))
                    .filter(|(_, hops): &(_, BTreeSet<_>)| !hops.is_empty())
                    .collect();
                prop_assert_eq!(router.neighbors(), wanted);
                let state = &router.system.state;
                let used: BTreeSet<_> = state.routes.values().filter_map(|route| route.action.group()).collect();
                let groups = state.next_hops.iter().filter(|(_, object)| object.group().is_some());
                prop_assert_eq!(groups.map(|(id, _)| *id).collect::<BTreeSet<_>>(), used);
            }
            if let Some((neighbor, loss)) = lost {
                router.lose(*neighbor, *loss);
            }
        }
        prop_assert_eq!(router.reconciler.targets(), targets);
    }

    #[test]
    fn through_any_history_routes_lead_as_wanted_and_groups_stay_few(history in proptest::collection::vec(any_routes(), 1..5)) {
        let mut state = State::default();
        for (stage, wanted) in history.iter().enumerate() {
            let routing = RoutingInput {
                routes: wanted.iter().enumerate().map(|(number, ways)| (prefix(number), ways.clone().into())).collect(),
                complete: true,
                settled: true,
                ..RoutingInput::default()
            };
            let next = desired(&config(), &facts(&config()), &routing, &state).unwrap();
            for (prefix, ways) in routing.routes.iter() {
                let key = RouteKey { table: 141, prefix: *prefix, metric: 32 };
                let hops: BTreeSet<RouteHop> = next.hops(&next.routes[&key]).into_iter().cloned().collect();
                prop_assert_eq!(&hops, &ways.hops);
            }
            let classes: BTreeSet<&Ways> = wanted.iter().collect();
            let groups = next.next_hops.values().filter(|object| object.group().is_some()).count();
            prop_assert!(groups <= 4 * classes.len() + wanted.len() / 64, "{} groups for {} classes", groups, classes.len());
            if stage > 0 {
                // No route is led astray on the way: at each step it leads as it did, or as it shall.
                let plan = Plan::routes(&state, &next);
                let mut system = FakeSystem::new(state.clone());
                for step in plan.steps() {
                    prop_assert!(block_on(system.apply(&Plan::of(step.clone()))).is_success());
                    for (key, route) in system.state.routes.iter().filter(|(key, _)| key.is_learned()) {
                        let hops = system.state.hops(route);
                        let before = state.routes.get(key).map(|route| state.hops(route));
                        let after = next.routes.get(key).map(|route| next.hops(route));
                        prop_assert!(Some(&hops) == before.as_ref() || Some(&hops) == after.as_ref(), "{} by\n{}", key, step);
                    }
                }
            }
            state = next;
        }
    }
}
