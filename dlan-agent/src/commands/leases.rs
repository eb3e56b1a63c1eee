//! `dlan leases`: who has which address; read from the file, whoever runs.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::output::Output;
use crate::cli::{EXIT_FAILED, EXIT_OK};
use crate::leases::{Lease, decode};
use crate::render::dnsmasq::LEASES_FILE;
use crate::show;

/// Where OpenWrt's own dnsmasq keeps its leases.
const OPENWRT_LEASES_FILE: &str = "/tmp/dhcp.leases";

/// Prints the leases that have not ended.
pub(super) fn leases(output: &Output) -> u8 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let found = [LEASES_FILE, OPENWRT_LEASES_FILE].into_iter().find_map(|path| {
        match std::fs::read(Path::new(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            result => Some((path, result)),
        }
    });
    let text = match found {
        None => Vec::new(),
        Some((_, Ok(text))) => text,
        Some((path, Err(error))) => {
            output.error(&format!("cannot read {path}: {error}"));
            return EXIT_FAILED;
        }
    };
    let is_held = |lease: &Lease| lease.ends.is_none_or(|ends| ends > now);
    let leases: Vec<Lease> = decode(&String::from_utf8_lossy(&text)).into_iter().filter(is_held).collect();
    output.result(&leases, || show::leases(&leases, now));
    EXIT_OK
}
