//! The options of `config zone`, and those of `config wan` that say what passes there.

/// The section `config zone`.
pub mod zone {
    use crate::config::schema::{Default, Kind, Occurrence, SectionSchema, TypedOption};
    use crate::config::zone::{self, Allowed, Reach};

    /// The section with its options.
    pub static SECTION: SectionSchema = SectionSchema {
        kind: "zone",
        occurrence: Occurrence::Any,
        example: "config zone 'cameras'",
        summary: "What the hosts of this router's LANs in that zone may reach; whatever is not listed is dropped. The name has at \
                  most 15 small letters, digits and '_', beginning with a letter. Two zones need no section: `internal`, whose \
                  hosts reach everything and which cannot be narrowed, and `isolated`, whose hosts reach nothing until a section \
                  says more. A zone that other routers have needs a section here too before it can be named, but it may be empty. \
                  Each router holds its own LANs to their zones, so the sections of one name should be the same on every router.",
        options: &[&REACH, &ALLOW],
    };

    /// Zones that may be reached.
    pub static REACH: TypedOption<Reach> = TypedOption::new("reach", Kind::Reach, zone::reach)
        .list()
        .default(Default::Unset("no zone, not even itself"))
        .summary("A zone whose hosts may be reached, wherever in the mesh they are; `wan` stands for the internet by this router's own WANs, never by another router's.");

    /// Addresses that may be reached.
    pub static ALLOW: TypedOption<Allowed> = TypedOption::new("allow", Kind::Allowed, zone::allowed)
        .list()
        .default(Default::Unset("nothing more"))
        .summary("An address or a network that may be reached, as a whole or one service of it.");
}

/// What passes a WAN.
pub mod wan_filter {
    use crate::config::schema::{Default, Kind, TypedOption};
    use crate::config::value;
    use crate::config::zone::{self, Ports, WanInput};

    /// What becomes of packets for this router.
    pub static INPUT: TypedOption<WanInput> =
        TypedOption::new("input", Kind::OneOf(&["drop", "leave"]), zone::wan_input)
            .default(Default::Value("leave"))
            .summary("`drop` closes this router towards the WAN: what comes from there and nobody asked for is dropped, but for WireGuard, what is opened here, a DHCP client's answers and the ICMP that a network needs; and nothing is forwarded from there. `leave` leaves that to another firewall, such as OpenWrt's.");

    /// SSH's port.
    pub static SSH: TypedOption<u16> =
        TypedOption::new("ssh", Kind::Integer { min: 1, max: 65535, unit: "" }, value::integer_u16)
            .default(Default::Unset("SSH cannot be reached from the WAN"))
            .summary("The TCP port of SSH, to be reached from the WAN although `input` is `drop`.");

    /// Further ports.
    pub static OPEN: TypedOption<Ports> = TypedOption::new("open", Kind::Ports, zone::ports)
        .list()
        .default(Default::Unset("nothing more is open"))
        .summary(
            "Ports of programs on this router that can be reached from the WAN although `input` is `drop`.",
        );

    /// Whether the inside goes out under this router's address.
    pub static MASQUERADE: TypedOption<bool> =
        TypedOption::new("masquerade", Kind::OneOf(&["0", "1"]), value::switch)
            .default(Default::Value("0"))
            .summary("Whether what leaves by this WAN from a private address of the inside gets this router's own, in IPv4 and IPv6: 1 or 0.");
}
