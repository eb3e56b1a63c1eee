//! FRR in a node: the configuration of each of its daemons, pure, and their start.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::{Algorithm, Link, Plan, find, spawn};
use crate::error::LabError;
use crate::lab::{read_file, write_file};
use crate::node::Node;

/// FRR's files, in its node.
const DIRECTORY: &str = "/run/frr";
/// The group whose members may configure FRR; it does not start for anybody else.
const GROUP: &str = "frrvty";

/// Returns where the `ospf6d` program is: what the environment's `DLAN_FRR` says, else the one that set-up unpacked, else
/// the system's. The others are beside it.
pub fn program() -> Result<PathBuf, LabError> {
    find("DLAN_FRR", "frr", "/usr/lib/frr/ospf6d")
}

/// Starts FRR in a node: zebra, and the daemons that the plan needs.
pub fn start(node: &Node, plan: &Plan) -> Result<(), LabError> {
    let program = program()?;
    let libraries = libraries(&program);
    let directory = node.path(DIRECTORY);
    std::fs::create_dir_all(&directory).map_err(|source| LabError::File {
        act: "make",
        path: directory,
        source,
    })?;
    ensure_group(node)?;
    // The others connect to zebra, and try again every few seconds where it is not there yet.
    for (daemon, text) in configurations(plan) {
        let inside = |end: &str| format!("{DIRECTORY}/{daemon}.{end}");
        let log = format!("hostname {}\nlog file {}\n", node.name, inside("log"));
        write_file(&node.path(&inside("conf")), &format!("{log}{text}"))?;
        let zebra = format!("{DIRECTORY}/zserv.api");
        let (conf, pid) = (inside("conf"), inside("pid"));
        let arguments = [
            "-u",
            "root",
            "-g",
            "root",
            "-P",
            "0",
            "-f",
            &conf,
            "-i",
            &pid,
            "-z",
            &zebra,
            "--vty_socket",
            DIRECTORY,
        ];
        spawn(node, &program.with_file_name(daemon), &arguments, &libraries)?;
        if daemon == "zebra" {
            let socket = node.path(&zebra);
            crate::wait::until(std::time::Duration::from_secs(10), "zebra to listen", || {
                if socket.exists() { Ok(()) } else { Err("it does not".to_owned()) }
            })?;
        }
    }
    Ok(())
}

/// Returns where unpacked libraries are, for the dynamic linker; nothing for an installed FRR.
fn libraries(program: &Path) -> String {
    let Some(usr) = program.ancestors().nth(3).filter(|usr| *usr != Path::new("/usr")) else {
        return String::new();
    };
    let entries = std::fs::read_dir(usr.join("lib")).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.join("frr/libfrr.so.0").exists());
    folders.map(|path| format!("{0}/frr:{0}", path.display())).collect::<Vec<_>>().join(":")
}

/// Sees to it that the node knows the group that FRR asks for.
fn ensure_group(node: &Node) -> Result<(), LabError> {
    let path = node.path("/etc/group");
    let groups = read_file(&node.path("/run/host-etc/group"))?;
    if !groups.contains(GROUP) {
        // It is a link to the host's file, in a directory of the node's own.
        let _ = std::fs::remove_file(&path);
        write_file(&path, &format!("{groups}{GROUP}:x:65000:root\n"))?;
    }
    Ok(())
}

/// Returns the daemons to start, in order, each with its configuration.
fn configurations(plan: &Plan) -> Vec<(&'static str, String)> {
    let mut daemons = vec![("zebra", "ip forwarding\nipv6 forwarding\n".to_owned())];
    if let Some(bfd) = plan.bfd {
        let text = format!(
            "bfd\n profile lab\n  detect-multiplier {1}\n  receive-interval {0}\n  transmit-interval {0}\n",
            bfd.interval_ms, bfd.multiplier
        );
        daemons.push(("bfdd", text));
    }
    if !plan.externals.is_empty() {
        let route = |prefix: &IpNet| match prefix {
            IpNet::V4(prefix) => format!("ip route {prefix} blackhole\n"),
            IpNet::V6(prefix) => format!("ipv6 route {prefix} blackhole\n"),
        };
        daemons.push(("staticd", plan.externals.iter().map(route).collect()));
    }
    daemons.push(("ospf6d", ospf6d(plan)));
    if plan.ospfv2 {
        daemons.push(("ospfd", ospfd(plan)));
    }
    daemons
}

fn ospf6d(plan: &Plan) -> String {
    let mut text = String::new();
    for device in passive(plan) {
        let area = u8::from(plan.other_area.as_deref() == Some(device));
        // Writing to a String cannot fail.
        let _ = write!(text, "interface {device}\n ipv6 ospf6 area 0.0.0.{area}\n ipv6 ospf6 passive\n");
    }
    for link in &plan.links {
        let Link { device, cost, intervals: (hello, dead), .. } = link;
        let _ = write!(
            text,
            "interface {device}\n ipv6 ospf6 area 0.0.0.0\n ipv6 ospf6 network point-to-point\n ipv6 ospf6 cost {cost}\n \
             ipv6 ospf6 hello-interval {hello}\n ipv6 ospf6 dead-interval {dead}\n"
        );
        if let Some(it) = &link.authentication {
            let (name, secret) = (name(it.algorithm), &it.secret);
            let _ = writeln!(text, " ipv6 ospf6 authentication key-id 1 hash-algo {name} key {secret}");
        }
        if let Some(instance) = link.instance {
            let _ = writeln!(text, " ipv6 ospf6 instance-id {instance}");
        }
        if plan.bfd.is_some() {
            text.push_str(" ipv6 ospf6 bfd profile lab\n");
        }
    }
    let _ = write!(text, "router ospf6\n ospf6 router-id {}\n{}", plan.router_id, redistribution(plan));
    text
}

fn ospfd(plan: &Plan) -> String {
    let mut text = String::new();
    for device in passive(plan) {
        let area = u8::from(plan.other_area.as_deref() == Some(device));
        // Writing to a String cannot fail.
        let _ = write!(text, "interface {device}\n ip ospf area 0.0.0.{area}\n ip ospf passive\n");
    }
    for link in &plan.links {
        let Link { device, cost, intervals: (hello, dead), .. } = link;
        let _ = write!(
            text,
            "interface {device}\n ip ospf area 0.0.0.0\n ip ospf network point-to-point\n ip ospf cost {cost}\n \
             ip ospf hello-interval {hello}\n ip ospf dead-interval {dead}\n"
        );
        if plan.bfd.is_some() {
            text.push_str(" ip ospf bfd\n ip ospf bfd profile lab\n");
        }
    }
    let _ = write!(text, "router ospf\n ospf router-id {}\n{}", plan.router_id, redistribution(plan));
    text
}

fn passive(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.stubs.iter().map(String::as_str).chain(["lo"]).chain(plan.other_area.as_deref())
}

fn redistribution(plan: &Plan) -> &'static str {
    if plan.externals.is_empty() { "" } else { " redistribute static\n" }
}

fn name(algorithm: Algorithm) -> String {
    format!("hmac-sha-{}", algorithm.bits())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::Bfd;
    use super::*;

    #[test]
    fn only_the_daemons_that_a_plan_needs_are_started() {
        let names = |plan: &Plan| configurations(plan).iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let mut plan = Plan::new(Ipv4Addr::new(0, 0, 0, 9));
        assert_eq!(names(&plan), ["zebra", "ospf6d"]);
        plan.ospfv2 = true;
        plan.bfd = Some(Bfd { interval_ms: 50, multiplier: 3 });
        plan.externals = vec!["2001:db8:e::/48".parse().unwrap()];
        assert_eq!(names(&plan), ["zebra", "bfdd", "staticd", "ospf6d", "ospfd"]);
    }
}
