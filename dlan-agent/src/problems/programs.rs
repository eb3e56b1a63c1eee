//! What is wrong with the programs beside the agent.

use super::{Facts, error, first_line, warning};
use crate::control::report::Problem;
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
    let openwrt = facts.openwrt_has_lans.then(|| {
        warning(
            "the LANs' options about DHCP and router advertisements do nothing here: OpenWrt's own dnsmasq and odhcpd \
             give the hosts their addresses"
                .to_owned(),
            "say in /etc/config/dhcp what hosts are given, and take the options out of the LANs' sections",
        )
    });
    missing.chain(failing).chain(openwrt).collect()
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
