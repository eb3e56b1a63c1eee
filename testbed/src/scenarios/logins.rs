//! The operator comes by a login over the mesh, and what that login proves.

use std::time::Duration;

use crate::agent::dlan_program;
use crate::error::LabError;
use crate::scenarios::confirm::{applies, replace_option};
use crate::scenarios::{Scenario, Stage, claim};
use crate::ssh::{self, Login};

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "confirmed-by-login",
    claim: "An operator who logs in over the mesh is told of the window, is not let cut off the own way, and confirms by another login than the one that applied.",
    topology: "two",
    run: confirmed_by_login,
}];

const LIMIT: Duration = Duration::from_secs(60);
const ROUTER: &str = "r1";
const OPERATOR: &str = "s2";

fn confirmed_by_login(stage: &mut Stage) -> Result<(), LabError> {
    let (router, operator) = (stage.lab.node(ROUTER)?.clone(), stage.lab.node(OPERATOR)?.clone());
    ssh::open(&router, &operator)?;
    let good = stage.lab.read_config(ROUTER)?;
    let result = try_logins(stage, &good);
    ssh::close(&router)?;
    result?;
    stage.lab.write_config(ROUTER, &good)?;
    stage.lab.dlan(ROUTER, &["apply"])?;
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

fn try_logins(stage: &mut Stage, good: &str) -> Result<(), LabError> {
    let operator = stage.lab.node(OPERATOR)?.clone();
    // The router's own address in its LAN, of which the mesh knows.
    let address = stage.lab.topology.router(ROUTER).map(|router| router.lan_ipv4.addr());
    let address = address.ok_or_else(|| LabError::Asked("r1 has no address".to_owned()))?.into();
    let dlan = dlan_program()?.display().to_string();
    let mut first = Login::open(&operator, address)?;
    let broken = replace_option(good, "public_key", "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=");
    stage.lab.write_config(ROUTER, &broken)?;
    let (said, code) = first.say(&format!("{dlan} apply --confirm 10m"))?;
    claim(code != 0 && said.contains("close the path by which you came"), || {
        format!("a wrong key is not refused to whoever comes by that link: {code}, {said}")
    })?;
    stage.saw(format!("an operator who would cut off the own way is told: {}", said.trim()));
    let other = replace_option(good, "cost", "77");
    stage.lab.write_config(ROUTER, &other)?;
    let before = applies(stage)?.len();
    let (said, code) = first.say(&format!("{dlan} apply --confirm 10m"))?;
    claim(code == 0, || format!("the apply fails: {said}"))?;
    let token =
        said.split("`dlan confirm ").nth(1).and_then(|rest| rest.split('`').next()).unwrap_or_default();
    let (said, code) = first.say(&format!("{dlan} confirm {token}"))?;
    claim(code != 0 && said.contains("opened before the apply"), || {
        format!("the login that applied confirms as well: {code}, {said}")
    })?;
    stage.saw(format!("the login that applied is told: {}", said.trim()));
    let mut second = Login::open(&operator, address)?;
    let (banner, _) = second.say(&format!("{dlan} window --banner"))?;
    claim(banner.contains("unconfirmed") && banner.contains(token), || {
        format!("the next login is told {banner:?}")
    })?;
    let (said, code) = second.say(&format!("{dlan} confirm {token}"))?;
    claim(code == 0, || format!("a login opened since does not confirm: {said}"))?;
    let seen = applies(stage)?.get(before).cloned();
    claim(seen.as_deref() == Some("confirmed"), || format!("the history says {seen:?}"))?;
    let (history, _) = second.say(&format!("{dlan} history"))?;
    let from = stage.lab.address_of(OPERATOR, false)?.to_string();
    claim(history.contains(&from), || {
        format!("the history does not name the operator at {from}:\n{history}")
    })?;
    stage
        .saw(format!("the next login is told: {}; it confirms, and the history names {from}", banner.trim()));
    second.close()?;
    first.close()
}
