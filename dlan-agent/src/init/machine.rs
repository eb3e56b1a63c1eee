//! What is on this machine: devices, their addresses, and where the internet is.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use vxlan::link::LinkName;

use crate::config::hostname;
use crate::system::openwrt_networks;

/// The machine, as far as a first configuration needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The system's host name.
    pub hostname: String,
    /// The device of the default route.
    pub default_device: Option<LinkName>,
    /// The devices but the loopback, by name.
    pub devices: Vec<Device>,
    /// What OpenWrt calls the network on each device.
    pub networks: BTreeMap<LinkName, String>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: LinkName,
    /// Whether it is a bridge.
    pub is_bridge: bool,
    /// Whether it is a tunnel or a dial-up line.
    pub is_point_to_point: bool,
    /// Its addresses with their prefix lengths, link-local ones left out.
    pub addresses: Vec<IpNet>,
}

/// Looks at the machine. What cannot be read is left out: everything found is only a proposal.
pub fn look() -> Machine {
    let route = |path| fs::read_to_string(path).unwrap_or_default();
    let default_device =
        default_ipv4(&route("/proc/net/route")).or_else(|| default_ipv6(&route("/proc/net/ipv6_route")));
    let networks = openwrt_networks(Path::new("/"));
    Machine { hostname: hostname(), default_device, devices: devices(), networks }
}

fn devices() -> Vec<Device> {
    let mut devices: BTreeMap<LinkName, Device> = BTreeMap::new();
    for found in getifaddrs().into_iter().flatten() {
        let Ok(name) = LinkName::new(&found.interface_name) else { continue };
        if found.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let device = devices.entry(name.clone()).or_insert_with(|| Device {
            is_bridge: Path::new("/sys/class/net").join(name.as_str()).join("bridge").exists(),
            is_point_to_point: found.flags.contains(InterfaceFlags::IFF_POINTOPOINT),
            addresses: Vec::new(),
            name,
        });
        let address = found.address.as_ref();
        let mask = found.netmask.as_ref();
        let ipv4 = address
            .and_then(|address| address.as_sockaddr_in())
            .zip(mask.and_then(|mask| mask.as_sockaddr_in()));
        if let Some((address, mask)) = ipv4 {
            device.addresses.extend(Ipv4Net::with_netmask(address.ip(), mask.ip()).map(IpNet::V4));
        }
        let ipv6 = address
            .and_then(|address| address.as_sockaddr_in6())
            .zip(mask.and_then(|mask| mask.as_sockaddr_in6()));
        if let Some((address, mask)) = ipv6.filter(|(address, _)| !is_link_local(address.ip())) {
            device.addresses.extend(Ipv6Net::with_netmask(address.ip(), mask.ip()).map(IpNet::V6));
        }
    }
    devices.into_values().collect()
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

/// Reads the device of the default route from `/proc/net/route`: destination and mask are 0.
fn default_ipv4(text: &str) -> Option<LinkName> {
    let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut defaults = rows.filter(|row| row.get(1) == Some(&"00000000") && row.get(7) == Some(&"00000000"));
    LinkName::new(defaults.next()?.first()?).ok()
}

/// Reads the device of the default route from `/proc/net/ipv6_route`: the unspecified destination with length 0. The
/// kernel's own reject route has no device but `lo`.
fn default_ipv6(text: &str) -> Option<LinkName> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_default = |row: &Vec<&str>| row.get(1) == Some(&"00") && row.last() != Some(&"lo");
    LinkName::new(rows.into_iter().find(is_default)?.last()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_routes_device_is_found() {
        let ipv4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    br-lan\t0000020A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                    eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(default_ipv4(ipv4), LinkName::new("eth0").ok());
        assert_eq!(default_ipv4(""), None);
        let zero = "0".repeat(32);
        let ipv6 = format!(
            "{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             {zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 00000003     eth1\n"
        );
        assert_eq!(default_ipv6(&ipv6), LinkName::new("eth1").ok());
    }
}
