//! What a dlan router tells the mesh about names, in LSAs of its own: the zones it answers for, the prefixes whose reverse
//! zones it answers for, where it is asked, and the records that its operator has written for everybody.
//!
//! Each LSA can be read by itself: a version, three octets of zero, then entries of type (16 bits), length (16 bits) and value,
//! each padded with zeros to a whole 32-bit word. Entries of unknown type are passed over.
//!
//! | type | value |
//! | --- | --- |
//! | 1 zone | name: one octet of length, then that many characters |
//! | 2 reverse | prefix length, then an address of 4 or 16 octets |
//! | 3 server | an address of 4 or 16 octets |
//! | 4 record | name, type of the record (16 bits), then an address; a name; priority, weight, port and name; or text |

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ospf_lite::io::PrivateContent;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody};

use super::domain::DomainName;
use super::record::{Record, RecordData, TEXT_MAX};

/// LS type of the announcements: area scope, U-bit set so that strangers pass it on, a function code of the experimentation
/// range (RFC 4940 section 2).
pub const NAMES: LsType = LsType::from_bits(0xbff1);

/// The version of the format.
const VERSION: u8 = 1;
/// The octets of one LSA's content, at most.
const PART_MAX: usize = 1080;
/// How many LSAs a router announces at most: the engine takes no more, and a reader passes over those after them.
pub const PARTS_MAX: usize = 64;

const TYPE_ZONE: u16 = 1;
const TYPE_REVERSE: u16 = 2;
const TYPE_SERVER: u16 = 3;
const TYPE_RECORD: u16 = 4;

/// What a router tells about names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announcement {
    /// The zones it answers for.
    pub zones: BTreeSet<DomainName>,
    /// The prefixes whose reverse zones it answers for.
    pub reverse: BTreeSet<IpNet>,
    /// Where it is asked about them; nowhere when there is nothing in its zones but the records below.
    pub servers: BTreeSet<IpAddr>,
    /// Its records for the whole mesh.
    pub records: BTreeSet<Record>,
}

/// Why an LSA's content is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum AnnouncementError {
    /// A version of the format that this program does not know.
    #[error("version {0} of the format is not known")]
    Version(u8),
    /// An entry that ends too early, is too long, or says what cannot be.
    #[error("an entry is malformed")]
    Malformed,
}

impl Announcement {
    /// Returns whether nothing is told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes another part of the same router's announcement in.
    pub fn merge(&mut self, other: Self) {
        self.zones.extend(other.zones);
        self.reverse.extend(other.reverse);
        self.servers.extend(other.servers);
        self.records.extend(other.records);
    }

    /// Returns the content to originate, and how many entries have no room in it: zones and addresses come before records.
    pub fn encode(&self) -> (PrivateContent, usize) {
        let header = || vec![VERSION, 0, 0, 0];
        let (mut parts, mut part, mut left_out) = (Vec::new(), header(), 0);
        for entry in self.entries() {
            if part.len() + entry.len() > PART_MAX && parts.len() + 1 < PARTS_MAX {
                parts.push(std::mem::replace(&mut part, header()));
            }
            if part.len() + entry.len() <= PART_MAX {
                part.extend(entry);
            } else {
                left_out += 1;
            }
        }
        if part.len() > header().len() {
            parts.push(part);
        }
        (PrivateContent { ls_type: NAMES, parts }, left_out)
    }

    fn entries(&self) -> Vec<Vec<u8>> {
        let zones = self.zones.iter().map(|zone| entry(TYPE_ZONE, named(zone)));
        let reverse = self.reverse.iter().map(|prefix| {
            let mut value = vec![prefix.prefix_len()];
            value.extend(octets(prefix.network()));
            entry(TYPE_REVERSE, value)
        });
        let servers = self.servers.iter().map(|server| entry(TYPE_SERVER, octets(*server)));
        let records = self.records.iter().map(|record| entry(TYPE_RECORD, record_value(record)));
        zones.chain(reverse).chain(servers).chain(records).collect()
    }

    /// Reads one part from an LSA; nothing when it is an LSA of another type.
    pub fn decode(lsa: &Lsa) -> Option<Result<Self, AnnouncementError>> {
        match lsa.body() {
            LsaBody::Unknown(octets) if lsa.header().key.ls_type == NAMES => Some(Self::from_octets(&octets)),
            _ => None,
        }
    }

    /// Reads one part from an LSA's content.
    pub fn from_octets(octets: &[u8]) -> Result<Self, AnnouncementError> {
        let mut reader = Reader(octets);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(AnnouncementError::Version(version));
        }
        reader.take(3)?;
        let mut told = Self::default();
        while !reader.0.is_empty() {
            let (kind, length) = (reader.u16()?, reader.u16()?);
            let mut value = Reader(reader.take(length.into())?);
            reader.take(usize::from(length).next_multiple_of(4) - usize::from(length))?;
            match kind {
                TYPE_ZONE => drop(told.zones.insert(value.name()?)),
                TYPE_REVERSE => drop(told.reverse.insert(value.prefix()?)),
                TYPE_SERVER => drop(told.servers.insert(value.address()?)),
                TYPE_RECORD => told.records.extend(value.record()?),
                _ => value = Reader(&[]),
            }
            value.end()?;
        }
        Ok(told)
    }
}

fn entry(kind: u16, value: Vec<u8>) -> Vec<u8> {
    // No value comes near the 65,535 octets: names and texts have at most 255.
    let length = u16::try_from(value.len()).unwrap_or_default();
    let mut octets = [kind.to_be_bytes(), length.to_be_bytes()].concat();
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

fn named(name: &DomainName) -> Vec<u8> {
    // A name has at most 253 characters.
    let mut octets = vec![u8::try_from(name.as_str().len()).unwrap_or_default()];
    octets.extend(name.as_str().as_bytes());
    octets
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn record_value(record: &Record) -> Vec<u8> {
    let mut value = named(&record.name);
    value.extend(record.data.type_code().to_be_bytes());
    match &record.data {
        RecordData::A(address) => value.extend(address.octets()),
        RecordData::Aaaa(address) => value.extend(address.octets()),
        RecordData::Cname(name) | RecordData::Ptr(name) => value.extend(named(name)),
        RecordData::Srv { priority, weight, port, target } => {
            value.extend([priority, weight, port].into_iter().flat_map(|number| number.to_be_bytes()));
            value.extend(named(target));
        }
        RecordData::Txt(text) => value.extend(text.iter().take(TEXT_MAX)),
    }
    value
}

/// Octets not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], AnnouncementError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(AnnouncementError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AnnouncementError> {
        self.take(N)?.try_into().map_err(|_| AnnouncementError::Malformed)
    }

    fn u8(&mut self) -> Result<u8, AnnouncementError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, AnnouncementError> {
        self.array().map(u16::from_be_bytes)
    }

    fn name(&mut self) -> Result<DomainName, AnnouncementError> {
        let length = self.u8()?;
        let text =
            std::str::from_utf8(self.take(length.into())?).map_err(|_| AnnouncementError::Malformed)?;
        text.parse().map_err(|_| AnnouncementError::Malformed)
    }

    fn address(&mut self) -> Result<IpAddr, AnnouncementError> {
        match self.0.len() {
            4 => self.array::<4>().map(IpAddr::from),
            16 => self.array::<16>().map(IpAddr::from),
            _ => Err(AnnouncementError::Malformed),
        }
    }

    fn prefix(&mut self) -> Result<IpNet, AnnouncementError> {
        let length = self.u8()?;
        let net = IpNet::new(self.address()?, length).map_err(|_| AnnouncementError::Malformed)?;
        Ok(net.trunc())
    }

    /// Reads a record; nothing of a type that is not known.
    fn record(&mut self) -> Result<Option<Record>, AnnouncementError> {
        let name = self.name()?;
        let data = match self.u16()? {
            1 => RecordData::A(self.array::<4>()?.into()),
            5 => RecordData::Cname(self.name()?),
            12 => RecordData::Ptr(self.name()?),
            16 if self.0.len() <= TEXT_MAX => RecordData::Txt(self.take(self.0.len())?.to_vec()),
            28 => RecordData::Aaaa(self.array::<16>()?.into()),
            33 => RecordData::Srv {
                priority: self.u16()?,
                weight: self.u16()?,
                port: self.u16()?,
                target: self.name()?,
            },
            16 => return Err(AnnouncementError::Malformed),
            _ => {
                self.0 = &[];
                return Ok(None);
            }
        };
        Ok(Some(Record { name, data }))
    }

    fn end(&self) -> Result<(), AnnouncementError> {
        if self.0.is_empty() { Ok(()) } else { Err(AnnouncementError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = DomainName> {
        "[a-z0-9_]([a-z0-9]{0,60}[a-z0-9])?(\\.[a-z0-9]{1,20}){0,4}".prop_map(|text| text.parse().unwrap())
    }

    fn data() -> impl Strategy<Value = RecordData> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|octets| RecordData::A(octets.into())),
            any::<[u8; 16]>().prop_map(|octets| RecordData::Aaaa(octets.into())),
            names().prop_map(RecordData::Cname),
            names().prop_map(RecordData::Ptr),
            (any::<[u16; 3]>(), names()).prop_map(|([priority, weight, port], target)| RecordData::Srv {
                priority,
                weight,
                port,
                target
            }),
            vec(any::<u8>(), 0..=TEXT_MAX).prop_map(RecordData::Txt),
        ]
    }

    fn announcements() -> impl Strategy<Value = Announcement> {
        let prefix = (any::<[u8; 4]>(), 0..=32_u8);
        let prefix = prefix.prop_map(|(address, length)| IpNet::new(address.into(), length).unwrap().trunc());
        let record = (names(), data()).prop_map(|(name, data)| Record { name, data });
        let server = any::<[u8; 16]>().prop_map(IpAddr::from);
        (btree_set(names(), 0..4), btree_set(prefix, 0..4), btree_set(server, 0..3), btree_set(record, 0..40))
            .prop_map(|(zones, reverse, servers, records)| Announcement { zones, reverse, servers, records })
    }

    fn read(content: &PrivateContent) -> Announcement {
        let mut all = Announcement::default();
        content.parts.iter().for_each(|part| all.merge(Announcement::from_octets(part).unwrap()));
        all
    }

    proptest! {
        #[test]
        fn what_is_told_is_read_from_lsas_of_bounded_size(told in announcements()) {
            let (content, left_out) = told.encode();
            prop_assert!(content.parts.iter().all(|part| part.len() <= PART_MAX && part.len() % 4 == 0));
            prop_assert_eq!((read(&content), left_out), (told, 0));
        }

        #[test]
        fn any_octets_are_an_announcement_or_refused(octets in vec(any::<u8>(), 0..300)) {
            let _ = Announcement::from_octets(&octets);
        }

        #[test]
        fn octets_that_begin_well_are_an_announcement_or_refused(octets in vec(0..20_u8, 0..200)) {
            let octets = [&[VERSION, 0, 0, 0][..], &octets].concat();
            if let Ok(told) = Announcement::from_octets(&octets) {
                prop_assert_eq!(read(&told.encode().0), told);
            }
        }
    }

    #[test]
    fn entries_of_unknown_type_are_passed_over_and_other_versions_refused() {
        let zone = entry(TYPE_ZONE, named(&"r1.lan".parse().unwrap()));
        let later = entry(77, vec![1, 2, 3, 4, 5]);
        let record = entry(TYPE_RECORD, [named(&"r1.lan".parse().unwrap()), vec![0, 99, 1, 2, 3]].concat());
        let octets = [vec![VERSION, 0, 0, 0], later, record, zone].concat();
        let read = Announcement::from_octets(&octets).unwrap();
        assert_eq!(read.zones.first().map(DomainName::as_str), Some("r1.lan"));
        assert!(read.records.is_empty());
        assert_eq!(Announcement::from_octets(&[2, 0, 0, 0]), Err(AnnouncementError::Version(2)));
    }

    #[test]
    fn more_than_fits_leaves_records_out_and_no_zone() {
        let record = |number: u16| Record {
            name: format!("host{number}.example.org").parse().unwrap(),
            data: RecordData::Txt(vec![b'x'; 200]),
        };
        let told = Announcement {
            zones: BTreeSet::from(["r1.lan".parse().unwrap()]),
            records: (0..1000).map(record).collect(),
            ..Announcement::default()
        };
        let (content, left_out) = told.encode();
        assert_eq!(content.parts.len(), PARTS_MAX);
        let read = read(&content);
        assert_eq!((read.zones, read.records.len() + left_out), (told.zones, 1000));
    }

    #[test]
    fn nothing_to_tell_is_no_lsa() {
        assert_eq!(Announcement::default().encode().0.parts.len(), 0);
    }
}
