//! The door for packets: the checks before any handler (RFC 5340 section 4.2.2, RFC 7166 section 4.6).

use std::sync::Arc;

use crate::ids::InterfaceId;
use crate::io::{ALL_SPF_ROUTERS, Received};
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::interface::{Interface, InterfaceState, hello};
use crate::ospf::lsa::{Lsa, LsaHeader, MAX_AGE};
use crate::ospf::lsdb::{Domain, Entry, Lsdb, LsdbKey};
use crate::ospf::neighbor::{description as descriptions, loading};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{Packet, PacketBody};
use crate::ospf::refusal::Refusal;
use crate::ospf::restart;
use crate::wire::DecodeError;
use crate::wire::auth::{self, AuthError};
use crate::wire::packet::{self, Known, PacketHeader, Protection};

/// Takes a packet in: to the handler of its kind, or on the count of refusals. Returns why it was refused as a whole.
pub fn handle(area: &mut Area, received: &Received, cx: &mut Cx<'_>) -> Result<(), Refusal> {
    let accepted = accept(area, received, cx);
    if let Err(refusal) = accepted
        && let Some(interface) = area.interfaces.get_mut(&received.interface)
    {
        tracing::debug!(interface = %interface.config.name, source = %received.source, %refusal, "refuse");
        // The first of a kind is told, as RFC 7166 section 4.6 wants; a flood must not fill the log.
        if interface.refusals.count(refusal) && !refusal.is_ordinary() {
            tracing::warn!(interface = %interface.config.name, source = %received.source, %refusal, "refuse from here on");
        }
    }
    accepted
}

fn accept(area: &mut Area, received: &Received, cx: &mut Cx<'_>) -> Result<(), Refusal> {
    let id = received.interface;
    let Area { interfaces, lsdb, .. } = area;
    let interface = interfaces.get_mut(&id).ok_or(Refusal::InterfaceNotActive)?;
    check_addresses(interface, received)?;
    let header = packet::decode_header(&received.octets).map_err(|error| refusal_of(&error))?;
    check_header(&header, interface, cx)?;
    let known = |header: &LsaHeader, octets: &[u8]| find_known(lsdb, id, (header, octets), cx);
    let (packet, signature) = open(interface, received, &known, cx)?;
    let from = packet.router_id;
    let neighbor = interface.neighbor.as_ref().filter(|neighbor| neighbor.router_id == from);
    let (is_neighbor, address) = (neighbor.is_some(), neighbor.map(|neighbor| neighbor.address));
    let numbered = signature.map(|(_, sequence)| (header.kind, sequence));
    if let Some(numbered) = numbered {
        interface.sequences.check(from, numbered, is_neighbor)?;
        interface.sequences.note(from, numbered, is_neighbor);
    }
    if interface.announcement.is_some() {
        return match &packet.body {
            PacketBody::LinkStateAcknowledgment(headers)
                if restart::handle_acknowledgment(area, id, headers, cx) =>
            {
                Ok(())
            }
            _ => Err(Refusal::UnknownNeighbor),
        };
    }
    if let PacketBody::Hello(hello) = &packet.body {
        hello::handle(area, id, (from, received.source, received.age), hello, cx)?;
        if let Some(interface) = area.interfaces.get_mut(&id) {
            if let Some(numbered) = numbered {
                interface.sequences.note(from, numbered, true);
            }
            if let Some(neighbor) = interface.neighbor.as_mut() {
                neighbor.sa_id = signature.map(|(sa_id, _)| sa_id);
            }
        }
        return Ok(());
    }
    match address {
        None => Err(Refusal::UnknownNeighbor),
        Some(address) if address != received.source => Err(Refusal::NeighborAddress),
        Some(_) => deliver(area, id, packet.body, cx),
    }
}

/// Finds a received LSA in the database, or with other engines. In a mesh most that arrive are there already.
fn find_known(
    lsdb: &Lsdb,
    interface: InterfaceId,
    (header, octets): (&LsaHeader, &[u8]),
    cx: &Cx<'_>,
) -> Option<Arc<Lsa>> {
    let key = LsdbKey { domain: Domain::of(&header.key, interface)?, lsa: header.key };
    let same = |lsa: &&Arc<Lsa>| lsa.header().age < MAX_AGE && lsa.is(octets);
    let own = lsdb.get(&key).map(Entry::lsa).filter(same).map(Arc::clone);
    own.or_else(|| cx.pool.and_then(|pool| pool.find(header, octets)))
}

/// Hands a packet of the neighbor to the handler of its kind; Hellos have gone another way.
fn deliver(area: &mut Area, id: InterfaceId, body: PacketBody, cx: &mut Cx<'_>) -> Result<(), Refusal> {
    match body {
        PacketBody::Hello(_) => Ok(()),
        PacketBody::DatabaseDescription(description) => {
            descriptions::handle_database_description(area, id, &description, cx)
        }
        PacketBody::LinkStateRequest(keys) => loading::handle_link_state_request(area, id, &keys, cx),
        PacketBody::LinkStateUpdate(update) => flood::handle_link_state_update(area, id, update, cx),
        PacketBody::LinkStateAcknowledgment(headers) => {
            flood::handle_link_state_acknowledgment(area, id, &headers, cx)
        }
    }
}

fn check_addresses(interface: &Interface, received: &Received) -> Result<(), Refusal> {
    let link = interface.link().ok_or(Refusal::InterfaceNotActive)?;
    if interface.state != InterfaceState::PointToPoint {
        return Err(Refusal::InterfaceNotActive);
    }
    if received.destination != ALL_SPF_ROUTERS && received.destination != link.link_local {
        return Err(Refusal::Destination);
    }
    if !received.source.is_unicast_link_local() || received.source == link.link_local {
        return Err(Refusal::Source);
    }
    Ok(())
}

fn check_header(header: &PacketHeader, interface: &Interface, cx: &Cx<'_>) -> Result<(), Refusal> {
    if header.instance_id != cx.config.family.instance_id() {
        return Err(Refusal::InstanceMismatch);
    }
    if header.area_id != cx.config.area {
        return Err(Refusal::AreaMismatch);
    }
    if header.router_id.0 == 0 {
        return Err(Refusal::RouterIdZero);
    }
    if header.router_id == cx.config.router_id {
        return Err(Refusal::DuplicateRouterId);
    }
    let expected = interface.link().and_then(|link| link.neighbor);
    if expected.is_some_and(|expected| expected != header.router_id) {
        return Err(Refusal::UnexpectedNeighbor);
    }
    Ok(())
}

/// The SA ID and the cryptographic sequence number of a packet that was verified.
type Signature = (u16, u64);

/// Verifies the trailer or the checksum, and decodes.
fn open(
    interface: &Interface,
    received: &Received,
    known: Known<'_>,
    cx: &Cx<'_>,
) -> Result<(Packet, Option<Signature>), Refusal> {
    let family = cx.config.family;
    let (source, destination) = (received.source, received.destination);
    let associations = interface.link().map_or(&[][..], |link| &link.authentication);
    if associations.is_empty() {
        let protection = Protection::Checksum { source, destination };
        let packet = packet::decode_with(&received.octets, (family, protection), known);
        return Ok((packet.map_err(|error| refusal_without_trailer(&error, received))?, None));
    }
    let verified = auth::verify(&received.octets, associations, source).map_err(|error| match error {
        AuthError::Malformed(error) => refusal_of(&error),
        AuthError::Missing => Refusal::AuthenticationMissing,
        AuthError::UnknownType(_) => Refusal::AuthenticationType,
        AuthError::UnknownAssociation(_) => Refusal::AuthenticationUnknownSa,
        AuthError::WrongDigest(_) => Refusal::AuthenticationDigest,
        AuthError::SwappedProtocolId(_) => Refusal::AuthenticationProtocolId,
    })?;
    let packet = packet::decode_with(verified.packet, (family, Protection::Trailer), known)
        .map_err(|error| refusal_of(&error))?;
    Ok((packet, Some((verified.sa_id, verified.sequence))))
}

/// A signed packet has no checksum: where no secret is configured, that is what it looks like.
fn refusal_without_trailer(error: &DecodeError, received: &Received) -> Refusal {
    let is_followed = packet::decode_header(&received.octets)
        .is_ok_and(|header| header.checksum == 0 && header.length < received.octets.len());
    match error {
        DecodeError::Checksum { .. } if is_followed => Refusal::AuthenticationMissing,
        other => refusal_of(other),
    }
}

fn refusal_of(error: &DecodeError) -> Refusal {
    match error {
        DecodeError::Checksum { .. } => Refusal::Checksum,
        DecodeError::Field { what: "packet", field: "version", .. } => Refusal::Version,
        DecodeError::Field { what: "packet", field: "type", .. } => Refusal::PacketType,
        DecodeError::Truncated { .. } | DecodeError::Field { .. } | DecodeError::Length { .. } => {
            Refusal::Malformed
        }
    }
}
