//! Any text is a configuration or has errors; what is effective of a configuration is the same configuration.
#![no_main]

use dlan_agent::config::{Source, effective_text, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let read = |text| parse(Source { file: "dlan", text, hostname: "host" });
    match read(text) {
        Ok(loaded) => {
            let again = read(&effective_text(&loaded));
            assert_eq!(again.expect("what is effective is a configuration").config, loaded.config);
        }
        Err(errors) => assert!(!errors.errors.is_empty() && !errors.to_string().is_empty()),
    }
});
