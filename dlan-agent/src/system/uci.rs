//! OpenWrt's package `dhcp`: which sections are ours, and how they come and go with every other line left as it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::command::{self, CommandError};
use super::file;
use super::managed_files::place;
use crate::config::uci::{self, Document, Section};
use crate::config::value::is_plain_device;
use crate::plan::change::Edit;
use crate::state::managed_file::ManagedFile;
use crate::state::uci::{
    DHCP_PACKAGE, DROP_IN_FILE, HOSTS_PATH, SECTION_PREFIX, UciDhcp, UciFacts, UciSection, UciValue,
};
use vxlan::link::LinkName;

/// The package in which networks have their devices.
const NETWORK_PACKAGE: &str = "/etc/config/network";
/// Where drop-ins are where nothing else is said.
const DROP_INS: &str = "/tmp/dnsmasq.d";
/// Who serves, and how it is told.
const DNSMASQ: &str = "/etc/init.d/dnsmasq";
const ODHCPD: &str = "/etc/init.d/odhcpd";

/// Why OpenWrt's configuration could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum UciError {
    /// The package cannot be read.
    #[error("cannot read {DHCP_PACKAGE}")]
    Read(#[source] io::Error),
    /// The package is no UCI.
    #[error("{DHCP_PACKAGE} is no valid configuration: see its line {line}")]
    Syntax {
        /// The first line that cannot be read.
        line: usize,
    },
    /// A file could not be changed.
    #[error("cannot change {}", path.display())]
    Change {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Who serves could not be told.
    #[error("cannot have {service} take its configuration")]
    Tell {
        /// Its init script.
        service: &'static str,
        /// What it said.
        #[source]
        source: CommandError,
    },
}

/// Returns what is found of OpenWrt's own configuration.
pub(super) fn facts(root: &Path) -> UciFacts {
    let dhcp = read(root, DHCP_PACKAGE);
    UciFacts {
        networks: openwrt_networks(root),
        taken: taken(&uci::decode(&dhcp).0),
        drop_ins: drop_ins(root, &uci::decode(&dhcp).0),
    }
}

/// Returns what OpenWrt calls the network on each device; nothing elsewhere.
pub fn openwrt_networks(root: &Path) -> BTreeMap<LinkName, String> {
    networks(&uci::decode(&read(root, NETWORK_PACKAGE)).0)
}

/// Returns what is ours, as it is.
pub(super) fn observe(root: &Path) -> Option<UciDhcp> {
    let document = uci::decode(&read(root, DHCP_PACKAGE)).0;
    let paths = [drop_ins(root, &document).join(DROP_IN_FILE), HOSTS_PATH.into()];
    let files = paths.into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(place(root, &path)).ok()?;
        Some((path, ManagedFile::recognise(text)?))
    });
    let found = UciDhcp { sections: sections(&document), files: files.collect() };
    (!found.is_empty()).then_some(found)
}

/// Makes the edit, and tells those who serve; where they cannot be told, everything is as before.
pub(super) async fn apply(root: &Path, edit: &Edit<(), UciDhcp>) -> Result<(), UciError> {
    let nothing = UciDhcp::default();
    let (from, to) = (edit.from.as_ref().unwrap_or(&nothing), edit.to.as_ref().unwrap_or(&nothing));
    write(root, from, to)?;
    let told = tell_of(root, from, to).await;
    if told.is_err() {
        // Who finds it as wanted tells nobody again.
        write(root, to, from)?;
    }
    told
}

/// Puts what is wanted in the place of what is there.
fn write(root: &Path, from: &UciDhcp, to: &UciDhcp) -> Result<(), UciError> {
    if from.sections != to.sections {
        write_sections(root, &to.sections)?;
    }
    for (path, file) in &to.files {
        let at = place(root, path);
        let failed = |source| UciError::Change { path: at.clone(), source };
        at.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        file::write_volatile(&at, file.text.as_bytes(), file::PUBLIC).map_err(failed)?;
    }
    for path in from.files.keys().filter(|path| !to.files.contains_key(*path)) {
        let at = place(root, path);
        file::remove(&at).map_err(|source| UciError::Change { path: at.clone(), source })?;
    }
    Ok(())
}

/// Tells those who serve as much as has changed.
async fn tell_of(root: &Path, from: &UciDhcp, to: &UciDhcp) -> Result<(), UciError> {
    // Names are read again by a running dnsmasq; the rest is read when it starts.
    let names_only = |dhcp: &UciDhcp| {
        let mut rest = dhcp.clone();
        rest.files.remove(Path::new(HOSTS_PATH));
        rest
    };
    let act = if names_only(from) == names_only(to) { "reload" } else { "restart" };
    tell(root, DNSMASQ, act).await?;
    if from.sections != to.sections {
        tell(root, ODHCPD, "reload").await?;
    }
    Ok(())
}

async fn tell(root: &Path, service: &'static str, act: &str) -> Result<(), UciError> {
    let script = place(root, Path::new(service));
    if !script.exists() {
        return Ok(());
    }
    command::run_script(&script, act).await.map_err(|source| UciError::Tell { service, source })
}

fn read(root: &Path, package: &str) -> String {
    std::fs::read_to_string(place(root, Path::new(package))).unwrap_or_default()
}

fn write_sections(root: &Path, wanted: &BTreeMap<String, UciSection>) -> Result<(), UciError> {
    let path = place(root, Path::new(DHCP_PACKAGE));
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(UciError::Read)?,
    };
    let mode = std::fs::metadata(&path).map_or(file::PUBLIC, |found| found.permissions().mode() & 0o777);
    let merged = merge(&text, wanted)?;
    file::write_whole(&path, merged.as_bytes(), mode).map_err(|source| UciError::Change { path, source })
}

/// Puts the sections that are wanted in the place of those of ours; every other line stays as it is.
fn merge(text: &str, wanted: &BTreeMap<String, UciSection>) -> Result<String, UciError> {
    let (document, errors) = uci::decode(text);
    if let Some(error) = errors.first() {
        return Err(UciError::Syntax { line: error.line });
    }
    let ours: Vec<_> = document.sections.iter().filter(|section| is_ours(section)).map(lines_of).collect();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_kept = |number: usize| {
        let is_blank = lines.get(number.saturating_sub(1)).is_some_and(|line| line.trim().is_empty());
        // The blank line above a section came with it.
        !ours
            .iter()
            .any(|ours| ours.contains(&number) || (is_blank && ours.start == number.saturating_add(1)))
    };
    let kept = lines.iter().enumerate().filter(|(index, _)| is_kept(index.saturating_add(1)));
    let mut merged: String = kept.map(|(_, line)| *line).collect();
    if !merged.is_empty() && !merged.ends_with('\n') {
        merged.push('\n');
    }
    merged.push_str(&encode(wanted));
    Ok(merged)
}

/// Returns the lines of a section, counted from 1: up to its last option.
fn lines_of(section: &Section) -> std::ops::Range<usize> {
    let end = |entry: &uci::Entry| entry.line.saturating_add(entry.value.matches('\n').count());
    let last = section.entries.iter().map(end).max().unwrap_or(section.line).max(section.line);
    section.line..last.saturating_add(1)
}

/// Returns the text of sections as libuci writes it, each below a blank line.
fn encode(sections: &BTreeMap<String, UciSection>) -> String {
    let mut text = String::new();
    for (name, section) in sections {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nconfig {} {}", section.kind, uci::quote(name));
        for (option, value) in &section.options {
            let (keyword, values) = match value {
                UciValue::One(value) => ("option", std::slice::from_ref(value)),
                UciValue::List(values) => ("list", values.as_slice()),
            };
            for value in values {
                let _ = writeln!(text, "\t{keyword} {option} {}", uci::quote(value));
            }
        }
    }
    text
}

fn is_ours(section: &Section) -> bool {
    section.name.as_ref().is_some_and(|name| name.starts_with(SECTION_PREFIX))
}

/// Returns the sections that are ours.
fn sections(document: &Document) -> BTreeMap<String, UciSection> {
    let ours = document.sections.iter().filter(|section| is_ours(section));
    let sections = ours.filter_map(|section| {
        let mut options: BTreeMap<String, UciValue> = BTreeMap::new();
        for entry in &section.entries {
            match options.get_mut(&entry.name) {
                Some(UciValue::List(values)) if entry.is_list => values.push(entry.value.clone()),
                _ => {
                    let value = entry.value.clone();
                    let value =
                        if entry.is_list { UciValue::List(vec![value]) } else { UciValue::One(value) };
                    options.insert(entry.name.clone(), value);
                }
            }
        }
        Some((section.name.clone()?, UciSection { kind: section.kind.clone(), options }))
    });
    sections.collect()
}

fn option<'a>(section: &'a Section, name: &str) -> Option<&'a str> {
    section.entries.iter().rev().find(|entry| entry.name == name).map(|entry| entry.value.as_str())
}

/// Returns the network on each device. Of several the first counts; one on top of another (`@lan`) has no device of its own.
fn networks(document: &Document) -> BTreeMap<LinkName, String> {
    let mut networks = BTreeMap::new();
    for section in document.sections.iter().filter(|section| section.kind == "interface") {
        let Some(name) = &section.name else { continue };
        let device = option(section, "device").or_else(|| option(section, "ifname")).map(str::to_owned);
        // What a protocol makes is called after both, as PPPoE's pppoe-wan is.
        let made = option(section, "proto").map(|protocol| format!("{protocol}-{name}"));
        let devices = device.into_iter().chain(made).filter_map(|device| LinkName::new(&device).ok());
        for device in devices.filter(is_plain_device) {
            networks.entry(device).or_insert_with(|| name.clone());
        }
    }
    networks
}

/// Returns the networks about which sections that are not ours say something, with what `uci` calls those.
fn taken(document: &Document) -> BTreeMap<String, String> {
    let pools = document.sections.iter().filter(|section| section.kind == "dhcp");
    let named = pools.enumerate().filter(|(_, section)| !is_ours(section)).filter_map(|(index, section)| {
        let called = section.name.clone().unwrap_or_else(|| format!("@dhcp[{index}]"));
        Some((option(section, "interface")?.to_owned(), called))
    });
    named.collect()
}

/// Returns the directory of drop-ins: what the first instance says; else that of its name, from 24.10 on; else that of before.
fn drop_ins(root: &Path, document: &Document) -> PathBuf {
    let instance = document.sections.iter().find(|section| section.kind == "dnsmasq");
    if let Some(directory) = instance.and_then(|section| option(section, "confdir")) {
        // A list of endings may stand behind a comma.
        return directory.split(',').next().unwrap_or(directory).into();
    }
    let of_instances = std::fs::read_dir(place(root, Path::new("/tmp"))).into_iter().flatten().flatten();
    let mut of_instances: Vec<String> = of_instances
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("dnsmasq.") && name.ends_with(".d") && name != "dnsmasq.d")
        .collect();
    of_instances.sort();
    of_instances.first().map_or_else(|| DROP_INS.into(), |name| Path::new("/tmp").join(name))
}

#[cfg(test)]
mod tests;
