//! Netlink messages about next hop objects (RTM_NEWNEXTHOP and its like), octets to types and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::DecodeError;
use nix::libc;

/// `struct nhmsg`: family, scope, protocol, one octet without meaning, flags.
const HEADER_LENGTH: usize = 8;
/// Length and type of an attribute.
const ATTRIBUTE_HEADER_LENGTH: usize = 4;
/// `struct nexthop_grp`: id, weight, three octets without meaning.
const MEMBER_LENGTH: usize = 8;
/// The netlink message type that says that an object comes or is changed.
pub const RTM_NEWNEXTHOP: u16 = 104;
/// The netlink message type that says that an object goes.
pub const RTM_DELNEXTHOP: u16 = 105;
const RTM_GETNEXTHOP: u16 = 106;
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_GROUP_TYPE: u16 = 3;
const NHA_RES_GROUP: u16 = 12;
const NHA_RES_GROUP_BUCKETS: u16 = 1;
const NHA_RES_GROUP_IDLE_TIMER: u16 = 2;
/// The kind of group whose ways share buckets, as an `enum nexthop_grp_type`.
const NEXTHOP_GRP_TYPE_RES: u16 = 1;
/// Says that an attribute's value is attributes.
const NLA_F_NESTED: u16 = 0x8000;
/// What an attribute's type may carry beside the type.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// What a message about a next hop object asks or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextHopRequest {
    /// It shall be there, or is.
    New(NextHopMessage),
    /// It shall go, or is gone.
    Del(NextHopMessage),
    /// Which there are.
    Get(NextHopMessage),
}

/// A next hop object as the kernel speaks of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NextHopMessage {
    /// Its number; 0 in a question after all.
    pub id: u32,
    /// Who made it.
    pub protocol: u8,
    /// The number of the device to send by; nothing for a group.
    pub device: Option<u32>,
    /// The neighbor to send to.
    pub gateway: Option<IpAddr>,
    /// The members of a group with their weights, 1 to 256.
    pub group: Vec<(u32, u16)>,
    /// The buckets of a resilient group, whose buckets change hands at once when a way comes or goes; 0: another kind.
    pub buckets: u16,
}

impl NextHopRequest {
    /// Returns whether a netlink message type is one of these.
    pub fn has_type(message_type: u16) -> bool {
        (RTM_NEWNEXTHOP..=RTM_GETNEXTHOP).contains(&message_type)
    }

    /// Returns the netlink message type.
    pub fn message_type(&self) -> u16 {
        match self {
            Self::New(_) => RTM_NEWNEXTHOP,
            Self::Del(_) => RTM_DELNEXTHOP,
            Self::Get(_) => RTM_GETNEXTHOP,
        }
    }

    /// Takes a message from its octets behind the netlink header.
    pub fn decode(message_type: u16, octets: &[u8]) -> Result<Self, DecodeError> {
        let message = NextHopMessage::decode(octets)
            .ok_or_else(|| DecodeError::from("a message about a next hop that ends too soon"))?;
        Ok(match message_type {
            RTM_NEWNEXTHOP => Self::New(message),
            RTM_DELNEXTHOP => Self::Del(message),
            _ => Self::Get(message),
        })
    }

    /// Returns the octets behind the netlink header.
    pub fn encode(&self) -> Vec<u8> {
        let (Self::New(message) | Self::Del(message) | Self::Get(message)) = self;
        message.encode()
    }
}

impl NextHopMessage {
    fn decode(octets: &[u8]) -> Option<Self> {
        let (header, rest) = octets.split_at_checked(HEADER_LENGTH)?;
        let [_, _, protocol, ..] = *header else { return None };
        let mut message = Self { protocol, ..Self::default() };
        for (attribute, value) in attributes(rest)? {
            message.take(attribute, value)?;
        }
        Some(message)
    }

    fn take(&mut self, attribute: u16, value: &[u8]) -> Option<()> {
        match attribute {
            NHA_ID => self.id = number(value)?,
            NHA_OIF => self.device = Some(number(value)?),
            NHA_GATEWAY => {
                let ipv4 = <[u8; 4]>::try_from(value).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
                let ipv6 = <[u8; 16]>::try_from(value).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
                self.gateway = Some(ipv4.or(ipv6).ok()?);
            }
            NHA_GROUP => {
                let members = value.chunks_exact(MEMBER_LENGTH);
                self.group = members.map(member).collect::<Option<_>>()?;
            }
            NHA_RES_GROUP => {
                for (attribute, value) in attributes(value)? {
                    if attribute == NHA_RES_GROUP_BUCKETS {
                        self.buckets = u16::from_ne_bytes(value.try_into().ok()?);
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn encode(&self) -> Vec<u8> {
        let family = match self.gateway {
            Some(IpAddr::V6(_)) => libc::AF_INET6,
            Some(IpAddr::V4(_)) => libc::AF_INET,
            None => libc::AF_UNSPEC,
        };
        let mut octets = vec![0; HEADER_LENGTH];
        let head = [u8::try_from(family).unwrap_or_default(), 0, self.protocol];
        octets.iter_mut().zip(head).for_each(|(octet, value)| *octet = value);
        if self.id != 0 {
            put(&mut octets, NHA_ID, &self.id.to_ne_bytes());
        }
        if let Some(device) = self.device {
            put(&mut octets, NHA_OIF, &device.to_ne_bytes());
        }
        match self.gateway {
            Some(IpAddr::V4(gateway)) => put(&mut octets, NHA_GATEWAY, &gateway.octets()),
            Some(IpAddr::V6(gateway)) => put(&mut octets, NHA_GATEWAY, &gateway.octets()),
            None => {}
        }
        if !self.group.is_empty() {
            let members: Vec<u8> =
                self.group.iter().flat_map(|(id, weight)| member_octets(*id, *weight)).collect();
            put(&mut octets, NHA_GROUP, &members);
        }
        if self.buckets != 0 {
            let mut buckets = Vec::new();
            put(&mut buckets, NHA_RES_GROUP_BUCKETS, &self.buckets.to_ne_bytes());
            // No bucket waits until nothing is sent by it: what shall lead elsewhere does so at once.
            put(&mut buckets, NHA_RES_GROUP_IDLE_TIMER, &0_u32.to_ne_bytes());
            put(&mut octets, NHA_GROUP_TYPE, &NEXTHOP_GRP_TYPE_RES.to_ne_bytes());
            put(&mut octets, NHA_RES_GROUP | NLA_F_NESTED, &buckets);
        }
        octets
    }
}

/// Takes attributes apart.
fn attributes(mut rest: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let (head, _) = rest.split_first_chunk::<ATTRIBUTE_HEADER_LENGTH>()?;
        let [a, b, c, d] = *head;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(ATTRIBUTE_HEADER_LENGTH..length)?;
        attributes.push((u16::from_ne_bytes([c, d]) & NLA_TYPE_MASK, value));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(attributes)
}

/// Takes a member of a group with its weight, which is written as one less.
fn member(octets: &[u8]) -> Option<(u32, u16)> {
    let (id, rest) = octets.split_at_checked(4)?;
    Some((number(id)?, u16::from(*rest.first()?) + 1))
}

fn member_octets(id: u32, weight: u16) -> impl Iterator<Item = u8> {
    let weight = u8::try_from(weight.saturating_sub(1)).unwrap_or(u8::MAX);
    id.to_ne_bytes().into_iter().chain([weight]).chain([0; MEMBER_LENGTH - 5])
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

/// Appends an attribute. No value here is longer than an attribute can be.
fn put(octets: &mut Vec<u8>, attribute: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE_HEADER_LENGTH + value.len()).unwrap_or(u16::MAX);
    octets.extend(length.to_ne_bytes());
    octets.extend(attribute.to_ne_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_survives_the_way_into_octets_and_back(
            id in 1_u32.., protocol: u8, way in proptest::option::of((any::<u32>(), any::<IpAddr>())),
            group in proptest::collection::vec((any::<u32>(), 1_u16..=256), 1..20), buckets: u16,
        ) {
            let (device, gateway) = way.unzip();
            let (group, buckets) = if device.is_some() { (Vec::new(), 0) } else { (group, buckets) };
            let request = NextHopRequest::New(NextHopMessage { id, protocol, device, gateway, group, buckets });
            prop_assert_eq!(NextHopRequest::decode(RTM_NEWNEXTHOP, &request.encode()).unwrap(), request);
        }

        #[test]
        fn any_octets_come_to_an_end(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            // A length of 0 must not stand still.
            let _ = NextHopRequest::decode(RTM_DELNEXTHOP, &octets);
        }
    }
}
