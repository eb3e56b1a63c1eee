//! The role rolls a mesh out on machines that have never heard of dlan, which keep it over a power cut, and lose it again.

use super::{LIMIT, wait_until_settled, wait_until_whole};
use crate::agent::dlan_program;
use crate::command;
use crate::error::LabError;
use crate::lab::Lab;
use crate::machine::qemu::{Start, copy, tell_monitor};
use crate::machine::{BFD_INTERVAL, image};
use crate::scenarios::agents::{OTHER_VERSION, another_version};
use crate::scenarios::ansible::operator::Operator;
use crate::scenarios::ansible::{is_used, roll_out, system, upkeep};
use crate::scenarios::{Scenario, Stage, claim};
use crate::{ssh, wait};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "rollout",
    claim: "From an inventory of the predecessor the role brings three machines without dlan up over ssh, by their own package manager and service files; the second run changes nothing, a playbook cut off leaves every router confirmed or back, other versions keep configuration and traffic, the mesh is back by itself after a power cut, and after a removal a power cut shows nothing of dlan.",
    topology: "three",
    run: rollout,
}];

/// Makes a machine one that never had dlan: from its next boot it has a root of its own, in which what is named on the input is not there.
const FRESH: &str = "set -e
mkdir -p /disk/own/root /disk/own/work
while read -r path; do
    mkdir -p \"/disk/own/root${path%/*}\"
    mknod \"/disk/own/root$path\" c 0 0
done
rm -rf /etc/dlan /etc/config/dlan /etc/profile.d/dlan.sh /etc/iproute2/*.d /var/lib/dlan
echo KEY >> /root/.ssh/authorized_keys
sync";
/// Lists what is called dlan in a machine, but for the lab's own program; an empty directory is nothing.
const LEFT: &str =
    "find /bin /sbin /usr /lib /etc /var ! -type d -path '*dlan*' ! -name 'dlan-lab' 2>/dev/null || true";

fn rollout(stage: &mut Stage) -> Result<(), LabError> {
    let routers: Vec<String> = stage.lab.topology.routers.iter().map(|router| router.name.clone()).collect();
    let mut operator = Operator::new(stage)?;
    for router in &routers {
        keep_disk(&stage.lab, router)?;
    }
    let result = try_rollout(stage, &mut operator, &routers);
    operator.end();
    for router in &routers {
        bring_back(&stage.lab, router)?;
    }
    result?;
    wait_until_whole(&stage.lab)
}

fn try_rollout(stage: &mut Stage, operator: &mut Operator, routers: &[String]) -> Result<(), LabError> {
    let key = ssh::key(&operator.node)?;
    operator.key()?;
    for router in routers {
        make_fresh(&stage.lab, router, &key)?;
    }
    for router in routers {
        stage.lab.reset(router, &Start::default())?;
        let node = stage.lab.node(router)?;
        let left = node.run("sh", &["-c", LEFT])?;
        claim(left.is_empty(), || format!("{router} is not without dlan:\n{left}"))?;
        system::open(node)?;
    }
    let package = system::own_package(&operator.node, env!("CARGO_PKG_VERSION"), &dlan_program()?)?;
    operator.install(&package, None);
    // As in every mesh of machines: a processor that is translated pauses for longer than BFD's own intervals.
    operator.say(&format!("dlan_mesh_options: {{bfd_interval: {BFD_INTERVAL}}}"));
    let untouched = roll_out(stage, operator, (&[], &[]))?;
    upkeep::look_and_return(stage, operator)?;
    let next = system::own_package(&operator.node, OTHER_VERSION, &another_version()?)?;
    upkeep::change_versions(stage, operator, &next)?;
    cut_all_power(&stage.lab, routers)?;
    wait_until_whole(&stage.lab)?;
    for router in routers {
        wait_until_settled(&stage.lab, router)?;
    }
    is_used(stage)?;
    stage.saw("the power of all three cut: the mesh is whole again by itself");
    upkeep::remove(stage, operator, &untouched)?;
    cut_all_power(&stage.lab, routers)?;
    for (router, untouched) in routers.iter().zip(&untouched) {
        upkeep::wait_for_state(stage, router, untouched)?;
        let agents = stage.lab.agents(router)?;
        claim(agents.is_empty(), || format!("{router} has an agent: {agents:?}"))?;
    }
    stage.saw("the power cut once more: nothing of dlan has come back");
    Ok(())
}

fn cut_all_power(lab: &Lab, routers: &[String]) -> Result<(), LabError> {
    for router in routers {
        lab.cut_power(router)?;
    }
    for router in routers {
        lab.boot(router, &Start::default())?;
    }
    routers.iter().try_for_each(|router| lab.wait_for_boot(router))
}

/// Puts a machine's disk aside, while it stands still.
fn keep_disk(lab: &Lab, router: &str) -> Result<(), LabError> {
    lab.node(router)?.run("sync", &[])?;
    let fleet = lab.fleet()?;
    let monitor = fleet.file(router, "monitor");
    tell_monitor(&monitor, "stop")?;
    let copied = copy(&fleet.file(router, "disk"), &fleet.file(router, "kept"));
    tell_monitor(&monitor, "cont")?;
    copied
}

/// Makes a machine what it was when its disk was put aside, and waits until its agent runs.
fn bring_back(lab: &Lab, router: &str) -> Result<(), LabError> {
    lab.cut_power(router)?;
    let fleet = lab.fleet()?;
    copy(&fleet.file(router, "kept"), &fleet.file(router, "disk"))?;
    lab.boot(router, &Start::default())?;
    lab.wait_for_boot(router)?;
    wait::until(LIMIT, &format!("{router}'s agent to run"), || match lab.agents(router) {
        Ok(agents) if agents.is_empty() => Err("none does".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.with_causes()),
    })
}

fn make_fresh(lab: &Lab, router: &str, key: &str) -> Result<(), LabError> {
    lab.stop_agent(router)?;
    let package = image::package()?;
    let mut list = std::process::Command::new("dpkg-deb");
    let listed = command::run(list.arg("--contents").arg(package), "")?;
    let files: String = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last()?.strip_prefix('.'))
        .filter(|path| !path.ends_with('/') && !path.starts_with("/etc/"))
        .map(|path| format!("{path}\n"))
        .collect();
    lab.node(router)?.feed("sh", &["-c", &FRESH.replace("KEY", key)], &files)?;
    Ok(())
}
