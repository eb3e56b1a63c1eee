//! The two checksums: Fletcher for LSAs, the Internet checksum for packets.

use std::net::Ipv6Addr;

/// OSPF's protocol number (RFC 5340 section 2.1), part of the pseudo-header.
const NEXT_HEADER: u64 = 89;
/// How many octets can be summed before the second sum of 32 bits might overflow.
const FLETCHER_BLOCK: usize = 4096;

/// Returns both Fletcher sums, each modulo 255.
fn fletcher_sums(octets: &[u8]) -> (u32, u32) {
    octets.chunks(FLETCHER_BLOCK).fold((0, 0), |(mut low, mut high), block| {
        let mut words = block.chunks_exact(8);
        for word in &mut words {
            let (mut sum, mut weighted) = (0, 0);
            for (octet, weight) in word.iter().zip([8u32, 7, 6, 5, 4, 3, 2, 1]) {
                sum += u32::from(*octet);
                weighted += u32::from(*octet) * weight;
            }
            high += 8 * low + weighted;
            low += sum;
        }
        for octet in words.remainder() {
            low += u32::from(*octet);
            high += low;
        }
        (low % 255, high % 255)
    })
}

/// Returns whether the octets, checksum included, sum to zero (RFC 905 annex B.4).
pub fn fletcher_is_right(octets: &[u8]) -> bool {
    fletcher_sums(octets) == (0, 0)
}

/// Returns the Fletcher checksum of `octets`, in which the two octets at `at` are its place and zero (RFC 2328
/// section 12.1.7, RFC 905 annex B.3).
pub fn fletcher(octets: &[u8], at: usize) -> u16 {
    let (low, high) = fletcher_sums(octets);
    let behind = u32::try_from(octets.len().saturating_sub(at + 1) % 255).unwrap_or(0);
    let first = (behind * low + 255 - high) % 255;
    let second = (255 + 255 - low - first) % 255;
    // Zero and 255 are the same modulo 255; the standard sends 255.
    let nonzero = |value: u32| u16::try_from(if value == 0 { 255 } else { value }).unwrap_or(255);
    nonzero(first) << 8 | nonzero(second)
}

/// Returns the Internet checksum of a packet with the IPv6 pseudo-header in front (RFC 5340 appendix A.3.1, RFC 8200
/// section 8.1). Over a packet whose checksum is in place and right it is 0.
pub fn internet(packet: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> u16 {
    let length = u64::try_from(packet.len()).unwrap_or(0);
    let mut sum = sum_words(&source.octets()) + sum_words(&destination.octets()) + length + NEXT_HEADER;
    sum += sum_words(packet);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Sums 32-bit words: folded to 16 bits it is the same as the sum of 16-bit words.
fn sum_words(octets: &[u8]) -> u64 {
    let mut words = octets.chunks_exact(4);
    let mut sum = 0;
    for word in &mut words {
        sum += word.first_chunk().map_or(0, |word| u64::from(u32::from_be_bytes(*word)));
    }
    let mut last = [0; 4];
    for (slot, octet) in last.iter_mut().zip(words.remainder()) {
        *slot = *octet;
    }
    sum + u64::from(u32::from_be_bytes(last))
}
