//! A second LAN of a router, made and taken away while the lab runs.

use std::time::Duration;

use crate::error::LabError;
use crate::lab::Lab;
use crate::layout::LAN;
use crate::machine::Port;
use crate::wait;

/// The LAN's bridge.
pub const SECOND_LAN: &str = "br-second";
/// The port by which a machine has it, and the device that it becomes there.
const PORT: Port = Port { tap: "t-second", bridge: Some(SECOND_LAN), number: 5 };
const DEVICE: &str = "lan1";
/// How long a machine may take to find an interface, or to let go of one.
const LIMIT: Duration = Duration::from_secs(60);

impl Lab {
    /// Gives a router a second LAN, and has the cable of a host of its end there.
    pub fn add_second_lan(&self, router: &str, host: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        let bridge = [
            format!("link add {SECOND_LAN} type bridge mcast_snooping 0"),
            format!("link set {SECOND_LAN} up"),
        ];
        if node.is_machine {
            node.cabinet().ip(&PORT.cabinet_lines())?;
            let host_id = self.topology.router(router).map_or(0, |router| router.host_id);
            self.fleet()?.add_port(router, host_id, PORT)?;
            let name = format!("cd /sys/class/net && ip link set eth* name {DEVICE}");
            wait::until(LIMIT, "the interface of the second LAN", || {
                node.run("sh", &["-c", &name]).map_err(|error| error.to_string())
            })?;
            let joined = [format!("link set {DEVICE} master {SECOND_LAN}"), format!("link set {DEVICE} up")];
            node.ip(&[bridge, joined].concat())?;
        } else {
            node.ip(&bridge)?;
        }
        Ok(node.cabinet().ip(&[format!("link set lan-{host} master {SECOND_LAN}")])?)
    }

    /// Takes it away again, and has the host's cable end where it did.
    pub fn remove_second_lan(&self, router: &str, host: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        node.cabinet().ip(&[format!("link set lan-{host} master {LAN}")])?;
        node.ip(&[format!("link delete {SECOND_LAN}")])?;
        if node.is_machine {
            let fleet = self.fleet()?;
            fleet.unplug(router, PORT)?;
            wait::until(LIMIT, "the interface of the second LAN to be gone", || {
                let is_there = node.exists(&format!("/sys/class/net/{DEVICE}"));
                if is_there { Err("it is there".to_owned()) } else { Ok(()) }
            })?;
            fleet.remove_port(router, PORT)?;
            node.cabinet().ip(&[PORT.tap, SECOND_LAN].map(|device| format!("link delete {device}")))?;
        }
        Ok(())
    }
}
