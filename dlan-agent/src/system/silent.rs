//! What nobody tells of when it changes, as it was left: managed files, programs, OpenWrt's configuration, WireGuard devices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vxlan::diff::diff;
use vxlan::link::{Link, LinkKind, LinkName};
use vxlan::netlink::Links;

use super::record::Record;
use super::{managed_files, programs, uci};
use crate::state::State;
use crate::state::managed_file::ManagedFile;
use crate::state::program::{Program, ProgramName};
use crate::state::uci::UciDhcp;

/// How it was when it was last looked at; nothing before.
#[derive(Debug, Default)]
pub struct Left(Option<Seen>);

#[derive(Debug)]
struct Seen {
    files: BTreeMap<PathBuf, ManagedFile>,
    programs: BTreeMap<ProgramName, Program>,
    uci: Option<UciDhcp>,
    /// The WireGuard devices.
    links: BTreeMap<LinkName, Link>,
}

impl Left {
    /// Takes how the system was found.
    pub fn handle_observed(&mut self, state: &State) {
        let is_wireguard = |link: &&Link| link.wireguard().is_some();
        let links = state.links.values().filter(is_wireguard).map(|link| (link.name.clone(), link.clone()));
        let links = links.collect();
        self.0 = Some(Seen {
            files: state.files.clone(),
            programs: state.programs.clone(),
            uci: state.uci.clone(),
            links,
        });
    }

    /// Returns whether it is otherwise. What was changed by ourselves since counts as well: one look more.
    pub async fn is_other(&self, root: &Path, record: &Record, links: &Links) -> bool {
        let Some(seen) = &self.0 else { return false };
        if managed_files::observe(root) != seen.files
            || programs::observe(root, record) != seen.programs
            || uci::observe(root) != seen.uci
        {
            return true;
        }
        for (name, link) in &seen.links {
            // A device that does not answer is another matter: the kernel tells of those that go.
            let Ok(wireguard) = links.wireguard(name).await else { continue };
            let found = Link { kind: LinkKind::WireGuard(wireguard), ..link.clone() };
            let of = |link: &Link| BTreeMap::from([(name.clone(), link.clone())]);
            if !diff(&of(&found), &of(link)).is_empty() {
                return true;
            }
        }
        false
    }
}
