//! LSA bodies to octets and back (RFC 5340 appendices A.4.3 to A.4.10).

use std::net::Ipv6Addr;

use crate::ids::{Family, InterfaceId, LinkStateId, RouterId};
use crate::ospf::lsa::{
    AsExternalLsa, InterAreaPrefixLsa, InterAreaRouterLsa, IntraAreaPrefixLsa, LinkLsa, LsType, LsaBody,
    LsaKey, NetworkLsa, Prefix, PrefixOptions, RouterFlags, RouterLink, RouterLinkKind, RouterLsa,
};
use crate::ospf::packet::Options;
use crate::wire::error::DecodeError;
use crate::wire::reader::Reader;
use crate::wire::writer::{Writer, length_field};
use crate::wire::{grace, prefix, size};

/// B-bit of a Router-LSA.
const ROUTER_B: u8 = 0x01;
/// E-bit of a Router-LSA.
const ROUTER_E: u8 = 0x02;
/// V-bit of a Router-LSA.
const ROUTER_V: u8 = 0x04;
/// E-bit of an AS-External-LSA.
const EXTERNAL_E: u8 = 0x04;
/// F-bit of an AS-External-LSA.
const EXTERNAL_F: u8 = 0x02;
/// T-bit of an AS-External-LSA.
const EXTERNAL_T: u8 = 0x01;

/// Reads the octets after the header of an LSA.
pub(super) fn decode(ls_type: LsType, octets: &[u8], family: Family) -> Result<LsaBody, DecodeError> {
    match ls_type {
        LsType::ROUTER => read_all("Router-LSA", octets, decode_router).map(LsaBody::Router),
        LsType::NETWORK => read_all("Network-LSA", octets, decode_network).map(LsaBody::Network),
        LsType::INTER_AREA_PREFIX => {
            read_all("Inter-Area-Prefix-LSA", octets, |reader| decode_inter_area_prefix(reader, family))
                .map(LsaBody::InterAreaPrefix)
        }
        LsType::INTER_AREA_ROUTER => {
            read_all("Inter-Area-Router-LSA", octets, decode_inter_area_router).map(LsaBody::InterAreaRouter)
        }
        LsType::AS_EXTERNAL => {
            read_all("AS-External-LSA", octets, |reader| decode_as_external(reader, family))
                .map(LsaBody::AsExternal)
        }
        LsType::LINK => read_all("Link-LSA", octets, |reader| decode_link(reader, family)).map(LsaBody::Link),
        LsType::INTRA_AREA_PREFIX => {
            read_all("Intra-Area-Prefix-LSA", octets, |reader| decode_intra_area_prefix(reader, family))
                .map(LsaBody::IntraAreaPrefix)
        }
        LsType::GRACE => read_all("Grace-LSA", octets, grace::decode).map(LsaBody::Grace),
        _ => Ok(LsaBody::Unknown(octets.to_vec())),
    }
}

/// Writes the octets after the header of an LSA.
pub(super) fn encode(body: &LsaBody, writer: &mut Writer) {
    match body {
        LsaBody::Router(router) => encode_router(router, writer),
        LsaBody::Network(network) => {
            writer.u8_u24(0, network.options.bits());
            network.attached_routers.iter().for_each(|router| writer.u32(router.0));
        }
        LsaBody::InterAreaPrefix(inter) => {
            writer.u8_u24(0, inter.metric);
            encode_prefix(&inter.prefix, 0, writer);
        }
        LsaBody::InterAreaRouter(inter) => {
            writer.u8_u24(0, inter.options.bits());
            writer.u8_u24(0, inter.metric);
            writer.u32(inter.destination.0);
        }
        LsaBody::AsExternal(external) => encode_as_external(external, writer),
        LsaBody::Link(link) => encode_link(link, writer),
        LsaBody::IntraAreaPrefix(intra) => encode_intra_area_prefix(intra, writer),
        LsaBody::Grace(grace) => grace::encode(grace, writer),
        LsaBody::Unknown(octets) => {
            writer.octets(octets);
            writer.align();
        }
    }
}

fn read_all<'a, T>(
    what: &'static str,
    octets: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut reader = Reader::new(what, octets);
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn decode_router(reader: &mut Reader<'_>) -> Result<RouterLsa, DecodeError> {
    let RouterFlags { border, external, virtual_endpoint, options } = router_flags(reader)?;
    let mut links = Vec::with_capacity(reader.left() / size::ROUTER_LINK);
    while reader.left() > 0 {
        links.push(decode_router_link(reader)?);
    }
    Ok(RouterLsa { border, external, virtual_endpoint, options, links })
}

/// Takes what a Router-LSA says of the router itself.
pub(super) fn router_flags(reader: &mut Reader<'_>) -> Result<RouterFlags, DecodeError> {
    let (flags, options) = reader.u8_u24()?;
    Ok(RouterFlags {
        border: flags & ROUTER_B != 0,
        external: flags & ROUTER_E != 0,
        virtual_endpoint: flags & ROUTER_V != 0,
        options: Options::from_bits(options),
    })
}

/// Returns the links in the content of a Router-LSA, up to one that is none.
pub(super) fn router_links(content: &[u8]) -> impl Iterator<Item = RouterLink> + use<'_> {
    let links = content.get(size::ROUTER_LSA..).unwrap_or_default().chunks_exact(size::ROUTER_LINK);
    links.map_while(|link| decode_router_link(&mut Reader::new("Router-LSA", link)).ok())
}

/// Returns the routers in the content of a Network-LSA.
pub(super) fn attached_routers(content: &[u8]) -> impl Iterator<Item = RouterId> + use<'_> {
    let (routers, _) = content.get(size::NETWORK_LSA..).unwrap_or_default().as_chunks();
    routers.iter().map(|router| RouterId(u32::from_be_bytes(*router)))
}

fn decode_router_link(reader: &mut Reader<'_>) -> Result<RouterLink, DecodeError> {
    let kind = match reader.u8()? {
        1 => RouterLinkKind::PointToPoint,
        2 => RouterLinkKind::Transit,
        4 => RouterLinkKind::Virtual,
        other => return Err(reader.refuse("link type", other, "1, 2 or 4")),
    };
    reader.u8()?;
    Ok(RouterLink {
        kind,
        metric: reader.u16()?,
        interface_id: InterfaceId(reader.u32()?),
        neighbor_interface_id: InterfaceId(reader.u32()?),
        neighbor_router_id: RouterId(reader.u32()?),
    })
}

fn encode_router(router: &RouterLsa, writer: &mut Writer) {
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let flags = bit(router.border, ROUTER_B)
        | bit(router.external, ROUTER_E)
        | bit(router.virtual_endpoint, ROUTER_V);
    writer.u8_u24(flags, router.options.bits());
    for link in &router.links {
        writer.u8(match link.kind {
            RouterLinkKind::PointToPoint => 1,
            RouterLinkKind::Transit => 2,
            RouterLinkKind::Virtual => 4,
        });
        writer.u8(0);
        writer.u16(link.metric);
        writer.u32(link.interface_id.0);
        writer.u32(link.neighbor_interface_id.0);
        writer.u32(link.neighbor_router_id.0);
    }
}

fn decode_network(reader: &mut Reader<'_>) -> Result<NetworkLsa, DecodeError> {
    let (_, options) = reader.u8_u24()?;
    let mut attached_routers = Vec::with_capacity(reader.left() / 4);
    while reader.left() > 0 {
        attached_routers.push(RouterId(reader.u32()?));
    }
    Ok(NetworkLsa { options: Options::from_bits(options), attached_routers })
}

/// Takes a prefix, and the 16 bits between its options and its address.
fn decode_prefix(reader: &mut Reader<'_>, family: Family) -> Result<(Prefix, u16), DecodeError> {
    let length = reader.u8()?;
    let options = PrefixOptions::from_bits(reader.u8()?);
    let between = reader.u16()?;
    Ok((Prefix { net: prefix::decode(reader, length, family)?, options }, between))
}

fn encode_prefix(prefix: &Prefix, between: u16, writer: &mut Writer) {
    writer.u8(prefix.net.prefix_len());
    writer.u8(prefix.options.bits());
    writer.u16(between);
    prefix::encode(prefix.net, writer);
}

fn decode_inter_area_prefix(
    reader: &mut Reader<'_>,
    family: Family,
) -> Result<InterAreaPrefixLsa, DecodeError> {
    let (_, metric) = reader.u8_u24()?;
    let (prefix, _) = decode_prefix(reader, family)?;
    Ok(InterAreaPrefixLsa { metric, prefix })
}

fn decode_inter_area_router(reader: &mut Reader<'_>) -> Result<InterAreaRouterLsa, DecodeError> {
    let (_, options) = reader.u8_u24()?;
    let (_, metric) = reader.u8_u24()?;
    Ok(InterAreaRouterLsa {
        options: Options::from_bits(options),
        metric,
        destination: RouterId(reader.u32()?),
    })
}

fn decode_as_external(reader: &mut Reader<'_>, family: Family) -> Result<AsExternalLsa, DecodeError> {
    let (flags, metric) = reader.u8_u24()?;
    let (prefix, referenced_type) = decode_prefix(reader, family)?;
    let forwarding_address = match flags & EXTERNAL_F {
        0 => None,
        _ => Some(prefix::from_field(reader.array()?, family)),
    };
    let tag = match flags & EXTERNAL_T {
        0 => None,
        _ => Some(reader.u32()?),
    };
    let referenced = match referenced_type {
        0 => None,
        bits => Some((LsType::from_bits(bits), LinkStateId(reader.u32()?))),
    };
    Ok(AsExternalLsa { type2: flags & EXTERNAL_E != 0, metric, prefix, forwarding_address, tag, referenced })
}

fn encode_as_external(external: &AsExternalLsa, writer: &mut Writer) {
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let flags = bit(external.type2, EXTERNAL_E)
        | bit(external.forwarding_address.is_some(), EXTERNAL_F)
        | bit(external.tag.is_some(), EXTERNAL_T);
    writer.u8_u24(flags, external.metric);
    encode_prefix(&external.prefix, external.referenced.map_or(0, |(ls_type, _)| ls_type.bits()), writer);
    if let Some(address) = external.forwarding_address {
        writer.octets(&prefix::to_field(address));
    }
    if let Some(tag) = external.tag {
        writer.u32(tag);
    }
    if let Some((_, link_state_id)) = external.referenced {
        writer.u32(link_state_id.0);
    }
}

fn decode_link(reader: &mut Reader<'_>, family: Family) -> Result<LinkLsa, DecodeError> {
    let (priority, options) = reader.u8_u24()?;
    let address = Ipv6Addr::from(reader.u128()?);
    let count = reader.u32()?;
    let mut prefixes = Vec::with_capacity(bounded(count, reader.left()));
    for _ in 0..count {
        prefixes.push(decode_prefix(reader, family)?.0);
    }
    Ok(LinkLsa { priority, options: Options::from_bits(options), address, prefixes })
}

fn encode_link(link: &LinkLsa, writer: &mut Writer) {
    writer.u8_u24(link.priority, link.options.bits());
    writer.octets(&link.address.octets());
    writer.u32(u32::from(length_field(link.prefixes.len())));
    link.prefixes.iter().for_each(|prefix| encode_prefix(prefix, 0, writer));
}

fn decode_intra_area_prefix(
    reader: &mut Reader<'_>,
    family: Family,
) -> Result<IntraAreaPrefixLsa, DecodeError> {
    let count = reader.u16()?;
    let referenced = LsaKey {
        ls_type: LsType::from_bits(reader.u16()?),
        link_state_id: LinkStateId(reader.u32()?),
        advertising_router: RouterId(reader.u32()?),
    };
    let mut prefixes = Vec::with_capacity(bounded(u32::from(count), reader.left()));
    for _ in 0..count {
        prefixes.push(decode_prefix(reader, family)?);
    }
    Ok(IntraAreaPrefixLsa { referenced, prefixes })
}

fn encode_intra_area_prefix(intra: &IntraAreaPrefixLsa, writer: &mut Writer) {
    writer.u16(length_field(intra.prefixes.len()));
    writer.u16(intra.referenced.ls_type.bits());
    writer.u32(intra.referenced.link_state_id.0);
    writer.u32(intra.referenced.advertising_router.0);
    intra.prefixes.iter().for_each(|(prefix, metric)| encode_prefix(prefix, *metric, writer));
}

/// Returns how many prefixes to make room for: no more than the octets that are left can hold.
fn bounded(count: u32, left: usize) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).min(left / 4)
}
