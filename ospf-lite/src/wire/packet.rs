//! Packets to octets and back (RFC 5340 appendix A.3).

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AreaId, Family, InstanceId, InterfaceId, LinkStateId, RouterId};
use crate::ospf::lsa::{LsType, Lsa, LsaHeader, LsaKey};
use crate::ospf::packet::{
    AgedLsa, DatabaseDescription, Hello, LinkStateUpdate, Options, Packet, PacketBody, PacketKind,
};
use crate::wire::error::DecodeError;
use crate::wire::reader::Reader;
use crate::wire::writer::{Writer, length_field};
use crate::wire::{checksum, lsa, size};

/// OSPF for IPv6 is version 3.
const VERSION: u8 = 3;
/// Where the length is.
const LENGTH_AT: usize = 2;
/// Where the checksum is.
const CHECKSUM_AT: usize = 12;
/// I-bit of a Database Description.
const DD_INIT: u8 = 0x04;
/// M-bit of a Database Description.
const DD_MORE: u8 = 0x02;
/// MS-bit of a Database Description.
const DD_MASTER: u8 = 0x01;

/// What tells whether a packet's octets are as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The Internet checksum, over the packet and its two addresses (RFC 5340 appendix A.3.1).
    Checksum {
        /// The IPv6 source address.
        source: Ipv6Addr,
        /// The IPv6 destination address.
        destination: Ipv6Addr,
    },
    /// An authentication trailer, in whose presence the checksum is neither computed nor verified (RFC 7166 section
    /// 4.2).
    Trailer,
}

/// What the header of a packet says, each field in its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketHeader {
    /// What kind of packet it is.
    pub kind: PacketKind,
    /// The octets of the packet, header included, without what may follow it; at least 16, a multiple of four, and
    /// no more than there are.
    pub length: usize,
    /// The sender.
    pub router_id: RouterId,
    /// The area it belongs to.
    pub area_id: AreaId,
    /// The instance it belongs to.
    pub instance_id: InstanceId,
    /// The checksum as sent.
    pub checksum: u16,
}

/// Reads the header of a packet: version, type and length are right in it. The checksum is not verified.
pub fn decode_header(octets: &[u8]) -> Result<PacketHeader, DecodeError> {
    let mut reader = Reader::new("packet", octets);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(reader.refuse("version", version, "3"));
    }
    let kind = match reader.u8()? {
        1 => PacketKind::Hello,
        2 => PacketKind::DatabaseDescription,
        3 => PacketKind::LinkStateRequest,
        4 => PacketKind::LinkStateUpdate,
        5 => PacketKind::LinkStateAcknowledgment,
        other => return Err(reader.refuse("type", other, "1 to 5")),
    };
    let length = reader.u16()?;
    let header = PacketHeader {
        kind,
        length: usize::from(length),
        router_id: RouterId(reader.u32()?),
        area_id: AreaId(reader.u32()?),
        checksum: reader.u16()?,
        instance_id: InstanceId(reader.u8()?),
    };
    reader.u8()?;
    if header.length < size::PACKET_HEADER || !length.is_multiple_of(4) {
        return Err(reader.refuse("length", length, "a multiple of 4, at least 16"));
    }
    if header.length > octets.len() {
        return Err(DecodeError::Length { what: "packet", found: octets.len(), right: header.length });
    }
    Ok(header)
}

/// Reads a packet and verifies its checksum, unless a trailer was verified before. What follows the packet (a block
/// for link-local signaling, RFC 5613) is left alone.
///
/// A bad LSA does not spoil a Link State Update: it is put on the list of refused ones, and the others stand (RFC 2328
/// section 13, steps 1 to 3).
pub fn decode(octets: &[u8], family: Family, protection: Protection) -> Result<Packet, DecodeError> {
    decode_with(octets, (family, protection), &|_, _| None)
}

/// Finds an LSA that is at hand already by its header and its octets, which must be the same but for the age.
pub type Known<'a> = &'a dyn Fn(&LsaHeader, &[u8]) -> Option<Arc<Lsa>>;

/// Reads a packet as [`decode`] does, but for the LSAs that are `known`: those are not checked and read again.
pub fn decode_with(
    octets: &[u8],
    (family, protection): (Family, Protection),
    known: Known<'_>,
) -> Result<Packet, DecodeError> {
    let header = decode_header(octets)?;
    let octets = octets.get(..header.length).unwrap_or(octets);
    if let Protection::Checksum { source, destination } = protection
        && checksum::internet(octets, source, destination) != 0
    {
        return Err(DecodeError::Checksum { what: "packet", found: header.checksum });
    }
    let body = octets.get(size::PACKET_HEADER..).unwrap_or_default();
    Ok(Packet {
        router_id: header.router_id,
        area_id: header.area_id,
        instance_id: header.instance_id,
        body: decode_body(header.kind, body, (family, known))?,
    })
}

/// Writes a packet, with its checksum unless a trailer will protect it. The caller keeps it within the link's MTU;
/// a packet of more than 65,535 octets cannot be told apart from one of that length.
pub fn encode(packet: &Packet, protection: Protection) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256);
    writer.u8(VERSION);
    writer.u8(match packet.body.kind() {
        PacketKind::Hello => 1,
        PacketKind::DatabaseDescription => 2,
        PacketKind::LinkStateRequest => 3,
        PacketKind::LinkStateUpdate => 4,
        PacketKind::LinkStateAcknowledgment => 5,
    });
    writer.u16(0);
    writer.u32(packet.router_id.0);
    writer.u32(packet.area_id.0);
    writer.u16(0);
    writer.u8(packet.instance_id.0);
    writer.u8(0);
    encode_body(&packet.body, &mut writer);
    writer.put_u16(LENGTH_AT, length_field(writer.len()));
    if let Protection::Checksum { source, destination } = protection {
        writer.put_u16(CHECKSUM_AT, checksum::internet(writer.as_octets(), source, destination));
    }
    writer.into_octets()
}

fn decode_body(
    kind: PacketKind,
    octets: &[u8],
    lsas: (Family, Known<'_>),
) -> Result<PacketBody, DecodeError> {
    Ok(match kind {
        PacketKind::Hello => PacketBody::Hello(decode_hello(octets)?),
        PacketKind::DatabaseDescription => {
            PacketBody::DatabaseDescription(decode_database_description(octets)?)
        }
        PacketKind::LinkStateRequest => PacketBody::LinkStateRequest(decode_link_state_request(octets)?),
        PacketKind::LinkStateUpdate => PacketBody::LinkStateUpdate(decode_link_state_update(octets, lsas)?),
        PacketKind::LinkStateAcknowledgment => PacketBody::LinkStateAcknowledgment(decode_headers(
            &mut Reader::new("Link State Acknowledgment", octets),
        )?),
    })
}

fn encode_body(body: &PacketBody, writer: &mut Writer) {
    match body {
        PacketBody::Hello(hello) => encode_hello(hello, writer),
        PacketBody::DatabaseDescription(description) => encode_database_description(description, writer),
        PacketBody::LinkStateRequest(keys) => keys.iter().for_each(|key| {
            writer.u16(0);
            writer.u16(key.ls_type.bits());
            writer.u32(key.link_state_id.0);
            writer.u32(key.advertising_router.0);
        }),
        PacketBody::LinkStateUpdate(update) => {
            writer.u32(u32::from(length_field(update.lsas.len())));
            update.lsas.iter().for_each(|aged| lsa::encode_aged(&aged.lsa, aged.age, writer));
        }
        PacketBody::LinkStateAcknowledgment(headers) => {
            headers.iter().for_each(|header| lsa::encode_header(header, writer));
        }
    }
}

fn decode_hello(octets: &[u8]) -> Result<Hello, DecodeError> {
    let mut reader = Reader::new("Hello", octets);
    let interface_id = InterfaceId(reader.u32()?);
    let (priority, options) = reader.u8_u24()?;
    let mut hello = Hello {
        interface_id,
        priority,
        options: Options::from_bits(options),
        hello_interval: Duration::from_secs(u64::from(reader.u16()?)),
        dead_interval: Duration::from_secs(u64::from(reader.u16()?)),
        designated_router: RouterId(reader.u32()?),
        backup_designated_router: RouterId(reader.u32()?),
        neighbors: Vec::with_capacity(reader.left() / 4),
    };
    while reader.left() > 0 {
        hello.neighbors.push(RouterId(reader.u32()?));
    }
    Ok(hello)
}

fn encode_hello(hello: &Hello, writer: &mut Writer) {
    let seconds = |interval: Duration| u16::try_from(interval.as_secs()).unwrap_or(u16::MAX);
    writer.u32(hello.interface_id.0);
    writer.u8_u24(hello.priority, hello.options.bits());
    writer.u16(seconds(hello.hello_interval));
    writer.u16(seconds(hello.dead_interval));
    writer.u32(hello.designated_router.0);
    writer.u32(hello.backup_designated_router.0);
    hello.neighbors.iter().for_each(|neighbor| writer.u32(neighbor.0));
}

fn decode_database_description(octets: &[u8]) -> Result<DatabaseDescription, DecodeError> {
    let mut reader = Reader::new("Database Description", octets);
    let (_, options) = reader.u8_u24()?;
    let interface_mtu = reader.u16()?;
    reader.u8()?;
    let flags = reader.u8()?;
    Ok(DatabaseDescription {
        options: Options::from_bits(options),
        interface_mtu,
        init: flags & DD_INIT != 0,
        more: flags & DD_MORE != 0,
        master: flags & DD_MASTER != 0,
        sequence: reader.u32()?,
        headers: decode_headers(&mut reader)?,
    })
}

fn encode_database_description(description: &DatabaseDescription, writer: &mut Writer) {
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    writer.u8_u24(0, description.options.bits());
    writer.u16(description.interface_mtu);
    writer.u8(0);
    writer.u8(bit(description.init, DD_INIT)
        | bit(description.more, DD_MORE)
        | bit(description.master, DD_MASTER));
    writer.u32(description.sequence);
    description.headers.iter().for_each(|header| lsa::encode_header(header, writer));
}

fn decode_headers(reader: &mut Reader<'_>) -> Result<Vec<LsaHeader>, DecodeError> {
    let mut headers = Vec::with_capacity(reader.left() / size::LSA_HEADER);
    while reader.left() > 0 {
        headers.push(lsa::decode_header(reader)?);
    }
    Ok(headers)
}

fn decode_link_state_request(octets: &[u8]) -> Result<Vec<LsaKey>, DecodeError> {
    let mut reader = Reader::new("Link State Request", octets);
    let mut keys = Vec::with_capacity(reader.left() / size::REQUEST_ENTRY);
    while reader.left() > 0 {
        reader.u16()?;
        keys.push(LsaKey {
            ls_type: LsType::from_bits(reader.u16()?),
            link_state_id: LinkStateId(reader.u32()?),
            advertising_router: RouterId(reader.u32()?),
        });
    }
    Ok(keys)
}

fn decode_link_state_update(
    octets: &[u8],
    (family, known): (Family, Known<'_>),
) -> Result<LinkStateUpdate, DecodeError> {
    let mut reader = Reader::new("Link State Update", octets);
    let count = reader.u32()?;
    let fitting = reader.left() / size::LSA_HEADER;
    let mut update = LinkStateUpdate {
        lsas: Vec::with_capacity(usize::try_from(count).unwrap_or(fitting).min(fitting)),
        refused: Vec::new(),
    };
    for _ in 0..count {
        // Without a length in its range there is no telling where the next LSA starts.
        let (header, octets) = match take_lsa(&mut reader) {
            Ok(taken) => taken,
            Err(error) => {
                update.refused.push(error);
                return Ok(update);
            }
        };
        if let Some(lsa) = known(&header, octets) {
            update.lsas.push(AgedLsa { lsa, age: header.age });
            continue;
        }
        match lsa::decode(octets, family) {
            Ok(lsa) => update.lsas.push(AgedLsa::from(lsa)),
            Err(error) => update.refused.push(error),
        }
    }
    if let Err(error) = reader.finish() {
        update.refused.push(error);
    }
    Ok(update)
}

/// Takes the octets of the next LSA, as its header gives their number.
fn take_lsa<'a>(reader: &mut Reader<'a>) -> Result<(LsaHeader, &'a [u8]), DecodeError> {
    let header = lsa::decode_header(&mut reader.clone())?;
    Ok((header, reader.take(usize::from(header.length))?))
}
