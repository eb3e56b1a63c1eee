//! The options of `config service`.

use std::time::Duration;

use ipnet::IpNet;

use super::value;
use super::{Balance, HealthKind, Listen, ProxyProtocol, ServerName, Transport, Upstream};
use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
use crate::config::value::{integer_u8, integer_u32, seconds, switch};

const SECONDS: &str = "seconds";

/// The section with its options.
pub static SECTION: SectionSchema = SectionSchema {
    kind: "service",
    occurrence: Occurrence::Any,
    example: "config service 'web'",
    summary: "Something that runs inside the mesh and is reached through addresses of this router, by an nginx of dlan's own; \
              the firewall is opened for it. Services on one listen address are told apart by `sni`.",
    options: &[
        &PROTOCOL,
        &LISTEN,
        &UPSTREAM,
        &BALANCE,
        &PROXY_PROTOCOL,
        &SNI,
        &ALLOW,
        &CONNECTIONS,
        &CONNECTIONS_PER_SOURCE,
        &RATE,
        &CONNECT_TIMEOUT,
        &IDLE_TIMEOUT,
        &ACCESS_LOG,
        &HEALTH,
        &HEALTH_INTERVAL,
        &HEALTH_TIMEOUT,
        &HEALTH_FAILS,
        &HEALTH_RISES,
        &HEALTH_SEND,
        &HEALTH_EXPECT,
    ],
};

/// What clients speak.
pub static PROTOCOL: TypedOption<Transport> =
    TypedOption::new("protocol", Kind::OneOf(&["tcp", "udp"]), value::transport)
        .default(Default::Value("tcp"))
        .summary("What clients speak.");

/// Where clients are listened for.
pub static LISTEN: TypedOption<Listen> = TypedOption::new("listen", Kind::Listen, value::listen)
    .list()
    .summary("Where clients come to: `*:443` at every address, `0.0.0.0:443` at every IPv4 address, `[::]:443` at every IPv6 address, or one address of this router.");

/// Where clients are passed on to.
pub static UPSTREAM: TypedOption<Upstream> = TypedOption::new("upstream", Kind::Upstream, value::upstream)
    .list()
    .summary("Where clients are passed on to: a name, whose addresses are followed as they change, or an address, with the port. After it may stand `weight=2` (its share), `backup` (used while no other can be), `down` (left out), `max_fails=1` and `fail_timeout=10` (left alone for so many seconds after so many failures within as many), `max_conns=100`.");

/// Which upstream a client gets.
pub static BALANCE: TypedOption<Balance> =
    TypedOption::new("balance", Kind::OneOf(&["round_robin", "least_conn", "hash"]), value::balance)
        .default(Default::Value("round_robin"))
        .summary("Which upstream a client gets: one after the other, the one with the fewest connections, or always the same for the same address.");

/// How upstreams are told who the client is.
pub static PROXY_PROTOCOL: TypedOption<ProxyProtocol> =
    TypedOption::new("proxy_protocol", Kind::OneOf(&["0", "1", "2"]), value::proxy_protocol)
        .default(Default::Value("0"))
        .summary("The version of the PROXY protocol by which TCP upstreams are told the client's address, and which they must expect then; 0 tells nothing. Version 2 needs nginx 1.31.4.");

/// The TLS server names.
pub static SNI: TypedOption<ServerName> = TypedOption::new("sni", Kind::ServerName, value::server_name)
    .list()
    .default(Default::Unset("what no other service on the listen address names"))
    .summary("The TLS server names that are this service's; TLS itself is passed through to the upstream. `*.example.com` stands for every name below example.com.");

/// Who may use it.
pub static ALLOW: TypedOption<IpNet> = TypedOption::new("allow", Kind::Source, value::source)
    .list()
    .default(Default::Unset("everybody"))
    .summary("From where clients may come; others are refused.");

/// The most connections.
pub static CONNECTIONS: TypedOption<u32> =
    TypedOption::new("connections", Kind::Integer { min: 1, max: 1_000_000, unit: "" }, integer_u32)
        .default(Default::Unset("any number"))
        .summary("The most connections at one time; further ones are refused.");

/// The most connections from one address.
pub static CONNECTIONS_PER_SOURCE: TypedOption<u32> = TypedOption::new(
    "connections_per_source",
    Kind::Integer { min: 1, max: 1_000_000, unit: "" },
    integer_u32,
)
.default(Default::Unset("any number"))
.summary("The most connections at one time from one address; further ones are refused.");

/// What one connection may carry.
pub static RATE: TypedOption<u32> = TypedOption::new(
    "rate",
    Kind::Integer { min: 8, max: 10_000_000, unit: "kilobits a second" },
    integer_u32,
)
.default(Default::Unset("as much as there is"))
.summary("What one connection may carry in each direction.");

/// How long an upstream may take to accept a connection.
pub static CONNECT_TIMEOUT: TypedOption<Duration> =
    TypedOption::new("connect_timeout", Kind::Integer { min: 1, max: 75, unit: SECONDS }, seconds)
        .default(Default::Value("3"))
        .summary("How long an upstream may take to accept a connection before the next one is tried.");

/// How long nothing may be sent.
pub static IDLE_TIMEOUT: TypedOption<Duration> =
    TypedOption::new("idle_timeout", Kind::Integer { min: 1, max: 86_400, unit: SECONDS }, seconds)
        .default(Default::Value("60"))
        .summary("How long a connection, or a client of UDP, may say nothing before it is forgotten.");

/// Whether connections are logged.
pub static ACCESS_LOG: TypedOption<bool> = TypedOption::new("access_log", Kind::OneOf(&["0", "1"]), switch)
    .default(Default::Value("0"))
    .summary("Whether every connection is written to the system's log when it ends: 1 or 0.");

/// What upstreams are asked.
pub static HEALTH: TypedOption<HealthKind> =
    TypedOption::new("health", Kind::OneOf(&["none", "connect", "tls", "udp"]), value::health)
        .default(Default::Value("none"))
        .summary("How this router finds out whether an upstream works, before a client does: by a TCP connection, by the beginning of a TLS handshake, or by a UDP packet, `health_send`, and its answer.");

/// How often upstreams are asked.
pub static HEALTH_INTERVAL: TypedOption<Duration> =
    TypedOption::new("health_interval", Kind::Integer { min: 1, max: 3600, unit: SECONDS }, seconds)
        .default(Default::Value("5"))
        .summary("How often each upstream is asked.");

/// How long an answer may take.
pub static HEALTH_TIMEOUT: TypedOption<Duration> =
    TypedOption::new("health_timeout", Kind::Integer { min: 1, max: 60, unit: SECONDS }, seconds)
        .default(Default::Value("2"))
        .summary("How long the answer may take.");

/// When an upstream is taken out.
pub static HEALTH_FAILS: TypedOption<u8> =
    TypedOption::new("health_fails", Kind::Integer { min: 1, max: 100, unit: "" }, integer_u8)
        .default(Default::Value("1"))
        .summary("After how many missing answers in a row an upstream is taken out.");

/// When an upstream is taken in again.
pub static HEALTH_RISES: TypedOption<u8> =
    TypedOption::new("health_rises", Kind::Integer { min: 1, max: 100, unit: "" }, integer_u8)
        .default(Default::Value("2"))
        .summary("After how many answers in a row it is taken in again.");

/// What a UDP packet has in it.
pub static HEALTH_SEND: TypedOption<Vec<u8>> = TypedOption::new("health_send", Kind::Octets, value::octets)
    .default(Default::Unset("needed with option health 'udp'"))
    .summary("What the UDP packet has in it.");

/// What the answer begins with.
pub static HEALTH_EXPECT: TypedOption<Vec<u8>> =
    TypedOption::new("health_expect", Kind::Octets, value::octets)
        .default(Default::Unset("any answer will do"))
        .summary("What the answer to the UDP packet begins with.");
