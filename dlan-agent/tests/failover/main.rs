//! A lost link: what leads by it moves at once and in one step, however many routes there are, and nothing moves back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod loss;
mod moves;
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dlan_agent::desired::RoutingInput;
use dlan_agent::next_hops::Ways;
use dlan_agent::plan::Plan;
use dlan_agent::plan::change::{Act, Change};
use dlan_agent::plan::reroute::Loss;
use dlan_agent::reconcile::{Action, Reconciler};
use dlan_agent::state::State;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::route::{METRIC_PASSING, RouteHop};
use dlan_agent::system::fake::FakeSystem;
use fixture::{config, device, facts};
use ipnet::IpNet;
use ospf_lite::ids::Family;
use ospf_lite::ospf::route::RouteId;
use ospf_lite::time::Instant;

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

/// The same prefixes with other ways, in turn for those that have had theirs in common.
fn with_other_ways(routing: &RoutingInput, others: &[Ways]) -> RoutingInput {
    let mut routing = routing.clone();
    let mut others = others.iter().cycle();
    routing.routes.replace_ways(|_| others.next().map(|other| other.clone().into()));
    routing
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
