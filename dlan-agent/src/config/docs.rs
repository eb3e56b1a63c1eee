//! Writes the document of every section and option from the schema.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use vxlan::key::PublicKey;
use vxlan::link::LinkName;

use super::dhcp::DhcpConfig;
use super::schema::{Default, Occurrence, OptionSchema, SECTIONS, SectionSchema};
use super::template::{Answers, LinkAnswer, template};
use super::types::{DeviceSource, Endpoint, HostId, LISTEN_PORT_DEFAULT, LanAddress, LanConfig};

const INTRODUCTION: &str = "\
# The configuration of dlan

One file, `/etc/config/dlan`, in the syntax of OpenWrt's UCI, the same on OpenWrt and on any other Linux.
`dlan config check` tells every error of a file at once, with its line; `dlan config show --effective` shows every option
with the value that holds and where it comes from. A file with an error changes nothing on the router.
";

const SYNTAX: &str = "\
## How the file is read

- `config KIND 'NAME'` begins a section, `option NAME 'VALUE'` sets one of its options, `list NAME 'VALUE'` adds a value
  to one that takes several. Indentation does not matter.
- A value stands in single or double quotes, or without any if it has no blanks. A single quote within single quotes is
  written `'\\''`; a backslash outside single quotes takes the next character as it is.
- `#` begins a comment, outside quotes also right after a word. `uci commit` drops comments.
- An empty value is the same as no option. What is not known is an error, never ignored.
- Secrets are never in this file: it names the files they are in, which only root can read (`chmod 600`).

This page is made from the program's own table of options.
";

/// Returns `docs/config.md`.
pub fn markdown() -> String {
    let mut text = format!("{INTRODUCTION}\n```\n{}```\n\n{SYNTAX}", example());
    for schema in SECTIONS {
        section(&mut text, schema);
    }
    text
}

/// Returns the example that the document begins with.
pub fn example() -> String {
    let device = |name: &str| LinkName::new(name).ok();
    let lans = device("br-lan").map(|device| LanConfig {
        name: "lan0".to_owned(),
        device,
        zone: "internal".to_owned(),
        dns64: false,
        dhcp: DhcpConfig::all(),
        ipv4: Some(LanAddress { address: Ipv4Addr::new(10, 2, 0, 1), prefix_len: 24 }),
        ipv6: Some(LanAddress {
            address: Ipv6Addr::new(0xfd79, 0x2de7, 0xdb86, 0, 0, 0, 0, 1),
            prefix_len: 64,
        }),
    });
    let link = |name: &str, id: u8, host: Option<&str>| LinkAnswer {
        name: name.to_owned(),
        host_id: HostId(id.into()),
        public_key: PublicKey::from_octets([id; 32]),
        endpoint: host.map(|host| Endpoint { host: host.to_owned(), port: LISTEN_PORT_DEFAULT }),
    };
    template(&Answers {
        host_id: HostId(1),
        name: "r1".to_owned(),
        domain: None,
        ospf_secret_file: Some(PathBuf::from("/etc/dlan/ospf.secret")),
        wg_psk_file: None,
        wans: vec![DeviceSource::Interface("wan".to_owned())],
        listen_port: LISTEN_PORT_DEFAULT,
        lans: lans.into_iter().collect(),
        mesh_prefix: None,
        links: vec![link("r4", 4, Some("r4.example.org")), link("home-nas", 6, None)],
    })
}

fn section(text: &mut String, schema: &SectionSchema) {
    let often = match schema.occurrence {
        Occurrence::Once => "Exactly one in a file.",
        Occurrence::AtMostOnce => "One or none in a file.",
        Occurrence::AtLeastOnce => "At least one in a file.",
        Occurrence::Any => "None, one or several in a file.",
    };
    let _ = writeln!(text, "\n## {}\n\n{} {often}\n", schema.example, schema.summary);
    text.push_str("| option | value | default | since | meaning |\n| --- | --- | --- | --- | --- |\n");
    for option in schema.options {
        let option = option.schema();
        let cells = [
            format!("`{}`", option.name),
            if option.is_list { format!("list: {}", option.kind.allowed()) } else { option.kind.allowed() },
            default(option),
            option.since.to_owned(),
            option.summary.to_owned(),
        ];
        let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
}

fn default(option: &OptionSchema) -> String {
    match option.default {
        Default::Required => "required".to_owned(),
        Default::Value(text) => format!("`{text}`"),
        Default::Mesh(general) => format!("the mesh's `{general}`"),
        Default::Found(what) => what.to_owned(),
        Default::Unset(meaning) => format!("none: {meaning}"),
    }
}
