//! Random changes, one after the other: graph, paths and routes stay those of a calculation of the whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use ospf_lite::ids::{Family, RouterId};
use ospf_lite::io::NextHop;
use ospf_lite::ospf::calculation::{Calculation, Change, Terms};
use ospf_lite::ospf::graph::Graph;
use ospf_lite::ospf::lsa::{
    AsExternalLsa, InterAreaPrefixLsa, InterAreaRouterLsa, IntraAreaPrefixLsa, LsType, Lsa, LsaBody, LsaKey,
    NetworkLsa, Prefix, PrefixOptions, RouterLink, RouterLinkKind,
};
use ospf_lite::ospf::packet::Options;
use ospf_lite::ospf::spf::shortest_paths;
use proptest::prelude::*;

use crate::area::{Area, FORWARDS, key, net, resolve};
use crate::whole;

/// Large enough that a change leaves most of it alone.
const ROUTERS: u32 = 90;

/// One thing that becomes otherwise.
#[derive(Debug, Clone)]
enum Step {
    /// A link between two routers, by its place: what each end claims and at what cost.
    Link { place: u32, ends: (u32, u32), claims: (Option<u16>, Option<u16>) },
    /// A router stays or goes.
    Router { router: u32, present: bool },
    /// A router forwards for others or not, is a boundary router or not.
    Flags { router: u32, forwards: bool, external: bool },
    /// A prefix of a router, by number.
    Prefix { router: u32, which: u32, metric: Option<u16> },
    /// A transit network of these routers, by number.
    Network { number: u32, routers: Vec<u32> },
    /// A prefix from outside.
    External { router: u32, metric: Option<u32> },
}

#[derive(Debug, Default)]
struct World {
    links: BTreeMap<u32, Step>,
    absent: BTreeMap<u32, bool>,
    flags: BTreeMap<u32, (bool, bool)>,
    prefixes: BTreeMap<(u32, u32), u16>,
    networks: BTreeMap<u32, Vec<u32>>,
    externals: BTreeMap<u32, u32>,
}

fn step(costs: std::ops::Range<u16>) -> impl Strategy<Value = Step> {
    let router = || 1..=ROUTERS;
    let cost = proptest::option::weighted(0.85, costs);
    prop_oneof![
        12 => (0..160_u32, (router(), router()), (cost.clone(), cost))
            .prop_map(|(place, ends, claims)| Step::Link { place, ends, claims }),
        2 => (router(), any::<bool>()).prop_map(|(router, present)| Step::Router { router, present }),
        1 => (router(), any::<bool>(), any::<bool>())
            .prop_map(|(router, forwards, external)| Step::Flags { router, forwards, external }),
        5 => (router(), 0..40_u32, proptest::option::weighted(0.7, 0..9_u16))
            .prop_map(|(router, which, metric)| Step::Prefix { router, which, metric }),
        1 => (0..3_u32, proptest::collection::vec(router(), 0..4))
            .prop_map(|(number, routers)| Step::Network { number, routers }),
        1 => (router(), proptest::option::weighted(0.3, 0..9_u32))
            .prop_map(|(router, metric)| Step::External { router, metric }),
    ]
}

fn prefix(which: u32) -> Prefix {
    Prefix { net: net(&format!("fd00:{which:x}::/64")), options: PrefixOptions::default() }
}

impl World {
    /// Returns a ring with a prefix at each router.
    fn ring() -> Self {
        let mut world = Self::default();
        for router in 1..=ROUTERS {
            let ends = (router, router % ROUTERS + 1);
            world.take(Step::Link { place: 1000 + router, ends, claims: (Some(3), Some(4)) });
            world.take(Step::Prefix { router, which: 100 + router, metric: Some(1) });
        }
        world
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Link { place, .. } => _ = self.links.insert(place, step),
            Step::Router { router, present } => _ = self.absent.insert(router, !present),
            Step::Flags { router, forwards, external } => _ = self.flags.insert(router, (forwards, external)),
            Step::Prefix { router, which, metric: Some(metric) } => {
                _ = self.prefixes.insert((router, which), metric);
            }
            Step::Prefix { router, which, metric: None } => _ = self.prefixes.remove(&(router, which)),
            Step::Network { number, routers } => _ = self.networks.insert(number, routers),
            Step::External { router, metric: Some(metric) } => _ = self.externals.insert(router, metric),
            Step::External { router, metric: None } => _ = self.externals.remove(&router),
        }
    }

    fn lsas(&self) -> BTreeMap<LsaKey, Lsa> {
        let mut area = Area { links_per_part: Some(2), ..Area::default() };
        (1..=ROUTERS).for_each(|router| _ = area.router(router));
        for (place, link) in &self.links {
            let Step::Link { ends: (near, far), claims, .. } = link else { continue };
            let interfaces = (2000 + place, 4000 + place);
            if let Some(cost) = claims.0 {
                area.claim((*near, interfaces.0), (*far, interfaces.1), cost);
            }
            if let Some(cost) = claims.1 {
                area.claim((*far, interfaces.1), (*near, interfaces.0), cost);
            }
        }
        for (number, routers) in &self.networks {
            self.join(&mut area, 8000 + number, routers);
        }
        for (router, (forwards, external)) in &self.flags {
            let router = area.router(*router);
            router.options = if *forwards { FORWARDS } else { Options::V6 };
            router.external = *external;
        }
        let mut announced: BTreeMap<u32, Vec<(Prefix, u16)>> = BTreeMap::new();
        for ((router, which), metric) in &self.prefixes {
            announced.entry(*router).or_default().push((prefix(*which), *metric));
        }
        for (router, prefixes) in announced {
            let referenced = key(LsType::ROUTER, router, 0);
            area.add(router, 0, LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes }));
        }
        for (router, metric) in &self.externals {
            // Some are sent to a prefix of the ring in place of the router.
            let by = net(&format!("fd00:{:x}::1/128", 100 + router / 2)).addr();
            let external = AsExternalLsa {
                type2: router % 3 == 0,
                metric: *metric,
                prefix: prefix(router % 4),
                forwarding_address: (router % 5 == 0).then_some(by),
                tag: None,
                referenced: None,
            };
            area.add(*router, 7, LsaBody::AsExternal(external));
            self.add_other_areas(&mut area, *router);
        }
        let is_there = |lsa: &Lsa| {
            let LsaKey { ls_type, advertising_router, .. } = lsa.header().key;
            ls_type != LsType::ROUTER || self.absent.get(&advertising_router.0) != Some(&true)
        };
        area.lsas().into_iter().filter(is_there).map(|lsa| (lsa.header().key, lsa)).collect()
    }

    /// Has some routers be border routers, which announce a prefix of another area or a boundary router there.
    fn add_other_areas(&self, area: &mut Area, router: u32) {
        let (metric, destination) = (router % 9, RouterId(1000));
        match router % 4 {
            0 => {
                let inter = InterAreaPrefixLsa { metric, prefix: prefix(router % 16) };
                area.add(router, 8, LsaBody::InterAreaPrefix(inter));
            }
            1 if router % 8 == 1 => {
                let inter = InterAreaRouterLsa { options: FORWARDS, metric, destination };
                area.add(router, 9, LsaBody::InterAreaRouter(inter));
                let prefix = prefix(3);
                let external = AsExternalLsa {
                    type2: false,
                    metric,
                    prefix,
                    forwarding_address: None,
                    tag: None,
                    referenced: None,
                };
                area.add(destination.0, 7, LsaBody::AsExternal(external));
            }
            _ => return,
        }
        area.router(router).border = true;
    }

    /// Joins routers by a transit network that the first is the Designated Router of, with a prefix of its own.
    fn join(&self, area: &mut Area, interface: u32, routers: &[u32]) {
        let Some(designated) = routers.first() else { return };
        for router in routers {
            let interface_id = ospf_lite::ids::InterfaceId(interface);
            area.router(*router).links.push(RouterLink {
                kind: RouterLinkKind::Transit,
                metric: 2,
                interface_id,
                neighbor_interface_id: interface_id,
                neighbor_router_id: RouterId(*designated),
            });
        }
        let attached_routers = routers.iter().map(|router| RouterId(*router)).collect();
        area.add(
            *designated,
            interface,
            LsaBody::Network(NetworkLsa { options: FORWARDS, attached_routers }),
        );
        let referenced = key(LsType::NETWORK, *designated, interface);
        let prefixes = vec![(prefix(interface), 0)];
        area.add(
            *designated,
            interface,
            LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes }),
        );
    }
}

/// Returns what has to be told so that `after` holds where `before` held.
fn changes(before: &BTreeMap<LsaKey, Lsa>, after: &BTreeMap<LsaKey, Lsa>) -> Vec<Change> {
    let gone = before.keys().filter(|key| !after.contains_key(key)).map(|key| (*key, None));
    let other = after.iter().filter(|(key, lsa)| before.get(key) != Some(lsa));
    gone.chain(other.map(|(key, lsa)| (*key, Some(Arc::new(lsa.clone()))))).collect()
}

fn check(root: u32, batches: &[Vec<Step>]) -> Result<usize, TestCaseError> {
    let mut world = World::ring();
    let mut known = BTreeMap::new();
    let mut calculation = Calculation::new(Family::Ipv6);
    let mut routes_seen = 0;
    for batch in std::iter::once(&Vec::new()).chain(batches) {
        batch.iter().for_each(|step| world.take(step.clone()));
        let lsas = world.lsas();
        let before = calculation.table().clone();
        let graph = Graph::from_lsas(lsas.values(), Family::Ipv6);
        let paths = shortest_paths(&graph, RouterId(root));
        let next_hops: Vec<NextHop> = paths.hops().iter().filter_map(|hop| resolve(*hop)).collect();
        let terms = Terms { root: RouterId(root), equal_cost_max: 4, next_hops, alternates: true };
        let has_changed = calculation.update(changes(&known, &lsas), terms).has_other_routes;
        prop_assert!(*calculation.graph() == graph);
        let kept = calculation.paths();
        for (vertex, description) in graph.vertices() {
            let same = calculation.graph().find(description.id).unwrap();
            prop_assert_eq!(kept.distance(same), paths.distance(vertex), "{:?}", description.id);
            prop_assert_eq!(kept.first_hops(same), paths.first_hops(vertex), "{:?}", description.id);
            prop_assert_eq!(kept.is_local(same), paths.is_local(vertex));
        }
        let mut table = whole::routes(&paths, lsas.values(), 4, resolve);
        if paths.hops().len() > 1 {
            whole::protect(&paths, &mut table, lsas.values(), resolve);
        }
        prop_assert!(!calculation.owes_alternates());
        let found = calculation.table();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), table.iter().collect::<Vec<_>>());
        prop_assert_eq!(found.len(), table.len());
        prop_assert_eq!(has_changed, before != *found);
        routes_seen += table.len();
        known = lsas;
    }
    Ok(routes_seen)
}

#[test]
fn a_router_that_a_network_names_twice_is_known_in_parts() {
    let link = |place, ends, claims| vec![Step::Link { place, ends, claims }];
    let batches = [
        link(19, (1, 89), (None, Some(1))),
        vec![Step::Network { number: 0, routers: vec![89, 89] }],
        link(0, (89, 1), (Some(1), None)),
    ];
    check(1, &batches).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn routes_after_changes_are_those_of_the_whole(
        root in 1..=ROUTERS,
        batches in proptest::collection::vec(proptest::collection::vec(step(1..20), 1..4), 1..25),
    ) {
        prop_assert!(check(root, &batches)? > 0);
    }

    /// With links that cost nothing there may be circles that do.
    #[test]
    fn links_that_cost_nothing_make_no_difference(
        root in 1..=ROUTERS,
        batches in proptest::collection::vec(proptest::collection::vec(step(0..2), 1..9), 1..12),
    ) {
        prop_assert!(check(root, &batches)? > 0);
    }
}
