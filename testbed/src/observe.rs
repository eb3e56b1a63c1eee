//! What the routers of a lab have come to: kernel routes, adjacencies, counters; and waiting for them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::error::LabError;
use crate::lab::Lab;
use crate::topology::RouterKind;
use crate::wait;

/// How long the agents may take to bring a mesh up from nothing.
pub const COLD_START_LIMIT: Duration = Duration::from_secs(240);

impl Lab {
    /// Waits until every running router has a route to the LANs of every running router it is connected with.
    pub fn wait_for_routes(&self, limit: Duration) -> Result<(), LabError> {
        wait::until(limit, "routes to every LAN in every router", || {
            let missing = self.missing_routes();
            if missing.is_empty() { Ok(()) } else { Err(format!("missing: {}", missing.join(", "))) }
        })
    }

    /// Returns the routes that should be in some router's kernel and are not, as `router -> prefix`.
    pub fn missing_routes(&self) -> Vec<String> {
        let cuts = self.cuts();
        let mut missing = Vec::new();
        for router in self.topology.routers.iter().filter(|router| self.nodes.contains_key(&router.name)) {
            let seen = self.kernel_routes(&router.name).unwrap_or_default();
            for is_ipv6 in [true, false] {
                let connected = self.topology.reachable_from(&router.name, |link| {
                    cuts.contains(&link.name())
                        || !self.topology.routes(link, is_ipv6)
                        || !self.nodes.contains_key(&link.between.0)
                        || !self.nodes.contains_key(&link.between.1)
                });
                for other in connected.iter().filter(|name| **name != router.name) {
                    let Some(other) = self.topology.router(other) else { continue };
                    let prefix = if is_ipv6 {
                        other.lan_ipv6.trunc().to_string()
                    } else {
                        other.lan_ipv4.trunc().to_string()
                    };
                    if !seen.contains(&prefix) {
                        missing.push(format!("{} -> {prefix}", router.name));
                    }
                }
            }
        }
        missing
    }

    /// Returns the destinations that a router's kernel has a usable route to, in any table.
    pub fn kernel_routes(&self, router: &str) -> Result<Vec<String>, LabError> {
        let mut seen = Vec::new();
        for family in ["-4", "-6"] {
            let text = self.node(router)?.run("ip", &["-j", family, "route", "show", "table", "all"])?;
            let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            for route in routes {
                let kind = route.get("type").and_then(Value::as_str).unwrap_or("unicast");
                if let (Some(destination), "unicast") = (route.get("dst").and_then(Value::as_str), kind) {
                    seen.push(destination.to_owned());
                }
            }
        }
        Ok(seen)
    }

    /// Returns the devices by which a router's route to `prefix` leaves, in order; none without a usable route.
    pub fn route_devices(&self, router: &str, prefix: &str) -> Result<Vec<String>, LabError> {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        let text = self.node(router)?.run("ip", &["-j", family, "route", "show", prefix, "table", "all"])?;
        let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        let device = |value: &Value| value.get("dev").and_then(Value::as_str).map(str::to_owned);
        let usable = |route: &&Value| route.get("type").is_none_or(|kind| kind == "unicast");
        let text = self.node(router)?.run("ip", &["-j", "nexthop", "show"])?;
        let objects: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        let object = |id: Option<&Value>| objects.iter().find(|one| one.get("id") == id);
        let mut devices: Vec<String> = Vec::new();
        for route in routes.iter().filter(usable) {
            let hops = route.get("nexthops").and_then(Value::as_array);
            let object_of_route = route.get("nhid").and_then(|id| object(Some(id)));
            let group = object_of_route.and_then(|object| object.get("group")?.as_array());
            match (group, hops, object_of_route) {
                (Some(members), ..) => {
                    let ways = in_use(members).filter_map(|member| object(member.get("id")));
                    devices.extend(ways.filter_map(device));
                }
                (None, Some(hops), _) => devices.extend(hops.iter().filter_map(device)),
                (None, None, Some(object)) => devices.extend(device(object)),
                (None, None, None) => devices.extend(device(route)),
            }
        }
        devices.sort();
        devices.dedup();
        Ok(devices)
    }

    /// Returns the routers that traffic from one router to another's LAN passes, both included, as the kernels route it.
    pub fn way(&self, from: &str, to: &str) -> Result<Vec<String>, LabError> {
        let prefix =
            self.topology.router(to).map(|router| router.lan_ipv6.trunc().to_string()).unwrap_or_default();
        let mut way = vec![from.to_owned()];
        while let Some(here) = way.last().filter(|here| *here != to) {
            let devices = self.route_devices(here, &prefix)?;
            let next = devices.first().and_then(|device| device.strip_prefix("dlan-vx")?.parse::<u16>().ok());
            let next = self.topology.routers.iter().find(|router| Some(router.host_id) == next);
            match next {
                Some(next) if !way.contains(&next.name) => way.push(next.name.clone()),
                _ => {
                    let sofar = way.join(" - ");
                    return Err(LabError::Asked(format!("the way from {from} to {to} ends after {sofar}")));
                }
            }
        }
        Ok(way)
    }

    /// Returns how many packets a router has sent by a device.
    pub fn sent_packets(&self, router: &str, device: &str) -> Result<u64, LabError> {
        let path = format!("/sys/class/net/{device}/statistics/tx_packets");
        Ok(self.node(router)?.read(&path)?.trim().parse().unwrap_or_default())
    }

    /// Returns how many packets dlan's nftables table in a router has dropped, by all its counters.
    pub fn dropped(&self, router: &str) -> Result<u64, LabError> {
        Ok(self.counters(router)?.values().sum())
    }

    /// Returns how many packets one counter of a router's filter has counted; none where there is no such counter.
    pub fn counted(&self, router: &str, counter: &str) -> Result<u64, LabError> {
        Ok(self.counters(router)?.get(counter).copied().unwrap_or_default())
    }

    fn counters(&self, router: &str) -> Result<BTreeMap<String, u64>, LabError> {
        let text = self.node(router)?.run("nft", &["-j", "list", "counters", "table", "inet", "dlan"])?;
        let listed: Value = serde_json::from_str(&text).unwrap_or_default();
        let entries = listed.get("nftables").and_then(Value::as_array);
        let count = |entry: &Value| {
            let counter = entry.get("counter")?;
            Some((counter.get("name")?.as_str()?.to_owned(), counter.get("packets")?.as_u64()?))
        };
        Ok(entries.into_iter().flatten().filter_map(count).collect())
    }

    /// Returns whether a router's agent would change nothing.
    pub fn plans_nothing(&self, router: &str) -> Result<bool, LabError> {
        let plan = self.dlan_json(router, &["plan"])?;
        Ok(plan.get("steps").and_then(Value::as_u64) == Some(0))
    }

    /// Waits until the devices of all links of a router stand.
    pub fn wait_for_links(&self, router: &str) -> Result<(), LabError> {
        let node = self.node(router)?;
        let neighbors = self.topology.links.iter().filter_map(|link| link.other_end(router));
        let ids = neighbors.filter_map(|name| self.topology.router(name)).map(|router| router.host_id);
        let devices: Vec<String> = ids.map(|id| format!("dlan-vx{id}")).collect();
        wait::until(COLD_START_LIMIT, &format!("the links of {router}"), || {
            let missing = devices.iter().find(|device| !node.exists(&format!("/sys/class/net/{device}")));
            missing.map_or(Ok(()), |device| Err(format!("{device} is missing")))
        })
    }

    /// Waits until every uncut link between running routers is Full at both ends, in both families.
    pub fn wait_for_adjacencies(&self, limit: Duration) -> Result<(), LabError> {
        wait::until(limit, "every neighbor to be Full", || {
            let missing = self.missing_adjacencies();
            if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
        })
    }

    /// Waits until every neighbor has acknowledged whatever it was told: before that a change of topology is under way, and no
    /// neighbor is helped through a restart (RFC 3623 section 3.1).
    pub fn wait_for_acknowledgments(&self, limit: Duration) -> Result<(), LabError> {
        let routers = self.topology.routers.iter().filter(|router| router.kind == RouterKind::Dlan);
        let routers: Vec<_> = routers.filter(|router| self.nodes.contains_key(&router.name)).collect();
        wait::until(limit, "every neighbor to acknowledge what it was told", || {
            for router in &routers {
                // In the place of an agent there may be another program, which nobody can ask.
                let Ok(said) = self.dlan_json(&router.name, &["neighbors"]) else { continue };
                let neighbors = said.get("neighbors").and_then(Value::as_array);
                let neighbors = neighbors.ok_or_else(|| format!("{}: {said}", router.name))?;
                let is_waiting =
                    |neighbor: &&Value| neighbor.get("retransmissions").and_then(Value::as_u64) != Some(0);
                let waiting = neighbors.iter().find(is_waiting);
                if let Some(waiting) = waiting {
                    return Err(format!("{}: {waiting}", router.name));
                }
            }
            Ok(())
        })
    }

    /// Returns the adjacencies that should be Full and are not, with their states.
    pub fn missing_adjacencies(&self) -> Vec<String> {
        let cuts = self.cuts();
        let mut missing = Vec::new();
        for router in self.topology.routers.iter().filter(|router| router.kind == RouterKind::Dlan) {
            if !self.nodes.contains_key(&router.name) {
                continue;
            }
            let links = match self.dlan_json(&router.name, &["links"]) {
                Ok(Value::Array(links)) => links,
                Ok(_) => Vec::new(),
                Err(error) => {
                    missing.push(error.with_causes());
                    continue;
                }
            };
            for link in self.topology.links.iter().filter(|link| !cuts.contains(&link.name())) {
                let Some(neighbor) = link.other_end(&router.name) else { continue };
                if !self.nodes.contains_key(neighbor) {
                    continue;
                }
                let seen =
                    links.iter().find(|seen| seen.get("name").and_then(Value::as_str) == Some(neighbor));
                let families = [("state_ipv6", true), ("state_ipv4", false)];
                for (family, _) in families.iter().filter(|(_, is_ipv6)| self.topology.routes(link, *is_ipv6))
                {
                    let state =
                        seen.and_then(|seen| seen.get(family)).and_then(Value::as_str).unwrap_or("missing");
                    if !state.eq_ignore_ascii_case("full") {
                        missing.push(format!("{} to {neighbor} {family} {state}", router.name));
                    }
                }
            }
        }
        missing
    }
}

/// Returns the members of a group of next hops but for standbys, which have the least weight beside others of more.
fn in_use(members: &[Value]) -> impl Iterator<Item = &Value> {
    // A weight of 1 is left out.
    let weight = |member: &Value| member.get("weight").and_then(Value::as_u64).unwrap_or(1);
    let most = members.iter().map(weight).max();
    members.iter().filter(move |member| Some(weight(member)) == most)
}
