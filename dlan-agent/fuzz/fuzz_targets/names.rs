//! Any octets are part of a router's announcement or are refused; what was read means the same when it is told again.
#![no_main]

use dlan_agent::names::announcement::Announcement;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(told) = Announcement::from_octets(octets) {
        let (content, left_out) = told.encode();
        let mut again = Announcement::default();
        for part in &content.parts {
            again.merge(Announcement::from_octets(part).expect("what is told is read"));
        }
        assert!(left_out > 0 || again == told);
    }
});
