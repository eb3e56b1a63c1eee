//! The configuration of nginx: what services become, read back, and judged by nginx itself where there is one.
//!
//! `INSTA_UPDATE=always cargo test -p dlan-agent --test nginx` writes the expected texts; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use dlan_agent::config::service::{Listen, ServiceConfig};
use dlan_agent::config::uci::quote;
use dlan_agent::config::{Config, Source, parse};
use dlan_agent::render::nginx::{Router, Unexposed, render, unexposed};
use dlan_agent::state::nginx::{NginxFacts, NginxVersion, StreamModule};
use dlan_agent::state::program::Transition;
use dlan_agent::state::upstreams::UpstreamFacts;
use proptest::prelude::*;

const HEAD: &str = "config mesh\n option host_id 1\nconfig wan\n option device eth0\n";

fn config(services: &str) -> Config {
    let text = format!("{HEAD}{services}");
    parse(Source { file: "dlan", text: &text, hostname: "r1" }).unwrap_or_else(|it| panic!("{it}")).config
}

fn nginx() -> NginxFacts {
    NginxFacts {
        path: "/usr/sbin/nginx".into(),
        version: NginxVersion(1, 22, 1),
        stream: StreamModule::File("/usr/lib/nginx/modules/ngx_stream_module.so".into()),
        group: "nogroup".to_owned(),
    }
}

fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What is known where these names have these addresses.
fn upstreams(names: &[(&str, &[&str])]) -> UpstreamFacts {
    let names = names.iter().map(|(name, found)| ((*name).to_owned(), addresses(found)));
    UpstreamFacts { names: names.collect(), down: BTreeSet::new(), is_settled: true }
}

/// Returns the text for a router with the addresses 192.0.2.4 and 2001:db8::4.
fn text(config: &Config, upstreams: &UpstreamFacts) -> Option<String> {
    let nginx = nginx();
    let router = Router { nginx: &nginx, addresses: &addresses(&["192.0.2.4", "2001:db8::4"]), upstreams };
    render(&config.services, router).map(|program| program.files["nginx.conf"].file.text.clone())
}

/// A directive: its words, and those in its braces.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Directive {
    words: Vec<String>,
    block: Option<Vec<Directive>>,
}

impl Directive {
    fn name(&self) -> &str {
        &self.words[0]
    }

    /// Returns those of this name in its braces.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.block.iter().flatten().filter(move |directive| directive.name() == name)
    }
}

/// Reads a text as nginx does (ngx_conf_file.c): words, quotes, escapes, comments, `;` and braces.
fn read(text: &str) -> Result<Vec<Directive>, String> {
    let mut characters = text.chars().peekable();
    let directives = read_block(&mut characters, 0)?;
    if characters.peek().is_some() { Err("a brace too many".to_owned()) } else { Ok(directives) }
}

fn read_block(
    from: &mut std::iter::Peekable<std::str::Chars<'_>>,
    depth: usize,
) -> Result<Vec<Directive>, String> {
    let (mut directives, mut words) = (Vec::new(), Vec::new());
    loop {
        match from.next() {
            None if depth == 0 && words.is_empty() => return Ok(directives),
            None => return Err(format!("the text ends within {words:?}")),
            Some(c) if c.is_ascii_whitespace() => {}
            Some('#') => drop(from.by_ref().find(|c| *c == '\n')),
            Some(';') if !words.is_empty() => {
                directives.push(Directive { words: std::mem::take(&mut words), block: None });
            }
            Some('{') if !words.is_empty() => {
                let block = Some(read_block(from, depth + 1)?);
                directives.push(Directive { words: std::mem::take(&mut words), block });
            }
            Some('}') if depth > 0 && words.is_empty() => return Ok(directives),
            Some(mark @ (';' | '{' | '}')) => return Err(format!("{mark} after {words:?}")),
            Some(mark @ ('"' | '\'')) => words.push(read_quoted(from, mark)?),
            Some(first) => words.push(read_bare(from, first)),
        }
    }
}

fn read_quoted(from: &mut std::iter::Peekable<std::str::Chars<'_>>, mark: char) -> Result<String, String> {
    let mut word = String::new();
    loop {
        match from.next().ok_or("a quote is not closed")? {
            '\\' => word.push(from.next().ok_or("the text ends")?),
            c if c == mark => break,
            c => word.push(c),
        }
    }
    match from.peek() {
        Some(c) if c.is_ascii_whitespace() || matches!(c, ';' | '{' | ')') => Ok(word),
        other => Err(format!("{other:?} right after a quote")),
    }
}

fn read_bare(from: &mut std::iter::Peekable<std::str::Chars<'_>>, first: char) -> String {
    let mut word = first.to_string();
    while let Some(c) = from.next_if(|c| !c.is_ascii_whitespace() && !matches!(c, ';' | '{')) {
        word.push(if c == '\\' { from.next().unwrap_or(c) } else { c });
    }
    word
}

/// What there may be, by what it is in.
const DIRECTIVES: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "load_module",
            "daemon",
            "user",
            "worker_processes",
            "worker_rlimit_nofile",
            "worker_shutdown_timeout",
            "pid",
            "error_log",
            "events",
            "stream",
        ],
    ),
    (
        "stream",
        &[
            "map_hash_bucket_size",
            "map_hash_max_size",
            "variables_hash_max_size",
            "access_log",
            "proxy_socket_keepalive",
            "upstream",
            "log_format",
            "limit_conn_zone",
            "geo",
            "map",
            "server",
        ],
    ),
    (
        "server",
        &[
            "listen",
            "ssl_preread",
            "allow",
            "deny",
            "limit_conn",
            "proxy_download_rate",
            "proxy_upload_rate",
            "access_log",
            "proxy_protocol",
            "proxy_protocol_version",
            "proxy_connect_timeout",
            "proxy_timeout",
            "proxy_pass",
        ],
    ),
];

/// Returns the stream block of a text that has in it what there may be and nothing else.
fn stream_of(text: &str) -> Directive {
    let directives = read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let known = |within: &str, found: &[Directive]| {
        let (_, names) = DIRECTIVES.into_iter().find(|(name, _)| *name == within).unwrap();
        for directive in found {
            assert!(names.contains(&directive.name()), "{} in {within:?}:\n{text}", directive.name());
        }
    };
    known("", &directives);
    let stream = directives.iter().find(|it| it.name() == "stream").unwrap().clone();
    known("stream", stream.block.as_ref().unwrap());
    stream.all("server").for_each(|server| known("server", server.block.as_ref().unwrap()));
    stream
}

/// Asks the nginx at hand whether it takes a text; nothing where there is none, or the text is for another version.
fn judge(text: &str) {
    let Some(program) = std::env::var_os("DLAN_NGINX") else { return };
    let program = std::path::PathBuf::from(program);
    let module = program.parent().unwrap().join("../lib/nginx/modules/ngx_stream_module.so");
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display().to_string();
    let text = text.replace("/run/dlan-programs/nginx", &at);
    let text = text.replace("/usr/lib/nginx/modules/ngx_stream_module.so", module.to_str().unwrap());
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, &text).unwrap();
    let mut command = std::process::Command::new("unshare");
    let said = command.args(["--net", "--"]).arg(program).args(["-t", "-q", "-e", "stderr", "-c"]).arg(&file);
    let said = said.output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let is_taken = said.status.success() || words.contains("Cannot assign requested address");
    assert!(is_taken, "{words}\n{text}");
}

#[test]
fn a_service_with_every_option_becomes_what_nginx_reads() {
    let config = config(
        "config service web\n list listen '*:443'\n list listen '192.0.2.4:8443'\n\
         list upstream 'nas.r1.lan:443 weight=2 max_fails=3 fail_timeout=20'\n\
         list upstream '[fd79:1::7]:443 backup max_conns=10'\n option balance least_conn\n\
         option proxy_protocol 1\n list allow '198.51.100.0/24'\n list allow '2001:db8:7::/48'\n\
         option connections 100\n option connections_per_source 5\n option rate 8000\n\
         option connect_timeout 2\n option idle_timeout 600\n option access_log 1\n",
    );
    let text = text(&config, &upstreams(&[("nas.r1.lan", &["10.2.0.2", "fd79:1::2"])])).unwrap();
    judge(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn services_on_one_address_are_told_apart_by_the_name_that_clients_ask_for() {
    let config = config(
        "config service web\n list listen '*:443'\n list upstream '10.2.0.2:443'\n list sni 'www.example.com'\n\
         list sni '*.www.example.com'\n option access_log 1\n option rate 1000\n\
         config service office\n list listen '0.0.0.0:443'\n list upstream '10.2.0.3:443'\n\
         list sni 'office.example.com'\n list allow '198.51.100.0/24'\n\
         config service gone\n list listen '0.0.0.0:443'\n list upstream 'gone.r1.lan:443'\n\
         list sni 'gone.example.com'\n\
         config service rest\n list listen '0.0.0.0:443'\n list upstream '10.2.0.9:443'\n",
    );
    let text = text(&config, &upstreams(&[("gone.r1.lan", &[])])).unwrap();
    judge(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn udp_services_share_nothing_with_tcp_ones_on_the_same_port() {
    let config = config(
        "config service\n option protocol udp\n list listen '[::]:53'\n list upstream 'a:53'\n list upstream 'b:53'\n\
         option balance hash\nconfig service\n list listen '[::]:53'\n list upstream '10.2.0.2:53'\n",
    );
    let text = text(&config, &upstreams(&[("a", &["10.2.0.2"]), ("b", &["10.2.0.3"])])).unwrap();
    judge(&text);
    insta::assert_snapshot!(text);
}

/// Returns the listen addresses and upstream servers in a text.
fn sockets(text: &str) -> (Vec<String>, Vec<String>) {
    let stream = stream_of(text);
    let listen = stream.all("server").flat_map(|server| server.all("listen").map(|it| it.words[1].clone()));
    let servers = stream
        .all("upstream")
        .flat_map(|upstream| upstream.all("server").map(|it| it.words[1..].join(" ")).collect::<Vec<_>>());
    (listen.collect(), servers.filter(|it| !it.ends_with(" down")).collect())
}

const TWO: &str = "config service a\n list listen '*:80'\n list upstream 'one:80'\n list upstream 'two:80 backup'\n\
                   config service b\n list listen '*:81'\n list upstream 'one:81'\n";

#[test]
fn a_name_without_an_address_takes_out_that_upstream_and_no_other() {
    let config = config(TWO);
    let text = text(&config, &upstreams(&[("one", &[]), ("two", &["10.2.0.2"])])).unwrap();
    let (listen, servers) = sockets(&text);
    assert_eq!(listen, ["0.0.0.0:80", "[::]:80"], "b has no upstream left, and refuses connections");
    // Alone, the backup serves.
    assert_eq!(servers, ["10.2.0.2:80 weight=1 max_fails=1 fail_timeout=10s max_conns=0"]);
}

#[test]
fn an_upstream_that_fails_its_check_is_taken_out_of_the_service_that_checks_it() {
    let config = config(TWO);
    let mut known = upstreams(&[("one", &["10.2.0.1", "fd79::1"]), ("two", &["10.2.0.2"])]);
    known.down.insert(("a".to_owned(), "10.2.0.1:80".parse().unwrap()));
    let (_, servers) = sockets(&text(&config, &known).unwrap());
    let first: Vec<&str> = servers.iter().map(|it| it.split(' ').next().unwrap()).collect();
    assert_eq!(first, ["[fd79::1]:80", "10.2.0.2:80", "10.2.0.1:81", "[fd79::1]:81"]);
    assert!(servers[1].ends_with(" backup"));
}

#[test]
fn where_nothing_can_be_exposed_nginx_listens_nowhere_and_keeps_its_connections() {
    let elsewhere = "config service a\n list listen '192.0.2.77:80'\n list upstream '10.2.0.1:80'\n";
    for services in [TWO, elsewhere] {
        let text = text(&config(services), &upstreams(&[])).unwrap();
        judge(&text);
        assert_eq!(sockets(&text), (vec![], vec![]));
    }
}

#[test]
fn an_nginx_without_a_stream_module_is_not_started() {
    let nginx = NginxFacts { stream: StreamModule::Missing, ..nginx() };
    let (addresses, upstreams) = (BTreeSet::new(), upstreams(&[("one", &["10.2.0.1"])]));
    let router = Router { nginx: &nginx, addresses: &addresses, upstreams: &upstreams };
    assert_eq!(render(&config(TWO).services, router), None);
}

#[test]
fn other_services_are_read_without_a_restart() {
    let program = |services: &str| {
        let (nginx, addresses, upstreams) = (nginx(), BTreeSet::new(), upstreams(&[]));
        let router = Router { nginx: &nginx, addresses: &addresses, upstreams: &upstreams };
        render(&config(services).services, router)
    };
    let service =
        |port: u16| format!("config service web\n list listen '*:{port}'\n list upstream '10.2.0.1:80'\n");
    let (before, after) = (program(&service(80)), program(&service(81)));
    assert_eq!(Transition::between(before.as_ref(), after.as_ref()), Transition::Reload);
}

#[test]
fn it_is_told_why_a_service_is_not_exposed() {
    let config = config(
        "config service a\n list listen '192.0.2.77:80'\n list listen '192.0.2.4:80'\n option proxy_protocol 2\n\
         list upstream 'one:80'\n",
    );
    let mut nginx = nginx();
    let reasons = |nginx: &NginxFacts, names: &[(&str, &[&str])]| {
        let (addresses, upstreams) = (addresses(&["192.0.2.4"]), upstreams(names));
        unexposed(&config.services[0], Router { nginx, addresses: &addresses, upstreams: &upstreams })
    };
    let foreign = Unexposed::NotOurs("192.0.2.77:80".parse().unwrap());
    let all = [Unexposed::ProxyVersion, Unexposed::NoUpstream, foreign.clone()];
    assert_eq!(reasons(&nginx, &[]), BTreeSet::from(all));
    nginx.version = NginxVersion(1, 31, 4);
    assert_eq!(reasons(&nginx, &[("one", &["10.2.0.1"])]), BTreeSet::from([foreign]));
    let (addresses, upstreams) = (addresses(&["192.0.2.4"]), upstreams(&[("one", &["10.2.0.1"])]));
    let router = Router { nginx: &nginx, addresses: &addresses, upstreams: &upstreams };
    let program = render(&config.services, router).unwrap();
    assert!(program.files["nginx.conf"].file.text.contains("proxy_protocol_version 2;"));
}

/// Texts that try to be more than a value.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "\"",
        "'",
        "\\",
        "\n",
        ";",
        "{",
        "}",
        "$",
        "${",
        "#",
        " ",
        "include /etc/passwd;",
        "} server {",
        "nas",
        ".",
        ":",
        "443",
        "10.2.0.2",
        "*",
        "www.example.com",
        "/24",
        "=",
        "weight",
        "backup",
        "\r",
        "\t",
        "é",
        "@",
    ]);
    prop_oneof![proptest::collection::vec(pieces, 1..8).prop_map(|pieces| pieces.concat()), any::<String>(),]
}

/// One option of a service, with a hostile value.
fn option_line() -> impl Strategy<Value = String> {
    let names = proptest::sample::select(vec![
        "list listen",
        "list upstream",
        "list sni",
        "list allow",
        "option balance",
        "option protocol",
        "option proxy_protocol",
        "option connections",
        "option rate",
        "option connect_timeout",
        "option health",
        "option health_send",
        "option access_log",
    ]);
    (names, hostile()).prop_map(|(name, value)| format!(" {name} {}\n", quote(&value)))
}

proptest! {
    #[test]
    fn whatever_is_written_in_a_file_that_is_accepted_becomes_what_is_meant_and_no_more(
        name in prop_oneof![Just("web".to_owned()), "[a-zA-Z0-9_]{1,20}", hostile()],
        lines in proptest::collection::vec(option_line(), 0..3),
        by_name in any::<bool>(),
    ) {
        let sni = if by_name { " list sni 'www.example.com'\n option access_log 1\n" } else { "" };
        let text = format!(
            "{HEAD}config service {}\n list listen '*:80'\n list upstream '10.2.0.1:80'\n{sni}{}",
            quote(&name), lines.concat(),
        );
        if let Ok(loaded) = parse(Source { file: "dlan", text: &text, hostname: "r1" }) {
            is_what_is_meant(&loaded.config.services);
        }
    }

    #[test]
    fn names_and_names_of_files_that_no_configuration_lets_in_would_do_no_harm(
        module in hostile(), group in hostile(), server_name in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}",
    ) {
        let config = config(&format!(
            "config service\n list listen '*:80'\n list upstream '10.2.0.1:80'\n list sni '{server_name}'\n"
        ));
        let nginx = NginxFacts { stream: StreamModule::File(module.clone().into()), group: group.clone(), ..nginx() };
        let (addresses, upstreams) = (BTreeSet::new(), upstreams(&[]));
        let router = Router { nginx: &nginx, addresses: &addresses, upstreams: &upstreams };
        let text = render(&config.services, router).unwrap().files["nginx.conf"].file.text.clone();
        let directives = read(&text).unwrap();
        prop_assert_eq!(&directives[0].words, &["load_module".to_owned(), module]);
        prop_assert_eq!(&directives[2].words, &["user".to_owned(), "nobody".to_owned(), group]);
        stream_of(&text);
    }
}

/// Renders services, has nginx judge the text, and reads it back: the sockets, upstreams and names are the services', each as
/// one word.
fn is_what_is_meant(services: &[ServiceConfig]) {
    let (nginx, mut upstreams) = (nginx(), upstreams(&[]));
    for upstream in services.iter().flat_map(|service| &service.upstreams) {
        let host = upstream.endpoint.host.clone();
        upstreams.names.insert(host, addresses(&["10.9.9.9", "fd99::9"]));
    }
    let sockets: BTreeSet<SocketAddr> =
        services.iter().flat_map(|service| &service.listen).flat_map(Listen::sockets).collect();
    let addresses = sockets.iter().map(SocketAddr::ip).collect();
    let router = Router { nginx: &nginx, addresses: &addresses, upstreams: &upstreams };
    let Some(program) = render(services, router) else { return };
    let text = &program.files["nginx.conf"].file.text;
    judge(text);
    let stream = stream_of(text);
    let words = |directive: &Directive| directive.words[1].clone();
    let listen: BTreeSet<String> =
        stream.all("server").flat_map(|server| server.all("listen").map(words).collect::<Vec<_>>()).collect();
    assert_eq!(listen, sockets.iter().map(ToString::to_string).collect());
    let expected: BTreeSet<String> =
        services.iter().flat_map(|it| upstreams.usable(it)).map(|(_, address)| address.to_string()).collect();
    let found: BTreeSet<String> = stream
        .all("upstream")
        .filter(|upstream| upstream.words[1] != "refused")
        .flat_map(|upstream| upstream.all("server").map(words).collect::<Vec<_>>())
        .collect();
    assert_eq!(found, expected);
    let names: BTreeMap<String, usize> = stream
        .all("map")
        .flat_map(|map| map.block.iter().flatten())
        .map(|it| (it.words[0].clone(), it.words.len()))
        .collect();
    for name in services.iter().flat_map(|service| &service.server_names) {
        assert_eq!(names.get(name.as_str()), Some(&2), "{names:?}");
    }
}
