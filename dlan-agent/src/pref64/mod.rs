//! Tells a LAN's hosts by router advertisements which prefix stands for IPv4 addresses (PREF64, RFC 8781): when, and with what.
//! Pure; beside dnsmasq, which has no words for it and sends everything else that routers advertise.

pub mod server;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use ospf_lite::random::Random;
use ospf_lite::time::Instant;
use vxlan::link::LinkName;

use self::wire::Header;
use crate::config::{Config, LanConfig};
use crate::desired::translated_prefix;
use crate::state::facts::Facts;

/// How long hosts may go by the prefix without hearing of it again: three times [`INTERVAL`] (RFC 8781 section 4.1).
pub const LIFETIME: Duration = Duration::from_secs(1800);
/// MaxRtrAdvInterval, as dnsmasq's.
const INTERVAL: Duration = Duration::from_secs(600);
/// MinRtrAdvInterval (RFC 4861 section 6.2.1).
const INTERVAL_MIN: Duration = Duration::from_secs(200);
/// MAX_INITIAL_RTR_ADVERT_INTERVAL, between the first ones (RFC 4861 section 10).
const INTERVAL_INITIAL: Duration = Duration::from_secs(16);
/// MAX_INITIAL_RTR_ADVERTISEMENTS; likewise how often it is said that a prefix is none any more.
const REPEATED: u8 = 3;
/// MIN_DELAY_BETWEEN_RAS.
const DELAY_MIN: Duration = Duration::from_secs(3);
/// MAX_RA_DELAY_TIME, before a solicitation is answered.
const ANSWER_DELAY: Duration = Duration::from_millis(500);

/// What a LAN's hosts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What dnsmasq's advertisements say on the LAN, and these therefore too.
    pub header: Header,
    /// The prefix, while something translates.
    pub prefix: Option<Ipv6Net>,
}

/// Returns what is told on each LAN on which dlan's dnsmasq advertises: where there is DNS64, its prefix, as long as this router
/// or one that the mesh has a route to translates. OpenWrt's odhcpd tells it itself.
pub fn told(config: &Config, facts: &Facts, routes: &BTreeSet<IpNet>) -> BTreeMap<LinkName, Told> {
    let prefix = config.names.dns64_prefix;
    let translates = translated_prefix(config, facts).is_some() || routes.contains(&IpNet::V6(prefix));
    let advertises = |lan: &LanConfig| {
        let prefixes = facts.lan_prefixes(lan);
        let first = prefixes.iter().find(|(address, _)| matches!(address, IpAddr::V6(_)));
        lan.dhcp.ra && first.is_some_and(|(_, prefix)| prefix.prefix_len() == 64)
    };
    let of_lan = |lan: &LanConfig| {
        let header = Header { has_addresses: lan.dhcp.dhcpv6 };
        (lan.device.clone(), Told { header, prefix: (lan.dns64 && translates).then_some(prefix) })
    };
    let is_served = facts.dnsmasq.is_some() && !facts.is_openwrt();
    config.lans.iter().filter(|lan| is_served && advertises(lan)).map(of_lan).collect()
}

/// The advertisements of one LAN.
#[derive(Debug)]
pub struct Advertiser {
    told: Told,
    /// Prefixes that are none any more, with how often that is still to be said.
    withdrawn: BTreeMap<Ipv6Net, u8>,
    /// How many of the next advertisements follow soon.
    initial: u8,
    /// When the last one was sent.
    last: Option<Instant>,
    due: Option<Instant>,
    random: Random,
}

impl Advertiser {
    /// Makes one that has told nothing yet.
    pub fn new(now: Instant, told: Told, random: Random) -> Self {
        let mut advertiser =
            Self { told, withdrawn: BTreeMap::new(), initial: 0, last: None, due: None, random };
        advertiser.begin(now);
        advertiser
    }

    /// Takes what is to be told.
    pub fn handle_told(&mut self, now: Instant, told: Told) {
        if told == self.told {
            return;
        }
        if let Some(before) = self.told.prefix.filter(|before| told.prefix != Some(*before)) {
            self.withdrawn.insert(before, REPEATED);
        }
        if let Some(prefix) = told.prefix {
            self.withdrawn.remove(&prefix);
        }
        self.told = told;
        self.begin(now);
    }

    /// Takes a Router Solicitation: everybody on the LAN is answered at once (RFC 4861 section 6.2.6).
    pub fn handle_solicitation(&mut self, now: Instant) {
        if self.has_something_to_say() {
            let answer = now + self.random.below(ANSWER_DELAY);
            self.arm(answer);
        }
    }

    /// Returns the octets of the advertisement that is due, if one is.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.due.take_if(|due| *due <= now)?;
        let octets = self.encode();
        self.withdrawn.values_mut().for_each(|left| *left = left.saturating_sub(1));
        self.withdrawn.retain(|_, left| *left > 0);
        self.last = Some(now);
        self.initial = self.initial.saturating_sub(1);
        if self.has_something_to_say() {
            let interval = INTERVAL_MIN + self.random.below(INTERVAL.saturating_sub(INTERVAL_MIN));
            self.due = Some(now + if self.initial > 0 { INTERVAL_INITIAL } else { interval });
        }
        Some(octets)
    }

    /// Returns when [`Advertiser::handle_timeout`] is due.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn begin(&mut self, now: Instant) {
        self.due = None;
        self.initial = 0;
        if self.has_something_to_say() {
            self.initial = REPEATED;
            self.arm(now);
        }
    }

    /// Sees to it that the next one is sent at a time, or as soon after it as may be.
    fn arm(&mut self, at: Instant) {
        let at = self.last.map_or(at, |last| at.max(last + DELAY_MIN));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn has_something_to_say(&self) -> bool {
        self.told.prefix.is_some() || !self.withdrawn.is_empty()
    }

    fn encode(&self) -> Vec<u8> {
        let withdrawn = self.withdrawn.keys().map(|prefix| (*prefix, Duration::ZERO));
        let prefix = self.told.prefix.map(|prefix| (prefix, LIFETIME));
        wire::encode(self.told.header, withdrawn.chain(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "fd64::/96";
    const NEW: &str = "64:ff9b::/96";

    fn told(prefix: Option<&str>) -> Told {
        let header = Header { has_addresses: true };
        Told { header, prefix: prefix.map(|prefix| prefix.parse().unwrap()) }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    /// Lets time go on until `until`, and returns when advertisements were sent, with what they said.
    fn sent(advertiser: &mut Advertiser, until: Instant) -> Vec<(Instant, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(due) = advertiser.poll_timeout().filter(|due| *due <= until) {
            sent.extend(advertiser.handle_timeout(due).map(|octets| (due, octets)));
        }
        sent
    }

    fn said(options: &[(&str, Duration)]) -> Vec<u8> {
        let options = options.iter().map(|(prefix, lifetime)| (prefix.parse().unwrap(), *lifetime));
        wire::encode(Header { has_addresses: true }, options)
    }

    #[test]
    fn the_first_three_come_soon_and_the_others_at_the_usual_intervals() {
        let mut advertiser = Advertiser::new(at(0), told(Some(OLD)), Random::new(1));
        let sent = sent(&mut advertiser, at(20_000));
        let times: Vec<Instant> = sent.iter().map(|(at, _)| *at).collect();
        assert_eq!(times[..3], [at(0), at(16), at(32)]);
        assert!(times.len() > 33);
        let gaps = times[2..].windows(2).map(|pair| pair[1].since(pair[0]));
        assert!(gaps.clone().all(|gap| gap >= INTERVAL_MIN && gap < INTERVAL));
        assert!(gaps.clone().max() != gaps.min(), "hosts of all routers would hear of it at one time");
        assert!(sent.iter().all(|(_, octets)| *octets == said(&[(OLD, LIFETIME)])));
    }

    #[test]
    fn a_prefix_that_is_none_any_more_is_taken_back_three_times_beside_the_one_in_its_place() {
        let mut advertiser = Advertiser::new(at(0), told(Some(OLD)), Random::new(1));
        sent(&mut advertiser, at(100));
        advertiser.handle_told(at(100), told(Some(NEW)));
        let both = said(&[(OLD, Duration::ZERO), (NEW, LIFETIME)]);
        let of_change: Vec<Vec<u8>> =
            sent(&mut advertiser, at(150)).into_iter().map(|(_, octets)| octets).collect();
        assert_eq!(of_change, [both.clone(), both.clone(), both]);
        assert!(
            sent(&mut advertiser, at(2000)).iter().all(|(_, octets)| *octets == said(&[(NEW, LIFETIME)]))
        );
    }

    #[test]
    fn without_a_prefix_it_is_taken_back_and_nothing_is_said_any_more() {
        let mut advertiser = Advertiser::new(at(0), told(Some(OLD)), Random::new(1));
        sent(&mut advertiser, at(100));
        advertiser.handle_told(at(100), told(None));
        let gone = said(&[(OLD, Duration::ZERO)]);
        let all = sent(&mut advertiser, at(9000));
        assert_eq!(all.iter().map(|(_, octets)| octets).collect::<Vec<_>>(), [&gone, &gone, &gone]);
        assert_eq!(all[0].0, at(100));
        advertiser.handle_solicitation(at(9001));
        assert_eq!(advertiser.poll_timeout(), None);
    }

    #[test]
    fn one_that_comes_back_is_not_taken_back() {
        let mut advertiser = Advertiser::new(at(0), told(Some(OLD)), Random::new(1));
        sent(&mut advertiser, at(0));
        advertiser.handle_told(at(1), told(None));
        advertiser.handle_told(at(2), told(Some(OLD)));
        let all = sent(&mut advertiser, at(2000));
        assert!(all.iter().all(|(_, octets)| *octets == said(&[(OLD, LIFETIME)])));
        assert_eq!(all[0].0, at(3), "three seconds after the one before");
    }

    #[test]
    fn what_is_told_as_before_sends_nothing_more() {
        let mut advertiser = Advertiser::new(at(0), told(Some(OLD)), Random::new(1));
        sent(&mut advertiser, at(100));
        let due = advertiser.poll_timeout();
        advertiser.handle_told(at(100), told(Some(OLD)));
        assert_eq!(advertiser.poll_timeout(), due);
    }

    #[test]
    fn a_solicitation_is_answered_within_half_a_second_but_not_sooner_than_three_after_the_last() {
        let mut advertiser = Advertiser::new(at(0), told(Some(OLD)), Random::new(1));
        sent(&mut advertiser, at(100));
        advertiser.handle_solicitation(at(120));
        let answered = sent(&mut advertiser, at(121));
        assert_eq!(answered.len(), 1);
        for _ in 0..100 {
            advertiser.handle_solicitation(at(121));
        }
        let again = sent(&mut advertiser, at(130));
        assert_eq!(again.len(), 1, "however many ask");
        assert_eq!(again[0].0.since(answered[0].0), DELAY_MIN);
    }

    #[test]
    fn a_lan_without_a_prefix_says_nothing() {
        let mut advertiser = Advertiser::new(at(0), told(None), Random::new(1));
        advertiser.handle_solicitation(at(1));
        assert_eq!(advertiser.poll_timeout(), None);
    }
}
