//! The options of `config nat64`: the translator between IPv6 and IPv4.

/// The section `config nat64`.
pub mod nat64 {
    use ipnet::Ipv4Net;

    use crate::config::names;
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "nat64",
        occurrence: Occurrence::AtMostOnce,
        example: "config nat64 'nat64'",
        summary: "Has this router translate between IPv6 and IPv4 (NAT64), for LANs without IPv4: what is sent to `dns64_prefix` of `config names` goes on to the IPv4 address in it. The whole mesh is told.",
        options: &[&POOL],
    };

    /// The addresses that hosts have in between.
    pub static POOL: TypedOption<Ipv4Net> = TypedOption::new("pool", Kind::Ipv4Pool, names::nat64_pool)
        .default(Default::Value("192.168.255.0/24"))
        .summary("Private IPv4 addresses that nobody else has, a /8 to /29: hosts have one each within the router, and leave it under an address of the router.");
}
