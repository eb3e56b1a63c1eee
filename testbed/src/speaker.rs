//! A router without an agent: the project's own OSPF driver over given devices, its neighbors and routes written to a file.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use ospf_lite::config::{
    AdvertisedPrefix, AuthenticationKey, Config, HmacAlgorithm, InterfaceConfig, InterfaceKind,
    PointToPointConfig, SecurityAssociation,
};
use ospf_lite::driver::{DeviceInterface, DriverConfig, DriverHandle, Engines, spawn};
use ospf_lite::ids::{Cost, Family, InterfaceId, RouterId};
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::lab::{read_file, write_file};

/// The Interface ID of the prefixes; devices have their kernel index.
const PREFIXES: InterfaceId = InterfaceId(0xffff_0000);
/// How often the file is written though nothing happens.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);

/// What a speaker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Its Router ID.
    pub router_id: u32,
    /// What it advertises.
    pub prefixes: Vec<IpNet>,
    /// The devices it speaks over.
    pub links: Vec<Link>,
    /// The file its state goes to.
    pub state: PathBuf,
}

/// A device that a speaker speaks over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub device: String,
    /// HelloInterval and RouterDeadInterval, in seconds.
    pub intervals: (u16, u16),
    /// Bits of the HMAC-SHA (1, 256, 384, 512), and the secret; SA ID 1.
    pub authentication: Option<(u16, String)>,
}

/// What a speaker knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// What it knows of each device, by family (`ipv6`, `ipv4`) and name.
    pub links: BTreeMap<String, BTreeMap<String, LinkState>>,
    /// The devices by which each route leaves.
    pub routes: BTreeMap<IpNet, Vec<String>>,
}

/// What a speaker knows of a device in one family.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LinkState {
    /// The neighbor's state; empty without one.
    pub neighbor: String,
    /// The names of what was refused.
    pub refused: Vec<String>,
}

/// Speaks as a file says, until it is ended.
pub async fn speak(path: &Path) -> Result<(), LabError> {
    let broken = |error: &dyn std::fmt::Display| LabError::Asked(format!("the speaker: {error}"));
    let orders: Orders = serde_json::from_str(&read_file(path)?).map_err(|error| broken(&error))?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let config = |family| Config {
        authentication_epoch: u32::try_from(since_1970.as_secs()).unwrap_or(u32::MAX),
        ..Config::new(RouterId(orders.router_id), family)
    };
    let seed = u64::from(since_1970.subsec_nanos());
    let (driver, mut events) =
        spawn(DriverConfig { ipv6: config(Family::Ipv6), ipv4: config(Family::Ipv4), seed });
    configure(&driver, prefixes(&orders.prefixes)).await.map_err(|error| broken(&error))?;
    for link in &orders.links {
        configure(&driver, device(link)?).await.map_err(|error| broken(&error))?;
    }
    loop {
        // Whatever the event says: the whole state is written, at the latest after a while.
        if let Ok(None) = tokio::time::timeout(WRITE_INTERVAL, events.recv()).await {
            return Err(broken(&"its driver ended"));
        }
        while events.try_recv().is_ok() {}
        let state = driver.inspect(state).await.map_err(|error| broken(&error))?;
        let written = orders.state.with_extension("next");
        write_file(&written, &serde_json::to_string(&state).unwrap_or_default())?;
        std::fs::rename(&written, &orders.state).map_err(|source| LabError::File {
            act: "replace",
            path: orders.state.clone(),
            source,
        })?;
    }
}

async fn configure(
    driver: &DriverHandle,
    device: DeviceInterface,
) -> Result<(), ospf_lite::driver::DriverEnded> {
    let id = device.id();
    driver.configure(device).await?;
    driver.up(id).await
}

fn state(engines: &Engines) -> State {
    let mut state = State::default();
    for (family, name) in [(Family::Ipv6, "ipv6"), (Family::Ipv4, "ipv4")] {
        let engine = engines.of(family);
        let neighbors: BTreeMap<_, _> =
            engine.neighbors().map(|neighbor| (neighbor.interface, neighbor.state.to_string())).collect();
        let mut devices = BTreeMap::new();
        for interface in engine.interfaces() {
            devices.insert(interface.config.id, interface.config.name.clone());
            let refused = interface.refusals.iter().map(|(refusal, _)| refusal.name().to_owned()).collect();
            let neighbor = neighbors.get(&interface.config.id).cloned().unwrap_or_default();
            let links = state.links.entry(name.to_owned()).or_default();
            links.insert(interface.config.name.clone(), LinkState { neighbor, refused });
        }
        for (prefix, route) in engine.routes().iter() {
            let hops = route.next_hops.iter().filter_map(|hop| devices.get(&hop.interface).cloned());
            state.routes.insert(*prefix, hops.collect());
        }
    }
    state
}

fn prefixes(prefixes: &[IpNet]) -> DeviceInterface {
    let stub = |is_ipv6: bool| InterfaceConfig {
        id: PREFIXES,
        name: "prefixes".to_owned(),
        prefixes: prefixes
            .iter()
            .filter(|prefix| matches!(prefix, IpNet::V6(_)) == is_ipv6)
            .map(|prefix| AdvertisedPrefix { prefix: *prefix, metric: 0, local_address: false })
            .collect(),
        kind: InterfaceKind::Stub,
    };
    DeviceInterface {
        ifindex: 0,
        name: "prefixes".to_owned(),
        ipv6: stub(true),
        ipv4: stub(false),
        bfd: None,
    }
}

/// Reads from the kernel what there is to know of a device.
fn device(link: &Link) -> Result<DeviceInterface, LabError> {
    let name = &link.device;
    let lacks = |what: &str| LabError::Asked(format!("device {name} has no {what}"));
    let mtu = read_file(Path::new(&format!("/sys/class/net/{name}/mtu")))?;
    let ifindex = nix::net::if_::if_nametoindex(name.as_str()).map_err(|_| lacks("index"))?;
    let (link_local, ipv4_address) = addresses(name);
    let authentication = link.authentication.iter().map(|(bits, secret)| SecurityAssociation {
        id: 1,
        algorithm: match bits {
            1 => HmacAlgorithm::Sha1,
            384 => HmacAlgorithm::Sha384,
            512 => HmacAlgorithm::Sha512,
            _ => HmacAlgorithm::Sha256,
        },
        key: AuthenticationKey::new(secret.as_bytes()),
    });
    let seconds = |seconds: u16| Duration::from_secs(u64::from(seconds));
    let config = InterfaceConfig {
        id: InterfaceId(ifindex),
        name: name.clone(),
        prefixes: Vec::new(),
        kind: InterfaceKind::PointToPoint(PointToPointConfig {
            cost: Cost::new(10).unwrap_or(Cost::MAX),
            hello_interval: seconds(link.intervals.0),
            dead_interval: seconds(link.intervals.1),
            rxmt_interval: seconds(5),
            inf_trans_delay: seconds(1),
            mtu: mtu.trim().parse().map_err(|_| lacks("MTU"))?,
            link_local: link_local.ok_or_else(|| lacks("link-local address"))?,
            neighbor: None,
            ipv4_address,
            authentication: authentication.collect(),
        }),
    };
    Ok(DeviceInterface { ifindex, name: name.clone(), ipv6: config.clone(), ipv4: config, bfd: None })
}

fn addresses(device: &str) -> (Option<Ipv6Addr>, Option<Ipv4Addr>) {
    let mut link_local = None;
    let mut ipv4 = None;
    for found in getifaddrs().into_iter().flatten().filter(|found| found.interface_name == device) {
        let Some(address) = found.address else { continue };
        if let Some(address) = address.as_sockaddr_in6().map(|address| address.ip()) {
            link_local = link_local.or(Some(address).filter(Ipv6Addr::is_unicast_link_local));
        }
        ipv4 = ipv4.or(address.as_sockaddr_in().map(|address| address.ip()));
    }
    (link_local, ipv4)
}
