//! Finds the facts: devices and addresses on them, keys, secrets, which WireGuard there is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use serde_json::Value;
use vxlan::link::LinkName;
use vxlan::netlink::{Backend, LinksError};

use super::addresses::{self, Found};
use super::command::{self, CommandError};
use super::identity::{self, IdentityError};
use super::record::Record;
use super::rtnl::RtnlError;
use super::{System, SystemError, programs, settings, uci};
use crate::config::secret::{SecretError, Whence, read_ospf_secret, read_preshared_key};
use crate::config::value::is_plain_device;
use crate::config::{Config, DeviceSource};
use crate::state::facts::{Facts, LanFacts, WanFacts, WireGuardKind};
use crate::state::marks::Marks;
use crate::state::program::ProgramName;
use crate::state::setting::{Setting, SettingValue};
use crate::state::upstreams::UpstreamFacts;

/// The release of the kernel that runs.
const KERNEL_RELEASE: &str = "/proc/sys/kernel/osrelease";
/// The first kernel with resilient groups of next hops.
const STANDBYS_SINCE: (u32, u32) = (5, 13);

/// What is there on OpenWrt.
const OPENWRT_RELEASE: &str = "etc/openwrt_release";

/// Where the name servers of the rest of the world are written, the better one first.
const RESOLVER_FILES: [&str; 2] = ["tmp/resolv.conf.d/resolv.conf.auto", "etc/resolv.conf"];
/// How many of them are used, as in the system's own resolver.
const RESOLVERS_MAX: usize = 3;
/// What an error calls the section of the mesh.
const MESH_SECTION: &str = "mesh";

/// A fact that could not be found.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// This router's key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An OpenWrt network name where no OpenWrt answers.
    #[error(
        "wan {wan}: cannot find the device of the network {interface:?}; outside OpenWrt use option device"
    )]
    Interface {
        /// The section.
        wan: String,
        /// The network's name.
        interface: String,
        /// Why.
        #[source]
        source: CommandError,
    },
    /// Devices or addresses could not be listed.
    #[error("cannot list devices and addresses")]
    List(#[source] RtnlError),
    /// No WireGuard at all.
    #[error(transparent)]
    WireGuard(#[from] LinksError),
}

impl FactsError {
    /// Returns the words with those of the causes.
    pub fn with_causes(&self) -> String {
        crate::causes::with_causes(self)
    }
}

impl System {
    /// Finds the facts that a configuration needs.
    pub async fn gather(&self, config: &Config) -> Result<Facts, FactsError> {
        let mesh = &config.mesh;
        let private_key = identity::private_key(&mesh.private_key_file)?;
        let mut link_psks = BTreeMap::new();
        for link in &config.links {
            if let Some(path) = &link.wg_psk_file {
                let whence = Whence { section: format!("link {:?}", link.name), option: "wg_psk_file" };
                link_psks.insert(link.host_id, read_preshared_key(path, &whence)?);
            }
        }
        let mut ospf_secrets = BTreeMap::new();
        for key in &config.ospf_keys {
            let option = if key.section == MESH_SECTION { "ospf_secret_file" } else { "secret_file" };
            let whence = Whence { section: key.section.clone(), option };
            ospf_secrets.insert(key.id, read_ospf_secret(&key.secret_file, &whence)?);
        }
        let devices = self.rtnl.devices().await.map_err(FactsError::List)?;
        let found = addresses::dump(&self.rtnl, &devices).await.map_err(FactsError::List)?;
        let record = self.record.lock().await;
        let mut wans = BTreeMap::new();
        for wan in &config.wans {
            let device = match &wan.source {
                DeviceSource::Device(device) => Some(device.clone()),
                DeviceSource::Interface(interface) => openwrt_device(interface).await.map_err(|source| {
                    FactsError::Interface { wan: wan.name.clone(), interface: interface.clone(), source }
                })?,
            };
            wans.insert(wan.name.clone(), self.wan_facts(device, &found, &record));
        }
        let mut marks = record.marks.clone();
        marks.insert(Marks::of(mesh));
        let lan = |device: &LinkName| LanFacts {
            device: device.clone(),
            exists: devices.index(device).is_ok(),
            addresses: foreign_addresses(device, &found, &marks, &record),
        };
        Ok(Facts {
            private_key,
            link_psks,
            ospf_secrets,
            wans,
            lans: config.lans.iter().map(|config| (config.name.clone(), lan(&config.device))).collect(),
            endpoints: BTreeMap::new(),
            wireguard: match self.links.backend(&mesh.wg_device).await? {
                Backend::Kernel => WireGuardKind::Kernel,
                Backend::Embedded => WireGuardKind::Embedded,
            },
            addresses: found.iter().filter(|found| found.is_usable).map(|it| it.at.address.addr()).collect(),
            nginx: if config.services.is_empty() { None } else { self.nginx().await },
            upstreams: UpstreamFacts::default(),
            foreign_names: None,
            resolvers: resolvers(&self.config.root),
            dnsmasq: programs::find(ProgramName::Dnsmasq),
            has_standbys: has_standbys(),
            tayga: programs::find(ProgramName::Tayga),
            uci: self.config.root.join(OPENWRT_RELEASE).exists().then(|| uci::facts(&self.config.root)),
        })
    }

    /// Returns the kernel's numbers of the devices.
    pub async fn device_indexes(&self) -> Result<BTreeMap<LinkName, u32>, SystemError> {
        Ok(self.devices().await?.into_indexes())
    }

    fn wan_facts(&self, device: Option<LinkName>, found: &[Found], record: &Record) -> WanFacts {
        let is_on = |found: &&Found| Some(&found.at.device) == device.as_ref();
        let prefixes = found.iter().filter(is_on).map(|found| found.at.address.trunc());
        WanFacts {
            prefixes: prefixes.filter(|prefix| !is_link_local(prefix)).collect(),
            lives_by_ra: device.as_ref().is_some_and(|device| self.lives_by_ra(device, record)),
            device,
        }
    }

    /// A device where the kernel reads router advertisements, or did before forwarding was switched on by us.
    fn lives_by_ra(&self, device: &LinkName, record: &Record) -> bool {
        let setting = Setting::AcceptRa(device.clone());
        let is_ours = record.settings.contains_key(&setting);
        let forwards = settings::read(&self.config.root, &Setting::ForwardingIpv6);
        let was_forwarding = match record.settings.get(&Setting::ForwardingIpv6) {
            Some(remembered) => remembered.before != SettingValue(0),
            None => forwards.is_ok_and(|value| value != SettingValue(0)),
        };
        match settings::read(&self.config.root, &setting) {
            Ok(SettingValue(0)) | Err(_) => false,
            Ok(SettingValue(1)) => is_ours || !was_forwarding,
            Ok(SettingValue(_)) => true,
        }
    }
}

/// Returns whether the kernel that runs has resilient groups of next hops.
fn has_standbys() -> bool {
    std::fs::read_to_string(KERNEL_RELEASE).ok().and_then(|text| release(&text)) >= Some(STANDBYS_SINCE)
}

/// Takes the first two numbers out of a kernel's release.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers =
        text.trim().split(|sign: char| !sign.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Returns the name servers of the rest of the world: those that OpenWrt was told of on its WANs, else the system's.
fn resolvers(root: &Path) -> Vec<IpAddr> {
    let texts = RESOLVER_FILES.iter().filter_map(|file| std::fs::read_to_string(root.join(file)).ok());
    texts.map(|text| name_servers(&text)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Returns the name servers of a resolv.conf, but for those that speak on this router itself only.
fn name_servers(text: &str) -> Vec<IpAddr> {
    let words = text.lines().map(str::split_ascii_whitespace);
    let servers =
        words.filter_map(|mut words| (words.next()? == "nameserver").then(|| words.next()?.parse().ok())?);
    servers.filter(|server: &IpAddr| !server.is_loopback()).take(RESOLVERS_MAX).collect()
}

fn foreign_addresses(
    device: &LinkName,
    found: &[Found],
    marks: &BTreeSet<Marks>,
    record: &Record,
) -> BTreeSet<IpNet> {
    let foreign =
        found.iter().filter(|found| found.at.device == *device && !found.is_marked(marks, &record.addresses));
    foreign.map(|found| found.at.address).filter(|address| !is_link_local(address)).collect()
}

fn is_link_local(address: &IpNet) -> bool {
    match address {
        IpNet::V4(net) => net.addr().is_link_local(),
        IpNet::V6(net) => net.addr().is_unicast_link_local(),
    }
}

/// Asks OpenWrt for the device that carries a network's packets: of PPPoE the ppp device. None while it is down.
async fn openwrt_device(interface: &str) -> Result<Option<LinkName>, CommandError> {
    let object = format!("network.interface.{interface}");
    let answer = command::run("ubus", &["call", &object, "status"], b"").await?;
    Ok(l3_device(&answer))
}

fn l3_device(answer: &[u8]) -> Option<LinkName> {
    let status: Value = serde_json::from_slice(answer).ok()?;
    LinkName::new(status.get("l3_device")?.as_str()?).ok().filter(is_plain_device)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_answer_of_ubus_is_taken_or_refused(octets in prop::collection::vec(any::<u8>(), 0..100), name in ".{0,40}") {
            let _ = l3_device(&octets);
            let answer = serde_json::json!({"l3_device": name}).to_string();
            prop_assert_eq!(l3_device(answer.as_bytes()), LinkName::new(&name).ok().filter(is_plain_device));
        }
    }

    #[test]
    fn the_name_servers_are_those_of_other_machines() {
        let text = "# nameserver 192.0.2.1\nsearch lan\nnameserver 127.0.0.1\nnameserver 192.0.2.53 x\nnameserver\nnameserver fe80::1%eth0\n nameserver 2001:db8::53\n";
        let found: Vec<_> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53", "2001:db8::53"]);
    }

    #[test]
    fn a_kernel_has_standbys_from_5_13_on() {
        let has = |text| release(text) >= Some(STANDBYS_SINCE);
        assert!(["5.13.0", "5.15.167\n", "6.1.0-28-amd64", "10.0-rc1"].iter().all(|text| has(text)));
        assert!(["5.12.9", "5.10.221", "4.19.0-amd64", "", "x", "5"].iter().all(|text| !has(text)));
    }

    #[test]
    fn the_device_of_a_pppoe_network_is_the_ppp_device() {
        let answer = br#"{"up": true, "l3_device": "pppoe-wan", "device": "eth1.7", "proto": "pppoe"}"#;
        assert_eq!(l3_device(answer).unwrap().as_str(), "pppoe-wan");
        assert_eq!(l3_device(br#"{"up": false, "pending": true}"#), None);
    }
}
