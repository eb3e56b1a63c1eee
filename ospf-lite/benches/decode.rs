//! How long octets take to become packets, and back.

mod area;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ospf_lite::config::{AuthenticationKey, HmacAlgorithm, SecurityAssociation};
use ospf_lite::ids::{AreaId, Family, RouterId};
use ospf_lite::io::ALL_SPF_ROUTERS;
use ospf_lite::ospf::packet::{AgedLsa, LinkStateUpdate, Packet, PacketBody};
use ospf_lite::wire::packet::{Protection, decode, encode};
use ospf_lite::wire::{auth, lsa};

const SOURCE: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const PROTECTION: Protection = Protection::Checksum { source: SOURCE, destination: ALL_SPF_ROUTERS };

fn main() {
    divan::main();
}

/// An update of as many LSAs as fit into a link's MTU.
fn update() -> Packet {
    let lsas = area::lsas(8).into_iter().take(14).map(AgedLsa::from).collect();
    Packet {
        router_id: RouterId(1),
        area_id: AreaId::BACKBONE,
        instance_id: Family::Ipv6.instance_id(),
        body: PacketBody::LinkStateUpdate(LinkStateUpdate { lsas, refused: Vec::new() }),
    }
}

#[divan::bench]
fn one_router_lsa(bencher: Bencher<'_, '_>) {
    let lsas = area::lsas(100);
    let octets = lsas.first().map(|lsa| lsa.octets().to_vec()).unwrap_or_default();
    bencher.bench(|| lsa::decode(black_box(&octets), Family::Ipv6));
}

#[divan::bench]
fn update_of_14_lsas(bencher: Bencher<'_, '_>) {
    let octets = encode(&update(), PROTECTION);
    bencher.counter(ItemsCount::new(14u32)).bench(|| decode(black_box(&octets), Family::Ipv6, PROTECTION));
}

#[divan::bench]
fn encode_update_of_14_lsas(bencher: Bencher<'_, '_>) {
    let packet = update();
    bencher.counter(ItemsCount::new(14u32)).bench(|| encode(black_box(&packet), PROTECTION));
}

#[divan::bench]
fn verify_trailer_of_update(bencher: Bencher<'_, '_>) {
    let key = AuthenticationKey::new(*b"a secret of a mesh");
    let sas = [SecurityAssociation { id: 1, algorithm: HmacAlgorithm::Sha256, key }];
    let octets = encode(&update(), Protection::Trailer);
    let signed = sas.first().map(|sa| auth::sign(octets, sa, 1, SOURCE)).unwrap_or_default();
    bencher.bench(|| auth::verify(black_box(&signed), &sas, SOURCE).is_ok());
}
