//! The options of `config wan`, `config lan`, `config link` and `config ospf_key`.

/// The section `config wan`.
pub mod wan {
    use vxlan::link::LinkName;

    use crate::config::schema::wan_filter::{INPUT, MASQUERADE, OPEN, SSH};
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::config::value;

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "wan",
        occurrence: Occurrence::AtLeastOnce,
        example: "config wan 'wan0'",
        summary: "A side of the router that is not trusted; it names either `interface` or `device`.",
        options: &[&INTERFACE, &DEVICE, &LISTEN_PORT, &INPUT, &SSH, &OPEN, &MASQUERADE],
    };

    /// The OpenWrt network name.
    pub static INTERFACE: TypedOption<String> = TypedOption::new("interface", Kind::Network, value::network)
        .default(Default::Unset("`device` names the Linux device"))
        .summary("The name of the network in OpenWrt's configuration; its device is found through it, PPPoE's too.");

    /// The Linux device.
    pub static DEVICE: TypedOption<LinkName> = TypedOption::new("device", Kind::Device, value::device)
        .default(Default::Unset("`interface` names OpenWrt's network"))
        .summary("The Linux device, such as eth0.");

    /// WireGuard's UDP port.
    pub static LISTEN_PORT: TypedOption<u16> = TypedOption::new(
        "listen_port",
        Kind::Integer {
            min: 1,
            max: 65535,
            unit: "",
        },
        value::integer_u16,
    )
    .default(Default::Value("51820"))
    .summary("The UDP port on which WireGuard listens; there is one for the whole router, so only one `config wan` needs it.");
}

/// The section `config lan`.
pub mod lan {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use vxlan::link::LinkName;

    use crate::config::LanAddress;
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::config::value;
    use crate::config::zone;

    pub use crate::config::dhcp::options::{
        BOOT_FILE, BOOT_FILE_EFI, BOOT_SERVER, DHCP, DHCP_LIMIT, DHCP_OPTION, DHCP_OPTION6, DHCP_START,
        DHCPV4, DHCPV6, DNS, LEASE, LEASE_TIME, MTU, RA, SEARCH, SUBDOMAIN, TFTP_ROOT,
    };

    const ADOPT: &str = "the private addresses found on the device";

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "lan",
        occurrence: Occurrence::Any,
        example: "config lan 'lan0'",
        summary: "A side of the router with hosts; its networks are announced to the mesh.",
        options: &[
            &DEVICE,
            &ZONE,
            &IPV4,
            &IPV6,
            &DHCP,
            &DHCPV4,
            &RA,
            &DHCPV6,
            &DHCP_START,
            &DHCP_LIMIT,
            &LEASE_TIME,
            &LEASE,
            &DNS,
            &SEARCH,
            &DHCP_OPTION,
            &DHCP_OPTION6,
            &MTU,
            &SUBDOMAIN,
            &BOOT_FILE,
            &BOOT_FILE_EFI,
            &BOOT_SERVER,
            &TFTP_ROOT,
            &DNS64,
        ],
    };

    /// The Linux device.
    pub static DEVICE: TypedOption<LinkName> =
        TypedOption::new("device", Kind::Device, value::device).summary("The Linux device, such as br-lan.");

    /// The zone.
    pub static ZONE: TypedOption<String> = TypedOption::new("zone", Kind::Zone, zone::zone_name)
        .default(Default::Value(zone::INTERNAL))
        .summary("The zone of its hosts, which decides what they may reach: `internal` everything, `isolated` what it is given, or one of a `config zone`.");

    /// The router's IPv4 address.
    pub static IPV4: TypedOption<LanAddress<Ipv4Addr>> =
        TypedOption::new("ipv4", Kind::Ipv4Address, value::ipv4_address)
            .default(Default::Unset(ADOPT))
            .summary("This router's IPv4 address on the LAN and the length of the LAN's prefix.");

    /// The router's IPv6 address.
    pub static IPV6: TypedOption<LanAddress<Ipv6Addr>> =
        TypedOption::new("ipv6", Kind::Ipv6Address, value::ipv6_address)
            .default(Default::Unset(ADOPT))
            .summary("This router's IPv6 address on the LAN and the length of the LAN's prefix.");

    /// Whether its hosts reach IPv4 by IPv6.
    pub static DNS64: TypedOption<bool> =
        TypedOption::new("dns64", Kind::OneOf(&["0", "1"]), value::switch)
            .default(Default::Value("0"))
            .summary("Whether its hosts are given IPv6 addresses for names that have only IPv4 ones, for a LAN behind NAT64; answers are left alone for who asks with CD set.");
}

/// The section `config link`.
pub mod link {
    use std::num::NonZeroU8;
    use std::path::PathBuf;
    use std::time::Duration;

    use vxlan::key::PublicKey;

    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption, mesh};
    use crate::config::types::{Endpoint, HostId, LinkCost};
    use crate::config::value;

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "link",
        occurrence: Occurrence::Any,
        example: "config link 'r4'",
        summary: "A link to a neighboring router, which has a section for this router in turn.",
        options: &[
            &NAME,
            &HOST_ID,
            &PUBLIC_KEY,
            &ENDPOINT,
            &COST,
            &WG_PSK_FILE,
            &KEEPALIVE,
            &MTU,
            &HELLO_INTERVAL,
            &DEAD_INTERVAL,
            &BFD,
            &BFD_INTERVAL,
            &BFD_MULTIPLIER,
            &INTERFACE_ID,
        ],
    };

    /// The neighbor's name.
    pub static NAME: TypedOption<String> = TypedOption::new("name", Kind::NeighborName, value::neighbor_name)
        .default(Default::Found("the section's name"))
        .summary("The neighbor's name, for those that cannot be a section's name because of a '-'.");

    /// The neighbor's number.
    pub static HOST_ID: TypedOption<HostId> =
        TypedOption::new("host_id", mesh::HOST_ID.schema.kind, value::host_id)
            .summary("The neighbor's host id.");

    /// The neighbor's WireGuard key.
    pub static PUBLIC_KEY: TypedOption<PublicKey> =
        TypedOption::new("public_key", Kind::PublicKey, value::public_key)
            .summary("The neighbor's public key: `dlan key` on the neighbor prints it.");

    /// Where to call it.
    pub static ENDPOINT: TypedOption<Endpoint> = TypedOption::new("endpoint", Kind::Endpoint, value::endpoint)
        .default(Default::Unset("the neighbor calls this router"))
        .summary("Where to call the neighbor: a name or an address, and its `listen_port`; of two neighbors at least one must have it.");

    /// Output cost.
    pub static COST: TypedOption<LinkCost> = TypedOption::new(
        "cost",
        mesh::COST.schema.kind,
        value::link_cost,
    )
    .default(Default::Mesh("cost"))
    .summary(
        "The cost of sending over this link, as in the mesh section; it should be the same at both ends.",
    );

    /// A pre-shared key of this link's own.
    pub static WG_PSK_FILE: TypedOption<PathBuf> = TypedOption::new("wg_psk_file", Kind::File, value::file)
        .default(Default::Mesh("wg_psk_file"))
        .summary("The file of this link's own pre-shared key, the same at both ends.");

    /// WireGuard's keepalive.
    pub static KEEPALIVE: TypedOption<u16> =
        TypedOption::new("keepalive", mesh::KEEPALIVE.schema.kind, value::integer_u16)
            .default(Default::Mesh("keepalive"))
            .summary("The time between WireGuard's keepalives to this neighbor; 0 sends none.");

    /// MTU of the link.
    pub static MTU: TypedOption<u16> =
        TypedOption::new("mtu", mesh::LINK_MTU.schema.kind, value::integer_u16)
            .default(Default::Mesh("link_mtu"))
            .summary("The largest packet on this link, the same at both ends.");

    /// HelloInterval.
    pub static HELLO_INTERVAL: TypedOption<Duration> =
        TypedOption::new("hello_interval", mesh::HELLO_INTERVAL.schema.kind, value::seconds)
            .default(Default::Mesh("hello_interval"))
            .summary("How often this router says on this link that it is there, the same at both ends.");

    /// RouterDeadInterval.
    pub static DEAD_INTERVAL: TypedOption<Duration> =
        TypedOption::new("dead_interval", mesh::DEAD_INTERVAL.schema.kind, value::seconds)
            .default(Default::Mesh("dead_interval"))
            .summary(
                "How long this neighbor may be silent before the link counts as dead, the same at both ends.",
            );

    /// Whether BFD watches the link.
    pub static BFD: TypedOption<bool> = TypedOption::new("bfd", mesh::BFD.schema.kind, value::switch)
        .default(Default::Mesh("bfd"))
        .summary("Whether this neighbor is watched by BFD: 1 or 0.");

    /// BFD's intervals.
    pub static BFD_INTERVAL: TypedOption<Duration> =
        TypedOption::new("bfd_interval", mesh::BFD_INTERVAL.schema.kind, value::milliseconds)
            .default(Default::Mesh("bfd_interval"))
            .summary("How often BFD's packets are sent on this link, and may come; of both ends' intervals the longer one holds.");

    /// BFD's Detect Mult.
    pub static BFD_MULTIPLIER: TypedOption<NonZeroU8> = TypedOption::new(
        "bfd_multiplier",
        mesh::BFD_MULTIPLIER.schema.kind,
        value::nonzero_u8,
    )
    .default(Default::Mesh("bfd_multiplier"))
    .summary("How many of BFD's packets in a row this neighbor must miss before it takes the link for dead.");

    /// OSPF's number of the link.
    pub static INTERFACE_ID: TypedOption<u16> = TypedOption::new(
        "interface_id",
        Kind::Integer { min: 1, max: 65535, unit: "" },
        value::integer_u16,
    )
    .default(Default::Unset("the neighbor's host id"))
    .summary("The Interface ID (RFC 5340) of this end of the link, different on each of this router's links: what another program called it before, where neighbors are not to notice who speaks.");
}

/// The section `config ospf_key`.
pub mod ospf_key {
    use std::path::PathBuf;

    use ospf_lite::config::HmacAlgorithm;

    use super::super::mesh;
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::config::value;

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "ospf_key",
        occurrence: Occurrence::Any,
        example: "config ospf_key 'second'",
        summary: "A further secret that routing packets are accepted with, and signed with when `ospf_key_active` names it. \
                  To change the mesh's secret without losing a packet: write the section on every router, then `ospf_key_active` \
                  on every router, then take the old key out on every router; `dlan apply` after each, and `dlan neighbors` \
                  shows which key each neighbor signs with. Keys have no lifetimes: a router has no clock to trust when it \
                  starts.",
        options: &[&ID, &SECRET_FILE, &ALGORITHM],
    };

    /// RFC 7166 SA ID.
    pub static ID: TypedOption<u16> =
        TypedOption::new("id", mesh::OSPF_SA_ID.schema.kind, value::integer_u16)
            .summary("The number under which routing packets name the key, the same on every router.");

    /// The secret.
    pub static SECRET_FILE: TypedOption<PathBuf> = TypedOption::new("secret_file", Kind::File, value::file)
        .summary("The file of the secret, the same on every router.");

    /// RFC 7166 algorithm.
    pub static ALGORITHM: TypedOption<HmacAlgorithm> =
        TypedOption::new("algorithm", mesh::OSPF_ALGORITHM.schema.kind, value::algorithm)
            .default(Default::Mesh("ospf_algorithm"))
            .summary("How packets are authenticated with this key, the same on every router.");
}
