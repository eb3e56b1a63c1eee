//! A lost link: what leads by it moves at once and in one step, however many routes there are, and nothing moves back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dlan_agent::desired::{RoutingInput, desired};
use dlan_agent::next_hops::Ways;
use dlan_agent::plan::Plan;
use dlan_agent::plan::change::{Act, Change};
use dlan_agent::plan::outcome::{Failure, Outcome};
use dlan_agent::plan::reroute::Loss;
use dlan_agent::reconcile::{Action, Health, Reconciler, Report};
use dlan_agent::state::State;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::next_hop::{Group, NextHopTarget};
use dlan_agent::state::route::{METRIC_PASSING, RouteHop, RouteKey};
use dlan_agent::system::fake::FakeSystem;
use fixture::{config, device, facts};
use ipnet::IpNet;
use ospf_lite::ids::Family;
use ospf_lite::ospf::route::RouteId;
use ospf_lite::time::Instant;
use proptest::prelude::*;
use vxlan::link::LinkName;

const NOW: Instant = Instant::from_micros(1_000_000);

fn hop(neighbor: u8) -> RouteHop {
    RouteHop {
        device: device(&format!("dlan-vx{neighbor}")),
        via: Some(format!("fe80::{neighbor}:1").parse().unwrap()),
    }
}

fn prefix(number: usize) -> IpNet {
    match number % 2 {
        0 => format!("10.{}.{}.0/24", 100 + number / 512, number / 2 % 256),
        _ => format!("fd00:7:{number:x}::/64"),
    }
    .parse()
    .unwrap()
}

fn ways(hops: &[u8], alternates: impl IntoIterator<Item = u8>) -> Ways {
    let alternates = alternates.into_iter().map(hop).collect();
    Ways { hops: hops.iter().map(|neighbor| hop(*neighbor)).collect(), alternates }
}

/// So many routes with the same ways, from a number on.
fn routes(count: usize, ways: &Ways) -> RoutingInput {
    let routes = (0..count).map(|number| (prefix(number), ways.clone().into())).collect();
    RoutingInput { routes, complete: true, settled: true, ..RoutingInput::default() }
}

struct Router {
    reconciler: Reconciler,
    system: FakeSystem,
    has_standbys: bool,
}

impl Router {
    fn settled(routing: RoutingInput) -> Self {
        Self::started(State::default(), true, routing)
    }

    /// A router on a kernel whose groups can have no standby.
    fn settled_on_an_old_kernel(routing: RoutingInput) -> Self {
        Self::started(State::default(), false, routing)
    }

    fn started(state: State, has_standbys: bool, routing: RoutingInput) -> Self {
        let mut router = Self { reconciler: Reconciler::new(), system: FakeSystem::new(state), has_standbys };
        router.start();
        router.take(routing);
        router
    }

    /// Begins anew with what stands, and returns the plans.
    fn start(&mut self) -> Vec<Plan> {
        self.reconciler = Reconciler::new();
        self.reconciler.handle_config(NOW, config());
        self.run()
    }

    /// Takes routes, does what is asked, and returns the plans.
    fn take(&mut self, routing: RoutingInput) -> Vec<Plan> {
        self.reconciler.handle_routes(NOW, routing);
        self.run()
    }

    fn run(&mut self) -> Vec<Plan> {
        std::iter::from_fn(|| self.run_until_applied()).collect()
    }

    /// Does what is asked until a plan is made, and returns it; nothing when no more is asked.
    fn run_until_applied(&mut self) -> Option<Plan> {
        loop {
            match self.reconciler.poll_action()? {
                Action::Gather(config) => {
                    let facts = Facts { has_standbys: self.has_standbys, ..facts(&config) };
                    self.reconciler.handle_facts(NOW, facts);
                }
                Action::Observe(_) => self.reconciler.handle_observed(NOW, self.system.state.clone()),
                Action::Apply(plan) => {
                    let outcome = block_on(self.system.apply(&plan));
                    assert!(outcome.is_success(), "{outcome}");
                    self.reconciler.handle_applied(NOW, outcome);
                    return Some(plan);
                }
            }
        }
    }

    /// Loses a link and returns the steps, which are made; but for what only has sockets look again.
    fn lose(&mut self, neighbor: u8, loss: Loss) -> Vec<Change> {
        let lost = hop(neighbor).device;
        if loss == Loss::Device {
            self.system.lose_ways(&lost);
        }
        self.reconciler.handle_lost(NOW, &lost, loss);
        let Some(plan) = self.reconciler.poll_reroute() else { return Vec::new() };
        let outcome = block_on(self.system.apply(&plan));
        assert!(outcome.is_success(), "{outcome}");
        self.reconciler.handle_rerouted(NOW, &outcome);
        plan.steps().iter().filter(|step| !is_passing(step)).cloned().collect()
    }

    /// The neighbors that each learned prefix leads to.
    fn neighbors(&self) -> BTreeMap<IpNet, BTreeSet<String>> {
        let state = &self.system.state;
        let learned = state.routes.iter().filter(|(key, _)| key.is_learned());
        let devices = |route| state.hops(route).into_iter().map(|hop| hop.device.to_string()).collect();
        learned.map(|(key, route)| (key.prefix, devices(route))).collect()
    }

    fn all_lead_to(&self, count: usize, neighbors: &[u8]) -> bool {
        let wanted: BTreeSet<String> =
            neighbors.iter().map(|neighbor| hop(*neighbor).device.to_string()).collect();
        let found = self.neighbors();
        found.len() == count && found.values().all(|found| *found == wanted)
    }
}

/// Whether it is a route that goes as soon as it has come.
fn is_passing(step: &Change) -> bool {
    matches!(step, Change::Route(edit) if edit.key.metric == METRIC_PASSING)
}

/// Returns how many ways go, where nothing else is done.
fn ways_gone(steps: &[Change]) -> Option<usize> {
    let is_way = |step: &Change| {
        let way = if let Change::NextHop(edit) = step { edit.from.as_ref()?.way() } else { None };
        way.filter(|_| step.act() == Act::Remove).map(drop)
    };
    steps.iter().all(|step| is_way(step).is_some()).then_some(steps.len())
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

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

/// The same prefixes with other ways, in turn for those that have had theirs in common.
fn with_other_ways(routing: &RoutingInput, others: &[Ways]) -> RoutingInput {
    let mut routing = routing.clone();
    let mut others = others.iter().cycle();
    routing.routes.replace_ways(|_| others.next().map(|other| other.clone().into()));
    routing
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

/// Prefixes of links, in bundles; each leads by a neighbor, or nowhere. A prefix without a bundle is not there.
fn bundled(ways_of: &[Option<u8>], bundle_of: &[Option<u32>]) -> RoutingInput {
    let mut routing = RoutingInput { complete: true, settled: true, ..RoutingInput::default() };
    let of = routing.routes.of_mut(Family::Ipv4);
    for (id, neighbor) in (0..).zip(ways_of) {
        // One that leads nowhere may be told of, or not.
        if neighbor.is_some() || id % 2 == 0 {
            of.ways.insert(RouteId(id), ways(neighbor.as_slice(), None).into());
        }
    }
    for (number, bundle) in bundle_of.iter().enumerate() {
        let prefix: IpNet = format!("10.0.4.{}/30", 4 * number).parse().unwrap();
        bundle.map(|bundle| Arc::make_mut(&mut of.places).insert(prefix, RouteId(bundle)));
    }
    routing
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
