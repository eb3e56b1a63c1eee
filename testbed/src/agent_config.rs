//! A router's `/etc/config/dlan`, as its place in the topology asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::layout::{LAN, UNDERLAY_DOMAIN, WAN};
use crate::topology::{Router, Topology};

/// WireGuard's port on every router.
pub const LISTEN_PORT: u16 = 51820;
/// Where the mesh-wide OSPF secret is on every router.
pub const OSPF_SECRET_FILE: &str = "/etc/dlan/ospf.secret";
/// Where the mesh-wide pre-shared key is on every router.
pub const WG_PSK_FILE: &str = "/etc/dlan/wg.psk";

/// Returns the text of a router's configuration; links to routers whose key is not in `keys` are left out.
pub fn render(topology: &Topology, router: &Router, keys: &BTreeMap<String, String>) -> String {
    let mesh = &topology.mesh;
    let mut text = String::new();
    let mut option = |line: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    option("config mesh 'mesh'".to_owned());
    option(format!("\toption host_id '{}'", router.host_id));
    option(format!("\toption name '{}'", router.name));
    option(format!("\toption hello_interval '{}'", mesh.hello_interval));
    option(format!("\toption dead_interval '{}'", mesh.dead_interval));
    if let Some(interval) = mesh.bfd_interval {
        option(format!("\toption bfd_interval '{interval}'"));
    }
    if mesh.ospf_secret {
        option(format!("\toption ospf_secret_file '{OSPF_SECRET_FILE}'"));
    }
    if mesh.wg_psk {
        option(format!("\toption wg_psk_file '{WG_PSK_FILE}'"));
    }
    option(format!("\nconfig wan 'wan0'\n\toption device '{WAN}'\n\toption listen_port '{LISTEN_PORT}'"));
    // The device has its addresses from the system; the agent adopts the private ones.
    option(format!("\nconfig lan 'lan0'\n\toption device '{LAN}'"));
    for link in &topology.links {
        let neighbor = link.other_end(&router.name).and_then(|name| topology.router(name));
        let Some((neighbor, key)) = neighbor.and_then(|it| Some((it, keys.get(&it.name)?))) else { continue };
        option(format!("\nconfig link '{}'", neighbor.name));
        option(format!("\toption host_id '{}'", neighbor.host_id));
        option(format!("\toption public_key '{key}'"));
        if neighbor.home.is_none() || topology.share_a_home(router, neighbor) {
            option(format!("\toption endpoint '{}.{UNDERLAY_DOMAIN}:{LISTEN_PORT}'", neighbor.name));
        }
        option(format!("\toption cost '{}'", link.cost));
    }
    text
}

/// Returns a configuration with an option that stands in the link to `neighbor` given another value.
pub fn with_link_option(text: &str, neighbor: &str, (name, value): (&str, &str)) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with("config ") {
            inside = line == format!("config link '{neighbor}'");
        }
        if inside && line.trim_start().starts_with(&format!("option {name} ")) {
            let _ = writeln!(out, "\toption {name} '{value}'");
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// Returns a configuration with an option of its first section, the mesh's, set; `None` takes it out.
pub fn with_mesh_option(text: &str, name: &str, value: Option<&str>) -> String {
    let (head, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let prefix = format!("\toption {name} ");
    let mut out: String =
        head.lines().filter(|line| !line.starts_with(&prefix)).map(|line| format!("{line}\n")).collect();
    if let Some(value) = value {
        let _ = writeln!(out, "\toption {name} '{value}'");
    }
    out + "\n" + rest
}

/// Returns a configuration with further lines right behind the line that begins a section.
pub fn with_section_options(text: &str, section: &str, options: &str) -> String {
    let begin = |line: &str| if line == section { format!("{line}\n{options}") } else { format!("{line}\n") };
    text.lines().map(begin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(name: &str) -> String {
        rendered_with(name, None)
    }

    fn rendered_with(name: &str, bfd_interval: Option<u32>) -> String {
        let mut topology =
            Topology::parse(include_str!("../topologies/reference.toml"), "reference.toml").unwrap();
        topology.mesh.bfd_interval = bfd_interval;
        let keys =
            topology.routers.iter().map(|router| (router.name.clone(), format!("key-of-{}", router.name)));
        render(&topology, topology.router(name).unwrap(), &keys.collect())
    }

    #[test]
    fn how_often_bfd_tells_is_said_where_the_file_says_it() {
        assert!(!rendered("r1").contains("bfd_interval"));
        assert!(rendered_with("r1", Some(2000)).contains("\toption bfd_interval '2000'\n"));
    }

    #[test]
    fn only_the_end_that_can_call_has_an_endpoint() {
        assert_eq!(rendered("r1").matches("option endpoint").count(), 2);
        let r4 = rendered("r4");
        assert_eq!(r4.matches("config link").count(), 3);
        assert_eq!(r4.matches("option endpoint").count(), 1);
        assert!(rendered("r3").contains("option endpoint 'r2.example.test:51820'"));
    }

    #[test]
    fn an_option_of_the_mesh_is_set_replaced_and_taken_out() {
        let before = rendered("r1");
        let set = with_mesh_option(&before, "bfd_interval", Some("50"));
        let again = with_mesh_option(&set, "bfd_interval", Some("60"));
        assert_eq!(again.matches("\toption bfd_interval '60'\n\nconfig wan 'wan0'").count(), 1, "{again}");
        assert_eq!(again.matches("bfd_interval").count(), 1);
        assert_eq!(with_mesh_option(&again, "bfd_interval", None), before);
    }

    #[test]
    fn options_are_put_into_their_section() {
        let before = rendered("r1");
        let after = with_section_options(&before, "config wan 'wan0'", "\toption input 'drop'\n");
        assert!(after.contains("config wan 'wan0'\n\toption input 'drop'\n\toption device"), "{after}");
        assert_eq!(after.replace("\toption input 'drop'\n", ""), before);
    }

    #[test]
    fn a_cost_is_replaced_in_its_own_section_only() {
        let before = rendered("r1");
        let after = with_link_option(&before, "r4", ("cost", "77"));
        let changed: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
        assert_eq!(changed, [("\toption cost '10'", "\toption cost '77'")]);
    }
}
