//! Everyone reaches everyone.

use crate::error::LabError;
use crate::scenarios::{Scenario, Stage, claim, connected_pairs, family, in_parallel};
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
];

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
