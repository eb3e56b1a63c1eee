//! The options of `config names`, `config record` and `config delegate`: the name server and what it knows by itself.

/// The section `config names`.
pub mod names {
    use std::net::IpAddr;
    use std::time::Duration;

    use ipnet::Ipv6Net;

    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::config::{names, value};
    use crate::names::domain::DomainName;

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "names",
        occurrence: Occurrence::AtMostOnce,
        example: "config names 'names'",
        summary: "The name server of the agent, which answers for the names of the whole mesh.",
        options: &[&PORT, &STALE_TIME, &CACHE, &RATE, &DNS64_PREFIX, &UPSTREAM, &FOREIGN],
    };

    /// The port of the local server.
    pub static PORT: TypedOption<u16> =
        TypedOption::new("port", Kind::Integer { min: 1024, max: 65535, unit: "" }, value::integer_u16)
            .default(Default::Value("5354"))
            .summary(
                "The UDP and TCP port on which the agent's name server is asked, on this router itself only.",
            );

    /// How long answers outlive their owner.
    pub static STALE_TIME: TypedOption<Duration> = TypedOption::new(
        "stale_time",
        Kind::Integer { min: 0, max: 604_800, unit: "seconds" },
        value::seconds,
    )
    .default(Default::Value("86400"))
    .summary("How long the last known answers about another router's names are given while that router cannot be asked; each is marked by a TTL of 10 s.");

    /// How many answers are kept.
    pub static CACHE: TypedOption<u16> =
        TypedOption::new("cache", Kind::Integer { min: 0, max: 20_000, unit: "" }, value::integer_u16)
            .default(Default::Value("2000"))
            .summary("How many answers of other routers are kept; 0 keeps none.");

    /// How often one asker may ask.
    pub static RATE: TypedOption<u16> = TypedOption::new(
        "rate",
        Kind::Integer { min: 0, max: 60_000, unit: "questions a second" },
        value::integer_u16,
    )
    .default(Default::Value("200"))
    .summary("How many questions one host may ask in the long run, twice as many at once; 0 sets no limit. This router's own programs have none.");

    /// The prefix that IPv4 addresses are put into.
    pub static DNS64_PREFIX: TypedOption<Ipv6Net> =
        TypedOption::new("dns64_prefix", Kind::Ipv6Pool, names::dns64_prefix)
            .default(Default::Value("64:ff9b::/96"))
            .summary("The prefix of the IPv6 addresses that stand for IPv4 ones on LANs with `dns64` (RFC 6052): the well-known one or a /96 of your own.");

    /// Who answers for the rest of the world.
    pub static UPSTREAM: TypedOption<IpAddr> = TypedOption::new("upstream", Kind::Address, names::address)
        .list()
        .default(Default::Unset("those that the system knows: of OpenWrt's WANs, else of /etc/resolv.conf"))
        .summary("The name servers that are asked about names outside the mesh, for LANs with `dns64`, for aliases that lead out of the mesh, and by dnsmasq.");

    /// Whose records of names outside the mesh's domain are taken.
    pub static FOREIGN: TypedOption<DomainName> = TypedOption::new("foreign", Kind::RecordName, names::name)
        .list()
        .default(Default::Unset("any"))
        .summary("A domain outside the mesh's own about which other routers' records are believed, with all names below it; others are not taken then, and told. The mesh's own domain alone stands for none. What this router announces itself always holds.");
}

/// The section `config record`.
pub mod record {
    use std::net::IpAddr;

    use crate::config::names;
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::names::domain::DomainName;
    use crate::names::record::RecordData;

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "record",
        occurrence: Occurrence::Any,
        example: "config record 'www'",
        summary: "Records of a name, for the whole mesh: every router announces its own, and no other router needs to know them.",
        options: &[&NAME, &ADDRESS, &CNAME, &SRV, &TXT, &PTR],
    };

    /// Whose records.
    pub static NAME: TypedOption<DomainName> = TypedOption::new("name", Kind::RecordName, names::name)
        .summary("The name, in the mesh's domain or not, but not in another router's zone.");

    /// Its addresses.
    pub static ADDRESS: TypedOption<IpAddr> = TypedOption::new("address", Kind::Address, names::address)
        .list()
        .default(Default::Unset("the name has no address"))
        .summary("An address of the name; where nobody else answers for the address, its reverse name is this one.");

    /// Another name for it.
    pub static CNAME: TypedOption<DomainName> = TypedOption::new("cname", Kind::RecordName, names::name)
        .default(Default::Unset("the name is no alias"))
        .summary(
            "The name under which everything about this one is found; nothing else can be said of it then.",
        );

    /// Services.
    pub static SRV: TypedOption<RecordData> = TypedOption::new("srv", Kind::Service, names::service)
        .list()
        .default(Default::Unset("the name is no service"))
        .summary("Where the service of a name such as _sip._udp.lan is: host and port, and if need be priority and weight (0 and 0).");

    /// Texts.
    pub static TXT: TypedOption<RecordData> = TypedOption::new("txt", Kind::Text, names::text)
        .list()
        .default(Default::Unset("the name has no text"))
        .summary("A text.");

    /// Names that it points to.
    pub static PTR: TypedOption<RecordData> = TypedOption::new("ptr", Kind::RecordName, names::pointer)
        .list()
        .default(Default::Unset("the name points to none"))
        .summary("A name that this one points to, such as one of the services of a kind.");
}

/// The section `config delegate`.
pub mod delegate {
    use std::net::IpAddr;

    use ipnet::IpNet;

    use crate::config::names;
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::names::domain::DomainName;

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "delegate",
        occurrence: Occurrence::Any,
        example: "config delegate 'r7'",
        summary: "Who answers for names that no router announces, such as those of a router without dlan.",
        options: &[&ZONE, &REVERSE, &SERVER],
    };

    /// The zone.
    pub static ZONE: TypedOption<DomainName> = TypedOption::new("zone", Kind::RecordName, names::name)
        .default(Default::Unset("only reverse names are delegated"))
        .summary("The zone: this name and all below it.");

    /// The prefixes.
    pub static REVERSE: TypedOption<IpNet> = TypedOption::new("reverse", Kind::Prefix, names::prefix)
        .list()
        .default(Default::Unset("no reverse names are delegated"))
        .summary("A network whose addresses' names are asked there.");

    /// Who is asked.
    pub static SERVER: TypedOption<IpAddr> = TypedOption::new("server", Kind::Address, names::address)
        .list()
        .summary("An address where its name server is asked, on port 53.");
}
