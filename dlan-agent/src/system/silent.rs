//! What nobody tells of when it changes, as it was left: managed files, programs, OpenWrt's configuration, WireGuard devices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vxlan::diff::diff;
use vxlan::link::{Link, LinkKind, LinkName};
use vxlan::netlink::LinksError;
use vxlan::wireguard::{PeerStatus, PublicKey, WireGuardLink};

use super::record::Record;
use super::{managed_files, programs, uci};
use crate::state::State;
use crate::state::managed_file::ManagedFile;
use crate::state::program::{Program, ProgramName};
use crate::state::uci::UciDhcp;

/// What WireGuard says of its peers.
pub type Peers = BTreeMap<PublicKey, PeerStatus>;

/// What was found out because nobody tells of it.
#[derive(Debug)]
pub struct Untold {
    /// Whether something of ours is not as it was left: settings, files, WireGuard's peers.
    pub has_drifted: bool,
    /// What the WireGuard device says of its peers, if it was asked.
    pub peers: Option<Result<Peers, LinksError>>,
}

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
    pub fn is_other(&self, root: &Path, record: &Record) -> bool {
        self.0.as_ref().is_some_and(|seen| {
            managed_files::observe(root) != seen.files
                || programs::observe(root, record) != seen.programs
                || uci::observe(root) != seen.uci
        })
    }

    /// Returns whether a WireGuard device, as it is now, is otherwise.
    pub fn is_other_device(&self, name: &LinkName, now: &WireGuardLink) -> bool {
        let Some(link) = self.0.as_ref().and_then(|seen| seen.links.get(name)) else { return false };
        let found = Link { kind: LinkKind::WireGuard(now.clone()), ..link.clone() };
        let of = |link: &Link| BTreeMap::from([(name.clone(), link.clone())]);
        !diff(&of(&found), &of(link)).is_empty()
    }
}
