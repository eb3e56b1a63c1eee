//! What is wrong with a link, nearest cause first: one grave problem a link is enough.

use ospf_lite::ospf::neighbor::NeighborState;
use ospf_lite::ospf::refusal::Refusal;
use ospf_lite::ospf::returns::CALM;

use super::{HANDSHAKE_OLD_SECONDS, LinkFacts, error, note, warning};
use crate::control::report::{FarEnd, Problem};

/// How many seconds a BFD session may take to come up again before that is worth a word.
const BFD_DOWN_SECONDS: u64 = 10;

/// Returns the link's problems.
pub(super) fn find(link: &LinkFacts, uptime_seconds: u64) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(reason) = &link.resolve_error {
        problems.push(unresolved(link, reason));
    }
    if let Some(configured) = link.mtu_configured {
        problems.push(note(
            format!(
                "link {}: MTU {} is in use, the neighbor's; {configured} is configured",
                link.name, link.mtu
            ),
            format!(
                "set `mtu` of link {} to {} here, or to {configured} at the neighbor",
                link.name, link.mtu
            ),
        ));
    }
    problems.extend(limit(link).or_else(|| other_key(link)));
    problems.extend(bfd(link));
    if let Some(problem) = Some(link).filter(|link| !is_whole(link)).and_then(refused).or_else(|| mtu(link)) {
        problems.push(problem);
    } else if let Some(problem) = flapping(link) {
        problems.push(problem);
    } else if uptime_seconds > link.dead_seconds {
        problems.extend(silent(link).or_else(|| unfinished(link)));
    }
    problems
}

/// Returns whether both families are Full: what is still refused then is mended already, or not the neighbor's.
fn is_whole(link: &LinkFacts) -> bool {
    link.neighbors.len() == 2 && link.neighbors.iter().all(|neighbor| neighbor.state == NeighborState::Full)
}

/// Says that a limit of this router was reached.
fn limit(link: &LinkFacts) -> Option<Problem> {
    let limit = link.refused.iter().find(|refusal| refusal.is_limit())?;
    Some(warning(
        format!("link {}: {limit}, so part of what the neighbor tells is not taken", link.name),
        "see with `dlan lsdb` which router announces more than a mesh needs, and mend that one",
    ))
}

/// Says that the two ends sign with different keys, as they do while a mesh's keys are changed.
fn other_key(link: &LinkFacts) -> Option<Problem> {
    let ours = link.key?;
    let theirs = link.neighbors.iter().find_map(|neighbor| neighbor.key.filter(|theirs| *theirs != ours))?;
    Some(note(
        format!(
            "link {}: the neighbor signs its packets with key {theirs}, this router with key {ours}",
            link.name
        ),
        "nothing, while keys are being changed; keep both keys until every router has the same `ospf_key_active`",
    ))
}

fn unresolved(link: &LinkFacts, reason: &str) -> Problem {
    let endpoint = link.endpoint.as_deref().unwrap_or_default();
    let what = format!("link {}: the name in {endpoint} has no address: {reason}", link.name);
    warning(what, "check the name and this router's own DNS; the last known address stays in use")
}

/// Says that BFD has lost a neighbor that it watched.
fn bfd(link: &LinkFacts) -> Option<Problem> {
    let session = link.bfd.as_ref().filter(|session| session.was_up && session.state != "Up")?;
    let (name, seconds) = (&link.name, session.since_seconds);
    match session.far_end {
        FarEnd::Forwarding => Some(warning(
            format!(
                "link {name}: the neighbor's agent has been silent for {seconds} s, but its kernel answers"
            ),
            "look at the agent there (`dlan status`, its log); until it is back, its routes are used as it left them",
        )),
        // Without a neighbor there is a graver problem to tell.
        FarEnd::Reachable | FarEnd::Unreachable
            if seconds < BFD_DOWN_SECONDS || link.neighbors.is_empty() =>
        {
            None
        }
        FarEnd::Reachable | FarEnd::Unreachable => Some(warning(
            format!(
                "link {name}: BFD was up and has been down for {seconds} s ({}), so a failure of the link may be \
                 noticed only after {} s",
                session.diagnostic, link.dead_seconds
            ),
            format!(
                "check that BFD still runs at the neighbor, and that UDP port 3784 passes on {} at both ends; if the \
                 neighbor shall not speak BFD, set `bfd` of link {name} to 0",
                link.device
            ),
        )),
    }
}

/// Says what the neighbor does differently, when its packets are refused for it.
fn refused(link: &LinkFacts) -> Option<Problem> {
    let name = &link.name;
    let is_refused = |refusal| link.refused.contains(&refusal);
    if is_refused(Refusal::DuplicateRouterId) {
        return Some(error(
            format!("link {name}: the neighbor has this router's host id"),
            "give one of the two routers another `host_id`: it must be unique in the mesh",
        ));
    }
    if is_refused(Refusal::AuthenticationProtocolId) {
        return Some(error(
            format!(
                "link {name}: FRR's authentication trailer departs from RFC 7166 (its Cryptographic Protocol ID has the \
                 wrong octet order), and its OSPF packets are refused"
            ),
            "take the authentication of OSPF out at FRR and on the links to it, whose tunnels protect routing too; or run \
             dlan or BIRD there",
        ));
    }
    if is_refused(Refusal::UnexpectedNeighbor) {
        return Some(error(
            format!("link {name}: the router at the far end has another Router ID than {}", link.host_id),
            "set the neighbor's `host_id` in the link's section, or this number as its Router ID there",
        ));
    }
    if is_refused(Refusal::AuthenticationDigest) || is_refused(Refusal::AuthenticationUnknownSa) {
        return Some(error(
            format!(
                "link {name}: the neighbor's OSPF packets do not prove this router's secret, and are refused"
            ),
            "put the same secret into `ospf_secret_file` on both routers (and the same `ospf_sa_id`), then `dlan apply`",
        ));
    }
    if is_refused(Refusal::AuthenticationMissing) {
        return Some(error(
            format!("link {name}: only one end has an OSPF secret"),
            "set `ospf_secret_file` on both routers or on neither, then `dlan apply`",
        ));
    }
    if is_refused(Refusal::AuthenticationReplay) {
        return Some(error(
            format!("link {name}: the neighbor's packets look like recorded ones, and are refused"),
            "if the neighbor lost its count of starts (`boots` in /etc/dlan), start this agent again",
        ));
    }
    if is_refused(Refusal::HelloInterval) {
        return Some(error(
            format!("link {name}: the neighbor's HelloInterval is not {} s", link.hello_seconds),
            "set the same `hello_interval` at both ends",
        ));
    }
    if is_refused(Refusal::DeadInterval) {
        return Some(error(
            format!("link {name}: the neighbor's RouterDeadInterval is not {} s", link.dead_seconds),
            "set the same `dead_interval` at both ends",
        ));
    }
    is_refused(Refusal::AddressFamily).then(|| {
        warning(
            format!(
                "link {name}: the neighbor does not speak OSPFv3 for IPv4 with address families (RFC 5838): its packets \
                 of instance 64 have no AF-bit"
            ),
            "FRR has no address families: leave its instance at 0, where it routes IPv6; for IPv4 run dlan or BIRD there",
        )
    })
}

fn mtu(link: &LinkFacts) -> Option<Problem> {
    let mismatch = link.neighbors.iter().find_map(|neighbor| neighbor.mtu_mismatch)?;
    let (name, ours, theirs) = (&link.name, mismatch.ours, mismatch.theirs);
    Some(error(
        format!("link {name}: MTU {ours} here, {theirs} at the neighbor: the databases cannot be exchanged"),
        format!("set `mtu` of link {name} to {} at both ends, then `dlan apply`", ours.min(theirs)),
    ))
}

/// Says that the link is not used because it is lost again and again.
fn flapping(link: &LinkFacts) -> Option<Problem> {
    let (name, losses) = (&link.name, link.flaps?);
    Some(warning(
        format!(
            "link {name}: lost {losses} times in a row, and left alone until it has not been lost for {} s: there is \
             another way",
            CALM.as_secs()
        ),
        "look at the path to the neighbor: cable, radio, provider; this router's log and the neighbor's tell when it was lost",
    ))
}

/// Says why nothing is heard.
fn silent(link: &LinkFacts) -> Option<Problem> {
    if !link.neighbors.is_empty() {
        return None;
    }
    let name = &link.name;
    if !link.up {
        return Some(error(
            format!("link {name}: device {} is not up", link.device),
            "see what is missing with `dlan plan`, and the agent's log for why",
        ));
    }
    Some(match (link.handshake_seconds, &link.endpoint) {
        (None, Some(endpoint)) => error(
            format!("link {name}: the neighbor at {endpoint} never answered"),
            format!(
                "check that its UDP port is open there, that its public key is the one of section `{name}` \
                 (`dlan key` there), and that this router's key is known there"
            ),
        ),
        (None, None) => error(
            format!("link {name}: the neighbor never called"),
            format!(
                "the link has no `endpoint` here, so the neighbor must call: check its endpoint for this router, that \
                 this router's UDP port is open, and both public keys (`dlan key`; section `{name}`)"
            ),
        ),
        (Some(age), _) if age > HANDSHAKE_OLD_SECONDS => error(
            format!("link {name}: the neighbor has been silent since its last handshake {age} s ago"),
            "check that the neighbor runs and is online; its address or port may have changed",
        ),
        (Some(_), _) => error(
            format!("link {name}: the tunnel is up, but no OSPF Hello comes through it"),
            "check that an agent runs there (`dlan status`), that it has a link to this router, and that host ids and \
             `max_hosts` agree: they decide the VXLAN number",
        ),
    })
}

/// Says that a neighbor is heard but the adjacency does not come about, or only in one family.
fn unfinished(link: &LinkFacts) -> Option<Problem> {
    let name = &link.name;
    let worst = link.neighbors.iter().min_by_key(|neighbor| neighbor.state)?;
    match worst.state {
        NeighborState::Full => (link.neighbors.len() < 2).then(|| {
            note(
                format!("link {name}: the neighbor routes {} only", worst.family),
                "nothing, when that is what is wanted; else configure the other family there",
            )
        }),
        NeighborState::Down | NeighborState::Attempt | NeighborState::Init => Some(warning(
            format!("link {name}: the neighbor is heard, but does not hear this router ({})", worst.family),
            "check the neighbor's `dlan status` for the reason it gives",
        )),
        state @ (NeighborState::TwoWay
        | NeighborState::ExStart
        | NeighborState::Exchange
        | NeighborState::Loading) => Some(warning(
            format!("link {name}: the databases are being exchanged ({}, {state})", worst.family),
            "wait a moment; if it stays so, large packets may be lost: lower `mtu` at both ends",
        )),
    }
}
