//! Between the mesh's own words and DNS messages: names, records, questions and the header of answers.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::domain::DomainName;
use super::record::{RecordData, TTL};
use super::zones::Subject;

/// How long it may be remembered that a name or record does not exist, in seconds: a host that was just plugged in is found
/// soon after.
pub const NEGATIVE_TTL: u32 = 2;
/// The largest answer over UDP: it fits every link unfragmented.
const UDP_MAX: u16 = 1232;
/// The largest answer over UDP to who says nothing of its size (RFC 1035 section 4.2.1).
const UDP_PLAIN: u16 = 512;
/// The EDNS option of extended errors, and the one that marks stale answers (RFC 8914 section 4.4).
const EXTENDED_ERROR: u16 = 15;
const STALE_ANSWER: [u8; 2] = [0, 3];

/// What is asked: a name and a type, in class IN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The name, in lower case.
    pub name: Name,
    /// The type.
    pub record_type: RecordType,
}

impl Question {
    /// Asks for records of a type.
    pub fn new(name: &Name, record_type: RecordType) -> Self {
        let mut name = name.to_lowercase();
        name.set_fqdn(true);
        Self { name, record_type }
    }

    /// Returns what the question is about.
    pub fn subject(&self) -> Subject {
        let name = from_name(&self.name);
        match self.name.parse_arpa_name() {
            Ok(net) => Subject::Reverse(net, name),
            Err(_) => Subject::Name(name),
        }
    }
}

/// Returns a name as messages have it.
pub fn to_name(name: &DomainName) -> Name {
    // A domain name has nothing that a message's name could not have.
    let mut name = Name::from_ascii(name.as_str()).unwrap_or_default();
    name.set_fqdn(true);
    name
}

/// Returns a message's name; `None` with characters that no name of the mesh's own records has.
pub fn from_name(name: &Name) -> Option<DomainName> {
    name.to_ascii().parse().ok()
}

/// Returns an own record.
pub fn to_record(name: &Name, data: &RecordData) -> Record {
    let data = match data {
        RecordData::A(address) => RData::A(A(*address)),
        RecordData::Aaaa(address) => RData::AAAA(AAAA(*address)),
        RecordData::Cname(target) => RData::CNAME(CNAME(to_name(target))),
        RecordData::Ptr(target) => RData::PTR(PTR(to_name(target))),
        RecordData::Srv { priority, weight, port, target } => {
            RData::SRV(SRV::new(*priority, *weight, *port, to_name(target)))
        }
        RecordData::Txt(text) => RData::TXT(TXT::from_bytes(vec![text])),
    };
    Record::from_rdata(name.clone(), TTL, data)
}

/// Returns a record that says that everything is found under another name.
pub fn alias(name: &Name, target: Name) -> Record {
    Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target)))
}

/// Returns the address of an address record.
pub const fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(A(address)) => Some(IpAddr::V4(*address)),
        RData::AAAA(AAAA(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// Returns the record that goes with the answer that there is nothing (RFC 2308 section 3).
pub fn start_of_authority(question: &Question, domain: &DomainName) -> Record {
    let domain = to_name(domain);
    let apex = if domain.zone_of(&question.name) { domain.clone() } else { question.name.clone() };
    let contact = Name::from_ascii("hostmaster").and_then(|name| name.append_domain(&domain));
    let (refresh, retry, expire) = (3600, 600, 86_400);
    let contact = contact.unwrap_or_else(|_| domain.clone());
    let soa = SOA::new(domain, contact, 1, refresh, retry, expire, NEGATIVE_TTL);
    Record::from_rdata(apex, NEGATIVE_TTL, RData::SOA(soa))
}

/// Returns the message that asks. `recursion` asks for more than the server knows itself.
pub fn query(question: &Question, recursion: bool, (dnssec_ok, checking_disabled): (bool, bool)) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = recursion;
    message.metadata.checking_disabled = checking_disabled;
    message.add_query(Query::query(question.name.clone(), question.record_type));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_MAX).set_dnssec_ok(dnssec_ok);
    message.set_edns(edns);
    message
}

/// Returns whether a message is the answer to another one.
pub fn is_answer(answer: &Message, to: &Message) -> bool {
    let same = |(one, other): (&Query, &Query)| {
        one.name == other.name && one.query_type == other.query_type && one.query_class == other.query_class
    };
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == to.metadata.id
        && answer.queries.len() == to.queries.len()
        && answer.queries.iter().zip(&to.queries).all(same)
}

/// Why a request is not even looked at.
pub fn refusal(request: &Message) -> Option<ResponseCode> {
    let [query] = request.queries.as_slice() else {
        return Some(ResponseCode::FormErr);
    };
    if request.metadata.op_code != OpCode::Query {
        return Some(ResponseCode::NotImp);
    }
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return Some(ResponseCode::BADVERS);
    }
    let is_all = matches!(query.query_type, RecordType::ANY | RecordType::AXFR | RecordType::IXFR);
    (is_all || query.query_class != DNSClass::IN).then_some(ResponseCode::Refused)
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub code: ResponseCode,
    /// The records.
    pub records: Vec<Record>,
    /// The record that goes with the answer that there is nothing.
    pub authority: Option<Box<Record>>,
    /// Whether it is what was known before the one who knows could not be asked.
    pub is_stale: bool,
}

impl Answer {
    /// Returns an answer without records.
    pub const fn empty(code: ResponseCode) -> Self {
        Self { code, records: Vec::new(), authority: None, is_stale: false }
    }
}

/// Returns the octets of an answer. Over UDP one that does not fit is cut short, to be asked again over TCP.
pub fn encode(
    request: &Message,
    answer: &Answer,
    is_udp: bool,
    recursion_available: bool,
) -> Option<Vec<u8>> {
    let mut message = Message::response(request.metadata.id, request.metadata.op_code);
    message.metadata = Metadata::response_from_request(&request.metadata);
    message.metadata.response_code = answer.code;
    message.metadata.recursion_available = recursion_available;
    message.add_queries(request.queries.iter().take(1).cloned());
    message.insert_answers(answer.records.clone());
    message.insert_authorities(answer.authority.iter().map(|record| record.as_ref().clone()).collect());
    let mut limit = if is_udp { UDP_PLAIN } else { u16::MAX };
    if let Some(asked) = &request.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_MAX).set_version(0).set_dnssec_ok(asked.flags().dnssec_ok);
        if answer.is_stale {
            edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, STALE_ANSWER.to_vec()));
        }
        message.set_edns(edns);
        limit = if is_udp { asked.max_payload().clamp(UDP_PLAIN, UDP_MAX) } else { u16::MAX };
    }
    let octets = message.to_vec().ok()?;
    if octets.len() <= limit.into() { Some(octets) } else { message.truncate().to_vec().ok() }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn ask(name: &str) -> Message {
        let question = Question::new(&Name::from_str(name).unwrap(), RecordType::TXT);
        query(&question, true, (false, false))
    }

    fn response(to: &Message, id: u16) -> Message {
        let mut response = Message::response(id, OpCode::Query);
        response.add_queries(to.queries.iter().cloned());
        response
    }

    #[test]
    fn an_answer_has_the_number_and_the_question_of_what_was_asked() {
        let (asked, other) = (ask("nas.r1.lan."), ask("web.r1.lan."));
        let id = asked.metadata.id;
        assert!(is_answer(&response(&asked, id), &asked));
        assert!(!is_answer(&response(&asked, id.wrapping_add(1)), &asked));
        assert!(!is_answer(&response(&other, id), &asked));
        assert!(!is_answer(&Message::response(id, OpCode::Query), &asked));
        assert!(!is_answer(&asked, &asked), "a question is none");
    }

    #[test]
    fn all_but_a_plain_question_about_one_name_is_refused() {
        let with = |change: &dyn Fn(&mut Message)| {
            let mut message = ask("nas.r1.lan.");
            change(&mut message);
            refusal(&message)
        };
        assert_eq!(with(&|_| {}), None);
        assert_eq!(with(&|message| message.metadata.op_code = OpCode::Update), Some(ResponseCode::NotImp));
        assert_eq!(with(&|message| message.queries.clear()), Some(ResponseCode::FormErr));
        assert_eq!(
            with(&|message| message.queries.push(message.queries[0].clone())),
            Some(ResponseCode::FormErr)
        );
        for all in [RecordType::ANY, RecordType::AXFR, RecordType::IXFR] {
            assert_eq!(
                with(&|message| message.queries[0].query_type = all),
                Some(ResponseCode::Refused),
                "{all}"
            );
        }
        assert_eq!(
            with(&|message| message.queries[0].query_class = DNSClass::CH),
            Some(ResponseCode::Refused)
        );
        let version = |message: &mut Message| {
            message.edns.as_mut().unwrap().set_version(1);
        };
        assert_eq!(with(&version), Some(ResponseCode::BADVERS));
    }

    #[test]
    fn over_udp_an_answer_is_as_large_as_its_asker_takes_and_fits_every_link() {
        let texts = |count| {
            let text = Record::from_rdata(Name::root(), 60, RData::TXT(TXT::from_bytes(vec![&[b'x'; 200]])));
            Answer { records: vec![text; count], ..Answer::empty(ResponseCode::NoError) }
        };
        let size = |payload: Option<u16>, answer: &Answer, is_udp| {
            let mut request = ask("large.lan.");
            match payload {
                Some(payload) => {
                    request.edns.as_mut().unwrap().set_max_payload(payload);
                }
                None => request.edns = None,
            }
            let octets = encode(&request, answer, is_udp, false).unwrap();
            (octets.len(), Message::from_vec(&octets).unwrap().metadata.truncation)
        };
        for payload in [None, Some(100), Some(512), Some(1232), Some(4096), Some(u16::MAX)] {
            let (length, is_cut) = size(payload, &texts(12), true);
            let limit = payload.map_or(512, |payload| payload.clamp(512, 1232));
            assert!(is_cut && length <= limit.into(), "{payload:?}: {length}");
            let (length, is_cut) = size(payload, &texts(12), false);
            assert!(!is_cut && length > 2000, "{payload:?}: {length} over TCP");
        }
        assert!(size(None, &texts(4), true).1);
        assert!(!size(Some(1232), &texts(4), true).1);
    }

    #[test]
    fn an_answer_from_before_is_marked_for_who_can_read_the_mark() {
        let marks = |is_stale, with_edns| {
            let mut request = ask("nas.r1.lan.");
            request.edns = request.edns.filter(|_| with_edns);
            let answer = Answer { is_stale, ..Answer::empty(ResponseCode::NoError) };
            let octets = encode(&request, &answer, true, false).unwrap();
            // The option's code, its length, and "Stale Answer" (RFC 8914 sections 2 and 4.4).
            octets.windows(6).filter(|window| *window == [0, 15, 0, 2, 0, 3]).count()
        };
        assert_eq!([marks(true, true), marks(false, true), marks(true, false)], [1, 0, 0]);
    }
}
