//! Address prefixes: as many 32-bit words as the prefix length needs (RFC 5340 appendix A.4.1, RFC 5838 section 2.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ids::Family;
use crate::wire::error::DecodeError;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Returns how many octets the address of a prefix has.
fn address_octets(prefix_length: u8) -> usize {
    usize::from(prefix_length).div_ceil(32) * 4
}

/// Takes the address of a prefix whose length was read before. Host bits are masked, as senders must have done.
pub(super) fn decode(reader: &mut Reader<'_>, length: u8, family: Family) -> Result<IpNet, DecodeError> {
    let refused = |reader: &Reader<'_>| {
        reader.refuse(
            "prefix length",
            length,
            match family {
                Family::Ipv4 => "0 to 32",
                Family::Ipv6 => "0 to 128",
            },
        )
    };
    if length > family.address_bits() {
        return Err(refused(reader));
    }
    let mut field = [0; 16];
    for (slot, octet) in field.iter_mut().zip(reader.take(address_octets(length))?) {
        *slot = *octet;
    }
    let net = match from_field(field, family) {
        IpAddr::V4(address) => Ipv4Net::new(address, length).map(|net| IpNet::V4(net.trunc())),
        IpAddr::V6(address) => Ipv6Net::new(address, length).map(|net| IpNet::V6(net.trunc())),
    };
    net.map_err(|_| refused(reader))
}

/// Writes the address of a prefix without its host bits; its length is written by the caller.
pub(super) fn encode(net: IpNet, writer: &mut Writer) {
    let field = to_field(net.network());
    writer.octets(field.get(..address_octets(net.prefix_len())).unwrap_or(&field));
}

/// Returns the address in a field of 128 bits: an IPv4 address is the first 32 (RFC 5838 sections 2.5 and 2.6).
pub(super) fn from_field(field: [u8; 16], family: Family) -> IpAddr {
    match family {
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(field)),
        Family::Ipv4 => {
            let [a, b, c, d, ..] = field;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
    }
}

/// Returns the field of 128 bits that holds the address.
pub(super) fn to_field(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96).to_be_bytes(),
    }
}
