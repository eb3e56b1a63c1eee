//! The router's keeper as a library: everything but argument parsing and the process itself.
//!
//! [`config`] is what the operator wrote, [`desired`] what follows from it, [`plan`] the way there, [`reconcile`] the
//! machine that decides when; all of these are pure. [`system`] has the side effects, [`daemon`] ties the parts together,
//! and [`commands`] is the command line. ARCHITECTURE.md has the map.

/// Tests of the parts name this library as tests of the whole do.
#[cfg(test)]
extern crate self as dlan_agent;

pub mod addressing;
pub mod auto_cost;
pub mod caller;
pub mod causes;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod daemon;
pub mod desired;
pub mod drain;
pub mod endpoints;
pub mod init;
pub mod learned;
pub mod leases;
pub mod lock;
pub mod logging;
pub mod mtu;
pub mod names;
pub mod next_hops;
pub mod openings;
pub mod path;
pub mod ping;
pub mod plan;
pub mod pref64;
pub mod probe;
pub mod problems;
pub mod reconcile;
pub mod render;
pub mod round_trips;
pub mod router_information;
pub mod routing;
pub mod services;
pub mod show;
pub mod state;
pub mod store;
pub mod supervised;
pub mod system;
pub mod topology;
pub mod unhurried;
pub mod window;
pub mod zones;
