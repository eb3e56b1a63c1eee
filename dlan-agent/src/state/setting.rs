//! A kernel setting (sysctl) of ours as a value.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vxlan::link::LinkName;

/// A kernel setting that dlan owns while it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Setting {
    /// Router advertisements are heard on a device although we forward.
    AcceptRa(LinkName),
    /// IPv4 forwarding.
    ForwardingIpv4,
    /// IPv6 forwarding.
    ForwardingIpv6,
    /// What IPv4 flows are told apart by on equal-cost ways; 1: addresses and ports.
    MultipathHashIpv4,
    /// The same for IPv6.
    MultipathHashIpv6,
    /// Whether a changed next hop object is told as a change of each of its routes; 0: it is not, which makes the change a
    /// matter of microseconds.
    NextHopCompatibility,
    /// Whether a device refuses sources that are not routed back by it; 2: that are not routed at all.
    RpFilter(LinkName),
    /// Whether ICMP redirects are sent on a device.
    SendRedirects(LinkName),
    /// Whether ICMP redirects are sent on every device, whatever its own setting says.
    SendRedirectsEverywhere,
}

/// The value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettingValue(pub u32);

impl Setting {
    /// Returns the setting's file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/proc/sys").join(self.to_string())
    }

    /// Returns the device that the setting belongs to.
    pub fn device(&self) -> Option<&LinkName> {
        match self {
            Self::AcceptRa(device) | Self::RpFilter(device) | Self::SendRedirects(device) => Some(device),
            Self::ForwardingIpv4
            | Self::ForwardingIpv6
            | Self::MultipathHashIpv4
            | Self::MultipathHashIpv6
            | Self::NextHopCompatibility
            | Self::SendRedirectsEverywhere => None,
        }
    }

    /// Returns whether `seen` is as good as `wanted`: where more than what we need does no harm, what the
    /// operator set stays.
    pub fn is_met(&self, seen: SettingValue, wanted: SettingValue) -> bool {
        match self {
            Self::RpFilter(_)
            | Self::SendRedirects(_)
            | Self::SendRedirectsEverywhere
            | Self::NextHopCompatibility => seen == wanted,
            Self::AcceptRa(_)
            | Self::ForwardingIpv4
            | Self::ForwardingIpv6
            | Self::MultipathHashIpv4
            | Self::MultipathHashIpv6 => seen >= wanted,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptRa(device) => write!(f, "net/ipv6/conf/{device}/accept_ra"),
            Self::ForwardingIpv4 => f.write_str("net/ipv4/ip_forward"),
            Self::ForwardingIpv6 => f.write_str("net/ipv6/conf/all/forwarding"),
            Self::MultipathHashIpv4 => f.write_str("net/ipv4/fib_multipath_hash_policy"),
            Self::MultipathHashIpv6 => f.write_str("net/ipv6/fib_multipath_hash_policy"),
            Self::NextHopCompatibility => f.write_str("net/ipv4/nexthop_compat_mode"),
            Self::RpFilter(device) => write!(f, "net/ipv4/conf/{device}/rp_filter"),
            Self::SendRedirects(device) => write!(f, "net/ipv4/conf/{device}/send_redirects"),
            Self::SendRedirectsEverywhere => f.write_str("net/ipv4/conf/all/send_redirects"),
        }
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
