//! The one table of every section and option, from which the parser, the errors, `--effective` and the document come.

mod mesh_options;
mod names_options;
mod nat64_options;
mod section_options;
mod zone_options;

pub use mesh_options::mesh;
pub use names_options::{delegate, names, record};
pub use nat64_options::nat64;
pub use section_options::{lan, link, ospf_key, wan};
pub use zone_options::{wan_filter, zone};

pub use super::kind::Kind;
pub use super::service::schema as service;
use super::value::Rejection;

/// Every kind of section, in the order of the document.
pub static SECTIONS: [&SectionSchema; 11] = [
    &mesh::SECTION,
    &wan::SECTION,
    &lan::SECTION,
    &zone::SECTION,
    &link::SECTION,
    &ospf_key::SECTION,
    &names::SECTION,
    &nat64::SECTION,
    &record::SECTION,
    &delegate::SECTION,
    &service::SECTION,
];

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
    /// Once or not at all.
    AtMostOnce,
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
    /// Whether it takes any number of values, each written as a `list` line.
    pub is_list: bool,
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

/// An option whose value is a `T`.
pub struct TypedOption<T: 'static> {
    /// What is known of it apart from the type.
    pub schema: OptionSchema,
    /// Turns a text into a value.
    decode: fn(&str, Kind) -> Result<T, Rejection>,
}

impl<T> TypedOption<T> {
    /// Describes a required option, known since version 0.1.
    pub const fn new(name: &'static str, kind: Kind, decode: fn(&str, Kind) -> Result<T, Rejection>) -> Self {
        let schema = OptionSchema {
            name,
            kind,
            is_list: false,
            default: Default::Required,
            since: "0.1",
            summary: "",
        };
        Self { schema, decode }
    }

    /// Lets the option take any number of values, which [`super::view::View::list`] reads.
    pub const fn list(mut self) -> Self {
        self.schema.is_list = true;
        self
    }

    /// Sets what holds when the option is not written.
    pub const fn default(mut self, default: Default) -> Self {
        self.schema.default = default;
        self
    }

    /// Sets the sentence.
    pub const fn summary(mut self, summary: &'static str) -> Self {
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
