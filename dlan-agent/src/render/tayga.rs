//! The file of dlan's tayga, which translates between IPv6 and IPv4; pure.
//!
//! Everything in it is an address or a network.

use std::collections::{BTreeMap, BTreeSet};

use vxlan::link::LinkName;

use crate::addressing::{NAT64_DEVICE, RouterAddresses};
use crate::config::Config;
use crate::state::facts::Facts;
use crate::state::managed_file::ManagedFile;
use crate::state::program::{Program, ProgramFile, ProgramName, Reread};

/// The file.
const CONFIG_FILE: &str = "tayga.conf";
/// Whom it becomes once it has its device.
const USER: &str = "nobody";

/// Returns the program with its file; `None` when it is not asked for, or not installed.
///
/// It keeps nothing: started anew, it gives hosts other addresses of the pool, and connections through it begin anew.
pub fn render(config: &Config, facts: &Facts, identity: RouterAddresses) -> Option<Program> {
    let path = facts.tayga.clone()?;
    let nat64 = config.nat64?;
    let device = LinkName::new(NAT64_DEVICE).ok()?;
    let file = ProgramName::Tayga.directory().join(CONFIG_FILE).display().to_string();
    let own = nat64.pool.hosts().next()?;
    let text = format!(
        "tun-device {device}\n\
         # Who complains: in IPv4 an address of the pool, in IPv6 this router.\n\
         ipv4-addr {own}\n\
         ipv6-addr {}\n\
         prefix {}\n\
         dynamic-pool {}\n",
        identity.ipv6, config.names.dns64_prefix, nat64.pool
    );
    let file_content = ProgramFile { file: ManagedFile::new(&text), reread: Reread::Restart };
    Some(Program {
        path,
        arguments: ["--nodetach", "--user", USER, "--config", &file].map(str::to_owned).into(),
        // It judges its file by starting.
        check: None,
        directories: BTreeSet::new(),
        files: BTreeMap::from([(CONFIG_FILE.to_owned(), file_content)]),
        device: Some(device),
        is_running: true,
    })
}
