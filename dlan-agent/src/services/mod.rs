//! What is known of services' upstreams: asks for names and health, and says when nginx must hear of a change; pure.

pub mod health;
pub mod lookup;
pub mod names;
pub mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ospf_lite::time::Instant;

use self::health::{Health, Question, Subject};
use self::names::{Answer, Names};
use crate::config::Config;
use crate::config::service::{HealthConfig, ServiceConfig};
use crate::state::upstreams::UpstreamFacts;

/// The time between two changes that nginx hears of: what comes in between is told together.
const REST: Duration = Duration::from_secs(1);
/// How long an agent that has just started waits for the first answers before it changes what stands.
const FIRST_ANSWERS: Duration = Duration::from_secs(10);

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAction {
    /// Ask for the addresses of a name: [`Services::handle_name`].
    Resolve(String),
    /// Ask an upstream whether it works: [`Services::handle_health`].
    Probe(Question),
}

/// The services' upstreams.
#[derive(Debug, Clone, Default)]
pub struct Services {
    services: Vec<ServiceConfig>,
    names: Names,
    health: Health,
    /// When the waiting for the first answers ends; `None`: it has ended, or not begun.
    first_answers_until: Option<Instant>,
    has_begun: bool,
    told: UpstreamFacts,
    /// Before when nothing is told.
    rest_until: Option<Instant>,
}

impl Services {
    /// Takes in the configuration.
    pub fn handle_config(&mut self, now: Instant, config: &Config) {
        self.services.clone_from(&config.services);
        if !std::mem::replace(&mut self.has_begun, true) {
            self.first_answers_until = Some(now + FIRST_ANSWERS);
        }
        let upstreams = self.services.iter().flat_map(|service| &service.upstreams);
        let hosts = upstreams.filter(|upstream| !upstream.is_down).map(|upstream| &upstream.endpoint.host);
        let names = hosts.filter(|host| host.parse::<IpAddr>().is_err()).cloned().collect();
        self.names.handle_wanted(now, names);
        self.ask_health(now);
        // What an operator writes holds at once.
        self.rest_until = None;
        self.handle_timeout(now);
    }

    /// Takes what came of asking for a name.
    pub fn handle_name(&mut self, now: Instant, name: &str, answer: Answer) {
        self.names.handle_answer(now, name, answer);
        self.ask_health(now);
        self.note_first_answers(now);
    }

    /// Takes what came of asking an upstream whether it works.
    pub fn handle_health(&mut self, now: Instant, subject: &Subject, answer: Result<(), String>) {
        self.health.handle_answer(now, subject, answer);
        self.note_first_answers(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.names.handle_timeout(now);
        self.health.handle_timeout(now);
        self.note_first_answers(now);
    }

    /// Takes the next thing to do.
    pub fn poll_action(&mut self) -> Option<ServiceAction> {
        let name = self.names.poll_question().map(ServiceAction::Resolve);
        name.or_else(|| self.health.poll_question().map(ServiceAction::Probe))
    }

    /// Returns what is known, when it is something else than was told last and the rest after that is over.
    pub fn poll_facts(&mut self, now: Instant) -> Option<UpstreamFacts> {
        if self.rest_until.is_some_and(|until| now < until) {
            return None;
        }
        let facts = self.facts();
        if facts == self.told {
            self.rest_until = None;
            return None;
        }
        self.told.clone_from(&facts);
        self.rest_until = Some(now + REST);
        Some(facts)
    }

    /// Returns when [`Services::handle_timeout`] and [`Services::poll_facts`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rest = self.rest_until.filter(|_| self.facts() != self.told);
        let timeouts =
            [self.names.poll_timeout(), self.health.poll_timeout(), self.first_answers_until, rest];
        timeouts.into_iter().flatten().min()
    }

    /// Returns why a name has no address, or could not be asked for.
    pub fn name_error(&self, name: &str) -> Option<&str> {
        self.names.error(name)
    }

    /// Returns what the health checks say.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Returns what is known.
    pub fn facts(&self) -> UpstreamFacts {
        UpstreamFacts {
            names: self.names.known(),
            down: self.health.down(),
            is_settled: self.has_begun && self.first_answers_until.is_none(),
        }
    }

    fn note_first_answers(&mut self, now: Instant) {
        let is_over = self.first_answers_until.is_some_and(|until| until <= now);
        if is_over || (self.names.are_known() && self.health.are_asked()) {
            self.first_answers_until = None;
        }
    }

    /// Has every address asked that there is by what the names are.
    fn ask_health(&mut self, now: Instant) {
        let known = UpstreamFacts { names: self.names.known(), down: BTreeSet::new(), is_settled: true };
        let checked = self.services.iter().filter_map(|service| Some((service, service.health.as_ref()?)));
        let wanted: BTreeMap<Subject, HealthConfig> = checked
            .flat_map(|(service, health)| {
                let usable = known.usable(service).into_iter();
                usable.map(|(_, address)| ((service.name.clone(), address), health.clone()))
            })
            .collect();
        self.health.handle_wanted(now, wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    fn at(milliseconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(milliseconds)
    }

    const CHECKED: &str = " option health connect\n";

    fn config(options: &str) -> Config {
        let text = format!(
            "config mesh\n option host_id 1\nconfig wan\n option device eth0\n\
             config service web\n list listen '*:80'\n list upstream 'nas:80'\n list upstream '10.2.0.9:80'\n{options}"
        );
        parse(Source { file: "dlan", text: &text, hostname: "r1" }).unwrap().config
    }

    fn machine(options: &str) -> Services {
        let mut services = Services::default();
        services.handle_config(at(0), &config(options));
        services
    }

    fn answer(text: &str) -> Answer {
        let addresses = BTreeSet::from([text.parse().unwrap()]);
        let ttl = Some(Duration::from_secs(1));
        Answer::Addresses { addresses, ttl, missing: None, is_stale: false }
    }

    fn actions(services: &mut Services) -> Vec<ServiceAction> {
        std::iter::from_fn(|| services.poll_action()).collect()
    }

    /// Returns the addresses that clients can be passed on to.
    fn usable(services: &Services) -> Vec<String> {
        let (facts, config) = (services.facts(), config(""));
        facts.usable(&config.services[0]).iter().map(|(_, address)| address.to_string()).collect()
    }

    #[test]
    fn an_agent_that_starts_says_nothing_final_before_everything_has_answered_once() {
        let mut services = machine(CHECKED);
        assert_eq!(actions(&mut services).len(), 2, "the name, and the address that is known");
        assert!(!services.facts().is_settled);
        services.handle_name(at(100), "nas", answer("10.2.0.2"));
        assert_eq!(actions(&mut services).len(), 1, "the address that the name has");
        services.handle_health(at(200), &("web".to_owned(), "10.2.0.9:80".parse().unwrap()), Ok(()));
        assert!(!services.facts().is_settled);
        services.handle_health(
            at(300),
            &("web".to_owned(), "10.2.0.2:80".parse().unwrap()),
            Err(String::new()),
        );
        assert!(services.facts().is_settled);
        assert_eq!(usable(&services), ["10.2.0.9:80"]);
    }

    #[test]
    fn an_agent_that_starts_does_not_wait_for_ever() {
        let mut services = machine("");
        services.handle_timeout(at(9_999));
        assert!(!services.facts().is_settled);
        services.handle_timeout(at(10_000));
        assert!(services.facts().is_settled);
        services.handle_config(at(11_000), &config(CHECKED));
        assert!(services.facts().is_settled, "later only what is new is unknown");
    }

    #[test]
    fn a_change_is_told_at_once_and_those_that_follow_within_a_second_together() {
        let mut services = machine("");
        services.handle_name(at(10), "nas", answer("10.2.0.2"));
        services.handle_timeout(at(10));
        assert!(services.poll_facts(at(10)).is_some());
        assert!(services.poll_facts(at(20)).is_none());
        services.handle_name(at(100), "nas", answer("10.2.0.3"));
        assert!(services.poll_facts(at(100)).is_none());
        services.handle_name(at(200), "nas", answer("10.2.0.4"));
        assert_eq!(services.poll_timeout(), Some(at(1_010)));
        let told = services.poll_facts(at(1_010)).unwrap();
        assert_eq!(told.names["nas"], BTreeSet::from(["10.2.0.4".parse().unwrap()]));
        assert!(services.poll_facts(at(9_000)).is_none());
        services.handle_name(at(9_500), "nas", answer("10.2.0.5"));
        assert!(services.poll_facts(at(9_500)).is_some());
    }

    #[test]
    fn what_an_operator_writes_holds_at_once() {
        let mut services = machine("");
        services.handle_name(at(10), "nas", answer("10.2.0.2"));
        assert!(services.poll_facts(at(10)).is_some());
        services.handle_name(at(100), "nas", answer("10.2.0.3"));
        assert!(services.poll_facts(at(200)).is_none());
        services.handle_config(at(200), &config(""));
        assert!(services.poll_facts(at(200)).is_some());
    }

    #[test]
    fn nobody_asks_for_the_name_of_an_upstream_that_is_left_out() {
        let mut services = machine(" list upstream 'gone:80 down'\n");
        assert_eq!(actions(&mut services), [ServiceAction::Resolve("nas".to_owned())]);
    }

    #[test]
    fn a_changed_answer_is_told_within_its_time_to_live_and_two_seconds() {
        let address = |text: &str, ttl: u64| Answer::Addresses {
            addresses: BTreeSet::from([text.parse().unwrap()]),
            ttl: Some(Duration::from_secs(ttl)),
            missing: None,
            is_stale: false,
        };
        let checked: Subject = ("web".to_owned(), "10.2.0.9:80".parse().unwrap());
        for ttl in [1, 10, 60, 299, 300, 86_400] {
            let mut services = machine(CHECKED);
            services.handle_name(at(0), "nas", address("10.2.0.2", ttl));
            // The name changes right after it was answered for. It is asked for again when its answer runs out, and not sooner,
            // but for the longest that an answer is relied upon.
            let asked = services.names.poll_timeout().unwrap();
            assert_eq!(asked, at(ttl.min(300) * 1000), "{ttl}");
            actions(&mut services);
            services.handle_timeout(asked);
            assert!(actions(&mut services).contains(&ServiceAction::Resolve("nas".to_owned())));
            // Something else has changed just before, and the answer takes half a second.
            services.handle_health(asked, &checked, Err(String::new()));
            assert!(services.poll_facts(asked).is_some());
            let answered = asked + Duration::from_millis(500);
            services.handle_name(answered, "nas", address("10.2.0.3", ttl));
            assert!(services.poll_facts(answered).is_none(), "nginx has just read its configuration");
            let told = services.rest_until.unwrap();
            assert!(services.poll_facts(told).is_some());
            assert!(told <= at(ttl * 1000 + 2000), "{ttl}: {told:?}");
        }
    }
}
