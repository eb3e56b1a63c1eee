//! What a lost link comes to before the routing protocol has spoken, and that nothing undoes it.

use std::collections::BTreeSet;

use dlan_agent::desired::RoutingInput;
use dlan_agent::plan::Plan;
use dlan_agent::plan::change::{Act, Change};
use dlan_agent::plan::reroute::Loss;
use dlan_agent::reconcile::{Action, Health, Reconciler, Report};
use vxlan::link::LinkName;

use crate::fixture::{config, facts};
use crate::{NOW, Router, block_on, hop, is_passing, prefix, routes, ways, ways_gone, with_other_ways};

#[test]
fn of_equal_cost_ways_the_others_go_on() {
    let mut router = Router::settled(routes(100, &ways(&[2, 3, 4], None)));
    assert_eq!(router.lose(4, Loss::Neighbor).len(), 1);
    assert!(router.all_lead_to(100, &[2, 3]));
    assert_eq!(router.lose(2, Loss::Neighbor).len(), 1);
    assert!(router.all_lead_to(100, &[3]));
}

#[test]
fn routes_with_nowhere_else_to_go_are_left_alone_until_the_routing_protocol_has_spoken() {
    let mut router = Router::settled(routes(10, &ways(&[4], None)));
    assert_eq!(router.lose(4, Loss::Neighbor), []);
    assert!(router.all_lead_to(10, &[4]));
    router.take(routes(10, &ways(&[2], None)));
    assert!(router.all_lead_to(10, &[2]));
}

#[test]
fn an_alternate_that_is_lost_too_is_not_taken() {
    let mut router = Router::settled(routes(10, &ways(&[4], Some(2))));
    let lost = |neighbor| hop(neighbor).device;
    router.reconciler.handle_lost(NOW, &lost(2), Loss::Device);
    router.reconciler.handle_lost(NOW, &lost(4), Loss::Neighbor);
    assert_eq!(router.reconciler.poll_reroute(), None);
}

/// The same routes, read while the routing protocol's back-off keeps it from calculating others.
fn from_before(routing: &RoutingInput, lost: u8) -> RoutingInput {
    RoutingInput { outdated: BTreeSet::from([hop(lost).device]), ..routing.clone() }
}

#[test]
fn routes_read_before_they_are_calculated_again_bring_nothing_back() {
    let before = routes(10, &ways(&[4], Some(2)));
    for loss in [Loss::Neighbor, Loss::Device] {
        let mut router = Router::settled(before.clone());
        router.lose(4, loss);
        for _ in 0..3 {
            router.take(from_before(&before, 4));
            assert!(router.all_lead_to(10, &[2]), "{loss:?}");
        }
        router.take(with_other_ways(&before, &[ways(&[3], None)]));
        assert!(router.all_lead_to(10, &[3]), "{loss:?}");
        router.take(before.clone());
        assert!(router.all_lead_to(10, &[4]), "it has spoken: the neighbor is there, {loss:?}");
    }
}

#[test]
fn nothing_is_asked_of_the_kernel_over_a_device_that_is_down() {
    let leads_over = |step: &Change, device: &LinkName| match step {
        Change::NextHop(edit) => {
            edit.to.iter().any(|object| object.way().is_some_and(|way| way.device == *device))
        }
        _ => false,
    };
    for (hops, alternate) in [(vec![4], None), (vec![4, 2], None), (vec![2], Some(4))] {
        let before = routes(10, &ways(&hops, alternate));
        let mut router = Router::settled(before.clone());
        let lost = hop(4).device;
        router.system.state.without_carrier.insert(lost.clone());
        router.lose(4, Loss::Device);
        let mut plans = router.take(from_before(&before, 4));
        // Others change meanwhile, and somebody has it all looked at.
        plans.extend(router.take(from_before(&routes(12, &ways(&hops, alternate)), 4)));
        router.reconciler.handle_config(NOW, config());
        plans.extend(router.run());
        let asked = plans.iter().flat_map(Plan::steps).filter(|step| leads_over(step, &lost));
        assert_eq!(asked.count(), 0, "{hops:?}, or {alternate:?}");
        let left = if hops.contains(&2) { 12 } else { 0 };
        assert_eq!(router.neighbors().len(), left);
        router.system.state.without_carrier.clear();
        router.reconciler.handle_returned(NOW, &lost);
        router.take(routes(12, &ways(&hops, alternate)));
        assert_eq!(router.neighbors().len(), 12);
        assert!(router.neighbors().values().all(|found| found.len() == hops.len()));
    }
}

#[test]
fn a_loss_waits_for_nothing_that_is_out() {
    let mut router = Router::settled(routes(10, &ways(&[4], Some(2))));
    router.reconciler.handle_config(NOW, config());
    assert!(matches!(router.reconciler.poll_action(), Some(Action::Gather(_))));
    assert_eq!(router.lose(4, Loss::Neighbor).len(), 1);
    assert!(router.all_lead_to(10, &[2]));
}

#[test]
fn a_look_that_began_before_a_loss_brings_nothing_back() {
    let mut router = Router::settled(routes(10, &ways(&[4], Some(2))));
    router.reconciler.handle_config(NOW, config());
    let Some(Action::Gather(asked)) = router.reconciler.poll_action() else { panic!("no look") };
    router.reconciler.handle_facts(NOW, facts(&asked));
    let Some(Action::Observe(_)) = router.reconciler.poll_action() else { panic!("no look") };
    let seen = router.system.state.clone();
    router.lose(4, Loss::Neighbor);
    router.reconciler.handle_observed(NOW, seen);
    router.run();
    assert!(router.all_lead_to(10, &[2]), "until the routing protocol has spoken");
    router.take(routes(10, &ways(&[4], Some(2))));
    assert!(router.all_lead_to(10, &[4]), "it has spoken: the neighbor is there");
}

#[test]
fn late_word_of_a_device_that_an_apply_made_anew_fails_no_apply() {
    let mut router = Router::settled(routes(10, &ways(&[4], None)));
    let mut other = config();
    other.links[0].mtu -= 10;
    router.reconciler.handle_config(NOW, other);
    assert!(router.run_until_applied().is_some());
    assert!(router.all_lead_to(10, &[4]));
    // The device stands with its routes; the word is of the one before it.
    router.reconciler.handle_lost(NOW, &hop(4).device, Loss::Device);
    assert_eq!(router.reconciler.poll_reroute(), None);
    router.run();
    assert_eq!(router.reconciler.health(), &Health::Settled);
    assert_eq!(complaints(&mut router.reconciler), Vec::<Report>::new());
    assert!(router.all_lead_to(10, &[4]));
}

#[test]
fn a_device_that_somebody_deletes_is_told_though_its_routes_are_not() {
    let mut router = Router::settled(routes(10, &ways(&[4], Some(2))));
    complaints(&mut router.reconciler);
    let lost = hop(4).device;
    router.system.state.links.remove(&lost);
    router.lose(4, Loss::Device);
    router.reconciler.handle_config(NOW, config());
    router.run();
    let told = complaints(&mut router.reconciler);
    let [Report::Drift { repairs }] = told.as_slice() else { panic!("{told:?}") };
    assert!(repairs.iter().any(|repair| repair.contains("link dlan-vx4")), "{repairs:?}");
    assert!(!repairs.iter().any(|repair| repair.contains("route ")), "{repairs:?}");
    assert_eq!(router.reconciler.health(), &Health::Settled);
}

#[test]
fn nothing_is_begun_beside_a_plan_around_a_loss() {
    let mut router = Router::settled(routes(10, &ways(&[4], Some(2))));
    router.reconciler.handle_lost(NOW, &hop(4).device, Loss::Neighbor);
    let plan = router.reconciler.poll_reroute().unwrap();
    router.reconciler.handle_config(NOW, config());
    router.reconciler.handle_routes(NOW, routes(10, &ways(&[2], Some(3))));
    assert_eq!(router.reconciler.poll_action(), None);
    let outcome = block_on(router.system.apply(&plan));
    router.reconciler.handle_rerouted(NOW, &outcome);
    assert!(!router.run().is_empty());
    assert_eq!(complaints(&mut router.reconciler), Vec::<Report>::new());
    assert!(router.all_lead_to(10, &[2]));
}

/// The reports that tell of something wrong.
fn complaints(reconciler: &mut Reconciler) -> Vec<Report> {
    let reports = std::iter::from_fn(|| reconciler.poll_report());
    reports.filter(|report| matches!(report, Report::Failed { .. } | Report::Drift { .. })).collect()
}

#[test]
fn where_the_kernel_goes_over_to_the_standby_nothing_is_left_to_do() {
    let mut router = Router::settled(routes(1000, &ways(&[4], Some(2))));
    assert_eq!(router.lose(4, Loss::Device), []);
    assert!(router.all_lead_to(1000, &[2]));
    let plans = router.take(routes(1000, &ways(&[2], Some(3))));
    assert!(plans.iter().flat_map(Plan::steps).all(|step| matches!(step, Change::NextHop(_))));
    assert_eq!(router.lose(2, Loss::Device), []);
    assert!(router.all_lead_to(1000, &[3]), "the standby of the routes that stand");
    assert_eq!(router.lose(3, Loss::Device), []);
    assert!(router.neighbors().is_empty(), "nothing is left to go over to");
}

#[test]
fn of_ten_thousand_routes_two_alternates_take_over_side_by_side_and_no_group_is_replaced() {
    let before = routes(10_000, &ways(&[4], [2, 3]));
    for loss in [Loss::Neighbor, Loss::Device] {
        let mut router = Router::settled(before.clone());
        let steps = router.lose(4, loss);
        assert_eq!(ways_gone(&steps), Some(usize::from(loss == Loss::Neighbor)), "{steps:?}");
        assert!(router.all_lead_to(10_000, &[2, 3]), "{loss:?}");
        assert_eq!(router.take(from_before(&before, 4)), [], "{loss:?}");
        assert_eq!(router.take(with_other_ways(&before, &[ways(&[2, 3], [])])), [], "{loss:?}");
        router.reconciler.handle_config(NOW, config());
        assert_eq!(router.run(), [], "{loss:?}");
        assert_eq!(complaints(&mut router.reconciler), [], "{loss:?}");
        let plans = router.take(before.clone());
        let steps: Vec<&Change> = plans.iter().flat_map(Plan::steps).collect();
        assert!(matches!(steps.as_slice(), [Change::NextHop(_), Change::NextHop(_)]), "{steps:?}");
        assert!(router.all_lead_to(10_000, &[4]), "it is back, {loss:?}");
        assert_eq!(ways_gone(&router.lose(3, loss)), Some(usize::from(loss == Loss::Neighbor)));
        assert_eq!(ways_gone(&router.lose(4, loss)), Some(usize::from(loss == Loss::Neighbor)));
        assert!(router.all_lead_to(10_000, &[2]), "by the one that is left, {loss:?}");
    }
}

#[test]
fn a_way_is_not_removed_from_under_routes_that_have_no_other() {
    // Of a hundred routes over one neighbor two have no alternate.
    let of = |number: usize| if number < 2 { ways(&[4], []) } else { ways(&[4], [2, 3]) };
    let all = (0..100).map(|number| (prefix(number), of(number).into()));
    let routing =
        RoutingInput { routes: all.collect(), complete: true, settled: true, ..RoutingInput::default() };
    let mut router = Router::settled(routing);
    let steps = router.lose(4, Loss::Neighbor);
    assert!(matches!(steps.as_slice(), [Change::NextHop(edit)] if edit.act() == Act::Change), "{steps:?}");
    let found = router.neighbors();
    assert_eq!(found.len(), 100, "not one is away");
    let is_moved = |found: &BTreeSet<String>| !found.contains(hop(4).device.as_str());
    assert_eq!(found.values().filter(|found| is_moved(found)).count(), 98);
}

#[test]
fn beside_a_plan_that_is_being_made_no_way_is_removed() {
    // A group that is about to come may have no other way.
    let mut router = Router::settled(routes(10, &ways(&[4], [2, 3])));
    router.reconciler.handle_routes(NOW, routes(10, &ways(&[4], [])));
    let Some(Action::Apply(plan)) = router.reconciler.poll_action() else { panic!("nothing to do") };
    let steps = router.lose(4, Loss::Neighbor);
    assert!(steps.iter().all(|step| step.act() == Act::Change), "{steps:?}");
    assert!(router.all_lead_to(10, &[2, 3]));
    drop(plan);
}

#[test]
fn on_an_old_kernel_two_alternates_take_over_by_another_group() {
    let mut router = Router::settled_on_an_old_kernel(routes(50, &ways(&[4], [2, 3])));
    let steps = router.lose(4, Loss::Neighbor);
    assert!(matches!(steps.as_slice(), [Change::NextHop(edit)] if edit.act() == Act::Change), "{steps:?}");
    assert!(router.all_lead_to(50, &[2, 3]));
}

#[test]
fn what_has_sockets_look_again_is_a_route_of_each_family_that_leaves_nothing() {
    let mut router = Router::settled(routes(50, &ways(&[4], Some(2))));
    let before = router.system.state.routes.clone();
    router.reconciler.handle_lost(NOW, &hop(4).device, Loss::Neighbor);
    let plan = router.reconciler.poll_reroute().unwrap();
    let passing: Vec<_> = plan.steps().iter().filter(|step| is_passing(step)).collect();
    let is_ipv4 = |step: &&Change| matches!(step, Change::Route(edit) if edit.key.prefix.addr().is_ipv4());
    let acts = |ipv4: bool| passing.iter().filter(move |step| is_ipv4(step) == ipv4).map(|step| step.act());
    for ipv4 in [true, false] {
        assert!(acts(ipv4).eq([Act::Add, Act::Remove]), "{plan}");
    }
    assert!(!is_passing(&plan.steps()[0]), "after the way: {plan}");
    assert!(block_on(router.system.apply(&plan)).is_success());
    assert_eq!(router.system.state.routes, before);
}

#[test]
fn a_standby_that_is_lost_first_takes_nothing_along() {
    let mut router = Router::settled(routes(50, &ways(&[4], Some(2))));
    assert_eq!(router.lose(2, Loss::Device), []);
    assert!(router.all_lead_to(50, &[4]));
    assert_eq!(router.lose(4, Loss::Neighbor), [], "there is nothing to move to");
}

#[test]
fn on_an_old_kernel_routes_that_it_dropped_with_a_device_come_back_by_the_alternate() {
    let mut router = Router::settled_on_an_old_kernel(routes(50, &ways(&[4], Some(2))));
    let lost = hop(4).device;
    let steps = router.lose(4, Loss::Device);
    assert_eq!(steps.len(), 51);
    assert!(steps.iter().all(|step| step.act() == Act::Add));
    assert!(router.all_lead_to(50, &[2]));
    assert!(!router.reconciler.is_up(&lost));
    let mut shared = Router::settled_on_an_old_kernel(routes(50, &ways(&[3, 4], None)));
    assert_eq!(shared.lose(4, Loss::Device), [], "the kernel went on with the other way by itself");
    assert!(shared.all_lead_to(50, &[3]));
    assert_eq!(shared.take(routes(50, &ways(&[3], Some(2)))).iter().flat_map(Plan::steps).count(), 1);
}
