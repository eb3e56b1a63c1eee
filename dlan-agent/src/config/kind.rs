//! Which texts are values of an option, as bounds and in words.

/// Which texts are values of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number in decimal, within bounds.
    Integer {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
        /// What it counts, empty for a bare number.
        unit: &'static str,
    },
    /// A whole number in decimal, within bounds, or the word `auto`.
    IntegerOrAuto {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// A number that is also accepted in hexadecimal, within bounds.
    Number {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A DNS label.
    Label,
    /// A DNS name of one or more labels.
    Domain,
    /// A neighbor's name: a DNS label, with `_` accepted.
    NeighborName,
    /// A zone's name.
    Zone,
    /// A zone's name, or the word `wan`.
    Reach,
    /// An address or network, and a service.
    Allowed,
    /// Ports of a protocol.
    Ports,
    /// An IPv4 network.
    Ipv4Pool,
    /// An IPv4 network, or the word `none`.
    Ipv4PoolOrNone,
    /// An IPv6 network.
    Ipv6Pool,
    /// A router's IPv4 address with the length of its prefix.
    Ipv4Address,
    /// A router's IPv6 address with the length of its prefix.
    Ipv6Address,
    /// A Linux device name.
    Device,
    /// A name of OpenWrt's network configuration.
    Network,
    /// An absolute path.
    File,
    /// A WireGuard public key.
    PublicKey,
    /// A name or address with a port.
    Endpoint,
    /// A DNS name of a record or zone.
    RecordName,
    /// An address.
    Address,
    /// A network of either family.
    Prefix,
    /// A host and port, and if need be priority and weight.
    Service,
    /// A text of a record.
    Text,
    /// An address of this router, or all of them, with a port.
    Listen,
    /// A name or address with a port, and words about it.
    Upstream,
    /// A TLS server name.
    ServerName,
    /// An address or a network.
    Source,
    /// Octets, as text or in hexadecimal.
    Octets,
    /// How long an address is lent.
    LeaseTime,
    /// A client, the host part it always gets, and its name.
    Lease,
    /// The number of an option of DHCP, and its value.
    DhcpOption,
    /// The name of a file that a host starts from.
    BootFile,
    /// An absolute path of a directory.
    Directory,
}

impl Kind {
    /// Says what is allowed, as the end of a sentence that begins "is not".
    pub fn allowed(self) -> String {
        let fixed = match self {
            Self::Integer { min, max, unit: "" } => return format!("a whole number from {min} to {max}"),
            Self::Integer { min, max, unit } => {
                return format!("a whole number of {unit} from {min} to {max}");
            }
            Self::IntegerOrAuto { min, max } => {
                return format!("a whole number from {min} to {max}, or the word auto");
            }
            Self::Number { min, max } => {
                return format!("a number from {min} to {max}, in decimal or with 0x in hexadecimal");
            }
            Self::OneOf(words) => return one_of(words),
            Self::Label => {
                "a host name: 1 to 63 lower-case letters, digits and '-', with no '-' at either end"
            }
            Self::Domain => {
                "a domain name such as lan or home.arpa: lower-case labels of letters, digits and '-', joined by dots"
            }
            Self::NeighborName => {
                "a name: 1 to 63 letters, digits, '-' and '_', beginning with a letter or digit"
            }
            Self::Zone => "a zone: internal, isolated or the name of a config zone",
            Self::Reach => "a zone (internal, isolated or the name of a config zone), or the word wan",
            Self::Allowed => {
                "an address or network, with tcp or udp and a port or ports behind it or not, such as 10.2.4.16, 10.2.4.16 tcp 443 or fd79::/64 udp 5000-5010"
            }
            Self::Ports => "tcp or udp and a port or ports, such as tcp 8443 or udp 5000-5010",
            Self::Ipv4Pool => "an IPv4 network such as 10.1.1.0/24",
            Self::Ipv4PoolOrNone => "an IPv4 network such as 10.0.0.0/16, or the word none",
            Self::Ipv6Pool => "an IPv6 network such as fd00:0:1:1::/64",
            Self::Ipv4Address => "this router's IPv4 address with its prefix length, such as 10.2.0.1/24",
            Self::Ipv6Address => {
                "this router's IPv6 address with its prefix length, such as fd79:2de7:db86::1/64"
            }
            Self::Device => {
                "a device name such as br-lan: 1 to 15 letters, digits, '-', '_', '.' and '+', not beginning with '-'"
            }
            Self::Network => {
                "a name of OpenWrt's network configuration such as wan: letters, digits, '_', '-' and '.'"
            }
            Self::File => "an absolute path such as /etc/dlan/wg.psk",
            Self::PublicKey => "a WireGuard public key: 44 characters of base64, as 'dlan key' prints it",
            Self::Endpoint => {
                "a name or address with a port, such as r4.example.org:51820, 192.0.2.4:51820 or [2001:db8::4]:51820"
            }
            Self::RecordName => {
                "a domain name such as www.example.com or _sip._udp.lan: labels of letters, digits, '-' and '_', joined by dots"
            }
            Self::Address => "an address such as 10.2.0.2 or fd79:2de7:db86::2",
            Self::Prefix => "a network such as 10.2.0.0/24 or fd79:2de7:db86::/64",
            Self::Service => {
                "a host and port, and if need be priority and weight, such as 'nas.r1.lan 5060' or 'nas.r1.lan 5060 10 0'"
            }
            Self::Text => "a text of at most 255 octets without control characters",
            Self::Listen => {
                "an address of this router with a port, such as *:443, 0.0.0.0:443, [::]:443 or 192.0.2.4:443"
            }
            Self::Upstream => {
                "a name or address with a port, such as nas.r1.lan:443 or [fd79:1::7]:443, and after it weight=2, backup, down, max_fails=1, fail_timeout=10 or max_conns=100"
            }
            Self::ServerName => {
                "a name such as www.example.com, in lower case, or *.example.com for all names below example.com"
            }
            Self::Source => "an address or a network, such as 192.0.2.7, 198.51.100.0/24 or 2001:db8::/32",
            Self::Octets => "a text, or octets in hexadecimal such as 0x70696e67; at most 512 octets",
            Self::LeaseTime => "a time from 2m to 365d, such as 30m, 12h or 7d, or the word infinite",
            Self::Lease => {
                "a MAC or DUID, the host part, and if need be the name, such as '52:54:00:5a:bf:0b 2 nas'"
            }
            Self::DhcpOption => "the option's number and its value, such as 42,10.2.0.1",
            Self::BootFile => {
                "a file's name such as efi/ipxe.efi: at most 127 letters, digits, '.', '_', '-', '+' and '/'"
            }
            Self::Directory => {
                "an absolute path such as /srv/tftp, of letters, digits, '.', '_', '-', '+' and '/'"
            }
        };
        fixed.to_owned()
    }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [only] => format!("the word {only}, the only one in this version"),
        _ => format!("one of {}", words.join(", ")),
    }
}
