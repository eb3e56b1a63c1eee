//! A file's sections seen through the schema: known kinds only, each value read by its option.

use super::error::ConfigError;
use super::problem::Problem;
use super::schema::{self, AnyOption, Default, SectionSchema, TypedOption};
use super::uci::{Document, Entry, Section};

/// A section of a known kind.
#[derive(Clone)]
pub struct View<'a> {
    /// What may stand in it.
    pub schema: &'static SectionSchema,
    /// What stands in it.
    pub section: &'a Section,
    /// Its place among the sections of its kind, from 0.
    pub index: usize,
}

impl<'a> View<'a> {
    /// Returns the section's name; of an anonymous one UCI's address.
    pub fn name(&self) -> String {
        let anonymous = || format!("@{}[{}]", self.schema.kind, self.index);
        self.section.name.clone().unwrap_or_else(anonymous)
    }

    /// Returns what people call the section in an error.
    pub fn title(&self) -> String {
        match &self.section.name {
            Some(name) => format!("{} '{name}'", self.schema.kind),
            None => self.name(),
        }
    }

    /// Returns the last entry of that name: the one that counts in UCI.
    pub fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.section.entries.iter().rfind(|entry| entry.name == name)
    }

    /// Returns all entries of that name, in their order.
    pub fn entries(&self, name: &str) -> impl Iterator<Item = &'a Entry> {
        self.section.entries.iter().filter(move |entry| entry.name == name)
    }

    /// Returns whether the option is written.
    pub fn has<T>(&self, option: &TypedOption<T>) -> bool {
        self.entry(option.schema.name).is_some()
    }

    /// Returns the line of the option, else that of the section.
    pub fn line<T>(&self, option: &TypedOption<T>) -> usize {
        self.entry(option.schema.name).map_or(self.section.line, |entry| entry.line)
    }

    /// Returns the value that is written, if it is one.
    pub fn written<T>(&self, option: &TypedOption<T>) -> Option<T> {
        self.entry(option.schema.name).and_then(|entry| option.decode(&entry.value).ok())
    }

    /// Returns the value that is written, else the default; nothing when what is written is no value.
    pub fn value<T>(&self, option: &TypedOption<T>) -> Option<T> {
        match (self.entry(option.schema.name), option.schema.default) {
            (Some(entry), _) => option.decode(&entry.value).ok(),
            (None, Default::Value(text)) => option.decode(text).ok(),
            (None, _) => None,
        }
    }

    /// Returns the values of a list option, in their order: none when it is not written; nothing when one is no value.
    pub fn list<T>(&self, option: &TypedOption<T>) -> Option<Vec<T>> {
        self.entries(option.schema.name).map(|entry| option.decode(&entry.value).ok()).collect()
    }

    /// Returns the value of this section's option, else that of the mesh section's.
    pub fn value_or_mesh<T>(
        &self,
        option: &TypedOption<T>,
        mesh: &View<'_>,
        general: &TypedOption<T>,
    ) -> Option<T> {
        if self.has(option) { self.value(option) } else { mesh.value(general) }
    }

    /// Returns an error at an option, or at the section's line when the option is not written.
    pub fn error<T>(&self, option: &TypedOption<T>, problem: Problem) -> ConfigError {
        self.error_at(self.line(option), option.schema.name, problem)
    }

    /// Returns an error at a line.
    pub fn error_at(&self, line: usize, option: &str, problem: Problem) -> ConfigError {
        ConfigError { option: Some(option.to_owned()), ..self.section_error(problem) }.at(line)
    }

    /// Returns an error of the section as a whole.
    pub fn section_error(&self, problem: Problem) -> ConfigError {
        ConfigError {
            line: Some(self.section.line),
            column: None,
            section: Some(self.title()),
            option: None,
            problem,
        }
    }

    /// Returns the options of the section's kind.
    pub fn options(&self) -> impl Iterator<Item = &'static dyn AnyOption> {
        self.schema.options.iter().copied()
    }
}

impl ConfigError {
    fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// A file's sections of known kinds.
pub struct Views<'a> {
    /// Whether the text could be read to its end, so that what is not here is not in the file.
    pub is_readable: bool,
    /// The first `mesh` section.
    pub mesh: Option<View<'a>>,
    /// The `wan` sections.
    pub wans: Vec<View<'a>>,
    /// The `lan` sections.
    pub lans: Vec<View<'a>>,
    /// The `zone` sections.
    pub zones: Vec<View<'a>>,
    /// The `link` sections.
    pub links: Vec<View<'a>>,
    /// The `ospf_key` sections.
    pub ospf_keys: Vec<View<'a>>,
    /// The first `names` section.
    pub names: Option<View<'a>>,
    /// The first `nat64` section.
    pub nat64: Option<View<'a>>,
    /// The `record` sections.
    pub records: Vec<View<'a>>,
    /// The `delegate` sections.
    pub delegates: Vec<View<'a>>,
    /// The `service` sections.
    pub services: Vec<View<'a>>,
}

impl<'a> Views<'a> {
    /// Sorts out the sections that can be read.
    pub fn new(document: &'a Document, is_readable: bool) -> Self {
        let of = |schema: &'static SectionSchema| {
            let sections = document.sections.iter().filter(|section| section.kind == schema.kind);
            let views = sections.enumerate().map(|(index, section)| View { schema, section, index });
            views.filter(|view| !view.section.broken).collect::<Vec<_>>()
        };
        Self {
            is_readable,
            mesh: of(&schema::mesh::SECTION).into_iter().next(),
            wans: of(&schema::wan::SECTION),
            lans: of(&schema::lan::SECTION),
            zones: of(&schema::zone::SECTION),
            links: of(&schema::link::SECTION),
            ospf_keys: of(&schema::ospf_key::SECTION),
            names: of(&schema::names::SECTION).into_iter().next(),
            nat64: of(&schema::nat64::SECTION).into_iter().next(),
            records: of(&schema::record::SECTION),
            delegates: of(&schema::delegate::SECTION),
            services: of(&schema::service::SECTION),
        }
    }

    /// Returns all of them in the order of the document.
    pub fn all(&self) -> impl Iterator<Item = &View<'a>> {
        let before =
            self.mesh.iter().chain(&self.wans).chain(&self.lans).chain(&self.zones).chain(&self.links);
        before
            .chain(&self.ospf_keys)
            .chain(&self.names)
            .chain(&self.nat64)
            .chain(&self.records)
            .chain(&self.delegates)
            .chain(&self.services)
    }
}
