//! Names of the mesh as text: where the server is asked, zones, records, and what is kept.

use super::table::{Table, duration, or_dash};
use crate::control::names::{NamesReport, OwnerReport};

/// Returns the name server's knowledge.
pub fn names(report: &NamesReport) -> String {
    let mut text = String::new();
    let mut places = Table::new(&["ASKED AT", "FOR", "STATE"]);
    for place in &report.places {
        let scope = if place.dns64 { "all names, with DNS64" } else { "the mesh's names" };
        let state =
            place.error.as_ref().map_or_else(|| "listens".to_owned(), |error| format!("cannot: {error}"));
        places.row([place.address.to_string(), scope.to_owned(), state]);
    }
    section(&mut text, &format!("Name server of the domain {}", report.domain), &places, "  not running\n");
    let mut zones = Table::new(&["ZONE", "HOST ID", "ASKED AT"]);
    for zone in &report.zones {
        zones.row(owned(&zone.zone, &zone.owner));
    }
    for reverse in &report.reverse {
        zones.row(owned(&format!("names of {}", reverse.prefix), &reverse.owner));
    }
    section(&mut text, "Zones", &zones, "  none\n");
    let mut records = Table::new(&["NAME", "TYPE", "DATA", "HOST ID"]);
    for record in &report.records {
        let (name, data) = (record.name.clone(), record.data.clone());
        records.row([name, record.record_type.clone(), data, record.host_id.to_string()]);
    }
    section(&mut text, "Records for the whole mesh", &records, "  none\n");
    let mut cache = Table::new(&["NAME", "TYPE", "ANSWER", ">AGE", "STATE"]);
    for kept in &report.cache {
        let state = if kept.stale { "stale, forgotten" } else { "holds, stale" };
        cache.row([
            kept.name.clone(),
            kept.record_type.clone(),
            if kept.data.is_empty() { "nothing".to_owned() } else { kept.data.join(", ") },
            duration(kept.age_seconds),
            format!("{state} in {}", duration(kept.seconds_left)),
        ]);
    }
    section(&mut text, "Answers of other routers", &cache, "  none\n");
    text
}

fn owned(zone: &str, owner: &OwnerReport) -> [String; 3] {
    let servers: Vec<String> = owner.servers.iter().map(ToString::to_string).collect();
    let host =
        owner.host_id.map(|host| if owner.is_own { format!("{host} (this)") } else { host.to_string() });
    [zone.to_owned(), or_dash(host), servers.join(", ")]
}

fn section(text: &mut String, title: &str, table: &Table, none: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let body = if table.is_empty() { none.to_owned() } else { table.render(2) };
    text.push_str(&format!("{gap}{title}\n{body}"));
}
