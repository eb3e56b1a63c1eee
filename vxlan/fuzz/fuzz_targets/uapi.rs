//! Whatever a WireGuard process answers, it is read or refused; what is read can be asked for again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxlan::uapi::{parse_get_reply, set_peer};

fuzz_target!(|text: &str| {
    let Ok(report) = parse_get_reply(text) else { return };
    for (key, seen) in &report.peers {
        let request = set_peer(key, &seen.peer);
        let reply = request.trim_start_matches("set=1\n").trim_end().to_owned() + "\nerrno=0\n\n";
        let again = parse_get_reply(&reply).expect("a request is in the language of replies");
        assert_eq!(again.peers.get(key).map(|report| &report.peer), Some(&seen.peer));
    }
});
