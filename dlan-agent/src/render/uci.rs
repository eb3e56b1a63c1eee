//! What the LANs' hosts are given on OpenWrt, in the words of its package `dhcp`, for whichever of odhcpd and dnsmasq serves
//! there; and the names of the mesh for its dnsmasq. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::dnsmasq::{self, Lan, Text};
use crate::addressing::RouterAddresses;
use crate::config::dhcp::{DhcpOption, LeaseClient};
use crate::config::{Config, DeviceSource};
use crate::names::domain::DomainName;
use crate::state::facts::Facts;
use crate::state::managed_file::ManagedFile;
use crate::state::uci::{DROP_IN_FILE, HOSTS_PATH, SECTION_PREFIX, UciDhcp, UciFacts, UciSection};

/// The option of DHCP for the largest packet (RFC 2132).
const OPTION_MTU: u8 = 26;
/// The one for name servers.
const OPTION_DNS: u8 = 6;
/// The one for search domains (RFC 3397).
const OPTION_SEARCH: u8 = 119;

/// What of a LAN's configuration does not come about on OpenWrt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unserved {
    /// No network of OpenWrt has the device.
    NoNetwork {
        /// The LAN.
        lan: String,
        /// Its device.
        device: String,
    },
    /// A section of the operator's is about the network.
    Taken {
        /// The LAN.
        lan: String,
        /// The network.
        network: String,
        /// The section.
        section: String,
    },
    /// dnsmasq there sees no directory of files but its own.
    Files {
        /// The LAN.
        lan: String,
    },
}

/// Returns what is ours there; `None` where the system is none. Names of the mesh are for hosts whoever gives them addresses.
pub fn render(
    config: &Config,
    facts: &Facts,
    identity: RouterAddresses,
    foreign: &BTreeSet<DomainName>,
) -> Option<UciDhcp> {
    let uci = facts.uci.as_ref()?;
    let lans = dnsmasq::lans(config, facts);
    let mut sections = BTreeMap::new();
    for lan in &lans {
        if let Some(network) = free_network(uci, lan) {
            sections.insert(format!("{SECTION_PREFIX}{}", lan.tag), pool(config, lan, network));
        }
        for (index, host) in hosts(lan).into_iter().enumerate() {
            sections.insert(format!("{SECTION_PREFIX}{}_host{index}", lan.tag), host);
        }
    }
    let drop_in = drop_in(config, (&dnsmasq::all_lans(config, facts), &lans), foreign);
    let hosts = dnsmasq::hosts_text(config, &lans, identity);
    let files = BTreeMap::from([
        (uci.drop_ins.join(DROP_IN_FILE), ManagedFile::new(&drop_in)),
        (HOSTS_PATH.into(), ManagedFile::new(&hosts)),
    ]);
    Some(UciDhcp { sections, files })
}

/// Returns the names outside the mesh's domain that standing files are about.
pub fn names_of(config: &Config, standing: &UciDhcp) -> BTreeSet<DomainName> {
    standing.files.values().flat_map(|file| dnsmasq::names_in(config, &file.text)).collect()
}

/// Returns what does not come about.
pub fn unserved(config: &Config, facts: &Facts) -> Vec<Unserved> {
    let Some(uci) = &facts.uci else { return Vec::new() };
    let of_lan = |lan: &Lan<'_>| {
        let name = lan.config.name.clone();
        let network = match uci.networks.get(&lan.config.device) {
            None => Some(Unserved::NoNetwork { lan: name.clone(), device: lan.config.device.to_string() }),
            Some(network) => uci.taken.get(network).map(|section| Unserved::Taken {
                lan: name.clone(),
                network: network.clone(),
                section: section.clone(),
            }),
        };
        let files = lan.config.dhcp.boot.tftp_root.as_ref().map(|_| Unserved::Files { lan: name });
        [network, files]
    };
    dnsmasq::lans(config, facts).iter().flat_map(of_lan).flatten().collect()
}

/// Returns the LAN's network, unless somebody else says what its hosts are given.
fn free_network<'a>(uci: &'a UciFacts, lan: &Lan<'_>) -> Option<&'a str> {
    let network = uci.networks.get(&lan.config.device)?;
    (!uci.taken.contains_key(network)).then_some(network)
}

fn pool(config: &Config, lan: &Lan<'_>, network: &str) -> UciSection {
    let dhcp = &lan.config.dhcp;
    let served = |is_served: bool| if is_served { "server" } else { "disabled" };
    // Of a shorter prefix, as netifd gives a LAN, odhcpd announces the first /64.
    let has_ra = dhcp.ra && lan.ipv6.is_some_and(|(_, prefix)| prefix.prefix_len() <= 64);
    let range = lan.ipv4.filter(|_| dhcp.dhcpv4);
    let range = range.and_then(|(_, prefix)| Some((prefix, dnsmasq::pool_ipv4(dhcp, prefix)?)));
    let flags = if dhcp.dhcpv6 { &["managed-config", "other-config"][..] } else { &["other-config"] };
    let (ipv4, ipv6): (Vec<IpAddr>, Vec<IpAddr>) = dhcp.dns.iter().partition(|address| address.is_ipv4());
    let search = dnsmasq::search_domains(config, lan);
    let mut section = UciSection::new("dhcp")
        .set("interface", network)
        .set("networkid", &lan.tag)
        .set("leasetime", dnsmasq::lease_time(dhcp.lease_time))
        .set("dhcpv4", served(range.is_some()))
        .set("ra", served(has_ra))
        .set("dhcpv6", served(has_ra && dhcp.dhcpv6))
        .list("domain", search.clone())
        .list("dns", ipv6.iter().map(ToString::to_string).collect())
        .list("dhcp_option", options(lan, &search, &ipv4));
    section = match range {
        Some((prefix, (first, last))) => {
            let first_part = u32::from(first).saturating_sub(prefix.network().into());
            let count = u32::from(last).saturating_sub(first.into()).saturating_add(1);
            section.set("start", first_part).set("limit", count)
        }
        None => section.set("start", dhcp.start).set("limit", dhcp.limit),
    };
    if has_ra {
        // Hosts reach the mesh by this router, whether it has a way to the internet or not.
        section = section.set("ra_default", 2).set("ra_slaac", 1);
        section = section.list("ra_flags", flags.iter().map(|flag| (*flag).to_owned()).collect());
        section = dhcp.mtu.map_or(section.clone(), |mtu| section.set("ra_mtu", mtu));
        if !dhcp.dns.is_empty() && ipv6.is_empty() {
            section = section.set("dns_service", 0);
        }
        if lan.config.dns64 {
            section = section.set("ra_pref64", config.names.dns64_prefix);
        }
    }
    section
}

/// Returns the options of DHCP that have no words of their own.
fn options(lan: &Lan<'_>, search: &[String], servers: &[IpAddr]) -> Vec<String> {
    let dhcp = &lan.config.dhcp;
    let option = |code: u8, values: Vec<String>| {
        std::iter::once(code.to_string()).chain(values).collect::<Vec<_>>().join(",")
    };
    let further =
        |family: &'static str| move |option: &DhcpOption| format!("{family}{},{}", option.code, option.value);
    // Without a value none is told of: those of the other family are not this router's to add.
    let dns =
        (!dhcp.dns.is_empty()).then(|| option(OPTION_DNS, servers.iter().map(ToString::to_string).collect()));
    let mtu = dhcp.mtu.map(|mtu| option(OPTION_MTU, vec![mtu.to_string()]));
    dns.into_iter()
        .chain(mtu)
        .chain([option(OPTION_SEARCH, search.to_vec())])
        .chain(dhcp.options.iter().map(further("")))
        .chain(dhcp.options6.iter().map(further("option6:")))
        .collect()
}

/// Returns the sections of those who always get the same address.
fn hosts(lan: &Lan<'_>) -> Vec<UciSection> {
    let host = |lease| {
        let (ipv4, ipv6) = dnsmasq::lease_addresses(lan, lease);
        if ipv4.is_none() && ipv6.is_none() {
            return None;
        }
        let mut section = UciSection::new("host");
        section = match &lease.client {
            LeaseClient::Mac(_) => section.set("mac", &lease.client),
            LeaseClient::Duid(_) => section.set("duid", lease.client.to_string().replace(':', "")),
        };
        section = ipv4.map_or(section.clone(), |address| section.set("ip", address));
        if ipv6.is_some() {
            section = section.set("hostid", format_args!("{:x}", lease.host_part));
        }
        Some(lease.name.as_ref().map_or(section.clone(), |name| section.set("name", name)))
    };
    lan.config.dhcp.leases.iter().filter_map(host).collect()
}

/// Returns the drop-in: names of the mesh, and how hosts start from the network, which have no words in UCI.
fn drop_in(
    config: &Config,
    (lans, served): (&[Lan<'_>], &[Lan<'_>]),
    foreign: &BTreeSet<DomainName>,
) -> String {
    let mut text = Text::default();
    // Where a device is excepted, others than the neighbors on a LAN are answered: the mesh's routers, who ask at the identity.
    text.line(format_args!("except-interface={}", config.mesh.wg_device));
    for wan in &config.wans {
        if let DeviceSource::Device(device) = &wan.source {
            text.line(format_args!("except-interface={device}"));
        }
    }
    dnsmasq::mesh_text(&mut text, config, lans);
    dnsmasq::records_text(&mut text, config, foreign);
    for lan in served {
        let prefixes = lan.ipv4.map(|(_, prefix)| prefix.to_string());
        let prefixes = prefixes.into_iter().chain(lan.ipv6.map(|(_, prefix)| prefix.to_string()));
        prefixes.for_each(|prefix| text.line(format_args!("domain={},{prefix}", lan.zone)));
    }
    let boots = served.iter().any(|lan| lan.config.dhcp.boot.file_efi.is_some());
    if boots {
        dnsmasq::architectures_text(&mut text);
    }
    served.iter().for_each(|lan| dnsmasq::boot_files_text(&mut text, lan));
    text.into_string()
}
