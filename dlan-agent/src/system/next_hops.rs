//! Kernel next hop objects: values to messages and back.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};

use tracing::debug;

use super::neighbors;
use super::rtnl::{Devices, Message, Rtnl, RtnlError};
use super::rtnl_next_hop::{NextHopMessage, NextHopRequest};
use crate::plan::change::Edit;
use crate::state::marks::Marks;
use crate::state::next_hop::{Group, NextHop, NextHopId, NextHopTarget};
use crate::state::route::RouteHop;

/// The weight of a standby.
const STANDBY_WEIGHT: u16 = 1;

/// Returns the objects that carry one of the marks' protocol numbers.
pub async fn observe(
    rtnl: &Rtnl,
    devices: &Devices,
    marks: &BTreeSet<Marks>,
) -> Result<BTreeMap<NextHopId, NextHop>, RtnlError> {
    let found = rtnl.dump(NextHopRequest::Get(NextHopMessage::default())).await?;
    let objects = found.into_iter().filter_map(|message| match message {
        Message::NextHop(NextHopRequest::New(message)) => Some(message),
        _ => None,
    });
    let ours = objects.filter(|message| marks.iter().any(|mark| mark.route_protocol == message.protocol));
    Ok(ours.filter_map(|message| decode(message, devices)).collect())
}

/// Makes the edit.
pub async fn apply(rtnl: &Rtnl, devices: &Devices, edit: &Edit<NextHopId, NextHop>) -> Result<(), RtnlError> {
    let Some(to) = &edit.to else {
        return match rtnl.request(removal(edit.key), 0).await {
            Err(error) if error.is_absence() => Ok(()),
            result => result,
        };
    };
    let flags = if edit.from.is_none() { NLM_F_EXCL } else { NLM_F_REPLACE };
    let message = encode(edit.key, to, devices)?;
    if let (Some(device), Some(gateway)) = (message.device, message.gateway)
        && let Err(error) = neighbors::forget_unanswered(rtnl, device, gateway).await
    {
        // It costs a moment of traffic at most.
        debug!(%gateway, %error, "not seen whether the neighbor is asked for in vain");
    }
    rtnl.request(NextHopRequest::New(message), NLM_F_CREATE | flags).await
}

/// Makes the message that removes an object.
pub fn removal(id: NextHopId) -> NextHopRequest {
    NextHopRequest::Del(NextHopMessage { id: id.0, ..NextHopMessage::default() })
}

/// Makes the message that sets an object.
pub fn encode(id: NextHopId, object: &NextHop, devices: &Devices) -> Result<NextHopMessage, RtnlError> {
    let message = NextHopMessage { id: id.0, protocol: object.protocol, ..NextHopMessage::default() };
    Ok(match &object.target {
        NextHopTarget::Way(way) => {
            NextHopMessage { device: Some(devices.index(&way.device)?), gateway: way.via, ..message }
        }
        NextHopTarget::Group(group) => {
            let ways = group.ways.iter().map(|way| (way.0, Group::WEIGHT));
            let standbys = group.standbys.iter().map(|standby| (standby.0, STANDBY_WEIGHT));
            NextHopMessage { group: ways.chain(standbys).collect(), buckets: group.buckets, ..message }
        }
    })
}

fn decode(message: NextHopMessage, devices: &Devices) -> Option<(NextHopId, NextHop)> {
    let NextHopMessage { id, protocol, device, gateway: via, group, buckets } = message;
    let target = match device {
        Some(index) => NextHopTarget::Way(RouteHop { device: devices.name(index)?.clone(), via }),
        None => NextHopTarget::Group(group_of(&group, buckets)),
    };
    Some((NextHopId(id), NextHop { protocol, target }))
}

/// Takes a group from its members and their weights. One that the kernel has left alone with its standbys leads by them.
fn group_of(members: &[(u32, u16)], buckets: u16) -> Group {
    let heaviest = members.iter().map(|(_, weight)| *weight).max().unwrap_or_default();
    let of = |is_way: bool| members.iter().filter(move |(_, weight)| (*weight == heaviest) == is_way);
    let id = |(id, _): &(u32, u16)| NextHopId(*id);
    Group { ways: of(true).map(id).collect(), standbys: of(false).map(id).collect(), buckets }
}
