//! BIRD 2 in a node: its configuration, pure, and its start.

use std::fmt::Write as _;
use std::path::PathBuf;

use ipnet::IpNet;

use super::{Algorithm, Link, Plan, find, spawn};
use crate::error::LabError;
use crate::node::Node;

/// BIRD's files, in its node.
const CONF: &str = "/run/bird.conf";
const SOCKET: &str = "/run/bird.ctl";

/// Returns where the BIRD program is: what the environment's `DLAN_BIRD` says, else the one that set-up unpacked, else
/// the system's.
pub fn program() -> Result<PathBuf, LabError> {
    find("DLAN_BIRD", "bird", "/usr/sbin/bird")
}

/// Starts BIRD in a node.
pub fn start(node: &Node, plan: &Plan) -> Result<(), LabError> {
    node.write(CONF, &configuration(plan))?;
    // BIRD runs OSPFv3 only where there is a link-local address.
    if !node.run("ip", &["-6", "addr", "show", "dev", "lo"])?.contains("fe80::1/128") {
        node.run("ip", &["-6", "addr", "add", "fe80::1/128", "dev", "lo"])?;
    }
    if node.is_machine {
        // The machine has its own, which goes on by itself.
        return Ok(node.run("bird", &["-c", CONF, "-s", SOCKET]).map(drop)?);
    }
    spawn(node, &program()?, &["-f", "-c", CONF, "-s", SOCKET], "")
}

/// Has BIRD ask its neighbors for grace and end; its routes stay.
pub fn end_gracefully(node: &Node) -> Result<(), LabError> {
    command(node, &["graceful", "restart"])
}

/// Has a running BIRD carry out a command.
pub fn command(node: &Node, words: &[&str]) -> Result<(), LabError> {
    let client = program()?.with_file_name("birdc");
    Ok(node.run(&client.to_string_lossy(), &[&["-s", SOCKET], words].concat()).map(drop)?)
}

/// Starts a BIRD that has ended gracefully.
pub fn start_again(node: &Node) -> Result<(), LabError> {
    spawn(node, &program()?, &["-f", "-R", "-c", CONF, "-s", SOCKET], "")
}

/// Returns the text of `bird.conf`: OSPFv3 in both families.
fn configuration(plan: &Plan) -> String {
    let mut text = format!(
        "router id {};\nlog \"/run/bird.log\" all;\nprotocol device {{}}\n{}",
        plan.router_id,
        bfd(plan)
    );
    for (family, is_ipv6) in [("ipv4", false), ("ipv6", true)] {
        let source = plan.sources.map(|(ipv4, ipv6)| {
            let address = if is_ipv6 { ipv6.to_string() } else { ipv4.to_string() };
            format!("krt_prefsrc = {address}; ")
        });
        let externals = plan.externals.iter().filter(|prefix| matches!(prefix, IpNet::V6(_)) == is_ipv6);
        let routes: String = externals.map(|prefix| format!("  route {prefix} blackhole;\n")).collect();
        let mut exported = "none".to_owned();
        if !routes.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, "protocol static externals_{family} {{\n  {family};\n{routes}}}\n");
            "where source = RTS_STATIC".clone_into(&mut exported);
        }
        let _ = write!(
            text,
            "protocol kernel kernel_{family} {{\n  merge paths yes;\n  graceful restart on;\n  {family} {{\n    import none;\n    export filter {{ \
             if source = RTS_STATIC then reject; {}accept; }};\n  }};\n}}\nprotocol ospf v3 ospf_{family} {{\n  {family} {{ \
             import all; export {exported}; }};\n  graceful restart on;\n  area 0 {{\n    interface \"lo\" {{ stub yes; }};\n{}  }};\n{}}}\n",
            source.unwrap_or_default(),
            interfaces(plan),
            plan.other_area.as_ref().map_or_else(String::new, |device| format!(
                "  area 1 {{\n    interface \"{device}\" {{ stub yes; }};\n  }};\n"
            ))
        );
    }
    text
}

fn bfd(plan: &Plan) -> String {
    plan.bfd.map_or_else(String::new, |bfd| {
        format!(
            "protocol bfd {{\n  interface \"*\" {{ min rx interval {0} ms; min tx interval {0} ms; multiplier {1}; }};\n}}\n",
            bfd.interval_ms, bfd.multiplier
        )
    })
}

fn interfaces(plan: &Plan) -> String {
    let stub = |device: &String| format!("    interface \"{device}\" {{ stub yes; }};\n");
    let bfd = if plan.bfd.is_some() { " bfd yes;" } else { "" };
    let link = |link: &Link| {
        let authentication = link.authentication.as_ref().map_or_else(String::new, |it| {
            format!(
                " authentication cryptographic; password \"{}\" {{ algorithm hmac {}; }};",
                it.secret,
                name(it.algorithm)
            )
        });
        let (hello, dead) = link.intervals;
        format!(
            "    interface \"{}\" {{ type ptp; cost {}; hello {hello}; dead {dead};{bfd}{authentication} }};\n",
            link.device, link.cost
        )
    };
    plan.stubs.iter().map(stub).chain(plan.links.iter().map(link)).collect()
}

fn name(algorithm: Algorithm) -> String {
    format!("sha{}", algorithm.bits())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::{Authentication, Bfd};
    use super::*;

    #[test]
    fn each_family_is_told_its_own_prefixes_and_every_link() {
        let link = Link {
            device: "eth1".to_owned(),
            cost: 7,
            intervals: (1, 4),
            authentication: Some(Authentication { algorithm: Algorithm::Sha384, secret: "hush".to_owned() }),
            instance: None,
        };
        let plan = Plan {
            links: vec![link],
            externals: vec!["2001:db8:e::/48".parse().unwrap()],
            bfd: Some(Bfd { interval_ms: 50, multiplier: 3 }),
            ..Plan::new(Ipv4Addr::new(0, 0, 0, 9))
        };
        let text = configuration(&plan);
        assert_eq!(
            text.matches("interface \"eth1\" { type ptp; cost 7; hello 1; dead 4; bfd yes;").count(),
            2,
            "{text}"
        );
        assert_eq!(text.matches("password \"hush\" { algorithm hmac sha384; };").count(), 2, "{text}");
        assert_eq!(text.matches("route 2001:db8:e::/48 blackhole").count(), 1, "{text}");
        assert!(text.contains("min rx interval 50 ms"), "{text}");
    }
}
