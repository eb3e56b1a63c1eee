//! How large things are on the wire, and how many of them fit.

use crate::config::HmacAlgorithm;

/// The header of every IPv6 packet.
pub const IPV6_HEADER: usize = 40;
/// The header of every OSPF packet (RFC 5340 appendix A.3.1).
pub const PACKET_HEADER: usize = 16;
/// What stands before the headers in a Database Description (RFC 5340 appendix A.3.3).
pub const DATABASE_DESCRIPTION: usize = 12;
/// One entry of a Link State Request (RFC 5340 appendix A.3.4).
pub const REQUEST_ENTRY: usize = 12;
/// What stands before the LSAs in a Link State Update (RFC 5340 appendix A.3.5).
pub const LINK_STATE_UPDATE: usize = 4;
/// The header of every LSA (RFC 5340 appendix A.4.2).
pub const LSA_HEADER: usize = 20;
/// What stands before the links in a Router-LSA (RFC 5340 appendix A.4.3).
pub const ROUTER_LSA: usize = 4;
/// One link of a Router-LSA (RFC 5340 appendix A.4.3).
pub const ROUTER_LINK: usize = 16;
/// What stands before the routers in a Network-LSA (RFC 5340 appendix A.4.4).
pub const NETWORK_LSA: usize = 4;
/// What stands before the prefixes in an Intra-Area-Prefix-LSA (RFC 5340 appendix A.4.10).
pub const INTRA_AREA_PREFIX_LSA: usize = 12;
/// What stands before the prefixes in a Link-LSA (RFC 5340 appendix A.4.9).
pub const LINK_LSA: usize = 24;
/// What stands before the digest in an authentication trailer (RFC 7166 section 4.1).
pub const TRAILER_HEADER: usize = 16;

/// Returns the octets of a prefix with its length, options and metric in front.
pub const fn prefix(prefix_length: u8) -> usize {
    4 + (prefix_length as usize).div_ceil(32) * 4
}

/// Returns the octets of an algorithm's digest.
pub const fn digest(algorithm: HmacAlgorithm) -> usize {
    match algorithm {
        HmacAlgorithm::Sha1 => 20,
        HmacAlgorithm::Sha256 => 32,
        HmacAlgorithm::Sha384 => 48,
        HmacAlgorithm::Sha512 => 64,
    }
}

/// Returns the octets of an algorithm's authentication trailer.
pub const fn trailer(algorithm: HmacAlgorithm) -> usize {
    TRAILER_HEADER + digest(algorithm)
}

/// Returns the octets that a packet's body may have on a link of this MTU, with room for the trailer of the algorithm
/// that signs it.
pub fn packet_body(mtu: u16, signing: Option<HmacAlgorithm>) -> usize {
    usize::from(mtu).saturating_sub(IPV6_HEADER + PACKET_HEADER + signing.map_or(0, trailer))
}

/// Returns how many LSA headers fit into a Database Description with that much room for its body.
pub const fn headers_in_description(packet_body: usize) -> usize {
    packet_body.saturating_sub(DATABASE_DESCRIPTION) / LSA_HEADER
}

/// Returns how many LSA headers fit into a Link State Acknowledgment with that much room for its body.
pub const fn headers_in_acknowledgment(packet_body: usize) -> usize {
    packet_body / LSA_HEADER
}

/// Returns how many LSAs a Link State Request with that much room for its body can ask for.
pub const fn keys_in_request(packet_body: usize) -> usize {
    packet_body / REQUEST_ENTRY
}

/// Returns how many octets of LSAs fit into a Link State Update with that much room for its body.
pub const fn lsas_in_update(packet_body: usize) -> usize {
    packet_body.saturating_sub(LINK_STATE_UPDATE)
}
