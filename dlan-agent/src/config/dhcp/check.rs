//! Looks at what must fit together in what a LAN's hosts are given.

use std::net::{IpAddr, Ipv4Addr};

use super::problem::DhcpProblem;
use super::{DhcpConfig, LeaseClient, StaticLease, dhcp_config};
use crate::config::error::ConfigError;
use crate::config::problem::Problem;
use crate::config::schema::lan;
use crate::config::types::LanAddress;
use crate::config::view::{View, Views};

/// Notes everything that does not fit together.
pub fn check(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    for view in &views.lans {
        check_leases(view, errors);
        check_families(view, errors);
        check_pool(view, errors);
    }
}

/// Returns the host parts that an IPv4 prefix has room for: 1 up to this one.
fn most_of(own: &LanAddress<Ipv4Addr>) -> u32 {
    u32::MAX.checked_shr(own.prefix_len.into()).unwrap_or(0).saturating_sub(1)
}

fn check_leases(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    let (ipv4, ipv6) = (view.written(&lan::IPV4), view.written(&lan::IPV6));
    let name = lan::LEASE.schema.name;
    let leases: Vec<(usize, StaticLease)> = view
        .entries(name)
        .filter_map(|entry| Some((entry.line, lan::LEASE.decode(&entry.value).ok()?)))
        .collect();
    for (index, (line, lease)) in leases.iter().enumerate() {
        let mut refuse = |problem| errors.push(view.error_at(*line, name, dhcp(problem)));
        let host_part = lease.host_part;
        if let Some(own) = ipv4.filter(|_| matches!(lease.client, LeaseClient::Mac(_))) {
            let most = most_of(&own);
            let network = u32::from(own.network().network());
            if host_part > most {
                refuse(DhcpProblem::LeaseOutside { host_part, prefix: own.network().to_string(), most });
            } else if network.checked_add(host_part) == Some(own.address.into()) {
                refuse(DhcpProblem::LeaseOfOwnAddress { host_part, address: own.address.into() });
            }
        }
        if let Some(own) = ipv6 {
            let network = u128::from(own.network().network());
            if network.checked_add(host_part.into()) == Some(own.address.into()) {
                let address = IpAddr::V6(own.address);
                let is_told = ipv4.is_some_and(|ipv4| {
                    u32::from(ipv4.network().network()).checked_add(host_part) == Some(ipv4.address.into())
                });
                if !is_told || matches!(lease.client, LeaseClient::Duid(_)) {
                    refuse(DhcpProblem::LeaseOfOwnAddress { host_part, address });
                }
            }
        }
        if let Some(problem) = clash(lease, leases.get(..index).unwrap_or_default()) {
            refuse(problem);
        }
    }
}

/// Returns how a lease contradicts one before it. One host may have a lease by its MAC and one by its DUID.
fn clash(lease: &StaticLease, before: &[(usize, StaticLease)]) -> Option<DhcpProblem> {
    before.iter().find_map(|(line, other)| {
        let line = *line;
        let is_same_kind =
            matches!(lease.client, LeaseClient::Mac(_)) == matches!(other.client, LeaseClient::Mac(_));
        if lease.client == other.client {
            return Some(DhcpProblem::LeaseOfSameClient { client: lease.client.clone(), line });
        }
        if is_same_kind && lease.host_part == other.host_part {
            return Some(DhcpProblem::LeaseOfSameAddress { host_part: lease.host_part, line });
        }
        let name = lease.name.clone().filter(|name| other.name.as_ref() == Some(name))?;
        (lease.host_part != other.host_part).then_some(DhcpProblem::LeaseOfSameName { name, line })
    })
}

fn check_families(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    let Some(dhcp_config) = dhcp_config(view) else { return };
    if dhcp_config.dhcpv6 && !dhcp_config.ra {
        errors.push(view.error(&lan::RA, dhcp(DhcpProblem::Dhcpv6WithoutRa)));
    }
    let other_length = view.written(&lan::IPV6).is_some_and(|own| own.prefix_len != 64);
    if dhcp_config.ra && other_length {
        errors.push(view.error(&lan::IPV6, dhcp(DhcpProblem::RaOfOtherLength)));
    }
}

fn check_pool(view: &View<'_>, errors: &mut Vec<ConfigError>) {
    let (Some(start), Some(own)) = (view.written(&lan::DHCP_START), view.written(&lan::IPV4)) else { return };
    let most = most_of(&own);
    // The usual start means that a small prefix gives out all that it has, written or not.
    if start > most && start != DhcpConfig::default().start {
        let problem = DhcpProblem::PoolOutside { start, prefix: own.network().to_string(), most };
        errors.push(view.error(&lan::DHCP_START, dhcp(problem)));
    }
}

fn dhcp(problem: DhcpProblem) -> Problem {
    Problem::Dhcp(Box::new(problem))
}
