//! Any file of leases is read to its end; what it says goes to a terminal as plain text.
#![no_main]

use dlan_agent::leases;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for lease in leases::decode(text) {
        let shown = lease.name.unwrap_or_default() + &lease.client;
        assert!(shown.chars().all(|c| c.is_ascii_graphic()));
    }
});
