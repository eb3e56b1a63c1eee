//! Shows every option with the value that holds and where it comes from.

use std::fmt::Write as _;

use serde::Serialize;

use super::parse::Loaded;
use super::schema::{Default, OptionSchema, mesh, wan};
use super::uci::quote;
use super::view::{View, Views};

/// An option with the value that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveOption {
    /// The kind of section.
    pub kind: &'static str,
    /// The section's name; of an anonymous one UCI's address.
    pub section: String,
    /// The option's name.
    pub option: &'static str,
    /// Whether it is a list, which has an entry here for each of its values.
    pub is_list: bool,
    /// The value; `None` where nothing holds.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// This line of the file.
    File {
        /// The line, from 1.
        line: usize,
    },
    /// The default.
    Default,
    /// The mesh section's option.
    Mesh {
        /// The option's name there.
        option: &'static str,
        /// Its line; `None` for its default.
        line: Option<usize>,
    },
    /// Found elsewhere.
    Found {
        /// Where, in words.
        what: &'static str,
    },
    /// Nothing holds.
    Unset {
        /// What that means, in words.
        meaning: &'static str,
    },
}

impl Origin {
    /// Says it in words, for a comment.
    pub fn describe(&self) -> String {
        match self {
            Self::File { line } => format!("line {line}"),
            Self::Default => "default".to_owned(),
            Self::Mesh { option, line: Some(line) } => format!("mesh option {option}, line {line}"),
            Self::Mesh { option, line: None } => format!("mesh option {option}, default"),
            Self::Found { what } => (*what).to_owned(),
            Self::Unset { meaning } => format!("not set: {meaning}"),
        }
    }
}

/// Returns every option of every section, in the order of the document.
pub fn effective(loaded: &Loaded) -> Vec<EffectiveOption> {
    let views = Views::new(&loaded.document, true);
    let options = views.all().flat_map(|view| {
        let option = |option: &OptionSchema| effective_option(loaded, &views, view, option);
        view.options().flat_map(|any| option(any.schema())).collect::<Vec<_>>()
    });
    options.collect()
}

/// Returns the same as a file that means the same, each line with a comment that says where it comes from.
pub fn effective_text(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut before = None;
    for option in effective(loaded) {
        let section = (option.kind, option.section.clone());
        if before.as_ref() != Some(&section) {
            let gap = if before.is_some() { "\n" } else { "" };
            let name = Some(&option.section).filter(|name| !name.starts_with('@'));
            let name = name.map(|name| format!(" {}", quote(name))).unwrap_or_default();
            let _ = writeln!(text, "{gap}config {}{name}", option.kind);
            before = Some(section);
        }
        let origin = option.origin.describe();
        let _ = match &option.value {
            Some(value) => {
                let keyword = if option.is_list { "list" } else { "option" };
                let words = format!("{keyword} {} {}", option.option, quote(value));
                writeln!(text, "\t{words:<48} # {origin}")
            }
            None => writeln!(text, "\t{:<48} # {origin}", format!("# {}", option.option)),
        };
    }
    text
}

fn effective_option(
    loaded: &Loaded,
    views: &Views<'_>,
    view: &View<'_>,
    option: &OptionSchema,
) -> Vec<EffectiveOption> {
    let written: Vec<_> = match option.is_list {
        true => view.entries(option.name).collect(),
        false => view.entry(option.name).into_iter().collect(),
    };
    let mut values: Vec<_> = written
        .into_iter()
        .map(|entry| (Some(entry.value.clone()), Origin::File { line: entry.line }))
        .collect();
    if values.is_empty() {
        values.push(unwritten(loaded, views, view, option));
    }
    let effective = |(value, origin)| EffectiveOption {
        kind: view.schema.kind,
        section: view.name(),
        option: option.name,
        is_list: option.is_list,
        value,
        origin,
    };
    values.into_iter().map(effective).collect()
}

fn unwritten(
    loaded: &Loaded,
    views: &Views<'_>,
    view: &View<'_>,
    option: &OptionSchema,
) -> (Option<String>, Origin) {
    if view.schema.kind == wan::SECTION.kind && option.name == wan::LISTEN_PORT.schema.name {
        let mut written = views.wans.iter().filter_map(|wan| wan.entry(option.name));
        if let Some(entry) = written.next() {
            return (Some(entry.value.clone()), Origin::File { line: entry.line });
        }
    }
    match option.default {
        Default::Value(text) => (Some(text.to_owned()), Origin::Default),
        Default::Mesh(general) => inherited(views, general),
        Default::Found(what) if view.schema.kind == mesh::SECTION.kind => {
            (Some(loaded.config.mesh.name.clone()), Origin::Found { what })
        }
        Default::Found(what) => (Some(view.name()), Origin::Found { what }),
        Default::Unset(meaning) => (None, Origin::Unset { meaning }),
        Default::Required => (None, Origin::Unset { meaning: "it is required" }),
    }
}

fn inherited(views: &Views<'_>, general: &'static str) -> (Option<String>, Origin) {
    let entry = views.mesh.as_ref().and_then(|mesh| mesh.entry(general));
    let schema = mesh::SECTION.option(general).map(|option| option.schema());
    match (entry, schema.map(|schema| schema.default)) {
        (Some(entry), _) => {
            (Some(entry.value.clone()), Origin::Mesh { option: general, line: Some(entry.line) })
        }
        (None, Some(Default::Value(text))) => {
            (Some(text.to_owned()), Origin::Mesh { option: general, line: None })
        }
        (None, Some(Default::Unset(meaning))) => (None, Origin::Unset { meaning }),
        (None, _) => (None, Origin::Unset { meaning: "the mesh section sets none" }),
    }
}
