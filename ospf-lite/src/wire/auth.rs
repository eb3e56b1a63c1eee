//! The authentication trailer behind a packet (RFC 7166).
//!
//! Departure from RFC 7166 section 4.5: a key longer than the digest but not longer than the hash's block is used as
//! RFC 2104 says and not hashed first, because BIRD does so. Up to the digest's length less two both are the same.

use std::net::Ipv6Addr;

use hmac::digest::KeyInit;
use hmac::digest::core_api::{Block, BlockSizeUser};
use hmac::{Mac, SimpleHmac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::config::{HmacAlgorithm, SecurityAssociation};
use crate::ospf::packet::{Options, PacketKind};
use crate::wire::error::DecodeError;
use crate::wire::packet::{PacketHeader, decode_header};
use crate::wire::reader::Reader;
use crate::wire::size;
use crate::wire::writer::{Writer, length_field};

/// HMAC Cryptographic Authentication (RFC 7166 section 4.1).
const AUTHENTICATION_TYPE_HMAC: u16 = 1;
/// OSPFv3's Cryptographic Protocol ID, appended to the key (RFC 7166 section 4.4).
const CRYPTOGRAPHIC_PROTOCOL_ID: [u8; 2] = [0, 1];
/// The same with its octets swapped: what FRR appends to the key on a little-endian machine.
const SWAPPED_PROTOCOL_ID: [u8; 2] = [1, 0];

/// How the key is made from the secret, where implementations differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keying {
    /// As this module says, and BIRD does.
    Ours,
    /// As FRR does: the Cryptographic Protocol ID swapped, and what is longer than the digest hashed.
    Frr,
}
/// What fills the digest's place behind the source address while it is computed (RFC 7166 section 4.5).
const APAD: [u8; 4] = [0x87, 0x8f, 0xe1, 0xf3];

/// Why a packet is not accepted as coming from someone who has the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The packet, or what follows it, is not well formed.
    #[error("the authentication trailer cannot be found")]
    Malformed(#[from] DecodeError),
    /// Nothing follows the packet.
    #[error("the packet has no authentication trailer")]
    Missing,
    /// A trailer of another kind.
    #[error("the authentication type is {0}; only 1 (HMAC) is known")]
    UnknownType(u16),
    /// No security association has this SA ID.
    #[error("no security association has the SA ID {0}")]
    UnknownAssociation(u16),
    /// The digest is not that of someone who has the key and this source address.
    #[error("the digest does not fit the key of SA ID {0}")]
    WrongDigest(u16),
    /// The digest is that of someone who has the key and appends the Cryptographic Protocol ID with its octets swapped
    /// (RFC 7166 section 4.4 has it in network order): FRR does.
    #[error(
        "the digest fits the key of SA ID {0} with the Cryptographic Protocol ID in the wrong octet order"
    )]
    SwappedProtocolId(u16),
}

/// A packet whose digest is right. Whether its sequence number is above the last one is for its receiver to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The packet without what follows it.
    pub packet: &'a [u8],
    /// What kind of packet it is: each kind has sequence numbers of its own.
    pub kind: PacketKind,
    /// The security association that signed it.
    pub sa_id: u16,
    /// Cryptographic Sequence Number: above that of the last packet of this kind from this neighbor, or it is a
    /// replay (RFC 7166 section 4.1).
    pub sequence: u64,
}

/// Appends the trailer to an encoded packet whose checksum is left out. The sequence number must be higher than in
/// every packet sent before.
pub fn sign(packet: Vec<u8>, sa: &SecurityAssociation, sequence: u64, source: Ipv6Addr) -> Vec<u8> {
    let mut writer = Writer::from(packet);
    writer.u16(AUTHENTICATION_TYPE_HMAC);
    writer.u16(length_field(size::trailer(sa.algorithm)));
    writer.u16(0);
    writer.u16(sa.id);
    writer.u64(sequence);
    let digest = digest(writer.as_octets(), sa, source);
    writer.octets(&digest);
    writer.into_octets()
}

/// Returns the packet in front of a trailer that one of the security associations signed for this source address.
pub fn verify<'a>(
    octets: &'a [u8],
    sas: &[SecurityAssociation],
    source: Ipv6Addr,
) -> Result<Verified<'a>, AuthError> {
    let header = decode_header(octets)?;
    let (packet, behind) = octets.split_at_checked(header.length).unwrap_or((octets, &[]));
    let mut reader = Reader::new("authentication trailer", behind);
    reader.take(signaling_length(&header, packet, behind)?)?;
    if reader.left() == 0 {
        return Err(AuthError::Missing);
    }
    let signed = octets.len() - reader.left() + size::TRAILER_HEADER;
    let kind = reader.u16()?;
    if kind != AUTHENTICATION_TYPE_HMAC {
        return Err(AuthError::UnknownType(kind));
    }
    let length = usize::from(reader.u16()?);
    reader.u16()?;
    let sa_id = reader.u16()?;
    let sequence = reader.u64()?;
    let sa = sas.iter().find(|sa| sa.id == sa_id).ok_or(AuthError::UnknownAssociation(sa_id))?;
    let right = size::trailer(sa.algorithm);
    let found = size::TRAILER_HEADER + reader.left();
    if length != right || found != right {
        let found = if length == right { found } else { length };
        return Err(DecodeError::Length { what: "authentication trailer", found, right }.into());
    }
    let received = reader.take(reader.left())?;
    let signed = octets.get(..signed).unwrap_or(octets);
    let fits = |keying| is_digest(received, signed, sa, (source, keying));
    if !fits(Keying::Ours) {
        // Refused either way: the second digest only tells why.
        let swapped = fits(Keying::Frr);
        return Err(if swapped {
            AuthError::SwappedProtocolId(sa_id)
        } else {
            AuthError::WrongDigest(sa_id)
        });
    }
    Ok(Verified { packet, kind: header.kind, sa_id, sequence })
}

/// Returns the octets of the block for link-local signaling between packet and trailer (RFC 5613 section 2), announced
/// by the L-bit in the packets that have Options.
fn signaling_length(header: &PacketHeader, packet: &[u8], behind: &[u8]) -> Result<usize, DecodeError> {
    let mut reader = Reader::new("packet", packet);
    reader.take(size::PACKET_HEADER)?;
    let options = match header.kind {
        PacketKind::Hello => {
            reader.u32()?;
            reader.u8_u24()?.1
        }
        PacketKind::DatabaseDescription => reader.u8_u24()?.1,
        PacketKind::LinkStateRequest | PacketKind::LinkStateUpdate | PacketKind::LinkStateAcknowledgment => 0,
    };
    if !Options::from_bits(options).contains(Options::L) {
        return Ok(0);
    }
    let mut block = Reader::new("link-local signaling block", behind);
    block.u16()?;
    let words = block.u16()?;
    if words == 0 {
        return Err(block.refuse("length", words, "at least 1"));
    }
    Ok(usize::from(words) * 4)
}

/// Returns the digest over everything before it.
fn digest(signed: &[u8], sa: &SecurityAssociation, source: Ipv6Addr) -> Vec<u8> {
    let behind = (source, Keying::Ours);
    match sa.algorithm {
        HmacAlgorithm::Sha1 => mac::<Sha1>(signed, sa, behind).finalize().into_bytes().to_vec(),
        HmacAlgorithm::Sha256 => mac::<Sha256>(signed, sa, behind).finalize().into_bytes().to_vec(),
        HmacAlgorithm::Sha384 => mac::<Sha384>(signed, sa, behind).finalize().into_bytes().to_vec(),
        HmacAlgorithm::Sha512 => mac::<Sha512>(signed, sa, behind).finalize().into_bytes().to_vec(),
    }
}

/// Returns whether it is the digest over everything before it; how long that takes tells nothing about the digest.
fn is_digest(received: &[u8], signed: &[u8], sa: &SecurityAssociation, behind: (Ipv6Addr, Keying)) -> bool {
    let verified = match sa.algorithm {
        HmacAlgorithm::Sha1 => mac::<Sha1>(signed, sa, behind).verify_slice(received),
        HmacAlgorithm::Sha256 => mac::<Sha256>(signed, sa, behind).verify_slice(received),
        HmacAlgorithm::Sha384 => mac::<Sha384>(signed, sa, behind).verify_slice(received),
        HmacAlgorithm::Sha512 => mac::<Sha512>(signed, sa, behind).verify_slice(received),
    };
    verified.is_ok()
}

/// Takes in everything before the digest, and Apad in its place: the source address, then a constant (RFC 7166 section
/// 4.5).
fn mac<D: Digest + BlockSizeUser>(
    signed: &[u8],
    sa: &SecurityAssociation,
    (source, keying): (Ipv6Addr, Keying),
) -> SimpleHmac<D> {
    let mut mac = keyed::<D>(sa, keying);
    mac.update(signed);
    mac.update(&source.octets());
    for _ in 0..(size::digest(sa.algorithm) - source.octets().len()) / APAD.len() {
        mac.update(&APAD);
    }
    mac
}

/// Starts an HMAC with the key, the Cryptographic Protocol ID behind it.
fn keyed<D: Digest + BlockSizeUser>(sa: &SecurityAssociation, keying: Keying) -> SimpleHmac<D> {
    let mut block = Block::<D>::default();
    let (protocol_id, longest) = match keying {
        Keying::Ours => (CRYPTOGRAPHIC_PROTOCOL_ID, block.len()),
        Keying::Frr => (SWAPPED_PROTOCOL_ID, size::digest(sa.algorithm)),
    };
    let key = [sa.key.octets(), &protocol_id].concat();
    let key = if key.len() <= longest { key } else { D::digest(key).to_vec() };
    for (slot, octet) in block.iter_mut().zip(key) {
        *slot = octet;
    }
    <SimpleHmac<D> as KeyInit>::new(&block)
}
