//! Routers of the lab made ones on which dlan never ran, and what they were again.

use std::fs;
use std::path::Path;

use super::LIMIT;
use super::operator::Operator;
use crate::agent::CONFIG;
use crate::error::LabError;
use crate::scenarios::Stage;
use crate::ssh;

/// What is put aside of a router while the role has it.
pub(in crate::scenarios) const KEPT: &str = "/etc/dlan.kept";

/// Makes all routers ones on which dlan never ran and into which the operator can log in; returns their configurations.
pub(in crate::scenarios) fn borrow_routers(
    stage: &Stage,
    operator: &Operator,
) -> Result<Vec<(String, String)>, LabError> {
    let mut configs = Vec::new();
    for router in &stage.lab.topology.routers {
        configs.push((router.name.clone(), stage.lab.read_config(&router.name)?));
        make_fresh(stage, &router.name)?;
        ssh::open(stage.lab.node(&router.name)?, &operator.node)?;
    }
    Ok(configs)
}

/// Makes the routers what they were, and waits until the mesh is whole.
pub(in crate::scenarios) fn give_back(
    stage: &Stage,
    operator: &Operator,
    configs: &[(String, String)],
) -> Result<(), LabError> {
    operator.end();
    for (name, config) in configs {
        ssh::close(stage.lab.node(name)?)?;
        bring_back(stage, name, config)?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Makes a router one on which dlan never ran.
fn make_fresh(stage: &Stage, name: &str) -> Result<(), LabError> {
    stage.lab.stop_agent(name)?;
    stage.lab.dlan(name, &["down"])?;
    let node = stage.lab.node(name)?;
    let failed = |path: &Path, source| LabError::File { act: "put aside", path: path.to_owned(), source };
    let own = node.path("/etc/dlan");
    fs::rename(&own, node.path(KEPT)).map_err(|source| failed(&own, source))?;
    let config = node.path(CONFIG);
    fs::remove_file(&config).map_err(|source| failed(&config, source))
}

/// Makes a router what it was in the lab.
fn bring_back(stage: &Stage, name: &str, config: &str) -> Result<(), LabError> {
    stage.lab.stop_agent(name)?;
    let node = stage.lab.node(name)?;
    if node.path(CONFIG).exists() {
        stage.lab.dlan(name, &["down"])?;
    }
    let own = node.path("/etc/dlan");
    // Not there when the role never came so far.
    let _ = fs::remove_dir_all(&own);
    fs::rename(node.path(KEPT), &own).map_err(|source| LabError::File {
        act: "bring back",
        path: own,
        source,
    })?;
    stage.lab.write_config(name, config)?;
    stage.lab.start_agent(name)
}
