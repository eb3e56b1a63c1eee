//! The order of steps: make before break, and never a moment in which something internal could leak.

use vxlan::change::LinkChange;

use super::change::{Act, Change};
use super::upset::Upset;
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
    UpsetGoes,
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
    DeviceSettingsGo,
    LinksGo,
    ForwardingGoes,
    RouterAdvertisementsGo,
    FilterGoes,
    FilesGo,
}

/// Puts the steps in order.
pub fn order(steps: &mut [Change]) {
    let upset = Upset::by(steps);
    steps.sort_by_key(|step| phase(step, &upset));
}

fn phase(step: &Change, upset: &Upset) -> Phase {
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
            | Setting::RpFilter(_)
            | Setting::SendRedirects(_) => pick(Phase::DeviceSettings, Phase::DeviceSettingsGo),
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
        Change::Rule(_) => pick(Phase::Rules, Phase::RulesGo),
    }
}
