//! Strategies for every packet and LSA that the protocol can carry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ospf_lite::ids::{AreaId, Family, InstanceId, InterfaceId, LinkStateId, RouterId};
use ospf_lite::ospf::lsa::{
    AsExternalLsa, GraceLsa, InterAreaPrefixLsa, InterAreaRouterLsa, IntraAreaPrefixLsa, LinkLsa, LsType,
    Lsa, LsaBody, LsaHeader, LsaKey, NetworkLsa, Prefix, PrefixOptions, RestartReason, RouterLink,
    RouterLinkKind, RouterLsa, SequenceNumber,
};
use ospf_lite::ospf::packet::{
    AgedLsa, DatabaseDescription, Hello, LinkStateUpdate, Options, Packet, PacketBody,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv6), Just(Family::Ipv4)]
}

/// A packet, with the family it is decoded for.
pub fn packet() -> impl Strategy<Value = (Family, Packet)> {
    family().prop_flat_map(|family| {
        (any::<(u32, u32, u8)>(), packet_body(family)).prop_map(move |((router, area, instance), body)| {
            let packet = Packet {
                router_id: RouterId(router),
                area_id: AreaId(area),
                instance_id: InstanceId(instance),
                body,
            };
            (family, packet)
        })
    })
}

/// An LSA, with the family it is decoded for.
pub fn lsa() -> impl Strategy<Value = (Family, Lsa)> {
    family().prop_flat_map(|family| lsa_of(family).prop_map(move |lsa| (family, lsa)))
}

fn packet_body(family: Family) -> impl Strategy<Value = PacketBody> {
    prop_oneof![
        hello().prop_map(PacketBody::Hello),
        database_description().prop_map(PacketBody::DatabaseDescription),
        vec(key(), 0..20).prop_map(PacketBody::LinkStateRequest),
        vec((lsa_of(family), age()), 0..5).prop_map(|lsas| {
            let aged = |(lsa, age): (Lsa, u16)| AgedLsa::from(lsa.aged(age));
            let lsas = lsas.into_iter().map(aged).collect();
            PacketBody::LinkStateUpdate(LinkStateUpdate { lsas, refused: Vec::new() })
        }),
        vec(header(), 0..20).prop_map(PacketBody::LinkStateAcknowledgment),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let numbers = any::<(u32, u8, u16, u16, u32, u32)>();
    (numbers, options(), vec(any::<u32>(), 0..20)).prop_map(
        |((interface, priority, hello, dead, designated, backup), options, neighbors)| Hello {
            interface_id: InterfaceId(interface),
            priority,
            options,
            hello_interval: Duration::from_secs(u64::from(hello)),
            dead_interval: Duration::from_secs(u64::from(dead)),
            designated_router: RouterId(designated),
            backup_designated_router: RouterId(backup),
            neighbors: neighbors.into_iter().map(RouterId).collect(),
        },
    )
}

fn database_description() -> impl Strategy<Value = DatabaseDescription> {
    let numbers = any::<(u16, bool, bool, bool, u32)>();
    (numbers, options(), vec(header(), 0..20)).prop_map(
        |((interface_mtu, init, more, master, sequence), options, headers)| DatabaseDescription {
            options,
            interface_mtu,
            init,
            more,
            master,
            sequence,
            headers,
        },
    )
}

fn options() -> impl Strategy<Value = Options> {
    any::<u32>().prop_map(Options::from_bits)
}

fn age() -> impl Strategy<Value = u16> {
    0..=3600u16
}

fn key() -> impl Strategy<Value = LsaKey> {
    (any::<u16>(), any::<u32>(), any::<u32>()).prop_map(|(ls_type, id, router)| LsaKey {
        ls_type: LsType::from_bits(ls_type),
        link_state_id: LinkStateId(id),
        advertising_router: RouterId(router),
    })
}

fn header() -> impl Strategy<Value = LsaHeader> {
    (age(), key(), any::<i32>(), any::<u16>(), 5..=16_383u16).prop_map(
        |(age, key, sequence, checksum, words)| LsaHeader {
            age,
            key,
            sequence: SequenceNumber(sequence),
            checksum,
            length: words * 4,
        },
    )
}

fn lsa_of(family: Family) -> impl Strategy<Value = Lsa> {
    (key(), any::<i32>(), age(), lsa_body(family)).prop_map(|(mut key, sequence, age, body)| {
        if key.ls_type.is_known() {
            key.ls_type = LsType::from_bits(0xbff0);
        }
        Lsa::originate(key, SequenceNumber(sequence), age, body)
    })
}

fn lsa_body(family: Family) -> impl Strategy<Value = LsaBody> {
    prop_oneof![
        router().prop_map(LsaBody::Router),
        (options(), vec(any::<u32>(), 0..10)).prop_map(|(options, routers)| {
            let attached_routers = routers.into_iter().map(RouterId).collect();
            LsaBody::Network(NetworkLsa { options, attached_routers })
        }),
        (metric(), prefix(family))
            .prop_map(|(metric, prefix)| LsaBody::InterAreaPrefix(InterAreaPrefixLsa { metric, prefix })),
        (options(), metric(), any::<u32>()).prop_map(|(options, metric, router)| {
            let destination = RouterId(router);
            LsaBody::InterAreaRouter(InterAreaRouterLsa { options, metric, destination })
        }),
        as_external(family).prop_map(LsaBody::AsExternal),
        (any::<u8>(), options(), any::<u128>(), vec(prefix(family), 0..6)).prop_map(
            |(priority, options, address, prefixes)| {
                LsaBody::Link(LinkLsa { priority, options, address: Ipv6Addr::from(address), prefixes })
            }
        ),
        (key(), vec((prefix(family), any::<u16>()), 0..6)).prop_map(|(referenced, prefixes)| {
            LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes })
        }),
        (any::<u32>(), reason()).prop_map(|(period, reason)| LsaBody::Grace(GraceLsa { period, reason })),
        vec(any::<u8>(), 0..60).prop_map(LsaBody::Unknown),
    ]
}

fn router() -> impl Strategy<Value = RouterLsa> {
    (any::<(bool, bool, bool)>(), options(), vec(router_link(), 0..10)).prop_map(
        |((border, external, virtual_endpoint), options, links)| RouterLsa {
            border,
            external,
            virtual_endpoint,
            options,
            links,
        },
    )
}

fn router_link() -> impl Strategy<Value = RouterLink> {
    let kind = prop_oneof![
        Just(RouterLinkKind::PointToPoint),
        Just(RouterLinkKind::Transit),
        Just(RouterLinkKind::Virtual)
    ];
    (kind, any::<(u16, u32, u32, u32)>()).prop_map(|(kind, (metric, near, far, router))| RouterLink {
        kind,
        metric,
        interface_id: InterfaceId(near),
        neighbor_interface_id: InterfaceId(far),
        neighbor_router_id: RouterId(router),
    })
}

fn as_external(family: Family) -> impl Strategy<Value = AsExternalLsa> {
    let referenced =
        (1..=u16::MAX, any::<u32>()).prop_map(|(ls_type, id)| (LsType::from_bits(ls_type), LinkStateId(id)));
    let rest = (option::of(address(family)), option::of(any::<u32>()), option::of(referenced));
    (any::<bool>(), metric(), prefix(family), rest).prop_map(
        |(type2, metric, prefix, (forwarding_address, tag, referenced))| AsExternalLsa {
            type2,
            metric,
            prefix,
            forwarding_address,
            tag,
            referenced,
        },
    )
}

fn metric() -> impl Strategy<Value = u32> {
    0..=0x00ff_ffffu32
}

fn address(family: Family) -> impl Strategy<Value = IpAddr> {
    any::<u128>().prop_map(move |bits| match family {
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(bits)),
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from((bits >> 96) as u32)),
    })
}

fn prefix(family: Family) -> impl Strategy<Value = Prefix> {
    (address(family), 0..=family.address_bits(), any::<u8>()).prop_map(|(address, length, options)| {
        let net = match address {
            IpAddr::V4(address) => IpNet::V4(Ipv4Net::new(address, length).unwrap()),
            IpAddr::V6(address) => IpNet::V6(Ipv6Net::new(address, length).unwrap()),
        };
        Prefix { net: net.trunc(), options: PrefixOptions::from_bits(options) }
    })
}

fn reason() -> impl Strategy<Value = RestartReason> {
    prop_oneof![
        Just(RestartReason::Unknown),
        Just(RestartReason::SoftwareRestart),
        Just(RestartReason::SoftwareReload),
        Just(RestartReason::RedundantProcessor),
        (4..=u8::MAX).prop_map(RestartReason::Other),
    ]
}
