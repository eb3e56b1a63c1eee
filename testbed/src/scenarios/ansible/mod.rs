//! The role rolls a mesh out from an inventory of its predecessor, over ssh, router by router.

pub(in crate::scenarios) mod borrowed;
mod cut;
pub(in crate::scenarios) mod operator;
pub(in crate::scenarios) mod system;
pub(in crate::scenarios) mod upkeep;

use std::time::Duration;

use self::borrowed::{borrow_routers, give_back};
use self::operator::{Inventory, MIDDLE, Operator};
use crate::agent::{CONFIG, dlan_program};
use crate::error::LabError;
use crate::layout::INTERNET;
use crate::scenarios::agents::{OTHER_VERSION, another_version};
use crate::scenarios::services::wait_for;
use crate::scenarios::{Scenario, Stage, claim};
use crate::serving::{Server, any};
use crate::snapshot::Snapshot;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "playbook",
    claim: "From an inventory of the predecessor the role brings three fresh routers up over ssh, changes nothing the second time, one router's one thing when one variable changes, and no router by a bad inventory; cut off in the middle, of an apply too, it leaves every router confirmed or back; a rollback returns exactly, another version and the former again cost traffic nothing, and a removal leaves no trace.",
    topology: "three",
    run: playbook,
}];

/// How long anything may take, also where processors are translated.
const LIMIT: Duration = Duration::from_secs(240);
/// Where a node of the lab has the operator's login keys: the host's own are left alone.
const KEYS_FILE: &str = "/run/operator/.ssh/authorized_keys";

fn playbook(stage: &mut Stage) -> Result<(), LabError> {
    let mut operator = Operator::new(stage)?;
    let configs = borrow_routers(stage, &operator)?;
    let result = operator.key().and_then(|()| {
        for router in &stage.lab.topology.routers {
            system::open(stage.lab.node(&router.name)?)?;
            system::add_user(stage.lab.node(&router.name)?)?;
        }
        let package = system::package(&operator.node, env!("CARGO_PKG_VERSION"), &dlan_program()?)?;
        operator.install(&package, Some(KEYS_FILE));
        play(stage, &operator)
    });
    for router in &stage.lab.topology.routers {
        system::close(stage.lab.node(&router.name)?)?;
    }
    give_back(stage, &operator, &configs)?;
    result
}

fn play(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    // By somebody who has to become root first.
    let user = format!("ansible_user={}", system::USER);
    let by_sudo = ["-e", user.as_str(), "-e", "ansible_become=true"];
    let by_doas =
        [&by_sudo[..], &["-e", "ansible_become_exe=doas", "-e", "ansible_become_flags=-n"]].concat();
    let untouched = roll_out(stage, operator, (&by_doas, &by_sudo))?;
    cut::within(stage, operator)?;
    upkeep::look_and_return(stage, operator)?;
    let next = system::package(&operator.node, OTHER_VERSION, &another_version()?)?;
    upkeep::change_versions(stage, operator, &next)?;
    upkeep::remove(stage, operator, &untouched)?;
    operator.claim_played("playbook")
}

/// Rolls out to fresh routers, once more, with one variable changed, and cut off in the middle; further words name who foresees the change
/// and who makes it. Returns what the routers were before.
pub(in crate::scenarios) fn roll_out(
    stage: &mut Stage,
    operator: &Operator,
    by_whom: (&[&str], &[&str]),
) -> Result<Vec<Snapshot>, LabError> {
    let good = Inventory::full();
    let routers = stage.lab.topology.routers.clone();
    let untouched: Vec<Snapshot> = routers
        .iter()
        .map(|router| Snapshot::take(stage.lab.node(&router.name)?))
        .collect::<Result<_, _>>()?;
    refuse_bad(stage, operator)?;
    let first = operator.plays("deploy", &good, &[])?;
    claim(first.succeeded && first.changed.values().all(|changed| *changed > 0), || first.said.clone())?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)?;
    is_used(stage)?;
    stage.saw(format!(
        "three fresh routers by an inventory with all 26 variables, {} s for the playbook; the mesh is whole",
        first.seconds
    ));
    let second = operator.plays("deploy", &good, &["--diff"])?;
    claim(second.succeeded && second.changed.values().all(|changed| *changed == 0), || {
        format!("the second run changes something:\n{}", second.said)
    })?;
    stage.saw(format!("the second run: changed=0 on every router, {} s", second.seconds));
    change_one(stage, operator, by_whom)?;
    cut::off(stage, operator)?;
    Ok(untouched)
}

/// No router is touched by an inventory that is refused, nor by one that is only looked at.
fn refuse_bad(stage: &mut Stage, operator: &Operator) -> Result<(), LabError> {
    let bad = Inventory::full().with("dlan_loopback_subnet_ipv4: 10.1.1.0/33");
    let run = operator.plays("deploy", &bad, &[])?;
    let is_named = run.said.contains("r1: dlan_loopback_subnet_ipv4: '10.1.1.0/33' is not an IPv4 network");
    claim(!run.succeeded && is_named, || format!("a bad inventory is not refused:\n{}", run.said))?;
    let run = operator.plays("check", &Inventory::full(), &[])?;
    claim(run.succeeded, || format!("a good one is refused:\n{}", run.said))?;
    let checked = operator.plays("deploy", &Inventory::full(), &["--check", "--diff"])?;
    claim(checked.succeeded && checked.said.contains("+config mesh 'mesh'"), || {
        format!("check mode does not show the difference:\n{}", checked.said)
    })?;
    for router in &stage.lab.topology.routers {
        let node = stage.lab.node(&router.name)?;
        let paths = [CONFIG, "/etc/dlan", "/usr/bin/dlan"];
        claim(paths.iter().all(|path| !node.exists(path)), || format!("{} was touched", router.name))?;
    }
    stage.saw("a bad inventory is refused by host and variable, check mode shows the difference, and no router was touched");
    Ok(())
}

/// A host's service answers strangers, and its name is known at the mesh's other end.
pub(in crate::scenarios) fn is_used(stage: &mut Stage) -> Result<(), LabError> {
    let _server = Server::tcp(&stage.lab, "s1", any(8080))?;
    wait_for(&stage.lab, INTERNET, ("203.0.113.6", 8080), "s1 hears PROXY TCP4 ")?;
    wait::until(LIMIT, "www.example.com at r3", || {
        match stage.lab.dig("s3", &["@10.1.1.3", "www.example.com"]) {
            Ok(answer) if answer.data("A") == ["10.2.1.11"] => Ok(()),
            Ok(answer) => Err(format!("{answer:?}")),
            Err(error) => Err(error.with_causes()),
        }
    })?;
    stage.saw("s1's service answers a stranger at r1, and a host at r3 knows its name");
    Ok(())
}

fn change_one(
    stage: &mut Stage,
    operator: &Operator,
    (looker, changer): (&[&str], &[&str]),
) -> Result<(), LabError> {
    let others = [stage.lab.read_config("r1")?, stage.lab.read_config("r3")?];
    let changed = Inventory { cost: 77, ..Inventory::full() };
    let looked = operator.plays("deploy", &changed, &[looker, &["--check"]].concat())?;
    claim(looked.changed.get(MIDDLE) == Some(&1), || format!("check mode sees nothing:\n{}", looked.said))?;
    let run = operator.plays("deploy", &changed, changer)?;
    let counts: Vec<u64> =
        ["r1", MIDDLE, "r3"].iter().filter_map(|name| run.changed.get(*name)).copied().collect();
    claim(run.succeeded && counts == [0, 1, 0], || {
        format!("{counts:?} and not one thing of r2:\n{}", run.said)
    })?;
    let history = stage.lab.dlan_json(MIDDLE, &["history"])?;
    let diff =
        history.as_array().and_then(|entries| entries.last()?.get("diff")?.as_str()).unwrap_or_default();
    let lines: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    claim(lines.len() == 2 && lines.iter().all(|line| line.contains("option cost")), || {
        format!("more than the cost changed: {diff}")
    })?;
    let seen = [stage.lab.read_config("r1")?, stage.lab.read_config("r3")?];
    claim(seen == others, || "the other routers' configurations changed".to_owned())?;
    let whom = if changer.is_empty() {
        ""
    } else {
        ", by a user who becomes root by sudo, foreseen by one who does by doas"
    };
    stage.saw(format!("one variable of r2 changed{whom}: r1 changed=0, r2 changed=1, r3 changed=0, and the cost is all that differs"));
    Ok(())
}
