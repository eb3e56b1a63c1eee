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

use std::time::Duration;

use dlan_agent::reconcile::{Action, Health, Reconciler};
use dlan_agent::state::State;
use dlan_agent::state::route::RouteKey;
use dlan_agent::system::fake::FakeSystem;
use ospf_lite::time::Instant;

const ROUTES: &[(&str, &[(&str, &str)])] =
    &[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")]), ("10.4.0.0/24", &[("dlan-vx3", "fe80::2")])];

struct Router {
    now: Instant,
    reconciler: Reconciler,
    system: FakeSystem,
}

impl Router {
    /// A router that has settled, with two learned routes.
    fn settled() -> Self {
        let (now, reconciler) = (Instant::from_micros(1_000_000), Reconciler::new());
        let mut router = Self { now, reconciler, system: FakeSystem::new(State::default()) };
        router.reconciler.handle_config(now, fixture::config());
        router.run();
        router.reconciler.handle_routes(now, fixture::routing(ROUTES));
        router.run();
        assert_eq!(*router.reconciler.health(), Health::Settled);
        router
    }

    fn run(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..100 {
            let Some(action) = self.reconciler.poll_action() else { return };
            match action {
                Action::Gather(config) => {
                    self.reconciler.handle_facts(self.now, fixture::facts(&config));
                }
                Action::Observe(_) => self.reconciler.handle_observed(self.now, self.system.state.clone()),
                Action::Apply(plan) => {
                    let outcome = runtime.block_on(self.system.apply(&plan));
                    self.reconciler.handle_applied(self.now, outcome);
                }
            }
        }
        panic!("the reconciler never rests: {:?}", self.reconciler.health());
    }

    /// Lets time pass, deadline by deadline.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.reconciler.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.reconciler.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    fn place(&self, prefix: &str) -> RouteKey {
        let prefix = prefix.parse().unwrap();
        let mut keys = self.system.state.routes.keys();
        *keys.find(|key| key.prefix == prefix && key.is_learned()).unwrap()
    }

    /// Somebody puts a route of theirs in the place of one of ours, and takes other things away.
    fn upset(&mut self, place: RouteKey) {
        self.system.state.routes.remove(&place);
        self.system.strangers.insert(place);
        self.system.state.rules.clear();
        self.system.state.ruleset = None;
        self.reconciler.handle_hint(self.now);
    }
}

#[test]
fn everything_but_the_route_itself_is_repaired_and_the_place_is_told() {
    let mut router = Router::settled();
    let (mut wanted, place) = (router.system.state.clone(), router.place("10.3.0.0/24"));
    router.upset(place);
    router.wait(Duration::from_secs(3));
    wanted.routes.remove(&place);
    assert_eq!(router.system.state, wanted);
    assert_eq!(*router.reconciler.health(), Health::Settled);
    assert_eq!(router.reconciler.occupied().into_iter().collect::<Vec<_>>(), [place]);
}

#[test]
fn the_route_comes_back_once_its_place_is_free() {
    let mut router = Router::settled();
    let (wanted, place) = (router.system.state.clone(), router.place("10.3.0.0/24"));
    router.upset(place);
    router.wait(Duration::from_secs(70));
    assert!(!router.system.state.routes.contains_key(&place));
    router.system.strangers.clear();
    router.wait(Duration::from_secs(60));
    assert_eq!(router.system.state, wanted);
    assert!(router.reconciler.occupied().is_empty());
}

#[test]
fn another_configuration_is_brought_about_all_the_same() {
    let mut router = Router::settled();
    let place = router.place("10.3.0.0/24");
    router.upset(place);
    let text = fixture::with_keys(&fixture::CONFIG.replace("10.2.1.1/24", "10.2.9.1/24"));
    router.reconciler.handle_config(router.now, fixture::config_of(&text));
    router.run();
    router.wait(Duration::from_secs(3));
    assert_eq!(*router.reconciler.health(), Health::Settled);
    let address = "10.2.9.1/24".parse().unwrap();
    assert!(router.system.state.addresses.iter().any(|at| at.address == address));
    assert!(!router.system.state.routes.contains_key(&place));
}
