//! The commands of the first day: a configuration, and the key to give to the neighbors.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ipnet::Ipv6Net;
use serde::Serialize;

use super::configuration;
use super::output::Output;
use crate::causes::with_causes;
use crate::cli::{EXIT_CONFIG_REJECTED, EXIT_FAILED, EXIT_OK, EXIT_USAGE, InitArgs};
use crate::config::template::{LinkAnswer, link_section, template};
use crate::config::{self, Source};
use crate::control::CONTROL_SOCKET;
use crate::init::{self, InitError, Nobody, Person, machine};
use crate::system::identity;

/// Asks on the terminal.
struct Terminal;

impl Person for Terminal {
    fn ask(&mut self, question: &str, proposal: Option<&str>) -> io::Result<String> {
        let mut out = io::stderr().lock();
        match proposal {
            Some(proposal) => write!(out, "{question} [{proposal}]: ")?,
            None => write!(out, "{question}: ")?,
        }
        out.flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// Returns whether a file has something to lose: packages bring one that has comments alone.
fn says_something(file: &Path) -> bool {
    match fs::read_to_string(file) {
        Ok(text) => !text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Writes a first configuration.
pub(super) fn init(output: &Output, file: &Path, args: &InitArgs) -> u8 {
    if says_something(file) && !args.force {
        output.error(&format!("{} is there already", file.display()));
        output.hint("look at it with `dlan config show`; --force replaces it");
        return EXIT_FAILED;
    }
    let is_asking = io::stdin().is_terminal() && !output.is_json();
    let person: &mut dyn Person = if is_asking { &mut Terminal } else { &mut Nobody };
    let random = match random() {
        Ok(random) => random,
        Err(error) => return failed(output, &format!("cannot have random octets: {error}")),
    };
    let answers = match init::answers(args, &machine::look(), person, random) {
        Ok(answers) => answers,
        Err(error @ (InitError::Missing { .. } | InitError::Bad { .. })) => {
            output.error(&error.to_string());
            return EXIT_USAGE;
        }
        Err(error @ InitError::Ask(_)) => return failed(output, &with_causes(&error)),
    };
    let text = template(&answers);
    let name = file.display().to_string();
    if let Err(errors) = config::parse(Source { file: &name, text: &text, hostname: &answers.name }) {
        output.lines_to_error(&errors.to_string());
        return EXIT_CONFIG_REJECTED;
    }
    if let Err(error) = write(file, &text) {
        return failed(output, &format!("cannot write {name}: {error}"));
    }
    #[derive(Serialize)]
    struct Written<'a> {
        file: &'a str,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        mesh_prefix: Option<Ipv6Net>,
    }
    let mesh_prefix = answers.mesh_prefix;
    output.result(&Written { file: &name, text: &text, mesh_prefix }, || {
        let shared = mesh_prefix.map(|prefix| {
            format!("The LANs' IPv6 prefixes are of {prefix}: on the other routers, `dlan init --mesh-prefix {prefix}`\n")
        });
        let shared = shared.unwrap_or_default();
        let run = match Path::new(CONTROL_SOCKET).exists() {
            true => "dlan apply --confirm 90s   bring it about, undone unless `dlan confirm` follows",
            false => "dlan agent    run it",
        };
        format!(
            "{text}\nWritten to {name}. Next:\n  dlan key      the section to paste at each neighbor\n  \
             $EDITOR {name}   a `config link` section for each neighbor\n  {run}\n  dlan status   see it\n{shared}"
        )
    });
    EXIT_OK
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut young = file.as_os_str().to_owned();
    young.push(".young");
    let young = PathBuf::from(young);
    let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&young)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    fs::rename(&young, file)
}

fn random() -> io::Result<[u8; 5]> {
    let mut octets = [0; 5];
    fs::File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(octets)
}

/// Prints this router's public key, and what to write about this router at a neighbor.
pub(super) fn key(output: &Output, file: &Path) -> u8 {
    let loaded = match configuration::load(output, file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let mesh = &loaded.config.mesh;
    let private_key = match identity::private_key(&mesh.private_key_file) {
        Ok(key) => key,
        Err(error) => return failed(output, &with_causes(&error)),
    };
    let public_key = private_key.public_key();
    let section = link_section(&LinkAnswer {
        name: mesh.name.clone(),
        host_id: mesh.host_id,
        public_key,
        endpoint: None,
    });
    let port = loaded.config.wans.first().map_or(config::LISTEN_PORT_DEFAULT, |wan| wan.listen_port);
    let section = format!(
        "{section}\t# If this router can be called, with the name or address it has on the internet:\n\
         \t# option endpoint 'ADDRESS:{port}'\n"
    );
    #[derive(Serialize)]
    struct Key<'a> {
        public_key: String,
        name: &'a str,
        host_id: u16,
        listen_port: u16,
        section: &'a str,
    }
    let key = Key {
        public_key: public_key.to_string(),
        name: &mesh.name,
        host_id: mesh.host_id.0,
        listen_port: port,
        section: &section,
    };
    output.result(&key, || {
        format!("{public_key}\n\nTo be added to a neighbor's {}:\n\n{section}", config::CONFIG_FILE)
    });
    EXIT_OK
}

fn failed(output: &Output, text: &str) -> u8 {
    output.error(text);
    EXIT_FAILED
}
