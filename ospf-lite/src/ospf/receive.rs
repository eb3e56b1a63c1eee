//! The door for packets: the checks before any handler (RFC 5340 section 4.2.2, RFC 7166 section 4.6).

use crate::io::{ALL_SPF_ROUTERS, Received};
use crate::ospf::area::Area;
use crate::ospf::flood;
use crate::ospf::interface::{Interface, InterfaceState, hello};
use crate::ospf::neighbor::{description as descriptions, loading};
use crate::ospf::outbox::Cx;
use crate::ospf::packet::{Packet, PacketBody};
use crate::ospf::refusal::Refusal;
use crate::wire::DecodeError;
use crate::wire::auth::{self, AuthError};
use crate::wire::packet::{self, PacketHeader, Protection};

/// Takes a packet in: to the handler of its kind, or on the count of refusals.
pub fn handle(area: &mut Area, received: &Received, cx: &mut Cx<'_>) {
    if let Err(refusal) = accept(area, received, cx)
        && let Some(interface) = area.interfaces.get_mut(&received.interface)
    {
        tracing::debug!(interface = %interface.config.name, source = %received.source, %refusal, "refuse");
        interface.refusals.count(refusal);
    }
}

fn accept(area: &mut Area, received: &Received, cx: &mut Cx<'_>) -> Result<(), Refusal> {
    let id = received.interface;
    let interface = area.interfaces.get_mut(&id).ok_or(Refusal::InterfaceNotActive)?;
    check_addresses(interface, received)?;
    let header = packet::decode_header(&received.octets).map_err(|error| refusal_of(&error))?;
    check_header(&header, cx)?;
    let (packet, sequence) = open(interface, received, cx)?;
    let from = packet.router_id;
    if let Some(sequence) = sequence
        && let Some(neighbor) = interface.neighbor.as_mut().filter(|neighbor| neighbor.router_id == from)
    {
        neighbor.accept_sequence(header.kind, sequence)?;
    }
    if let PacketBody::Hello(hello) = &packet.body {
        hello::handle(area, id, (from, received.source), hello, cx)?;
        let neighbor = area.interfaces.get_mut(&id).and_then(|interface| interface.neighbor.as_mut());
        if let Some((neighbor, sequence)) = neighbor.zip(sequence) {
            neighbor.note_sequence(header.kind, sequence);
        }
        return Ok(());
    }
    if interface.neighbor.as_ref().is_none_or(|neighbor| neighbor.router_id != from) {
        return Err(Refusal::UnknownNeighbor);
    }
    match packet.body {
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

fn check_header(header: &PacketHeader, cx: &Cx<'_>) -> Result<(), Refusal> {
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
    Ok(())
}

/// Verifies the trailer or the checksum, and decodes. Returns the cryptographic sequence number beside the packet.
fn open(interface: &Interface, received: &Received, cx: &Cx<'_>) -> Result<(Packet, Option<u64>), Refusal> {
    let family = cx.config.family;
    let (source, destination) = (received.source, received.destination);
    let associations = interface.link().map_or(&[][..], |link| &link.authentication);
    if associations.is_empty() {
        let packet = packet::decode(&received.octets, family, Protection::Checksum { source, destination });
        return Ok((packet.map_err(|error| refusal_without_trailer(&error, received))?, None));
    }
    let verified = auth::verify(&received.octets, associations, source).map_err(|error| match error {
        AuthError::Malformed(error) => refusal_of(&error),
        AuthError::Missing => Refusal::AuthenticationMissing,
        AuthError::UnknownType(_) | AuthError::UnknownAssociation(_) => Refusal::AuthenticationUnknownSa,
        AuthError::WrongDigest(_) => Refusal::AuthenticationDigest,
    })?;
    let packet =
        packet::decode(verified.packet, family, Protection::Trailer).map_err(|error| refusal_of(&error))?;
    Ok((packet, Some(verified.sequence)))
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
