//! Any octets are a request or are refused; what was read means the same when it is written again.
#![no_main]

use dlan_agent::control::protocol::{decode_reply, decode_request, encode_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = decode_reply(octets);
    if let Ok(request) = decode_request(octets) {
        let line = encode_request(&request).expect("what was read fits into a line");
        assert_eq!(decode_request(&line).expect("what was written is read"), request);
    }
});
