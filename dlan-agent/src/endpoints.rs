//! Where neighbors are called: resolves names again and again, and says when WireGuard must send elsewhere. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ospf_lite::time::Instant;
use vxlan::wireguard::{PeerStatus, PublicKey};

use crate::config::{Config, Endpoint};

/// How often a name is resolved while its peer answers.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(300);
/// How often a name is resolved, and another of its addresses tried, while its peer is silent. Longer than WireGuard needs
/// for two attempts at a handshake.
const SILENT_INTERVAL: Duration = Duration::from_secs(15);
/// The first rest after a name could not be resolved; it doubles up to [`RESOLVE_INTERVAL`].
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// A handshake older than this is a silent peer's: a living one makes another every 120 s while packets flow.
const SILENT_AFTER: Duration = Duration::from_secs(150);
/// How long an answer is waited for before the name is asked for again.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(20);
/// How often an endpoint that the operator has just changed is set again because the peer, still answered from where it was called before,
/// drew WireGuard back there.
const PURSUED: u32 = 5;
/// How long it takes a peer to notice that it is called from elsewhere, at least.
const PURSUED_AFTER: Duration = Duration::from_secs(2);
/// How many addresses of a name are kept.
const ADDRESSES_MAX: usize = 16;

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointAction {
    /// Look up a name, and hand the answer to [`Endpoints::handle_resolved`].
    Resolve {
        /// The peer the name belongs to.
        peer: PublicKey,
        /// The name and port.
        endpoint: Endpoint,
    },
    /// Make WireGuard send to this address.
    SetEndpoint {
        /// The peer.
        peer: PublicKey,
        /// Where to.
        address: SocketAddr,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    endpoint: Endpoint,
    /// Whether the peer had another endpoint in the configuration before.
    is_changed: bool,
    /// How many more times it is set though the peer answers from elsewhere.
    pursuits: u32,
    addresses: Vec<SocketAddr>,
    /// Which of the addresses is in use.
    chosen: usize,
    error: Option<String>,
    retry: Duration,
    /// When to look again.
    due: Instant,
    /// Since when an answer to a lookup is awaited.
    asked: Option<Instant>,
    seen: PeerStatus,
    /// When the address was last handed out.
    set_at: Option<Instant>,
}

/// The endpoints of every link that has one.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    entries: BTreeMap<PublicKey, Entry>,
    /// What WireGuard said of its peers last.
    peers: BTreeMap<PublicKey, PeerStatus>,
    actions: VecDeque<EndpointAction>,
}

impl Endpoints {
    /// Takes in the configuration. An endpoint that is written as before keeps what is known of it.
    pub fn handle_config(&mut self, now: Instant, config: &Config) {
        let wanted: BTreeMap<&PublicKey, &Endpoint> = config
            .links
            .iter()
            .filter_map(|link| link.endpoint.as_ref().map(|endpoint| (&link.public_key, endpoint)))
            .collect();
        self.handle_endpoints(now, &wanted);
    }

    fn handle_endpoints(&mut self, now: Instant, wanted: &BTreeMap<&PublicKey, &Endpoint>) {
        self.entries.retain(|peer, _| wanted.contains_key(peer));
        for (peer, endpoint) in wanted {
            let before = self.entries.get(*peer).map(|entry| &entry.endpoint);
            if before != Some(*endpoint) {
                let seen = self.peers.get(*peer).copied().unwrap_or_default();
                let is_changed = before.is_some();
                let pursuits = if is_changed { PURSUED } else { 0 };
                let entry = Entry { is_changed, pursuits, ..Entry::new(now, (*endpoint).clone(), seen) };
                self.entries.insert(**peer, entry);
                self.set_first(now, peer);
            }
        }
        self.handle_timeout(now);
    }

    /// Takes in what a lookup came to; the address in use stays in use while it is among the answers.
    pub fn handle_resolved(
        &mut self,
        now: Instant,
        peer: &PublicKey,
        answer: Result<Vec<SocketAddr>, String>,
    ) {
        // The answer to a name may come when an address stands in its place.
        let Some(entry) = self.entries.get_mut(peer).filter(|entry| !entry.is_address()) else { return };
        entry.asked = None;
        let mut addresses = match answer {
            Ok(addresses) if !addresses.is_empty() => addresses,
            Ok(_) => return entry.fail(now, "no address".to_owned()),
            Err(error) => return entry.fail(now, error),
        };
        addresses.truncate(ADDRESSES_MAX);
        let before = entry.chosen_address();
        entry.error = None;
        entry.retry = RETRY_FIRST;
        entry.due = now + entry.interval();
        let kept = before.and_then(|before| addresses.iter().position(|address| *address == before));
        entry.addresses = addresses;
        match kept {
            Some(at) => {
                entry.chosen = at;
                self.try_next_when_silent(now, peer);
            }
            None => {
                entry.chosen = 0;
                if before.is_some() { self.set_chosen(now, peer) } else { self.set_first(now, peer) }
            }
        }
    }

    /// Takes in what WireGuard says of its peers.
    pub fn handle_peers(&mut self, now: Instant, peers: &BTreeMap<PublicKey, PeerStatus>) {
        self.peers.clone_from(peers);
        for (peer, entry) in &mut self.entries {
            entry.seen = peers.get(peer).copied().unwrap_or_default();
            if entry.is_silent() && entry.asked.is_none() {
                entry.due = entry.due.min(now + SILENT_INTERVAL);
            }
        }
        self.pursue(now);
        self.handle_timeout(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<PublicKey> =
            self.entries.iter().filter(|(_, entry)| entry.due <= now).map(|(peer, _)| *peer).collect();
        for peer in due {
            let Some(entry) = self.entries.get_mut(&peer) else { continue };
            if entry.is_address() {
                entry.due = now + entry.interval();
                self.try_next_when_silent(now, &peer);
            } else {
                // An answer that never comes must not be the last one.
                entry.due = now + LOOKUP_DEADLINE;
                entry.asked = Some(now);
                let endpoint = entry.endpoint.clone();
                self.actions.push_back(EndpointAction::Resolve { peer, endpoint });
            }
        }
    }

    /// Takes the next thing to do.
    pub fn poll_action(&mut self) -> Option<EndpointAction> {
        self.actions.pop_front()
    }

    /// Returns when [`Endpoints::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// Returns the address in use for each peer that has one.
    pub fn addresses(&self) -> BTreeMap<PublicKey, SocketAddr> {
        let chosen = |(peer, entry): (&PublicKey, &Entry)| Some((*peer, entry.chosen_address()?));
        self.entries.iter().filter_map(chosen).collect()
    }

    /// Returns why the peer's name has no address.
    pub fn error(&self, peer: &PublicKey) -> Option<&str> {
        self.entries.get(peer)?.error.as_deref()
    }

    /// Sends to the next address when nobody answers at the present one; also back to the configured one when the peer was
    /// last seen elsewhere.
    fn try_next_when_silent(&mut self, now: Instant, peer: &PublicKey) {
        let Some(entry) = self.entries.get_mut(peer) else { return };
        let Some(chosen) = entry.chosen_address() else { return };
        let rested = entry.set_at.is_none_or(|at| now.since(at) >= SILENT_INTERVAL);
        if !entry.is_silent() || !rested {
            return;
        }
        if entry.seen.endpoint == Some(chosen) {
            if entry.addresses.len() < 2 {
                return;
            }
            entry.chosen = (entry.chosen + 1) % entry.addresses.len();
        }
        self.set_chosen(now, peer);
    }

    /// Begins with the address at which the peer answers already, if it is one of its name's. A peer that answers from
    /// elsewhere has roamed and is left there, unless the operator has just said where to call it.
    fn set_first(&mut self, now: Instant, peer: &PublicKey) {
        let Some(entry) = self.entries.get_mut(peer) else { return };
        if !entry.is_silent() {
            let answering = |address: &SocketAddr| Some(*address) == entry.seen.endpoint;
            match entry.addresses.iter().position(answering) {
                Some(at) => entry.chosen = at,
                None if entry.is_changed => {}
                None => return,
            }
        }
        self.set_chosen(now, peer);
    }

    /// Calls those again that are called elsewhere than the operator has just said: a packet that was still on its way from
    /// the former address takes WireGuard back to it, and then both ends stay there.
    fn pursue(&mut self, now: Instant) {
        let is_elsewhere = |entry: &Entry| {
            let is_known = entry.seen.endpoint.is_none_or(|seen| entry.addresses.contains(&seen));
            let rested = entry.set_at.is_some_and(|at| now.since(at) >= PURSUED_AFTER);
            entry.pursuits > 0 && rested && !is_known
        };
        let peers: Vec<PublicKey> =
            self.entries.iter().filter(|(_, entry)| is_elsewhere(entry)).map(|(peer, _)| *peer).collect();
        for peer in peers {
            if let Some(entry) = self.entries.get_mut(&peer) {
                entry.pursuits -= 1;
            }
            self.set_chosen(now, &peer);
        }
    }

    fn set_chosen(&mut self, now: Instant, peer: &PublicKey) {
        let Some(entry) = self.entries.get_mut(peer) else { return };
        let Some(address) = entry.chosen_address() else { return };
        entry.set_at = Some(now);
        self.actions.push_back(EndpointAction::SetEndpoint { peer: *peer, address });
    }
}

impl Entry {
    fn new(now: Instant, endpoint: Endpoint, seen: PeerStatus) -> Self {
        let literal = endpoint.host.parse::<IpAddr>().ok();
        let addresses = literal.map(|address| SocketAddr::new(address, endpoint.port));
        Self {
            // A written address needs no lookup.
            due: if addresses.is_some() { now + SILENT_INTERVAL } else { now },
            endpoint,
            is_changed: false,
            pursuits: 0,
            addresses: addresses.into_iter().collect(),
            chosen: 0,
            error: None,
            retry: RETRY_FIRST,
            asked: None,
            seen,
            set_at: None,
        }
    }

    /// Returns whether the endpoint is written as an address.
    fn is_address(&self) -> bool {
        self.endpoint.host.parse::<IpAddr>().is_ok()
    }

    fn chosen_address(&self) -> Option<SocketAddr> {
        self.addresses.get(self.chosen).copied()
    }

    fn is_silent(&self) -> bool {
        self.seen.handshake_age.is_none_or(|age| age > SILENT_AFTER)
    }

    fn interval(&self) -> Duration {
        if self.is_silent() { SILENT_INTERVAL } else { RESOLVE_INTERVAL }
    }

    /// Keeps what was known; the name is asked for again after a rest.
    fn fail(&mut self, now: Instant, error: String) {
        self.error = Some(error);
        self.due = now + self.retry;
        self.retry = (self.retry * 2).min(RESOLVE_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PublicKey = PublicKey::from_octets([4; 32]);

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn machine(host: &str) -> Endpoints {
        machine_after(host, &BTreeMap::new())
    }

    fn machine_after(host: &str, peers: &BTreeMap<PublicKey, PeerStatus>) -> Endpoints {
        let mut endpoints = Endpoints::default();
        endpoints.handle_peers(at(0), peers);
        let endpoint = Endpoint { host: host.to_owned(), port: 51820 };
        endpoints.handle_endpoints(at(0), &BTreeMap::from([(&PEER, &endpoint)]));
        endpoints
    }

    fn actions(endpoints: &mut Endpoints) -> Vec<EndpointAction> {
        std::iter::from_fn(|| endpoints.poll_action()).collect()
    }

    fn set(address: &str) -> EndpointAction {
        EndpointAction::SetEndpoint { peer: PEER, address: address.parse().unwrap() }
    }

    fn answer(addresses: &[&str]) -> Result<Vec<SocketAddr>, String> {
        Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }

    fn peers(endpoint: &str, age: Option<u64>) -> BTreeMap<PublicKey, PeerStatus> {
        let seen = PeerStatus {
            endpoint: Some(endpoint.parse().unwrap()),
            handshake_age: age.map(Duration::from_secs),
            ..PeerStatus::default()
        };
        BTreeMap::from([(PEER, seen)])
    }

    #[test]
    fn a_name_is_resolved_at_once_and_its_first_address_used() {
        let mut endpoints = machine("r4.example.org");
        assert!(matches!(&actions(&mut endpoints)[..], [EndpointAction::Resolve { .. }]));
        endpoints.handle_resolved(at(1), &PEER, answer(&["192.0.2.4:51820", "192.0.2.5:51820"]));
        assert_eq!(actions(&mut endpoints), [set("192.0.2.4:51820")]);
        assert_eq!(endpoints.addresses()[&PEER], "192.0.2.4:51820".parse().unwrap());
    }

    #[test]
    fn an_unchanged_address_of_a_living_peer_is_left_alone() {
        let mut endpoints = machine("r4.example.org");
        endpoints.handle_resolved(at(1), &PEER, answer(&["192.0.2.4:51820"]));
        endpoints.handle_peers(at(2), &peers("198.51.100.9:1024", Some(1)));
        actions(&mut endpoints);
        endpoints.handle_timeout(at(400));
        assert!(matches!(&actions(&mut endpoints)[..], [EndpointAction::Resolve { .. }]));
        endpoints.handle_resolved(at(401), &PEER, answer(&["192.0.2.4:51820"]));
        assert_eq!(actions(&mut endpoints), []);
    }

    #[test]
    fn a_changed_address_is_used_at_once() {
        let mut endpoints = machine("r4.example.org");
        endpoints.handle_resolved(at(1), &PEER, answer(&["192.0.2.4:51820"]));
        endpoints.handle_peers(at(2), &peers("192.0.2.4:51820", Some(1)));
        actions(&mut endpoints);
        endpoints.handle_resolved(at(400), &PEER, answer(&["192.0.2.77:51820"]));
        assert_eq!(actions(&mut endpoints), [set("192.0.2.77:51820")]);
    }

    #[test]
    fn a_silent_peers_addresses_are_tried_in_turn() {
        let mut endpoints = machine("r4.example.org");
        let both = ["[2001:db8::4]:51820", "192.0.2.4:51820"];
        endpoints.handle_resolved(at(1), &PEER, answer(&both));
        endpoints.handle_peers(at(2), &peers(both[0], None));
        actions(&mut endpoints);
        endpoints.handle_resolved(at(20), &PEER, answer(&both));
        assert_eq!(actions(&mut endpoints), [set(both[1])]);
        endpoints.handle_peers(at(21), &peers(both[1], None));
        endpoints.handle_resolved(at(40), &PEER, answer(&both));
        assert!(actions(&mut endpoints).contains(&set(both[0])));
    }

    #[test]
    fn a_peer_that_roamed_and_fell_silent_is_called_where_it_is_configured() {
        let mut endpoints = machine("192.0.2.4");
        assert_eq!(actions(&mut endpoints), [set("192.0.2.4:51820")]);
        endpoints.handle_peers(at(1), &peers("198.51.100.9:1024", Some(1)));
        endpoints.handle_timeout(at(20));
        assert_eq!(actions(&mut endpoints), []);
        endpoints.handle_peers(at(400), &peers("198.51.100.9:1024", Some(200)));
        assert_eq!(actions(&mut endpoints), [set("192.0.2.4:51820")]);
    }

    #[test]
    fn an_agent_that_starts_again_leaves_answering_peers_where_they_are() {
        let both = ["[2001:db8::4]:51820", "192.0.2.4:51820"];
        let mut endpoints = machine_after("r4.example.org", &peers(both[1], Some(1)));
        actions(&mut endpoints);
        endpoints.handle_resolved(at(1), &PEER, answer(&both));
        assert_eq!(actions(&mut endpoints), [set(both[1])]);
        let mut roamed = machine_after("192.0.2.4", &peers("198.51.100.9:1024", Some(1)));
        assert_eq!(actions(&mut roamed), []);
    }

    #[test]
    fn an_endpoint_that_the_operator_changes_is_called_at_once_though_the_peer_answers_at_the_former() {
        let mut endpoints = machine("192.0.2.4");
        endpoints.handle_peers(at(1), &peers("192.0.2.4:51820", Some(1)));
        actions(&mut endpoints);
        for (host, port) in [("192.0.2.77", 51820), ("192.0.2.77", 443)] {
            let endpoint = Endpoint { host: host.to_owned(), port };
            endpoints.handle_endpoints(at(2), &BTreeMap::from([(&PEER, &endpoint)]));
            assert_eq!(actions(&mut endpoints), [set(&format!("{host}:{port}"))]);
        }
        let name = Endpoint { host: "r4.example.org".to_owned(), port: 51820 };
        endpoints.handle_endpoints(at(3), &BTreeMap::from([(&PEER, &name)]));
        actions(&mut endpoints);
        endpoints.handle_resolved(at(4), &PEER, answer(&["192.0.2.88:51820"]));
        assert_eq!(actions(&mut endpoints), [set("192.0.2.88:51820")]);
    }

    #[test]
    fn an_endpoint_that_the_operator_changes_is_called_again_where_the_peer_draws_back_to_the_former() {
        let former = peers("[2001:db8::4]:51820", Some(1));
        let mut endpoints = machine("2001:db8::4");
        endpoints.handle_peers(at(1), &former);
        let name = Endpoint { host: "r4.example.org".to_owned(), port: 51820 };
        endpoints.handle_endpoints(at(2), &BTreeMap::from([(&PEER, &name)]));
        endpoints.handle_resolved(at(3), &PEER, answer(&["192.0.2.4:51820"]));
        actions(&mut endpoints);
        endpoints.handle_peers(at(4), &former);
        assert_eq!(actions(&mut endpoints), [], "it has had no time to notice");
        endpoints.handle_peers(at(6), &former);
        assert_eq!(actions(&mut endpoints), [set("192.0.2.4:51820")]);
        // One that is where it should be is left there, and one that never comes is not pursued for ever.
        endpoints.handle_peers(at(9), &peers("192.0.2.4:51820", Some(1)));
        assert_eq!(actions(&mut endpoints), []);
        let set_again: Vec<_> = (4..20)
            .flat_map(|step| {
                endpoints.handle_peers(at(3 * step), &former);
                actions(&mut endpoints)
            })
            .collect();
        assert_eq!(set_again, vec![set("192.0.2.4:51820"); 4]);
    }

    #[test]
    fn the_answer_to_a_name_that_gave_way_to_an_address_is_not_taken() {
        let mut endpoints = machine("r4.example.org");
        let endpoint = Endpoint { host: "192.0.2.4".to_owned(), port: 51820 };
        endpoints.handle_endpoints(at(1), &BTreeMap::from([(&PEER, &endpoint)]));
        actions(&mut endpoints);
        endpoints.handle_resolved(at(2), &PEER, answer(&["192.0.2.99:51820"]));
        endpoints.handle_resolved(at(2), &PEER, Err("no such name".to_owned()));
        assert_eq!(actions(&mut endpoints), []);
        assert_eq!(endpoints.addresses()[&PEER], "192.0.2.4:51820".parse().unwrap());
        assert_eq!(endpoints.error(&PEER), None);
    }

    #[test]
    fn a_name_that_fails_keeps_its_address_and_is_asked_for_at_growing_intervals() {
        let mut endpoints = machine("r4.example.org");
        endpoints.handle_resolved(at(1), &PEER, answer(&["192.0.2.4:51820"]));
        endpoints.handle_resolved(at(10), &PEER, Err("no such name".to_owned()));
        assert_eq!(endpoints.poll_timeout(), Some(at(12)));
        endpoints.handle_resolved(at(12), &PEER, Err("no such name".to_owned()));
        assert_eq!(endpoints.poll_timeout(), Some(at(16)));
        assert_eq!(endpoints.error(&PEER), Some("no such name"));
        assert_eq!(endpoints.addresses()[&PEER], "192.0.2.4:51820".parse().unwrap());
    }

    #[test]
    fn a_lookup_without_an_answer_is_repeated() {
        let mut endpoints = machine("r4.example.org");
        actions(&mut endpoints);
        let due = endpoints.poll_timeout().unwrap();
        endpoints.handle_timeout(due);
        assert!(matches!(&actions(&mut endpoints)[..], [EndpointAction::Resolve { .. }]));
    }
}
