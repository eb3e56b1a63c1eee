//! Claims of routers, and who has what then.

use super::*;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn named(text: &str) -> Subject {
    Subject::Name(Some(name(text)))
}

fn net(text: &str) -> Subject {
    Subject::Reverse(text.parse().unwrap(), None)
}

fn record(of: &str, address: &str) -> Record {
    Record { name: name(of), data: RecordData::address(address.parse().unwrap()) }
}

/// A router that answers for `<name>.lan` and a network, at 10.1.1.<host>.
fn router(host: u16, zone: &str, prefix: &str) -> (HostId, Announcement) {
    let told = Announcement {
        zones: BTreeSet::from([name(zone)]),
        reverse: BTreeSet::from([prefix.parse().unwrap()]),
        servers: BTreeSet::from([format!("10.1.1.{host}").parse().unwrap()]),
        records: BTreeSet::from([record(zone, &format!("10.1.1.{host}"))]),
    };
    (HostId(host), told)
}

fn table(routers: impl IntoIterator<Item = (HostId, Announcement)>) -> ZoneTable {
    ZoneTable::new(&name("lan"), &routers.into_iter().collect(), &[], believed(&BTreeSet::new()))
}

/// Router 2 believes others about these domains.
fn believed(domains: &BTreeSet<DomainName>) -> Belief<'_> {
    Belief { own: HostId(2), domains }
}

fn asked(found: Found) -> Option<u16> {
    match found {
        Found::Ask(owner) => owner.who.host().map(|host| host.0),
        _ => None,
    }
}

#[test]
fn a_name_is_asked_of_the_router_whose_zone_it_lies_in() {
    let table = table([router(1, "r1.lan", "10.2.0.0/24"), router(3, "r3.lan", "10.3.0.0/24")]);
    assert_eq!(asked(table.find(&named("nas.r3.lan"), A)), Some(3));
    assert_eq!(asked(table.find(&net("10.2.0.7/32"), PTR)), Some(1));
    assert_eq!(table.find(&named("nas.r9.lan"), A), Found::NoName);
    assert_eq!(table.find(&named("lan"), A), Found::Records(vec![]));
    assert_eq!(table.find(&named("example.org"), A), Found::Elsewhere);
    assert_eq!(table.find(&Subject::Name(None), A), Found::Elsewhere);
}

#[test]
fn a_router_s_name_stands_for_its_identity_and_the_identity_for_the_name() {
    let table = table([router(1, "r1.lan", "10.2.0.0/24")]);
    let address = RecordData::A([10, 1, 1, 1].into());
    assert_eq!(table.find(&named("r1.lan"), A), Found::Records(vec![address]));
    assert_eq!(table.find(&net("10.1.1.1/32"), PTR), Found::Records(vec![RecordData::Ptr(name("r1.lan"))]));
    assert_eq!(table.find(&net("10.1.1.1/32"), TXT), Found::Records(vec![]));
    assert_eq!(table.find(&net("10.1.1.9/32"), PTR), Found::NoName);
    assert_eq!(table.find(&net("10.0.0.0/8"), PTR), Found::Records(vec![]));
    assert_eq!(table.find(&net("192.0.2.1/32"), PTR), Found::Elsewhere);
}

#[test]
fn of_two_that_claim_the_same_the_lower_host_id_has_it_and_the_other_is_told() {
    let table = table([router(5, "r1.lan", "10.2.0.0/16"), router(1, "r1.lan", "10.2.0.0/24")]);
    assert_eq!(asked(table.find(&named("nas.r1.lan"), A)), Some(1));
    assert_eq!(asked(table.find(&net("10.2.0.7/32"), PTR)), Some(1));
    assert_eq!(asked(table.find(&net("10.2.9.7/32"), PTR)), Some(5));
    let by: Vec<_> = table.conflicts.iter().map(|conflict| conflict.by().0).collect();
    assert_eq!(by, [5, 5, 5], "{:?}", table.conflicts);
}

#[test]
fn a_zone_inside_one_of_a_lower_host_id_is_not_granted() {
    let inside = table([router(1, "r1.lan", "10.2.0.0/24"), router(2, "x.r1.lan", "10.2.0.64/26")]);
    assert_eq!(asked(inside.find(&named("a.x.r1.lan"), A)), Some(1));
    assert_eq!(asked(inside.find(&net("10.2.0.65/32"), PTR)), Some(1));
    let around = table([router(2, "r1.lan", "10.2.0.0/24"), router(1, "x.r1.lan", "10.2.0.64/26")]);
    assert_eq!(asked(around.find(&named("a.x.r1.lan"), A)), Some(1));
    assert_eq!(asked(around.find(&named("a.r1.lan"), A)), Some(2));
    assert_eq!((inside.conflicts.len(), around.conflicts.len()), (3, 2));
}

#[test]
fn nobody_takes_the_domain_or_all_addresses_or_names_of_another_s_zone() {
    let (host, mut greedy) = router(2, "lan", "0.0.0.0/1");
    greedy.records =
        BTreeSet::from([record("nas.r3.lan", "10.9.9.9"), record("www.example.com", "10.9.9.9")]);
    let table = table([(host, greedy), router(3, "r3.lan", "10.3.0.0/24")]);
    assert_eq!(asked(table.find(&named("nas.r3.lan"), A)), Some(3));
    assert!(
        matches!(table.find(&named("www.example.com"), A), Found::Records(records) if records.len() == 1)
    );
    assert_eq!(table.find(&net("11.1.1.1/32"), PTR), Found::Elsewhere);
    assert_eq!(table.conflicts.len(), 3, "{:?}", table.conflicts);
}

#[test]
fn records_of_a_name_without_a_dot_are_not_taken_and_told_but_for_the_domain_itself() {
    let (host, mut told) = router(1, "r1.lan", "10.2.0.0/24");
    told.records.extend([record("wpad", "10.2.0.9"), record("lan", "10.2.0.8"), record("a.lan", "10.2.0.7")]);
    let table = table([(host, told)]);
    assert_eq!(table.find(&named("wpad"), A), Found::Elsewhere);
    assert_eq!(table.find(&named("lan"), A), Found::Records(vec![RecordData::A([10, 2, 0, 8].into())]));
    assert_eq!(table.find(&named("a.lan"), A), Found::Records(vec![RecordData::A([10, 2, 0, 7].into())]));
    let told = Conflict::Outside { what: "name wpad".to_owned(), by: host };
    assert_eq!(table.conflicts, BTreeSet::from([told]));
}

#[test]
fn a_zone_outside_the_meshs_domain_is_granted_to_nobody() {
    let table = table([router(2, "example.org", "10.2.0.0/24")]);
    assert_eq!(table.find(&named("www.example.org"), A), Found::Elsewhere);
    let zone = Conflict::Outside { what: "zone example.org".to_owned(), by: HostId(2) };
    assert!(table.conflicts.contains(&zone), "{:?}", table.conflicts);
}

#[test]
fn what_of_a_name_is_not_announced_is_asked_of_its_zone() {
    let (host, mut told) = router(1, "r1.lan", "10.2.0.0/24");
    told.records.insert(Record { name: name("nas.r1.lan"), data: RecordData::Txt(b"text".to_vec()) });
    told.records.insert(Record { name: name("git.lan"), data: RecordData::Cname(name("nas.r1.lan")) });
    let table = table([(host, told)]);
    assert_eq!(asked(table.find(&named("nas.r1.lan"), A)), Some(1));
    assert!(matches!(table.find(&named("nas.r1.lan"), TXT), Found::Records(records) if records.len() == 1));
    assert_eq!(table.find(&named("git.lan"), A), Found::Cname(name("nas.r1.lan")));
    assert!(matches!(table.find(&named("git.lan"), 5), Found::Records(records) if records.len() == 1));
}

#[test]
fn without_a_server_there_is_nothing_but_what_is_announced() {
    let (host, mut told) = router(4, "r4.lan", "10.4.0.0/24");
    told.servers.clear();
    let table = table([(host, told)]);
    assert_eq!(table.find(&named("nas.r4.lan"), A), Found::NoName);
    assert_eq!(table.find(&net("10.4.0.1/32"), PTR), Found::NoName);
    assert!(matches!(table.find(&named("r4.lan"), A), Found::Records(records) if records.len() == 1));
}

#[test]
fn what_is_announced_goes_before_what_is_delegated() {
    let delegate = |zone: &str| DelegateConfig {
        zone: Some(name(zone)),
        reverse: vec!["10.7.0.0/24".parse().unwrap()],
        servers: vec!["10.1.1.7".parse().unwrap()],
    };
    let announced = [router(1, "r1.lan", "10.2.0.0/24")].into();
    let table = ZoneTable::new(
        &name("lan"),
        &announced,
        &[delegate("r1.lan"), delegate("corp.example")],
        believed(&BTreeSet::new()),
    );
    assert_eq!(asked(table.find(&named("nas.r1.lan"), A)), Some(1));
    for subject in [named("a.corp.example"), net("10.7.0.1/32")] {
        assert!(matches!(table.find(&subject, A), Found::Ask(owner) if owner.who == Who::Delegate));
    }
}

#[test]
fn two_routers_may_announce_the_same_record_but_not_different_ones() {
    let with = |host, address: &str| {
        let (host, mut told) = router(host, &format!("r{host}.lan"), &format!("10.{host}.0.0/24"));
        told.records.insert(record("www.lan", address));
        (host, told)
    };
    assert!(table([with(2, "10.2.0.2"), with(3, "10.2.0.2")]).conflicts.is_empty());
    let differing = table([with(2, "10.2.0.2"), with(3, "10.2.0.3")]);
    assert_eq!(
        differing.conflicts.first(),
        Some(&Conflict::Name { name: name("www.lan"), by: HostId(3), owner: HostId(2) })
    );
    assert_eq!(
        differing.find(&named("www.lan"), A),
        Found::Records(vec![RecordData::A([10, 2, 0, 2].into())])
    );
}

#[test]
fn about_names_outside_the_domain_others_are_believed_as_the_operator_says_and_the_rest_is_told() {
    let router = |host, of: &str| {
        let (host, told) = router(host, &format!("r{host}.lan"), &format!("10.{host}.0.0/24"));
        let records = told.records.into_iter().chain([record(of, "10.9.9.9")]).collect();
        (host, Announcement { records, ..told })
    };
    let routers = || [router(1, "www.bank.example"), router(2, "own.example"), router(3, "www.example.com")];
    let of = |domains: &[&str]| {
        let domains = domains.iter().map(|text| name(text)).collect();
        ZoneTable::new(&name("lan"), &routers().into(), &[], believed(&domains))
    };
    let foreign = |table: &ZoneTable| table.foreign().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(foreign(&of(&[])), ["own.example", "www.bank.example", "www.example.com"]);
    let some = of(&["example.com"]);
    assert_eq!(foreign(&some), ["own.example", "www.example.com"]);
    let told = Conflict::NotBelieved { name: name("www.bank.example"), by: HostId(1) };
    assert_eq!(some.conflicts, BTreeSet::from([told]));
    assert_eq!(some.find(&named("www.bank.example"), A), Found::Elsewhere);
    assert_eq!(
        some.find(&net("10.9.9.9/32"), PTR),
        Found::Records(vec![RecordData::Ptr(name("own.example")), RecordData::Ptr(name("www.example.com")),])
    );
    assert_eq!(foreign(&of(&["lan"])), ["own.example"]);
    assert_eq!(asked(of(&["lan"]).find(&named("nas.r3.lan"), A)), Some(3), "its zone is a router's own");
}

#[test]
fn what_the_table_has_no_room_for_is_not_taken_and_told() {
    let (host, told) = router(1, "r1.lan", "10.2.0.0/24");
    let many = (0..RECORDS_MAX).map(|number| record(&format!("h{number}.many.lan"), "10.9.9.9"));
    let records = told.records.iter().cloned().chain(many).collect();
    let table = table([(host, Announcement { records, ..told })]);
    assert_eq!(table.names.len(), RECORDS_MAX);
    assert_eq!(table.conflicts, BTreeSet::from([Conflict::TooMany { by: host }]));
}
