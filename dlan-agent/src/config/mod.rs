//! The operator's file: from its text to types, with every error in words.
//!
//! [`load`] reads the file, [`parse`] a text. `schema` is the one table of what may be written; `uci` reads the file's
//! format, `value` one option's text, `check` looks across sections, `problem` has every sentence an operator may
//! read; `effective` and `docs` show the table filled in and described, `template` writes a first file.

pub mod problem;
pub mod schema;
pub mod suggest;
pub mod uci;
pub mod value;

mod types;

pub use types::{
    Config, DeviceSource, Endpoint, HOST_ID_LIMIT, HostId, LISTEN_PORT_DEFAULT, LanAddress, LanConfig,
    LinkConfig, MeshConfig, WanConfig,
};
