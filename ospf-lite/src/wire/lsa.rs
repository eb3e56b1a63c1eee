//! LSAs to octets and back (RFC 5340 appendix A.4.2).

use crate::ids::{Family, LinkStateId, RouterId};
use crate::ospf::lsa::{
    LsType, Lsa, LsaBody, LsaHeader, LsaKey, MAX_AGE, RouterFlags, RouterLink, SequenceNumber,
};
use crate::wire::error::DecodeError;
use crate::wire::reader::Reader;
use crate::wire::writer::{Writer, length_field};
use crate::wire::{body, checksum, size};

/// Where the checksum covers from: everything but the age.
const AGE: usize = 2;
/// Where the checksum is.
const CHECKSUM_AT: usize = 16;
/// Where the length is.
const LENGTH_AT: usize = 18;

/// Reads one LSA, header included, that has exactly these octets. The checksum is verified, and the octets are kept
/// as they are. An age above MaxAge counts as MaxAge.
pub fn decode(octets: &[u8], family: Family) -> Result<Lsa, DecodeError> {
    let mut reader = Reader::new("LSA", octets);
    let header = decode_header(&mut reader)?;
    let length = usize::from(header.length);
    if length != octets.len() {
        return Err(DecodeError::Length { what: "LSA", found: octets.len(), right: length });
    }
    if !octets.get(AGE..).is_some_and(checksum::fletcher_is_right) {
        return Err(DecodeError::Checksum { what: "LSA", found: header.checksum });
    }
    let family = body::decode(header.key.ls_type, reader.take(reader.left())?, family)?.family();
    Ok(Lsa { family, octets: octets.into() })
}

/// Reads the header of an LSA. Its length is at least that of a header and a multiple of four.
pub(super) fn decode_header(reader: &mut Reader<'_>) -> Result<LsaHeader, DecodeError> {
    let header = LsaHeader {
        age: reader.u16()?.min(MAX_AGE),
        key: LsaKey {
            ls_type: LsType::from_bits(reader.u16()?),
            link_state_id: LinkStateId(reader.u32()?),
            advertising_router: RouterId(reader.u32()?),
        },
        sequence: SequenceNumber(reader.u32()?.cast_signed()),
        checksum: reader.u16()?,
        length: reader.u16()?,
    };
    if usize::from(header.length) < size::LSA_HEADER || !header.length.is_multiple_of(4) {
        return Err(reader.refuse("LSA length", header.length, "a multiple of 4, at least 20"));
    }
    Ok(header)
}

/// Writes the header of an LSA.
pub(super) fn encode_header(header: &LsaHeader, writer: &mut Writer) {
    writer.u16(header.age);
    writer.u16(header.key.ls_type.bits());
    writer.u32(header.key.link_state_id.0);
    writer.u32(header.key.advertising_router.0);
    writer.u32(header.sequence.0.cast_unsigned());
    writer.u16(header.checksum);
    writer.u16(header.length);
}

/// Writes the LSA as it came, but for its age.
pub(super) fn encode_aged(lsa: &Lsa, age: u16, writer: &mut Writer) {
    writer.u16(age.min(MAX_AGE));
    writer.octets(lsa.octets.get(AGE..).unwrap_or_default());
}

impl Lsa {
    /// Returns the header; the age is the one at receipt or origination.
    pub fn header(&self) -> LsaHeader {
        // It could be read when it was made.
        decode_header(&mut Reader::new("LSA", &self.octets)).unwrap_or(LsaHeader::NONE)
    }

    fn ls_type(&self) -> LsType {
        let bits = self.octets.get(AGE..).and_then(|rest| rest.first_chunk());
        LsType::from_bits(bits.map_or(0, |bits| u16::from_be_bytes(*bits)))
    }

    /// Returns what it says, all of it.
    pub fn body(&self) -> LsaBody {
        let content = self.content();
        let body = body::decode(self.ls_type(), content, self.family);
        // It could be read when it was made.
        body.unwrap_or_else(|_| LsaBody::Unknown(content.to_vec()))
    }

    /// Returns what a Router-LSA says of the router itself; nothing of another LSA.
    pub fn router_flags(&self) -> Option<RouterFlags> {
        if self.ls_type() != LsType::ROUTER {
            return None;
        }
        body::router_flags(&mut Reader::new("Router-LSA", self.content())).ok()
    }

    /// Returns the links of a Router-LSA; another LSA has none.
    pub fn links(&self) -> impl Iterator<Item = RouterLink> + use<'_> {
        body::router_links(self.content_of(LsType::ROUTER))
    }

    /// Returns the routers of a Network-LSA; another LSA has none.
    pub fn attached_routers(&self) -> impl Iterator<Item = RouterId> + use<'_> {
        body::attached_routers(self.content_of(LsType::NETWORK))
    }

    /// Returns whether both say the same, whichever instances they are.
    pub fn says_what(&self, other: &Self) -> bool {
        self.ls_type() == other.ls_type() && self.content() == other.content()
    }

    /// Returns the octets after the header.
    fn content(&self) -> &[u8] {
        self.octets.get(size::LSA_HEADER..).unwrap_or_default()
    }

    /// Returns the octets after the header of an LSA of this type; none of another one's.
    fn content_of(&self, ls_type: LsType) -> &[u8] {
        if self.ls_type() == ls_type { self.content() } else { &[] }
    }

    /// Makes an instance of an own LSA: its length, checksum and octets follow from the rest. The LS type is the
    /// body's; only an unknown body takes it from the key, and is filled up with zeros to a multiple of four octets.
    /// The caller splits content over LSAs long before the 65,535 octets that one can have.
    pub fn originate(key: LsaKey, sequence: SequenceNumber, age: u16, mut body: LsaBody) -> Self {
        if let LsaBody::Unknown(octets) = &mut body {
            octets.resize(octets.len().next_multiple_of(4), 0);
        }
        let ls_type = body.ls_type().unwrap_or(key.ls_type);
        let key = LsaKey { ls_type, ..key };
        let mut header = LsaHeader { age: age.min(MAX_AGE), key, sequence, checksum: 0, length: 0 };
        let mut writer = Writer::with_capacity(256);
        encode_header(&header, &mut writer);
        body::encode(&body, &mut writer);
        header.length = length_field(writer.len());
        writer.put_u16(LENGTH_AT, header.length);
        let covered = writer.as_octets().get(AGE..).unwrap_or_default();
        header.checksum = checksum::fletcher(covered, CHECKSUM_AT - AGE);
        writer.put_u16(CHECKSUM_AT, header.checksum);
        Self { family: body.family(), octets: writer.into_octets().into() }
    }

    /// Returns whether these octets are this instance, at whatever age they came.
    pub fn is(&self, octets: &[u8]) -> bool {
        self.octets.get(AGE..) == octets.get(AGE..)
    }

    /// Returns the same instance with another age, above MaxAge counted as MaxAge.
    pub fn aged(&self, age: u16) -> Self {
        let age = age.min(MAX_AGE);
        let mut aged = self.clone();
        if let Some(field) = aged.octets.first_chunk_mut() {
            *field = age.to_be_bytes();
        }
        aged
    }
}
