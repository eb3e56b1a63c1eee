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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use hickory_proto::rr::rdata::TXT;
    use hickory_proto::rr::{Name, RData, Record as Answered, RecordType};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::names::announcement::Announcement;
    use crate::names::domain::DomainName;
    use crate::names::record::{Record, RecordData, TEXT_MAX};
    use crate::names::resolver::{Progress, Settings, Wishes};
    use crate::names::wire::Question;
    use crate::names::zones::{Belief, ZoneTable};
    use crate::show;

    static ANY: BTreeSet<DomainName> = BTreeSet::new();
    const NOW: Instant = Instant::ORIGIN;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    /// A router that answers for a zone, with a text of the name `note.lan` if there is one.
    fn router(host: u8, zone: &str, text: Option<&[u8]>) -> (HostId, Announcement) {
        let record = |text: &[u8]| Record { name: name("note.lan"), data: RecordData::Txt(text.to_vec()) };
        let told = Announcement {
            zones: BTreeSet::from([name(zone)]),
            servers: BTreeSet::from([[10, 1, 1, host].into()]),
            records: text.map(record).into_iter().collect(),
            ..Announcement::default()
        };
        (HostId(host.into()), told)
    }

    fn resolver(own: u16, routers: impl IntoIterator<Item = (HostId, Announcement)>) -> Resolver {
        let own = HostId(own);
        let belief = Belief { own, domains: &ANY };
        let table = ZoneTable::new(&name("lan"), &routers.into_iter().collect(), &[], belief);
        let settings = Settings {
            own,
            has_zone_server: false,
            stale_time: Duration::from_secs(3600),
            cache: 100,
            rate: 0,
            dns64_prefix: "64:ff9b::/96".parse().unwrap(),
            upstreams: Vec::new(),
            clients: Vec::new(),
        };
        Resolver::new(Arc::new(table), settings)
    }

    /// Returns `dlan names` as text and in JSON.
    fn shown(resolver: &Resolver) -> (String, serde_json::Value) {
        let report = report(NOW, resolver, &Places::new(), &BTreeMap::new());
        (show::names(&report), serde_json::to_value(&report).unwrap())
    }

    #[test]
    fn a_zone_that_two_routers_announce_is_shown_once_with_the_lower_host_id_at_every_router() {
        for (own, expected) in [(1, "1 (this)"), (5, "1 "), (3, "1 ")] {
            let (text, json) =
                shown(&resolver(own, [router(5, "shop.lan", None), router(1, "shop.lan", None)]));
            let lines: Vec<&str> = text.lines().filter(|line| line.contains("shop.lan")).collect();
            let [line] = lines.as_slice() else { panic!("{text}") };
            assert!(line.contains(&format!("shop.lan  {expected}")), "at {own}: {line}");
            assert!(line.ends_with("10.1.1.1"), "{line}");
            assert_eq!(json["zones"].as_array().map(Vec::len), Some(1));
            assert_eq!(json["zones"][0]["owner"]["host_id"], 1);
            assert_eq!(json["zones"][0]["owner"]["is_own"], own == 1);
        }
    }

    /// Returns what is shown where router 3 has announced a text, and has answered with it about a name of its zone.
    fn shown_with(text: &[u8], label: &[u8]) -> (String, String) {
        let mut resolver = resolver(1, [router(3, "r3.lan", Some(text))]);
        let asked = Name::from_labels([label, b"r3", b"lan"]).unwrap();
        let wishes = Wishes { recursion: true, ..Wishes::default() };
        let question = Question::new(&asked, RecordType::TXT);
        if let Progress::Ask(work) = resolver.begin(NOW, question, Service::Mesh, wishes) {
            let mut reply = work.query();
            let data = RData::TXT(TXT::from_bytes(vec![text]));
            reply.insert_answers(vec![Answered::from_rdata(work.query().queries[0].name.clone(), 60, data)]);
            resolver.proceed(NOW, *work, Some(&reply));
        }
        let (text, json) = shown(&resolver);
        (text, json.to_string())
    }

    #[test]
    fn a_text_that_turns_the_line_around_or_clears_the_screen_is_shown_by_its_octets() {
        let hostile = "a\u{202e}b\u{1b}[2J\n\"\u{9b}";
        let (text, json) = shown_with(hostile.as_bytes(), b"nas");
        assert!(text.contains(r#""a\xe2\x80\xaeb\x1b[2J\n\"\xc2\x9b""#), "{text}");
        assert!(text.contains("Answers of other routers\n  NAME"), "the answer is kept:\n{text}");
        assert!(json.is_ascii() && !json.contains(char::is_control), "{json}");
    }

    proptest! {
        #[test]
        fn whatever_others_write_is_shown_in_plain_characters(
            text in vec(any::<u8>(), 0..=TEXT_MAX),
            label in vec(any::<u8>(), 1..=63),
        ) {
            let (text, json) = shown_with(&text, &label);
            prop_assert!(text.chars().all(|c| c.is_ascii_graphic() || " \n".contains(c)), "{text:?}");
            prop_assert!(json.is_ascii() && !json.contains(char::is_control), "{json:?}");
        }
    }
}
