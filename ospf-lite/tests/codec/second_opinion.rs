//! What another decoder reads in the octets of our encoder.

use ipnet::IpNet;
use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{Lsa, LsaBody, LsaHeader, Prefix};
use ospf_lite::ospf::packet::{Packet, PacketBody};
use ospf_lite::wire::packet;
use ospf_parser::{
    Ospfv3IPv6AddressPrefix, Ospfv3LinkStateAdvertisement, Ospfv3LinkStateAdvertisementHeader, Ospfv3Packet,
    parse_ospfv3_packet,
};
use proptest::prelude::*;

use crate::{PLAIN, arbitrary};

/// The other decoder takes a prefix for as many octets as its length has whole ones, which is right only for whole words.
fn in_whole_words(prefix: &mut Prefix) {
    let length = prefix.net.prefix_len() / 32 * 32;
    prefix.net = IpNet::new(prefix.net.addr(), length).unwrap().trunc();
}

fn adapted(lsa: Lsa) -> Option<Lsa> {
    let mut body = lsa.body();
    match &mut body {
        LsaBody::InterAreaPrefix(inter) => in_whole_words(&mut inter.prefix),
        LsaBody::AsExternal(external) => in_whole_words(&mut external.prefix),
        LsaBody::Link(link) => link.prefixes.iter_mut().for_each(in_whole_words),
        LsaBody::IntraAreaPrefix(intra) => {
            intra.prefixes.iter_mut().for_each(|(prefix, _)| in_whole_words(prefix));
        }
        LsaBody::Router(_) | LsaBody::Network(_) | LsaBody::InterAreaRouter(_) => {}
        LsaBody::Grace(_) | LsaBody::Unknown(_) => return None,
    }
    Some(Lsa::originate(lsa.header().key, lsa.header().sequence, lsa.header().age, body))
}

fn assert_header(theirs: &Ospfv3LinkStateAdvertisementHeader, ours: &LsaHeader) {
    assert_eq!(theirs.ls_age, ours.age);
    assert_eq!(theirs.link_state_type.0, ours.key.ls_type.bits());
    assert_eq!(theirs.link_state_id, ours.key.link_state_id.0);
    assert_eq!(theirs.advertising_router, ours.key.advertising_router.0);
    assert_eq!(theirs.ls_seq_number, ours.sequence.0 as u32);
    assert_eq!(theirs.ls_checksum, ours.checksum);
    assert_eq!(theirs.length, ours.length);
}

fn assert_headers(theirs: &[Ospfv3LinkStateAdvertisementHeader], ours: &[LsaHeader]) {
    assert_eq!(theirs.len(), ours.len());
    theirs.iter().zip(ours).for_each(|(theirs, ours)| assert_header(theirs, ours));
}

fn assert_prefix(theirs: &Ospfv3IPv6AddressPrefix, ours: &Prefix, between: u16) {
    assert_eq!(theirs.prefix_length, ours.net.prefix_len());
    assert_eq!(theirs.prefix_options, ours.options.bits());
    assert_eq!(theirs.reserved, between);
    let octets = match ours.net {
        IpNet::V4(net) => net.addr().octets().to_vec(),
        IpNet::V6(net) => net.addr().octets().to_vec(),
    };
    assert_eq!(theirs.address_prefix, octets[..usize::from(ours.net.prefix_len() / 8)]);
}

fn assert_lsa(theirs: &Ospfv3LinkStateAdvertisement, ours: &Lsa, family: Family) {
    match (theirs, &ours.body()) {
        (Ospfv3LinkStateAdvertisement::Router(theirs), LsaBody::Router(body)) => {
            assert_header(&theirs.header, &ours.header());
            let flags =
                u8::from(body.border) | u8::from(body.external) << 1 | u8::from(body.virtual_endpoint) << 2;
            assert_eq!((theirs.flags, theirs.options), (flags, body.options.bits()));
            assert_eq!(theirs.links.len(), body.links.len());
            for (theirs, ours) in theirs.links.iter().zip(&body.links) {
                assert_eq!(theirs.metric, ours.metric);
                assert_eq!(theirs.interface_id, ours.interface_id.0);
                assert_eq!(theirs.neighbor_interface_id, ours.neighbor_interface_id.0);
                assert_eq!(theirs.neighbor_router_id, ours.neighbor_router_id.0);
            }
        }
        (Ospfv3LinkStateAdvertisement::Network(theirs), LsaBody::Network(body)) => {
            assert_header(&theirs.header, &ours.header());
            assert_eq!(theirs.options, body.options.bits());
            assert!(theirs.attached_routers.iter().eq(body.attached_routers.iter().map(|router| &router.0)));
        }
        (Ospfv3LinkStateAdvertisement::InterAreaPrefix(theirs), LsaBody::InterAreaPrefix(body)) => {
            assert_header(&theirs.header, &ours.header());
            assert_eq!(theirs.metric, body.metric);
            assert_prefix(&theirs.prefix, &body.prefix, 0);
        }
        (Ospfv3LinkStateAdvertisement::InterAreaRouter(theirs), LsaBody::InterAreaRouter(body)) => {
            assert_header(&theirs.header, &ours.header());
            assert_eq!((theirs.options, theirs.metric), (body.options.bits(), body.metric));
            assert_eq!(theirs.destination_router_id, body.destination.0);
        }
        (Ospfv3LinkStateAdvertisement::ASExternal(theirs), LsaBody::AsExternal(body)) => {
            assert_header(&theirs.header, &ours.header());
            assert_eq!(theirs.flags & 4 != 0, body.type2);
            assert_eq!(theirs.metric, body.metric);
            let referenced = body.referenced.map_or(0, |(ls_type, _)| ls_type.bits());
            assert_prefix(&theirs.address_prefix, &body.prefix, referenced);
            assert_eq!(theirs.forwarding_address.is_some(), body.forwarding_address.is_some());
            assert_eq!(theirs.external_route_tag, body.tag);
            assert_eq!(theirs.referenced_link_state_id, body.referenced.map(|(_, id)| id.0));
        }
        (Ospfv3LinkStateAdvertisement::Link(theirs), LsaBody::Link(body)) => {
            assert_header(&theirs.header, &ours.header());
            assert_eq!((theirs.router_priority, theirs.options), (body.priority, body.options.bits()));
            assert_eq!(theirs.link_local_interface_address, body.address.octets());
            assert_eq!(theirs.address_prefixes.len(), body.prefixes.len());
            for (theirs, ours) in theirs.address_prefixes.iter().zip(&body.prefixes) {
                assert_prefix(theirs, ours, 0);
            }
        }
        (Ospfv3LinkStateAdvertisement::IntraAreaPrefix(theirs), LsaBody::IntraAreaPrefix(body)) => {
            assert_header(&theirs.header, &ours.header());
            assert_eq!(theirs.referenced_ls_type, body.referenced.ls_type.bits());
            assert_eq!(theirs.referenced_link_state_id, body.referenced.link_state_id.0);
            assert_eq!(theirs.referenced_advertising_router, body.referenced.advertising_router.0);
            assert_eq!(theirs.address_prefixes.len(), body.prefixes.len());
            for (theirs, (ours, metric)) in theirs.address_prefixes.iter().zip(&body.prefixes) {
                assert_prefix(theirs, ours, *metric);
            }
        }
        _ => panic!("{family}: {theirs:?} is not {ours:?}"),
    }
}

fn assert_packet(theirs: &Ospfv3Packet, ours: &Packet, family: Family) {
    match (theirs, &ours.body) {
        (Ospfv3Packet::Hello(theirs), PacketBody::Hello(body)) => {
            assert_eq!(theirs.header.router_id, ours.router_id.0);
            assert_eq!(theirs.header.area_id, ours.area_id.0);
            assert_eq!(theirs.header.instance_id, ours.instance_id.0);
            assert_eq!(theirs.interface_id, body.interface_id.0);
            assert_eq!((theirs.router_priority, theirs.options), (body.priority, body.options.bits()));
            assert_eq!(u64::from(theirs.hello_interval), body.hello_interval.as_secs());
            assert_eq!(u64::from(theirs.router_dead_interval), body.dead_interval.as_secs());
            assert_eq!(theirs.designated_router, body.designated_router.0);
            assert_eq!(theirs.backup_designated_router, body.backup_designated_router.0);
            assert!(theirs.neighbor_list.iter().eq(body.neighbors.iter().map(|neighbor| &neighbor.0)));
        }
        (Ospfv3Packet::DatabaseDescription(theirs), PacketBody::DatabaseDescription(body)) => {
            let flags = u8::from(body.init) << 2 | u8::from(body.more) << 1 | u8::from(body.master);
            assert_eq!((theirs.options, theirs.if_mtu), (body.options.bits(), body.interface_mtu));
            assert_eq!((theirs.db_description, theirs.dd_sequence_number), (flags, body.sequence));
            assert_headers(&theirs.lsa_headers, &body.headers);
        }
        (Ospfv3Packet::LinkStateRequest(theirs), PacketBody::LinkStateRequest(keys)) => {
            assert_eq!(theirs.requests.len(), keys.len());
            for (theirs, ours) in theirs.requests.iter().zip(keys) {
                assert_eq!(theirs.link_state_type, u32::from(ours.ls_type.bits()));
                assert_eq!(theirs.link_state_id, ours.link_state_id.0);
                assert_eq!(theirs.advertising_router, ours.advertising_router.0);
            }
        }
        (Ospfv3Packet::LinkStateUpdate(theirs), PacketBody::LinkStateUpdate(update)) => {
            assert_eq!(theirs.lsa.len(), update.lsas.len());
            for (theirs, ours) in theirs.lsa.iter().zip(&update.lsas) {
                assert_lsa(theirs, &ours.lsa, family);
            }
        }
        (Ospfv3Packet::LinkStateAcknowledgment(theirs), PacketBody::LinkStateAcknowledgment(headers)) => {
            assert_headers(&theirs.lsa_headers, headers);
        }
        _ => panic!("{theirs:?} is not {ours:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_decoder_reads_what_was_encoded((family, mut packet) in arbitrary::packet()) {
        if let PacketBody::LinkStateUpdate(update) = &mut packet.body {
            let lsas = std::mem::take(&mut update.lsas).into_iter();
            update.lsas = lsas.filter_map(|aged| adapted(aged.lsa.as_ref().clone()).map(Into::into)).collect();
        }
        let octets = packet::encode(&packet, PLAIN);
        let (rest, theirs) = parse_ospfv3_packet(&octets).unwrap();
        prop_assert!(rest.is_empty());
        assert_packet(&theirs, &packet, family);
    }
}
