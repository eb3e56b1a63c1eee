//! The mesh as a picture: where each router goes, and what is drawn along its links.

mod canvas;
pub mod svg;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};

use crate::lab::Lab;
use crate::topology::{Link, Router, Topology};

/// What a picture shows beside the topology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Links that are cut.
    pub cut: BTreeSet<String>,
    /// Routers that are switched off.
    pub off: BTreeSet<String>,
    /// The routers that some traffic passes, in order.
    pub way: Vec<String>,
}

impl Shown {
    /// Returns what a running lab shows.
    pub fn of(lab: &Lab) -> Self {
        let off = lab.topology.routers.iter().map(|router| router.name.clone());
        Self {
            cut: lab.cuts(),
            off: off.filter(|name| !lab.nodes.contains_key(name)).collect(),
            way: Vec::new(),
        }
    }

    /// Returns the picture with the way that some traffic takes marked.
    pub fn with_way(mut self, way: Vec<String>) -> Self {
        self.way = way;
        self
    }

    /// Returns how a link looks.
    fn look_of(&self, link: &Link) -> Look {
        let (a, b) = (&link.between.0, &link.between.1);
        let mut steps = self.way.iter().zip(self.way.iter().skip(1));
        if self.cut.contains(&link.name()) || self.off.contains(a) || self.off.contains(b) {
            Look::Dead
        } else if steps.any(|(from, to)| link.joins(from, to)) {
            Look::Way
        } else {
            Look::Plain
        }
    }
}

/// How something looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    /// As it is.
    #[default]
    Plain,
    /// Traffic passes.
    Way,
    /// Cut or switched off.
    Dead,
    /// What surrounds the mesh.
    Around,
}

/// Returns the routers in rows from the top, each row from the left.
fn rows(topology: &Topology) -> Vec<Vec<&Router>> {
    let lowest =
        topology.routers.iter().filter_map(|router| router.at).map(|(_, row)| row).max().unwrap_or(0);
    let mut rows: BTreeMap<u8, Vec<(u8, &Router)>> = BTreeMap::new();
    for router in &topology.routers {
        let (column, row) = router.at.unwrap_or((u8::MAX, lowest));
        rows.entry(row).or_default().push((column, router));
    }
    rows.into_values()
        .map(|mut row| {
            row.sort_by_key(|(column, _)| *column);
            row.into_iter().map(|(_, router)| router).collect()
        })
        .collect()
}

/// Returns what is written along a link.
fn label(link: &Link) -> String {
    match link.delay_ms {
        0 => format!("cost {}", link.cost),
        delay => format!("cost {}, {delay} ms", link.cost),
    }
}

/// Returns the names of the hosts on a router's LAN.
fn hosts(topology: &Topology, router: &Router) -> String {
    let names: Vec<_> = topology.hosts_of(&router.name).map(|host| host.name.as_str()).collect();
    match names.as_slice() {
        [] => "no hosts".to_owned(),
        [only] => format!("host {only}"),
        several => format!("hosts {}", several.join(" ")),
    }
}
