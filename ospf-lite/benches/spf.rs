//! How long the way from the database to the routes takes, step by step and as a whole.

mod area;

use std::net::Ipv6Addr;

use divan::{Bencher, black_box};
use ospf_lite::ids::{Family, RouterId};
use ospf_lite::io::NextHop;
use ospf_lite::ospf::graph::Graph;
use ospf_lite::ospf::route::routes;
use ospf_lite::ospf::spf::{FirstHop, shortest_paths};

const ROUTERS: [u32; 3] = [100, 1_000, 10_000];
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

#[divan::bench(args = ROUTERS)]
fn routes_from_paths(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    let graph = Graph::from_lsas(&lsas, Family::Ipv6);
    let paths = shortest_paths(&graph, ROOT);
    bencher.bench(|| routes(black_box(&paths), &lsas, 16, resolve));
}

#[divan::bench(args = ROUTERS)]
fn database_to_routes(bencher: Bencher<'_, '_>, routers: u32) {
    let lsas = area::lsas(routers);
    bencher.bench(|| {
        let graph = Graph::from_lsas(black_box(&lsas), Family::Ipv6);
        routes(&shortest_paths(&graph, ROOT), &lsas, 16, resolve)
    });
}
