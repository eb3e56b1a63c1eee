//! The options of `config lan` about what its hosts are given.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::{DhcpOption, StaticLease, value as dhcp};
use crate::config::schema::{Default, Kind, TypedOption};
use crate::config::value;

const SWITCH: Kind = Kind::OneOf(&["1", "0"]);
const AS_DHCP: Default = Default::Unset("as `dhcp`");

/// Whether hosts are given anything.
pub static DHCP: TypedOption<bool> = TypedOption::new("dhcp", SWITCH, value::switch)
    .default(Default::Value("0"))
    .summary("Whether this router gives the LAN's hosts addresses and names, in each family in which the LAN has a prefix: 1 or 0. What hosts get can be chosen one by one with `dhcpv4`, `ra` and `dhcpv6`.");

/// DHCP for IPv4.
pub static DHCPV4: TypedOption<bool> = TypedOption::new("dhcpv4", SWITCH, value::switch)
    .default(AS_DHCP)
    .summary("Whether hosts get IPv4 addresses by DHCP: 1 or 0.");

/// Router advertisements.
pub static RA: TypedOption<bool> = TypedOption::new("ra", SWITCH, value::switch)
    .default(AS_DHCP)
    .summary("Whether router advertisements tell hosts of the IPv6 prefix, so that they make addresses in it (SLAAC), and of the router: 1 or 0.");

/// DHCP for IPv6.
pub static DHCPV6: TypedOption<bool> =
    TypedOption::new("dhcpv6", SWITCH, value::switch).default(AS_DHCP).summary(
        "Whether hosts also get IPv6 addresses by DHCPv6, which a static lease needs: 1 or 0; with `ra` only.",
    );

/// The first address.
pub static DHCP_START: TypedOption<u32> = TypedOption::new(
    "dhcp_start",
    Kind::Integer { min: 1, max: 16_777_213, unit: "" },
    value::integer_u32,
)
.default(Default::Value("100"))
.summary("The first host part that is given out, in both families: 100 in 10.2.0.0/24 is 10.2.0.100, in fd79::/64 fd79::64.");

/// How many addresses.
pub static DHCP_LIMIT: TypedOption<u32> =
    TypedOption::new("dhcp_limit", Kind::Integer { min: 1, max: 16_777_213, unit: "" }, value::integer_u32)
        .default(Default::Value("150"))
        .summary("How many addresses are given out at most, from `dhcp_start` on; a small prefix has fewer.");

/// How long.
pub static LEASE_TIME: TypedOption<Option<Duration>> =
    TypedOption::new("lease_time", Kind::LeaseTime, dhcp::lease_time)
        .default(Default::Value("12h"))
        .summary("How long a host may keep an address that it does not ask for again.");

/// Who always gets the same address.
pub static LEASE: TypedOption<StaticLease> = TypedOption::new("lease", Kind::Lease, dhcp::lease)
    .list()
    .default(Default::Unset("every host gets any free address"))
    .summary("A host that always gets the same address: its MAC for both families or its DUID for IPv6, the host part, and its name.");

/// Name servers.
pub static DNS: TypedOption<IpAddr> = TypedOption::new("dns", Kind::Address, dhcp::server)
    .list()
    .default(Default::Unset("this router"))
    .summary("The name servers that hosts are told of.");

/// Search domains.
pub static SEARCH: TypedOption<String> = TypedOption::new("search", Kind::Domain, value::domain)
    .list()
    .default(Default::Unset("the router's zone and the mesh's domain"))
    .summary("The domains in which hosts look for short names.");

/// Options of DHCP.
pub static DHCP_OPTION: TypedOption<DhcpOption> =
    TypedOption::new("dhcp_option", Kind::DhcpOption, dhcp::option)
        .list()
        .default(Default::Unset("none"))
        .summary("A further option of DHCP for IPv4 that hosts are sent.");

/// Options of DHCPv6.
pub static DHCP_OPTION6: TypedOption<DhcpOption> =
    TypedOption::new("dhcp_option6", Kind::DhcpOption, dhcp::option6)
        .list()
        .default(Default::Unset("none"))
        .summary("A further option of DHCPv6 that hosts are sent; addresses stand in brackets.");

/// MTU.
pub static MTU: TypedOption<u16> =
    TypedOption::new("mtu", Kind::Integer { min: 1280, max: 9000, unit: "octets" }, value::integer_u16)
        .default(Default::Unset(
            "hosts are told of none by DHCP, and of the device's by router advertisements",
        ))
        .summary("The largest packet that hosts are told to send.");

/// A label of its own.
pub static SUBDOMAIN: TypedOption<String> = TypedOption::new("subdomain", Kind::Label, value::label)
    .default(Default::Unset("hosts are host.router.domain"))
    .summary("A label between the hosts' names and the router's, for several LANs: with cam a host is host.cam.r1.lan.");

/// The file for BIOS clients.
pub static BOOT_FILE: TypedOption<String> = TypedOption::new("boot_file", Kind::BootFile, dhcp::boot_file)
    .default(Default::Unset("BIOS hosts cannot start from the network"))
    .summary("The file that BIOS hosts starting from the network (PXE) load.");

/// The file for UEFI clients.
pub static BOOT_FILE_EFI: TypedOption<String> =
    TypedOption::new("boot_file_efi", Kind::BootFile, dhcp::boot_file)
        .default(Default::Unset("UEFI hosts cannot start from the network"))
        .summary("The file that UEFI hosts starting from the network (PXE) load.");

/// Who has the files.
pub static BOOT_SERVER: TypedOption<Ipv4Addr> =
    TypedOption::new("boot_server", Kind::Address, dhcp::server_ipv4)
        .default(Default::Unset("this router"))
        .summary("The IPv4 address of the TFTP server that has the boot files.");

/// The files.
pub static TFTP_ROOT: TypedOption<PathBuf> = TypedOption::new("tftp_root", Kind::Directory, dhcp::directory)
    .default(Default::Unset("this router gives no files"))
    .summary("The directory whose files this router gives to the LAN's hosts by TFTP.");
