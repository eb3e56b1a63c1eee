//! The commands that look at the configuration; they need no agent.

use std::path::Path;

use serde::Serialize;

use super::output::Output;
use crate::cli::{EXIT_CONFIG_REJECTED, EXIT_OK};
use crate::config::{self, ConfigErrors, Loaded};

/// Reads a file and names every error in it.
pub(super) fn check(output: &Output, file: &Path) -> u8 {
    match load(output, file) {
        Ok(loaded) => {
            #[derive(Serialize)]
            struct Accepted<'a> {
                file: &'a str,
                links: usize,
                lans: usize,
                wans: usize,
            }
            let config = &loaded.config;
            let (links, lans, wans) = (config.links.len(), config.lans.len(), config.wans.len());
            let accepted = Accepted { file: &loaded.file, links, lans, wans };
            output.result(&accepted, || {
                format!("{}: good: {links} links, {lans} LANs, {wans} WANs\n", loaded.file)
            });
            EXIT_OK
        }
        Err(code) => code,
    }
}

/// Prints the configuration as it is written, or with every default filled in.
pub(super) fn show(output: &Output, file: &Path, effective: bool) -> u8 {
    match load(output, file) {
        Ok(loaded) => {
            if output.is_json() {
                output.result(&config::effective(&loaded), String::new);
            } else if effective {
                output.text(&config::effective_text(&loaded));
            } else {
                output.text(&loaded.text);
            }
            EXIT_OK
        }
        Err(code) => code,
    }
}

/// Reads a configuration; a rejected one is printed error by error.
pub(super) fn load(output: &Output, file: &Path) -> Result<Loaded, u8> {
    config::load(file).map_err(|errors| rejected(output, &errors))
}

fn rejected(output: &Output, errors: &ConfigErrors) -> u8 {
    if output.is_json() {
        output.result(errors, String::new);
    } else {
        output.lines_to_error(&errors.to_string());
    }
    EXIT_CONFIG_REJECTED
}
