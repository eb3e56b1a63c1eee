//! The operator's file: from its text to types, with every error in words.
//!
//! [`load`] reads the file, [`parse`] a text. `schema` is the one table of what may be written; `uci` reads the file's
//! format, `value` one option's text, `check` looks across sections, `problem` has every sentence an operator may
//! read; `effective` and `docs` show the table filled in and described, `template` writes a first file.

pub mod dhcp;
pub mod docs;
pub mod error;
pub mod kind;
pub mod names;
pub mod problem;
pub mod schema;
pub mod secret;
pub mod service;
pub mod suggest;
pub mod template;
pub mod uci;
pub mod value;
pub mod view;
pub mod zone;

mod check;
mod check_zones;
mod effective;
mod load;
mod parse;
mod types;

pub use effective::{EffectiveOption, Origin, effective, effective_text};
pub use error::{ConfigError, ConfigErrors};
pub use load::{CONFIG_FILE, RELOAD_PROGRAM, hostname, load};
pub use parse::{Loaded, Source, name_from_hostname, parse};
pub use types::{
    Config, DelegateConfig, DeviceSource, Endpoint, HOST_ID_LIMIT, HostId, LISTEN_PORT_DEFAULT, LanAddress,
    LanConfig, LinkConfig, LinkCost, MeshConfig, NamesConfig, Nat64Config, OspfKeyConfig, WanConfig,
};
