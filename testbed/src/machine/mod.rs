//! Routers as virtual machines: their own kernel, booted from nothing, with the kernel's WireGuard.
//!
//! A machine stands in a *cabinet*: the namespaces that the router would be without it. The cables of the topology end in the
//! cabinet, at bridges that lead to the machine's two ports, so that hosts, homes, the internet, and all that impairs or watches
//! them are the same as without machines; and what is in a cabinet ends with it.

pub mod control;
pub mod cpio;
pub mod disk;
pub mod image;
pub mod login;
pub mod modules;
pub mod openwrt;
pub mod package_manager;
pub mod plan;
pub mod qemu;
pub mod serial;
pub mod tree;

use std::net::Ipv4Addr;

use crate::topology::Mesh;

/// The cabinet's end of the line over which the lab speaks to a machine.
pub const CABINET_END: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
/// The machine's end of it.
pub const MACHINE_END: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 2);
/// Where the machine listens there.
pub const CONTROL_PORT: u16 = 7;
/// The network namespace in the machine that the line ends in: no route, filter or device of the router's touches it.
pub const CONTROL_NAMESPACE: &str = "/run/netns/control";
/// A machine's memory, in MiB.
pub const MEMORY: u32 = 160;
/// The least HelloInterval and RouterDeadInterval of a mesh of machines, in seconds: a processor that is translated, one of several on
/// few, may stand still for longer than a shorter one.
const INTERVALS: (u16, u16) = (5, 20);
/// How often BFD tells a neighbor, in milliseconds, in a mesh of machines whose file says nothing else: for the same reason.
pub const BFD_INTERVAL: u32 = 2000;

/// Gives a mesh the intervals that machines can keep.
pub fn leave_room(mesh: &mut Mesh) {
    mesh.hello_interval = mesh.hello_interval.max(INTERVALS.0);
    mesh.dead_interval = mesh.dead_interval.max(INTERVALS.1);
    mesh.bfd_interval.get_or_insert(BFD_INTERVAL);
}

/// A port of a machine: the tap device in the cabinet, its bridge there if it has one, and the device's name in the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The tap device.
    pub tap: &'static str,
    /// The bridge in the cabinet.
    pub bridge: Option<&'static str>,
    /// The last octet of the hardware address, by which the machine's start-up names the device.
    pub number: u8,
}

impl Port {
    /// Returns the lines for `ip -batch` that make the cabinet's end of it.
    pub fn cabinet_lines(self) -> Vec<String> {
        let mut lines = vec![format!("tuntap add dev {} mode tap", self.tap)];
        match self.bridge {
            Some(bridge) => lines.extend([
                format!("link add {bridge} type bridge mcast_snooping 0"),
                format!("link set {bridge} up"),
                format!("link set {} master {bridge}", self.tap),
            ]),
            None => lines.push(format!("addr add {CABINET_END}/30 dev {}", self.tap)),
        }
        lines.push(format!("link set {} up", self.tap));
        lines
    }
}

/// The ports of every machine.
pub const PORTS: [Port; 3] = [
    Port { tap: "t-wan", bridge: Some("sw-wan"), number: 1 },
    Port { tap: "t-lan", bridge: Some(crate::layout::LAN), number: 2 },
    Port { tap: "t-ctl", bridge: None, number: 3 },
];
/// The device in the machine that its LAN's bridge has as its port.
pub const LAN_PORT: &str = "lan0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_of_machines_has_intervals_that_they_can_keep_unless_its_file_says_how_often_bfd_tells() {
        let mut mesh = Mesh { hello_interval: 1, dead_interval: 4, ..Mesh::default() };
        leave_room(&mut mesh);
        assert_eq!((mesh.hello_interval, mesh.dead_interval, mesh.bfd_interval), (5, 20, Some(2000)));
        let mut mesh =
            Mesh { hello_interval: 7, dead_interval: 30, bfd_interval: Some(300), ..Mesh::default() };
        leave_room(&mut mesh);
        assert_eq!((mesh.hello_interval, mesh.dead_interval, mesh.bfd_interval), (7, 30, Some(300)));
    }
}
