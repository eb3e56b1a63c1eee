//! What is wrong with the programs beside the agent.

use super::{Facts, error, first_line, warning};
use crate::control::report::Problem;
use crate::render::uci::Unserved;
use crate::state::program::ProgramName;

/// Returns the problems of the programs.
pub(super) fn find(facts: &Facts) -> Vec<Problem> {
    let missing = facts
        .programs_missing
        .iter()
        .map(|name| error(format!("{name} is not installed: {}", what_lacks(*name)), how_to_install(*name)));
    let failing = facts.program_errors.iter().map(|(name, why)| {
        let why = first_line(why);
        error(format!("{name} does not run as it should, {}: {why}", what_lacks(*name)), how_to_mend(*name))
    });
    let unserved = facts.unserved.iter().map(of_unserved);
    missing.chain(failing).chain(unserved).collect()
}

/// What does not come about on OpenWrt, where its own dnsmasq and odhcpd serve.
fn of_unserved(unserved: &Unserved) -> Problem {
    match unserved {
        Unserved::NoNetwork { lan, device } => warning(
            format!("lan {lan}: no network of OpenWrt is on {device}, so its hosts are given no addresses"),
            "add one to /etc/config/network (`config interface` with this device and `option proto 'static'`)",
        ),
        Unserved::Taken { lan, network, section } => warning(
            format!(
                "lan {lan}: what its hosts are given is said by the section {section} of /etc/config/dhcp, and not by dlan"
            ),
            format!(
                "`uci delete dhcp.{section}; uci commit dhcp` leaves the network {network} to dlan; else take `dhcp` out of the LAN's section"
            ),
        ),
        Unserved::Files { lan } => warning(
            format!(
                "lan {lan}: `tftp_root` does nothing here: OpenWrt's dnsmasq sees only directories that it is given itself"
            ),
            "give them to it: `enable_tftp` and `tftp_root` of the section dnsmasq in /etc/config/dhcp",
        ),
    }
}

/// What does not work without the program.
fn what_lacks(name: ProgramName) -> &'static str {
    match name {
        ProgramName::Dnsmasq => "the LANs' hosts get no addresses and no names from this router",
        ProgramName::Nginx => "no service is reached through this router",
        ProgramName::Tayga => "hosts without IPv4 do not reach IPv4 through this router",
    }
}

fn how_to_install(name: ProgramName) -> &'static str {
    match name {
        ProgramName::Dnsmasq => "install it (Debian: `apt install dnsmasq-base`), then `dlan apply`",
        ProgramName::Nginx => {
            "install it with its stream module (Debian: `apt install nginx-light libnginx-mod-stream`), then `dlan apply`"
        }
        ProgramName::Tayga => {
            "install it (Debian: `apt install tayga`, OpenWrt: package tayga), then `dlan apply`"
        }
    }
}

fn how_to_mend(name: ProgramName) -> &'static str {
    match name {
        ProgramName::Dnsmasq => {
            "see who else has port 53 or 67 on the LANs (`ss -lnup`), and what dnsmasq says in the system's log; the agent tries again by itself"
        }
        ProgramName::Nginx => {
            "see who else has the services' ports (`ss -lntup`), and what nginx says in the system's log; the agent tries again by itself"
        }
        ProgramName::Tayga => {
            "see that there is a /dev/net/tun (OpenWrt: package kmod-tun) and that no other program has the device nat64-dlan; the agent tries again by itself"
        }
    }
}
