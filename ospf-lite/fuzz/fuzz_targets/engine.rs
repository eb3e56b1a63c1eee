//! Two engines on a link that does to their packets what the input says: they live with it, whatever the order and the
//! timing, and are adjacent again once the link behaves.
//!
//! The input is a list of steps: packets are delivered, lost, repeated, changed or invented (header, lengths and checksums
//! mended so that they get past the door), time jumps, and things happen to the interfaces.
#![no_main]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ospf_lite::config::{AdvertisedPrefix, Config, InterfaceConfig, InterfaceKind, PointToPointConfig};
use ospf_lite::engine::Engine;
use ospf_lite::ids::{Cost, Family, InterfaceId, RouterId};
use ospf_lite::io::{ALL_SPF_ROUTERS, InterfaceEvent, PrivateContent, Received};
use ospf_lite::ospf::lsa::LsType;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::time::Instant;
use ospf_lite::wire::checksum;

const LINK: InterfaceId = InterfaceId(1);
const MTU: u16 = 1370;
/// Timeouts an engine may ask for in one jump; more would be a loop.
const TIMEOUTS_MAX: usize = 10_000;
/// Packets that may follow from each other without time passing; more would be a storm.
const PACKETS_MAX: usize = 20_000;
/// How long a link may behave until both ends are adjacent: a dead neighbor is found, and an exchange started over.
const HEALING: Duration = Duration::from_secs(200);

fuzz_target!(|octets: &[u8]| {
    let Some((first, mut rest)) = octets.split_first() else { return };
    let mut world = World::new(if first & 1 == 0 { Family::Ipv6 } else { Family::Ipv4 });
    while let Some((step, behind)) = rest.split_first() {
        rest = world.step(*step, behind);
    }
    world.heal();
    for end in &world.ends {
        let state = end.engine.neighbors().map(|neighbor| neighbor.state).collect::<Vec<_>>();
        assert_eq!(state, [NeighborState::Full], "router {}", end.engine.config().router_id);
        let _ = (end.engine.routes().len(), end.engine.graph().len(), end.engine.database().count());
    }
});

/// One router, and the packets on their way to it.
struct End {
    engine: Engine,
    address: Ipv6Addr,
    arriving: VecDeque<Received>,
}

struct World {
    family: Family,
    now: Instant,
    ends: [End; 2],
}

impl World {
    fn new(family: Family) -> Self {
        let now = Instant::ORIGIN;
        let ends = [1, 2].map(|id| {
            let mut engine = Engine::new(Config::new(RouterId(id), family), now, u64::from(id));
            engine.handle_interface(now, InterfaceEvent::Configured(link(family, id)));
            engine.handle_interface(now, InterfaceEvent::Up(LINK));
            End { engine, address: address(id), arriving: VecDeque::new() }
        });
        let mut world = Self { family, now, ends };
        world.collect();
        world
    }

    /// Takes one step with the octets behind it, and returns those it leaves.
    fn step<'a>(&mut self, step: u8, octets: &'a [u8]) -> &'a [u8] {
        let at = usize::from(step >> 7);
        let (argument, behind) = octets.split_first().map_or((0, octets), |(first, rest)| (*first, rest));
        let behind = match step % 16 {
            0..=4 => {
                (0..=argument % 16).for_each(|_| self.deliver(at));
                behind
            }
            5 => {
                self.ends[at].arriving.pop_front();
                octets
            }
            6 => {
                let repeated = self.ends[at].arriving.front().cloned();
                self.ends[at].arriving.extend(repeated);
                octets
            }
            7 => self.change(at, octets),
            8 => self.invent(at, octets),
            9 | 10 => {
                self.pass(Duration::from_millis(u64::from(argument) * 50), false);
                behind
            }
            11 | 12 => {
                self.pass(Duration::from_millis(u64::from(argument) * 400), true);
                behind
            }
            13 => {
                self.handle(at, InterfaceEvent::Down(LINK));
                self.handle(at, InterfaceEvent::Up(LINK));
                octets
            }
            14 => {
                let id = self.ends[at].engine.config().router_id.0;
                let mut config = link(self.family, id);
                config.prefixes.truncate(usize::from(argument & 1));
                self.handle(at, InterfaceEvent::Configured(config));
                behind
            }
            _ => {
                let parts = vec![vec![b' '; usize::from(argument) * 4]; usize::from(step / 16 % 4)];
                let content = PrivateContent { ls_type: LsType::from_bits(0xbff0), parts };
                self.ends[at].engine.handle_private(self.now, content);
                behind
            }
        };
        self.collect();
        behind
    }

    fn handle(&mut self, at: usize, event: InterfaceEvent) {
        self.ends[at].engine.handle_interface(self.now, event);
    }

    fn deliver(&mut self, at: usize) {
        if let Some(received) = self.ends[at].arriving.pop_front() {
            self.ends[at].engine.handle_packet(self.now, &received);
        }
        self.collect();
    }

    /// Changes octets of the packet that arrives next.
    fn change<'a>(&mut self, at: usize, octets: &'a [u8]) -> &'a [u8] {
        let Some(([offset, value, count], behind)) = octets.split_first_chunk() else { return &[] };
        if let Some(received) = self.ends[at].arriving.front_mut() {
            let start = 16 + usize::from(*offset) * 2;
            for octet in received.octets.iter_mut().skip(start).take(usize::from(count % 4) + 1) {
                *octet ^= value;
            }
            mend(received);
        }
        behind
    }

    /// Puts a packet of our own making before the others.
    fn invent<'a>(&mut self, at: usize, octets: &'a [u8]) -> &'a [u8] {
        let Some(([kind, words], behind)) = octets.split_first_chunk() else { return &[] };
        let (body, behind) = behind.split_at((usize::from(*words) * 4).min(behind.len()));
        let source = self.ends[1 - at].address;
        let router = self.ends[1 - at].engine.config().router_id.0.to_be_bytes();
        let instance = self.family.instance_id().0;
        let mut octets = vec![3, kind % 5 + 1, 0, 0];
        octets.extend(router);
        octets.extend([0, 0, 0, 0, 0, 0, instance, 0]);
        octets.extend(body);
        octets.resize(octets.len().next_multiple_of(4), 0);
        let mut received = Received { interface: LINK, source, destination: ALL_SPF_ROUTERS, age: Duration::ZERO, octets };
        mend(&mut received);
        self.ends[at].arriving.push_front(received);
        behind
    }

    /// Lets time pass, with everything that is due on the way; packets arrive or wait.
    fn pass(&mut self, duration: Duration, arriving: bool) {
        let end = self.now + duration;
        for _ in 0..TIMEOUTS_MAX {
            let mut packets = 0;
            while arriving && self.ends.iter().any(|end| !end.arriving.is_empty()) {
                (0..2).for_each(|at| self.deliver(at));
                packets += 1;
                assert!(packets < PACKETS_MAX, "packets without end");
            }
            let due = self.ends.iter().filter_map(|end| end.engine.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.ends.iter_mut().for_each(|end| end.engine.handle_timeout(self.now));
            self.collect();
        }
        panic!("timeouts without end");
    }

    /// Lets the link behave.
    fn heal(&mut self) {
        for at in 0..2 {
            self.ends[at].arriving.clear();
        }
        self.pass(HEALING, true);
    }

    /// Takes what the engines want sent to where it will arrive.
    fn collect(&mut self) {
        for at in 0..2 {
            let source = self.ends[at].address;
            while let Some(transmit) = self.ends[at].engine.poll_transmit() {
                assert!(transmit.octets.len() + 40 <= usize::from(MTU), "larger than the MTU");
                self.ends[1 - at].arriving.push_back(Received {
                    interface: LINK,
                    source,
                    destination: transmit.destination,
                    age: Duration::ZERO,
                    octets: transmit.octets,
                });
            }
            while self.ends[at].engine.poll_event().is_some() {}
        }
    }
}

/// Makes lengths and checksums right, those of LSAs in an update too.
fn mend(received: &mut Received) {
    let Received { source, destination, octets, .. } = received;
    if octets.get(1) == Some(&4) {
        mend_lsas(&mut octets[16..]);
    }
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes();
    octets[2..4].copy_from_slice(&length);
    octets[12..14].fill(0);
    let sum = checksum::internet(octets, *source, *destination).to_be_bytes();
    octets[12..14].copy_from_slice(&sum);
}

/// Gives each LSA of an update the count, length and checksum that fit, as far as its own length can be followed.
fn mend_lsas(body: &mut [u8]) {
    let Some((count, mut rest)) = body.split_at_mut_checked(4) else { return };
    let mut lsas = 0u32;
    while rest.len() >= 20 {
        let said = usize::from(u16::from_be_bytes([rest[18], rest[19]])) & !3;
        let length = said.clamp(20, rest.len() & !3);
        let (lsa, behind) = std::mem::take(&mut rest).split_at_mut(length);
        lsa[16..18].fill(0);
        lsa[18..20].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        let sum = checksum::fletcher(&lsa[2..], 14);
        lsa[16..18].copy_from_slice(&sum.to_be_bytes());
        rest = behind;
        lsas += 1;
    }
    count.copy_from_slice(&lsas.to_be_bytes());
}

fn address(id: u32) -> Ipv6Addr {
    Ipv6Addr::from(0xfe80 << 112 | u128::from(id))
}

fn link(family: Family, id: u32) -> InterfaceConfig {
    let prefix = match family {
        Family::Ipv6 => format!("fd00:{id}::/64"),
        Family::Ipv4 => format!("10.{id}.0.0/16"),
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
            mtu: MTU,
            link_local: address(id),
            neighbor: None,
            ipv4_address: Some(Ipv4Addr::from(0x0a00_0000 | id)),
            authentication: Vec::new(),
        }),
    }
}
