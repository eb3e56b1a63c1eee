//! Any octets are looked at to their end, and are a Router Solicitation only if they begin as one does.
#![no_main]

use dlan_agent::pref64::wire::is_solicitation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (hop_limit, octets) = input;
    if is_solicitation(hop_limit, octets) {
        assert!(hop_limit == 255 && octets.len() >= 8 && octets.starts_with(&[133, 0]));
    }
});
