//! What the name server knows, as the report that is shown; pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ospf_lite::time::Instant;

use super::cache::Use;
use super::resolver::{Resolver, Service};
use super::server::Places;
use super::zones::Owner;
use crate::config::HostId;
use crate::control::names::{
    CachedReport, NamesReport, OwnerReport, PlaceReport, RecordReport, ReverseReport, ZoneReport,
};

/// Returns the report. `refused` are the places at which the server cannot listen.
pub fn report(
    now: Instant,
    resolver: &Resolver,
    places: &Places,
    refused: &BTreeMap<SocketAddr, String>,
) -> NamesReport {
    let (table, settings) = (resolver.table(), resolver.settings());
    let owner = |owner: &Owner| owner_report(owner, settings.own);
    let place = |(address, service): (&SocketAddr, &Service)| PlaceReport {
        address: *address,
        dns64: *service == Service::Dns64,
        error: refused.get(address).cloned(),
    };
    let records = table.names.iter().flat_map(|(name, (host, data))| {
        data.iter().map(move |data| RecordReport {
            name: name.to_string(),
            record_type: data.type_name().to_owned(),
            data: data.to_string(),
            host_id: host.0,
        })
    });
    NamesReport {
        domain: table.domain.to_string(),
        places: places.iter().map(place).collect(),
        zones: table
            .zones
            .iter()
            .map(|(zone, of)| ZoneReport { zone: zone.to_string(), owner: owner(of) })
            .collect(),
        reverse: table
            .reverse
            .iter()
            .map(|(prefix, of)| ReverseReport { prefix: *prefix, owner: owner(of) })
            .collect(),
        records: records.collect(),
        cache: cache(now, resolver, settings.stale_time),
    }
}

fn owner_report(owner: &Owner, own: HostId) -> OwnerReport {
    let host = owner.who.host();
    OwnerReport {
        host_id: host.map(|host| host.0),
        is_own: host == Some(own),
        servers: owner.servers.clone(),
    }
}

fn cache(now: Instant, resolver: &Resolver, stale_time: Duration) -> Vec<CachedReport> {
    let entries = resolver.cache().entries(now, stale_time);
    let report = entries.map(|(question, kept, of)| {
        let end = if of == Use::Stale { kept.until + stale_time } else { kept.until };
        CachedReport {
            name: question.name.to_ascii(),
            record_type: question.record_type.to_string(),
            data: kept.records.iter().map(|record| printable(&record.data.to_string())).collect(),
            age_seconds: now.since(kept.since).as_secs(),
            stale: of == Use::Stale,
            seconds_left: end.since(now).as_secs(),
        }
    });
    report.collect()
}

/// Returns a text without what could spoil a terminal: others wrote it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(300).collect()
}
