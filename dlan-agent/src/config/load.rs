//! Reads the configuration from a file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::error::{ConfigError, ConfigErrors};
use super::parse::{Loaded, Source, parse};
use super::problem::Problem;
use super::uci::FILE_OCTETS_MAX;

/// Where the configuration is when nothing else is said.
pub const CONFIG_FILE: &str = "/etc/config/dlan";

/// What has the system take in other programs' changed files when nothing else is said.
pub const RELOAD_PROGRAM: &str = "/sbin/reload_config";

const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// Reads a file: a configuration, or every error the file has.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let file = path.display().to_string();
    let octets = read(path).map_err(|problem| ConfigErrors::file(&file, problem))?;
    let text = text(octets).map_err(|error| ConfigErrors::new(&file, vec![*error]))?;
    parse(Source { file: &file, text: &text, hostname: &hostname() })
}

/// Returns the system's host name, empty where there is none.
pub fn hostname() -> String {
    std::fs::read_to_string(HOSTNAME_FILE).map(|name| name.trim().to_owned()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Problem::NoFile,
        _ => Problem::Unreadable { reason: error.to_string() },
    };
    // A named pipe would make opening it wait for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut octets = Vec::new();
    let limit = FILE_OCTETS_MAX as u64 + 1;
    File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() > FILE_OCTETS_MAX {
        Err(Problem::TooLarge { limit: FILE_OCTETS_MAX })
    } else {
        Ok(octets)
    }
}

fn text(octets: Vec<u8>) -> Result<String, Box<ConfigError>> {
    String::from_utf8(octets).map_err(|error| {
        let valid_up_to = error.utf8_error().valid_up_to();
        let octets = error.into_bytes();
        let before = octets.get(..valid_up_to).unwrap_or_default();
        let octet = octets.get(valid_up_to).copied().unwrap_or_default();
        let line = before.iter().filter(|&&octet| octet == b'\n').count() + 1;
        let last_line = before.rsplit(|&octet| octet == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last_line).chars().count() + 1;
        let problem = Problem::NotText { octet };
        Box::new(ConfigError { line: Some(line), column: Some(column), ..ConfigError::file(problem) })
    })
}
