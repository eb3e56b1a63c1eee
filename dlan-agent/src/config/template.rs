//! Writes the text of a first configuration, and of a section to paste at a neighbor.

use std::fmt::Write as _;
use std::path::PathBuf;

use ipnet::Ipv6Net;
use vxlan::key::PublicKey;

use super::types::{DeviceSource, Endpoint, HostId, LISTEN_PORT_DEFAULT, LanConfig};
use super::uci::{is_name, quote};

/// What a first configuration is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// This router's number.
    pub host_id: HostId,
    /// This router's name.
    pub name: String,
    /// The mesh's domain; `None` for the default.
    pub domain: Option<String>,
    /// The file of the secret for routing packets.
    pub ospf_secret_file: Option<PathBuf>,
    /// The file of the mesh-wide pre-shared key.
    pub wg_psk_file: Option<PathBuf>,
    /// Where the WAN is; several in order.
    pub wans: Vec<DeviceSource>,
    /// WireGuard's UDP port.
    pub listen_port: u16,
    /// The LANs, by section name.
    pub lans: Vec<LanConfig>,
    /// The neighbors.
    pub links: Vec<LinkAnswer>,
    /// The prefix that the LANs' IPv6 prefixes are of, for the other routers; in the text of no configuration.
    pub mesh_prefix: Option<Ipv6Net>,
}

/// What a link's section is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAnswer {
    /// The neighbor's name.
    pub name: String,
    /// The neighbor's number.
    pub host_id: HostId,
    /// The neighbor's key.
    pub public_key: PublicKey,
    /// Where to call it; `None`: it calls this router.
    pub endpoint: Option<Endpoint>,
}

/// Returns the text of a configuration.
pub fn template(answers: &Answers) -> String {
    let mut text = String::new();
    section(&mut text, "mesh", "mesh");
    option(&mut text, "host_id", answers.host_id);
    option(&mut text, "name", &answers.name);
    optional(&mut text, "domain", answers.domain.as_ref());
    optional(&mut text, "ospf_secret_file", answers.ospf_secret_file.as_ref().map(|path| path.display()));
    optional(&mut text, "wg_psk_file", answers.wg_psk_file.as_ref().map(|path| path.display()));
    for (index, source) in answers.wans.iter().enumerate() {
        section(&mut text, "wan", &format!("wan{index}"));
        match source {
            DeviceSource::Device(device) => option(&mut text, "device", device),
            DeviceSource::Interface(network) => option(&mut text, "interface", network),
        }
        if index == 0 && answers.listen_port != LISTEN_PORT_DEFAULT {
            option(&mut text, "listen_port", answers.listen_port);
        }
    }
    for lan in &answers.lans {
        section(&mut text, "lan", &lan.name);
        option(&mut text, "device", &lan.device);
        option(&mut text, "zone", &lan.zone);
        optional(&mut text, "ipv4", lan.ipv4);
        optional(&mut text, "ipv6", lan.ipv6);
        optional(&mut text, "dhcp", lan.dhcp.is_served().then_some("1"));
    }
    for link in &answers.links {
        text.push('\n');
        text.push_str(&link_section(link));
    }
    text
}

/// Returns the text of one link's section.
pub fn link_section(link: &LinkAnswer) -> String {
    let mut text = String::new();
    let name = section_name(&link.name);
    section(&mut text, "link", &name);
    if name != link.name {
        option(&mut text, "name", &link.name);
    }
    option(&mut text, "host_id", link.host_id);
    option(&mut text, "public_key", link.public_key);
    optional(&mut text, "endpoint", link.endpoint.as_ref());
    text
}

/// Returns a name for a neighbor's section: UCI allows only letters, digits and underscores, and one name once in a
/// file, so the names of the other sections are left to those.
pub fn section_name(name: &str) -> String {
    let others =
        |kind: &str| name.strip_prefix(kind).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
    if ["mesh", "wan", "lan"].into_iter().any(others) {
        return format!("link_{name}");
    }
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn section(text: &mut String, kind: &str, name: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let _ = match is_name(name) {
        true => writeln!(text, "{gap}config {kind} {}", quote(name)),
        false => writeln!(text, "{gap}config {kind}"),
    };
}

fn option(text: &mut String, name: &str, value: impl ToString) {
    let _ = writeln!(text, "\toption {name} {}", quote(&value.to_string()));
}

fn optional(text: &mut String, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        option(text, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::section_name;

    #[test]
    fn a_neighbor_s_section_never_takes_the_name_of_another_section() {
        for (name, expected) in [
            ("r4", "r4"),
            ("home-nas", "home_nas"),
            ("lan0", "link_lan0"),
            ("mesh", "link_mesh"),
            ("wanda", "wanda"),
        ] {
            assert_eq!(section_name(name), expected);
        }
    }
}
