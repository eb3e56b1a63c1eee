//! The plain lists: links, neighbors, routes, database.

use super::table::{Table, duration, milliseconds, octets, or_dash};
use crate::control::report::{AddressFamily, FarEnd, LinkReport, LsaReport, NeighborsReport, RouteReport};

/// Returns every link with its traffic.
pub fn links(links: &[LinkReport]) -> String {
    let mut table = Table::new(&[
        "NEIGHBOR",
        "IPV6",
        "IPV4",
        "BFD",
        ">COST",
        ">MTU",
        ">RTT",
        ">LOSS",
        "HANDSHAKE",
        "ENDPOINT",
        "DEVICE",
        ">RECEIVED",
        ">SENT",
    ]);
    for link in links {
        let mut row = Vec::from(link_row(link));
        row.extend([link.device.clone(), octets(link.received_octets), octets(link.sent_octets)]);
        table.row(row);
    }
    or_none(&table, "No link is configured.\n")
}

/// Returns what a link's row begins with.
pub(super) fn link_row(link: &LinkReport) -> [String; 10] {
    let cost = match link.cost_back {
        Some(back) if back != link.cost => format!("{}/{back}", link.cost),
        _ => link.cost.to_string(),
    };
    let cost = if link.auto_cost { format!("auto {cost}") } else { cost };
    let loss = (link.echoes > 0).then(|| format!("{} %", link.echoes_lost * 100 / link.echoes));
    let state = |state: &str| if link.up { state.to_owned() } else { "no device".to_owned() };
    let handshake =
        link.handshake_seconds.map_or_else(|| "never".to_owned(), |s| format!("{} ago", duration(s)));
    let endpoint = match (&link.endpoint, &link.endpoint_configured) {
        (Some(seen), _) => seen.clone(),
        (None, Some(configured)) => configured.clone(),
        (None, None) => "calls us".to_owned(),
    };
    [
        link.name.clone(),
        state(&link.state_ipv6),
        state(&link.state_ipv4),
        bfd(link),
        cost,
        link.mtu.to_string(),
        or_dash(link.round_trip_micros.map(milliseconds)),
        or_dash(loss),
        handshake,
        endpoint,
    ]
}

/// Returns how BFD's session stands: its Detection Time while it is Up.
fn bfd(link: &LinkReport) -> String {
    match &link.bfd {
        Some(session) if session.state == "Up" => milliseconds(session.detection_micros),
        Some(session) => match session.far_end {
            FarEnd::Forwarding => "forwarding".to_owned(),
            FarEnd::Reachable | FarEnd::Unreachable => session.state.clone(),
        },
        None if link.bfd_wanted => "-".to_owned(),
        None => "off".to_owned(),
    }
}

/// Returns every neighbor heard, and below them what is refused on their links and what to do about it.
pub fn neighbors(report: &NeighborsReport) -> String {
    let mut table = Table::new(&[
        "FAMILY",
        "DEVICE",
        "ROUTER ID",
        "NAME",
        "STATE",
        "BFD",
        "ADDRESS",
        "DLAN",
        ">DEAD IN",
        "KEPT",
        ">KEY",
        ">UNACKED",
    ]);
    for neighbor in &report.neighbors {
        let kept = neighbor.kept.as_ref();
        let kept = kept.map(|kept| format!("{}, {} left", kept.why, duration(kept.seconds_left)));
        table.row([
            neighbor.family.to_string(),
            neighbor.device.clone(),
            neighbor.router_id.to_string(),
            or_dash(neighbor.name.as_ref()),
            neighbor.state.clone(),
            or_dash(neighbor.bfd.as_ref()),
            neighbor.address.to_string(),
            if neighbor.is_dlan { "yes" } else { "no" }.to_owned(),
            or_dash(neighbor.dead_in_seconds.map(duration)),
            or_dash(kept),
            or_dash(neighbor.key),
            neighbor.retransmissions.to_string(),
        ]);
    }
    let mut text = or_none(&table, "No neighbor is heard.\n");
    let refusing = report.links.iter().filter(|link| !link.notes.is_empty() || link.pauses > 0);
    for (at, link) in refusing.enumerate() {
        if at == 0 {
            text.push('\n');
        }
        for note in &link.notes {
            text.push_str(&format!("{} refuses: {note}\n", link.device));
        }
        if link.pauses > 0 {
            text.push_str(&format!(
                "{} was flooded with packets to refuse, and left unread {} times for a moment: look there with tcpdump\n",
                link.device, link.pauses
            ));
        }
    }
    text
}

/// Returns every route, a line for each of its ways.
pub fn routes(routes: &[RouteReport]) -> String {
    let mut table = Table::new(&["PREFIX", ">COST", "VIA", "DEVICE", "GATEWAY", "ANNOUNCED BY"]);
    for route in routes {
        let announced = route.advertising.join(", ");
        let (prefix, distance) = (route.prefix.to_string(), route.distance.to_string());
        if route.via.is_empty() {
            let none = || "-".to_owned();
            table.row([
                prefix.clone(),
                distance.clone(),
                "this router".to_owned(),
                none(),
                none(),
                announced.clone(),
            ]);
        }
        for (at, hop) in route.via.iter().enumerate() {
            let once = |text: &String| if at == 0 { text.clone() } else { String::new() };
            table.row([
                once(&prefix),
                once(&distance),
                hop.neighbor.clone(),
                hop.device.clone(),
                hop.gateway.to_string(),
                once(&announced),
            ]);
        }
    }
    or_none(&table, "The mesh has no routes.\n")
}

/// Returns the databases of both families.
pub fn lsdb(lsas: &[LsaReport]) -> String {
    let mut text = String::new();
    for family in AddressFamily::BOTH {
        let mut table =
            Table::new(&["TYPE", "LINK STATE ID", "ROUTER", ">AGE", "SEQUENCE", ">OCTETS", "SAYS"]);
        for lsa in lsas.iter().filter(|lsa| lsa.family == family) {
            table.row([
                lsa.ls_type.clone(),
                lsa.link_state_id.to_string(),
                lsa.name.clone().unwrap_or_else(|| lsa.advertising_router.to_string()),
                lsa.age.to_string(),
                lsa.sequence.clone(),
                lsa.length.to_string(),
                lsa.content.clone(),
            ]);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("Database of {family}\n{}", or_none(&table, "  empty\n")));
    }
    text
}

fn or_none(table: &Table, none: &str) -> String {
    if table.is_empty() { none.to_owned() } else { table.render(0) }
}
