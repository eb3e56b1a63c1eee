//! The files of dlan's dnsmasq: what the LANs' hosts are given, and the names of this router's zone; pure.
//!
//! Every text in them was restricted where it was read: none has a line end, a comma, a quote or a `#`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::addressing::RouterAddresses;
use crate::config::dhcp::{DhcpConfig, DhcpOption, LeaseClient, StaticLease};
use crate::config::{Config, LanConfig};
use crate::names::domain::DomainName;
use crate::names::own;
use crate::state::facts::Facts;
use crate::state::managed_file::ManagedFile;
use crate::state::program::{Program, ProgramFile, ProgramName, Reread};

/// The directory of what outlives a boot.
pub const LEASES_DIRECTORY: &str = "/var/lib/dlan";
/// The leases that were given.
pub const LEASES_FILE: &str = "/var/lib/dlan/dnsmasq.leases";

/// The main file.
const CONFIG_FILE: &str = "dnsmasq.conf";
/// Who always gets which address.
const CLIENTS_FILE: &str = "clients";
/// Names with their addresses.
const HOSTS_FILE: &str = "hosts";

/// What lines begin with that have private addresses of a name believed.
const FOREIGN_NAME: &str = "rebind-domain-ok=";

/// The client architectures of UEFI (RFC 4578, IANA's list): x86, x64 in its two numbers, ARM 32 and 64, and the same by HTTP.
const EFI_ARCHITECTURES: [u8; 8] = [6, 7, 9, 10, 11, 15, 16, 19];
/// Reverse zones of the private prefixes: the mesh's, whoever has them.
const PRIVATE_REVERSE_ZONES: [&str; 2] = ["10.in-addr.arpa", "168.192.in-addr.arpa"];
/// The reverse zones of unique local addresses (RFC 4193) and of site-local numbering within RFC 1918 and RFC 6598.
const UNIQUE_LOCAL_REVERSE_ZONES: [&str; 2] = ["c.f.ip6.arpa", "d.f.ip6.arpa"];

/// A LAN whose hosts are given something, with the prefixes that hold there.
pub(super) struct Lan<'a> {
    pub(super) config: &'a LanConfig,
    /// What dnsmasq calls it.
    pub(super) tag: String,
    pub(super) ipv4: Option<(Ipv4Addr, Ipv4Net)>,
    pub(super) ipv6: Option<(Ipv6Addr, Ipv6Net)>,
    /// The zone of its hosts' names.
    pub(super) zone: String,
}

/// Returns the program with its files; `None` when no LAN asks for it, it is not installed, or the system itself does its work.
///
/// `foreign` are the names outside the mesh's domain of which routers of the mesh have records.
pub fn render(
    config: &Config,
    facts: &Facts,
    identity: RouterAddresses,
    foreign: &BTreeSet<DomainName>,
) -> Option<Program> {
    let path = facts.dnsmasq.as_deref()?;
    let lans = lans(config, facts);
    if lans.is_empty() || facts.is_openwrt() {
        return None;
    }
    let file = |text: &str, reread| ProgramFile { file: ManagedFile::new(text), reread };
    let config_file = ProgramName::Dnsmasq.directory().join(CONFIG_FILE);
    let config_argument = format!("--conf-file={}", config_file.display());
    Some(Program {
        path: path.into(),
        // Without a file for its number: the process is known.
        arguments: vec!["--keep-in-foreground".to_owned(), "--pid-file".to_owned(), config_argument.clone()],
        check: Some(vec!["--test".to_owned(), config_argument]),
        directories: BTreeSet::from([LEASES_DIRECTORY.into()]),
        files: BTreeMap::from([
            (CONFIG_FILE.to_owned(), file(&config_text(config, &lans, identity, foreign), Reread::Restart)),
            (CLIENTS_FILE.to_owned(), file(&clients_text(&lans), Reread::Reload)),
            (HOSTS_FILE.to_owned(), file(&hosts_text(config, &lans, identity), Reread::Reload)),
        ]),
        device: None,
        is_running: true,
    })
}

/// Returns the LANs whose hosts are given something.
pub(super) fn lans<'a>(config: &'a Config, facts: &Facts) -> Vec<Lan<'a>> {
    let mut lans = all_lans(config, facts);
    lans.retain(|lan| lan.config.dhcp.is_served());
    lans
}

/// Returns every LAN.
pub(super) fn all_lans<'a>(config: &'a Config, facts: &Facts) -> Vec<Lan<'a>> {
    let with_prefixes = config.lans.iter().enumerate().map(|(index, lan)| {
        let prefixes = facts.lan_prefixes(lan);
        let zone = format!("{}.{}", config.mesh.name, config.mesh.domain);
        Lan {
            config: lan,
            tag: format!("lan{index}"),
            ipv4: prefixes.iter().find_map(|own| match own {
                (IpAddr::V4(own), IpNet::V4(prefix)) => Some((*own, *prefix)),
                _ => None,
            }),
            ipv6: prefixes.iter().find_map(|own| match own {
                (IpAddr::V6(own), IpNet::V6(prefix)) => Some((*own, *prefix)),
                _ => None,
            }),
            zone: lan.dhcp.subdomain.as_ref().map_or(zone.clone(), |label| format!("{label}.{zone}")),
        }
    });
    with_prefixes.collect()
}

/// Lines that are put together.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    pub(super) fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn config_text(
    config: &Config,
    lans: &[Lan<'_>],
    identity: RouterAddresses,
    foreign: &BTreeSet<DomainName>,
) -> String {
    let mut text = Text::default();
    let directory = ProgramName::Dnsmasq.directory();
    let file = |name: &str| directory.join(name).display().to_string();
    // Listens on the LANs and on the identity, whatever else comes and goes.
    text.line("bind-dynamic");
    for lan in lans {
        text.line(format_args!("interface={}", lan.config.device));
    }
    text.line("except-interface=lo");
    for address in identity.host_prefixes() {
        text.line(format_args!("listen-address={}", address.addr()));
    }
    text.line("user=nobody");
    text.line(format_args!("addn-hosts={}", file(HOSTS_FILE)));
    names_text(&mut text, config, lans);
    records_text(&mut text, config, foreign);
    text.line(format_args!("dhcp-leasefile={LEASES_FILE}"));
    text.line(format_args!("dhcp-hostsfile={}", file(CLIENTS_FILE)));
    text.line("dhcp-authoritative");
    text.line("quiet-dhcp\nquiet-dhcp6\nquiet-ra");
    // A host of this name would be taken by others for their proxy's configuration.
    text.line("dhcp-name-match=set:wpad,wpad\ndhcp-ignore-names=tag:wpad");
    if lans.iter().any(|lan| lan.config.dhcp.ra) {
        text.line("enable-ra");
    }
    architectures_text(&mut text);
    if lans.iter().any(|lan| lan.config.dhcp.boot.tftp_root.is_some()) {
        text.line("tftp-no-fail");
    }
    for lan in lans {
        lan_text(&mut text, config, lan);
    }
    text.0
}

/// How clients that start by UEFI are told from others.
pub(super) fn architectures_text(text: &mut Text) {
    for architecture in EFI_ARCHITECTURES {
        text.line(format_args!("dhcp-match=set:efi,option:client-arch,{architecture}"));
    }
}

/// What is answered, and what answers are not believed.
fn names_text(text: &mut Text, config: &Config, lans: &[Lan<'_>]) {
    let mesh = &config.mesh;
    let zone = format!("{}.{}", mesh.name, mesh.domain);
    text.line("no-hosts\ndomain-needed\ncache-size=1000\nedns-packet-max=1232");
    text.line("stop-dns-rebind");
    text.line(format_args!("domain={zone}"));
    if lans.iter().any(|lan| lan.config.dhcp.subdomain.is_some()) {
        // Hosts of two LANs may have one name.
        text.line("dhcp-fqdn");
    }
    for upstream in &config.names.upstreams {
        text.line(format_args!("server={upstream}"));
    }
    if !config.names.upstreams.is_empty() {
        text.line("no-resolv");
    }
    mesh_text(text, config, lans);
}

/// What of the mesh is answered here, what is asked of the agent's name server, and that it may be believed.
pub(super) fn mesh_text(text: &mut Text, config: &Config, lans: &[Lan<'_>]) {
    let mesh = &config.mesh;
    let domain = &mesh.domain;
    text.line(format_args!("{FOREIGN_NAME}{domain}"));
    text.line(format_args!("local=/{}.{domain}/", mesh.name));
    // The agent's name server knows who answers for the rest of the mesh.
    let agent = |zone: &str| format!("server=/{zone}/127.0.0.1#{}", config.names.port);
    let within_172 = (16..32).map(|second| format!("{second}.172.in-addr.arpa"));
    let within_100 = (64..128).map(|second| format!("{second}.100.in-addr.arpa"));
    let reverse = PRIVATE_REVERSE_ZONES.into_iter().chain(UNIQUE_LOCAL_REVERSE_ZONES).map(str::to_owned);
    for zone in std::iter::once(domain.clone()).chain(reverse).chain(within_172).chain(within_100) {
        text.line(agent(&zone));
    }
    let own: BTreeSet<String> = lans.iter().flat_map(reverse_zones).collect();
    for zone in own {
        text.line(format_args!("local=/{zone}/"));
    }
}

/// Names that the agent's name server has records of though they lie in this router's zone, or outside the mesh's domain.
pub(super) fn records_text(text: &mut Text, config: &Config, foreign: &BTreeSet<DomainName>) {
    let zone = own::zone(&config.mesh);
    let in_zone =
        |name: &&DomainName| zone.as_ref().is_some_and(|zone| name.is_within(zone) && *name != zone);
    let own: BTreeSet<&DomainName> =
        config.records.iter().map(|record| &record.name).filter(in_zone).collect();
    for name in own.into_iter().chain(foreign) {
        text.line(format_args!("server=/{name}/127.0.0.1#{}", config.names.port));
    }
    for name in foreign {
        text.line(format_args!("{FOREIGN_NAME}{name}"));
    }
}

/// Returns the names outside the mesh's domain that standing files are about.
pub fn names_of(config: &Config, program: &Program) -> BTreeSet<DomainName> {
    let files = program.files.get(CONFIG_FILE);
    files.map(|file| names_in(config, &file.file.text)).unwrap_or_default()
}

/// Returns the same of a text.
pub(super) fn names_in(config: &Config, text: &str) -> BTreeSet<DomainName> {
    let names = text.lines().filter_map(|line| line.strip_prefix(FOREIGN_NAME)?.parse().ok());
    names.filter(|name: &DomainName| name.as_str() != config.mesh.domain).collect()
}

/// Returns the reverse zones of a LAN's prefixes, whole octets and nibbles each.
fn reverse_zones(lan: &Lan<'_>) -> Vec<String> {
    let mut zones = Vec::new();
    if let Some((_, prefix)) = lan.ipv4 {
        let octets = usize::from(prefix.prefix_len().div_ceil(8));
        let whole = u8::try_from(8 * octets).unwrap_or(32);
        for subnet in prefix.subnets(whole).into_iter().flatten() {
            let labels: Vec<String> =
                subnet.network().octets().iter().take(octets).rev().map(u8::to_string).collect();
            zones.push(format!("{}.in-addr.arpa", labels.join(".")));
        }
    }
    if let Some((_, prefix)) = lan.ipv6 {
        let nibbles = usize::from(prefix.prefix_len().div_ceil(4));
        let whole = u8::try_from(4 * nibbles).unwrap_or(128);
        for subnet in prefix.subnets(whole).into_iter().flatten() {
            let hexadecimal = format!("{:032x}", u128::from(subnet.network()));
            let labels: Vec<String> = hexadecimal.chars().take(nibbles).map(String::from).collect();
            let labels: Vec<String> = labels.into_iter().rev().collect();
            zones.push(format!("{}.ip6.arpa", labels.join(".")));
        }
    }
    zones
}

fn lan_text(text: &mut Text, config: &Config, lan: &Lan<'_>) {
    let (tag, dhcp, device) = (&lan.tag, &lan.config.dhcp, &lan.config.device);
    let time = lease_time(dhcp.lease_time);
    if let Some((_, prefix)) = lan.ipv4 {
        if dhcp.subdomain.is_some() {
            text.line(format_args!("domain={},{prefix}", lan.zone));
        }
        if let Some((first, last)) = pool_ipv4(dhcp, prefix).filter(|_| dhcp.dhcpv4) {
            text.line(format_args!("dhcp-range=set:{tag},{first},{last},{},{time}", prefix.netmask()));
        }
    }
    if let Some((_, prefix)) = lan.ipv6 {
        if dhcp.subdomain.is_some() {
            text.line(format_args!("domain={},{prefix}", lan.zone));
        }
        if dhcp.ra && prefix.prefix_len() == 64 {
            let network = prefix.network();
            match dhcp.dhcpv6 {
                true => {
                    let at = |part: u32| Ipv6Addr::from(u128::from(network).saturating_add(part.into()));
                    let last = dhcp.start.saturating_add(dhcp.limit.saturating_sub(1));
                    let (first, last) = (at(dhcp.start), at(last));
                    text.line(format_args!("dhcp-range=set:{tag},{first},{last},slaac,ra-names,64,{time}"));
                }
                false => {
                    text.line(format_args!("dhcp-range=set:{tag},{network},ra-stateless,ra-names,64,{time}"))
                }
            }
        }
    }
    if let Some(mtu) = dhcp.mtu {
        text.line(format_args!("dhcp-option=tag:{tag},26,{mtu}"));
        text.line(format_args!("ra-param={device},mtu:{mtu},600"));
    }
    servers_text(text, config, lan);
    let option = |family: &str, option: &DhcpOption| {
        format!("dhcp-option=tag:{tag},{family}{},{}", option.code, option.value)
    };
    dhcp.options.iter().for_each(|further| text.line(option("", further)));
    dhcp.options6.iter().for_each(|further| text.line(option("option6:", further)));
    boot_text(text, lan);
}

/// The name servers and search domains that hosts are told of; dnsmasq itself tells of this router.
fn servers_text(text: &mut Text, config: &Config, lan: &Lan<'_>) {
    let (tag, dhcp) = (&lan.tag, &lan.config.dhcp);
    let ipv4: Vec<String> =
        dhcp.dns.iter().filter(|address| address.is_ipv4()).map(ToString::to_string).collect();
    let ipv6: Vec<String> =
        dhcp.dns.iter().filter(|address| address.is_ipv6()).map(|address| format!("[{address}]")).collect();
    if !dhcp.dns.is_empty() {
        // Without a value none is told of: those of the other family are not this router's to add.
        let comma = |list: Vec<String>| list.iter().map(|one| format!(",{one}")).collect::<String>();
        text.line(format_args!("dhcp-option=tag:{tag},option:dns-server{}", comma(ipv4)));
        text.line(format_args!("dhcp-option=tag:{tag},option6:dns-server{}", comma(ipv6)));
    }
    let search = search_domains(config, lan).join(",");
    text.line(format_args!("dhcp-option=tag:{tag},option:domain-search,{search}"));
    text.line(format_args!("dhcp-option=tag:{tag},option6:domain-search,{search}"));
}

/// Returns the domains in which hosts look for short names.
pub(super) fn search_domains(config: &Config, lan: &Lan<'_>) -> Vec<String> {
    let own = || vec![lan.zone.clone(), config.mesh.domain.clone()];
    if lan.config.dhcp.search.is_empty() { own() } else { lan.config.dhcp.search.clone() }
}

fn boot_text(text: &mut Text, lan: &Lan<'_>) {
    boot_files_text(text, lan);
    if let Some(root) = &lan.config.dhcp.boot.tftp_root {
        let device = &lan.config.device;
        text.line(format_args!("enable-tftp={device}\ntftp-root={},{device}", root.display()));
    }
}

/// The files that hosts start from.
pub(super) fn boot_files_text(text: &mut Text, lan: &Lan<'_>) {
    let (tag, boot) = (&lan.tag, &lan.config.dhcp.boot);
    let server = boot.server.map(|server| format!(",,{server}")).unwrap_or_default();
    for (architecture, file) in [("!efi", &boot.file), ("efi", &boot.file_efi)] {
        if let Some(file) = file {
            text.line(format_args!("dhcp-boot=tag:{tag},tag:{architecture},{file}{server}"));
        }
    }
}

pub(super) fn lease_time(time: Option<Duration>) -> String {
    time.map_or_else(|| "infinite".to_owned(), |time| time.as_secs().to_string())
}

/// Returns the first and the last IPv4 address that is given out: what is wanted, as far as the prefix has room for it.
pub(super) fn pool_ipv4(dhcp: &DhcpConfig, prefix: Ipv4Net) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (network, broadcast) = (u32::from(prefix.network()), u32::from(prefix.broadcast()));
    let most = broadcast.checked_sub(network)?.checked_sub(1)?;
    // The usual start lies outside a small prefix: then everything is given out.
    let start = if dhcp.start > most { 1 } else { dhcp.start };
    let last = start.saturating_add(dhcp.limit.saturating_sub(1)).min(most);
    Some((Ipv4Addr::from(network.checked_add(start)?), Ipv4Addr::from(network.checked_add(last)?)))
}

/// Returns the addresses that a static lease stands for.
pub(super) fn lease_addresses(lan: &Lan<'_>, lease: &StaticLease) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    let ipv4 = lan.ipv4.filter(|_| matches!(lease.client, LeaseClient::Mac(_))).and_then(|(_, prefix)| {
        let address = Ipv4Addr::from(u32::from(prefix.network()).checked_add(lease.host_part)?);
        (prefix.contains(&address) && address != prefix.broadcast()).then_some(address)
    });
    // A host with a lease by its DUID as well has the address by that one.
    let has_duid = |other: &StaticLease| {
        matches!(other.client, LeaseClient::Duid(_)) && other.host_part == lease.host_part
    };
    let is_shadowed =
        matches!(lease.client, LeaseClient::Mac(_)) && lan.config.dhcp.leases.iter().any(has_duid);
    let ipv6 = lan.ipv6.filter(|_| !is_shadowed && lan.config.dhcp.dhcpv6).and_then(|(_, prefix)| {
        let address = Ipv6Addr::from(u128::from(prefix.network()).checked_add(lease.host_part.into())?);
        prefix.contains(&address).then_some(address)
    });
    (ipv4.filter(|_| lan.config.dhcp.dhcpv4), ipv6)
}

fn clients_text(lans: &[Lan<'_>]) -> String {
    let mut text = Text::default();
    for lan in lans {
        for lease in &lan.config.dhcp.leases {
            let (ipv4, ipv6) = lease_addresses(lan, lease);
            if ipv4.is_none() && ipv6.is_none() {
                continue;
            }
            let client = match &lease.client {
                LeaseClient::Mac(_) => lease.client.to_string(),
                LeaseClient::Duid(_) => format!("id:{}", lease.client),
            };
            let ipv4 = ipv4.map(|address| format!(",{address}")).unwrap_or_default();
            let ipv6 = ipv6.map(|address| format!(",[{address}]")).unwrap_or_default();
            let name = lease.name.as_ref().map(|name| format!(",{name}")).unwrap_or_default();
            text.line(format_args!("{client}{ipv4}{ipv6}{name}"));
        }
    }
    text.0
}

/// This router's own name, and the names of static leases, which hold whether the host is there or not.
pub(super) fn hosts_text(config: &Config, lans: &[Lan<'_>], identity: RouterAddresses) -> String {
    let mut text = Text::default();
    let (name, domain) = (&config.mesh.name, &config.mesh.domain);
    for address in identity.host_prefixes() {
        text.line(format_args!("{} {name}.{domain} {name}", address.addr()));
    }
    for lan in lans {
        for lease in &lan.config.dhcp.leases {
            let (ipv4, ipv6) = lease_addresses(lan, lease);
            let addresses = ipv4.map(IpAddr::V4).into_iter().chain(ipv6.map(IpAddr::V6));
            for address in addresses {
                if let Some(name) = &lease.name {
                    text.line(format_args!("{address} {name}.{}", lan.zone));
                }
            }
        }
    }
    text.0
}
