//! Routes that come to lead other ways: as few steps as it takes, and no look at each of them.

use std::sync::Arc;
use std::time::Duration;

use dlan_agent::desired::RoutingInput;
use dlan_agent::next_hops::Ways;
use dlan_agent::plan::Plan;
use dlan_agent::plan::change::{Act, Change};
use dlan_agent::plan::outcome::{Failure, Outcome};
use dlan_agent::plan::reroute::Loss;
use dlan_agent::reconcile::Action;
use dlan_agent::state::next_hop::{Group, NextHopTarget};
use ipnet::IpNet;
use ospf_lite::ids::Family;

use crate::{NOW, Router, bundled, hop, prefix, routes, ways, ways_gone, with_other_ways};

#[test]
fn a_thousand_routes_move_to_their_alternate_in_one_step_and_need_no_other() {
    let mut router = Router::settled(routes(1000, &ways(&[4], Some(2))));
    let steps = router.lose(4, Loss::Neighbor);
    assert_eq!(ways_gone(&steps), Some(1), "{} steps", steps.len());
    assert!(router.all_lead_to(1000, &[2]));
    let plans = router.take(routes(1000, &ways(&[2], Some(3))));
    for step in plans.iter().flat_map(Plan::steps) {
        assert!(matches!(step, Change::NextHop(_)), "{step}");
    }
    assert!(router.all_lead_to(1000, &[2]));
    let steps = router.lose(2, Loss::Neighbor);
    assert_eq!(ways_gone(&steps), Some(1));
    assert!(router.all_lead_to(1000, &[3]), "the alternate of the routes that stand");
}

#[test]
fn other_ways_under_ten_thousand_routes_take_a_step_and_no_look_at_a_route() {
    let before = routes(10_000, &ways(&[4], Some(2)));
    let mut router = Router::settled(before.clone());
    let targets = router.reconciler.targets();
    for (hops, alternate) in [(2, 3), (3, 4), (4, 2)] {
        let plans = router.take(with_other_ways(&before, &[ways(&[hops], Some(alternate))]));
        let steps: Vec<_> = plans.iter().flat_map(Plan::steps).collect();
        assert!(!steps.is_empty() && steps.len() < 5, "{} steps", steps.len());
        assert!(steps.iter().all(|step| matches!(step, Change::NextHop(_))));
        assert!(router.all_lead_to(10_000, &[hops]));
        assert_eq!(router.lose(hops, Loss::Neighbor).len(), 1);
        assert!(router.all_lead_to(10_000, &[alternate]), "by the alternate of then");
    }
    assert_eq!(router.reconciler.targets(), targets);
}

#[test]
fn only_those_routes_are_looked_at_that_have_to_stand_by_another_group() {
    // Of a thousand routes over one neighbor ten lead to others from then on.
    let is_few = |number: usize| number.is_multiple_of(100);
    let before = |few: Ways, many: Ways| {
        let of = |number| if is_few(number) { few.clone() } else { many.clone() };
        let routes = (0..1000).map(|number| (prefix(number), of(number).into()));
        RoutingInput { routes: routes.collect(), complete: true, settled: true, ..RoutingInput::default() }
    };
    let apart = before(ways(&[4], None), ways(&[2], None));
    let mut router = Router::settled(with_other_ways(&apart, &[ways(&[4], None)]));
    let targets = router.reconciler.targets();
    let plans = router.take(apart);
    let routes = plans.iter().flat_map(Plan::steps).filter(|step| matches!(step, Change::Route(_)));
    assert_eq!(routes.count(), 10);
    let few = router.neighbors().into_values().filter(|found| found.contains(&hop(4).device.to_string()));
    assert_eq!(few.count(), 10);
    assert_eq!(router.reconciler.targets(), targets);
}

#[test]
fn routes_that_the_kernel_dropped_come_back_without_a_look_at_the_others() {
    let before = routes(100, &ways(&[4], None));
    let mut router = Router::settled(before.clone());
    let targets = router.reconciler.targets();
    assert_eq!(router.lose(4, Loss::Device), []);
    assert_eq!(router.neighbors().len(), 0);
    let plans = router.take(with_other_ways(&before, &[ways(&[2], None)]));
    assert!(router.all_lead_to(100, &[2]));
    assert_eq!(router.reconciler.targets(), targets);
    // The kernel may be late: what is there still is replaced.
    let routes = plans.iter().flat_map(Plan::steps).filter(|step| matches!(step, Change::Route(_)));
    assert_eq!(routes.filter(|step| step.act() == Act::Change).count(), 100);
}

#[test]
fn a_route_that_the_kernel_has_not_dropped_yet_is_no_other_programs() {
    let mut router = Router::settled(routes(10, &ways(&[4], None)));
    router.lose(4, Loss::Device);
    router.reconciler.handle_routes(NOW, routes(12, &ways(&[2], None)));
    let Some(Action::Apply(plan)) = router.reconciler.poll_action() else { panic!("nothing to do") };
    let index = plan.steps().iter().position(|step| matches!(step, Change::Route(_))).unwrap();
    let failure = Failure { index, step: String::new(), error: "it exists".to_owned(), is_taken: true };
    router.reconciler.handle_applied(NOW, Outcome { failures: vec![failure], ..Outcome::default() });
    assert!(router.reconciler.occupied().is_empty());
    assert!(router.reconciler.poll_timeout().unwrap() < NOW + Duration::from_secs(2), "a look is due soon");
}

#[test]
fn a_prefix_that_comes_or_goes_within_a_pool_is_looked_at_alone() {
    let before = routes(100, &ways(&[4], None));
    let mut router = Router::settled(before.clone());
    let targets = router.reconciler.targets();
    let link: IpNet = "10.0.4.8/30".parse().unwrap();
    let mut with = before.clone();
    let of = with.routes.of_mut(Family::Ipv4);
    let (id, ways) = of.ways.iter().next().map(|(id, ways)| (*id, ways.clone())).unwrap();
    Arc::make_mut(&mut of.places).insert(link, id);
    let steps = |plans: Vec<Plan>| plans.iter().map(|plan| plan.steps().len()).sum::<usize>();
    assert_eq!(steps(router.take(with)), 2, "its route, and the unreachable one below");
    assert!(router.neighbors()[&link].iter().eq(ways.hops.iter().map(|hop| hop.device.as_str())));
    assert_eq!(steps(router.take(before)), 1, "what was once learned stays off the WAN");
    assert_eq!(router.reconciler.targets(), targets);
}

#[test]
fn routes_of_which_some_lead_nowhere_for_a_while_need_no_look_at_the_others() {
    let places = [0, 0, 0, 1, 1, 2].map(Some);
    let mut router = Router::settled(bundled(&[Some(4), Some(2), Some(2)], &places));
    let targets = router.reconciler.targets();
    let stages = [
        ([None, Some(2), Some(2)], 3),
        ([None, None, Some(3)], 1),
        ([None, None, None], 0),
        ([Some(3), None, None], 3),
        ([Some(3), Some(3), Some(4)], 6),
    ];
    for (ways_of, leading) in stages {
        router.take(bundled(&ways_of, &places));
        assert_eq!(router.neighbors().len(), leading, "{ways_of:?}");
    }
    assert_eq!(router.reconciler.targets(), targets);
}

#[test]
fn routes_that_come_to_lead_alike_stay_in_their_groups_and_part_again_in_place() {
    // Of 110 routes a hundred lead by the neighbor that is lost for a while.
    let of = |apart: Ways| {
        let ways = move |number: usize| if number < 10 { ways(&[2, 3], []) } else { apart.clone() };
        let all = (0..110).map(move |number| (prefix(number), ways(number).into()));
        RoutingInput { routes: all.collect(), complete: true, settled: true, ..RoutingInput::default() }
    };
    let before = of(ways(&[4], [2, 3]));
    let mut router = Router::settled(before.clone());
    assert_eq!(router.lose(4, Loss::Device), []);
    assert_eq!(router.take(with_other_ways(&before, &[ways(&[2, 3], [])])), []);
    assert!(router.all_lead_to(110, &[2, 3]));
    let plans = router.take(before);
    assert!(plans.iter().flat_map(Plan::steps).all(|step| matches!(step, Change::NextHop(_))));
    let four = hop(4).device.to_string();
    assert_eq!(router.neighbors().values().filter(|found| found.contains(&four)).count(), 100);
}

#[test]
fn routes_leave_groups_of_another_kind_and_are_never_away() {
    let routing = || routes(50, &ways(&[4], Some(2)));
    let plain = Router::settled_on_an_old_kernel(routing());
    let mut with_more_buckets = Router::settled(routing());
    for object in with_more_buckets.system.state.next_hops.values_mut() {
        if let NextHopTarget::Group(group) = &mut object.target {
            group.buckets = 2 * Group::BUCKETS;
        }
    }
    for mut router in [plain, with_more_buckets] {
        router.has_standbys = true;
        let mut plans = router.start();
        plans.extend(router.take(routing()));
        let routes = plans.iter().flat_map(Plan::steps).filter(|step| matches!(step, Change::Route(_)));
        assert_eq!(routes.filter(|step| step.act() == Act::Change).count(), 50);
        assert!(plans.iter().flat_map(Plan::steps).all(|step| match step {
            Change::Route(edit) => edit.act() == Act::Change,
            step => matches!(step, Change::NextHop(_)),
        }));
        assert_eq!(router.lose(4, Loss::Device), []);
        assert!(router.all_lead_to(50, &[2]));
    }
}

#[test]
fn a_link_that_returns_takes_its_routes_back_without_one_being_away() {
    let mut router = Router::settled(routes(500, &ways(&[4], Some(2))));
    router.lose(4, Loss::Neighbor);
    router.take(routes(500, &ways(&[2], Some(3))));
    let plans = router.take(routes(500, &ways(&[4], Some(2))));
    let steps: Vec<&Change> = plans.iter().flat_map(Plan::steps).collect();
    assert!(steps.iter().all(|step| matches!(step, Change::NextHop(_))), "{}", steps.len());
    assert!(router.all_lead_to(500, &[4]));
}
