//! A topology file as types: what the mesh looks like, checked as a whole before anything is built.

mod check;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Topologies that are part of the program.
const SHIPPED: [(&str, &str); 5] = [
    ("reference", include_str!("../../topologies/reference.toml")),
    ("two", include_str!("../../topologies/two.toml")),
    ("three", include_str!("../../topologies/three.toml")),
    ("triangle", include_str!("../../topologies/triangle.toml")),
    ("mixed", include_str!("../../topologies/mixed.toml")),
];

/// Everything a topology file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// The mesh's name: also the name of the running lab.
    pub name: String,
    /// What holds for all routers.
    #[serde(default)]
    pub mesh: Mesh,
    /// Homes: gateways with NAT that nobody in the mesh controls.
    #[serde(default, rename = "home")]
    pub homes: Vec<Home>,
    /// Machines on home networks that do not belong to the mesh.
    #[serde(default, rename = "stranger")]
    pub strangers: Vec<Stranger>,
    /// The mesh's routers.
    #[serde(rename = "router")]
    pub routers: Vec<Router>,
    /// Hosts on the routers' LANs.
    #[serde(default, rename = "host")]
    pub hosts: Vec<Host>,
    /// The links between neighboring routers.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
}

/// What holds for all routers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mesh {
    /// HelloInterval, in seconds.
    pub hello_interval: u16,
    /// RouterDeadInterval, in seconds.
    pub dead_interval: u16,
    /// How often a neighbor is told by BFD, in milliseconds; the agent's own default where there is none.
    pub bfd_interval: Option<u32>,
    /// Whether OSPF packets are authenticated with a mesh-wide secret.
    pub ospf_secret: bool,
    /// Whether WireGuard uses a mesh-wide pre-shared key.
    pub wg_psk: bool,
}

impl Default for Mesh {
    fn default() -> Self {
        Self { hello_interval: 10, dead_interval: 40, bfd_interval: None, ospf_secret: true, wg_psk: true }
    }
}

/// A gateway with NAT and a network behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// The gateway's name.
    pub name: String,
    /// Its public address; the internet's end is the first address of the prefix.
    pub ipv4: Ipv4Net,
    /// The same for IPv6.
    pub ipv6: Ipv6Net,
    /// Its address on the home network.
    pub lan_ipv4: Ipv4Net,
    /// The same for IPv6: a public prefix behind a stateful filter, as providers delegate it.
    pub lan_ipv6: Ipv6Net,
}

/// A machine on a home network that nobody in the mesh controls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stranger {
    /// Its name.
    pub name: String,
    /// The home it is in.
    pub home: String,
    /// Its address on the home network.
    pub ipv4: Ipv4Addr,
    /// The same for IPv6.
    pub ipv6: Ipv6Addr,
}

/// A router of the mesh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// Its number in the mesh.
    pub host_id: u16,
    /// What routes in it.
    #[serde(default)]
    pub kind: RouterKind,
    /// The home it is in; without one it has public addresses.
    #[serde(default)]
    pub home: Option<String>,
    /// Its WAN address: plain inside a home, with a prefix length at the internet.
    pub wan_ipv4: String,
    /// The same for IPv6.
    pub wan_ipv6: String,
    /// Its address on its LAN.
    pub lan_ipv4: Ipv4Net,
    /// The same for IPv6.
    pub lan_ipv6: Ipv6Net,
    /// Column and row in pictures, from the upper left; left out: in the lowest row, as the file has them.
    #[serde(default)]
    pub at: Option<(u8, u8)>,
}

/// What routes in a router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouterKind {
    /// The agent of this project.
    #[default]
    Dlan,
    /// BIRD 2, on links that the agent made.
    Bird,
    /// FRR, likewise; it routes IPv6 only.
    Frr,
}

impl RouterKind {
    /// Returns whether it routes the family.
    pub const fn routes(self, is_ipv6: bool) -> bool {
        is_ipv6 || !matches!(self, Self::Frr)
    }
}

/// A host on a router's LAN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The router whose LAN it is on.
    pub router: String,
    /// The host part of its addresses, 2..=254.
    pub number: u8,
}

/// A link between two neighboring routers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The two routers.
    pub between: (String, String),
    /// One-way delay of the path below, in milliseconds.
    #[serde(default)]
    pub delay_ms: u32,
    /// Share of packets lost on the path below, each way, in percent.
    #[serde(default)]
    pub loss_percent: f64,
    /// Output cost at both ends.
    #[serde(default = "default_cost")]
    pub cost: u16,
}

fn default_cost() -> u16 {
    10
}

/// Why a topology file is refused.
#[derive(Debug, Error)]
pub enum TopologyError {
    /// It cannot be read.
    #[error("cannot read topology {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, or holds an unknown or missing key.
    #[error("topology {path}: {source}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// It contradicts itself.
    #[error("topology {path}:\n  {}", problems.join("\n  "))]
    Contradiction {
        /// The file.
        path: String,
        /// Every contradiction, each a sentence.
        problems: Vec<String>,
    },
    /// A lab cannot be called so.
    #[error("{0}")]
    Name(String),
}

/// Refuses what a lab cannot be called.
pub fn check_lab_name(name: &str) -> Result<(), TopologyError> {
    check::lab_name(name).map_or(Ok(()), |problem| Err(TopologyError::Name(problem)))
}

impl Topology {
    /// Reads a topology file, or a shipped one by its plain name.
    pub fn find(path: &Path) -> Result<Self, TopologyError> {
        let shipped = SHIPPED.iter().find(|(name, _)| path == Path::new(name));
        match shipped {
            Some((name, text)) if !path.exists() => Self::parse(text, name),
            _ => Self::read(path),
        }
    }

    /// Reads and checks a topology file.
    pub fn read(path: &Path) -> Result<Self, TopologyError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| TopologyError::Read { path: shown.clone(), source })?;
        Self::parse(&text, &shown)
    }

    /// Parses and checks the text of a topology file; `path` is for the errors.
    pub fn parse(text: &str, path: &str) -> Result<Self, TopologyError> {
        let topology: Self = toml::from_str(text)
            .map_err(|source| TopologyError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        let problems = check::problems(&topology);
        if problems.is_empty() {
            Ok(topology)
        } else {
            Err(TopologyError::Contradiction { path: path.to_owned(), problems })
        }
    }

    /// Returns it for a lab of another name, where one is given.
    pub fn called(self, lab: Option<&str>) -> Self {
        Self { name: lab.map_or_else(|| self.name.clone(), str::to_owned), ..self }
    }

    /// Returns the router called `name`.
    pub fn router(&self, name: &str) -> Option<&Router> {
        self.routers.iter().find(|router| router.name == name)
    }

    /// Returns the home called `name`.
    pub fn home(&self, name: &str) -> Option<&Home> {
        self.homes.iter().find(|home| home.name == name)
    }

    /// Returns the link between two routers, in whichever order they are named.
    pub fn link(&self, a: &str, b: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.joins(a, b))
    }

    /// Returns the hosts on a router's LAN.
    pub fn hosts_of<'a>(&'a self, router: &'a str) -> impl Iterator<Item = &'a Host> {
        self.hosts.iter().filter(move |host| host.router == router)
    }

    /// Returns the router whose LAN a host is on.
    pub fn router_of(&self, host: &Host) -> Option<&Router> {
        self.router(&host.router)
    }

    /// Returns a host's two addresses.
    pub fn host_addresses(&self, host: &Host) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let router = self.router_of(host)?;
        let ipv4 = u32::from(router.lan_ipv4.network()) | u32::from(host.number);
        // The same digits in both families: host 13 is .13 and ::13.
        let digits = u128::from_str_radix(&host.number.to_string(), 16).ok()?;
        let ipv6 = u128::from(router.lan_ipv6.network()) | digits;
        Some((Ipv4Addr::from(ipv4), Ipv6Addr::from(ipv6)))
    }

    /// Returns whether two routers share a home network.
    pub fn share_a_home(&self, a: &Router, b: &Router) -> bool {
        a.home.is_some() && a.home == b.home
    }

    /// Returns whether both ends of a link route a family.
    pub fn routes(&self, link: &Link, is_ipv6: bool) -> bool {
        [&link.between.0, &link.between.1]
            .into_iter()
            .all(|end| self.router(end).is_some_and(|router| router.kind.routes(is_ipv6)))
    }

    /// Returns the names of the routers that are connected with `start` when the links for which `is_cut` holds are gone.
    pub fn reachable_from(&self, start: &str, is_cut: impl Fn(&Link) -> bool) -> BTreeSet<String> {
        let mut seen = BTreeSet::from([start.to_owned()]);
        let mut frontier = vec![start.to_owned()];
        while let Some(router) = frontier.pop() {
            for link in self.links.iter().filter(|link| !is_cut(link)) {
                if let Some(other) = link.other_end(&router)
                    && seen.insert(other.to_owned())
                {
                    frontier.push(other.to_owned());
                }
            }
        }
        seen
    }
}

impl Router {
    /// Returns the addresses on the WAN device.
    pub fn wan_addresses(&self) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let ipv4 = self.wan_ipv4.split('/').next()?.parse().ok()?;
        let ipv6 = self.wan_ipv6.split('/').next()?.parse().ok()?;
        Some((ipv4, ipv6))
    }
}

impl Link {
    /// Returns the link's name, as commands take it.
    pub fn name(&self) -> String {
        format!("{}-{}", self.between.0, self.between.1)
    }

    /// Returns whether the link joins these two routers, in whichever order.
    pub fn joins(&self, a: &str, b: &str) -> bool {
        (self.between.0 == a && self.between.1 == b) || (self.between.0 == b && self.between.1 == a)
    }

    /// Returns the router at the other end than `router`, if `router` is at one.
    pub fn other_end(&self, router: &str) -> Option<&str> {
        if self.between.0 == router {
            Some(&self.between.1)
        } else if self.between.1 == router {
            Some(&self.between.0)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../topologies/reference.toml");

    fn problems_of(edit: impl Fn(&str) -> String) -> String {
        Topology::parse(&edit(REFERENCE), "mesh.toml").unwrap_err().to_string()
    }

    #[test]
    fn shipped_topologies_are_accepted() {
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/topologies")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                Topology::read(&path).unwrap();
            }
        }
    }

    #[test]
    fn a_lab_is_called_as_asked_if_it_can_be() {
        let mesh = || Topology::find(Path::new("reference")).unwrap();
        assert_eq!(mesh().called(None).name, "reference");
        assert_eq!(mesh().called(Some("mine")).name, "mine");
        assert!(check_lab_name("mine").is_ok());
        for name in ["../mine", "", "Mine", &"m".repeat(33)] {
            let error = check_lab_name(name).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("the lab is named '{name}': a name is 1 to 32 of a-z")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = problems_of(|text| text.replace("cost = 20", "coast = 20"));
        assert!(error.contains("coast") && error.contains("line"), "{error}");
    }

    #[test]
    fn every_contradiction_is_named_at_once() {
        let error = problems_of(|text| {
            text.replace("number = 12", "number = 11")
                .replace("host_id = 5", "host_id = 4")
                .replace("router = \"r3\"", "router = \"r33\"")
                .replace("10.2.5.1/24", "10.2.4.129/25")
        });
        for expected in [
            "hosts s1 and s2 share number 11 at r1",
            "routers r4 and r5 share host_id 4",
            "there is no router 'r33' (did you mean 'r3'?)",
            "overlaps r4's LAN",
        ] {
            assert!(error.contains(expected), "{expected} is missing in:\n{error}");
        }
    }

    #[test]
    fn two_routers_behind_different_nats_cannot_be_linked() {
        let error =
            problems_of(|text| text.replace("between = [\"r1\", \"r4\"]", "between = [\"r1\", \"r2\"]"));
        assert!(error.contains("neither can call the other"), "{error}");
    }

    #[test]
    fn a_cut_that_leaves_another_way_keeps_routers_connected() {
        let topology = Topology::parse(REFERENCE, "mesh.toml").unwrap();
        assert_eq!(topology.reachable_from("r1", |link| link.name() == "r1-r4").len(), 5);
        let without_r3 = topology.reachable_from("r1", |link| link.name() == "r2-r3");
        assert!(!without_r3.contains("r3") && without_r3.len() == 4);
    }
}
