//! Which zone each prefix of the mesh lies in, and which addresses a zone therefore is; pure.

pub mod announcement;
pub mod prefixes;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ospf_lite::ids::RouterId;
use ospf_lite::ospf::route::RouteTable;

use crate::addressing;
use crate::config::Config;
use crate::config::zone::{INTERNAL, ISOLATED, Reach, ZoneConfig};
use crate::state::facts::Sides;

/// What routers say of the zones of prefixes.
pub type Announced = BTreeMap<(RouterId, IpNet), BTreeSet<String>>;
/// The zone of each prefix; none where the mesh contradicts itself: such a prefix is no zone's.
pub type Members = BTreeMap<IpNet, Option<String>>;
/// The addresses that each zone is, as prefixes that do not overlap.
pub type ZoneSets = BTreeMap<String, BTreeSet<IpNet>>;

/// What is known of the zones of other routers' prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FarZones {
    /// The zones that the routers which announce a prefix claim for it, where they are not just `internal`. More than one is
    /// a contradiction.
    pub claimed: BTreeMap<IpNet, BTreeSet<String>>,
    /// The sets that a former start left, until the database is whole: before that, a prefix whose zone has not been heard
    /// of would pass for `internal`.
    pub standing: Option<ZoneSets>,
}

/// Returns the zones claimed for the prefixes of routes. A router is believed only about what it announces itself: else one
/// could move another's LAN to where more may reach it. A prefix of a router that says nothing, such as BIRD's, is `internal`.
pub fn claimed(tables: &[RouteTable], announced: &Announced) -> BTreeMap<IpNet, BTreeSet<String>> {
    let internal = BTreeSet::from([INTERNAL.to_owned()]);
    // Of most prefixes nothing is said, and this is asked at each change of the routes.
    let told: BTreeSet<IpNet> = announced.keys().map(|(_, prefix)| *prefix).collect();
    let claimed = told.into_iter().filter_map(|prefix| {
        let route = tables.iter().find_map(|table| table.get(&prefix))?;
        let zones = route.advertising.iter().map(|router| announced.get(&(*router, prefix)));
        let zones: BTreeSet<String> = zones.flat_map(|zones| zones.unwrap_or(&internal)).cloned().collect();
        Some((prefix, zones))
    });
    claimed.filter(|(_, zones)| !zones.is_empty() && *zones != internal).collect()
}

/// Returns the prefixes of this router's LANs with their zones.
pub fn own(config: &Config, sides: Sides<'_>) -> BTreeMap<IpNet, String> {
    let of_lan = |lan| sides.lan_prefixes(lan).into_iter().map(|(_, prefix)| (prefix, lan.zone.clone()));
    config.lans.iter().flat_map(of_lan).collect()
}

/// Returns the zone of every prefix: this router's own, and those that there are routes to, `routes`. What is everybody's
/// (a default route) is nobody's zone. Nothing where no zone here reaches another, so that nobody asks.
pub fn members<'a>(
    config: &Config,
    sides: Sides<'_>,
    routes: impl IntoIterator<Item = &'a IpNet>,
    far: &FarZones,
) -> Members {
    let mut members = Members::new();
    if reached(config).is_empty() {
        return members;
    }
    if let Some(standing) = &far.standing {
        for (zone, prefixes) in standing {
            members.extend(prefixes.iter().map(|prefix| (*prefix, Some(zone.clone()))));
        }
    } else {
        let routes = routes.into_iter().filter(|prefix| prefix.prefix_len() > 0);
        members.extend(routes.map(|prefix| (prefix.trunc(), zone_of(far.claimed.get(prefix)))));
    }
    let mesh = &config.mesh;
    for identity in addressing::loopback(mesh, mesh.host_id).iter().flat_map(|own| own.host_prefixes()) {
        members.insert(identity, Some(INTERNAL.to_owned()));
    }
    let own = own(config, sides);
    // What was said of these addresses before counts no more: they are here.
    members.retain(|prefix, _| far.standing.is_none() || !own.keys().any(|lan| lan.contains(prefix)));
    members.extend(own.into_iter().map(|(prefix, zone)| (prefix, Some(zone))));
    members
}

fn zone_of(claimed: Option<&BTreeSet<String>>) -> Option<String> {
    let Some(zones) = claimed else { return Some(INTERNAL.to_owned()) };
    zones.first().filter(|_| zones.len() == 1).cloned()
}

/// Returns the addresses of these zones. Where a prefix lies within another, the longer one decides.
pub fn sets(members: &Members, wanted: &BTreeSet<String>) -> ZoneSets {
    let mut sets: ZoneSets = wanted.iter().map(|zone| (zone.clone(), BTreeSet::new())).collect();
    for (prefix, zone) in members {
        let Some(set) = zone.as_ref().and_then(|zone| sets.get_mut(zone)) else { continue };
        // What lies within a prefix follows it in order.
        let within = members.range(*prefix..).skip(1).take_while(|(inner, _)| prefix.contains(*inner));
        let others: Vec<IpNet> =
            within.filter(|(_, other)| *other != zone).map(|(inner, _)| *inner).collect();
        set.extend(prefixes::without(*prefix, &others));
    }
    for set in sets.values_mut() {
        *set = IpNet::aggregate(&set.iter().copied().collect::<Vec<_>>()).into_iter().collect();
    }
    sets
}

/// Returns what the hosts of a zone reach by the configuration; none for `internal`, which reaches everything.
pub fn rules(config: &Config, zone: &str) -> Option<ZoneConfig> {
    if zone == INTERNAL {
        return None;
    }
    let written = config.zones.iter().find(|written| written.name == zone).cloned();
    Some(written.unwrap_or_else(|| ZoneConfig {
        name: zone.to_owned(),
        reach: Vec::new(),
        allow: Vec::new(),
    }))
}

/// Returns the zones other than `internal` that LANs of this router are in, with what they reach.
pub fn held(config: &Config) -> Vec<ZoneConfig> {
    let names: BTreeSet<&String> = config.lans.iter().map(|lan| &lan.zone).collect();
    names.into_iter().filter_map(|name| rules(config, name)).collect()
}

/// Returns the zones that some zone held here reaches.
pub fn reached(config: &Config) -> BTreeSet<String> {
    let reach = held(config).into_iter().flat_map(|zone| zone.reach);
    reach.filter_map(|reach| if let Reach::Zone(zone) = reach { Some(zone) } else { None }).collect()
}

/// Returns every zone that has a name here: the two that need no section, and those of the sections.
pub fn names(config: &Config) -> BTreeSet<String> {
    let built_in = [INTERNAL, ISOLATED].map(str::to_owned);
    built_in.into_iter().chain(config.zones.iter().map(|zone| zone.name.clone())).collect()
}

#[cfg(test)]
mod tests;
