//! The options of `config mesh`: what holds for the whole router.

/// The section `config mesh`.
pub mod mesh {
    use std::num::NonZeroU8;
    use std::path::PathBuf;
    use std::time::Duration;

    use ipnet::{IpNet, Ipv4Net, Ipv6Net};
    use ospf_lite::config::HmacAlgorithm;
    use ospf_lite::ids::Cost;
    use vxlan::link::LinkName;

    use crate::config::names;
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::config::types::{HOST_ID_LIMIT, HostId, LinkCost};
    use crate::config::value;

    const SECONDS: &str = "seconds";
    const MILLISECONDS: &str = "milliseconds";
    const OCTETS: &str = "octets";

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "mesh",
        occurrence: Occurrence::Once,
        example: "config mesh 'mesh'",
        summary: "This router and the mesh it belongs to.",
        options: &[
            &HOST_ID,
            &NAME,
            &DOMAIN,
            &MAX_HOSTS,
            &LOOPBACK_IPV4,
            &LOOPBACK_IPV6,
            &WG_IPV4,
            &WG_IPV6,
            &LINK_POOL_IPV4,
            &INSIDE,
            &WG_DEVICE,
            &WG_MTU,
            &LINK_MTU,
            &VXLAN_PORT,
            &PRIVATE_KEY_FILE,
            &WG_PSK_FILE,
            &KEEPALIVE,
            &OSPF_SECRET_FILE,
            &OSPF_SA_ID,
            &OSPF_ALGORITHM,
            &OSPF_KEY_ACTIVE,
            &HELLO_INTERVAL,
            &DEAD_INTERVAL,
            &RXMT_INTERVAL,
            &BFD,
            &BFD_INTERVAL,
            &BFD_MULTIPLIER,
            &COST,
            &AUTO_COST_MIN,
            &AUTO_COST_MAX,
            &ROUND_TRIP_INTERVAL,
            &LAN_METRIC,
            &EQUAL_COST_MAX,
            &GRACEFUL_RESTART,
            &GRACE_PERIOD,
            &FWMARK,
            &ROUTE_TABLE,
            &ROUTE_PROTOCOL,
            &RULE_PREFERENCE,
            &DRIFT_INTERVAL,
            &RELOAD_PROGRAM,
        ],
    };

    /// This router's number.
    pub static HOST_ID: TypedOption<HostId> = TypedOption::new(
        "host_id",
        Kind::Integer {
            min: 1,
            max: HOST_ID_LIMIT as u32,
            unit: "",
        },
        value::host_id,
    )
    .summary("This router's number, different on every router of the mesh and at most `max_hosts`; all its mesh addresses follow from it.");

    /// This router's name.
    pub static NAME: TypedOption<String> = TypedOption::new("name", Kind::Label, value::label)
        .default(Default::Found("the system's host name"))
        .summary("This router's name, as the other routers show it and as DNS knows it.");

    /// The mesh's DNS domain.
    pub static DOMAIN: TypedOption<String> = TypedOption::new("domain", Kind::Domain, value::domain)
        .default(Default::Value("lan"))
        .summary("The DNS domain of the mesh, the same on every router: router `r1` is `r1.lan`.");

    /// How many host ids there are.
    pub static MAX_HOSTS: TypedOption<u16> = TypedOption::new(
        "max_hosts",
        Kind::Integer {
            min: 2,
            max: HOST_ID_LIMIT as u32,
            unit: "",
        },
        value::integer_u16,
    )
    .default(Default::Value("256"))
    .summary("The largest host id the mesh has room for, the same on every router: link numbers are computed with it.");

    /// The loopback pool.
    pub static LOOPBACK_IPV4: TypedOption<Ipv4Net> =
        TypedOption::new("loopback_ipv4", Kind::Ipv4Pool, value::ipv4_pool)
            .default(Default::Value("10.1.1.0/24"))
            .summary(
                "The network from which every router takes its own IPv4 address, the same on every router.",
            );

    /// The same for IPv6.
    pub static LOOPBACK_IPV6: TypedOption<Ipv6Net> =
        TypedOption::new("loopback_ipv6", Kind::Ipv6Pool, value::ipv6_pool)
            .default(Default::Value("fd00:0:1:1::/64"))
            .summary(
                "The network from which every router takes its own IPv6 address, the same on every router.",
            );

    /// The pool of WireGuard addresses.
    pub static WG_IPV4: TypedOption<Ipv4Net> = TypedOption::new("wg_ipv4", Kind::Ipv4Pool, value::ipv4_pool)
        .default(Default::Value("10.1.0.0/24"))
        .summary("The network of the IPv4 addresses inside WireGuard, the same on every router; it is never announced.");

    /// The same for IPv6.
    pub static WG_IPV6: TypedOption<Ipv6Net> = TypedOption::new("wg_ipv6", Kind::Ipv6Pool, value::ipv6_pool)
        .default(Default::Value("fd00:0:1::/64"))
        .summary("The network of the IPv6 addresses inside WireGuard, the same on every router; it is never announced.");

    /// The pool of link subnets.
    pub static LINK_POOL_IPV4: TypedOption<Option<Ipv4Net>> =
        TypedOption::new("link_pool_ipv4", Kind::Ipv4PoolOrNone, value::ipv4_pool_or_none)
            .default(Default::Value("10.0.0.0/16"))
            .summary("The network that is cut into one /30 per link, the same on every router; `none` gives links no IPv4 addresses, which only dlan routers can do.");

    /// The networks of the mesh.
    pub static INSIDE: TypedOption<IpNet> = TypedOption::new("inside", Kind::Prefix, names::prefix)
        .list()
        .default(Default::Unset("learned from the other routers; until then nothing private is forwarded to a WAN"))
        .summary("A network that LANs of the mesh lie in, wherever they are: what is for it never leaves by a WAN, from boot on.");

    /// WireGuard's device.
    pub static WG_DEVICE: TypedOption<LinkName> = TypedOption::new("wg_device", Kind::Device, value::device)
        .default(Default::Value("dlan-wg"))
        .summary("The name of the WireGuard device; it begins with `dlan`, as firewall zones cover `dlan*`.");

    /// MTU of the WireGuard device.
    pub static WG_MTU: TypedOption<u16> =
        TypedOption::new("wg_mtu", Kind::Integer { min: 1330, max: 9000, unit: OCTETS }, value::integer_u16)
            .default(Default::Value("1420"))
            .summary("The largest packet on the WireGuard device; at least 50 more than any link's MTU.");

    /// MTU of the links.
    pub static LINK_MTU: TypedOption<u16> = TypedOption::new(
        "link_mtu",
        Kind::Integer { min: 1280, max: 8950, unit: OCTETS },
        value::integer_u16,
    )
    .default(Default::Value("1370"))
    .summary("The largest packet on a link, the same at both ends of it.");

    /// The UDP port of VXLAN.
    pub static VXLAN_PORT: TypedOption<u16> =
        TypedOption::new("vxlan_port", Kind::Integer { min: 1, max: 65535, unit: "" }, value::integer_u16)
            .default(Default::Value("4789"))
            .summary("The UDP port of VXLAN inside WireGuard, the same on every router.");

    /// The router's private key.
    pub static PRIVATE_KEY_FILE: TypedOption<PathBuf> = TypedOption::new("private_key_file", Kind::File, value::file)
        .default(Default::Value("/etc/dlan/wg.key"))
        .summary("The file of this router's private key, made at the first start if it is not there; it never leaves the router.");

    /// The mesh-wide pre-shared key.
    pub static WG_PSK_FILE: TypedOption<PathBuf> = TypedOption::new("wg_psk_file", Kind::File, value::file)
        .default(Default::Unset("no pre-shared key"))
        .summary("The file of WireGuard's pre-shared key for every link that names none of its own (`wg genpsk` makes one).");

    /// WireGuard's keepalive.
    pub static KEEPALIVE: TypedOption<u16> = TypedOption::new(
        "keepalive",
        Kind::Integer { min: 0, max: 65535, unit: SECONDS },
        value::integer_u16,
    )
    .default(Default::Value("25"))
    .summary("The time between WireGuard's keepalives, which keep a path through NAT open; 0 sends none.");

    /// The OSPF secret.
    pub static OSPF_SECRET_FILE: TypedOption<PathBuf> =
        TypedOption::new("ospf_secret_file", Kind::File, value::file)
            .default(Default::Unset("routing packets are not authenticated"))
            .summary("The file of the secret that authenticates routing packets, the same on every router.");

    /// RFC 7166 SA ID.
    pub static OSPF_SA_ID: TypedOption<u16> = TypedOption::new(
        "ospf_sa_id",
        Kind::Integer {
            min: 1,
            max: 65535,
            unit: "",
        },
        value::integer_u16,
    )
    .default(Default::Value("1"))
    .summary("The number under which routing packets name the secret (RFC 7166), the same on every router; BIRD's is 1.");

    /// RFC 7166 algorithm.
    pub static OSPF_ALGORITHM: TypedOption<HmacAlgorithm> = TypedOption::new(
        "ospf_algorithm",
        Kind::OneOf(&["hmac-sha-1", "hmac-sha-256", "hmac-sha-384", "hmac-sha-512"]),
        value::algorithm,
    )
    .default(Default::Value("hmac-sha-256"))
    .summary("How routing packets are authenticated, the same on every router.");

    /// Which key signs.
    pub static OSPF_KEY_ACTIVE: TypedOption<u16> = TypedOption::new(
        "ospf_key_active",
        OSPF_SA_ID.schema.kind,
        value::integer_u16,
    )
    .default(Default::Unset("the key of `ospf_secret_file` signs, without one that with the lowest id"))
    .summary(
        "The number of the key that signs this router's routing packets; every key in the file is accepted.",
    );

    /// HelloInterval.
    pub static HELLO_INTERVAL: TypedOption<Duration> = TypedOption::new(
        "hello_interval",
        Kind::Integer { min: 1, max: 65535, unit: SECONDS },
        value::seconds,
    )
    .default(Default::Value("10"))
    .summary("How often a router says on a link that it is there, the same at both ends of it.");

    /// RouterDeadInterval.
    pub static DEAD_INTERVAL: TypedOption<Duration> = TypedOption::new(
        "dead_interval",
        Kind::Integer { min: 2, max: 65535, unit: SECONDS },
        value::seconds,
    )
    .default(Default::Value("40"))
    .summary(
        "How long a neighbor may be silent before its link counts as dead, the same at both ends of it.",
    );

    /// RxmtInterval.
    pub static RXMT_INTERVAL: TypedOption<Duration> =
        TypedOption::new("rxmt_interval", Kind::Integer { min: 1, max: 3600, unit: SECONDS }, value::seconds)
            .default(Default::Value("5"))
            .summary("How long routing news may stay unacknowledged before it is sent again.");

    /// Whether BFD watches the links.
    pub static BFD: TypedOption<bool> = TypedOption::new("bfd", Kind::OneOf(&["0", "1"]), value::switch)
        .default(Default::Value("1"))
        .summary(
            "Whether the far ends of the links are watched by BFD: 1 or 0. A neighbor that does not speak BFD is none the worse for it.",
        );

    /// BFD's intervals.
    pub static BFD_INTERVAL: TypedOption<Duration> = TypedOption::new(
        "bfd_interval",
        Kind::Integer { min: 50, max: 60000, unit: MILLISECONDS },
        value::milliseconds,
    )
    .default(Default::Value("300"))
    .summary(
        "How often a neighbor is told by BFD that this router is there, and how often it may tell; of two different intervals the longer one holds.",
    );

    /// BFD's Detect Mult.
    pub static BFD_MULTIPLIER: TypedOption<NonZeroU8> = TypedOption::new(
        "bfd_multiplier",
        Kind::Integer { min: 2, max: 255, unit: "" },
        value::nonzero_u8,
    )
    .default(Default::Value("3"))
    .summary(
        "How many of BFD's packets in a row must be missed before the neighbor takes the link for dead.",
    );

    /// Output cost.
    pub static COST: TypedOption<LinkCost> = TypedOption::new(
        "cost",
        Kind::IntegerOrAuto { min: 1, max: 65535 },
        value::link_cost,
    )
    .default(Default::Value("10"))
    .summary(
        "The cost of sending over a link that sets none; traffic takes the way with the least sum of costs. With `auto` it is `auto_cost_min` and one more for each millisecond of the link's round-trip time, and changes when that lastingly does.",
    );

    /// The least automatic cost.
    pub static AUTO_COST_MIN: TypedOption<Cost> =
        TypedOption::new("auto_cost_min", Kind::Integer { min: 1, max: 65535, unit: "" }, value::cost)
            .default(Default::Value("10"))
            .summary("The least cost that `auto` gives a link.");

    /// The highest automatic cost.
    pub static AUTO_COST_MAX: TypedOption<Cost> =
        TypedOption::new("auto_cost_max", Kind::Integer { min: 1, max: 65535, unit: "" }, value::cost)
            .default(Default::Value("1000"))
            .summary(
                "The highest cost that `auto` gives a link, and that of a link that has not been measured.",
            );

    /// How often round-trip times are measured.
    pub static ROUND_TRIP_INTERVAL: TypedOption<Duration> = TypedOption::new(
        "round_trip_interval",
        Kind::Integer { min: 1, max: 3600, unit: SECONDS },
        value::seconds,
    )
    .default(Default::Value("5"))
    .summary(
        "How often each neighbor is asked for an echo, which tells its link's round-trip time and loss.",
    );

    /// Metric of LAN prefixes.
    pub static LAN_METRIC: TypedOption<u16> =
        TypedOption::new("lan_metric", Kind::Integer { min: 0, max: 65535, unit: "" }, value::integer_u16)
            .default(Default::Value("10"))
            .summary("The cost of the last step, from this router into its LANs.");

    /// Equal-cost next hops.
    pub static EQUAL_COST_MAX: TypedOption<u8> =
        TypedOption::new("equal_cost_max", Kind::Integer { min: 1, max: 64, unit: "" }, value::integer_u8)
            .default(Default::Value("16"))
            .summary("Over how many ways of equal cost traffic to one network is spread at most.");

    /// Graceful restart, both sides.
    pub static GRACEFUL_RESTART: TypedOption<bool> = TypedOption::new("graceful_restart", Kind::OneOf(&["0", "1"]), value::switch)
        .default(Default::Value("1"))
        .summary(
            "Whether traffic goes on as it was while an agent is started anew, this router's or a neighbor's: 1 or 0. Neighbors are asked before a planned restart, and first thing after a crash.",
        );

    /// The grace period.
    pub static GRACE_PERIOD: TypedOption<Duration> = TypedOption::new(
        "grace_period",
        Kind::Integer { min: 1, max: 1800, unit: SECONDS },
        value::seconds,
    )
    .default(Default::Value("120"))
    .summary("How long an agent may be away before its router is given up, as long as the router forwards and nothing else changes.");

    /// The mark of outer packets.
    pub static FWMARK: TypedOption<u32> =
        TypedOption::new("fwmark", Kind::Number { min: 1, max: u32::MAX }, value::number)
            .default(Default::Value("0xd1a4"))
            .summary(
                "The firewall mark on WireGuard's own packets, which keeps them out of the mesh's routes.",
            );

    /// The routing table.
    pub static ROUTE_TABLE: TypedOption<u32> =
        TypedOption::new("route_table", Kind::Number { min: 1, max: u32::MAX }, value::route_table)
            .default(Default::Value("141"))
            .summary("The kernel's routing table that holds the mesh's routes, used by nothing else.");

    /// The route protocol number.
    pub static ROUTE_PROTOCOL: TypedOption<u8> = TypedOption::new(
        "route_protocol",
        Kind::Integer {
            min: 100,
            max: 185,
            unit: "",
        },
        value::integer_u8,
    )
    .default(Default::Value("141"))
    .summary("The protocol number on the mesh's routes in the kernel, by which dlan knows its own; used by nothing else.");

    /// The preference of the policy rules.
    pub static RULE_PREFERENCE: TypedOption<u32> = TypedOption::new(
        "rule_preference",
        Kind::Integer { min: 1, max: 32763, unit: "" },
        value::integer_u32,
    )
    .default(Default::Value("30141"))
    .summary("The preference of the first of dlan's two policy rules; the other follows it.");

    /// The time between looks at the system.
    pub static DRIFT_INTERVAL: TypedOption<Duration> = TypedOption::new(
        "drift_interval",
        Kind::Integer { min: 1, max: 3600, unit: SECONDS },
        value::seconds,
    )
    .default(Default::Value("30"))
    .summary("How often the router is checked for changes by others where the kernel does not tell of them.");

    /// The program that has changed files of others read again.
    pub static RELOAD_PROGRAM: TypedOption<PathBuf> = TypedOption::new("reload_program", Kind::File, value::file)
        .default(Default::Value(crate::config::RELOAD_PROGRAM))
        .summary("The program that is run when `apply --stage` has put other programs' files in place, or back; nothing is run where it is not there.");
}
