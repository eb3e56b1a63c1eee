//! What the kernel told us about devices.

use ipnet::IpNet;

use crate::link::LinkName;

/// A message about a device, ours or not. It says where to look again; the truth is what `observe` sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A device is there, or changed.
    Link {
        /// The kernel's number of the device.
        index: u32,
        /// Its name.
        name: LinkName,
        /// Whether it is administratively up.
        up: bool,
        /// Whether it can carry packets: up and, for a cable, plugged in.
        carrier: bool,
        /// Its MTU in octets, where the kernel told it.
        mtu: Option<u32>,
    },
    /// A device is gone.
    LinkRemoved {
        /// The number it had.
        index: u32,
        /// The name it had.
        name: LinkName,
    },
    /// A device has an address, or the address changed.
    AddressAdded {
        /// The kernel's number of the device.
        index: u32,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// A device lost an address.
    AddressRemoved {
        /// The kernel's number of the device.
        index: u32,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// Messages were lost, or may have been: look at everything again.
    Resync,
}
