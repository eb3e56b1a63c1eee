//! What can go wrong between the agent and the system.

use std::io;
use std::path::PathBuf;

use vxlan::netlink::LinksError;

use super::epoch::EpochError;
use super::managed_files::ManagedFileError;
use super::nftables::NftablesError;
use super::programs::ProgramError;
use super::record::LaterRecord;
use super::rtnl::RtnlError;
use super::settings::SettingError;
use super::uci::UciError;

/// A look or a step that failed.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// A directory of ours could not be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What must be remembered could not be written.
    #[error("cannot keep the record of what was changed")]
    Record(#[source] io::Error),
    /// What must be remembered was written by a later version.
    #[error(transparent)]
    LaterRecord(#[from] LaterRecord),
    /// Something could not be listed.
    #[error("cannot list the {what}")]
    Observe {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: RtnlError,
    },
    /// The kernel did not do as asked.
    #[error(transparent)]
    Rtnl(#[from] RtnlError),
    /// Links.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// Kernel settings.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// nftables.
    #[error(transparent)]
    Nftables(#[from] NftablesError),
    /// Managed files.
    #[error(transparent)]
    ManagedFile(#[from] ManagedFileError),
    /// Programs.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// OpenWrt's own configuration.
    #[error(transparent)]
    Uci(#[from] UciError),
    /// The count of starts.
    #[error(transparent)]
    Epoch(#[from] EpochError),
}

impl SystemError {
    /// Returns the words with those of the causes.
    pub fn with_causes(&self) -> String {
        crate::causes::with_causes(self)
    }
}
