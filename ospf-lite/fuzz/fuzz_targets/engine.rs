//! A neighbor that sends what it likes: the engine refuses it or lives with it, whatever the order and the timing.
//!
//! The input is a list of steps: a packet whose header, lengths and checksums are mended so that it gets past the door, a
//! jump in time, or something that happens to the interface.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ospf_lite::config::{AdvertisedPrefix, Config, InterfaceConfig, InterfaceKind, PointToPointConfig};
use ospf_lite::engine::Engine;
use ospf_lite::ids::{Cost, Family, InterfaceId, RouterId};
use ospf_lite::io::{ALL_SPF_ROUTERS, InterfaceEvent, PrivateContent, Received};
use ospf_lite::ospf::lsa::LsType;
use ospf_lite::time::Instant;
use ospf_lite::wire::checksum;

const SELF: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const NEIGHBOR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const LINK: InterfaceId = InterfaceId(1);
/// Timeouts an engine may ask for without time passing; more would be a loop.
const TIMEOUTS_MAX: usize = 10_000;

fuzz_target!(|octets: &[u8]| {
    let Some((first, mut rest)) = octets.split_first() else { return };
    let family = if first & 1 == 0 { Family::Ipv6 } else { Family::Ipv4 };
    let mut world = World::new(family);
    while let Some((step, behind)) = rest.split_first() {
        rest = world.step(*step, behind);
        world.drain();
    }
});

struct World {
    family: Family,
    now: Instant,
    engine: Engine,
}

impl World {
    fn new(family: Family) -> Self {
        let now = Instant::ORIGIN;
        let mut engine = Engine::new(Config::new(RouterId(1), family), now, 1);
        engine.handle_interface(now, InterfaceEvent::Configured(link(family)));
        engine.handle_interface(now, InterfaceEvent::Up(LINK));
        Self { family, now, engine }
    }

    /// Takes one step with the octets behind it, and returns those it leaves.
    fn step<'a>(&mut self, step: u8, octets: &'a [u8]) -> &'a [u8] {
        match step % 16 {
            0..=10 => {
                let Some((length, behind)) = octets.split_first() else { return &[] };
                let length = usize::from(*length) * 4;
                let (body, behind) = behind.split_at(length.min(behind.len()));
                let received = Received {
                    interface: LINK,
                    source: NEIGHBOR,
                    destination: if step % 2 == 0 { ALL_SPF_ROUTERS } else { SELF },
                    octets: vec![],
                };
                let octets = self.packet(step % 5 + 1, body, received.destination);
                self.engine.handle_packet(self.now, &Received { octets, ..received });
                behind
            }
            11 | 12 => {
                let Some((length, behind)) = octets.split_first() else { return &[] };
                self.pass(Duration::from_millis(u64::from(*length) * 200));
                behind
            }
            13 => {
                self.engine.handle_interface(self.now, InterfaceEvent::Down(LINK));
                self.engine.handle_interface(self.now, InterfaceEvent::Up(LINK));
                octets
            }
            14 => {
                let mut config = link(self.family);
                config.prefixes.truncate(usize::from(step / 16 % 2));
                self.engine.handle_interface(self.now, InterfaceEvent::Configured(config));
                octets
            }
            _ => {
                let parts = vec![vec![b' '; usize::from(step)]; usize::from(step / 16 % 3)];
                let content = PrivateContent { ls_type: LsType::from_bits(0xbff0), parts };
                self.engine.handle_private(self.now, content);
                octets
            }
        }
    }

    /// Makes a packet of the neighbor out of a body.
    fn packet(&self, kind: u8, body: &[u8], destination: Ipv6Addr) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        if kind == 4 {
            mend_lsas(&mut body);
        }
        let length = u16::try_from(16 + body.len()).unwrap_or(u16::MAX).to_be_bytes();
        let instance = self.family.instance_id().0;
        let mut octets = vec![3, kind, length[0], length[1], 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, instance, 0];
        octets.extend(body);
        let sum = checksum::internet(&octets, NEIGHBOR, destination).to_be_bytes();
        octets[12..14].copy_from_slice(&sum);
        octets
    }

    /// Lets time pass, with everything that is due on the way.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..TIMEOUTS_MAX {
            match self.engine.poll_timeout().filter(|due| *due <= end) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.engine.handle_timeout(self.now);
                    self.drain();
                }
                None => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("timeouts without end");
    }

    /// Takes what the engine wants, and asks it everything.
    fn drain(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            assert!(transmit.octets.len() + 40 <= 1370, "larger than the MTU");
        }
        while self.engine.poll_event().is_some() {}
        let _ = (self.engine.routes().len(), self.engine.is_settled(), self.engine.graph().len());
        let _ = (self.engine.interfaces().count(), self.engine.neighbors().count());
        let _ = self.engine.database().count();
    }
}

/// Gives each LSA of an update the count, length and checksum that fit, as far as its own length can be followed.
fn mend_lsas(body: &mut [u8]) {
    let Some((count, mut rest)) = body.split_at_mut_checked(4) else { return };
    let mut lsas = 0u32;
    while rest.len() >= 20 {
        let length = (usize::from(rest[19]) & !3).clamp(20, rest.len() & !3);
        let (lsa, behind) = std::mem::take(&mut rest).split_at_mut(length);
        lsa[16..20].copy_from_slice(&[0, 0, 0, 0]);
        lsa[18..20].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        let sum = checksum::fletcher(&lsa[2..], 14);
        lsa[16..18].copy_from_slice(&sum.to_be_bytes());
        rest = behind;
        lsas += 1;
    }
    count.copy_from_slice(&lsas.to_be_bytes());
}

fn link(family: Family) -> InterfaceConfig {
    let prefix = match family {
        Family::Ipv6 => "fd00:1::/64",
        Family::Ipv4 => "10.0.4.8/30",
    };
    InterfaceConfig {
        id: LINK,
        name: "link".into(),
        prefixes: vec![AdvertisedPrefix {
            prefix: prefix.parse().expect("a prefix"),
            metric: 10,
            local_address: false,
        }],
        kind: InterfaceKind::PointToPoint(PointToPointConfig {
            cost: Cost::new(10).expect("a cost"),
            hello_interval: Duration::from_secs(10),
            dead_interval: Duration::from_secs(40),
            rxmt_interval: Duration::from_secs(5),
            inf_trans_delay: Duration::from_secs(1),
            mtu: 1370,
            link_local: SELF,
            ipv4_address: Some(Ipv4Addr::new(10, 0, 4, 9)),
            authentication: Vec::new(),
        }),
    }
}
