//! The control protocol: one JSON line asks, one JSON line answers, both of bounded length.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::control::apply_report::{ApplyReport, DrainReport, HistoryReport, PlanReport, WindowReport};
use crate::control::names::NamesReport;
use crate::control::report::{
    LinkReport, LsaReport, NeighborsReport, PathReport, RouteReport, Status, Topology,
};
use crate::control::service_report::ServicesReport;
use crate::control::zones::ZonesReport;
use crate::openings::Openings;

/// The version both ends speak. It grows when a request or a reply changes its meaning.
pub const PROTOCOL_VERSION: u32 = 2;
/// The longest request in octets, line end included.
pub const REQUEST_MAX: usize = 4096;
/// The longest reply in octets, line end included: the database of some thousand routers.
pub const REPLY_MAX: usize = 32 * 1024 * 1024;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// One screen about this router.
    Status {},
    /// Every configured link.
    Links {},
    /// Every neighbor heard, in both families.
    Neighbors {},
    /// The routes of both families.
    Routes {},
    /// The database of both families.
    Lsdb {},
    /// Names of the whole mesh.
    Names {},
    /// The zones, what passes the WANs, and what was dropped.
    Zones {},
    /// The mesh as a graph.
    Topology {},
    /// The way to a router's name or to an address.
    Path {
        /// The name or address.
        host: String,
    },
    /// What would change.
    Plan {
        /// A directory that holds files as for an apply; nothing of it is put in place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<PathBuf>,
    },
    /// Change it.
    Apply(ApplyOrders),
    /// Keep what an apply brought about.
    Confirm {
        /// The token that the apply printed.
        token: String,
        /// Whether a caller on the router itself counts.
        local: bool,
    },
    /// Return to an earlier state: out of a window to the one before it, else to an apply of the history.
    Rollback {
        /// The apply to return to; the last other one when left out.
        number: Option<u64>,
    },
    /// Every service.
    Services {},
    /// Whether an apply waits to be confirmed.
    Window {},
    /// The last applies.
    History {},
    /// Keep other routers' traffic away.
    Drain {},
    /// Let it come back.
    Undrain {},
    /// What a firewall of the system's own must let in.
    Openings {},
    /// End, leaving everything standing.
    Stop {},
}

/// How to change the router.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApplyOrders {
    /// Undo it unless it is confirmed within so many seconds.
    pub confirm: Option<u64>,
    /// Links by name and addresses that confirm it by answering, all of them.
    pub require: BTreeSet<String>,
    /// A directory that holds files to be put in place with it, each under the path it is to have.
    pub stage: Option<PathBuf>,
    /// Whether it may close the path by which the caller came.
    pub force: bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "content", rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Links`].
    Links(Vec<LinkReport>),
    /// To [`Request::Neighbors`].
    Neighbors(NeighborsReport),
    /// To [`Request::Routes`].
    Routes(Vec<RouteReport>),
    /// To [`Request::Lsdb`].
    Lsdb(Vec<LsaReport>),
    /// To [`Request::Names`].
    Names(Box<NamesReport>),
    /// To [`Request::Zones`].
    Zones(ZonesReport),
    /// To [`Request::Topology`].
    Topology(Topology),
    /// To [`Request::Path`]: a way for each of the addresses; none when the name is not a router's.
    Path(Vec<PathReport>),
    /// To [`Request::Services`].
    Services(ServicesReport),
    /// To [`Request::Plan`].
    Plan(PlanReport),
    /// To [`Request::Apply`] and [`Request::Rollback`].
    Apply(ApplyReport),
    /// To [`Request::Drain`] and [`Request::Undrain`].
    Drain(DrainReport),
    /// To [`Request::Confirm`].
    Confirmed,
    /// To [`Request::Window`].
    Window(Option<WindowReport>),
    /// To [`Request::History`], the oldest first.
    History(Vec<HistoryReport>),
    /// To [`Request::Openings`].
    Openings(Openings),
    /// To [`Request::Stop`]: the agent ends after this line.
    Stopping,
    /// The request was not carried out.
    Refused(Refusal),
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of reason it is.
    pub kind: RefusalKind,
    /// The reason in words; for a rejected configuration one line per error, exactly as `config check` prints them.
    pub message: String,
}

/// What kind of reason a refusal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The request could not be read.
    BadRequest,
    /// The client speaks another version of the protocol.
    OtherVersion,
    /// Too many clients, or this one was too slow.
    Busy,
    /// The configuration was rejected; nothing changed.
    ConfigRejected,
    /// What was asked about is not known.
    Unknown,
    /// It was tried and failed.
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    version: u32,
    request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
struct ReplyLine {
    version: u32,
    #[serde(flatten)]
    reply: Reply,
}

#[derive(Debug, Deserialize)]
struct VersionOnly {
    version: u32,
}

/// Why a line is not a request or a reply.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// More octets than a line may have.
    #[error("the line is longer than {limit} octets")]
    TooLong {
        /// The limit that was passed, in octets.
        limit: usize,
    },
    /// Another version.
    #[error("protocol version {theirs} was spoken, this program speaks {PROTOCOL_VERSION}")]
    OtherVersion {
        /// The version in the line.
        theirs: u32,
    },
    /// Not what this version says.
    #[error("the line is not understood: {source}")]
    Malformed {
        /// Where reading it stopped.
        #[source]
        source: serde_json::Error,
    },
}

impl From<serde_json::Error> for ProtocolError {
    fn from(source: serde_json::Error) -> Self {
        Self::Malformed { source }
    }
}

/// Returns the request as a line, line end included.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, ProtocolError> {
    let line = RequestLine { version: PROTOCOL_VERSION, request: request.clone() };
    encode_line(&line, REQUEST_MAX)
}

/// Reads a request from a line, with or without its line end.
pub fn decode_request(line: &[u8]) -> Result<Request, ProtocolError> {
    decode_line::<RequestLine>(line, REQUEST_MAX).map(|line| line.request)
}

/// Returns the reply as a line, line end included.
pub fn encode_reply(reply: Reply) -> Result<Vec<u8>, ProtocolError> {
    encode_line(&ReplyLine { version: PROTOCOL_VERSION, reply }, REPLY_MAX)
}

/// Reads a reply from a line, with or without its line end.
pub fn decode_reply(line: &[u8]) -> Result<Reply, ProtocolError> {
    decode_line::<ReplyLine>(line, REPLY_MAX).map(|line| line.reply)
}

fn encode_line<T: Serialize>(line: &T, limit: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut octets = serde_json::to_vec(line)?;
    octets.push(b'\n');
    if octets.len() > limit { Err(ProtocolError::TooLong { limit }) } else { Ok(octets) }
}

fn decode_line<T: for<'de> Deserialize<'de>>(line: &[u8], limit: usize) -> Result<T, ProtocolError> {
    if line.len() > limit {
        return Err(ProtocolError::TooLong { limit });
    }
    // The version is read by itself first, so that a line of another version is called that and not malformed.
    let VersionOnly { version } = serde_json::from_slice(line)?;
    if version != PROTOCOL_VERSION {
        return Err(ProtocolError::OtherVersion { theirs: version });
    }
    Ok(serde_json::from_slice(line)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_survives_the_line() {
        let request = Request::Path { host: "nas\n\"r1\"".to_owned() };
        let line = encode_request(&request).unwrap();
        assert_eq!(line.iter().filter(|octet| **octet == b'\n').count(), 1);
        assert_eq!(decode_request(&line).unwrap(), request);
    }

    #[test]
    fn a_line_of_another_version_is_called_that() {
        let error = decode_request(br#"{"version":7,"request":{"command":"fly"}}"#).unwrap_err();
        assert!(matches!(error, ProtocolError::OtherVersion { theirs: 7 }));
    }

    #[test]
    fn malformed_requests_are_refused() {
        for line in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"version":2}"#,
            r#"{"version":"1","request":{"command":"status"}}"#,
            r#"{"version":2,"request":"status"}"#,
            r#"{"version":2,"request":{"command":"fly"}}"#,
            r#"{"version":2,"request":{"command":"path"}}"#,
            r#"{"version":2,"request":{"command":"status","host":"r2"}}"#,
            r#"{"version":2,"request":{"command":"status"},"more":1}"#,
            r#"{"version":2,"request":{"command":"status"}} {"#,
            "{\"version\":1,\"request\":{\"command\":\"path\",\"host\":\"\u{0}",
        ] {
            assert!(decode_request(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_request_past_the_limit_is_refused_at_both_ends() {
        let request = Request::Path { host: "x".repeat(REQUEST_MAX) };
        assert!(matches!(encode_request(&request), Err(ProtocolError::TooLong { .. })));
        let line = vec![b' '; REQUEST_MAX + 1];
        assert!(matches!(decode_request(&line), Err(ProtocolError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode_request(&octets);
            let _ = decode_reply(&octets);
        }

        #[test]
        fn any_host_survives_the_line(host in "\\PC{0,200}") {
            let request = Request::Path { host };
            prop_assert_eq!(decode_request(&encode_request(&request).unwrap()).unwrap(), request);
        }
    }
}
