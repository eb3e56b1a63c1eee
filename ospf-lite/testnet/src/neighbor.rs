//! A neighbor that is only there in what a test injects: what it says to bring an engine as far as the test wants it.

use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::LsType;
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::{DatabaseDescription, PacketBody};

use crate::make::{description, foreign, hello};
use crate::net::{End, Net};

/// The LS type of the LSA that the neighbor has and the engine asks for in Loading: area scope, U-bit, unknown.
pub const WANTED: LsType = LsType::from_bits(0xbff1);

impl Net {
    /// Router 1, whose neighbor 2 is only there in what the test injects, and leads the exchange.
    pub fn following(family: Family) -> Self {
        Self::facing_two(family, 1)
    }

    /// Router 3, whose neighbor 2 is only there in what the test injects, and follows in the exchange.
    pub fn leading(family: Family) -> Self {
        Self::facing_two(family, 3)
    }

    fn facing_two(family: Family, router: u32) -> Self {
        let mut net = Self::new(family).routers(&[router]);
        net.wires.insert((router, 1), (2, 1));
        net.configure_up((router, 1), |_| {});
        net
    }

    /// The last Database Description sent from an interface.
    pub fn last_description(&self, from: End) -> DatabaseDescription {
        let bodies = self.sent.iter().rev().filter(|sent| sent.from == from);
        let descriptions = bodies.filter_map(|sent| match sent.packet(self.family).body {
            PacketBody::DatabaseDescription(description) => Some(description),
            _ => None,
        });
        descriptions.into_iter().next().expect("a description was sent")
    }

    /// Has router 2 say what brings its adjacency from nothing to this state, ExStart or later.
    pub fn bring(&mut self, end: End, state: NeighborState) {
        self.inject_body(end, PacketBody::Hello(hello(self.family)));
        if state >= NeighborState::Exchange {
            let (init, ours) = (description(self.family, 7), self.last_description(end).sequence);
            self.describe(
                end,
                match end.0 {
                    1 => DatabaseDescription { init: true, ..init },
                    _ => DatabaseDescription { master: false, sequence: ours, ..init },
                },
            );
        }
        if state >= NeighborState::Loading {
            let headers = match state {
                NeighborState::Loading => vec![foreign(WANTED, 1, 0, 1).header()],
                _ => Vec::new(),
            };
            let next = self.next_description(end);
            self.describe(end, DatabaseDescription { more: false, headers, ..next });
        }
        assert_eq!(self.state(end), Some(state));
    }

    /// What router 2 has to say next in the exchange, but for headers.
    pub fn next_description(&self, end: End) -> DatabaseDescription {
        let ours = self.last_description(end).sequence;
        let next = description(self.family, ours);
        match end.0 {
            1 => DatabaseDescription { sequence: ours + 1, ..next },
            _ => DatabaseDescription { master: false, ..next },
        }
    }

    /// Injects a Database Description of router 2.
    pub fn describe(&mut self, end: End, description: DatabaseDescription) {
        self.inject_body(end, PacketBody::DatabaseDescription(description));
    }
}
