//! The order of steps: make before break, and never a moment in which something internal could leak.

use std::collections::BTreeSet;

use vxlan::change::LinkChange;

use super::change::{Act, Change, Edit};
use super::upset::Upset;
use crate::state::next_hop::{NextHop, NextHopId};
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
    SettingsBeforeLinks,
    UpsetGoes,
    UpsetGroupsGo,
    UpsetWaysGo,
    LinksGoForAnother,
    Links,
    ProgramsWithDevices,
    DeviceSettings,
    Addresses,
    UnreachableRoutes,
    Ways,
    Groups,
    Routes,
    GroupsThatRoutesLeave,
    Rules,
    Programs,
    ProgramsGo,
    RulesGo,
    RoutesGo,
    GroupsGo,
    WaysGo,
    UnreachableRoutesGo,
    AddressesGo,
    DeviceSettingsGo,
    ProgramsWithDevicesGo,
    LinksGo,
    SettingsAfterLinksGo,
    ForwardingGoes,
    RouterAdvertisementsGo,
    FilterGoes,
    FilesGo,
}

/// Puts the steps in order.
pub fn order(steps: &mut [Change]) {
    let upset = Upset::by(steps);
    let left: BTreeSet<NextHopId> = steps.iter().filter_map(left_group).collect();
    // The keys are sorted, and then each step is moved once: a sort of the steps needs as much room again as they have.
    steps.sort_by_cached_key(|step| phase(step, &upset, &left));
}

/// Returns the group that a route gives up for something else.
fn left_group(step: &Change) -> Option<NextHopId> {
    let Change::Route(Edit { from: Some(from), to: Some(to), .. }) = step else { return None };
    from.action.group().filter(|group| to.action.group() != Some(*group))
}

/// A group's ways change under all its routes: first those routes leave that shall have others.
fn next_hop_phase(edit: &Edit<NextHopId, NextHop>, upset: &Upset, left: &BTreeSet<NextHopId>) -> Phase {
    let is_group = edit.from.as_ref().or(edit.to.as_ref()).is_some_and(|object| object.group().is_some());
    match (is_group, edit.act()) {
        (true, _) if upset.has_next_hop(edit) => Phase::UpsetGroupsGo,
        (false, _) if upset.has_next_hop(edit) => Phase::UpsetWaysGo,
        (true, Act::Change) if left.contains(&edit.key) => Phase::GroupsThatRoutesLeave,
        (true, Act::Add | Act::Change) => Phase::Groups,
        (false, Act::Add | Act::Change) => Phase::Ways,
        (true, Act::Remove) => Phase::GroupsGo,
        (false, Act::Remove) => Phase::WaysGo,
    }
}

fn phase(step: &Change, upset: &Upset, left: &BTreeSet<NextHopId>) -> Phase {
    let goes = step.act() == Act::Remove;
    let pick = |comes, leaves| if goes { leaves } else { comes };
    match step {
        Change::File(_) => pick(Phase::Files, Phase::FilesGo),
        Change::Ruleset(_) => pick(Phase::Filter, Phase::FilterGoes),
        Change::Setting(edit) if goes && edit.key.device().is_some_and(|device| upset.has_device(device)) => {
            Phase::UpsetGoes
        }
        Change::Setting(edit) => match edit.key {
            // Forwarding drops what came by router advertisements on devices that do not insist on them.
            Setting::AcceptRa(_) => pick(Phase::RouterAdvertisements, Phase::RouterAdvertisementsGo),
            Setting::ForwardingIpv4 | Setting::ForwardingIpv6 => {
                pick(Phase::Forwarding, Phase::ForwardingGoes)
            }
            Setting::MultipathHashIpv4
            | Setting::MultipathHashIpv6
            | Setting::NextHopCompatibility
            | Setting::RpFilter(_)
            | Setting::SendRedirects(_) => pick(Phase::DeviceSettings, Phase::DeviceSettingsGo),
            // The kernel's WireGuard sets it too when its device comes up: what was before is to be known by then.
            Setting::SendRedirectsEverywhere => pick(Phase::SettingsBeforeLinks, Phase::SettingsAfterLinksGo),
        },
        Change::Link(LinkChange::Remove(link)) if upset.has_device(&link.name) => Phase::LinksGoForAnother,
        Change::Link(_) => pick(Phase::Links, Phase::LinksGo),
        Change::Address(_) => pick(Phase::Addresses, Phase::AddressesGo),
        Change::Route(edit) => {
            let is_unreachable = |route: &Route| route.action == RouteAction::Unreachable;
            match (&edit.to, &edit.from) {
                (Some(to), _) if is_unreachable(to) => Phase::UnreachableRoutes,
                (Some(_), _) => Phase::Routes,
                (None, Some(from)) if is_unreachable(from) => Phase::UnreachableRoutesGo,
                (None, Some(from)) if upset.has_route(from) => Phase::UpsetGoes,
                (None, _) => Phase::RoutesGo,
            }
        }
        Change::NextHop(edit) => next_hop_phase(edit, upset, left),
        Change::Rule(_) => pick(Phase::Rules, Phase::RulesGo),
        Change::Program(edit) if edit.from.iter().chain(&edit.to).any(|program| program.device.is_some()) => {
            pick(Phase::ProgramsWithDevices, Phase::ProgramsWithDevicesGo)
        }
        Change::Program(_) | Change::Uci(_) => pick(Phase::Programs, Phase::ProgramsGo),
    }
}
