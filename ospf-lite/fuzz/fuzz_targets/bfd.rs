//! Any octets at a BFD session: decoded the same way twice or refused, and the session goes on.
#![no_main]

use std::net::Ipv6Addr;
use std::num::NonZeroU8;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ospf_lite::bfd::io::{Content, Received, SessionConfig, SessionEvent};
use ospf_lite::bfd::is_forwarding::Echo;
use ospf_lite::bfd::packet::{self, ControlPacket};
use ospf_lite::bfd::{Bfd, HOP_LIMIT};
use ospf_lite::ids::InterfaceId;
use ospf_lite::time::Instant;

const LINK: InterfaceId = InterfaceId(1);

fuzz_target!(|octets: &[u8]| {
    if let Ok(packet) = packet::decode(octets) {
        let unsigned = ControlPacket { authenticated: false, ..packet };
        assert_eq!(packet::decode(&packet::encode(&packet)), Ok(unsigned));
    }
    let mut bfd = Bfd::new(1);
    let mut now = Instant::ORIGIN + Duration::from_secs(1);
    let config = SessionConfig {
        interface: LINK,
        name: String::new(),
        remote: Ipv6Addr::LOCALHOST,
        interval: Duration::from_millis(50),
        detect_mult: NonZeroU8::MIN,
    };
    bfd.handle_session(now, SessionEvent::Configured(config));
    bfd.handle_timeout(now);
    let mut discriminator = 0;
    // Packets of 24 octets, an octet of waiting in 10 ms before each.
    for chunk in octets.chunks(25) {
        let Some((wait, octets)) = chunk.split_first() else { continue };
        while let Some(transmit) = bfd.poll_transmit() {
            if let Content::Control(octets) = transmit.content {
                discriminator = packet::decode(&octets).expect("own packets are right").my_discriminator;
            }
        }
        while bfd.poll_event().is_some() {}
        now = now + Duration::from_millis(u64::from(*wait) * 10);
        bfd.handle_timeout(now);
        if let Some(reply) = Echo::decode_reply(octets) {
            bfd.handle_reply(now, LINK, reply);
        }
        let mut octets = octets.to_vec();
        // Nobody guesses a discriminator, so one in two packets is given the right one.
        if wait % 2 == 0 && octets.len() >= 12 {
            octets[8..12].copy_from_slice(&discriminator.to_be_bytes());
        }
        bfd.handle_packet(now, &Received { interface: LINK, hop_limit: HOP_LIMIT, age: Duration::ZERO, octets: &octets });
    }
});
