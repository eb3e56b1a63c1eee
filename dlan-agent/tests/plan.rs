//! Plans: what they say (golden), that they reach what is wanted, and that a failing step leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;

use dlan_agent::config::Config;
use dlan_agent::desired::{RoutingInput, desired};
use dlan_agent::next_hops::Ways;
use dlan_agent::plan::Plan;
use dlan_agent::plan::diff::diff;
use dlan_agent::state::State;
use dlan_agent::state::facts::Facts;
use dlan_agent::state::program::ProgramName;
use dlan_agent::state::route::{METRIC_LEARNED, RouteHop, RouteKey};
use dlan_agent::state::setting::{Setting, SettingValue};
use dlan_agent::system::fake::FakeSystem;
use fixture::{CONFIG, config, config_of, device, facts, routing};
use proptest::prelude::*;

const TWO_WAYS: &[(&str, &[(&str, &str)])] = &[
    ("10.2.4.0/24", &[("dlan-vx2", "fe80::2:1"), ("dlan-vx4", "fe80::4:1")]),
    ("fd79:4::/64", &[("dlan-vx4", "fe80::4:1")]),
];

fn state_of(config: &Config, change: impl FnOnce(&mut Facts), routing: &RoutingInput) -> State {
    let mut facts = facts(config);
    change(&mut facts);
    desired(config, &facts, routing, &State::default()).unwrap()
}

/// What is wanted while something stands.
fn after(standing: &State, config: &Config, routing: &RoutingInput) -> State {
    desired(config, &facts(config), routing, standing).unwrap()
}

fn state(routing: &RoutingInput) -> State {
    state_of(&config(), |_| {}, routing)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Applies a plan to the fake and returns what stands then.
fn apply(observed: &State, plan: &Plan) -> State {
    let mut system = FakeSystem::new(observed.clone());
    let outcome = block_on(system.apply(plan));
    assert!(outcome.is_success(), "{outcome}in\n{plan}");
    system.state
}

fn plan(observed: &State, wanted: &State) -> Plan {
    Plan::new(observed, wanted).unwrap()
}

#[test]
fn nothing_differs_from_itself() {
    for state in [State::default(), state(&routing(TWO_WAYS))] {
        assert_eq!(diff(&state, &state), []);
    }
}

#[test]
fn first_start() {
    insta::assert_snapshot!(plan(&State::default(), &state(&routing(TWO_WAYS))));
}

#[test]
fn down() {
    insta::assert_snapshot!(Plan::removal(&state(&routing(TWO_WAYS))));
}

/// The kernel's WireGuard forbids them too when its device comes up, and gives nothing back.
#[test]
fn redirects_are_forbidden_before_the_first_device_and_allowed_again_after_the_last() {
    let place = |plan: &Plan, what: &str| {
        let steps: Vec<String> = plan.steps().iter().map(ToString::to_string).collect();
        let places = (
            steps.iter().position(|step| step.contains(what)),
            steps.iter().rposition(|step| step.contains(what)),
        );
        (places.0.unwrap(), places.1.unwrap())
    };
    let all = "net/ipv4/conf/all/send_redirects";
    let start = plan(&State::default(), &state(&routing(&[])));
    assert!(place(&start, all).1 < place(&start, "link ").0, "{start}");
    let end = Plan::removal(&state(&routing(&[])));
    assert!(place(&end, all).0 > place(&end, "link ").1, "{end}");
}

const NAT64: &str = "config nat64 'nat64'\n";

#[test]
fn a_translator_comes_before_the_routes_to_it_and_goes_after_them() {
    let plain = state(&routing(TWO_WAYS));
    let config = config_of(&format!("{CONFIG}{NAT64}"));
    let translating = state_of(&config, |_| {}, &routing(TWO_WAYS));
    let lines = |plan: &Plan| -> Vec<String> {
        let steps = plan.steps().iter().map(ToString::to_string);
        steps
            .filter(|step| step.contains("tayga") || step.contains("nat64-dlan"))
            .map(|step| step[..12].to_owned())
            .collect()
    };
    let coming = plan(&plain, &translating);
    assert_eq!(lines(&coming), ["+ program ta", "+ route 192.", "+ route 64:f"]);
    let going = plan(&translating, &plain);
    assert_eq!(lines(&going), ["- route 192.", "- route 64:f", "- program ta"]);
    assert_eq!(apply(&plain, &coming), translating);
    assert_eq!(apply(&translating, &going), plain);
}

#[test]
fn a_translator_that_starts_anew_takes_its_routes_along() {
    let text = format!("{CONFIG}{NAT64}");
    let before = state_of(&config_of(&text), |_| {}, &routing(TWO_WAYS));
    let other = format!("{text}\toption pool '10.64.0.0/24'\n");
    let after = state_of(&config_of(&other), |_| {}, &routing(TWO_WAYS));
    let steps: Vec<String> = plan(&before, &after).steps().iter().map(ToString::to_string).collect();
    let at = |begin: &str| {
        steps.iter().position(|step| step.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {steps:#?}"))
    };
    assert!(at("- route 64:ff9b::/96 table 141 metric 16") < at("~ program tayga"));
    assert!(at("~ program tayga") < at("+ route 64:ff9b::/96 table 141 metric 16"));
    assert_eq!(apply(&before, &plan(&before, &after)), after);
}

#[test]
fn without_tayga_nothing_is_routed_to_a_translator() {
    let config = config_of(&format!("{CONFIG}{NAT64}"));
    let state = state_of(&config, |facts| facts.tayga = None, &routing(TWO_WAYS));
    assert!(!state.programs.contains_key(&ProgramName::Tayga));
    assert!(state.routes.values().all(|route| !route.to_string().contains("nat64-dlan")));
}

#[test]
fn another_link() {
    let fewer = config_of(CONFIG.split("config link 'r4'").next().unwrap());
    insta::assert_snapshot!(plan(&state_of(&fewer, |_| {}, &routing(&[])), &state(&routing(&[]))));
}

#[test]
fn a_link_less_while_a_route_has_another_way() {
    let fewer = config_of(CONFIG.split("config link 'r4'").next().unwrap());
    let routes = routing(TWO_WAYS);
    let before = state(&routes);
    insta::assert_snapshot!(plan(&before, &after(&before, &fewer, &routes)));
}

#[test]
fn a_link_that_wireguard_would_pad_beyond_its_mtu_gets_a_smaller_device() {
    let text = CONFIG.replace("option endpoint", "option mtu '1362'\n\toption endpoint");
    let plan = plan(&state(&routing(&[])), &state_of(&config_of(&text), |_| {}, &routing(&[])));
    assert_eq!(plan.to_string(), "~ link dlan-vx4: mtu 1370 -> 1358\n");
}

#[test]
fn another_mtu_and_another_keepalive_change_devices_in_place() {
    let text =
        CONFIG.replace("option endpoint", "option mtu '1342'\n\toption keepalive '10'\n\toption endpoint");
    insta::assert_snapshot!(plan(&state(&routing(&[])), &state_of(&config_of(&text), |_| {}, &routing(&[]))));
}

#[test]
fn another_host_id_makes_the_devices_anew_with_their_routes() {
    let text = CONFIG.replace("option host_id '1'", "option host_id '9'");
    let routes = routing(TWO_WAYS);
    let before = state(&routes);
    insta::assert_snapshot!(plan(&before, &after(&before, &config_of(&text), &routes)));
}

#[test]
fn routes_are_changed_and_never_taken_away_first() {
    let before = state(&routing(TWO_WAYS));
    let routes = routing(&[
        ("10.2.4.0/24", &[("dlan-vx3", "fe80::3:1")]),
        ("10.2.5.0/24", &[("dlan-vx3", "fe80::3:1")]),
    ]);
    insta::assert_snapshot!(Plan::routes(&before, &after(&before, &config(), &routes)));
}

#[test]
fn a_lan_address_that_somebody_else_set_is_taken_as_it_is() {
    let with = |change: fn(&mut Facts)| state_of(&config(), change, &routing(&[]));
    let foreign = with(|facts| {
        facts.lans.get_mut("lan0").unwrap().addresses.insert("10.2.1.1/24".parse().unwrap());
    });
    assert!(!foreign.addresses.iter().any(|at| at.address.to_string() == "10.2.1.1/24"));
    assert!(foreign.addresses.iter().any(|at| at.address.to_string() == "fd79:1::1/64"));
    let missing = with(|facts| facts.lans.get_mut("lan0").unwrap().exists = false);
    assert!(missing.addresses.iter().all(|at| at.device == device("lo")));
}

#[test]
fn every_pool_lan_and_learned_prefix_has_an_unreachable_route_but_never_the_default() {
    let mut routes = routing(TWO_WAYS);
    let ways = routes.routes.iter().next().unwrap().1.clone();
    let learned = routes.routes.iter().map(|(prefix, ways)| (*prefix, ways.clone()));
    routes.routes = learned.chain([("0.0.0.0/0".parse().unwrap(), ways)]).collect();
    routes.learned.insert("10.2.77.0/24".parse().unwrap());
    let state = state(&routes);
    let unreachable: Vec<String> =
        state.routes.keys().filter(|key| key.metric == 9999).map(|key| key.prefix.to_string()).collect();
    for prefix in [
        "10.0.0.0/16",
        "10.1.0.0/24",
        "10.1.1.0/24",
        "fd00:0:1::/64",
        "fd00:0:1:1::/64",
        "10.2.1.0/24",
        "fd79:1::/64",
        "10.2.4.0/24",
        "fd79:4::/64",
        "10.2.77.0/24",
    ] {
        assert!(unreachable.contains(&prefix.to_owned()), "{prefix} in {unreachable:?}");
    }
    assert!(!unreachable.contains(&"0.0.0.0/0".to_owned()));
}

#[test]
fn the_filter_never_cuts_a_router_off_from_its_own_wan() {
    let mut routes = routing(&[]);
    routes.learned = ["192.168.1.0/24".parse().unwrap(), "10.2.77.0/24".parse().unwrap()].into();
    let wan = |facts: &mut Facts| {
        let wan = facts.wans.get_mut("wan0").unwrap();
        wan.prefixes = ["192.168.1.0/24".parse().unwrap()].into();
    };
    let text = serde_json::to_string(&state_of(&config(), wan, &routes).ruleset).unwrap();
    assert!(text.contains("10.2.77.0") && !text.contains("192.168.1.0"));
}

#[test]
fn a_setting_that_is_more_than_wanted_is_left() {
    let wanted = state(&routing(&[]));
    let mut observed = wanted.clone();
    observed.settings.insert(Setting::MultipathHashIpv4, SettingValue(3));
    assert!(plan(&observed, &wanted).is_empty());
    observed.settings.insert(Setting::RpFilter(device("dlan-vx2")), SettingValue(1));
    assert_eq!(plan(&observed, &wanted).steps().len(), 1);
}

#[test]
fn a_route_over_a_device_that_goes_is_refused() {
    let observed = state(&routing(TWO_WAYS));
    let mut wanted = observed.clone();
    wanted.links.remove(&device("dlan-vx4"));
    let error = Plan::new(&observed, &wanted).unwrap_err().to_string();
    assert!(error.contains("dlan-vx4"), "{error}");
}

#[test]
fn no_secret_is_in_what_a_plan_says() {
    use vxlan::key::{KEY_LENGTH, PresharedKey};
    let psk = PresharedKey::from_octets([77; KEY_LENGTH]);
    let secrets = [psk.to_base64(), fixture::private_key(1).to_base64()];
    let wanted = state_of(
        &config(),
        |facts| {
            facts.link_psks.insert(dlan_agent::config::HostId(2), psk.clone());
        },
        &routing(&[]),
    );
    let plan = plan(&State::default(), &wanted);
    let said = format!("{plan}{plan:?}{}", serde_json::to_string(&plan).unwrap());
    for secret in secrets {
        assert!(!said.contains(secret.as_str()));
    }
}

#[test]
fn a_plan_is_json_with_act_kind_and_key() {
    let plan = Plan::routes(&State::default(), &state(&routing(&[])));
    let json = serde_json::to_value(&plan).unwrap();
    let step = &json[0];
    assert_eq!(step["act"], "add");
    assert_eq!(step["kind"], "route");
    assert!(step["key"].as_str().unwrap().contains("metric 9999"));
    assert!(step["to"].is_string());
}

/// What a state is made from.
#[derive(Debug, Clone)]
struct Origin {
    config: Config,
    has_lan: bool,
    routing: RoutingInput,
}

impl Origin {
    fn state(&self, standing: &State) -> State {
        let mut facts = facts(&self.config);
        facts.lans.get_mut("lan0").unwrap().exists = self.has_lan;
        desired(&self.config, &facts, &self.routing, standing).unwrap()
    }
}

/// Any mixture of links, routes, LAN facts and numbers that a configuration can say.
fn any_origin() -> impl Strategy<Value = Origin> {
    let links = proptest::collection::btree_set(2_u8..=6, 0..4);
    let ways = (proptest::collection::btree_set(2_u8..=6, 1..3), proptest::option::of(2_u8..=6));
    let ways = proptest::collection::btree_map(0_u8..8, ways, 0..6);
    let numbers = (prop_oneof![Just(1_u16), Just(9)], prop_oneof![Just(1370_u16), Just(1340)], any::<bool>());
    let marks = (prop_oneof![Just(141_u32), Just(200)], prop_oneof![4 => Just(141_u8), 1 => Just(142)]);
    (links, ways, numbers, marks).prop_map(|(links, ways, (host_id, mtu, has_lan), (table, protocol))| {
        let head = CONFIG.split("config link").next().unwrap();
        let head = head.replace(
            "option host_id '1'",
            &format!(
                "option host_id '{host_id}'\n\toption route_table '{table}'\n\toption route_protocol '{protocol}'"
            ),
        );
        let sections = links.iter().map(|id| {
            format!(
                "config link 'r{id}'\n\toption host_id '{id}'\n\toption public_key 'KEY{id}'\n\toption mtu '{mtu}'\n"
            )
        });
        let config = config_of(&format!("{head}{}", sections.collect::<String>()));
        let routes = ways.iter().map(|(prefix, (hops, alternate))| {
            let prefix =
                if prefix % 2 == 0 { format!("10.2.{prefix}.0/24") } else { format!("fd79:{prefix}::/64") };
            let hop = |way: &u8| RouteHop {
                device: device(&format!("dlan-vx{way}")),
                via: Some(format!("fe80::{way}:1").parse().unwrap()),
            };
            let alternates = alternate.filter(|_| hops.len() == 1).iter().map(hop).collect();
            (prefix.parse().unwrap(), Ways { hops: hops.iter().map(hop).collect(), alternates }.into())
        });
        let routing = RoutingInput { routes: routes.collect(), settled: true, ..RoutingInput::default() };
        Origin { config, has_lan, routing }
    })
}

/// A state, and another one that is wanted while it stands.
fn two_states() -> impl Strategy<Value = (State, State)> {
    (any_origin(), any_origin(), any_origin()).prop_map(|(before, observed, wanted)| {
        // What stands has a history of its own: its objects are not numbered from the first.
        let observed = observed.state(&before.state(&State::default()));
        let wanted = wanted.state(&observed);
        (observed, wanted)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_reaches_what_is_wanted((observed, wanted) in two_states()) {
        let reached = apply(&observed, &plan(&observed, &wanted));
        prop_assert!(plan(&reached, &wanted).is_empty());
        prop_assert_eq!(reached.routes, wanted.routes);
        prop_assert_eq!(reached.rules, wanted.rules);
    }

    #[test]
    fn a_failing_step_leaves_all_as_it_was((observed, wanted) in two_states(), at in any::<prop::sample::Index>()) {
        let plan = plan(&observed, &wanted);
        prop_assume!(!plan.is_empty());
        let mut system = FakeSystem { fail_after: Some(at.index(plan.steps().len())), ..FakeSystem::new(observed.clone()) };
        let outcome = block_on(system.apply(&plan));
        prop_assert!(outcome.rolled_back && outcome.rollback_failures.is_empty(), "{outcome}");
        prop_assert_eq!(system.state, observed);
    }

    #[test]
    fn removal_leaves_nothing((observed, _) in two_states()) {
        prop_assert_eq!(apply(&observed, &Plan::removal(&observed)), State::default());
    }

    #[test]
    fn an_inverse_takes_a_plan_back((observed, wanted) in two_states()) {
        let plan = plan(&observed, &wanted);
        let reached = apply(&observed, &plan);
        prop_assert_eq!(apply(&reached, &plan.inverse()), observed);
    }

    #[test]
    fn a_route_that_stays_is_never_away((observed, wanted) in two_states()) {
        let remade = observed.links.iter().any(|(name, link)| {
            wanted.links.get(name).is_some_and(|other| other.vxlan().map(|v| v.vni) != link.vxlan().map(|v| v.vni))
        });
        prop_assume!(!remade);
        let stays = |key: &RouteKey| key.metric == METRIC_LEARNED && wanted.routes.contains_key(key);
        let staying: Vec<RouteKey> = observed.routes.keys().filter(|key| stays(key)).copied().collect();
        let plan = plan(&observed, &wanted);
        for made in 0..plan.steps().len() {
            let mut system = FakeSystem::new(observed.clone());
            for step in &plan.steps()[..made] {
                prop_assert!(block_on(system.apply(&Plan::of(step.clone()))).is_success());
            }
            for key in &staying {
                prop_assert!(system.state.routes.contains_key(key), "{} away after {} steps of\n{}", key, made, plan);
            }
        }
    }
}

#[test]
fn a_link_carries_nothing_while_the_device_below_it_is_down() {
    let mut state = state(&routing(&[]));
    assert!(state.links.len() > 1 && state.links.values().all(|link| state.carries(link)));
    let underlay = config().mesh.wg_device;
    state.links.get_mut(&underlay).unwrap().up = false;
    assert!(!state.links.values().any(|link| state.carries(link)));
}
