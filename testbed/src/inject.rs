//! Frames that should not be there: VXLAN packets made by hand, sent from wherever an intruder would sit.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use crate::error::LabError;
use crate::node::Node;

/// VXLAN's UDP port.
pub const VXLAN_PORT: u16 = 4789;

/// Sends `count` VXLAN packets with a broadcast frame that holds `words`, from a node to an address.
pub fn send(node: &Node, to: Ipv4Addr, vni: u32, words: &[u8], count: usize) -> Result<(), LabError> {
    let packet = packet(vni, words);
    let sent = node.inside(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        for _ in 0..count {
            socket.send_to(&packet, SocketAddrV4::new(to, VXLAN_PORT))?;
        }
        Ok(())
    })?;
    sent.map_err(|source: std::io::Error| LabError::Node {
        node: node.name.clone(),
        why: format!("cannot send VXLAN to {to}: {source}"),
    })
}

/// Returns a VXLAN packet (RFC 7348 section 5): flags, VNI, and an Ethernet frame of an experimental type.
pub fn packet(vni: u32, words: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = vni.to_be_bytes();
    let mut packet = vec![0x08, 0, 0, 0, high, middle, low, 0];
    packet.extend([0xff; 6]);
    packet.extend([0x02, 0, 0, 0, 0, 0x99]);
    packet.extend([0x88, 0xb5]);
    packet.extend(words);
    packet.resize(packet.len().max(8 + 60), 0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vni_lies_in_octets_four_to_six() {
        let packet = packet(0x0001_0203, b"words");
        assert_eq!(packet.get(..8), Some([0x08, 0, 0, 0, 1, 2, 3, 0].as_slice()));
        assert!(packet.len() >= 68);
    }
}
