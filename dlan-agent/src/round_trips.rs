//! Round-trip times to all neighbors: when to measure, which cost follows, what the mesh is told. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use ospf_lite::time::Instant;
use tracing::info;

use crate::auto_cost::{Bounds, Meter};
use crate::config::{Config, HostId};

/// How soon the next echo follows while a link has no estimate.
const YOUNG_INTERVAL: Duration = Duration::from_millis(500);

/// The round-trip times that count, in microseconds, by neighbor: what the mesh is told, and what outlives the agent.
pub type Settled = BTreeMap<HostId, u64>;

/// What came of an echo to each neighbor: how long the answer took, or that there was none.
pub type Echoes = BTreeMap<HostId, Option<Duration>>;

/// What is known of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkQuality {
    /// The smoothed round-trip time in microseconds, while the neighbor answers.
    pub round_trip_micros: Option<u64>,
    /// Of the last echoes, how many there were.
    pub echoes: usize,
    /// How many of those had no answer.
    pub echoes_lost: usize,
}

/// The meters of all links.
#[derive(Debug, Clone, Default)]
pub struct RoundTrips {
    meters: BTreeMap<HostId, Meter>,
    /// When the next round is due; nothing while one is out, or without links.
    next: Option<Instant>,
    interval: Duration,
}

impl RoundTrips {
    /// Makes meters that start from what an earlier start had settled on.
    pub fn adopt(settled: &Settled) -> Self {
        let meters = settled.iter().map(|(id, micros)| (*id, Meter::adopted(Duration::from_micros(*micros))));
        Self { meters: meters.collect(), ..Self::default() }
    }

    /// Takes the links that there are.
    pub fn handle_config(&mut self, now: Instant, config: &Config) {
        self.interval = config.mesh.round_trip_interval;
        let is_link = |id: &HostId| config.links.iter().any(|link| link.host_id == *id);
        self.meters.retain(|id, _| is_link(id));
        for link in &config.links {
            self.meters.entry(link.host_id).or_default();
        }
        self.next = (!self.meters.is_empty()).then_some(now);
    }

    /// Returns whether every neighbor is to be asked for an echo; [`RoundTrips::handle_echoes`] takes what came of it.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        self.next.take_if(|next| *next <= now).is_some()
    }

    /// Returns when [`RoundTrips::handle_timeout`] is due.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Takes what came of a round, and returns whether any link has another round-trip time that counts.
    pub fn handle_echoes(&mut self, now: Instant, echoes: &Echoes) -> bool {
        let mut is_changed = false;
        for (id, answer) in echoes {
            let Some(meter) = self.meters.get_mut(id) else { continue };
            let before = meter.settled();
            if meter.handle_echo(*answer) {
                info!(neighbor = %id, ?before, after = ?meter.settled(), "round-trip time");
                is_changed = true;
            }
        }
        let is_young = self.meters.values().any(Meter::is_young);
        let rest = if is_young { YOUNG_INTERVAL.min(self.interval) } else { self.interval };
        self.next = (!self.meters.is_empty()).then(|| now + rest);
        is_changed
    }

    /// Returns the configuration with the automatic costs that follow from what was measured.
    pub fn effective(&self, config: &Config) -> Config {
        let mut config = config.clone();
        let bounds = Bounds { min: config.mesh.auto_cost_min, max: config.mesh.auto_cost_max };
        for link in config.links.iter_mut().filter(|link| link.auto_cost) {
            link.cost = bounds.cost(self.meters.get(&link.host_id).and_then(Meter::settled));
        }
        config
    }

    /// Returns the round-trip times that count.
    pub fn settled(&self) -> Settled {
        self.meters.iter().filter_map(|(id, meter)| Some((*id, micros(meter.settled()?)))).collect()
    }

    /// Returns what is known of each link.
    pub fn qualities(&self) -> BTreeMap<HostId, LinkQuality> {
        let quality = |meter: &Meter| {
            let (echoes, echoes_lost) = meter.loss();
            LinkQuality { round_trip_micros: meter.smoothed().map(micros), echoes, echoes_lost }
        };
        self.meters.iter().map(|(id, meter)| (*id, quality(meter))).collect()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    const TEXT: &str = "
config mesh 'mesh'
	option host_id '1'
	option cost 'auto'
	option auto_cost_max '500'
config wan 'wan0'
	option device 'eth0'
config lan 'lan0'
	option device 'br-lan'
config link 'r2'
	option host_id '2'
	option public_key 'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI='
config link 'r3'
	option host_id '3'
	option public_key 'AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM='
	option cost '7'
";

    fn config() -> Config {
        parse(Source { file: "dlan", text: TEXT, hostname: "r1" }).unwrap().config
    }

    fn costs(round_trips: &RoundTrips) -> Vec<u16> {
        round_trips.effective(&config()).links.iter().map(|link| link.cost.get()).collect()
    }

    fn round(round_trips: &mut RoundTrips, now: Instant, millis: u64) -> bool {
        let answer = Some(Duration::from_millis(millis));
        round_trips.handle_echoes(now, &BTreeMap::from([(HostId(2), answer), (HostId(3), answer)]))
    }

    #[test]
    fn an_automatic_cost_follows_the_measurement_and_a_fixed_one_does_not() {
        let mut now = Instant::ORIGIN;
        let mut round_trips = RoundTrips::default();
        round_trips.handle_config(now, &config());
        assert_eq!(costs(&round_trips), [500, 7]);
        for at in 0..4 {
            now = round_trips.poll_timeout().unwrap();
            assert!(round_trips.handle_timeout(now) && round_trips.poll_timeout().is_none());
            assert_eq!(round(&mut round_trips, now, 12), at == 3);
        }
        assert_eq!(costs(&round_trips), [22, 7]);
        assert_eq!(round_trips.poll_timeout(), Some(now + Duration::from_secs(5)));
        assert_eq!(round_trips.settled(), BTreeMap::from([(HostId(2), 12_000), (HostId(3), 12_000)]));
    }

    #[test]
    fn a_restarted_agent_goes_on_with_the_costs_it_had() {
        let settled = BTreeMap::from([(HostId(2), 30_400), (HostId(9), 1)]);
        let mut round_trips = RoundTrips::adopt(&settled);
        round_trips.handle_config(Instant::ORIGIN, &config());
        assert_eq!(costs(&round_trips), [40, 7]);
        assert_eq!(round_trips.settled(), BTreeMap::from([(HostId(2), 30_400)]));
    }

    #[test]
    fn a_neighbor_that_never_answers_is_not_asked_often() {
        let now = Instant::ORIGIN;
        let mut round_trips = RoundTrips::default();
        round_trips.handle_config(now, &config());
        let silent = BTreeMap::from([(HostId(2), None), (HostId(3), None)]);
        for _ in 0..12 {
            assert!(!round_trips.handle_echoes(now, &silent));
        }
        assert_eq!(round_trips.poll_timeout(), Some(now + Duration::from_secs(5)));
        let lost = round_trips.qualities()[&HostId(2)];
        assert_eq!((lost.round_trip_micros, lost.echoes, lost.echoes_lost), (None, 12, 12));
    }
}
