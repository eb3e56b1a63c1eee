//! The counters of the table, and what each of them counts, in words.

use crate::config::Config;
use crate::config::service::{Opening, Transport, openings};
use crate::zones;

/// Counts VXLAN that arrived by anything but WireGuard.
pub const COUNTER_NOT_BY_WIREGUARD: &str = "vxlan_not_by_wireguard";
/// Counts VXLAN whose VNI is another link's than its sender's.
pub const COUNTER_WRONG_SOURCE: &str = "vxlan_wrong_source";
/// Counts VXLAN of no link of ours.
pub const COUNTER_UNKNOWN_VNI: &str = "vxlan_unknown_vni";
/// Counts VXLAN that would have left by anything but WireGuard.
pub const COUNTER_LEAVING: &str = "vxlan_not_to_wireguard";
/// Counts what came by a WAN from or to the inside.
pub const COUNTER_FROM_WAN: &str = "from_wan";
/// Counts what would have left by a WAN to the inside.
pub const COUNTER_TO_WAN: &str = "to_wan";
/// Counts OSPFv3 that arrived by anything but a link.
pub const COUNTER_OSPF: &str = "ospf_not_by_link";
/// Counts BFD over IPv6 that arrived by anything but a link.
pub const COUNTER_BFD: &str = "bfd_not_by_link";
/// Counts what a closed WAN brought for this router.
pub const COUNTER_WAN_INPUT: &str = "wan_closed";
/// Counts what a LAN sent with an address that is not there.
pub const COUNTER_FORGED_LAN: &str = "forged_in_lan";
/// Counts what came with an address of the inside by a device that is neither a LAN nor a link.
pub const COUNTER_FORGED_INSIDE: &str = "forged_elsewhere";

/// What each counter of every table counts.
pub const MEANINGS: [(&str, &str); 11] = [
    (COUNTER_NOT_BY_WIREGUARD, "VXLAN by anything but WireGuard"),
    (COUNTER_WRONG_SOURCE, "VXLAN of a link from another sender than its neighbor"),
    (COUNTER_UNKNOWN_VNI, "VXLAN of no link"),
    (COUNTER_LEAVING, "VXLAN about to leave by anything but WireGuard"),
    (COUNTER_FROM_WAN, "from a WAN, to or from the inside"),
    (COUNTER_TO_WAN, "from the inside, about to leave by a WAN to the inside"),
    (COUNTER_OSPF, "OSPFv3 by anything but a link"),
    (COUNTER_BFD, "BFD by anything but a link"),
    (COUNTER_WAN_INPUT, "from a closed WAN, for this router"),
    (COUNTER_FORGED_LAN, "from a LAN, with an address that is not there"),
    (COUNTER_FORGED_INSIDE, "with an address of the inside, by neither a LAN nor a link"),
];

/// Returns the counter of what the hosts of a zone sent where they may not.
pub fn of_zone(zone: &str) -> String {
    format!("zone_{zone}")
}

/// What is counted of a service's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceCount {
    /// TCP connections that clients began.
    Begun,
    /// What clients sent.
    Received,
    /// What they were sent.
    Sent,
}

/// Returns the counter of a service's socket.
pub fn of_service(opening: &Opening, what: ServiceCount) -> String {
    let what = match what {
        ServiceCount::Begun => "begun",
        ServiceCount::Received => "received",
        ServiceCount::Sent => "sent",
    };
    // A name may have dots in it, and no colons.
    let address = opening.socket.ip().to_string().replace(':', "_");
    format!("service_{}_{address}_{}_{what}", opening.transport, opening.socket.port())
}

fn of_services(config: &Config) -> impl Iterator<Item = String> {
    let all = [ServiceCount::Begun, ServiceCount::Received, ServiceCount::Sent];
    let names = move |opening: Opening| {
        let kinds = all
            .into_iter()
            .filter(move |what| opening.transport == Transport::Tcp || *what != ServiceCount::Begun);
        kinds.map(move |what| of_service(&opening, what))
    };
    openings(config).into_iter().flat_map(names)
}

/// Returns the counters of a router's table.
pub fn all(config: &Config) -> Vec<String> {
    let of_zones = zones::held(config).into_iter().map(|zone| of_zone(&zone.name));
    MEANINGS.iter().map(|(name, _)| (*name).to_owned()).chain(of_zones).chain(of_services(config)).collect()
}
