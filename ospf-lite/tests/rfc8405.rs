//! RFC 8405, the back-off of shortest-path runs: a test per clause, named after section and clause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

use std::time::Duration;

use ospf_lite::config::SpfDelayConfig;
use ospf_lite::ids::{Family, InterfaceId, RouterId};
use ospf_lite::ospf::lsa::{
    IntraAreaPrefixLsa, LsType, Lsa, LsaBody, Prefix, PrefixOptions, RouterLink, RouterLinkKind, RouterLsa,
    SequenceNumber,
};
use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::packet::PacketBody;
use ospf_lite::ospf::spf_delay::SpfDelayInput::{Change, HolddownTimer, LearnTimer};
use ospf_lite::ospf::spf_delay::SpfDelayState::{self, LongWait, Quiet, ShortWait};
use ospf_testnet::{End, Net, hello, key, seconds, update};

const AT: End = (1, 1);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Router 1 with a neighbor that announces one prefix at the metric that the test says.
struct Watch {
    net: Net,
    changes: i32,
    links: i32,
}

impl Watch {
    fn new(delay: SpfDelayConfig) -> Self {
        let mut net = Net::following(Family::Ipv6);
        net.start_with(1, |config| config.spf_delay = delay);
        net.configure_up(AT, |_| {});
        net.bring(AT, NeighborState::Full);
        let link = RouterLink {
            kind: RouterLinkKind::PointToPoint,
            metric: 10,
            interface_id: InterfaceId(1),
            neighbor_interface_id: InterfaceId(1),
            neighbor_router_id: RouterId(1),
        };
        let body = RouterLsa {
            border: false,
            external: false,
            virtual_endpoint: false,
            options: hello(Family::Ipv6).options,
            links: vec![link],
        };
        let of = key(LsType::ROUTER, 0, 2);
        net.inject_body(AT, update([Lsa::originate(of, SequenceNumber::INITIAL, 1, LsaBody::Router(body))]));
        net.run(seconds(30));
        Self { net, changes: 0, links: 0 }
    }

    /// The neighbor announces the next metric.
    fn change(&mut self) {
        self.changes += 1;
        let prefix = Prefix { net: "fd00:2::/64".parse().unwrap(), options: PrefixOptions::default() };
        let metric = u16::try_from(self.changes).unwrap();
        let referenced = key(LsType::ROUTER, 0, 2);
        let body =
            LsaBody::IntraAreaPrefix(IntraAreaPrefixLsa { referenced, prefixes: vec![(prefix, metric)] });
        let sequence = SequenceNumber(SequenceNumber::INITIAL.0 + self.changes);
        let lsa = Lsa::originate(key(LsType::INTRA_AREA_PREFIX, 0, 2), sequence, 1, body);
        self.net.inject_body(AT, update([lsa]));
    }

    /// The neighbor tells of a link that the far end knows nothing of.
    fn change_nothing(&mut self) {
        self.links += 1;
        let link = |interface, neighbor| RouterLink {
            kind: RouterLinkKind::PointToPoint,
            metric: 10,
            interface_id: InterfaceId(interface),
            neighbor_interface_id: InterfaceId(1),
            neighbor_router_id: RouterId(neighbor),
        };
        let links = vec![link(1, 1), link(2, 77 + self.links.unsigned_abs())];
        let body = RouterLsa {
            border: false,
            external: false,
            virtual_endpoint: false,
            options: hello(Family::Ipv6).options,
            links,
        };
        let sequence = SequenceNumber(SequenceNumber::INITIAL.0 + self.links);
        let lsa = Lsa::originate(key(LsType::ROUTER, 0, 2), sequence, 1, LsaBody::Router(body));
        self.net.inject_body(AT, update([lsa]));
    }

    /// The last change that the routes follow.
    fn seen(&self) -> i32 {
        let distance = self.net.engines[&1].routes().values().next().map_or(10, |route| route.distance.0);
        i32::try_from(distance).unwrap() - 10
    }

    fn is_up_to_date(&self) -> bool {
        self.seen() == self.changes
    }

    /// Changes, and returns how long the routes take to follow.
    fn delay(&mut self) -> Duration {
        self.change();
        let start = self.net.now;
        while !self.is_up_to_date() {
            assert!(self.net.now.since(start) < seconds(20), "the routes never follow");
            self.net.run(ms(10));
        }
        self.keep_alive();
        self.net.now.since(start)
    }

    fn run(&mut self, time: Duration) {
        self.net.run(time);
        self.keep_alive();
    }

    fn keep_alive(&mut self) {
        self.net.inject_body(AT, PacketBody::Hello(hello(Family::Ipv6)));
    }
}

/// The values that section 6 suggests.
const SUGGESTED: SpfDelayConfig = SpfDelayConfig {
    initial: ms(50),
    short: ms(200),
    long: ms(5_000),
    time_to_learn: ms(500),
    holddown: ms(10_000),
};

#[test]
fn s5_1_table_of_states_has_every_pair() {
    let expected = [
        (Quiet, [(Change, ShortWait), (LearnTimer, Quiet), (HolddownTimer, Quiet)]),
        (ShortWait, [(Change, ShortWait), (LearnTimer, LongWait), (HolddownTimer, Quiet)]),
        (LongWait, [(Change, LongWait), (LearnTimer, LongWait), (HolddownTimer, Quiet)]),
    ];
    assert_eq!(expected.map(|(state, _)| state), SpfDelayState::ALL);
    for (state, edges) in expected {
        for (event, next) in edges {
            assert_eq!(state.next(event), next, "{state:?} on {event:?}");
        }
    }
}

#[test]
fn s5_1_quiet_waits_for_initial_spf_delay() {
    assert_eq!(Watch::new(SUGGESTED).delay(), ms(50));
    assert_eq!(Watch::new(SpfDelayConfig::default()).delay(), ms(0));
}

#[test]
fn s3_event_is_none_that_needs_no_calculation() {
    let mut watch = Watch::new(SpfDelayConfig::default());
    watch.change_nothing();
    watch.run(ms(10));
    assert_eq!(watch.delay(), ms(0));
    watch.change_nothing();
    watch.run(ms(10));
    assert_ne!(watch.delay(), ms(0), "a back-off that has begun goes on");
}

#[test]
fn s5_1_short_wait_waits_for_short_spf_delay() {
    let mut watch = Watch::new(SUGGESTED);
    watch.delay();
    assert_eq!(watch.delay(), ms(200));
}

#[test]
fn s5_1_learn_timer_ends_the_short_waits() {
    let mut watch = Watch::new(SUGGESTED);
    watch.delay();
    watch.net.run(ms(460));
    assert_eq!(watch.delay(), ms(5_000));
}

#[test]
fn s5_1_learn_timer_is_not_put_off_by_further_changes() {
    let mut watch = Watch::new(SUGGESTED);
    let start = watch.net.now;
    watch.delay();
    watch.delay();
    watch.delay();
    watch.net.run(ms(510).saturating_sub(watch.net.now.since(start)));
    // Three in a row were allowed to come sooner than MinLSArrival; the next one has to wait for that.
    watch.net.run(seconds(1));
    assert_eq!(watch.delay(), ms(5_000));
}

#[test]
fn s5_1_spf_timer_that_runs_is_not_started_again() {
    let mut watch = Watch::new(SUGGESTED);
    watch.delay();
    watch.change();
    watch.net.run(ms(150));
    assert_eq!(watch.seen(), 1);
    watch.change();
    watch.net.run(ms(50));
    assert!(watch.is_up_to_date(), "the second of both waits for the first one's timer");
}

#[test]
fn s5_1_holddown_timer_is_started_again_by_every_change() {
    let mut watch = Watch::new(SUGGESTED);
    watch.delay();
    watch.run(seconds(5));
    for _ in 0..4 {
        watch.run(seconds(4));
        assert_eq!(watch.delay(), ms(5_000));
    }
}

#[test]
fn s5_1_holddown_timer_brings_the_quiet_back() {
    let mut watch = Watch::new(SUGGESTED);
    watch.delay();
    watch.run(seconds(1));
    watch.delay();
    watch.run(seconds(10));
    assert_eq!(watch.delay(), ms(50));
    // The learn timer of the time before does not count any more.
    assert_eq!(watch.delay(), ms(200));
}

#[test]
fn s6_parameters_are_taken_as_configured_to_the_millisecond() {
    let config = SpfDelayConfig { initial: ms(130), short: ms(1_010), ..SUGGESTED };
    let mut watch = Watch::new(config);
    assert_eq!(watch.delay(), ms(130));
    let mut watch = Watch::new(SpfDelayConfig { time_to_learn: ms(2_000), ..config });
    watch.delay();
    assert_eq!(watch.delay(), ms(1_010));
}

#[test]
fn s6_holddown_is_longer_than_the_time_to_learn() {
    let shipped = SpfDelayConfig::default();
    assert!(shipped.holddown > shipped.time_to_learn);
}
