//! Turns a text into a configuration, or into every error it has.

use std::collections::BTreeSet;

use super::check;
use super::dhcp;
use super::error::{ConfigError, ConfigErrors};
use super::problem::Problem;
use super::schema::{
    self, Default, Kind, Occurrence, SECTIONS, delegate, lan, link, mesh, names, nat64, ospf_key, record,
    wan, wan_filter, zone,
};
use super::service;
use super::suggest::nearest;
use super::types::{
    Config, DelegateConfig, DeviceSource, LISTEN_PORT_DEFAULT, LanConfig, LinkConfig, LinkCost, MeshConfig,
    NamesConfig, Nat64Config, OspfKeyConfig, WanConfig,
};
use super::uci::{self, Document, FILE_OCTETS_MAX, Section};
use super::value;
use super::view::{View, Views};
use super::zone::ZoneConfig;
use crate::names::record::{Record, RecordData};

/// A text with what is needed to read it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file's name, for errors.
    pub file: &'a str,
    /// The file's text.
    pub text: &'a str,
    /// The system's host name, which stands for a mesh section's missing `name`.
    pub hostname: &'a str,
}

/// A configuration with the text it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file's name.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// The text's sections.
    pub document: Document,
}

/// Reads a text: a configuration, or every error the text has.
pub fn parse(source: Source<'_>) -> Result<Loaded, ConfigErrors> {
    let Source { file, text, hostname } = source;
    if text.len() > FILE_OCTETS_MAX {
        return Err(ConfigErrors::file(file, Problem::TooLarge { limit: FILE_OCTETS_MAX }));
    }
    let (document, syntax_errors) = uci::decode(text);
    let is_readable = syntax_errors.is_empty();
    let mut errors: Vec<ConfigError> = syntax_errors.into_iter().map(ConfigError::from).collect();
    validate_sections(&document, is_readable, &mut errors);
    let views = Views::new(&document, is_readable);
    for view in views.all() {
        validate_options(view, is_readable, &mut errors);
    }
    validate_names(&views, hostname, is_readable, &mut errors);
    check::check(&views, &mut errors);
    match config(&views, hostname) {
        Some(config) if errors.is_empty() => {
            Ok(Loaded { config, file: file.to_owned(), text: text.to_owned(), document })
        }
        _ => Err(ConfigErrors::new(file, errors)),
    }
}

impl From<uci::SyntaxError> for ConfigError {
    fn from(error: uci::SyntaxError) -> Self {
        Self {
            line: Some(error.line),
            column: Some(error.column),
            section: None,
            option: None,
            problem: error.problem,
        }
    }
}

/// Looks at the sections as wholes. What is missing is told only of a text that could be read to its end: in any other
/// it may be in the part that could not be read.
fn validate_sections(document: &Document, is_readable: bool, errors: &mut Vec<ConfigError>) {
    if let Some((name, line)) = document.package.as_ref().filter(|(name, _)| name != "dlan") {
        let problem = Problem::OtherPackage { package: name.clone() };
        errors.push(ConfigError { line: Some(*line), ..ConfigError::file(problem) });
        return;
    }
    let known = || document.sections.iter().filter(|section| !section.broken);
    for (index, section) in known().enumerate() {
        let twin = known().take(index).find(|other| other.name.is_some() && other.name == section.name);
        if let (Some(twin), Some(name)) = (twin, &section.name) {
            let problem = Problem::DuplicateSection { name: name.clone(), first: twin.line };
            errors.push(section_error(section, problem));
        }
        if schema::section(&section.kind).is_none() {
            errors.push(section_error(section, unknown_section(&section.kind)));
        }
    }
    for schema in SECTIONS {
        let mut of_kind = known().filter(|section| section.kind == schema.kind);
        match (of_kind.next(), of_kind.next()) {
            (None, _)
                if is_readable && matches!(schema.occurrence, Occurrence::Once | Occurrence::AtLeastOnce) =>
            {
                let problem = Problem::MissingSection { kind: schema.kind, example: schema.example };
                errors.push(ConfigError::file(problem));
            }
            (Some(first), Some(second))
                if matches!(schema.occurrence, Occurrence::Once | Occurrence::AtMostOnce) =>
            {
                errors.push(section_error(second, Problem::SecondSection { first: first.line }));
            }
            _ => {}
        }
    }
}

fn section_error(section: &Section, problem: Problem) -> ConfigError {
    let title = match &section.name {
        Some(name) => format!("{} '{name}'", section.kind),
        None => section.kind.clone(),
    };
    ConfigError { line: Some(section.line), section: Some(title), ..ConfigError::file(problem) }
}

fn unknown_section(kind: &str) -> Problem {
    let kinds: Vec<&str> = SECTIONS.iter().map(|schema| schema.kind).collect();
    Problem::UnknownSection { kinds: kinds.join(", "), suggestion: nearest(kind, kinds.iter().copied()) }
}

/// Looks at each option of a section alone.
fn validate_options(view: &View<'_>, is_readable: bool, errors: &mut Vec<ConfigError>) {
    let entries = &view.section.entries;
    for (index, entry) in entries.iter().enumerate() {
        let mut refuse = |problem| errors.push(view.error_at(entry.line, &entry.name, problem));
        let Some(option) = view.schema.option(&entry.name) else {
            refuse(unknown_option(view, &entry.name));
            continue;
        };
        let twin = entries.iter().take(index).find(|other| other.name == entry.name);
        let schema = option.schema();
        if entry.is_list != schema.is_list {
            refuse(if entry.is_list { Problem::ListForOption } else { Problem::OptionForList });
        } else if let Some(twin) = twin.filter(|twin| !schema.is_list || twin.value == entry.value) {
            refuse(Problem::DuplicateOption { first: twin.line });
        }
        if let Err(rejection) = option.check(&entry.value) {
            let allowed = schema.kind.allowed();
            refuse(Problem::BadValue { value: entry.value.clone(), allowed, rejection });
        }
    }
    let required = view.options().map(|option| option.schema());
    for option in required.filter(|option| is_readable && option.default == Default::Required) {
        if view.entry(option.name).is_none() {
            let problem = Problem::MissingOption { allowed: option.kind.allowed() };
            errors.push(view.error_at(view.section.line, option.name, problem));
        }
    }
}

fn unknown_option(view: &View<'_>, name: &str) -> Problem {
    let options: Vec<&str> = view.options().map(|option| option.schema().name).collect();
    let elsewhere = SECTIONS.into_iter().find(|schema| schema.option(name).is_some());
    Problem::UnknownOption {
        suggestion: nearest(name, options.iter().copied()).filter(|_| elsewhere.is_none()),
        elsewhere: elsewhere.map(|schema| schema.kind),
        options: options.join(", "),
    }
}

/// Looks at the names that are found elsewhere when they are not written.
fn validate_names(views: &Views<'_>, hostname: &str, is_readable: bool, errors: &mut Vec<ConfigError>) {
    let nameless = views.mesh.iter().filter(|mesh| is_readable && !mesh.has(&mesh::NAME));
    for mesh in nameless.filter(|_| name_from_hostname(hostname).is_none()) {
        let hostname = hostname.to_owned();
        let problem = Problem::UnusableHostName { hostname, allowed: Kind::Label.allowed() };
        errors.push(mesh.error(&mesh::NAME, problem));
    }
    for link in &views.links {
        if !link.has(&link::NAME) && link.section.name.is_none() {
            errors.push(link.error(&link::NAME, Problem::NamelessLink));
        }
    }
}

/// Returns the router's name that a system's host name stands for: its first label in lower case.
pub fn name_from_hostname(hostname: &str) -> Option<String> {
    let label = hostname.split('.').next().unwrap_or_default().to_ascii_lowercase();
    value::label(&label, Kind::Label).ok()
}

/// Puts the configuration together; nothing comes of sections with errors.
fn config(views: &Views<'_>, hostname: &str) -> Option<Config> {
    let mesh = views.mesh.as_ref()?;
    Some(Config {
        mesh: mesh_config(mesh, hostname)?,
        wans: views.wans.iter().map(|view| wan_config(view, views)).collect::<Option<_>>()?,
        lans: views.lans.iter().map(lan_config).collect::<Option<_>>()?,
        zones: views.zones.iter().map(zone_config).collect::<Option<_>>()?,
        links: views.links.iter().map(|view| link_config(view, mesh)).collect::<Option<_>>()?,
        ospf_keys: ospf_keys(&views.ospf_keys, mesh)?,
        names: names_config(views.names.as_ref())?,
        nat64: match &views.nat64 {
            Some(view) => Some(Nat64Config { pool: view.value(&nat64::POOL)? }),
            None => None,
        },
        records: records(&views.records)?,
        delegates: views.delegates.iter().map(delegate_config).collect::<Option<_>>()?,
        services: views.services.iter().map(service::service_config).collect::<Option<_>>()?,
    })
}

fn mesh_config(view: &View<'_>, hostname: &str) -> Option<MeshConfig> {
    Some(MeshConfig {
        host_id: view.value(&mesh::HOST_ID)?,
        name: view.value(&mesh::NAME).or_else(|| name_from_hostname(hostname))?,
        domain: view.value(&mesh::DOMAIN)?,
        max_hosts: view.value(&mesh::MAX_HOSTS)?,
        loopback_ipv4: view.value(&mesh::LOOPBACK_IPV4)?,
        loopback_ipv6: view.value(&mesh::LOOPBACK_IPV6)?,
        wg_ipv4: view.value(&mesh::WG_IPV4)?,
        wg_ipv6: view.value(&mesh::WG_IPV6)?,
        link_pool_ipv4: view.value(&mesh::LINK_POOL_IPV4)?,
        inside: view.list(&mesh::INSIDE)?,
        wg_device: view.value(&mesh::WG_DEVICE)?,
        wg_mtu: view.value(&mesh::WG_MTU)?,
        link_mtu: view.value(&mesh::LINK_MTU)?,
        vxlan_port: view.value(&mesh::VXLAN_PORT)?,
        private_key_file: view.value(&mesh::PRIVATE_KEY_FILE)?,
        wg_psk_file: view.value(&mesh::WG_PSK_FILE),
        keepalive: view.value(&mesh::KEEPALIVE)?,
        hello_interval: view.value(&mesh::HELLO_INTERVAL)?,
        dead_interval: view.value(&mesh::DEAD_INTERVAL)?,
        rxmt_interval: view.value(&mesh::RXMT_INTERVAL)?,
        bfd: view.value(&mesh::BFD)?,
        bfd_interval: view.value(&mesh::BFD_INTERVAL)?,
        bfd_multiplier: view.value(&mesh::BFD_MULTIPLIER)?,
        cost: view.value(&mesh::COST)?,
        auto_cost_min: view.value(&mesh::AUTO_COST_MIN)?,
        auto_cost_max: view.value(&mesh::AUTO_COST_MAX)?,
        round_trip_interval: view.value(&mesh::ROUND_TRIP_INTERVAL)?,
        lan_metric: view.value(&mesh::LAN_METRIC)?,
        equal_cost_max: view.value(&mesh::EQUAL_COST_MAX)?,
        graceful_restart: view.value(&mesh::GRACEFUL_RESTART)?,
        grace_period: view.value(&mesh::GRACE_PERIOD)?,
        fwmark: view.value(&mesh::FWMARK)?,
        route_table: view.value(&mesh::ROUTE_TABLE)?,
        route_protocol: view.value(&mesh::ROUTE_PROTOCOL)?,
        rule_preference: view.value(&mesh::RULE_PREFERENCE)?,
        drift_interval: view.value(&mesh::DRIFT_INTERVAL)?,
        reload_program: view.value(&mesh::RELOAD_PROGRAM)?,
    })
}

/// Returns the one port of the router: the first that is written, else the default.
pub fn listen_port(views: &Views<'_>) -> u16 {
    let mut written = views.wans.iter().filter_map(|wan| wan.written(&wan::LISTEN_PORT));
    written.next().unwrap_or(LISTEN_PORT_DEFAULT)
}

fn wan_config(view: &View<'_>, views: &Views<'_>) -> Option<WanConfig> {
    let device = view.written(&wan::DEVICE).map(DeviceSource::Device);
    let interface = view.written(&wan::INTERFACE).map(DeviceSource::Interface);
    Some(WanConfig {
        name: view.name(),
        source: device.or(interface)?,
        listen_port: listen_port(views),
        input: view.value(&wan_filter::INPUT)?,
        ssh: view.value(&wan_filter::SSH),
        open: view.list(&wan_filter::OPEN)?,
        masquerade: view.value(&wan_filter::MASQUERADE)?,
    })
}

fn zone_config(view: &View<'_>) -> Option<ZoneConfig> {
    Some(ZoneConfig { name: view.name(), reach: view.list(&zone::REACH)?, allow: view.list(&zone::ALLOW)? })
}

fn lan_config(view: &View<'_>) -> Option<LanConfig> {
    Some(LanConfig {
        name: view.name(),
        device: view.value(&lan::DEVICE)?,
        zone: view.value(&lan::ZONE)?,
        ipv4: view.value(&lan::IPV4),
        ipv6: view.value(&lan::IPV6),
        dns64: view.value(&lan::DNS64)?,
        dhcp: dhcp::dhcp_config(view)?,
    })
}

fn names_config(written: Option<&View<'_>>) -> Option<NamesConfig> {
    let nothing = Section::default();
    let nothing = View { schema: &names::SECTION, section: &nothing, index: 0 };
    let view = written.unwrap_or(&nothing);
    Some(NamesConfig {
        port: view.value(&names::PORT)?,
        stale_time: view.value(&names::STALE_TIME)?,
        cache: view.value(&names::CACHE)?,
        rate: view.value(&names::RATE)?,
        dns64_prefix: view.value(&names::DNS64_PREFIX)?,
        upstreams: view.list(&names::UPSTREAM)?,
        foreign: view.list(&names::FOREIGN)?.into_iter().collect(),
    })
}

fn records(views: &[View<'_>]) -> Option<BTreeSet<Record>> {
    let mut records = BTreeSet::new();
    for view in views {
        let name = view.value(&record::NAME)?;
        let addresses = view.list(&record::ADDRESS)?.into_iter().map(RecordData::address);
        let alias = view.value(&record::CNAME).map(RecordData::Cname);
        let data = addresses
            .chain(alias)
            .chain(view.list(&record::SRV)?)
            .chain(view.list(&record::TXT)?)
            .chain(view.list(&record::PTR)?);
        records.extend(data.map(|data| Record { name: name.clone(), data }));
    }
    Some(records)
}

fn delegate_config(view: &View<'_>) -> Option<DelegateConfig> {
    Some(DelegateConfig {
        zone: view.value(&delegate::ZONE),
        reverse: view.list(&delegate::REVERSE)?,
        servers: view.list(&delegate::SERVER)?,
    })
}

/// Returns the keys, the one that signs first: the mesh section's own and those of the `ospf_key` sections, by their ids.
fn ospf_keys(views: &[View<'_>], mesh: &View<'_>) -> Option<Vec<OspfKeyConfig>> {
    let own = mesh.written(&mesh::OSPF_SECRET_FILE).map(|secret_file| {
        let (section, id) = ("mesh".to_owned(), mesh.value(&mesh::OSPF_SA_ID)?);
        Some(OspfKeyConfig { section, id, secret_file, algorithm: mesh.value(&mesh::OSPF_ALGORITHM)? })
    });
    let further = views.iter().map(|view| {
        Some(OspfKeyConfig {
            section: view.title(),
            id: view.value(&ospf_key::ID)?,
            secret_file: view.value(&ospf_key::SECRET_FILE)?,
            algorithm: view.value_or_mesh(&ospf_key::ALGORITHM, mesh, &mesh::OSPF_ALGORITHM)?,
        })
    });
    let mut keys = own.into_iter().chain(further).collect::<Option<Vec<_>>>()?;
    let own_id = mesh.has(&mesh::OSPF_SECRET_FILE).then(|| mesh.value(&mesh::OSPF_SA_ID)).flatten();
    let active = mesh.written(&mesh::OSPF_KEY_ACTIVE).or(own_id);
    keys.sort_by_key(|key| (Some(key.id) != active, key.id));
    Some(keys)
}

fn link_config(view: &View<'_>, mesh: &View<'_>) -> Option<LinkConfig> {
    let (cost, auto_cost) = match view.value_or_mesh(&link::COST, mesh, &mesh::COST)? {
        LinkCost::Fixed(cost) => (cost, false),
        LinkCost::Auto => (mesh.value(&mesh::AUTO_COST_MAX)?, true),
    };
    Some(LinkConfig {
        name: view.value(&link::NAME).or_else(|| view.section.name.clone())?,
        host_id: view.value(&link::HOST_ID)?,
        public_key: view.value(&link::PUBLIC_KEY)?,
        endpoint: view.value(&link::ENDPOINT),
        cost,
        auto_cost,
        wg_psk_file: view.value_or_mesh(&link::WG_PSK_FILE, mesh, &mesh::WG_PSK_FILE),
        keepalive: view.value_or_mesh(&link::KEEPALIVE, mesh, &mesh::KEEPALIVE)?,
        mtu: view.value_or_mesh(&link::MTU, mesh, &mesh::LINK_MTU)?,
        hello_interval: view.value_or_mesh(&link::HELLO_INTERVAL, mesh, &mesh::HELLO_INTERVAL)?,
        dead_interval: view.value_or_mesh(&link::DEAD_INTERVAL, mesh, &mesh::DEAD_INTERVAL)?,
        bfd: view.value_or_mesh(&link::BFD, mesh, &mesh::BFD)?,
        bfd_interval: view.value_or_mesh(&link::BFD_INTERVAL, mesh, &mesh::BFD_INTERVAL)?,
        bfd_multiplier: view.value_or_mesh(&link::BFD_MULTIPLIER, mesh, &mesh::BFD_MULTIPLIER)?,
        interface_id: view.value(&link::INTERFACE_ID),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{SectionSchema, TypedOption};

    static PORTS: TypedOption<u16> =
        TypedOption::new("port", Kind::Integer { min: 1, max: 9, unit: "" }, value::integer_u16).list();
    static SECTION: SectionSchema = SectionSchema {
        kind: "test",
        occurrence: Occurrence::Any,
        example: "config test",
        summary: "",
        options: &[&PORTS],
    };

    /// Returns the values of a list, and what is wrong with it.
    fn ports(lines: &str) -> (Option<Vec<u16>>, Vec<String>) {
        let (document, _) = uci::decode(&format!("config test\n{lines}"));
        let view = View { schema: &SECTION, section: &document.sections[0], index: 0 };
        let mut errors = Vec::new();
        validate_options(&view, true, &mut errors);
        (view.list(&PORTS), errors.iter().map(ConfigError::message).collect())
    }

    #[test]
    fn a_list_takes_any_number_of_values_in_their_order() {
        assert_eq!(ports("list port 7\nlist port 3\n"), (Some(vec![7, 3]), vec![]));
        let (none, errors) = ports("");
        assert_eq!(none, Some(vec![]));
        assert!(errors[0].contains("it is missing"), "{errors:?}");
    }

    #[test]
    fn a_list_is_written_as_a_list_with_each_value_once() {
        assert!(ports("option port 7\n").1[0].contains("write list, not option"));
        assert!(ports("list port 7\nlist port 7\n").1[0].contains("it is written twice"));
        let (values, errors) = ports("list port 7\nlist port 70\n");
        assert_eq!((values, errors.len()), (None, 1));
    }
}
