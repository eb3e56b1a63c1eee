//! One step of a plan, and the step that takes it back.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use vxlan::change::LinkChange;

use crate::state::DeviceAddress;
use crate::state::managed_file::ManagedFile;
use crate::state::next_hop::{NextHop, NextHopId};
use crate::state::program::{Program, ProgramName};
use crate::state::route::{Route, RouteKey};
use crate::state::rule::Rule;
use crate::state::ruleset::Ruleset;
use crate::state::setting::{Setting, SettingValue};
use crate::state::uci::{DHCP_PACKAGE, UciDhcp};

/// A difference at one key: `from` is what stands, `to` what shall stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit<K, V> {
    /// What it is about.
    pub key: K,
    /// What stands; `None`: nothing.
    pub from: Option<V>,
    /// What shall stand; `None`: nothing.
    pub to: Option<V>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A link device.
    Link(LinkChange),
    /// An address on a device that is no link.
    Address(Edit<DeviceAddress, ()>),
    /// A next hop object: changed in place where one stands.
    NextHop(Edit<NextHopId, NextHop>),
    /// A kernel route: changed in place where one stands.
    Route(Edit<RouteKey, Route>),
    /// A policy rule.
    Rule(Edit<Rule, ()>),
    /// A kernel setting. Without `from` its value is somebody else's and is remembered; without `to` that value
    /// comes back.
    Setting(Edit<Setting, SettingValue>),
    /// The nftables table, replaced whole in one transaction.
    Ruleset(Edit<(), Ruleset>),
    /// A managed file, replaced whole.
    File(Edit<PathBuf, ManagedFile>),
    /// A program with its files: started, ended, or told to read them again. Boxed, for most steps are about routes and every
    /// step has the size of the largest.
    Program(Box<Edit<ProgramName, Program>>),
    /// What is ours of OpenWrt's own configuration of LANs, replaced whole.
    Uci(Edit<(), UciDhcp>),
}

/// What a step does to its thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It comes.
    Add,
    /// It goes.
    Remove,
    /// It is changed in place.
    Change,
}

/// A step as programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeView {
    /// What is done.
    pub act: Act,
    /// To what kind of thing.
    pub kind: &'static str,
    /// To which one.
    pub key: String,
    /// What stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What shall stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl<K: Clone, V: Clone> Edit<K, V> {
    fn inverse(&self) -> Self {
        Self { key: self.key.clone(), from: self.to.clone(), to: self.from.clone() }
    }
}

impl<K: Ord + Clone, V: Clone> Edit<K, V> {
    /// Makes the edit in a map.
    pub fn enter(&self, map: &mut std::collections::BTreeMap<K, V>) {
        match &self.to {
            Some(to) => map.insert(self.key.clone(), to.clone()),
            None => map.remove(&self.key),
        };
    }
}

impl<K, V> Edit<K, V> {
    /// Returns what is done.
    pub fn act(&self) -> Act {
        match (&self.from, &self.to) {
            (None, _) => Act::Add,
            (Some(_), None) => Act::Remove,
            (Some(_), Some(_)) => Act::Change,
        }
    }
}

impl Change {
    /// Returns the step that takes this one back.
    pub fn inverse(&self) -> Self {
        match self {
            Self::Link(change) => Self::Link(change.inverse()),
            Self::Address(edit) => Self::Address(edit.inverse()),
            Self::NextHop(edit) => Self::NextHop(edit.inverse()),
            Self::Route(edit) => Self::Route(edit.inverse()),
            Self::Rule(edit) => Self::Rule(edit.inverse()),
            Self::Setting(edit) => Self::Setting(edit.inverse()),
            Self::Ruleset(edit) => Self::Ruleset(edit.inverse()),
            Self::File(edit) => Self::File(edit.inverse()),
            Self::Program(edit) => Self::Program(Box::new(edit.inverse())),
            Self::Uci(edit) => Self::Uci(edit.inverse()),
        }
    }

    /// Returns what is done.
    pub fn act(&self) -> Act {
        match self {
            Self::Link(LinkChange::Create(_)) => Act::Add,
            Self::Link(LinkChange::Remove(_)) => Act::Remove,
            Self::Link(_) => Act::Change,
            Self::Address(edit) => edit.act(),
            Self::NextHop(edit) => edit.act(),
            Self::Route(edit) => edit.act(),
            Self::Rule(edit) => edit.act(),
            Self::Setting(edit) => edit.act(),
            Self::Ruleset(edit) => edit.act(),
            Self::File(edit) => edit.act(),
            Self::Program(edit) => edit.act(),
            Self::Uci(edit) => edit.act(),
        }
    }
}

impl ChangeView {
    /// Makes the view of a step. No secret is in it.
    pub fn of(change: &Change) -> Self {
        let act = change.act();
        let bare = |kind, key: String| Self { act, kind, key, from: None, to: None };
        match change {
            Change::Link(change) => {
                let text = change.to_string();
                let text = text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned());
                let (from, to) = if act == Act::Remove { (Some(text), None) } else { (None, Some(text)) };
                Self { act, kind: "link", key: change.device().to_string(), from, to }
            }
            Change::Address(edit) => bare("address", edit.key.to_string()),
            Change::Rule(edit) => bare("rule", edit.key.to_string()),
            Change::NextHop(edit) => Self::full("next hop", edit.key.to_string(), edit),
            Change::Route(edit) => Self::full("route", edit.key.to_string(), edit),
            Change::Setting(edit) => Self::full("setting", edit.key.to_string(), edit),
            Change::Ruleset(edit) => Self::full("nftables", "table inet dlan".to_owned(), edit),
            Change::File(edit) => Self::full("file", edit.key.display().to_string(), edit),
            Change::Program(edit) => Self::full("program", edit.key.to_string(), edit),
            Change::Uci(edit) => Self::full("uci", DHCP_PACKAGE.to_owned(), edit),
        }
    }

    fn full<K, V: fmt::Display>(kind: &'static str, key: String, edit: &Edit<K, V>) -> Self {
        let text = |value: &Option<V>| value.as_ref().map(ToString::to_string);
        Self { act: edit.act(), kind, key, from: text(&edit.from), to: text(&edit.to) }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ChangeView::of(self).fmt(f)
    }
}

impl fmt::Display for ChangeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.act {
            Act::Add => '+',
            Act::Remove => '-',
            Act::Change => '~',
        };
        write!(f, "{sign} {} {}", self.kind, self.key)?;
        match (&self.from, &self.to) {
            (None, None) => Ok(()),
            (None, Some(value)) | (Some(value), None) => write!(f, ": {value}"),
            (Some(from), Some(to)) => write!(f, ": {from} -> {to}"),
        }
    }
}
