//! Who has which address: dnsmasq's file of leases as values; pure.

use std::net::IpAddr;

use serde::Serialize;

/// The most leases that are read from a file.
const LEASES_MAX: usize = 10_000;

/// An address that a host has for a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// The host's name, if it has one.
    pub name: Option<String>,
    /// Who has it: of IPv4 the hardware address, of IPv6 the DUID, in hexadecimal.
    pub client: String,
    /// When it ends, in seconds since 1970; `None`: never.
    pub ends: Option<u64>,
}

/// Reads the leases in a file of dnsmasq's. Lines that say none are left out.
pub fn decode(text: &str) -> Vec<Lease> {
    let mut leases: Vec<Lease> = text.lines().filter_map(lease).take(LEASES_MAX).collect();
    leases.sort();
    leases
}

/// A line has the end, then MAC, address, name and client id, or of IPv6 IAID, address, name and DUID.
fn lease(line: &str) -> Option<Lease> {
    let fields: Vec<&str> = line.split(' ').collect();
    let &[ends, hardware, address, name, client] = fields.as_slice() else { return None };
    let ends: u64 = ends.parse().ok()?;
    let address: IpAddr = address.parse().ok()?;
    // Of other hardware than Ethernet the type stands before the address; of a temporary IPv6 address a T before its IAID.
    let client = if address.is_ipv4() { hardware.rsplit('-').next()? } else { client };
    let is_plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let name = Some(name).filter(|name| *name != "*" && is_plain(name, "-._"));
    is_plain(client, ":").then(|| Lease {
        address,
        name: name.map(str::to_owned),
        client: client.to_owned(),
        ends: (ends != 0).then_some(ends),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As dnsmasq 2.90 has written it.
    const FILE: &str = "1795297000 52:54:00:5a:bf:0b 10.2.1.7 nas 01:52:54:00:5a:bf:0b\n\
        0 52:54:00:5a:bf:0c 10.2.1.120 * *\n\
        duid 00:01:00:01:32:6c:5f:0a:02:00:00:00:00:01\n\
        1795297003 9109259 fd79:2de7:db86:1::7 nas 00:03:00:01:52:54:00:5a:bf:0b\n";

    #[test]
    fn leases_of_both_families_are_read_in_the_order_of_their_addresses() {
        let leases = decode(FILE);
        let seen: Vec<_> =
            leases.iter().map(|lease| (lease.address.to_string(), lease.name.as_deref())).collect();
        assert_eq!(
            seen,
            [
                ("10.2.1.7".to_owned(), Some("nas")),
                ("10.2.1.120".to_owned(), None),
                ("fd79:2de7:db86:1::7".to_owned(), Some("nas"))
            ]
        );
        assert_eq!(leases[1].ends, None);
        assert_eq!(leases[0].client, "52:54:00:5a:bf:0b");
        assert_eq!(leases[2].client, "00:03:00:01:52:54:00:5a:bf:0b");
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_says_nothing_but_leases(
            text in prop_oneof!["\\PC{0,200}", "([0-9]{0,4} [^\n]{0,9} (10\\.2\\.1\\.[0-9]{1,3}|fd::[0-9]) \\PC{0,9} \\PC{0,9}\n){0,4}"]
        ) {
            for lease in decode(&text) {
                let shown = format!("{:?}{}", lease.name, lease.client);
                prop_assert!(!shown.contains(char::is_control) && shown.is_ascii());
            }
        }
    }
}
