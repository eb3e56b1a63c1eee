//! The lab: a mesh of network namespaces on one machine, from a topology file; on request with virtual machines as routers.
//!
//! `topology` is the file as types, `layout` and `impairment` say what that means for each node (pure), `node` and
//! `lab` make it so, `machine` puts machines in the place of routers, `run` carries out the command line.

pub mod advertisement;
pub mod agent;
pub mod agent_config;
pub mod bench;
pub mod capture;
pub mod cli;
pub mod command;
pub mod console;
pub mod demo;
pub mod dhcp;
pub mod dig;
pub mod documents;
pub mod error;
pub mod files;
pub mod flood;
pub mod foreign;
pub mod impairment;
pub mod inject;
pub mod lab;
pub mod lane;
pub mod layout;
pub mod machine;
pub mod machines;
pub mod node;
pub mod node_init;
pub mod observe;
pub mod page;
pub mod picture;
pub mod ping;
pub mod probe;
pub mod relay;
pub mod report;
pub mod run;
pub mod runner;
pub mod scan;
pub mod scenarios;
pub mod second_lan;
pub mod serving;
pub mod signals;
pub mod snapshot;
pub mod speaker;
pub mod ssh;
pub mod standstill;
pub mod tools;
pub mod topology;
pub mod transfer;
pub mod wait;
pub mod wireguard;
