//! What `Links` does with its open connections: the order of requests that observing, creating and changing takes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::config::{Backend, LinksConfig, socket_path};
use super::device::{self, Device, DeviceKind};
use super::embedded;
use super::error::{LinksError, NetlinkError};
use super::genl_wireguard::KernelWireGuard;
use super::rtnl::Rtnl;
use crate::change::LinkChange;
use crate::key::PublicKey;
use crate::link::{Link, LinkKind, LinkName};
use crate::mtu::{EMBEDDED_MTU_MAX, OuterFamily, vxlan_mtu};
use crate::uapi::{DeviceReport, client};
use crate::vtep::VxlanLink;
use crate::wireguard::{Peer, WireGuardLink, WireGuardSeen};

/// Returns the kernel's WireGuard, if it has any.
async fn look_for_wireguard() -> Result<Option<KernelWireGuard>, LinksError> {
    KernelWireGuard::open().await.map_err(observing("whether the kernel has WireGuard"))
}

/// Open connections to the kernel.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) rtnl: Rtnl,
    /// `None` where the kernel has no WireGuard.
    kernel: Option<KernelWireGuard>,
}

impl Session {
    pub(super) async fn open() -> Result<Self, LinksError> {
        let rtnl = Rtnl::open().map_err(LinksError::Open)?;
        Ok(Self { rtnl, kernel: look_for_wireguard().await? })
    }

    /// Returns who is to move the packets of a device that is made. Where the kernel had no WireGuard it is asked again: its module
    /// may have come meanwhile.
    async fn backend(&mut self, config: &LinksConfig) -> Result<Backend, LinksError> {
        if self.kernel.is_none() && config.backend != Some(Backend::Embedded) {
            self.kernel = look_for_wireguard().await?;
        }
        let can = |backend| match backend {
            Backend::Kernel => self.kernel.is_some(),
            Backend::Embedded => config.program.is_some(),
        };
        let choices = match config.backend {
            Some(backend) => vec![backend],
            None => vec![Backend::Kernel, Backend::Embedded],
        };
        choices.into_iter().find(|backend| can(*backend)).ok_or(LinksError::NoWireGuard)
    }

    /// Returns who moves the packets of a WireGuard device of ours, or, where there is none, of one that is made.
    pub(super) async fn backend_of(
        &mut self,
        config: &LinksConfig,
        name: &LinkName,
    ) -> Result<Backend, LinksError> {
        let standing = self.device(name).await?.filter(|device| device.is_ours(&config.prefix));
        match standing.map(|device| device.kind) {
            Some(DeviceKind::WireGuard) => Ok(Backend::Kernel),
            Some(DeviceKind::Tun) => Ok(Backend::Embedded),
            _ => self.backend(config).await,
        }
    }

    pub(super) async fn observe(
        &mut self,
        config: &LinksConfig,
    ) -> Result<BTreeMap<LinkName, Link>, LinksError> {
        let devices = self.rtnl.devices().await.map_err(observing("devices"))?;
        let addresses = self.rtnl.addresses().await.map_err(observing("addresses"))?;
        let remotes = self.rtnl.remotes().await.map_err(observing("the FDB"))?;
        let mut links = BTreeMap::new();
        for device in devices.values().filter(|device| device.is_ours(&config.prefix)) {
            let Ok(name) = LinkName::new(&device.name) else { continue };
            let kind = match &device.kind {
                DeviceKind::Vxlan(seen) => seen
                    .underlay
                    .and_then(|index| devices.get(&index))
                    .and_then(|underlay| LinkName::new(&underlay.name).ok())
                    .and_then(|underlay| {
                        seen.to_link(underlay, remotes.get(&device.index).cloned().unwrap_or_default())
                    })
                    .map(LinkKind::Vxlan),
                DeviceKind::WireGuard | DeviceKind::Tun => {
                    let report = self.report(config, &name, &device.kind).await?;
                    report.map(|report| LinkKind::WireGuard(report.to_link()))
                }
                DeviceKind::Other(_) => None,
            };
            let Some(kind) = kind else { continue };
            let addresses = addresses.get(&device.index).cloned().unwrap_or_default();
            let (alias, mtu, up) = (device.alias.clone(), device.mtu, device.up);
            links.insert(name.clone(), Link { name, alias, mtu, up, addresses, kind });
        }
        Ok(links)
    }

    pub(super) async fn wireguard(
        &mut self,
        config: &LinksConfig,
        name: &LinkName,
    ) -> Result<WireGuardSeen, LinksError> {
        let device = self.ours(config, name).await?.ok_or_else(|| LinksError::Absent(name.clone()))?;
        let report = self.report(config, name, &device.kind).await?;
        let report = report.ok_or_else(|| LinksError::Absent(name.clone()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(WireGuardSeen { link: report.to_link(), peers: report.statuses(now) })
    }

    pub(super) async fn apply(
        &mut self,
        config: &LinksConfig,
        change: &LinkChange,
    ) -> Result<(), LinksError> {
        match change {
            LinkChange::Create(link) => self.create(config, link).await,
            LinkChange::Remove(link) => self.remove(config, &link.name).await,
            LinkChange::Alter { from, to } => self.alter(config, from, to).await,
            LinkChange::SetEndpoint { device: name, peer, value, endpoint } => {
                self.set_endpoint(config, name, (peer, value), *endpoint).await
            }
        }
    }

    /// Tells a device where to send to a peer. One that sends there already is left alone: the embedded device cannot
    /// change a peer without ending its session.
    async fn set_endpoint(
        &mut self,
        config: &LinksConfig,
        name: &LinkName,
        (key, peer): (&PublicKey, &Peer),
        endpoint: SocketAddr,
    ) -> Result<(), LinksError> {
        let seen = self.wireguard(config, name).await?.peers;
        if seen.get(key).is_some_and(|seen| seen.endpoint == Some(endpoint)) {
            return Ok(());
        }
        let device = self.ours(config, name).await?.ok_or_else(|| LinksError::Absent(name.clone()))?;
        match (&device.kind, &self.kernel) {
            (DeviceKind::WireGuard, Some(kernel)) => {
                let outcome = kernel.set_endpoint(name, key, endpoint).await;
                outcome.map_err(changing("set an endpoint of", name))
            }
            _ => {
                let peer = Peer { endpoint: Some(endpoint), ..peer.clone() };
                let socket = socket_path(&config.socket_directory, name);
                let outcome = embedded::replace_peer(&socket, key, &peer).await;
                outcome.map_err(telling("set an endpoint of", name))
            }
        }
    }

    async fn create(&mut self, config: &LinksConfig, link: &Link) -> Result<(), LinksError> {
        let name = &link.name;
        if !name.as_str().starts_with(&config.prefix) || link.alias.is_empty() {
            return Err(LinksError::Unmarked { device: name.clone(), prefix: config.prefix.clone() });
        }
        let mut present = self.device(name).await?;
        if let Some(device) = present.take_if(|device| device.is_ours(&config.prefix)) {
            // It was not to be observed as a link, or it would not be created: a process that does not answer, a VXLAN
            // device over nothing.
            tracing::warn!(device = %name, "a broken device of ours is made anew");
            self.delete(config, name, &device).await?;
        }
        if let Some(device) = &present
            && !self.is_half_made(device, link).await
        {
            return Err(LinksError::Foreign { device: name.clone(), what: device.words() });
        }
        let outcome = self.make(config, link, present.is_some()).await;
        if outcome.is_err()
            && let Some(device) = self.device(name).await?
            && (device.is_ours(&config.prefix) || self.is_half_made(&device, link).await)
        {
            self.delete(config, name, &device).await?;
        }
        outcome
    }

    /// Makes the device, or goes on where an earlier attempt was cut off.
    async fn make(&mut self, config: &LinksConfig, link: &Link, is_begun: bool) -> Result<(), LinksError> {
        let name = &link.name;
        match &link.kind {
            LinkKind::Vxlan(vxlan) => self.make_vxlan(link, vxlan, is_begun).await?,
            LinkKind::WireGuard(wireguard) if self.backend(config).await? == Backend::Kernel => {
                if !is_begun {
                    let message = device::create_wireguard(link);
                    self.rtnl.create(message).await.map_err(changing("create", name))?;
                }
                let index = self.index(name).await?;
                self.rtnl.set(device::mark(index, &link.alias)).await.map_err(changing("mark", name))?;
                if let Some(kernel) = &self.kernel {
                    kernel.set(name, None, wireguard).await.map_err(changing("configure", name))?;
                }
            }
            LinkKind::WireGuard(wireguard) => self.make_embedded(config, link, wireguard).await?,
        }
        let index = self.index(name).await?;
        self.rtnl.set(device::set_up(index, link.up)).await.map_err(changing("set up", name))?;
        self.rtnl.set_addresses(index, &link.addresses).await.map_err(changing("set the addresses of", name))
    }

    async fn make_vxlan(&mut self, link: &Link, vxlan: &VxlanLink, is_begun: bool) -> Result<(), LinksError> {
        let name = &link.name;
        if !is_begun {
            let underlay = self.present(&vxlan.underlay).await?;
            check_vxlan_mtu(name, link.mtu, &underlay)?;
            let message = device::create_vxlan(link, vxlan, underlay.index);
            self.rtnl.create(message).await.map_err(changing("create", name))?;
        }
        let index = self.index(name).await?;
        self.rtnl.set(device::mark(index, &link.alias)).await.map_err(changing("mark", name))?;
        self.rtnl.set_remotes(index, &vxlan.remotes).await.map_err(changing("set the remote of", name))
    }

    async fn make_embedded(
        &mut self,
        config: &LinksConfig,
        link: &Link,
        wireguard: &WireGuardLink,
    ) -> Result<(), LinksError> {
        let name = &link.name;
        check_embedded_mtu(name, link.mtu)?;
        let program = config.program.as_ref().ok_or(LinksError::NoWireGuard)?;
        let socket = socket_path(&config.socket_directory, name);
        embedded::start(program, name, link.mtu, &socket).await?;
        let index = self.index(name).await?;
        self.rtnl.set(device::mark(index, &link.alias)).await.map_err(changing("mark", name))?;
        embedded::set(&socket, None, wireguard).await.map_err(telling("configure", name))
    }

    async fn alter(&mut self, config: &LinksConfig, from: &Link, to: &Link) -> Result<(), LinksError> {
        let name = &to.name;
        let device = self.ours(config, name).await?.ok_or_else(|| LinksError::Absent(name.clone()))?;
        match to.vxlan() {
            Some(vxlan) if from.mtu != to.mtu => {
                check_vxlan_mtu(name, to.mtu, &self.present(&vxlan.underlay).await?)?;
            }
            None if device.kind == DeviceKind::Tun => check_embedded_mtu(name, to.mtu)?,
            _ => {}
        }
        if let Some(message) = device::alter(device.index, from, to) {
            self.rtnl.set(message).await.map_err(changing("change", name))?;
        }
        match &to.kind {
            LinkKind::Vxlan(vxlan) => {
                if from.vxlan().is_none_or(|from| from.remotes != vxlan.remotes) {
                    let outcome = self.rtnl.set_remotes(device.index, &vxlan.remotes).await;
                    outcome.map_err(changing("set the remote of", name))?;
                }
            }
            LinkKind::WireGuard(wireguard) => {
                self.alter_wireguard(config, &device, from.wireguard(), (name, wireguard)).await?;
            }
        }
        if from.addresses == to.addresses && from.up == to.up {
            return Ok(());
        }
        let outcome = self.rtnl.set_addresses(device.index, &to.addresses).await;
        outcome.map_err(changing("set the addresses of", name))
    }

    async fn alter_wireguard(
        &self,
        config: &LinksConfig,
        device: &Device,
        from: Option<&WireGuardLink>,
        (name, to): (&LinkName, &WireGuardLink),
    ) -> Result<(), LinksError> {
        match (&device.kind, &self.kernel) {
            (DeviceKind::WireGuard, Some(kernel)) => {
                kernel.set(name, from, to).await.map_err(changing("configure", name))
            }
            _ => {
                let socket = socket_path(&config.socket_directory, name);
                embedded::set(&socket, from, to).await.map_err(telling("configure", name))
            }
        }
    }

    async fn remove(&mut self, config: &LinksConfig, name: &LinkName) -> Result<(), LinksError> {
        match self.ours(config, name).await? {
            Some(device) => self.delete(config, name, &device).await,
            None => Ok(()),
        }
    }

    /// Deletes a device. The process of an embedded one ends by itself when its device is gone.
    async fn delete(
        &mut self,
        config: &LinksConfig,
        name: &LinkName,
        device: &Device,
    ) -> Result<(), LinksError> {
        let outcome = self.rtnl.delete(device.index).await.or_else(NetlinkError::unless_absent);
        outcome.map_err(changing("remove", name))?;
        if device.kind == DeviceKind::Tun {
            embedded::wait_until_gone(name, &socket_path(&config.socket_directory, name)).await?;
        }
        Ok(())
    }

    /// Returns what a WireGuard device says, or nothing where it is gone or its process does not answer.
    pub(super) async fn report(
        &self,
        config: &LinksConfig,
        name: &LinkName,
        kind: &DeviceKind,
    ) -> Result<Option<DeviceReport>, LinksError> {
        match (kind, &self.kernel) {
            (DeviceKind::WireGuard, Some(kernel)) => match kernel.report(name).await {
                Ok(report) => Ok(Some(report)),
                Err(error) if error.is_absent() => Ok(None),
                Err(source) => Err(LinksError::Change { act: "ask", device: name.clone(), source }),
            },
            (DeviceKind::Tun, _) => match client::get(&socket_path(&config.socket_directory, name)).await {
                Ok(report) => Ok(Some(report)),
                Err(error) => {
                    tracing::warn!(device = %name, %error, "embedded WireGuard does not answer");
                    Ok(None)
                }
            },
            _ => Ok(None),
        }
    }

    async fn is_half_made(&self, device: &Device, wanted: &Link) -> bool {
        let is_empty = match (&device.kind, &self.kernel) {
            (DeviceKind::WireGuard, Some(kernel)) => {
                kernel.report(&wanted.name).await.is_ok_and(|report| report.is_empty())
            }
            _ => true,
        };
        is_empty && device.is_half_made(wanted)
    }

    /// Returns the device of that name if it is ours, an error if it is a stranger's.
    async fn ours(&mut self, config: &LinksConfig, name: &LinkName) -> Result<Option<Device>, LinksError> {
        match self.device(name).await? {
            Some(device) if !device.is_ours(&config.prefix) => {
                Err(LinksError::Foreign { device: name.clone(), what: device.words() })
            }
            device => Ok(device),
        }
    }

    async fn device(&mut self, name: &LinkName) -> Result<Option<Device>, LinksError> {
        self.rtnl.device(name.as_str()).await.map_err(observing("devices"))
    }

    async fn present(&mut self, name: &LinkName) -> Result<Device, LinksError> {
        self.device(name).await?.ok_or_else(|| LinksError::Absent(name.clone()))
    }

    async fn index(&mut self, name: &LinkName) -> Result<u32, LinksError> {
        Ok(self.present(name).await?.index)
    }
}

fn check_mtu(device: &LinkName, mtu: u32, max: u32, reason: &'static str) -> Result<(), LinksError> {
    if mtu <= max { Ok(()) } else { Err(LinksError::Mtu { device: device.clone(), mtu, max, reason }) }
}

fn check_embedded_mtu(device: &LinkName, mtu: u32) -> Result<(), LinksError> {
    check_mtu(device, mtu, EMBEDDED_MTU_MAX, "an embedded WireGuard device")
}

fn check_vxlan_mtu(device: &LinkName, mtu: u32, underlay: &Device) -> Result<(), LinksError> {
    check_mtu(device, mtu, vxlan_mtu(underlay.mtu, OuterFamily::Ipv4), "the device below")
}

pub(super) fn observing(what: &'static str) -> impl Fn(NetlinkError) -> LinksError {
    move |source| LinksError::Observe { what, source }
}

pub(super) fn changing(act: &'static str, device: &LinkName) -> impl Fn(NetlinkError) -> LinksError {
    move |source| LinksError::Change { act, device: device.clone(), source }
}

fn telling(act: &'static str, device: &LinkName) -> impl Fn(client::ClientError) -> LinksError {
    move |source| LinksError::Embedded { act, device: device.clone(), source }
}
