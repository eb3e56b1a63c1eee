//! Zones as text.

use super::table::{Table, or_dash};
use crate::control::zones::{ZoneLan, ZoneReport, ZonesReport};

/// How many prefixes of other routers are told one by one.
const PREFIXES_TOLD: usize = 4;

/// Returns the zones, the WANs and what was dropped.
pub fn zones(report: &ZonesReport) -> String {
    let mut table = Table::new(&["ZONE", "LANS HERE", "ELSEWHERE", "REACHES", ">DROPPED"]);
    for zone in &report.zones {
        table.row([
            zone.name.clone(),
            some_of(zone.lans.iter().map(lan).collect()),
            elsewhere(zone),
            reaches(zone),
            or_dash(zone.dropped),
        ]);
    }
    let mut text = table.render(0);
    for contradiction in &report.contradictions {
        let zones: Vec<&str> = contradiction.zones.iter().map(String::as_str).collect();
        text.push_str(&format!(
            "{} is in no zone: {} say it is in {}\n",
            contradiction.prefix,
            contradiction.routers.join(", "),
            zones.join(" and "),
        ));
    }
    let mut wans = Table::new(&["WAN", "DEVICE", "OPEN", "MASQUERADE"]);
    for wan in &report.wans {
        let open = if wan.closed { some_of(wan.open.clone()) } else { "left to other firewalls".to_owned() };
        let masquerade = if wan.masquerade { "yes" } else { "no" };
        wans.row([wan.name.clone(), or_dash(wan.device.as_ref()), open, masquerade.to_owned()]);
    }
    text.push('\n');
    text.push_str(&wans.render(0));
    text.push('\n');
    text.push_str(&drops(report));
    text
}

fn drops(report: &ZonesReport) -> String {
    let mut table = Table::new(&[">DROPPED", "WHAT", "COUNTER"]);
    for drop in report.drops.iter().filter(|drop| drop.packets > 0) {
        table.row([drop.packets.to_string(), drop.what.clone(), drop.counter.clone()]);
    }
    if table.is_empty() { "Nothing was dropped.\n".to_owned() } else { table.render(0) }
}

fn lan(lan: &ZoneLan) -> String {
    let prefixes: Vec<String> = lan.prefixes.iter().map(ToString::to_string).collect();
    if prefixes.is_empty() { lan.name.clone() } else { format!("{} ({})", lan.name, prefixes.join(" ")) }
}

fn elsewhere(zone: &ZoneReport) -> String {
    if zone.elsewhere.len() > PREFIXES_TOLD {
        return format!("{} prefixes", zone.elsewhere.len());
    }
    let told =
        |one: &crate::control::zones::ZonePrefix| format!("{} ({})", one.prefix, one.routers.join(" "));
    some_of(zone.elsewhere.iter().map(told).collect())
}

fn reaches(zone: &ZoneReport) -> String {
    match (zone.everything, zone.known) {
        (true, _) => "everything".to_owned(),
        (false, false) => "as its routers say".to_owned(),
        (false, true) => {
            let all: Vec<String> = zone.reach.iter().chain(&zone.allow).cloned().collect();
            if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
        }
    }
}

fn some_of(words: Vec<String>) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::control::zones::{Contradiction, DropReport, WanReport, ZonePrefix};

    fn zone(name: &str) -> ZoneReport {
        ZoneReport {
            name: name.to_owned(),
            known: true,
            lans: Vec::new(),
            elsewhere: Vec::new(),
            everything: false,
            reach: Vec::new(),
            allow: Vec::new(),
            dropped: None,
        }
    }

    fn prefix(text: &str) -> ZonePrefix {
        ZonePrefix { prefix: text.parse().unwrap(), routers: vec!["r4".to_owned()] }
    }

    #[test]
    fn zones_wans_and_drops_are_on_one_screen() {
        let guests = ZoneLan {
            name: "guests".to_owned(),
            device: "br-guest".to_owned(),
            prefixes: BTreeSet::from(["10.2.9.0/24".parse().unwrap()]),
        };
        let report = ZonesReport {
            zones: vec![
                ZoneReport { elsewhere: vec![prefix("10.2.8.0/24")], known: false, ..zone("cameras") },
                ZoneReport {
                    everything: true,
                    elsewhere: (1..=5).map(|n| prefix(&format!("10.3.{n}.0/24"))).collect(),
                    ..zone("internal")
                },
                ZoneReport {
                    lans: vec![guests],
                    reach: vec!["wan".to_owned()],
                    allow: vec!["10.2.4.16 tcp 443".to_owned()],
                    dropped: Some(12),
                    ..zone("isolated")
                },
            ],
            contradictions: vec![Contradiction {
                prefix: "10.2.5.0/24".parse().unwrap(),
                zones: ["cameras", "internal"].map(str::to_owned).into(),
                routers: vec!["r4".to_owned(), "r5".to_owned()],
            }],
            wans: vec![WanReport {
                name: "wan0".to_owned(),
                device: Some("eth0".to_owned()),
                closed: true,
                open: vec!["udp 51820".to_owned(), "tcp 22".to_owned()],
                masquerade: true,
            }],
            drops: vec![
                DropReport { counter: "to_wan".to_owned(), what: "about to leave".to_owned(), packets: 0 },
                DropReport { counter: "from_wan".to_owned(), what: "from a WAN".to_owned(), packets: 7 },
            ],
        };
        insta::assert_snapshot!(zones(&report));
    }
}
