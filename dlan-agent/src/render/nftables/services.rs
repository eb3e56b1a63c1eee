//! Counts what clients of services send and are sent: by the socket that they come to, and TCP connections as they begin.
//!
//! Counted is what comes to the socket, whether nginx takes it or not, without connection tracking; services that share a
//! socket by name share its counts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::counters::{ServiceCount, of_service};
use super::json::{chain, count, equals, family, is_to, jump, meta, passes, payload, rule};
use crate::config::service::{Opening, Transport};
use crate::config::zone::{Ports, Protocol};

/// The chain of what comes to the sockets of services.
const CHAIN_IN: &str = "services_in";
/// The chain of what leaves from them.
const CHAIN_OUT: &str = "services_out";

/// Returns the chains and rules.
pub(super) fn rules(openings: &BTreeSet<Opening>) -> Vec<Value> {
    if openings.is_empty() {
        return Vec::new();
    }
    let mut rules = vec![chain(CHAIN_IN), chain(CHAIN_OUT)];
    // What comes to one address is of the socket of that address, not of the one of all.
    let (of_all, of_one): (Vec<&Opening>, Vec<&Opening>) =
        openings.iter().partition(|opening| opening.socket.ip().is_unspecified());
    for opening in of_one.into_iter().chain(of_all) {
        if opening.transport == Transport::Tcp {
            let flags = json!({"&": [payload("tcp", "flags"), {"|": ["syn", "ack"]}]});
            let mut begins = is_for(opening);
            begins.extend([equals(flags, json!("syn")), count(&of_service(opening, ServiceCount::Begun))]);
            rules.push(rule(CHAIN_IN, begins));
        }
        let mut received = is_for(opening);
        received.extend([count(&of_service(opening, ServiceCount::Received)), passes()]);
        rules.push(rule(CHAIN_IN, received));
        let mut sent = is_from(opening);
        sent.extend([count(&of_service(opening, ServiceCount::Sent)), passes()]);
        rules.push(rule(CHAIN_OUT, sent));
    }
    rules.extend([rule("input", vec![jump(CHAIN_IN)]), rule("output", vec![jump(CHAIN_OUT)])]);
    rules
}

/// Matches what comes to a socket.
pub(super) fn is_for(opening: &Opening) -> Vec<Value> {
    vec![at(opening, "daddr"), is_to(&Ports::one(protocol(opening), opening.socket.port()))]
}

fn is_from(opening: &Opening) -> Vec<Value> {
    let port = payload(protocol(opening).name(), "sport");
    vec![at(opening, "saddr"), equals(port, json!(opening.socket.port()))]
}

fn at(opening: &Opening, field: &str) -> Value {
    let address = opening.socket.ip();
    match (address.is_unspecified(), address) {
        (true, IpAddr::V4(_)) => equals(meta("nfproto"), json!("ipv4")),
        (true, IpAddr::V6(_)) => equals(meta("nfproto"), json!("ipv6")),
        (false, address) => equals(payload(family(&address.into()), field), json!(address.to_string())),
    }
}

const fn protocol(opening: &Opening) -> Protocol {
    match opening.transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    }
}
