//! The one table of every section and option, from which the parser, the errors, `--effective` and the document come.

mod mesh_options;
mod section_options;

pub use mesh_options::mesh;
pub use section_options::{lan, link, wan};

use super::value::Rejection;

/// Every kind of section, in the order of the document.
pub static SECTIONS: [&SectionSchema; 4] = [&mesh::SECTION, &wan::SECTION, &lan::SECTION, &link::SECTION];

/// One kind of section.
pub struct SectionSchema {
    /// The word after `config`.
    pub kind: &'static str,
    /// How often it may stand in a file.
    pub occurrence: Occurrence,
    /// An example of its `config` line.
    pub example: &'static str,
    /// What it describes, in one sentence.
    pub summary: &'static str,
    /// Its options, in the order of the document.
    pub options: &'static [&'static dyn AnyOption],
}

/// How often a kind of section may stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// Exactly once.
    Once,
    /// At least once.
    AtLeastOnce,
    /// Any number of times.
    Any,
}

impl SectionSchema {
    /// Returns the option of that name.
    pub fn option(&self, name: &str) -> Option<&'static dyn AnyOption> {
        let mut options = self.options.iter().copied();
        options.find(|option| option.schema().name == name)
    }
}

/// Returns the kind of section of that name.
pub fn section(kind: &str) -> Option<&'static SectionSchema> {
    SECTIONS.into_iter().find(|schema| schema.kind == kind)
}

/// What is known of an option apart from the type of its value.
#[derive(Clone, Copy)]
pub struct OptionSchema {
    /// The option's name.
    pub name: &'static str,
    /// Which texts are values of it.
    pub kind: Kind,
    /// What holds when it is not written.
    pub default: Default,
    /// The version that first knew it.
    pub since: &'static str,
    /// What it decides, in one sentence.
    pub summary: &'static str,
}

/// What holds when an option is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// The file is rejected.
    Required,
    /// This value.
    Value(&'static str),
    /// The value of the mesh section's option of this name.
    Mesh(&'static str),
    /// A value that is found elsewhere, described in words.
    Found(&'static str),
    /// Nothing; what that means, in words.
    Unset(&'static str),
}

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
}

impl Kind {
    /// Says what is allowed, as the end of a sentence that begins "is not".
    pub fn allowed(self) -> String {
        let fixed = match self {
            Self::Integer { min, max, unit: "" } => return format!("a whole number from {min} to {max}"),
            Self::Integer { min, max, unit } => {
                return format!("a whole number of {unit} from {min} to {max}");
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
            Self::Ipv4Pool => "an IPv4 network such as 10.1.1.0/24",
            Self::Ipv4PoolOrNone => "an IPv4 network such as 10.0.0.0/16, or the word none",
            Self::Ipv6Pool => "an IPv6 network such as fd00:0:1:1::/64",
            Self::Ipv4Address => "this router's IPv4 address with its prefix length, such as 10.2.0.1/24",
            Self::Ipv6Address => {
                "this router's IPv6 address with its prefix length, such as fd79:2de7:db86::1/64"
            }
            Self::Device => "a device name such as br-lan: 1 to 15 characters without '/', ':' or spaces",
            Self::Network => {
                "a name of OpenWrt's network configuration such as wan: letters, digits, '_', '-' and '.'"
            }
            Self::File => "an absolute path such as /etc/dlan/wg.psk",
            Self::PublicKey => "a WireGuard public key: 44 characters of base64, as 'dlan key' prints it",
            Self::Endpoint => {
                "a name or address with a port, such as r4.example.org:51820, 192.0.2.4:51820 or [2001:db8::4]:51820"
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

/// An option whose value is a `T`.
pub struct TypedOption<T: 'static> {
    /// What is known of it apart from the type.
    pub schema: OptionSchema,
    /// Turns a text into a value.
    decode: fn(&str, Kind) -> Result<T, Rejection>,
}

impl<T> TypedOption<T> {
    /// Describes a required option, known since version 0.1.
    const fn new(name: &'static str, kind: Kind, decode: fn(&str, Kind) -> Result<T, Rejection>) -> Self {
        let schema = OptionSchema { name, kind, default: Default::Required, since: "0.1", summary: "" };
        Self { schema, decode }
    }

    /// Sets what holds when the option is not written.
    const fn default(mut self, default: Default) -> Self {
        self.schema.default = default;
        self
    }

    /// Sets the sentence.
    const fn summary(mut self, summary: &'static str) -> Self {
        self.schema.summary = summary;
        self
    }

    /// Turns a text into a value.
    pub fn decode(&self, text: &str) -> Result<T, Rejection> {
        (self.decode)(text, self.schema.kind)
    }
}

/// An option, whatever the type of its value.
pub trait AnyOption: Sync {
    /// Returns what is known of it.
    fn schema(&self) -> &OptionSchema;
    /// Tells whether a text is a value of it.
    fn check(&self, text: &str) -> Result<(), Rejection>;
}

impl<T> AnyOption for TypedOption<T> {
    fn schema(&self) -> &OptionSchema {
        &self.schema
    }

    fn check(&self, text: &str) -> Result<(), Rejection> {
        self.decode(text).map(|_| ())
    }
}
