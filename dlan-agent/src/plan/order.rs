//! The order of steps: make before break, and never a moment in which something internal could leak.

use std::collections::BTreeSet;

use vxlan::change::LinkChange;
use vxlan::link::LinkName;

use super::change::{Act, Change};
use crate::state::route::{Route, RouteAction};
use crate::state::setting::Setting;

/// When a step is made. Coming: filters before devices, devices before what stands on them, unreachable routes
/// before others, routes before the rules that lead to them. Going: the same backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Files,
    Filter,
    RouterAdvertisements,
    Forwarding,
    RoutesGoForAnother,
    LinksGoForAnother,
    Links,
    DeviceSettings,
    Addresses,
    UnreachableRoutes,
    Routes,
    Rules,
    RulesGo,
    RoutesGo,
    UnreachableRoutesGo,
    AddressesGo,
    LinksGo,
    ForwardingGoes,
    SettingsGo,
    FilterGoes,
    FilesGo,
}

/// Puts the steps in order.
pub fn order(steps: &mut [Change]) {
    let remade = remade(steps);
    steps.sort_by_key(|step| phase(step, &remade));
}

/// Returns the devices that go and come again as others.
pub fn remade(steps: &[Change]) -> BTreeSet<LinkName> {
    let of = |is_wanted: fn(&LinkChange) -> bool| -> BTreeSet<&LinkName> {
        let links = steps.iter().filter_map(|step| match step {
            Change::Link(change) if is_wanted(change) => Some(change.device()),
            _ => None,
        });
        links.collect()
    };
    let created = of(|change| matches!(change, LinkChange::Create(_)));
    let removed = of(|change| matches!(change, LinkChange::Remove(_)));
    created.intersection(&removed).map(|device| (*device).clone()).collect()
}

fn phase(step: &Change, remade: &BTreeSet<LinkName>) -> Phase {
    let goes = step.act() == Act::Remove;
    let pick = |comes, leaves| if goes { leaves } else { comes };
    match step {
        Change::File(_) => pick(Phase::Files, Phase::FilesGo),
        Change::Ruleset(_) => pick(Phase::Filter, Phase::FilterGoes),
        Change::Setting(edit) => match edit.key {
            // Forwarding drops what came by router advertisements on devices that do not insist on them.
            Setting::AcceptRa(_) => pick(Phase::RouterAdvertisements, Phase::SettingsGo),
            Setting::ForwardingIpv4 | Setting::ForwardingIpv6 => {
                pick(Phase::Forwarding, Phase::ForwardingGoes)
            }
            Setting::MultipathHashIpv4
            | Setting::MultipathHashIpv6
            | Setting::RpFilter(_)
            | Setting::SendRedirects(_) => pick(Phase::DeviceSettings, Phase::SettingsGo),
        },
        Change::Link(LinkChange::Remove(link)) if remade.contains(&link.name) => Phase::LinksGoForAnother,
        Change::Link(_) => pick(Phase::Links, Phase::LinksGo),
        Change::Address(_) => pick(Phase::Addresses, Phase::AddressesGo),
        Change::Route(edit) => {
            let is_unreachable = |route: &Route| route.action == RouteAction::Unreachable;
            let is_over_remade = |route: &Route| route.action.hops().any(|hop| remade.contains(&hop.device));
            match (&edit.to, &edit.from) {
                (Some(to), _) if is_unreachable(to) => Phase::UnreachableRoutes,
                (Some(_), _) => Phase::Routes,
                (None, Some(from)) if is_unreachable(from) => Phase::UnreachableRoutesGo,
                (None, Some(from)) if is_over_remade(from) => Phase::RoutesGoForAnother,
                (None, _) => Phase::RoutesGo,
            }
        }
        Change::Rule(_) => pick(Phase::Rules, Phase::RulesGo),
    }
}
