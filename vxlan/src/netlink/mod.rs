//! Links in the kernel: observe them, apply changes to them.
//!
//! A device is ours if its name begins with our prefix (`dlan-`), it is a WireGuard, tun or VXLAN device, and it has an
//! alias, which others have no reason to give it. [`Links::observe`] returns no other, so that nothing else can ever be
//! removed; a wanted name that a stranger's device has is an error, and the device is left alone.

pub mod error;
pub mod monitor;

mod adopt;
mod config;
mod device;
mod embedded;
mod genl_wireguard;
mod rtnl;
mod session;

use std::collections::BTreeMap;

use tokio::sync::Mutex;

pub use self::config::{Backend, DEVICE_PREFIX, LinksConfig, Program, SOCKET_DIRECTORY, socket_path};
pub use self::error::{LinksError, NetlinkError};
use self::session::Session;
use crate::change::LinkChange;
use crate::link::{Link, LinkName};
use crate::wireguard::WireGuardSeen;

/// The links of this network namespace. One request is in flight at a time: calls wait for each other.
#[derive(Debug)]
pub struct Links {
    config: LinksConfig,
    /// Opened at need, and again after its socket failed.
    session: Mutex<Option<Session>>,
}

impl Links {
    /// Prepares to speak to the kernel; nothing is opened yet. The calls must be made inside a tokio runtime whose thread
    /// is in the network namespace that is meant.
    pub fn new(config: LinksConfig) -> Self {
        Self { config, session: Mutex::new(None) }
    }

    /// Returns all devices that carry our mark, as they are. The endpoint of a peer is where it is at this moment.
    ///
    /// An embedded device whose process does not answer is left out, so that it is made anew.
    pub async fn observe(&self) -> Result<BTreeMap<LinkName, Link>, LinksError> {
        let mut slot = self.session.lock().await;
        let outcome = open(&mut slot).await?.observe(&self.config).await;
        closing_if_failed(&mut slot, outcome)
    }

    /// Makes one change. A change that fails half-way in creating a device takes away what it made.
    pub async fn apply(&self, change: &LinkChange) -> Result<(), LinksError> {
        let mut slot = self.session.lock().await;
        let outcome = open(&mut slot).await?.apply(&self.config, change).await;
        if outcome.is_ok() {
            tracing::debug!(%change, "link changed");
        }
        closing_if_failed(&mut slot, outcome)
    }

    /// Makes the device that does what the wanted one is to do, under a name of somebody else's, ours, and returns the name that it
    /// had; nothing where there is none. Packets pass it meanwhile, but for a moment on Linux before 6.2. A VXLAN device answers to
    /// its former link-local address for two minutes more; the wanted WireGuard device comes before those on top of it.
    pub async fn adopt(&self, wanted: &Link) -> Result<Option<LinkName>, LinksError> {
        let mut slot = self.session.lock().await;
        let outcome = open(&mut slot).await?.adopt(&self.config, wanted).await;
        closing_if_failed(&mut slot, outcome)
    }

    /// Returns a WireGuard device of ours as it is at this moment.
    pub async fn wireguard(&self, device: &LinkName) -> Result<WireGuardSeen, LinksError> {
        let mut slot = self.session.lock().await;
        let outcome = open(&mut slot).await?.wireguard(&self.config, device).await;
        closing_if_failed(&mut slot, outcome)
    }

    /// Returns who moves the packets of a WireGuard device of ours, or, where there is none, will when it is created.
    pub async fn backend(&self, device: &LinkName) -> Result<Backend, LinksError> {
        let mut slot = self.session.lock().await;
        let outcome = open(&mut slot).await?.backend_of(&self.config, device).await;
        closing_if_failed(&mut slot, outcome)
    }
}

async fn open(slot: &mut Option<Session>) -> Result<&mut Session, LinksError> {
    let session = match slot.take() {
        Some(session) => session,
        None => Session::open().await?,
    };
    Ok(slot.insert(session))
}

/// Marks the device that this process just made as ours, with its MTU.
#[cfg(feature = "userspace-wireguard")]
pub(crate) async fn mark_own(name: &LinkName, mtu: u32) -> Result<(), LinksError> {
    let mut rtnl = rtnl::Rtnl::open().map_err(LinksError::Open)?;
    let listing = |source| LinksError::Observe { what: "devices", source };
    let device = rtnl.device(name.as_str()).await.map_err(listing)?;
    let index = device.ok_or_else(|| LinksError::Absent(name.clone()))?.index;
    let outcome = rtnl.set(device::mark_with_mtu(index, crate::wireguard::WIREGUARD_ALIAS, mtu)).await;
    outcome.map_err(|source| LinksError::Change { act: "mark", device: name.clone(), source })
}

/// Returns an error if there is a device of that name.
#[cfg(feature = "userspace-wireguard")]
pub(crate) async fn check_name_is_free(name: &LinkName) -> Result<(), LinksError> {
    let mut rtnl = rtnl::Rtnl::open().map_err(LinksError::Open)?;
    let listing = |source| LinksError::Observe { what: "devices", source };
    match rtnl.device(name.as_str()).await.map_err(listing)? {
        Some(device) => Err(LinksError::Foreign { device: name.clone(), what: device.words() }),
        None => Ok(()),
    }
}

/// Forgets a session whose socket is closed: the next call opens one.
fn closing_if_failed<T>(slot: &mut Option<Session>, outcome: Result<T, LinksError>) -> Result<T, LinksError> {
    if let Err(
        LinksError::Observe { source: NetlinkError::Closed, .. }
        | LinksError::Change { source: NetlinkError::Closed, .. },
    ) = &outcome
    {
        *slot = None;
    }
    outcome
}
