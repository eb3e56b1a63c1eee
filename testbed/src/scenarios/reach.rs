//! Everyone reaches everyone.

use serde_json::Value;

use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim, connected_pairs, family, in_parallel};
use crate::serving::{Line, Server, any};
use crate::transfer::Transfer;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ping-all",
        claim: "Every host reaches every other host by ping, in both families.",
        topology: "reference",
        run: ping_all,
    },
    Scenario {
        name: "transfer-all",
        claim: "From every host to every other host 1 MB arrives by TCP as it was sent, in both families.",
        topology: "reference",
        run: transfer_all,
    },
    Scenario {
        name: "transfer-large",
        claim: "100 MB arrive as they were sent over a direct link, through one router and through two.",
        topology: "reference",
        run: transfer_large,
    },
    Scenario {
        name: "segments",
        claim: "Two hosts agree on TCP segments that fit into every link, before either has sent one that does not.",
        topology: "reference",
        run: segments,
    },
];

/// Where a host listens.
const PORT: u16 = 4400;

fn ping_all(stage: &mut Stage) -> Result<(), LabError> {
    let pairs = connected_pairs(&stage.lab);
    let count = pairs.len();
    let lab = &stage.lab;
    let failures = in_parallel(pairs, 8, |(from, to, is_ipv6)| match lab.pings(from, to, *is_ipv6) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{from} -> {to} {}", family(*is_ipv6))),
        Err(error) => Err(error.with_causes()),
    });
    claim(failures.is_empty(), || format!("no answer: {}", failures.join(", ")))?;
    stage.saw(format!("{count} pings, all answered"));
    Ok(())
}

fn transfer_all(stage: &mut Stage) -> Result<(), LabError> {
    let pairs = connected_pairs(&stage.lab);
    let count = pairs.len();
    let lab = &stage.lab;
    let failures = in_parallel(pairs, 4, |(from, to, is_ipv6)| {
        let done = Transfer::start(lab, from, to, *is_ipv6, 1_000_000).and_then(Transfer::wait);
        done.map(drop).map_err(|error| format!("{}: {}", family(*is_ipv6), error.with_causes()))
    });
    claim(failures.is_empty(), || failures.join("; "))?;
    stage.saw(format!("{count} transfers of 1 MB, every octet checked"));
    Ok(())
}

fn transfer_large(stage: &mut Stage) -> Result<(), LabError> {
    for (kind, from, to, is_ipv6) in [
        ("direct", "s3", "s5", true),
        ("direct", "s3", "s5", false),
        ("through one router", "s1", "s3", true),
        ("through one router", "s1", "s3", false),
        ("through two routers", "s1", "s5", true),
        ("through two routers", "s1", "s5", false),
    ] {
        let done = Transfer::start(&stage.lab, from, to, is_ipv6, 100_000_000)?.wait()?;
        stage.saw(format!(
            "100 MB {kind} ({from} to {to}, {}): {:.1} s, {:.0} Mbit/s",
            family(is_ipv6),
            done.took.as_secs_f64(),
            done.megabits_per_second()
        ));
    }
    Ok(())
}

fn segments(stage: &mut Stage) -> Result<(), LabError> {
    let links = stage.lab.node("r1")?.run("ip", &["-j", "link", "show", "type", "vxlan"])?;
    let links: Vec<Value> = serde_json::from_str(&links).unwrap_or_default();
    let link_mtu = links.iter().filter_map(|link| link.get("mtu")?.as_u64()).max().unwrap_or_default();
    let _server = Server::tcp(&stage.lab, "s3", any(PORT))?;
    let s1 = stage.lab.node("s1")?.clone();
    for (is_ipv6, headers, of_family) in [(true, 60, "-6"), (false, 40, "-4")] {
        // What s1 learned of the path by packets that were too large is to have no part in it.
        s1.run("ip", &[of_family, "route", "flush", "cache"])?;
        let address = stage.lab.address_of("s3", is_ipv6)?.to_string();
        let segment = u64::from(Line::open(&stage.lab, "s1", (&address, PORT))?.segment()?);
        let family = family(is_ipv6);
        claim(segment > 0 && segment + headers <= link_mtu, || {
            format!(
                "{family}: segments of {segment} octets, and {headers} of headers, on links of {link_mtu}"
            )
        })?;
        stage.saw(format!("{family}: s1 sends s3 segments of {segment} octets; links take {link_mtu}"));
    }
    Ok(())
}
