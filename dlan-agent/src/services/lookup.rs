//! What came of asking for an upstream's addresses: out of DNS answers and the hosts file; pure.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;

use super::names::{Answer, Family};
use crate::names::wire::{self, Answer as Reply};

/// Puts together what was answered when a name's IPv4 and IPv6 addresses were asked for. While the mesh is not known as a whole
/// (`is_complete`), that there is no such name says nothing.
pub fn answer((ipv4, ipv6): (&Reply, &Reply), is_complete: bool) -> Answer {
    let replies = [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)];
    let missing: Vec<Family> =
        replies.iter().filter(|(_, reply)| !says(reply)).map(|(family, _)| *family).collect();
    let said = replies.iter().filter(|(_, reply)| says(reply)).map(|(_, reply)| *reply);
    let records: Vec<&Record> = said.clone().flat_map(|reply| &reply.records).collect();
    let addresses: BTreeSet<IpAddr> = records.iter().filter_map(|record| wire::address(record)).collect();
    if !addresses.is_empty() {
        // Of all that leads to the addresses, aliases too, the first that runs out.
        let ttl = records.iter().map(|record| record.ttl).min();
        return Answer::Addresses {
            addresses,
            ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())),
            missing: missing.first().copied(),
            is_stale: said.clone().any(|reply| reply.is_stale),
        };
    }
    match missing.first() {
        None if is_complete || said.clone().all(|reply| reply.code == ResponseCode::NoError) => {
            Answer::Nothing
        }
        None => Answer::NotYet("the names of the mesh are not known yet".to_owned()),
        Some(_) => Answer::Failed("nobody who knows the name can be asked".to_owned()),
    }
}

/// Returns whether an answer says something about the name, if only that there is nothing.
fn says(reply: &Reply) -> bool {
    matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// Returns the addresses that the text of a hosts file (hosts(5)) gives a name.
pub fn in_hosts_file(text: &str, name: &str) -> BTreeSet<IpAddr> {
    let of_line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use hickory_proto::rr::rdata::{A, AAAA, CNAME};
    use hickory_proto::rr::{Name, RData};
    use proptest::prelude::*;

    use super::*;

    fn record(ttl: u32, data: RData) -> Record {
        Record::from_rdata(Name::from_str("nas.r1.lan.").unwrap(), ttl, data)
    }

    fn ipv4(ttl: u32) -> Reply {
        let records = vec![record(ttl, RData::A(A([10, 2, 0, 2].into())))];
        Reply { records, ..Reply::empty(ResponseCode::NoError) }
    }

    fn ipv6(ttl: u32) -> Reply {
        let records = vec![record(ttl, RData::AAAA(AAAA("fd00::2".parse().unwrap())))];
        Reply { records, ..Reply::empty(ResponseCode::NoError) }
    }

    fn none(code: ResponseCode) -> Reply {
        Reply::empty(code)
    }

    fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_addresses_of_both_families_hold_as_long_as_the_shorter_of_them_and_of_what_leads_there() {
        let found = |ttl| Answer::Addresses {
            addresses: addresses(&["10.2.0.2", "fd00::2"]),
            ttl: Some(Duration::from_secs(ttl)),
            missing: None,
            is_stale: false,
        };
        assert_eq!(answer((&ipv4(60), &ipv6(30)), true), found(30));
        let mut by_alias = ipv4(60);
        by_alias.records.push(record(7, RData::CNAME(CNAME(Name::from_str("nas.lan.").unwrap()))));
        assert_eq!(answer((&by_alias, &ipv6(30)), true), found(7));
    }

    #[test]
    fn a_family_that_could_not_be_asked_for_is_told_and_one_without_addresses_is_not() {
        let missing = |ipv6: &Reply| match answer((&ipv4(60), ipv6), true) {
            Answer::Addresses { missing, .. } => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&none(ResponseCode::NoError)), None);
        assert_eq!(missing(&none(ResponseCode::NXDomain)), None);
        assert_eq!(missing(&none(ResponseCode::ServFail)), Some(Family::Ipv6));
        assert_eq!(missing(&none(ResponseCode::Refused)), Some(Family::Ipv6));
    }

    #[test]
    fn that_there_is_nothing_is_believed_when_both_say_so_and_the_mesh_is_known() {
        use ResponseCode::{NXDomain, NoError, ServFail};
        let said = |one, other, is_complete| answer((&none(one), &none(other)), is_complete);
        assert_eq!(said(NXDomain, NXDomain, true), Answer::Nothing);
        assert_eq!(said(NoError, NoError, false), Answer::Nothing, "the name is there");
        assert!(matches!(said(NXDomain, NXDomain, false), Answer::NotYet(_)));
        for (one, other) in [(NXDomain, ServFail), (ServFail, ServFail)] {
            let said = said(one, other, true);
            assert!(matches!(said, Answer::Failed(_)), "{one} {other}: {said:?}");
        }
    }

    #[test]
    fn an_answer_from_before_its_owner_went_away_is_told_as_such() {
        let stale = Reply { is_stale: true, ..ipv4(10) };
        let said = answer((&stale, &none(ResponseCode::NoError)), true);
        assert!(matches!(said, Answer::Addresses { is_stale: true, .. }), "{said:?}");
    }

    #[test]
    fn a_hosts_file_gives_a_name_the_addresses_of_its_lines() {
        let text = "127.0.0.1 localhost\n10.2.0.2\tnas.example.com nas # the old one\n\
                    #10.2.0.3 nas\nfd00::2 NAS\n10.2.0.4 # nas\nnas 10.2.0.5\n";
        assert_eq!(in_hosts_file(text, "nas"), addresses(&["10.2.0.2", "fd00::2"]));
        assert_eq!(in_hosts_file(text, "nas.example.com"), addresses(&["10.2.0.2"]));
        assert_eq!(in_hosts_file(text, "old"), addresses(&[]));
    }

    proptest! {
        #[test]
        fn any_hosts_file_is_read(text in "[ \t\n#.:a-f0-9]{0,200}", name in "[a-f.]{1,5}") {
            let _ = in_hosts_file(&text, &name);
        }
    }
}
