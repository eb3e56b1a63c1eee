//! Every sentence an operator may read about hosts' addresses that do not fit together.

use std::net::IpAddr;

use super::LeaseClient;

/// What is wrong with what a LAN's hosts are given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DhcpProblem {
    /// A lease on the router's own address.
    #[error("host part {host_part} is {address}, this router's own address")]
    LeaseOfOwnAddress {
        /// The host part.
        host_part: u32,
        /// The address.
        address: IpAddr,
    },
    /// A lease outside the LAN's prefix.
    #[error("host part {host_part} lies outside {prefix}, which has room for host parts from 1 to {most}")]
    LeaseOutside {
        /// The host part.
        host_part: u32,
        /// The prefix.
        prefix: String,
        /// The greatest.
        most: u32,
    },
    /// Two leases of one client.
    #[error("{client} has a lease already, on line {line}")]
    LeaseOfSameClient {
        /// The client.
        client: LeaseClient,
        /// Where the first is.
        line: usize,
    },
    /// Two clients with one address.
    #[error("host part {host_part} is taken by the lease on line {line}")]
    LeaseOfSameAddress {
        /// The host part.
        host_part: u32,
        /// Where the first is.
        line: usize,
    },
    /// Two hosts with one name.
    #[error("the name {name} is taken by the lease on line {line}, with another host part")]
    LeaseOfSameName {
        /// The name.
        name: String,
        /// Where the first is.
        line: usize,
    },
    /// Addresses to give out beyond the prefix.
    #[error(
        "the addresses to give out begin at host part {start}, outside {prefix}, which has room for host parts from 1 to {most}"
    )]
    PoolOutside {
        /// The first host part.
        start: u32,
        /// The prefix.
        prefix: String,
        /// The greatest.
        most: u32,
    },
    /// DHCPv6 without router advertisements.
    #[error("hosts ask by DHCPv6 only when router advertisements tell them to: set `ra` to 1 too")]
    Dhcpv6WithoutRa,
    /// A prefix in which hosts cannot make addresses.
    #[error("hosts make addresses in prefixes of length 64 only (SLAAC): give the LAN one, or set `ra` to 0")]
    RaOfOtherLength,
}
