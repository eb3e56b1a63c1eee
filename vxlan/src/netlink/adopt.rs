//! Devices that somebody else left are made ours while packets pass them, instead of being made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::IpNet;

use super::config::{LinksConfig, socket_path};
use super::device::{self, Device, DeviceKind};
use super::error::{LinksError, NetlinkError};
use super::session::{Session, changing, observing};
use crate::link::{Link, LinkKind, LinkName};

/// How long a VXLAN device answers to the link-local addresses that it had: longer than the neighbor needs to learn the new one by
/// OSPF, whose RouterDeadInterval is 40 s by default.
const LINGER: Duration = Duration::from_secs(120);

impl Session {
    /// Makes the device that does what the wanted one is to do, under a name of somebody else's, ours, and returns the name that
    /// it had; nothing where there is none. A WireGuard device is known by its private key, a VXLAN device by its numbers and by
    /// what it lies on. Whatever else differs is as it was.
    pub(super) async fn adopt(
        &mut self,
        config: &LinksConfig,
        wanted: &Link,
    ) -> Result<Option<LinkName>, LinksError> {
        let devices = self.rtnl.devices().await.map_err(observing("devices"))?;
        let remotes = self.rtnl.remotes().await.map_err(observing("the FDB"))?;
        for device in devices.values().filter(|device| device.name != wanted.name.as_str()) {
            let Ok(former) = LinkName::new(&device.name) else { continue };
            if self.is_same(config, (&devices, &remotes), device, wanted).await? {
                self.make_ours(config, device, &former, wanted).await?;
                return Ok(Some(former));
            }
        }
        Ok(None)
    }

    async fn is_same(
        &self,
        config: &LinksConfig,
        (devices, remotes): (&BTreeMap<u32, Device>, &BTreeMap<u32, BTreeSet<Ipv4Addr>>),
        device: &Device,
        wanted: &Link,
    ) -> Result<bool, LinksError> {
        let Ok(name) = LinkName::new(&device.name) else { return Ok(false) };
        match (&wanted.kind, &device.kind) {
            (LinkKind::Vxlan(wanted), DeviceKind::Vxlan(seen)) => {
                let remotes = remotes.get(&device.index).cloned().unwrap_or_default();
                let below = seen.underlay.and_then(|index| devices.get(&index));
                let below = below.and_then(|below| LinkName::new(&below.name).ok());
                let seen = below.and_then(|below| seen.to_link(below, remotes));
                Ok(seen.is_some_and(|seen| {
                    (seen.vni, seen.local, seen.port, &seen.underlay, &seen.remotes)
                        == (wanted.vni, wanted.local, wanted.port, &wanted.underlay, &wanted.remotes)
                }))
            }
            (LinkKind::WireGuard(wanted), DeviceKind::WireGuard | DeviceKind::Tun) => {
                if device.kind == DeviceKind::Tun && !socket_path(&config.socket_directory, &name).exists() {
                    return Ok(false);
                }
                let report = self.report(config, &name, &device.kind).await?;
                Ok(report.is_some_and(|report| report.private_key.as_ref() == Some(&wanted.private_key)))
            }
            _ => Ok(false),
        }
    }

    async fn make_ours(
        &mut self,
        config: &LinksConfig,
        device: &Device,
        former: &LinkName,
        wanted: &Link,
    ) -> Result<(), LinksError> {
        let (name, index) = (&wanted.name, device.index);
        let addresses = self.rtnl.addresses().await.map_err(observing("addresses"))?;
        let message = device::rename(index, name);
        match self.rtnl.set(message.clone()).await {
            Err(error) if error.is_busy() => {
                // Linux before 6.2 renames no device that is up. Without one of its own the kernel is not to invent an address
                // that nobody may use for a second.
                let no_address = device::mark(index, &wanted.alias);
                self.rtnl.set(no_address).await.map_err(changing("mark", former))?;
                self.rtnl.set(device::set_up(index, false)).await.map_err(changing("set down", former))?;
                let renamed = self.rtnl.set(message).await;
                let up = self.rtnl.set(device::set_up(index, true)).await;
                renamed.map_err(changing("rename", former))?;
                up.map_err(changing("set up", name))?;
            }
            renamed => renamed.map_err(changing("rename", former))?,
        }
        if device.kind == DeviceKind::Tun {
            let path = |name| socket_path(&config.socket_directory, name);
            std::fs::rename(path(former), path(name))
                .map_err(|error| changing("move the socket of", name)(NetlinkError::Kernel(error)))?;
        }
        self.rtnl.set(device::mark(index, &wanted.alias)).await.map_err(changing("mark", name))?;
        let of_device = addresses.get(&index).into_iter().flatten();
        let old = of_device.filter(|at| is_link_local(at) && !wanted.addresses.contains(*at));
        for address in old {
            let outcome = self.rtnl.let_linger(index, *address, LINGER).await;
            outcome.map_err(changing("set the addresses of", name))?;
        }
        tracing::info!(device = %name, %former, "device taken over");
        Ok(())
    }
}

/// Returns whether an address is an IPv6 one of its link alone.
pub(super) fn is_link_local(address: &IpNet) -> bool {
    matches!(address, IpNet::V6(net) if net.addr().is_unicast_link_local())
}
