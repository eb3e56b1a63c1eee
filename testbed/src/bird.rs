//! BIRD 2 in the place of a router's agent, configured as the predecessor's routers are.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::agent_config::OSPF_SECRET_FILE;
use crate::error::LabError;
use crate::lab::{Lab, read_file, write_file};
use crate::layout::LAN;
use crate::node::own_program;
use crate::topology::Router;

/// BIRD's files, in its router.
const CONF: &str = "/run/bird.conf";
const SOCKET: &str = "/run/bird.ctl";
/// Where the build leaves what was unpacked from Debian's package, seen from this program's directory.
const UNPACKED: &str = "../tools/bird/usr/sbin/bird";

/// Returns where the BIRD program is: what the environment's `DLAN_BIRD` says, else the one that set-up unpacked, else
/// the system's.
pub fn program() -> Result<PathBuf, LabError> {
    let named = std::env::var_os("DLAN_BIRD").map(PathBuf::from);
    let unpacked = own_program()?.parent().map(|directory| directory.join(UNPACKED));
    let candidates = named.into_iter().chain(unpacked).chain([PathBuf::from("/usr/sbin/bird")]);
    candidates.into_iter().find(|path| path.exists()).ok_or_else(|| {
        LabError::Asked("there is no BIRD: `testbed/setup --test` unpacks it, DLAN_BIRD names one".to_owned())
    })
}

impl Lab {
    /// Kills a router's agent, takes its routes out of the kernel and starts BIRD on the links it left standing.
    pub fn replace_agent_by_bird(&self, router: &str) -> Result<(), LabError> {
        self.kill_agent(router)?;
        self.flush_routes(router)?;
        self.start_bird(router)
    }

    /// Takes the routes that an agent left in a router's kernel out of it, except those to the neighbors' WireGuard
    /// addresses, which the links themselves need.
    pub fn flush_routes(&self, router: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        for family in ["-4", "-6"] {
            let text = node.run("ip", &["-j", family, "route", "show", "table", "141"])?;
            let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            let is_underlay = |route: &&Value| route.get("dev").is_some_and(|device| device == "dlan-wg");
            for route in routes.iter().filter(|route| !is_underlay(route)) {
                let word = |field: &str| route.get(field).and_then(Value::as_str);
                let (kind, destination) =
                    (word("type").unwrap_or("unicast"), word("dst").unwrap_or("default"));
                let metric = route.get("metric").and_then(Value::as_u64).unwrap_or_default().to_string();
                let words = [family, "route", "del", kind, destination, "table", "141", "metric", &metric];
                node.run("ip", &words)?;
            }
        }
        Ok(())
    }

    /// Starts BIRD in a router on the links that stand there.
    pub fn start_bird(&self, router: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        let secret = read_file(&node.path(OSPF_SECRET_FILE))?;
        let text = configuration(self, router, secret.trim())?;
        write_file(&node.path(CONF), &text)?;
        // BIRD runs OSPFv3 only where there is a link-local address.
        if !node.run("ip", &["-6", "addr", "show", "dev", "lo"])?.contains("fe80::1/128") {
            node.run("ip", &["-6", "addr", "add", "fe80::1/128", "dev", "lo"])?;
        }
        let mut command = node.command(&program()?.to_string_lossy(), &["-f", "-c", CONF, "-s", SOCKET]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(drop).map_err(|source| LabError::Node {
            node: router.to_owned(),
            why: format!("cannot start BIRD: {source}"),
        })
    }

    /// Returns the process ids of a router's BIRD: none or one.
    pub fn birds(&self, router: &str) -> Result<Vec<i32>, LabError> {
        let is_bird =
            |arguments: &[String]| arguments.first().is_some_and(|program| program.ends_with("/bird"));
        Ok(self.node(router)?.processes(is_bird))
    }

    /// Ends a router's BIRD, which takes its routes along, and waits until it is gone.
    pub fn stop_bird(&self, router: &str) -> Result<(), LabError> {
        for pid in self.birds(router)? {
            // It may have ended by itself.
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
        crate::wait::until(std::time::Duration::from_secs(10), "BIRD to end", || match self.birds(router) {
            Ok(birds) if birds.is_empty() => Ok(()),
            Ok(_) => Err("it runs".to_owned()),
            Err(error) => Err(error.with_causes()),
        })
    }
}

/// Returns what the predecessor's role would write for a router: both address families, links with HMAC-SHA-256.
fn configuration(lab: &Lab, name: &str, secret: &str) -> Result<String, LabError> {
    let router = lab
        .topology
        .router(name)
        .ok_or_else(|| LabError::Asked(format!("'{name}' is no router of this lab")))?;
    let mut text =
        format!("router id 0.0.0.{};\nlog \"/run/bird.log\" all;\nprotocol device {{}}\n", router.host_id);
    let loopbacks = [
        ("ipv4", "ospf4", format!("10.1.1.{}", router.host_id)),
        ("ipv6", "ospf6", format!("fd00:0:1:1::{:x}", router.host_id)),
    ];
    for (family, instance, loopback) in loopbacks {
        text.push_str(&format!(
            "protocol kernel kernel_{family} {{\n  merge paths yes;\n  {family} {{\n    import none;\n    export filter {{ \
             krt_prefsrc = {loopback}; accept; }};\n  }};\n}}\nprotocol ospf v3 {instance} {{\n  {family} {{ import all; \
             export none; }};\n  area 0 {{\n    interface \"lo\" {{ stub yes; }};\n    interface \"{LAN}\" {{ stub yes; \
             }};\n"
        ));
        for link in links(lab, router, secret) {
            text.push_str(&link);
        }
        text.push_str("  };\n}\n");
    }
    Ok(text)
}

fn links(lab: &Lab, router: &Router, secret: &str) -> Vec<String> {
    let mesh = &lab.topology.mesh;
    let authentication = if mesh.ospf_secret {
        format!("authentication cryptographic; password \"{secret}\" {{ algorithm hmac sha256; }};")
    } else {
        String::new()
    };
    let neighbors = lab
        .topology
        .links
        .iter()
        .filter_map(|link| Some((link.cost, lab.topology.router(link.other_end(&router.name)?)?)));
    neighbors
        .map(|(cost, neighbor)| {
            format!(
                "    interface \"dlan-vx{}\" {{ type ptp; cost {cost}; hello {}; dead {}; {authentication} }};\n",
                neighbor.host_id, mesh.hello_interval, mesh.dead_interval
            )
        })
        .collect()
}
