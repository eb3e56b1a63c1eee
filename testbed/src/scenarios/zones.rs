//! Zones: who reaches whom, forged sources, and transit that connection tracking sees half of.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::agent_config::with_section_options;
use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim, family};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "zones",
        claim: "The hosts of a LAN reach what their zone is given and nothing more: here, at other routers, and beyond; others \
                reach them as their own zones say.",
        topology: "reference",
        run: zones,
    },
    Scenario {
        name: "forged",
        claim: "Packets with a source that does not belong where they come from are dropped and counted.",
        topology: "reference",
        run: forged,
    },
    Scenario {
        name: "asymmetric-transit",
        claim: "Connections whose two ways pass different routers are carried, though those routers close their WANs, masquerade \
                and hold LANs to zones.",
        topology: "reference",
        run: asymmetric_transit,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// How long a connection is tried whose packets may be dropped.
const PATIENCE: Duration = Duration::from_millis(1500);
/// A port that the zone is given at s6, and one that it is not.
const GIVEN: u16 = 443;
const NOT_GIVEN: u16 = 444;
/// What r1's LAN is held to: r2's LAN, one service of s6, and the internet by its own WAN.
const ISOLATED: &str = "
config zone 'isolated'
	list reach 'cameras'
	list reach 'wan'
	list allow '10.2.4.16 tcp 443'
	list allow 'fd79:2de7:db86:4::16 tcp 443'
config zone 'cameras'
";
/// What r2's LAN is held to: nothing.
const CAMERAS: &str = "\nconfig zone 'cameras'\n";
/// An address of the internet that r1 shall reach through the mesh.
const BEYOND: &str = "198.51.100.77";

fn zones(stage: &mut Stage) -> Result<(), LabError> {
    let (r1, r2) = (stage.lab.read_config("r1")?, stage.lab.read_config("r2")?);
    // The internet begins behind r4: a packet to it that passes r1 would come to r4.
    stage.lab.node("r4")?.run("ip", &["address", "add", &format!("{BEYOND}/32"), "dev", "lo"])?;
    let via = ["route", "add", BEYOND, "via", "inet6", "fe80::400:ff:fe00:1", "dev", "dlan-vx4"];
    let gateway = gateway(stage, "r1", "10.2.4.0/24")?;
    let via = via.map(|word| if word.starts_with("fe80") { gateway.as_str() } else { word });
    stage.lab.node("r1")?.run("ip", &via)?;
    claim(ping(stage, "s1", BEYOND)?, || {
        "s1 does not reach the internet through the mesh: nothing is tried here".to_owned()
    })?;
    let isolated = with_section_options(&r1, "config lan 'lan0'", "\toption zone 'isolated'\n");
    let isolated = with_section_options(&isolated, "config wan 'wan0'", "\toption masquerade '1'\n");
    stage.lab.write_config("r1", &(isolated + ISOLATED))?;
    let cameras = with_section_options(&r2, "config lan 'lan0'", "\toption zone 'cameras'\n");
    stage.lab.write_config("r2", &(cameras + CAMERAS))?;
    for router in ["r2", "r1"] {
        stage.lab.dlan(router, &["apply"])?;
    }
    let result = held_to_zones(stage);
    stage.lab.node("r1")?.run("ip", &["route", "delete", BEYOND])?;
    stage.lab.node("r4")?.run("ip", &["address", "delete", &format!("{BEYOND}/32"), "dev", "lo"])?;
    for (router, text) in [("r1", r1), ("r2", r2)] {
        stage.lab.write_config(router, &text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    result
}

/// Returns the link-local address that a router sends to for a prefix.
fn gateway(stage: &Stage, router: &str, prefix: &str) -> Result<String, LabError> {
    let routes = stage.lab.dlan_json(router, &["routes"])?;
    let route = routes.as_array().into_iter().flatten().find(|route| route["prefix"] == prefix);
    let gateway = route.and_then(|route| route.pointer("/via/0/gateway")?.as_str().map(str::to_owned));
    gateway.ok_or_else(|| LabError::Asked(format!("{router} has no way to {prefix}")))
}

fn held_to_zones(stage: &mut Stage) -> Result<(), LabError> {
    wait::until(LIMIT, "r1 to hear of r2's zone", || {
        let told = stage.lab.dlan_json("r1", &["zones"]).map_err(|error| error.with_causes())?;
        let elsewhere =
            zone(&told, "cameras").map_or(0, |zone| zone["elsewhere"].as_array().map_or(0, Vec::len));
        if elsewhere == 2 { Ok(()) } else { Err(format!("{elsewhere} prefixes are in it")) }
    })?;
    let before = dropped(stage)?;
    for is_ipv6 in [false, true] {
        let at = |host: &str| stage.lab.address_of(host, is_ipv6);
        let lan = |number: u8| -> IpAddr {
            let text =
                if is_ipv6 { format!("fd79:2de7:db86:{number}::1") } else { format!("10.2.{number}.1") };
            text.parse().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
        };
        for (from, to, port, is_reached) in [
            ("s1", at("s2")?, 80, true),
            ("s1", at("s3")?, 80, true),
            ("s1", at("s6")?, GIVEN, true),
            ("s1", lan(1), 53, true),
            ("s1", at("s6")?, NOT_GIVEN, false),
            ("s1", at("s5")?, GIVEN, false),
            ("s1", at("s7")?, 80, false),
            ("s1", lan(1), 22, false),
            ("s1", lan(4), GIVEN, false),
            ("s3", at("s1")?, 80, false),
            ("s3", at("s6")?, GIVEN, false),
            ("s3", lan(2), 22, false),
            ("s6", at("s1")?, 80, true),
            ("s6", at("s3")?, 80, true),
            ("s5", at("s2")?, 80, true),
        ] {
            let reached = connects(stage, from, to, port)?;
            claim(reached == is_reached, || {
                format!(
                    "{from} {} {to} port {port} in {}",
                    if reached { "reaches" } else { "does not reach" },
                    family(is_ipv6)
                )
            })?;
        }
    }
    claim(ping(stage, "s1", "203.0.113.6")?, || "s1 does not reach the internet by r1's WAN".to_owned())?;
    claim(!ping(stage, "s1", BEYOND)?, || "s1 reaches the internet through the mesh".to_owned())?;
    let after = dropped(stage)?;
    claim(after >= before + 10, || format!("{} drops were counted", after - before))?;
    claim(stage.lab.plans_nothing("r1")?, || "r1 still has plans".to_owned())?;
    stage.saw(format!(
        "s1, isolated: reaches r2's LAN, port 443 of s6, its router's name server and the internet by its own WAN; not another port \
         of s6, not s5, s7, its router's port 22, nor the internet through the mesh; {} drops counted",
        after - before
    ));
    stage.saw("s3, whose zone is given nothing, reaches nobody; internal hosts reach s1, s2 and s3");
    Ok(())
}

fn zone<'a>(report: &'a Value, name: &str) -> Option<&'a Value> {
    report["zones"].as_array()?.iter().find(|zone| zone["name"] == name)
}

/// Returns how many packets of r1's LAN were dropped because of its zone.
fn dropped(stage: &Stage) -> Result<u64, LabError> {
    let told = stage.lab.dlan_json("r1", &["zones"])?;
    Ok(zone(&told, "isolated").and_then(|zone| zone["dropped"].as_u64()).unwrap_or_default())
}

/// Returns whether a port answers, be it that nothing listens there.
fn connects(stage: &Stage, from: &str, to: IpAddr, port: u16) -> Result<bool, LabError> {
    let tried =
        stage.lab.node(from)?.inside(|| TcpStream::connect_timeout(&SocketAddr::new(to, port), PATIENCE))?;
    Ok(tried.map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionRefused, |_| true))
}

fn ping(stage: &Stage, from: &str, to: &str) -> Result<bool, LabError> {
    Ok(stage.lab.node(from)?.succeeds("ping", &["-n", "-c", "3", "-i", "0.2", "-W", "1", to]))
}

fn forged(stage: &mut Stage) -> Result<(), LabError> {
    // A host pretends to be one of another LAN, one of nowhere, a router; a stranger one of the inside.
    let cases = [
        ("s1", "r1", "10.2.4.99", "10.2.3.15", "forged_in_lan"),
        ("s1", "r1", "10.9.9.9", "10.2.3.15", "forged_in_lan"),
        ("s1", "r1", "10.1.1.4", "10.2.3.15", "forged_in_lan"),
        ("s1", "r1", "fd79:2de7:db86:4::99", "fd79:2de7:db86:3::15", "forged_in_lan"),
        ("s1", "r1", "fd00:0:1:1::4", "fd79:2de7:db86:3::15", "forged_in_lan"),
        ("s1", "r1", "10.2.4.98", "10.2.1.1", "forged_in_lan"),
        ("s1", "r1", "fd79:2de7:db86:4::98", "fd79:2de7:db86:1::1", "forged_in_lan"),
        ("x1", "r1", "10.2.4.99", "192.168.178.2", "from_wan"),
        ("x1", "r1", "fd79:2de7:db86:4::99", "2001:db8:1::2", "from_wan"),
    ];
    claim(ping(stage, "s1", "10.2.3.15")?, || "s1 does not reach s5: nothing is tried here".to_owned())?;
    for (node, router, from, to, counter) in cases {
        let mut counted = 0;
        // A filter that is exchanged meanwhile counts from 0.
        wait::until(LIMIT, &format!("{node} as {from}: 5 packets of 5 counted as {counter}"), || {
            counted =
                forge(stage, node, (from, to), (router, counter)).map_err(|error| error.with_causes())?;
            if counted >= 5 { Ok(()) } else { Err(format!("{counted} were")) }
        })?;
        stage.saw(format!("{node} as {from} to {to}: 5 packets sent, {counted} counted as {counter}"));
    }
    claim(ping(stage, "s1", "10.2.3.15")?, || "s1 does not reach s5 any more".to_owned())
}

/// Sends five packets with a forged source, and returns how many a router counted as that.
fn forge(
    stage: &Stage,
    node: &str,
    (from, to): (&str, &str),
    (router, counter): (&str, &str),
) -> Result<u64, LabError> {
    // Who the router is has been found out before: a question with a forged source would not be answered.
    ping(stage, node, to)?;
    let length = if from.contains(':') { 128 } else { 32 };
    let address = format!("{from}/{length}");
    let sender = stage.lab.node(node)?;
    sender.run("ip", &["address", "add", &address, "dev", "eth0"])?;
    let before = stage.lab.counted(router, counter)?;
    sender.succeeds("ping", &["-n", "-c", "5", "-i", "0.1", "-W", "1", "-I", from, to]);
    let counted = stage.lab.counted(router, counter)?.saturating_sub(before);
    sender.run("ip", &["address", "delete", &address, "dev", "eth0"])?;
    Ok(counted)
}

fn asymmetric_transit(stage: &mut Stage) -> Result<(), LabError> {
    let routers = ["r1", "r2", "r4", "r5"];
    let before: Result<Vec<(&str, String)>, LabError> =
        routers.iter().map(|router| Ok((*router, stage.lab.read_config(router)?))).collect();
    let before = before?;
    for (router, text) in &before {
        let text = with_section_options(
            text,
            "config wan 'wan0'",
            "\toption input 'drop'\n\toption masquerade '1'\n",
        );
        let held = matches!(*router, "r4" | "r5");
        let text = if held {
            with_section_options(&text, "config lan 'lan0'", "\toption zone 'isolated'\n")
        } else {
            text
        };
        stage.lab.write_config(router, &text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    let result = carried_both_ways(stage);
    for (router, text) in before {
        stage.lab.write_config(router, &text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    result
}

fn carried_both_ways(stage: &mut Stage) -> Result<(), LabError> {
    // There by r4, back by r5.
    stage.lab.set_cost("r1", "r5", 100)?;
    stage.lab.set_cost("r2", "r4", 100)?;
    let is_way = |stage: &Stage, from, to, by: &str| {
        stage.lab.way(from, to).is_ok_and(|way| way.contains(&by.to_owned()))
    };
    wait::until(LIMIT, "the ways to be r1 - r4 - r2 and r2 - r5 - r1", || {
        match is_way(stage, "r1", "r2", "r4") && is_way(stage, "r2", "r1", "r5") {
            true => Ok(()),
            false => Err("they are not".to_owned()),
        }
    })?;
    let carried = echoes(stage, 8)?;
    stage.saw(format!("there by r4, back by r5: 8 connections carry {carried} octets each way"));
    // Equal ways: each direction of a connection takes one by itself.
    for (router, neighbor) in
        [("r1", "r4"), ("r1", "r5"), ("r2", "r4"), ("r2", "r5"), ("r5", "r1"), ("r5", "r2")]
    {
        stage.lab.set_cost(router, neighbor, 10)?;
    }
    wait::until(LIMIT, "two ways each between r1 and r2", || {
        let ways =
            |router: &str, prefix: &str| stage.lab.route_devices(router, prefix).map_or(0, |ways| ways.len());
        match (ways("r1", "10.2.2.0/24"), ways("r2", "10.2.1.0/24")) {
            (2, 2) => Ok(()),
            other => Err(format!("there are {other:?}")),
        }
    })?;
    let carried = echoes(stage, 32)?;
    stage.saw(format!("equal ways by r4 and r5: 32 connections carry {carried} octets each way"));
    Ok(())
}

/// Carries an echo of some octets over connections from s1 to s3 in both families, and returns how many octets.
fn echoes(stage: &Stage, connections: usize) -> Result<usize, LabError> {
    const OCTETS: usize = 100_000;
    for is_ipv6 in [false, true] {
        let address = stage.lab.address_of("s3", is_ipv6)?;
        let failed = |what: &str, source: std::io::Error| {
            LabError::Claim(format!("{what} in {}: {source}", family(is_ipv6)))
        };
        let listener = stage.lab.node("s3")?.inside(|| TcpListener::bind((address, 0)))?;
        let listener = listener.map_err(|source| failed("cannot listen in s3", source))?;
        let to = listener.local_addr().map_err(|source| failed("cannot listen in s3", source))?;
        for _ in 0..connections {
            let carried = std::thread::scope(|scope| {
                let far = scope.spawn(|| {
                    let (mut stream, _) = listener.accept()?;
                    stream.set_read_timeout(Some(LIMIT))?;
                    let mut octets = vec![0; OCTETS];
                    stream.read_exact(&mut octets)?;
                    stream.write_all(&octets)
                });
                let near = stage.lab.node("s1").and_then(|node| node.inside(|| echo(to, OCTETS)));
                near.map(|near| near.and_then(|()| far.join().unwrap_or(Ok(()))))
            });
            carried?.map_err(|source| failed("a connection from s1 to s3 does not carry", source))?;
        }
    }
    Ok(OCTETS)
}

fn echo(to: SocketAddr, octets: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&vec![7; octets])?;
    stream.read_exact(&mut vec![0; octets])
}
