//! A daemon of others in the place of a router's agent, on the links that the agent made.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{Algorithm, Authentication, Link, Maker, Plan};
use crate::agent_config::OSPF_SECRET_FILE;
use crate::error::LabError;
use crate::lab::{Lab, read_file};
use crate::layout::LAN;
use crate::topology::RouterKind;

impl Lab {
    /// Replaces the agent of every router that the topology gives to another daemon.
    pub fn replace_foreign(&self, progress: &dyn Fn(&str)) -> Result<(), LabError> {
        for router in &self.topology.routers {
            let maker = match router.kind {
                RouterKind::Dlan => continue,
                RouterKind::Bird => Maker::Bird,
                RouterKind::Frr => Maker::Frr,
            };
            progress(&format!("starting {} in {}", maker.name(), router.name));
            self.replace_agent(&router.name, maker)?;
        }
        Ok(())
    }

    /// Kills a router's agent, takes its routes out of the kernel and starts another daemon on the links it left
    /// standing.
    pub fn replace_agent(&self, router: &str, maker: Maker) -> Result<(), LabError> {
        self.kill_agent(router)?;
        self.flush_routes(router)?;
        self.start_foreign(router, maker)
    }

    /// Starts another daemon in a router on the links that stand there.
    pub fn start_foreign(&self, router: &str, maker: Maker) -> Result<(), LabError> {
        maker.start(self.node(router)?, &self.foreign_plan(router)?)
    }

    /// Takes the routes that an agent left in a router's kernel out of it, except those to the neighbors' WireGuard
    /// addresses, which the links themselves need.
    pub fn flush_routes(&self, router: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        for family in ["-4", "-6"] {
            let text = node.run("ip", &["-j", family, "route", "show", "table", "141"])?;
            let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            let is_underlay = |route: &&Value| route.get("dev").is_some_and(|device| device == "dlan-wg");
            let mut lines = Vec::new();
            for route in routes.iter().filter(|route| !is_underlay(route)) {
                let word = |field: &str| route.get(field).and_then(Value::as_str);
                let (kind, destination) =
                    (word("type").unwrap_or("unicast"), word("dst").unwrap_or("default"));
                let metric = route.get("metric").and_then(Value::as_u64).unwrap_or_default();
                lines.push(format!("route del {kind} {destination} table 141 metric {metric}"));
            }
            let mut command = node.command("ip", &[family, "-batch", "-"]);
            crate::command::run(&mut command, &(lines.join("\n") + "\n"))?;
        }
        Ok(())
    }

    /// Returns what another daemon is told in the place of a router's agent: what the predecessor's role would write, both
    /// address families where the daemon has them, links with HMAC-SHA-256 where the mesh has a secret.
    pub fn foreign_plan(&self, router: &str) -> Result<Plan, LabError> {
        let own = self
            .topology
            .router(router)
            .ok_or_else(|| LabError::Asked(format!("'{router}' is no router of this lab")))?;
        let mesh = &self.topology.mesh;
        let authentication = if mesh.ospf_secret {
            let secret = read_file(&self.node(router)?.path(OSPF_SECRET_FILE))?.trim().to_owned();
            Some(Authentication { algorithm: Algorithm::Sha256, secret })
        } else {
            None
        };
        let neighbors = self
            .topology
            .links
            .iter()
            .filter_map(|link| Some((link.cost, self.topology.router(link.other_end(router)?)?)));
        let links = neighbors.map(|(cost, neighbor)| Link {
            device: format!("dlan-vx{}", neighbor.host_id),
            cost,
            intervals: (mesh.hello_interval, mesh.dead_interval),
            authentication: authentication.clone(),
            instance: None,
        });
        let host_id = own.host_id;
        Ok(Plan {
            links: links.collect(),
            stubs: vec![LAN.to_owned()],
            sources: Some((
                Ipv4Addr::from(0x0a01_0100 | u32::from(host_id)),
                Ipv6Addr::new(0xfd00, 0, 1, 1, 0, 0, 0, host_id),
            )),
            ..Plan::new(Ipv4Addr::from(u32::from(host_id)))
        })
    }
}
