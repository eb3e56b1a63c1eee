//! The name server's decisions: a question, the table and what is kept give an answer or say who is to be asked. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::{IpNet, Ipv6Net};
use ospf_lite::time::Instant;

use super::cache::{Cache, Use};
use super::dns64;
use super::rate::Rates;
use super::wire::{self, Answer, Question};
use super::zones::{Found, Owner, Subject, Who, ZoneTable};
use crate::config::HostId;

/// How many aliases are followed, and other names asked, for one question.
const TURNS_MAX: u8 = 8;
/// How many questions to others may wait for an answer, in all and to one of them.
const ASKS_MAX: usize = 64;
const ASKS_OF_ONE_MAX: usize = 16;
/// How long one that did not answer is not asked again where there is a stale answer.
const AWAY: Duration = Duration::from_secs(3);

/// What the server goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// This router.
    pub own: HostId,
    /// Whether this router's own zone is served by a program that can be asked at its identity.
    pub has_zone_server: bool,
    /// How long answers are kept when they hold no longer.
    pub stale_time: Duration,
    /// How many answers are kept.
    pub cache: usize,
    /// How many questions one asker may ask in a second; 0 sets no limit.
    pub rate: u16,
    /// The prefix of addresses that stand for IPv4 ones.
    pub dns64_prefix: Ipv6Net,
    /// Who knows the rest of the world.
    pub upstreams: Vec<IpAddr>,
    /// Who may ask, apart from this router itself.
    pub clients: Vec<IpNet>,
}

/// What is served where a question comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The names of the mesh.
    Mesh,
    /// All names, for hosts without IPv4.
    Dns64,
    /// All names as they are, for the agent itself.
    Agent,
}

/// What a client wants beside the answer: as it says in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Others may be asked (RD).
    pub recursion: bool,
    /// Signatures come along (DO).
    pub dnssec_ok: bool,
    /// The answer is left as it is (CD).
    pub checking_disabled: bool,
}

/// A question under way.
#[derive(Debug, Clone)]
pub struct Work {
    question: Question,
    current: Question,
    aliases: Vec<Record>,
    service: Service,
    wishes: Wishes,
    /// Whether IPv4 addresses are looked for, to stand for the IPv6 ones that there are not.
    is_ipv4: bool,
    is_stale: bool,
    turns: u8,
    owner: Arc<Owner>,
}

impl Work {
    /// Returns who is to be asked, in this order.
    pub fn servers(&self) -> &[IpAddr] {
        &self.owner.servers
    }

    /// Returns what is to be asked. Routers of the mesh answer for what they know themselves; only others are asked to ask
    /// further: questions never go round in a circle.
    pub fn query(&self) -> Message {
        let flags = (self.wishes.dnssec_ok, self.wishes.checking_disabled);
        wire::query(&self.current, self.owner.who.host().is_none(), flags)
    }
}

/// How far a question has come.
#[derive(Debug)]
pub enum Progress {
    /// This is the answer.
    Done(Answer),
    /// Somebody is to be asked; what comes of it goes to [`Resolver::proceed`], whatever it is.
    Ask(Box<Work>),
}

enum Look {
    Answer(Answer),
    Ask(Arc<Owner>),
}

/// The server's state.
#[derive(Debug)]
pub struct Resolver {
    table: Arc<ZoneTable>,
    settings: Settings,
    cache: Cache,
    rates: Rates,
    away: BTreeMap<IpAddr, Instant>,
    asking: BTreeMap<IpAddr, usize>,
}

impl Resolver {
    /// Makes a server that knows nothing but the table.
    pub fn new(table: Arc<ZoneTable>, settings: Settings) -> Self {
        let (cache, rates) = (Cache::default(), Rates::default());
        Self { table, settings, cache, rates, away: BTreeMap::new(), asking: BTreeMap::new() }
    }

    /// Goes by another table or other settings from now on; what is kept stays.
    pub fn reconfigure(&mut self, now: Instant, table: Arc<ZoneTable>, settings: Settings) {
        (self.table, self.settings) = (table, settings);
        self.cache.tidy(now, self.settings.cache, self.settings.stale_time);
    }

    /// Returns the table in use.
    pub fn table(&self) -> &ZoneTable {
        &self.table
    }

    /// Returns the settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns what is kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Returns whether an asker is answered at all: it has not asked too much.
    pub fn is_within_rate(&mut self, now: Instant, asker: IpAddr) -> bool {
        let asker = asker.to_canonical();
        asker.is_loopback() || self.rates.take(now, asker, self.settings.rate)
    }

    /// Returns whether an asker belongs to the mesh.
    pub fn is_admitted(&self, asker: IpAddr) -> bool {
        let asker = asker.to_canonical();
        asker.is_loopback() || self.settings.clients.iter().any(|net| net.contains(&asker))
    }

    /// Returns whether a name is the mesh's to answer for; of others the rest of the world is asked, if anybody is known there.
    pub fn can_answer(&self, name: &Name) -> bool {
        let question = Question::new(name, RecordType::A);
        let is_elsewhere =
            self.table.find(&question.subject(), question.record_type.into()) == Found::Elsewhere;
        !is_elsewhere || !self.settings.upstreams.is_empty()
    }

    /// Begins a question.
    pub fn begin(&mut self, now: Instant, question: Question, service: Service, wishes: Wishes) -> Progress {
        let work = Work {
            current: question.clone(),
            question,
            aliases: Vec::new(),
            service,
            wishes,
            is_ipv4: false,
            is_stale: false,
            turns: 0,
            owner: Arc::new(Owner { who: Who::Upstream, servers: Vec::new() }),
        };
        self.go_on(now, work)
    }

    /// Goes on with a question when somebody was asked; `None` when nobody answered.
    pub fn proceed(&mut self, now: Instant, work: Work, reply: Option<&Message>) -> Progress {
        self.count(&work.owner, false);
        let usable = [ResponseCode::NoError, ResponseCode::NXDomain];
        let answer = match reply {
            Some(reply) if usable.contains(&reply.metadata.response_code) => self.heard(now, &work, reply),
            Some(_) => self.without(now, &work.current),
            None => {
                self.away.retain(|_, until| *until > now);
                self.away.extend(work.owner.servers.first().map(|server| (*server, now + AWAY)));
                self.without(now, &work.current)
            }
        };
        match self.turn(work, answer) {
            Ok(answer) => Progress::Done(answer),
            Err(work) => self.go_on(now, *work),
        }
    }

    fn go_on(&mut self, now: Instant, mut work: Work) -> Progress {
        loop {
            if work.turns >= TURNS_MAX {
                return Progress::Done(Answer::empty(ResponseCode::ServFail));
            }
            work.turns += 1;
            let answer = match self.look(now, &work) {
                Look::Answer(answer) => answer,
                Look::Ask(owner) if self.has_room(&owner) => {
                    self.count(&owner, true);
                    return Progress::Ask(Box::new(Work { owner, ..work }));
                }
                Look::Ask(_) => self.without(now, &work.current),
            };
            match self.turn(work, answer) {
                Ok(answer) => return Progress::Done(answer),
                Err(next) => work = *next,
            }
        }
    }

    /// Says what this router knows itself, or who knows more.
    fn look(&self, now: Instant, work: &Work) -> Look {
        let question = &work.current;
        let subject = question.subject();
        if let Some(target) = self.ipv4_reverse(work, &subject) {
            return Look::Answer(found(vec![wire::alias(&question.name, target)]));
        }
        match self.table.find(&subject, question.record_type.into()) {
            Found::Records(data) if data.is_empty() => {
                Look::Answer(self.nothing(ResponseCode::NoError, question))
            }
            Found::Records(data) => {
                let records = data.iter().map(|data| wire::to_record(&question.name, data));
                Look::Answer(found(records.collect()))
            }
            Found::Cname(target) => {
                Look::Answer(found(vec![wire::alias(&question.name, wire::to_name(&target))]))
            }
            Found::Ask(owner) => self.owned(now, work, owner),
            // Its zone may have gone with its router.
            Found::NoName => Look::Answer(
                self.kept(now, question)
                    .map_or_else(|| self.nothing(ResponseCode::NXDomain, question), |(_, kept)| kept),
            ),
            Found::Elsewhere
                if work.service != Service::Mesh
                    || !work.aliases.is_empty()
                    || self.table.is_below_record(&subject) =>
            {
                let servers = self.settings.upstreams.clone();
                let owner = Owner { who: Who::Upstream, servers };
                if work.wishes.recursion { Look::Ask(Arc::new(owner)) } else { refused() }
            }
            Found::Elsewhere => refused(),
        }
    }

    /// Says what is kept of another's zone, or that it is to be asked.
    fn owned(&self, now: Instant, work: &Work, owner: Arc<Owner>) -> Look {
        let question = &work.current;
        let is_own = owner.who == Who::Router(self.settings.own);
        if is_own && !self.settings.has_zone_server {
            return Look::Answer(self.nothing(ResponseCode::NXDomain, question));
        }
        let kept = self.kept(now, question);
        let is_away =
            owner.servers.first().and_then(|server| self.away.get(server)).is_some_and(|until| *until > now);
        match kept {
            Some((Use::Fresh, answer)) => Look::Answer(answer),
            Some((Use::Stale, answer)) if is_away || !work.wishes.recursion => Look::Answer(answer),
            None if !work.wishes.recursion => refused(),
            Some(_) | None => Look::Ask(owner),
        }
    }

    /// Takes an answer, or says how to go on: under another name, or with IPv4 addresses in the place of missing IPv6 ones.
    fn turn(&self, mut work: Work, answer: Answer) -> Result<Answer, Box<Work>> {
        work.is_stale |= answer.is_stale;
        let end = last_name(&work.current.name, &answer.records);
        let is_found =
            |record: &Record| record.name == end && record.record_type() == work.current.record_type;
        let is_alias = end != work.current.name && work.current.record_type != RecordType::CNAME;
        if answer.code == ResponseCode::NoError && is_alias && !answer.records.iter().any(is_found) {
            work.current = Question::new(&end, work.current.record_type);
            work.aliases.extend(answer.records);
            return Err(Box::new(work));
        }
        let wants_ipv4 = work.service == Service::Dns64
            && work.question.record_type == RecordType::AAAA
            && !work.wishes.checking_disabled
            && !work.is_ipv4
            && answer.code == ResponseCode::NoError;
        let is_usable =
            |record: &Record| record.record_type() == RecordType::AAAA && !dns64::is_excluded(record);
        if wants_ipv4 && !answer.records.iter().any(is_usable) {
            work.is_ipv4 = true;
            work.aliases.clear();
            work.current = Question::new(&work.question.name, RecordType::A);
            return Err(Box::new(work));
        }
        let mut records = work.aliases;
        records.extend(answer.records);
        if work.is_ipv4 {
            records = dns64::synthesize(self.settings.dns64_prefix, &records);
        }
        // An alias whose end cannot be found out is still the truth.
        let is_known = answer.code != ResponseCode::ServFail || records.is_empty();
        let code = if is_known { answer.code } else { ResponseCode::NoError };
        Ok(Answer { code, records, authority: answer.authority, is_stale: work.is_stale })
    }

    /// Takes what an owner says about its zone and nothing else.
    fn heard(&mut self, now: Instant, work: &Work, reply: &Message) -> Answer {
        for server in work.servers() {
            self.away.remove(server);
        }
        let code = reply.metadata.response_code;
        let mut records = reply.answers.clone();
        if work.owner.who != Who::Upstream {
            let owns = |record: &Record| {
                let subject = Question::new(&record.name, record.record_type()).subject();
                self.table.owner(&subject).is_some_and(|owner| *owner == work.owner)
            };
            records.retain(owns);
        }
        let authority = records.is_empty().then(|| self.authority(&work.current));
        let answer = Answer { code, records, authority, is_stale: false };
        if work.owner.who != Who::Upstream && work.owner.who != Who::Router(self.settings.own) {
            let (limit, stale_time) = (self.settings.cache, self.settings.stale_time);
            self.cache.tidy(now, limit, stale_time);
            self.cache.put(now, &work.current, &answer, limit);
        }
        answer
    }

    /// Returns what can be said when nobody can be asked.
    fn without(&self, now: Instant, question: &Question) -> Answer {
        self.kept(now, question).map_or_else(|| Answer::empty(ResponseCode::ServFail), |(_, kept)| kept)
    }

    fn kept(&self, now: Instant, question: &Question) -> Option<(Use, Answer)> {
        let (of, mut answer) = self.cache.get(now, question, self.settings.stale_time)?;
        answer.authority = answer.records.is_empty().then(|| self.authority(question));
        Some((of, answer))
    }

    fn nothing(&self, code: ResponseCode, question: &Question) -> Answer {
        Answer { authority: Some(self.authority(question)), ..Answer::empty(code) }
    }

    fn authority(&self, question: &Question) -> Box<Record> {
        Box::new(wire::start_of_authority(question, &self.table.domain))
    }

    /// Returns the IPv4 reverse name in the place of that of an address that stands for an IPv4 one.
    fn ipv4_reverse(&self, work: &Work, subject: &Subject) -> Option<Name> {
        let Subject::Reverse(net, _) = subject else { return None };
        let is_asked = work.service == Service::Dns64 && work.current.record_type == RecordType::PTR;
        dns64::reverse_alias(self.settings.dns64_prefix, net).filter(|_| is_asked)
    }

    fn has_room(&self, owner: &Owner) -> bool {
        let of_one =
            owner.servers.first().and_then(|server| self.asking.get(server)).copied().unwrap_or_default();
        self.asking.values().sum::<usize>() < ASKS_MAX && of_one < ASKS_OF_ONE_MAX
    }

    fn count(&mut self, owner: &Owner, begins: bool) {
        let Some(server) = owner.servers.first() else { return };
        let count = self.asking.entry(*server).or_default();
        *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        self.asking.retain(|_, count| *count > 0);
    }
}

fn found(records: Vec<Record>) -> Answer {
    Answer { records, ..Answer::empty(ResponseCode::NoError) }
}

const fn refused() -> Look {
    Look::Answer(Answer::empty(ResponseCode::Refused))
}

/// Returns the name at the end of the aliases among some records.
fn last_name(first: &Name, records: &[Record]) -> Name {
    let mut name = first.clone();
    for _ in 0..records.len() {
        let next =
            records.iter().filter(|record| record.name == name).find_map(|record| match &record.data {
                RData::CNAME(target) => Some(target.0.to_lowercase()),
                _ => None,
            });
        match next {
            Some(next) => name = next,
            None => break,
        }
    }
    name
}

#[cfg(test)]
mod tests;
