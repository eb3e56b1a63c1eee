//! The process that listens to a played area with the project's own driver, and nothing around it.

use std::net::Ipv6Addr;

use ospf_lite::config::{Config, InterfaceConfig, InterfaceKind};
use ospf_lite::driver::{DeviceInterface, DriverConfig, DriverEnded, spawn};
use ospf_lite::ids::{Family, InterfaceId, RouterId};

use super::player::link;

/// The listener's Router ID, the same for whichever daemon listens.
pub const ROUTER_ID: RouterId = RouterId(7);

/// Listens on a device until it is ended.
pub async fn listen(device: String, ifindex: u32, address: Ipv6Addr) -> Result<(), DriverEnded> {
    let config = |family| Config::new(ROUTER_ID, family);
    let (driver, mut events) =
        spawn(DriverConfig { ipv6: config(Family::Ipv6), ipv4: config(Family::Ipv4), seed: 1 });
    let id = InterfaceId(1);
    let interface = |kind| InterfaceConfig { id, name: device.clone(), prefixes: Vec::new(), kind };
    let device = DeviceInterface {
        ifindex,
        name: device.clone(),
        ipv6: interface(InterfaceKind::PointToPoint(link(address))),
        ipv4: interface(InterfaceKind::Stub),
        bfd: None,
    };
    driver.configure(device).await?;
    driver.up(id).await?;
    while events.recv().await.is_some() {}
    Err(DriverEnded)
}
