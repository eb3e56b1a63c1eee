//! How long the way from the database to the routes takes, step by step and as a whole.

mod area;
mod changes;

use std::net::Ipv6Addr;
use std::sync::Arc;

use divan::{Bencher, black_box};
use ospf_lite::ids::{Family, RouterId};
use ospf_lite::io::NextHop;
use ospf_lite::ospf::calculation::{Calculation, Change, Terms};
use ospf_lite::ospf::graph::Graph;
use ospf_lite::ospf::lsa::Lsa;
use ospf_lite::ospf::spf::{FirstHop, shortest_paths};

const ROUTERS: [u32; 4] = [100, 1_000, 5_000, 10_000];
const ROOT: RouterId = RouterId(1);

fn main() {
    divan::main();
}

fn resolve(hop: FirstHop) -> Option<NextHop> {
    let link_local = Ipv6Addr::from(0xfe80 << 112 | u128::from(hop.neighbor.0));
    Some(NextHop { interface: hop.interface, neighbor: hop.neighbor, link_local, ipv4: None })
}

#[divan::bench(args = ROUTERS)]
fn graph_from_lsas(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    bencher.bench(|| Graph::from_lsas(black_box(&lsas), Family::Ipv6));
}

#[divan::bench(args = ROUTERS)]
fn paths_over_graph(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    let graph = Graph::from_lsas(&lsas, Family::Ipv6);
    bencher.bench(|| shortest_paths(black_box(&graph), ROOT));
}

/// Returns what the database holds, as it is first told.
fn all(lsas: &[Lsa]) -> Vec<Change> {
    lsas.iter().map(|lsa| (lsa.header().key, Some(Arc::new(lsa.clone())))).collect()
}

fn terms(lsas: &[Lsa]) -> Terms {
    let graph = Graph::from_lsas(lsas, Family::Ipv6);
    let next_hops = shortest_paths(&graph, ROOT).hops().iter().filter_map(|hop| resolve(*hop)).collect();
    Terms { root: ROOT, equal_cost_max: 16, next_hops, alternates: false }
}

/// Two instances of LSAs in turn, in an area whose routes stand.
fn in_turn(bencher: Bencher<'_, '_>, lsas: &[Lsa], one: Vec<Change>, other: Vec<Change>) {
    let terms = terms(lsas);
    let mut calculation = Calculation::new(Family::Ipv6);
    calculation.update(all(lsas), terms.clone());
    let mut turn = false;
    bencher.bench_local(|| {
        turn = !turn;
        let changes = if turn { &one } else { &other };
        let update = calculation.update(changes.iter().cloned(), terms.clone());
        assert!(update.has_other_routes, "a route is another one");
    });
}

/// Every LSA is new.
#[divan::bench(args = ROUTERS)]
fn change_of_everything(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    let (all, terms) = (all(&lsas), terms(&lsas));
    bencher.bench(|| Calculation::new(Family::Ipv6).update(all.iter().cloned(), terms.clone()));
}

/// The costs of the root's own links: every route is another one.
#[divan::bench(args = ROUTERS)]
fn change_at_the_root(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    let [one, other] = [10, 0].map(|more| changes::dearer(&lsas, ROOT, more));
    in_turn(bencher, &lsas, one, other);
}

/// The metric of one prefix.
#[divan::bench(args = ROUTERS)]
fn change_of_a_prefix(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    let [one, other] = [1, 0].map(|more| changes::farther(&lsas, RouterId(routers / 2), more));
    in_turn(bencher, &lsas, one, other);
}

/// A router with one link loses it and gets it back.
#[divan::bench(args = ROUTERS)]
fn change_of_a_leaf(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = changes::with_leaf(routers);
    let leaf = RouterId(routers + 1);
    let [one, other] = [false, true].map(|is_there| changes::leaf_link(&lsas, leaf, is_there));
    in_turn(bencher, &lsas, one, other);
}
