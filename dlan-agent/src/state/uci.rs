//! OpenWrt's own configuration of addresses and names for LANs, as a value: what of it is ours, and what was found of the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use vxlan::link::LinkName;

use super::managed_file::ManagedFile;

/// What the names of our sections begin with.
pub const SECTION_PREFIX: &str = "dlan_";
/// The package in which LANs' addresses are.
pub const DHCP_PACKAGE: &str = "/etc/config/dhcp";
/// The names that are ours, in the directory from which OpenWrt's dnsmasq reads names.
pub const HOSTS_PATH: &str = "/tmp/hosts/dlan";
/// The name of our file among dnsmasq's drop-ins.
pub const DROP_IN_FILE: &str = "dlan.conf";

/// What is ours: sections of the package `dhcp`, and files that OpenWrt's dnsmasq reads beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UciDhcp {
    /// The sections, by name.
    pub sections: BTreeMap<String, UciSection>,
    /// The files.
    pub files: BTreeMap<PathBuf, ManagedFile>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UciSection {
    /// Its kind.
    pub kind: String,
    /// Its options.
    pub options: BTreeMap<String, UciValue>,
}

/// What an option is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UciValue {
    /// One value.
    One(String),
    /// A list, never empty.
    List(Vec<String>),
}

/// What was found of OpenWrt's own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UciFacts {
    /// The network on each device.
    pub networks: BTreeMap<LinkName, String>,
    /// The networks of which sections that are not ours say what hosts are given, with the sections as `uci` calls them.
    pub taken: BTreeMap<String, String>,
    /// Where dnsmasq's drop-ins are.
    pub drop_ins: PathBuf,
}

impl UciDhcp {
    /// Returns whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.files.is_empty()
    }
}

impl UciSection {
    /// Makes a section without options.
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), options: BTreeMap::new() }
    }

    /// Sets an option.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.options.insert(name.to_owned(), UciValue::One(value.to_string()));
        self
    }

    /// Sets a list; an empty one is none.
    #[must_use]
    pub fn list(mut self, name: &str, values: Vec<String>) -> Self {
        if !values.is_empty() {
            self.options.insert(name.to_owned(), UciValue::List(values));
        }
        self
    }
}

impl fmt::Display for UciDhcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sections", self.sections.len())?;
        for (path, file) in &self.files {
            write!(f, ", {} {file}", path.display())?;
        }
        Ok(())
    }
}
