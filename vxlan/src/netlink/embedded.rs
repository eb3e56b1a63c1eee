//! Embedded WireGuard devices as their owner's neighbor sees them: starting the process, and configuring it over UAPI.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::config::Program;
use super::error::LinksError;
use crate::key::PublicKey;
use crate::link::LinkName;
use crate::uapi::client::{self, ClientError};
use crate::uapi::{DeviceSettings, remove_peer, set_device, set_peer};
use crate::wireguard::{Peer, PeerStep, WireGuardLink, peer_steps};

/// How long a process has to come up, or to go away when its device is deleted.
const LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked whether it did.
const INTERVAL: Duration = Duration::from_millis(20);

/// The most that is kept of what a process said before it ended, in octets.
const LAST_WORDS_MAX: u64 = 2000;

/// Starts the process of a device and waits until it answers. The process detaches itself and outlives the caller.
pub(super) async fn start(
    program: &Program,
    device: &LinkName,
    mtu: u32,
    socket: &Path,
) -> Result<(), LinksError> {
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .arg(device.as_str())
        .arg("--mtu")
        .arg(mtu.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| LinksError::Spawn { device: device.clone(), source })?;
    let limit = Instant::now() + LIMIT;
    while Instant::now() < limit {
        let status =
            child.try_wait().map_err(|source| LinksError::Spawn { device: device.clone(), source })?;
        if let Some(status) = status {
            let said = last_words(&mut child).await;
            let said = if said.is_empty() { status.to_string() } else { said };
            return Err(LinksError::Ended { device: device.clone(), said });
        }
        if client::get(socket).await.is_ok() {
            tracing::info!(%device, pid = child.id(), "embedded WireGuard started");
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    // Nothing is to be done about a process that cannot be killed.
    let _ = child.start_kill();
    Err(LinksError::Late { device: device.clone(), act: "come up", limit: LIMIT })
}

/// Waits until the process of a deleted device is gone.
pub(super) async fn wait_until_gone(device: &LinkName, socket: &Path) -> Result<(), LinksError> {
    let limit = Instant::now() + LIMIT;
    while Instant::now() < limit {
        if matches!(client::get(socket).await, Err(ClientError::Socket { .. })) {
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Err(LinksError::Late { device: device.clone(), act: "end", limit: LIMIT })
}

/// Changes a device from one value to another, peer by peer; without `from`, sets everything.
pub(super) async fn set(
    socket: &Path,
    from: Option<&WireGuardLink>,
    to: &WireGuardLink,
) -> Result<(), ClientError> {
    let settings = DeviceSettings {
        private_key: Some(&to.private_key).filter(|key| from.is_none_or(|from| from.private_key != **key)),
        port_and_fwmark: Some((to.listen_port, to.fwmark))
            .filter(|wanted| from.is_none_or(|from| (from.listen_port, from.fwmark) != *wanted)),
    };
    if settings != DeviceSettings::default() {
        client::set(socket, &set_device(&settings)).await?;
    }
    let none = std::collections::BTreeMap::new();
    for step in peer_steps(from.map_or(&none, |from| &from.peers), &to.peers) {
        match step {
            PeerStep::Remove(key) => client::set(socket, &remove_peer(key)).await?,
            PeerStep::Add(key, peer) | PeerStep::Update { key, to: peer, .. } => {
                replace_peer(socket, key, peer).await?;
            }
        }
    }
    Ok(())
}

/// Puts a peer in the place of the one of that key: the embedded device cannot change a peer, so its session ends.
pub(super) async fn replace_peer(socket: &Path, key: &PublicKey, peer: &Peer) -> Result<(), ClientError> {
    client::set(socket, &remove_peer(key)).await?;
    client::set(socket, &set_peer(key, peer)).await
}

async fn last_words(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        // What cannot be read is not worth an error of its own: the exit status is known.
        let _ = stderr.take(LAST_WORDS_MAX).read_to_string(&mut said).await;
    }
    said.trim().to_owned()
}
