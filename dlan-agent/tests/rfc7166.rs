//! RFC 7166 as an operator configures it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test says what it expects by failing.

mod fixture;

use ospf_lite::config::HmacAlgorithm;

use fixture::config_of;

#[test]
fn s4_3_default_algorithm_is_hmac_sha_256_and_the_others_can_be_chosen() {
    let algorithm = |option: &str| {
        let text = format!(
            "config mesh 'mesh'\n\toption host_id '1'\n\toption ospf_secret_file '/s'\n{option}\nconfig wan\n\toption device 'eth0'\n"
        );
        config_of(&text).ospf_keys[0].algorithm
    };
    assert_eq!(algorithm(""), HmacAlgorithm::Sha256);
    for (name, expected) in [
        ("hmac-sha-1", HmacAlgorithm::Sha1),
        ("hmac-sha-384", HmacAlgorithm::Sha384),
        ("hmac-sha-512", HmacAlgorithm::Sha512),
    ] {
        assert_eq!(algorithm(&format!("\toption ospf_algorithm '{name}'")), expected);
    }
}
