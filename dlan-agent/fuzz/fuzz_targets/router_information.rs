//! Any octets are another router's information or are nobody's; what was read means the same when it is told again.
#![no_main]

use dlan_agent::router_information::RouterInformation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Some(information) = RouterInformation::from_octets(octets) {
        assert!(information.name.is_ascii());
        let content = information.encode();
        let again = content.parts.first().and_then(|part| RouterInformation::from_octets(part));
        let again = again.expect("what is told is read");
        assert_eq!((again.name, again.host_id), (information.name, information.host_id));
    }
});
