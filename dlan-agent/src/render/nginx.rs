//! The configuration of dlan's nginx, which passes clients of services on to their upstreams; pure.
//!
//! Every text of the operator's stands in double quotes, with a backslash before what would end or change it; addresses,
//! ports and numbers are written from values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::config::service::{Balance, Listen, ProxyProtocol, ServiceConfig, Transport, Upstream};
use crate::state::managed_file::ManagedFile;
use crate::state::nginx::{NginxFacts, PROXY_VERSION_2, StreamModule};
use crate::state::program::{Program, ProgramFile, ProgramName, Reread};
use crate::state::upstreams::UpstreamFacts;

/// The configuration's file.
const CONFIG_FILE: &str = "nginx.conf";
/// Where nginx notes its process.
const PID_FILE: &str = "pid";
/// Connections of a worker, two for each client.
const WORKER_CONNECTIONS: u32 = 4096;
/// How long a worker that was replaced may keep its connections.
const SHUTDOWN_TIMEOUT: &str = "24h";
/// The upstream that refuses.
const REFUSED: &str = "refused";
/// Octets of the memory in which connections are counted: nginx's least is 32 kB.
const TOTAL_ZONE: &str = "32k";
/// The same for connections by source: about 8,000 sources.
const SOURCE_ZONE: &str = "512k";

/// What of the router services need.
#[derive(Debug, Clone, Copy)]
pub struct Router<'a> {
    /// The nginx that is installed.
    pub nginx: &'a NginxFacts,
    /// This router's own addresses.
    pub addresses: &'a BTreeSet<IpAddr>,
    /// What is known of the upstreams.
    pub upstreams: &'a UpstreamFacts,
}

/// Returns the program with its configuration; `None` when it has no stream module. Where nothing can be listened for it runs
/// all the same: connections that stand are nobody's to end.
pub fn render(services: &[ServiceConfig], router: Router<'_>) -> Option<Program> {
    let text = config(services, router)?;
    let path = ProgramName::Nginx.directory().join(CONFIG_FILE).display().to_string();
    let arguments: Vec<String> = ["-e", "stderr", "-c", &path].map(str::to_owned).into();
    let check = ["-t", "-q"].map(str::to_owned).into_iter().chain(arguments.iter().cloned()).collect();
    let file = ProgramFile { file: ManagedFile::new(&text), reread: Reread::Reload };
    Some(Program {
        path: router.nginx.path.clone(),
        arguments,
        check: Some(check),
        directories: BTreeSet::new(),
        files: BTreeMap::from([(CONFIG_FILE.to_owned(), file)]),
        device: None,
        is_running: true,
    })
}

/// Why a service is not exposed, wholly or at an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unexposed {
    /// nginx cannot send version 2 of the PROXY protocol.
    ProxyVersion,
    /// No upstream can be used.
    NoUpstream,
    /// The address is none of this router's.
    NotOurs(SocketAddr),
}

/// Returns why a service is not exposed, as far as it is not.
pub fn unexposed(service: &ServiceConfig, router: Router<'_>) -> BTreeSet<Unexposed> {
    let mut reasons = BTreeSet::new();
    if service.proxy_protocol == ProxyProtocol::Version2 && router.nginx.version < PROXY_VERSION_2 {
        reasons.insert(Unexposed::ProxyVersion);
    }
    if router.upstreams.usable(service).is_empty() {
        reasons.insert(Unexposed::NoUpstream);
    }
    let sockets = service.listen.iter().flat_map(Listen::sockets);
    let foreign = sockets.filter(|socket| !is_ours(socket, router.addresses));
    reasons.extend(foreign.map(Unexposed::NotOurs));
    reasons
}

fn is_ours(socket: &SocketAddr, addresses: &BTreeSet<IpAddr>) -> bool {
    socket.ip().is_unspecified() || addresses.contains(&socket.ip())
}

/// A service that can be exposed, with what nginx calls it.
struct Exposed<'a> {
    config: &'a ServiceConfig,
    id: String,
    usable: Vec<(&'a Upstream, SocketAddr)>,
}

/// Sockets on which the same services are.
struct Group<'a, 'b> {
    transport: Transport,
    sockets: Vec<SocketAddr>,
    services: Vec<&'b Exposed<'a>>,
}

fn config(services: &[ServiceConfig], router: Router<'_>) -> Option<String> {
    let module = match &router.nginx.stream {
        StreamModule::BuiltIn => String::new(),
        StreamModule::File(file) => format!("load_module {};\n", quote(&file.display().to_string())),
        StreamModule::Missing => return None,
    };
    let exposed = |config| {
        let reasons = unexposed(config, router);
        let is_possible = !reasons.contains(&Unexposed::ProxyVersion);
        is_possible.then(|| Exposed { config, id: id(config), usable: router.upstreams.usable(config) })
    };
    let exposed: Vec<Exposed<'_>> = services.iter().filter_map(exposed).collect();
    let groups = groups(&exposed, router.addresses);
    let mut text = module;
    header(&mut text, &router.nginx.group);
    let listened: BTreeSet<&str> =
        groups.iter().flat_map(|group| &group.services).map(|service| service.id.as_str()).collect();
    for service in exposed.iter().filter(|service| listened.contains(service.id.as_str())) {
        upstream(&mut text, service);
        if service.config.access_log {
            log_format(&mut text, service);
        }
    }
    if groups.iter().any(Group::is_by_name) {
        let _ = writeln!(text, "\tupstream {} {{ server 127.0.0.1:9 down; }}", quote(REFUSED));
    }
    zones(&mut text, &groups);
    for (index, group) in groups.iter().enumerate() {
        if group.is_by_name() {
            names(&mut text, group, index);
        }
        server(&mut text, group, index);
    }
    text.push_str("}\n");
    Some(text)
}

fn header(text: &mut String, group: &str) {
    let pid = ProgramName::Nginx.directory().join(PID_FILE);
    let _ = write!(
        text,
        "daemon off;\n\
         user nobody {};\n\
         worker_processes 1;\n\
         worker_rlimit_nofile {};\n\
         worker_shutdown_timeout {SHUTDOWN_TIMEOUT};\n\
         pid {};\n\
         error_log stderr emerg;\n\
         error_log syslog:server=unix:/dev/log,nohostname,tag=dlan_nginx warn;\n\
         events {{ worker_connections {WORKER_CONNECTIONS}; }}\n\
         stream {{\n\
         \tmap_hash_bucket_size 512;\n\
         \tmap_hash_max_size 16384;\n\
         \tvariables_hash_max_size 16384;\n\
         \taccess_log off;\n\
         \tproxy_socket_keepalive on;\n",
        quote(group),
        WORKER_CONNECTIONS * 2,
        quote(&pid.display().to_string()),
    );
}

/// Returns what nginx calls a service: the section's name, after a prefix that no other name here has.
fn id(service: &ServiceConfig) -> String {
    match service.name.strip_prefix("@service[").and_then(|rest| rest.strip_suffix(']')) {
        Some(number) => format!("anonymous_{number}"),
        None => format!("service_{}", service.name),
    }
}

/// Returns the sockets that are listened on with the services there, in the order of the configuration; none where
/// clients could only be refused.
fn groups<'a, 'b>(exposed: &'b [Exposed<'a>], addresses: &BTreeSet<IpAddr>) -> Vec<Group<'a, 'b>> {
    let mut by_socket: BTreeMap<(Transport, SocketAddr), Vec<&Exposed<'_>>> = BTreeMap::new();
    for service in exposed {
        let sockets: BTreeSet<SocketAddr> = service.config.listen.iter().flat_map(Listen::sockets).collect();
        for socket in sockets.into_iter().filter(|socket| is_ours(socket, addresses)) {
            by_socket.entry((service.config.protocol, socket)).or_default().push(service);
        }
    }
    let mut groups: Vec<Group<'_, '_>> = Vec::new();
    for ((transport, socket), services) in by_socket {
        if services.iter().all(|service| service.usable.is_empty()) {
            continue;
        }
        let is_same = |group: &&mut Group<'_, '_>| {
            let ids = group.services.iter().map(|service| &service.id);
            group.transport == transport && ids.eq(services.iter().map(|service| &service.id))
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.sockets.push(socket),
            None => groups.push(Group { transport, sockets: vec![socket], services }),
        }
    }
    groups
}

impl Group<'_, '_> {
    /// Returns whether the TLS server name decides which service a client gets.
    fn is_by_name(&self) -> bool {
        self.services.iter().any(|service| !service.config.server_names.is_empty())
    }
}

fn upstream(text: &mut String, service: &Exposed<'_>) {
    if service.usable.is_empty() {
        return;
    }
    let _ = writeln!(text, "\tupstream {} {{", quote(&service.id));
    match service.config.balance {
        Balance::RoundRobin => {}
        Balance::LeastConnections => text.push_str("\t\tleast_conn;\n"),
        Balance::Hash => text.push_str("\t\thash $remote_addr consistent;\n"),
    }
    // Without any other a backup is what there is.
    let has_backup = service.usable.iter().any(|(upstream, _)| !upstream.is_backup);
    for (upstream, address) in &service.usable {
        let _ = write!(
            text,
            "\t\tserver {address} weight={} max_fails={} fail_timeout={}s max_conns={}",
            upstream.weight,
            upstream.max_fails,
            upstream.fail_timeout.as_secs(),
            upstream.max_connections,
        );
        text.push_str(if upstream.is_backup && has_backup { " backup;\n" } else { ";\n" });
    }
    text.push_str("\t}\n");
}

fn log_format(text: &mut String, service: &Exposed<'_>) {
    let line = "$protocol $remote_addr:$remote_port at $server_addr:$server_port to $upstream_addr: status $status, \
                $bytes_received octets from the client, $bytes_sent to it, $session_time s";
    // The variables of the line are meant; the name has none.
    let name = quote(&format!("{}: ", service.config.name));
    let name = name.strip_suffix('"').unwrap_or(&name);
    let _ = writeln!(text, "\tlog_format {} {name}{line}\";", quote(&service.id));
}

/// Writes where connections are counted, once for each service that begins a group with a limit.
fn zones(text: &mut String, groups: &[Group<'_, '_>]) {
    let firsts = groups.iter().filter_map(|group| group.services.first());
    let mut seen = BTreeSet::new();
    for service in firsts.filter(|service| seen.insert(&service.id)) {
        let Exposed { config, id, .. } = service;
        if config.connections.is_some() {
            let _ = writeln!(text, "\tlimit_conn_zone {} zone={id}_all:{TOTAL_ZONE};", quote(id));
        }
        if config.connections_per_source.is_some() {
            let _ = writeln!(text, "\tlimit_conn_zone $binary_remote_addr zone={id}_source:{SOURCE_ZONE};");
        }
    }
}

/// Writes which service a client of a group gets by the name that it asks for.
fn names(text: &mut String, group: &Group<'_, '_>, index: usize) {
    let mut names = String::new();
    let mut default = quote(REFUSED);
    for (at, service) in group.services.iter().enumerate() {
        let target = if service.usable.is_empty() {
            quote(REFUSED)
        } else if service.config.allow.is_empty() {
            quote(&service.id)
        } else {
            let variable = format!("$allowed_{index}_{at}");
            let _ = writeln!(text, "\tgeo $remote_addr {variable} {{\n\t\tdefault {};", quote(REFUSED));
            for network in &service.config.allow {
                let _ = writeln!(text, "\t\t{network} {};", quote(&service.id));
            }
            text.push_str("\t}\n");
            variable
        };
        for name in &service.config.server_names {
            let _ = writeln!(names, "\t\t{} {target};", quote(name.as_str()));
        }
        if service.config.server_names.is_empty() {
            default = target;
        }
    }
    let _ = write!(
        text,
        "\tmap $ssl_preread_server_name $service_{index} {{\n\t\thostnames;\n\t\tdefault {default};\n{names}\t}}\n"
    );
    by_service(text, group, ("rate", index), "0", |service| rate(service.config));
    for (at, service) in group.services.iter().enumerate().filter(|(_, it)| it.config.access_log) {
        let _ = write!(
            text,
            "\tmap $service_{index} $log_{index}_{at} {{\n\t\tdefault 0;\n\t\t{} 1;\n\t}}\n",
            quote(&service.id)
        );
    }
}

/// Writes a variable that follows from the service, where some service gives it a value.
fn by_service(
    text: &mut String,
    group: &Group<'_, '_>,
    (what, index): (&str, usize),
    default: &str,
    value: impl Fn(&Exposed<'_>) -> Option<String>,
) {
    let values = group.services.iter().filter_map(|service| Some((&service.id, value(service)?)));
    let values: Vec<(&String, String)> = values.collect();
    if values.is_empty() {
        return;
    }
    let _ = writeln!(text, "\tmap $service_{index} ${what}_{index} {{\n\t\tdefault {default};");
    for (id, value) in values {
        let _ = writeln!(text, "\t\t{} {value};", quote(id));
    }
    text.push_str("\t}\n");
}

/// Returns the most octets a second of a connection.
fn rate(service: &ServiceConfig) -> Option<String> {
    service.rate.map(|kilobits| (u64::from(kilobits) * 1000 / 8).to_string())
}

fn server(text: &mut String, group: &Group<'_, '_>, index: usize) {
    let Some(first) = group.services.first() else { return };
    text.push_str("\tserver {\n");
    for socket in &group.sockets {
        // reuseport gives each address a socket of its own, and lets a wildcard take the place of an address and back
        // while nginx runs.
        let family = if socket.is_ipv6() { " ipv6only=on" } else { "" };
        let transport = match group.transport {
            Transport::Tcp => " so_keepalive=on",
            Transport::Udp => " udp",
        };
        let _ = writeln!(text, "\t\tlisten {socket}{transport} reuseport{family};");
    }
    if group.is_by_name() {
        text.push_str("\t\tssl_preread on;\n");
    } else {
        for network in &first.config.allow {
            let _ = writeln!(text, "\t\tallow {network};");
        }
        if !first.config.allow.is_empty() {
            text.push_str("\t\tdeny all;\n");
        }
    }
    limits(text, group, index);
    let config = first.config;
    match config.proxy_protocol {
        ProxyProtocol::None => {}
        ProxyProtocol::Version1 => text.push_str("\t\tproxy_protocol on;\n"),
        ProxyProtocol::Version2 => text.push_str("\t\tproxy_protocol on;\n\t\tproxy_protocol_version 2;\n"),
    }
    let target = if group.is_by_name() { format!("$service_{index}") } else { quote(&first.id) };
    let _ = write!(
        text,
        "\t\tproxy_connect_timeout {}s;\n\t\tproxy_timeout {}s;\n\t\tproxy_pass {target};\n\t}}\n",
        config.connect_timeout.as_secs(),
        config.idle_timeout.as_secs(),
    );
}

fn limits(text: &mut String, group: &Group<'_, '_>, index: usize) {
    let Some(first) = group.services.first() else { return };
    if let Some(most) = first.config.connections {
        let _ = writeln!(text, "\t\tlimit_conn {}_all {most};", first.id);
    }
    if let Some(most) = first.config.connections_per_source {
        let _ = writeln!(text, "\t\tlimit_conn {}_source {most};", first.id);
    }
    let has_rate = group.services.iter().any(|service| service.config.rate.is_some());
    if has_rate {
        let own = rate(first.config).unwrap_or_default();
        let rate = if group.is_by_name() { format!("$rate_{index}") } else { own };
        let _ = write!(text, "\t\tproxy_download_rate {rate};\n\t\tproxy_upload_rate {rate};\n");
    }
    for (at, service) in group.services.iter().enumerate().filter(|(_, it)| it.config.access_log) {
        let when = if group.is_by_name() { format!(" if=$log_{index}_{at}") } else { String::new() };
        let _ = writeln!(
            text,
            "\t\taccess_log syslog:server=unix:/dev/log,nohostname,tag=dlan_service {}{when};",
            quote(&service.id)
        );
    }
}

/// Puts a text in quotes so that nginx reads it as it is.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
