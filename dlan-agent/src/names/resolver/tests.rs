//! Questions, what others answer, and what comes of it.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use proptest::prelude::*;

use super::*;
use crate::names::announcement::Announcement;
use crate::names::cache::STALE_TTL;
use crate::names::domain::DomainName;
use crate::names::record::{Record as OwnRecord, RecordData};
use crate::names::zones::Belief;

const OWN: HostId = HostId(1);
static ANY: BTreeSet<DomainName> = BTreeSet::new();
const BELIEF: Belief<'static> = Belief { own: OWN, domains: &ANY };

fn at(seconds: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(seconds)
}

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn question(text: &str, record_type: RecordType) -> Question {
    Question::new(&name(text), record_type)
}

fn record(of: &str, ttl: u32, data: &str) -> Record {
    let data = match data.parse::<IpAddr>() {
        Ok(address) => wire::to_record(&Name::root(), &RecordData::address(address)).data,
        Err(_) => wire::alias(&Name::root(), name(data)).data,
    };
    Record::from_rdata(name(of), ttl, data)
}

/// A router that answers for `r<host>.lan` and 10.<host>.0.0/24.
fn router(host: u16, more: &[(&str, &str)]) -> (HostId, Announcement) {
    let own = (format!("r{host}.lan"), format!("10.1.1.{host}"));
    let data = |text: &str| match text.parse() {
        Ok(address) => RecordData::address(address),
        Err(_) => RecordData::Cname(text.parse().unwrap()),
    };
    let records = more.iter().copied().chain([(own.0.as_str(), own.1.as_str())]);
    let records = records.map(|(name, text)| OwnRecord { name: name.parse().unwrap(), data: data(text) });
    let told = Announcement {
        zones: BTreeSet::from([own.0.parse().unwrap()]),
        reverse: BTreeSet::from([format!("10.{host}.0.0/24").parse().unwrap()]),
        servers: BTreeSet::from([own.1.parse().unwrap()]),
        records: records.collect(),
    };
    (HostId(host), told)
}

fn table(more: &[(&str, &str)]) -> Arc<ZoneTable> {
    let announced = [router(1, more), router(3, &[])].into();
    Arc::new(ZoneTable::new(&"lan".parse().unwrap(), &announced, &[], BELIEF))
}

fn settings() -> Settings {
    Settings {
        own: OWN,
        has_zone_server: false,
        stale_time: Duration::from_secs(3600),
        cache: 100,
        rate: 20,
        dns64_prefix: "fd00:64::/96".parse().unwrap(),
        upstreams: vec!["127.0.0.1".parse().unwrap()],
        clients: vec!["10.0.0.0/8".parse().unwrap()],
    }
}

fn resolver(more: &[(&str, &str)]) -> Resolver {
    Resolver::new(table(more), settings())
}

fn wishes() -> Wishes {
    Wishes { recursion: true, ..Wishes::default() }
}

/// What somebody who is asked answers; `None` is silence.
type World<'a> = &'a dyn Fn(&Question, &[IpAddr]) -> Option<(ResponseCode, Vec<Record>)>;

/// Asks, lets `world` answer whoever is asked, and returns the answer with how many were asked.
fn ask_for(
    resolver: &mut Resolver,
    seconds: u64,
    (asked, service, wishes): (&Question, Service, Wishes),
    world: World<'_>,
) -> (Answer, usize) {
    let mut progress = resolver.begin(at(seconds), asked.clone(), service, wishes);
    let mut count = 0;
    loop {
        match progress {
            Progress::Done(answer) => return (answer, count),
            Progress::Ask(work) => {
                count += 1;
                let query = work.query();
                let question = Question::new(&query.queries[0].name, query.queries[0].query_type);
                let reply = world(&question, work.servers()).map(|(code, records)| {
                    let mut reply = query.clone();
                    reply.metadata.response_code = code;
                    reply.insert_answers(records);
                    reply
                });
                progress = resolver.proceed(at(seconds), *work, reply.as_ref());
            }
        }
    }
}

fn ask(resolver: &mut Resolver, seconds: u64, of: &str, world: World<'_>) -> (Answer, usize) {
    ask_for(resolver, seconds, (&question(of, RecordType::A), Service::Mesh, wishes()), world)
}

fn addresses(answer: &Answer) -> Vec<String> {
    answer.records.iter().filter_map(wire::address).map(|address| address.to_string()).collect()
}

fn silence(_: &Question, _: &[IpAddr]) -> Option<(ResponseCode, Vec<Record>)> {
    None
}

fn nas(asked: &Question, servers: &[IpAddr]) -> Option<(ResponseCode, Vec<Record>)> {
    assert_eq!(servers, ["10.1.1.3".parse::<IpAddr>().unwrap()]);
    match asked.name.to_ascii().as_str() {
        "nas.r3.lan." => Some((ResponseCode::NoError, vec![record("nas.r3.lan.", 60, "10.3.0.2")])),
        _ => Some((ResponseCode::NXDomain, vec![])),
    }
}

#[test]
fn another_router_s_name_is_asked_there_and_known_for_its_ttl() {
    let mut resolver = resolver(&[]);
    let (answer, count) = ask(&mut resolver, 0, "NAS.r3.lan.", &nas);
    assert_eq!((addresses(&answer), count), (vec!["10.3.0.2".to_owned()], 1));
    let (answer, count) = ask(&mut resolver, 20, "nas.r3.lan.", &nas);
    assert_eq!((answer.records[0].ttl, answer.is_stale, count), (40, false, 0));
    assert_eq!(ask(&mut resolver, 60, "nas.r3.lan.", &nas).1, 1);
}

#[test]
fn while_the_owner_is_away_the_last_answer_is_given_and_marked() {
    let mut resolver = resolver(&[]);
    ask(&mut resolver, 0, "nas.r3.lan.", &nas);
    let (answer, count) = ask(&mut resolver, 100, "nas.r3.lan.", &silence);
    assert_eq!(
        (addresses(&answer), answer.records[0].ttl, answer.is_stale, count),
        (vec!["10.3.0.2".to_owned()], STALE_TTL, true, 1)
    );
    // One that was just silent is not waited for again.
    assert_eq!(ask(&mut resolver, 101, "nas.r3.lan.", &silence).1, 0);
    assert_eq!(ask(&mut resolver, 110, "nas.r3.lan.", &nas).1, 1);
    let (answer, _) = ask(&mut resolver, 110 + 60 + 3600, "nas.r3.lan.", &silence);
    assert_eq!(answer.code, ResponseCode::ServFail);
}

#[test]
fn a_zone_that_went_with_its_router_is_answered_from_what_is_kept() {
    let mut resolver = resolver(&[]);
    ask(&mut resolver, 0, "nas.r3.lan.", &nas);
    let alone = ZoneTable::new(&"lan".parse().unwrap(), &[router(1, &[])].into(), &[], BELIEF);
    resolver.reconfigure(at(100), Arc::new(alone), settings());
    let (answer, _) = ask(&mut resolver, 100, "nas.r3.lan.", &silence);
    assert!(answer.is_stale);
    assert_eq!(ask(&mut resolver, 100, "tv.r3.lan.", &silence).0.code, ResponseCode::NXDomain);
}

#[test]
fn an_owner_that_refuses_does_not_take_the_last_answer_away() {
    let mut resolver = resolver(&[]);
    ask(&mut resolver, 0, "nas.r3.lan.", &nas);
    let (answer, _) = ask(&mut resolver, 100, "nas.r3.lan.", &|_, _| Some((ResponseCode::Refused, vec![])));
    assert!(answer.is_stale);
    assert_eq!(ask(&mut resolver, 101, "nas.r3.lan.", &nas).1, 1);
}

#[test]
fn that_there_is_no_such_name_comes_with_the_time_for_which_that_holds() {
    let mut resolver = resolver(&[]);
    for of in ["tv.r3.lan.", "tv.r1.lan.", "r9.lan."] {
        let (answer, _) = ask(&mut resolver, 0, of, &nas);
        assert_eq!(answer.code, ResponseCode::NXDomain, "{of}");
        assert_eq!(answer.authority.map(|soa| soa.ttl), Some(wire::NEGATIVE_TTL));
    }
    let (answer, _) =
        ask_for(&mut resolver, 0, (&question("r3.lan.", RecordType::A), Service::Mesh, wishes()), &silence);
    assert_eq!(addresses(&answer), ["10.1.1.3"]);
}

#[test]
fn an_owner_is_believed_about_its_zone_only() {
    let mut resolver = resolver(&[]);
    let liar = |_: &Question, _: &[IpAddr]| {
        let records = vec![
            record("nas.r3.lan.", 60, "www.example.org."),
            record("www.example.org.", 60, "10.3.0.66"),
            record("nas.r1.lan.", 60, "10.3.0.66"),
        ];
        Some((ResponseCode::NoError, records))
    };
    let world = |asked: &Question, servers: &[IpAddr]| match servers[0].is_loopback() {
        true => Some((ResponseCode::NoError, vec![record("www.example.org.", 60, "192.0.2.1")])),
        false => liar(asked, servers),
    };
    let (answer, _) = ask(&mut resolver, 0, "nas.r3.lan.", &world);
    assert_eq!(addresses(&answer), ["192.0.2.1"]);
}

#[test]
fn aliases_are_followed_through_zones_and_their_circles_end() {
    let more = [("git.lan", "nas.r3.lan"), ("a.lan", "b.lan"), ("b.lan", "a.lan")];
    let mut resolver = resolver(&more);
    let (answer, _) = ask(&mut resolver, 0, "git.lan.", &nas);
    assert_eq!((answer.records.len(), addresses(&answer)), (2, vec!["10.3.0.2".to_owned()]));
    assert_eq!(ask(&mut resolver, 0, "a.lan.", &silence).0.code, ResponseCode::ServFail);
}

#[test]
fn seven_aliases_are_followed_and_an_eighth_is_not() {
    let steps: Vec<[String; 2]> =
        (0..8).map(|step| [format!("n{step}.lan"), format!("n{}.lan", step + 1)]).collect();
    let aliases = |count: usize| -> Vec<(&str, &str)> {
        let last = &steps[count - 1][1];
        let chain = steps[..count].iter().map(|[from, to]| (from.as_str(), to.as_str()));
        chain.chain([(last.as_str(), "10.9.9.9")]).collect()
    };
    let (answer, _) = ask(&mut resolver(&aliases(7)), 0, "n0.lan", &silence);
    assert_eq!((answer.code, addresses(&answer)), (ResponseCode::NoError, vec!["10.9.9.9".to_owned()]));
    let (answer, _) = ask(&mut resolver(&aliases(8)), 0, "n0.lan", &silence);
    assert_eq!((answer.code, addresses(&answer)), (ResponseCode::ServFail, Vec::new()));
}

#[test]
fn names_of_the_world_are_refused_and_so_is_asking_for_those_who_did_not_ask_for_it() {
    let mut resolver = resolver(&[]);
    assert_eq!(ask(&mut resolver, 0, "example.org.", &silence).0.code, ResponseCode::Refused);
    let asked = question("nas.r3.lan.", RecordType::A);
    let (answer, count) = ask_for(&mut resolver, 0, (&asked, Service::Mesh, Wishes::default()), &nas);
    assert_eq!((answer.code, count), (ResponseCode::Refused, 0));
    assert!(!resolver.is_admitted("192.0.2.1".parse().unwrap()));
    assert!(resolver.is_admitted("::ffff:10.9.9.9".parse().unwrap()));
}

#[test]
fn the_agent_itself_is_told_all_names_as_they_are() {
    let mut resolver = resolver(&[]);
    let mut asked = |of: &str| {
        let question = question(of, RecordType::A);
        let (answer, count) = ask_for(&mut resolver, 0, (&question, Service::Agent, wishes()), &internet);
        (addresses(&answer), count)
    };
    assert_eq!(asked("r3.lan."), (vec!["10.1.1.3".to_owned()], 0), "the table has it");
    let (found, count) = asked("old.example.");
    assert_eq!((found.len(), count), (1, 1), "the rest of the world is asked");
    let question = question("old.example.", RecordType::AAAA);
    let (answer, _) = ask_for(&mut resolver, 0, (&question, Service::Agent, wishes()), &internet);
    assert!(addresses(&answer).is_empty(), "no address stands for another: {answer:?}");
}

#[test]
fn whom_nobody_can_be_asked_about_is_known_before() {
    let mut resolver = resolver(&[]);
    assert!(resolver.can_answer(&name("www.example.com.")) && resolver.can_answer(&name("r9.lan.")));
    resolver.reconfigure(at(0), table(&[]), Settings { upstreams: Vec::new(), ..settings() });
    assert!(!resolver.can_answer(&name("www.example.com.")) && resolver.can_answer(&name("r9.lan.")));
}

#[test]
fn only_so_many_questions_to_one_owner_wait_at_once() {
    let mut resolver = resolver(&[]);
    let begin = |resolver: &mut Resolver, number: usize| {
        let asked = question(&format!("h{number}.r3.lan."), RecordType::A);
        resolver.begin(at(0), asked, Service::Mesh, wishes())
    };
    let waiting: Vec<_> = (0..ASKS_OF_ONE_MAX).map(|number| begin(&mut resolver, number)).collect();
    assert!(waiting.iter().all(|progress| matches!(progress, Progress::Ask(_))));
    assert!(
        matches!(begin(&mut resolver, 99), Progress::Done(answer) if answer.code == ResponseCode::ServFail)
    );
    for progress in waiting {
        if let Progress::Ask(work) = progress {
            resolver.proceed(at(1), *work, None);
        }
    }
    assert!(matches!(begin(&mut resolver, 99), Progress::Ask(_)));
}

#[test]
fn only_so_many_questions_wait_at_once_whomever_they_are_for() {
    let announced = (1..=9).map(|host| router(host, &[])).collect();
    let table = ZoneTable::new(&"lan".parse().unwrap(), &announced, &[], BELIEF);
    let mut resolver = Resolver::new(Arc::new(table), settings());
    let names = (2..=9).flat_map(|host| (0..10).map(move |number| format!("h{number}.r{host}.lan.")));
    let waits = |name: &String| {
        let begun = resolver.begin(at(0), question(name, RecordType::A), Service::Mesh, wishes());
        matches!(begun, Progress::Ask(_))
    };
    assert_eq!(names.collect::<Vec<_>>().iter().map(waits).filter(|waits| *waits).count(), ASKS_MAX);
}

#[test]
fn the_router_itself_and_addresses_of_the_mesh_are_admitted_and_nobody_else() {
    let resolver = resolver(&[]);
    let admitted = ["127.0.0.1", "::1", "10.9.9.9", "::ffff:10.9.9.9"];
    for (askers, is_admitted) in
        [(&admitted[..], true), (&["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"], false)]
    {
        for asker in askers {
            assert_eq!(resolver.is_admitted(asker.parse().unwrap()), is_admitted, "{asker}");
        }
    }
}

#[test]
fn who_asks_more_than_its_share_is_not_answered_and_the_router_itself_always_is() {
    let mut resolver = resolver(&[]);
    let mut answered = |asker: &str, seconds| {
        (0..500).filter(|_| resolver.is_within_rate(at(seconds), asker.parse().unwrap())).count()
    };
    let at_once = answered("10.9.9.9", 0);
    assert!((20..100).contains(&at_once), "{at_once}");
    assert_eq!(answered("10.9.9.9", 0), 0);
    assert_eq!(answered("::ffff:10.9.9.9", 0), 0, "the same asker by another socket");
    assert_eq!(answered("10.9.9.9", 1), 20);
    assert_eq!(answered("10.8.8.8", 1), at_once);
    assert_eq!((answered("127.0.0.1", 1), answered("::1", 1)), (500, 500));
}

/// The world beyond the mesh: one name with both kinds of addresses, one with IPv4 only.
fn internet(asked: &Question, _: &[IpAddr]) -> Option<(ResponseCode, Vec<Record>)> {
    let records = match (asked.name.to_ascii().as_str(), asked.record_type) {
        ("both.example.", RecordType::AAAA) => vec![record("both.example.", 60, "2001:db8::1")],
        ("www.old.example.", _) => vec![record("www.old.example.", 60, "old.example.")],
        ("old.example.", RecordType::A) => vec![record("old.example.", 60, "192.0.2.33")],
        ("33.2.0.192.in-addr.arpa.", RecordType::PTR) => {
            let data = wire::to_record(&Name::root(), &RecordData::Ptr("old.example".parse().unwrap())).data;
            vec![Record::from_rdata(asked.name.clone(), 60, data)]
        }
        _ => vec![],
    };
    Some((ResponseCode::NoError, records))
}

#[test]
fn with_dns64_ipv6_addresses_stand_for_missing_ones_unless_the_asker_checks_for_itself() {
    let mut resolver = resolver(&[]);
    let mut of = |text: &str, wishes: Wishes| {
        let asked = question(text, RecordType::AAAA);
        addresses(&ask_for(&mut resolver, 0, (&asked, Service::Dns64, wishes), &internet).0)
    };
    assert_eq!(of("both.example.", wishes()), ["2001:db8::1"]);
    assert_eq!(of("old.example.", wishes()), ["fd00:64::c000:221"]);
    assert_eq!(of("www.old.example.", wishes()), ["fd00:64::c000:221"]);
    assert!(of("old.example.", Wishes { checking_disabled: true, ..wishes() }).is_empty());
    assert!(of("none.example.", wishes()).is_empty());
}

#[test]
fn the_reverse_name_of_an_address_that_stands_for_another_is_that_one_s() {
    let mut resolver = resolver(&[]);
    let reverse = Name::from(IpAddr::from_str("fd00:64::192.0.2.33").unwrap());
    let asked = question(&reverse.to_ascii(), RecordType::PTR);
    let (answer, _) = ask_for(&mut resolver, 0, (&asked, Service::Dns64, wishes()), &internet);
    assert_eq!(answer.records.len(), 2);
    assert_eq!(answer.records[1].record_type(), RecordType::PTR);
}

proptest! {
    #[test]
    fn any_reply_ends_the_question(octets in prop::collection::vec(any::<u8>(), 12..200), names in prop::collection::vec("[a-c]\\.(r1|r3|r4)\\.lan\\.", 0..6)) {
        let mut resolver = resolver(&[]);
        let aliases: Vec<_> = names.windows(2).map(|pair| record(&pair[0], 5, &pair[1])).collect();
        let first = names.first().cloned().unwrap_or_else(|| "a.r3.lan.".to_owned());
        let (_, count) = ask(&mut resolver, 0, &first, &|_, _| Some((ResponseCode::NoError, aliases.clone())));
        prop_assert!(count <= usize::from(TURNS_MAX));
        if let Ok(message) = Message::from_vec(&octets) {
            let _ = wire::refusal(&message);
            let Progress::Ask(work) = resolver.begin(at(500), question("z.r3.lan.", RecordType::A), Service::Mesh, wishes()) else { return Ok(()) };
            let progress = resolver.proceed(at(500), *work, Some(&message));
            if let Progress::Done(answer) = progress {
                let _ = wire::encode(&message, &answer, true, false);
            }
        }
    }
}
