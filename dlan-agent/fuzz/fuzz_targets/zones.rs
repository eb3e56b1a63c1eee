//! Any octets are zones or are refused; what was read means the same when it is told again.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use dlan_agent::zones::announcement::{encode, from_octets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some(zones) = from_octets(octets) else { return };
    let told: BTreeMap<_, _> =
        zones.iter().flat_map(|(zone, nets)| nets.iter().map(move |net| (*net, zone.clone()))).collect();
    let mut again = BTreeSet::new();
    for part in encode(&told).parts {
        let read = from_octets(&part).expect("what was written is read");
        again.extend(read.into_iter().flat_map(|(zone, nets)| nets.into_iter().map(move |net| (net, zone.clone()))));
    }
    assert_eq!(again, told.into_iter().filter(|(_, zone)| zone != "internal").collect());
});
