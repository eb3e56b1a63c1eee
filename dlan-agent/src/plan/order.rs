//! The order of steps: make before break, and never a moment in which something internal could leak.

use std::collections::BTreeSet;

use vxlan::change::LinkChange;
use vxlan::link::LinkName;

use super::change::{Act, Change};
use crate::state::route::RouteAction;
use crate::state::setting::Setting;

/// When a step is made. Coming: filters before devices, devices before what stands on them, unreachable routes
/// before others, routes before the rules that lead to them. Going: the same backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Files,
    Filter,
    RouterAdvertisements,
    Forwarding,
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
    let created: BTreeSet<LinkName> = steps
        .iter()
        .filter_map(|step| match step {
            Change::Link(LinkChange::Create(link)) => Some(link.name.clone()),
            _ => None,
        })
        .collect();
    steps.sort_by_key(|step| phase(step, &created));
}

fn phase(step: &Change, created: &BTreeSet<LinkName>) -> Phase {
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
        Change::Link(LinkChange::Remove(link)) if created.contains(&link.name) => Phase::LinksGoForAnother,
        Change::Link(_) => pick(Phase::Links, Phase::LinksGo),
        Change::Address(_) => pick(Phase::Addresses, Phase::AddressesGo),
        Change::Route(edit) => {
            let unreachable = |route: &crate::state::route::Route| route.action == RouteAction::Unreachable;
            match (&edit.to, &edit.from) {
                (Some(to), _) if unreachable(to) => Phase::UnreachableRoutes,
                (Some(_), _) => Phase::Routes,
                (None, Some(from)) if unreachable(from) => Phase::UnreachableRoutesGo,
                (None, _) => Phase::RoutesGo,
            }
        }
        Change::Rule(_) => pick(Phase::Rules, Phase::RulesGo),
    }
}
