//! The reconciler with a fake system: what it asks for, when, and how it takes failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;
#[path = "fixture/reconciled.rs"]
mod reconciled;

use std::time::Duration;

use dlan_agent::config::HostId;
use dlan_agent::desired::RoutingInput;
use dlan_agent::plan::OnError;
use dlan_agent::plan::change::Change;
use dlan_agent::plan::diff::diff;
use dlan_agent::plan::reroute::Loss;
use dlan_agent::reconcile::{Action, Health, Report};
use dlan_agent::state::State;
use dlan_agent::state::route::RouteAction;
use dlan_agent::state::rule::RuleFamily;
use fixture::{CONFIG, config, config_of, device, facts, routing};
use reconciled::{OTHER_WAY, Router, WAY};
use vxlan::change::LinkChange;

#[test]
fn a_configuration_is_brought_about_and_verified() {
    let mut router = Router::new(State::default());
    let generation = router.reconciler.handle_config(router.now, config());
    router.run();
    let unheard = RoutingInput { is_unheard: true, ..routing(&[]) };
    assert_eq!(router.system.state, router.wanted(&config(), &unheard));
    let kinds: Vec<&str> = router
        .done
        .iter()
        .map(|action| match action {
            Action::Gather(_) => "gather",
            Action::Observe(_) => "observe",
            Action::Apply(_) => "apply",
        })
        .collect();
    assert_eq!(kinds, ["gather", "observe", "apply", "observe"]);
    assert!(router.reports.contains(&Report::Settled { generation }));
}

#[test]
fn nothing_is_done_before_there_is_a_configuration() {
    let mut router = Router::new(State::default());
    router.reconciler.handle_routes(router.now, routing(WAY));
    router.reconciler.handle_hint(router.now);
    router.wait(Duration::from_secs(100));
    assert_eq!(router.done, []);
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let mut router = Router::settled(&routing(WAY));
    let generation = router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.applied(), 0);
    assert!(router.reports.contains(&Report::Settled { generation }));
}

#[test]
fn routes_are_set_without_looking_first() {
    let mut router = Router::settled(&routing(WAY));
    router.reconciler.handle_routes(router.now, routing(OTHER_WAY));
    let Some(Action::Apply(plan)) = router.reconciler.poll_action() else { panic!("routes wait") };
    assert_eq!(plan.on_error(), OnError::KeepGoing);
    assert!(plan.steps().iter().all(|step| matches!(step, Change::Route(_) | Change::NextHop(_))));
}

#[test]
fn the_same_routes_again_change_nothing() {
    let mut router = Router::settled(&routing(WAY));
    router.reconciler.handle_routes(router.now, routing(WAY));
    router.run();
    assert_eq!(router.done, []);
}

#[test]
fn a_prefix_once_learned_stays_unreachable_and_off_the_wan() {
    let mut router = Router::settled(&routing(WAY));
    router.reconciler.handle_routes(router.now, routing(&[]));
    router.run();
    let left: Vec<_> = router
        .system
        .state
        .routes
        .iter()
        .filter(|(key, _)| key.prefix.to_string() == "10.2.4.0/24")
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.action, RouteAction::Unreachable);
    assert!(serde_json::to_string(&router.system.state.ruleset).unwrap().contains("10.2.4.0"));
}

#[test]
fn one_route_that_fails_does_not_hold_up_the_others_and_is_tried_again() {
    let mut router = Router::settled(&routing(&[]));
    let many: [(&str, &[(&str, &str)]); 3] = [
        ("10.2.4.0/24", &[("dlan-vx4", "fe80::4:1")]),
        ("10.2.5.0/24", &[("dlan-vx4", "fe80::4:1")]),
        ("10.2.6.0/24", &[("dlan-vx4", "fe80::4:1")]),
    ];
    router.system.fail_after = Some(4);
    router.reconciler.handle_routes(router.now, routing(&many));
    router.run();
    router.wait(Duration::from_secs(3));
    let unheard = RoutingInput { is_unheard: true, ..routing(&many) };
    let rest = diff(&router.system.state, &router.wanted(&config(), &unheard));
    assert_eq!(rest, []);
    assert!(
        !router.reports.iter().any(|report| matches!(report, Report::Drift { .. })),
        "{:?}",
        router.reports
    );
}

#[test]
fn routes_that_cannot_be_set_are_set_again_and_looked_at_only_when_that_does_not_help() {
    for helps in [true, false] {
        let mut router = Router::settled(&routing(WAY));
        (router.system.fail_after, router.system.fail_more) = (Some(0), usize::MAX);
        router.reconciler.handle_routes(router.now, routing(OTHER_WAY));
        router.run();
        if helps {
            router.system.fail_after = None;
        }
        router.wait(Duration::from_secs(1));
        let is_set = router.learned().iter().any(|route| route.contains("dlan-vx2"));
        assert_eq!((is_set, router.observed()), (helps, 0));
        router.wait(Duration::from_secs(2));
        assert_eq!(router.observed() > 0, !helps);
    }
}

#[test]
fn drift_is_repaired_within_a_second_of_a_hint_and_told_once() {
    let mut router = Router::settled(&routing(WAY));
    let wanted = router.system.state.clone();
    router.system.state.rules.retain(|rule| rule.family == RuleFamily::Ipv4);
    router.system.state.routes.retain(|key, _| !key.is_learned());
    for _ in 0..50 {
        router.reconciler.handle_hint(router.now);
    }
    router.wait(Duration::from_secs(1));
    assert_eq!(router.system.state, wanted);
    let drifts: Vec<_> =
        router.reports.iter().filter(|report| matches!(report, Report::Drift { .. })).collect();
    let [Report::Drift { repairs }] = drifts[..] else { panic!("{:?}", router.reports) };
    assert_eq!(repairs.len(), 3, "{repairs:?}");
    assert_eq!(router.observed(), 2, "many hints make one look, and the repair another");
}

#[test]
fn a_hint_that_does_not_hurry_makes_a_look_later_and_many_make_one() {
    let mut router = Router::settled(&routing(WAY));
    for _ in 0..10 {
        router.reconciler.handle_late_hint(router.now);
        router.wait(Duration::from_millis(100));
    }
    assert_eq!(router.observed(), 0);
    router.wait(Duration::from_millis(600));
    assert_eq!(router.observed(), 1);
}

#[test]
fn a_hint_that_comes_during_a_look_makes_another() {
    for is_late in [false, true] {
        let mut router = Router::settled(&routing(WAY));
        router.reconciler.handle_hint(router.now);
        router.now = router.now + Duration::from_secs(1);
        router.reconciler.handle_timeout(router.now);
        let Some(gather) = router.reconciler.poll_action() else { panic!("no look") };
        router.act(gather);
        let Some(Action::Observe(marks)) = router.reconciler.poll_action() else { panic!("no look") };
        // It may have seen this already, or not.
        if is_late {
            router.reconciler.handle_late_hint(router.now);
        } else {
            router.reconciler.handle_hint(router.now);
        }
        router.act(Action::Observe(marks));
        router.run();
        router.forget();
        router.wait(Duration::from_secs(2));
        assert_eq!(router.observed(), 1, "late: {is_late}");
    }
}

#[test]
fn a_device_that_is_seen_without_its_carrier_is_down_until_it_is_told_to_be_back() {
    let mut router = Router::settled(&routing(WAY));
    let dark = device("dlan-vx4");
    assert!(router.reconciler.is_up(&dark));
    router.system.state.without_carrier.insert(dark.clone());
    router.reconciler.handle_hint(router.now);
    router.wait(Duration::from_secs(2));
    assert!(!router.reconciler.is_up(&dark));
    assert_eq!((router.applied(), router.reports.len()), (0, 0), "there is nothing to repair");
    let other = CONFIG.replace("option ipv4 '10.2.1.1/24'", "option ipv4 '10.2.9.1/24'");
    router.reconciler.handle_config(router.now, config_of(&other));
    loop {
        let action = router.reconciler.poll_action().expect("the configuration is applied");
        let is_apply = matches!(action, Action::Apply(_));
        router.act(action);
        assert!(!router.reconciler.is_up(&dark), "whatever is applied");
        if is_apply {
            break;
        }
    }
    router.run();
    assert!(!router.reconciler.is_up(&dark), "nor by the look after it");
    router.system.state.without_carrier.clear();
    router.reconciler.handle_returned(router.now, &dark);
    assert!(router.reconciler.is_up(&dark), "without a look");
}

#[test]
fn a_carrier_that_comes_back_during_a_look_is_not_missed() {
    let mut router = Router::settled(&routing(WAY));
    let lost = device("dlan-vx4");
    router.system.state.without_carrier.insert(lost.clone());
    router.reconciler.handle_lost(router.now, &lost, Loss::Device);
    router.reconciler.handle_config(router.now, config());
    let Some(gather) = router.reconciler.poll_action() else { panic!("no look") };
    router.act(gather);
    let Some(look) = router.reconciler.poll_action() else { panic!("no look") };
    router.reconciler.handle_returned(router.now, &lost);
    router.act(look);
    assert!(router.reconciler.is_up(&lost));
}

#[test]
fn a_device_that_has_its_carrier_again_is_up_without_a_look() {
    let mut router = Router::settled(&routing(WAY));
    let lost = device("dlan-vx4");
    router.reconciler.handle_lost(router.now, &lost, Loss::Device);
    router.run();
    assert!(!router.reconciler.is_up(&lost));
    router.reconciler.handle_returned(router.now, &lost);
    assert!(router.reconciler.is_up(&lost));
    assert_eq!(router.observed(), 0);
}

#[test]
fn drift_without_a_hint_is_found_at_the_interval() {
    let mut router = Router::settled(&routing(WAY));
    let wanted = router.system.state.clone();
    router.system.state.ruleset = None;
    router.wait(Duration::from_secs(31));
    assert_eq!(router.system.state, wanted);
}

#[test]
fn a_device_that_somebody_removes_comes_back_with_its_routes() {
    let mut router = Router::settled(&routing(WAY));
    let wanted = router.system.state.clone();
    router.system.lose_device(&device("dlan-vx4"));
    router.reconciler.handle_hint(router.now);
    router.wait(Duration::from_secs(1));
    assert_eq!(router.system.state, wanted);
}

#[test]
fn a_settled_router_looks_only_at_the_interval_and_touches_nothing() {
    let mut router = Router::settled(&routing(WAY));
    router.wait(Duration::from_secs(600));
    assert_eq!(router.applied(), 0);
    assert!((19..=21).contains(&router.observed()), "{} looks in ten minutes", router.observed());
    assert_eq!(router.reports, []);
}

#[test]
fn at_every_step_a_configuration_that_fails_gives_way_to_the_one_before_it() {
    let text = format!(
        "{CONFIG}config link 'r5'\n\toption host_id '5'\n\toption public_key 'KEY5'\n\toption mtu '1300'\n"
    );
    let text = text.replace("option ipv4 '10.2.1.1/24'", "option ipv4 '10.2.9.1/24'");
    let next = config_of(&text);
    let mut failed = 0;
    for step in 0..100 {
        let mut router = Router::settled(&routing(WAY));
        let before = router.system.state.clone();
        router.system.fail_after = Some(step);
        let generation = router.reconciler.handle_config(router.now, next.clone());
        router.run();
        if router.system.fail_after.is_some() {
            break;
        }
        failed += 1;
        let is_told = |report: &Report| matches!(report, Report::Failed { generation: of, reverted: true, .. } if *of == generation);
        assert!(router.reports.iter().any(is_told), "step {step}: {:?}", router.reports);
        assert_eq!(router.system.state, before, "step {step}");
        assert_eq!(router.reconciler.config(), Some(&config()));
        assert!(matches!(router.reconciler.health(), Health::Reverted(_)));
        router.forget();
        router.system.state.rules.clear();
        router.reconciler.handle_hint(router.now);
        router.wait(Duration::from_secs(2));
        assert_eq!(router.system.state, before, "step {step}");
        assert!(matches!(router.reconciler.health(), Health::Reverted(_)), "still not what was asked for");
        let is_settled = |report: &Report| matches!(report, Report::Settled { .. });
        assert!(!router.reports.iter().any(is_settled), "the configuration that failed is not a good one");
    }
    assert!(failed > 5, "{failed} steps could fail");
}

#[test]
fn a_first_configuration_that_fails_is_tried_again_ever_more_slowly() {
    let mut router = Router::new(State::default());
    router.system.fail_after = Some(7);
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.system.state, State::default());
    assert!(matches!(router.reconciler.health(), Health::Failing(_)));
    router.wait(Duration::from_millis(900));
    assert_eq!(router.applied(), 1);
    router.wait(Duration::from_millis(200));
    assert_eq!(*router.reconciler.health(), Health::Settled);

    let mut router = Router::new(State::default());
    router.observe_fails = usize::MAX;
    router.reconciler.handle_config(router.now, config());
    router.run();
    router.wait(Duration::from_secs(120));
    assert!((6..=9).contains(&router.observed()), "{} tries in two minutes", router.observed());
}

#[test]
fn what_a_plan_that_failed_leaves_behind_is_not_told_as_anybody_elses_doing() {
    let mut router = Router::new(State::default());
    router.system.fail_after = Some(7);
    router.system.fail_more = 3;
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_ne!(router.system.state, State::default());
    router.wait(Duration::from_secs(3));
    assert_eq!(*router.reconciler.health(), Health::Settled);
    let is_drift = |report: &Report| matches!(report, Report::Drift { .. });
    assert!(!router.reports.iter().any(is_drift), "{:?}", router.reports);
    router.system.state.rules.clear();
    router.reconciler.handle_hint(router.now);
    router.wait(Duration::from_secs(2));
    assert!(router.reports.iter().any(is_drift), "what comes later is: {:?}", router.reports);
}

#[test]
fn an_endpoint_that_moves_is_told_to_the_device_and_nothing_else_is_touched() {
    let mut router = Router::settled(&routing(WAY));
    router.reconciler.handle_endpoint(router.now, HostId(4), "198.51.100.4:51820".parse().unwrap());
    router.run();
    let [Action::Apply(plan)] = &router.done[..] else { panic!("{:?}", router.done) };
    assert!(matches!(plan.steps(), [Change::Link(LinkChange::SetEndpoint { .. })]));
    router.forget();
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.applied(), 0);
}

#[test]
fn a_wan_whose_device_changes_has_its_filter_changed_and_no_link_touched() {
    let mut router = Router::settled(&routing(WAY));
    router.facts = |config| {
        let mut facts = facts(config);
        facts.wans.get_mut("wan0").unwrap().device = Some(device("ppp0"));
        facts
    };
    router.reconciler.handle_hint(router.now);
    router.wait(Duration::from_secs(1));
    assert!(serde_json::to_string(&router.system.state.ruleset).unwrap().contains("ppp0"));
    for action in &router.done {
        if let Action::Apply(plan) = action {
            assert!(!plan.steps().iter().any(|step| matches!(step, Change::Link(_) | Change::Route(_))));
        }
    }
}

#[test]
fn a_preview_asks_for_nothing_and_says_what_would_change() {
    let mut router = Router::settled(&routing(WAY));
    let fewer = config_of(CONFIG.split("config link 'r4'").next().unwrap());
    let plan = router.reconciler.preview(&fewer, &facts(&fewer), &router.system.state).unwrap();
    assert!(plan.to_string().contains("- link dlan-vx4"));
    let same = router.reconciler.preview(&config(), &facts(&config()), &router.system.state).unwrap();
    assert!(same.is_empty(), "{same}");
    assert_eq!(router.reconciler.poll_action(), None);
}

#[test]
fn routes_go_on_while_something_else_cannot_be_repaired() {
    let mut router = Router::settled(&routing(WAY));
    router.observe_fails = usize::MAX;
    router.reconciler.handle_hint(router.now);
    router.wait(Duration::from_secs(2));
    assert!(matches!(router.reconciler.health(), Health::Failing(_)));
    router.reconciler.handle_routes(router.now, routing(OTHER_WAY));
    router.run();
    assert_eq!(router.learned(), ["10.2.4.0/24 via fe80::2:1 dev dlan-vx2"]);
}

#[test]
fn what_is_on_trial_is_not_returned_to_by_a_return_that_fails() {
    let mut router = Router::settled(&routing(WAY));
    let before = router.system.state.clone();
    let tried = config_of(&CONFIG.replace("option ipv4 '10.2.1.1/24'", "option ipv4 '10.2.9.1/24'"));
    router.reconciler.handle_config(router.now, tried);
    router.reconciler.handle_trial();
    router.run();
    assert_eq!(*router.reconciler.health(), Health::Settled);
    router.system.fail_after = Some(1);
    router.reconciler.handle_config(router.now, config());
    router.run();
    assert_eq!(router.reconciler.config(), Some(&config()));
    router.wait(Duration::from_secs(2));
    assert_eq!(*router.reconciler.health(), Health::Settled);
    assert_eq!(router.system.state.addresses, before.addresses);
}
