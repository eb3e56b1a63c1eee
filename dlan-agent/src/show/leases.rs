//! The list of leases.

use super::table::{Table, duration};
use crate::leases::Lease;

/// Returns who has which address; `now` in seconds since 1970.
pub fn leases(leases: &[Lease], now: u64) -> String {
    let mut table = Table::new(&["ADDRESS", "NAME", "ENDS", "CLIENT"]);
    for lease in leases {
        let ends = match lease.ends {
            Some(ends) => format!("in {}", duration(ends.saturating_sub(now))),
            None => "never".to_owned(),
        };
        let name = lease.name.clone().unwrap_or_else(|| "-".to_owned());
        table.row([lease.address.to_string(), name, ends, lease.client.clone()]);
    }
    if table.is_empty() { "No host has an address from this router.\n".to_owned() } else { table.render(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_line() {
        let lease = |address: &str, name: Option<&str>, ends| Lease {
            address: address.parse().unwrap(),
            name: name.map(str::to_owned),
            client: "52:54:00:5a:bf:0b".to_owned(),
            ends,
        };
        let shown = leases(&[lease("10.2.1.7", Some("nas"), Some(7300)), lease("10.2.1.8", None, None)], 100);
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(rows[1], ["10.2.1.7", "nas", &format!("in {}", duration(7200)), "52:54:00:5a:bf:0b"]);
        assert_eq!(rows[2], ["10.2.1.8", "-", "never", "52:54:00:5a:bf:0b"]);
        assert!(leases(&[], 0).contains("No host"));
    }
}
