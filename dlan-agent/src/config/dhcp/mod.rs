//! What the hosts of a LAN are given: addresses, names, and how they start from the network.

pub mod check;
pub mod options;
pub mod problem;
pub mod value;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::schema::lan;
use super::view::View;

/// What a LAN's hosts are given by this router; nothing by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpConfig {
    /// Whether they get IPv4 addresses, by DHCP.
    pub dhcpv4: bool,
    /// Whether they are told of the IPv6 prefix and the router, by router advertisements.
    pub ra: bool,
    /// Whether they get IPv6 addresses beside those that they make themselves, by DHCPv6.
    pub dhcpv6: bool,
    /// The first host part that is given out.
    pub start: u32,
    /// How many host parts are given out.
    pub limit: u32,
    /// How long an address is theirs; `None`: for ever.
    pub lease_time: Option<Duration>,
    /// Who always gets the same address.
    pub leases: Vec<StaticLease>,
    /// The name servers they are told of; none: this router.
    pub dns: Vec<IpAddr>,
    /// The domains in which they look for short names; none: the router's and the mesh's.
    pub search: Vec<String>,
    /// Further options of DHCP.
    pub options: Vec<DhcpOption>,
    /// The same of DHCPv6.
    pub options6: Vec<DhcpOption>,
    /// The largest packet they are told to send.
    pub mtu: Option<u16>,
    /// The label between a host's name and the router's zone.
    pub subdomain: Option<String>,
    /// How they start from the network.
    pub boot: BootConfig,
}

/// A client that always gets the same address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticLease {
    /// Who.
    pub client: LeaseClient,
    /// The number that is added to the address of the prefix.
    pub host_part: u32,
    /// Its name.
    pub name: Option<String>,
}

/// How a client is recognised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaseClient {
    /// By its hardware address: in both families.
    Mac([u8; 6]),
    /// By its DHCP Unique Identifier (RFC 8415 section 11): in DHCPv6.
    Duid(Vec<u8>),
}

/// An option that hosts are sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpOption {
    /// Its number.
    pub code: u8,
    /// Its value in dnsmasq's words: addresses, numbers or a text, with commas between several.
    pub value: String,
}

/// What hosts that start from the network are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootConfig {
    /// The file for BIOS clients.
    pub file: Option<String>,
    /// The file for UEFI clients.
    pub file_efi: Option<String>,
    /// Who has the files; `None`: this router.
    pub server: Option<Ipv4Addr>,
    /// The directory from which this router gives files by TFTP.
    pub tftp_root: Option<PathBuf>,
}

impl Default for DhcpConfig {
    fn default() -> Self {
        Self {
            dhcpv4: false,
            ra: false,
            dhcpv6: false,
            start: 100,
            limit: 150,
            lease_time: Some(Duration::from_secs(12 * 3600)),
            leases: Vec::new(),
            dns: Vec::new(),
            search: Vec::new(),
            options: Vec::new(),
            options6: Vec::new(),
            mtu: None,
            subdomain: None,
            boot: BootConfig::default(),
        }
    }
}

impl DhcpConfig {
    /// Returns everything that hosts can be given, with the usual numbers.
    pub fn all() -> Self {
        Self { dhcpv4: true, ra: true, dhcpv6: true, ..Self::default() }
    }

    /// Returns whether the hosts get anything from this router.
    pub fn is_served(&self) -> bool {
        self.dhcpv4 || self.ra
    }
}

impl fmt::Display for LeaseClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = match self {
            Self::Mac(octets) => octets.as_slice(),
            Self::Duid(octets) => octets.as_slice(),
        };
        for (index, octet) in octets.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// Reads what the hosts of a LAN are given; nothing when a value cannot be read.
pub fn dhcp_config(view: &View<'_>) -> Option<DhcpConfig> {
    let all = view.value(&lan::DHCP)?;
    let or_all = |option| if view.has(option) { view.value(option) } else { Some(all) };
    Some(DhcpConfig {
        dhcpv4: or_all(&lan::DHCPV4)?,
        ra: or_all(&lan::RA)?,
        dhcpv6: or_all(&lan::DHCPV6)?,
        start: view.value(&lan::DHCP_START)?,
        limit: view.value(&lan::DHCP_LIMIT)?,
        lease_time: view.value(&lan::LEASE_TIME)?,
        leases: view.list(&lan::LEASE)?,
        dns: view.list(&lan::DNS)?,
        search: view.list(&lan::SEARCH)?,
        options: view.list(&lan::DHCP_OPTION)?,
        options6: view.list(&lan::DHCP_OPTION6)?,
        mtu: view.value(&lan::MTU),
        subdomain: view.value(&lan::SUBDOMAIN),
        boot: BootConfig {
            file: view.value(&lan::BOOT_FILE),
            file_efi: view.value(&lan::BOOT_FILE_EFI),
            server: view.value(&lan::BOOT_SERVER),
            tftp_root: view.value(&lan::TFTP_ROOT),
        },
    })
}
