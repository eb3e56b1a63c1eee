//! Twelve routers of three makers: everyone talks, restarts beside each other, and is believed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::foreign::Maker;
use crate::lab::Lab;
use crate::layout::LAN;
use crate::scenarios::costs::{Fork, both_ways_carry};
use crate::scenarios::{Scenario, Stage, claim, connected_pairs, family, in_parallel};
use crate::topology::RouterKind;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "mixed-mesh",
        claim: "In a grid and in a ring of twelve routers, ours, BIRD and FRR, everyone talks; traffic is spread over ways through BIRD and through FRR of equal cost.",
        topology: "mixed",
        run: mesh,
    },
    Scenario {
        name: "mixed-foreign-lsas",
        claim: "What BIRD and FRR redistribute, and what they tell of another area, is in our kernels with the right way out, and goes with them.",
        topology: "mixed",
        run: foreign_lsas,
    },
    Scenario {
        name: "mixed-restarts",
        claim: "Ours restarts beside BIRD and FRR, and BIRD and FRR beside ours, in order and by a kill: all become Full again and every route returns.",
        topology: "mixed",
        run: restarts,
    },
    Scenario {
        name: "mixed-loss",
        claim: "With 30 % of all packets lost on the only link, to BIRD or to FRR, the adjacency comes up from nothing, and news crosses it both ways.",
        topology: "mixed",
        run: loss,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// RxmtInterval is 5 s, and about every other exchange of two packets loses one.
const LOSS_LIMIT: Duration = Duration::from_secs(150);
/// The links whose absence leaves a ring of all twelve.
const CHORDS: [(&str, &str); 5] = [("r5", "r6"), ("r7", "r8"), ("r10", "r11"), ("r2", "r6"), ("r3", "r7")];

fn mesh(stage: &mut Stage) -> Result<(), LabError> {
    everyone_talks(stage, "grid")?;
    // Over BIRD alone, over FRR alone, or over both for the same cost; IPv4 has no way through FRR.
    for (from, to, ipv6, ipv4) in [
        ("r1", "r6", ["dlan-vx2", "dlan-vx5"], "dlan-vx2"),
        ("r3", "r8", ["dlan-vx4", "dlan-vx7"], "dlan-vx7"),
    ] {
        let [lan6, lan4] = lans(&stage.lab, to)?;
        wait_for_devices(&stage.lab, from, &lan6, &ipv6)?;
        wait_for_devices(&stage.lab, from, &lan4, &[ipv4])?;
        stage.saw(format!("{from} to {to}: IPv6 by {}, IPv4 by {ipv4}", ipv6.join(" and ")));
    }
    let [lan6, _] = lans(&stage.lab, "r11")?;
    let devices = ["dlan-vx2", "dlan-vx5"];
    wait_for_devices(&stage.lab, "r1", &lan6, &devices)?;
    both_ways_carry(stage, &Fork { router: "r1", devices, from: "s1", to: "s11" }, true)?;
    for (a, b) in CHORDS {
        stage.lab.set_cut(a, b, true)?;
    }
    let begun = Instant::now();
    stage.lab.wait_for_routes(LIMIT)?;
    for (a, b) in CHORDS {
        wait_until_parted(&stage.lab, a, b)?;
    }
    everyone_talks(stage, "ring")?;
    stage.saw(format!("five links cut: the ring carries all after {:.1} s", begun.elapsed().as_secs_f64()));
    for (a, b) in CHORDS {
        stage.lab.set_cut(a, b, false)?;
    }
    whole(stage)
}

fn everyone_talks(stage: &mut Stage, shape: &str) -> Result<(), LabError> {
    let pairs = connected_pairs(&stage.lab);
    let count = pairs.len();
    let lab = &stage.lab;
    let failures = in_parallel(pairs, 8, |(from, to, is_ipv6)| {
        wait::until(LIMIT, &format!("{from} -> {to} {}", family(*is_ipv6)), || {
            match lab.pings(from, to, *is_ipv6) {
                Ok(true) => Ok(()),
                Ok(false) => Err("no answer".to_owned()),
                Err(error) => Err(error.with_causes()),
            }
        })
        .map_err(|error| error.with_causes())
    });
    claim(failures.is_empty(), || format!("{shape}: {}", failures.join(", ")))?;
    stage.saw(format!("{shape}: {count} pairs of hosts talk"));
    Ok(())
}

/// Waits until neither end of a cut link that is ours counts the other as a neighbor.
fn wait_until_parted(lab: &Lab, a: &str, b: &str) -> Result<(), LabError> {
    for (near, far) in [(a, b), (b, a)] {
        if lab.topology.router(near).is_some_and(|router| router.kind == RouterKind::Dlan) {
            wait_for_state(lab, near, far, "down")?;
        }
    }
    Ok(())
}

fn foreign_lsas(stage: &mut Stage) -> Result<(), LabError> {
    // r10 is BIRD, beside r6 and r11; r5 is FRR, beside r1 and r6.
    let told = [("r10", Maker::Bird, 10), ("r5", Maker::Frr, 5)];
    for (router, maker, number) in told {
        let node = stage.lab.node(router)?.clone();
        maker.stop(&node)?;
        node.ip(&[
            "link add other type bridge".to_owned(),
            format!("addr add 10.77.{number}.1/24 dev other"),
            format!("addr add 2001:db8:77:{number}::1/64 dev other nodad"),
            "link set other up".to_owned(),
        ])?;
        let mut plan = stage.lab.foreign_plan(router)?;
        plan.other_area = Some("other".to_owned());
        plan.externals = [format!("10.88.{number}.0/24"), format!("2001:db8:88:{number}::/64")]
            .iter()
            .filter_map(|prefix| prefix.parse().ok())
            .collect();
        maker.start(&node, &plan)?;
    }
    for (at, prefix, device) in [
        ("r6", "2001:db8:77:10::/64", "dlan-vx10"),
        ("r6", "2001:db8:88:10::/64", "dlan-vx10"),
        ("r6", "10.77.10.0/24", "dlan-vx10"),
        ("r6", "10.88.10.0/24", "dlan-vx10"),
        ("r11", "2001:db8:88:10::/64", "dlan-vx10"),
        ("r1", "2001:db8:77:5::/64", "dlan-vx5"),
        ("r1", "2001:db8:88:5::/64", "dlan-vx5"),
    ] {
        wait_for_devices(&stage.lab, at, prefix, &[device])?;
    }
    stage.saw("AS-External and Inter-Area-Prefix routes of BIRD (both families) and of FRR (IPv6) are in the kernels of r1, r6 and r11");
    for (router, maker, _) in told {
        let node = stage.lab.node(router)?.clone();
        maker.stop(&node)?;
        node.run("ip", &["link", "delete", "other"])?;
        stage.lab.start_foreign(router, maker)?;
    }
    for (at, prefix) in [("r6", "2001:db8:88:10::/64"), ("r6", "10.77.10.0/24"), ("r1", "2001:db8:77:5::/64")]
    {
        wait_for_devices(&stage.lab, at, prefix, &[])?;
    }
    whole(stage)
}

fn restarts(stage: &mut Stage) -> Result<(), LabError> {
    type Act = fn(&Lab) -> Result<(), LabError>;
    let rounds: [(&str, Act); 4] = [
        ("r6, ours, beside BIRD and FRR, killed", |lab| {
            lab.kill_agent("r6")?;
            lab.start_agent("r6")
        }),
        ("r6, ours, stopped in order", |lab| {
            lab.stop_agent("r6")?;
            lab.start_agent("r6")
        }),
        ("r7, BIRD, and r5, FRR, stopped in order", |lab| {
            for (router, maker) in [("r7", Maker::Bird), ("r5", Maker::Frr)] {
                maker.stop(lab.node(router)?)?;
                wait_until_missed(lab, router)?;
                lab.start_foreign(router, maker)?;
            }
            Ok(())
        }),
        ("r2, BIRD, and r4, FRR, killed", |lab| {
            for (router, maker) in [("r2", Maker::Bird), ("r4", Maker::Frr)] {
                let node = lab.node(router)?;
                maker.kill(node);
                // What a killed one leaves would pass for what the next one has learned.
                maker.flush_routes(node)?;
                wait_until_missed(lab, router)?;
                lab.start_foreign(router, maker)?;
            }
            Ok(())
        }),
    ];
    for (what, act) in rounds {
        let begun = Instant::now();
        act(&stage.lab)?;
        whole(stage)?;
        stage.saw(format!("{what}: whole again after {:.1} s", begun.elapsed().as_secs_f64()));
    }
    everyone_talks(stage, "after all")
}

/// Waits until no neighbor of ours is Full with a router: before that nothing shows that its daemon has ended.
fn wait_until_missed(lab: &Lab, router: &str) -> Result<(), LabError> {
    let ours = |name: &&str| lab.topology.router(name).is_some_and(|near| near.kind == RouterKind::Dlan);
    let neighbors = lab.topology.links.iter().filter_map(|link| link.other_end(router)).filter(ours);
    for near in neighbors {
        for is_ipv6 in [true, false] {
            wait::until(LIMIT, &format!("{near} to miss {router}, {}", family(is_ipv6)), || {
                let state = state_of(lab, near, router, is_ipv6)?;
                if state == "full" { Err(state) } else { Ok(()) }
            })?;
        }
    }
    Ok(())
}

fn loss(stage: &mut Stage) -> Result<(), LabError> {
    for (far, maker, other) in [("r2", Maker::Bird, "r5"), ("r5", Maker::Frr, "r2")] {
        // Without the other link, what r1 tells and hears has one way alone.
        stage.lab.set_cut("r1", other, true)?;
        wait_until_parted(&stage.lab, "r1", other)?;
        stage.lab.set_loss("r1", far, 30.0)?;
        comes_up_through_loss(stage, far, maker)?;
        news_crosses_loss(stage, far, maker)?;
        stage.lab.set_loss("r1", far, 0.0)?;
        stage.lab.set_cut("r1", other, false)?;
        whole(stage)?;
    }
    Ok(())
}

/// Has r1 away for longer than RouterDeadInterval, so that the exchange begins with nothing.
fn comes_up_through_loss(stage: &mut Stage, far: &str, maker: Maker) -> Result<(), LabError> {
    stage.lab.kill_agent("r1")?;
    wait_for_devices(&stage.lab, "r6", &lans(&stage.lab, "r1")?[0], &[])?;
    let begun = Instant::now();
    stage.lab.start_agent("r1")?;
    for is_ipv6 in families_of(maker) {
        wait_for_family(&stage.lab, "r1", far, *is_ipv6)?;
    }
    let (maker, elapsed) = (maker.name(), begun.elapsed().as_secs_f64());
    stage.saw(format!("30 % lost: r1 was Full with {maker} after {elapsed:.1} s"));
    Ok(())
}

/// Has r1 tell a cost that r3 hears, and the far end a network of which r1 hears, which then goes.
fn news_crosses_loss(stage: &mut Stage, far: &str, maker: Maker) -> Result<(), LabError> {
    let begun = Instant::now();
    stage.lab.set_cost("r1", far, 7777)?;
    wait::until(LOSS_LIMIT, "r3 to hear of r1's cost through the loss", || {
        let topology = stage.lab.dlan_json("r3", &["topology"]).map_err(|error| error.with_causes())?;
        if topology.to_string().contains("7777") { Ok(()) } else { Err("it knows another".to_owned()) }
    })?;
    stage.lab.set_cost("r1", far, 10)?;
    let told = begun.elapsed().as_secs_f64();
    let device = stage.lab.topology.router(far).map(|router| format!("dlan-vx{}", router.host_id));
    let device = device.unwrap_or_default();
    let begun = Instant::now();
    for (act, devices) in [("add", vec![device.as_str()]), ("del", Vec::new())] {
        let news = [(true, "2001:db8:99::/64", "2001:db8:99::1/64"), (false, "10.99.0.0/24", "10.99.0.1/24")];
        let node = stage.lab.node(far)?.clone();
        for (_, _, address) in news {
            node.ip(&[format!("addr {act} {address} dev {LAN}")])?;
        }
        for (_, prefix, _) in news.iter().filter(|(is_ipv6, ..)| families_of(maker).contains(is_ipv6)) {
            wait_for_devices_within(LOSS_LIMIT, &stage.lab, "r1", (prefix, &devices))?;
        }
    }
    stage.saw(format!(
        "r1's changed cost crossed the link to {} in {told:.1} s; a network that came and went there was known in {:.1} s",
        maker.name(),
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// The families that a daemon has beside ours.
const fn families_of(maker: Maker) -> &'static [bool] {
    match maker {
        Maker::Bird => &[true, false],
        Maker::Frr => &[true],
    }
}

pub(super) fn whole(stage: &Stage) -> Result<(), LabError> {
    stage.lab.wait_for_routes(LIMIT)?;
    stage.lab.wait_for_adjacencies(LIMIT)
}

/// Returns a router's LAN prefixes, IPv6 first.
fn lans(lab: &Lab, router: &str) -> Result<[String; 2], LabError> {
    let router = lab.topology.router(router);
    router
        .map(|router| [router.lan_ipv6.trunc().to_string(), router.lan_ipv4.trunc().to_string()])
        .ok_or_else(|| LabError::Asked("no such router".to_owned()))
}

/// Waits until a router's usable routes to a prefix leave by exactly these devices.
fn wait_for_devices(lab: &Lab, router: &str, prefix: &str, devices: &[&str]) -> Result<(), LabError> {
    wait_for_devices_within(LIMIT, lab, router, (prefix, devices))
}

fn wait_for_devices_within(
    limit: Duration,
    lab: &Lab,
    router: &str,
    (prefix, devices): (&str, &[&str]),
) -> Result<(), LabError> {
    let wanted: BTreeSet<&str> = devices.iter().copied().collect();
    wait::until(limit, &format!("{router}'s route to {prefix} by {}", devices.join(" and ")), || {
        let seen = lab.route_devices(router, prefix).map_err(|error| error.with_causes())?;
        let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
        if seen == wanted { Ok(()) } else { Err(format!("it leaves by {seen:?}")) }
    })
}

fn wait_for_family(lab: &Lab, near: &str, far: &str, is_ipv6: bool) -> Result<(), LabError> {
    wait::until(LOSS_LIMIT, &format!("{near} to be Full with {far}, {}", family(is_ipv6)), || {
        let state = state_of(lab, near, far, is_ipv6)?;
        if state == "full" { Ok(()) } else { Err(state) }
    })
}

fn wait_for_state(lab: &Lab, near: &str, far: &str, wanted: &str) -> Result<(), LabError> {
    for is_ipv6 in [true, false] {
        wait::until(LIMIT, &format!("{near} to be {wanted} with {far}, {}", family(is_ipv6)), || {
            let state = state_of(lab, near, far, is_ipv6)?;
            if state == wanted { Ok(()) } else { Err(state) }
        })?;
    }
    Ok(())
}

fn state_of(lab: &Lab, near: &str, far: &str, is_ipv6: bool) -> Result<String, String> {
    let links = lab.dlan_json(near, &["links"]).map_err(|error| error.with_causes())?;
    let link = links
        .as_array()
        .and_then(|links| links.iter().find(|link| link.get("name").is_some_and(|name| name == far)));
    let field = if is_ipv6 { "state_ipv6" } else { "state_ipv4" };
    let state = link.and_then(|link| link.get(field)?.as_str()).unwrap_or("missing");
    Ok(state.to_ascii_lowercase())
}
