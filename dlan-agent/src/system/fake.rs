//! A system in memory for tests: as strict about order as the kernel is, and failing where it is told to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use vxlan::change::LinkChange;
use vxlan::link::{Link, LinkKind, LinkName};

use super::execute::{self, Executor};
use crate::plan::Plan;
use crate::plan::change::{Change, Edit};
use crate::plan::outcome::Outcome;
use crate::state::State;
use crate::state::next_hop::{NextHop, NextHopId, NextHopTarget};
use crate::state::program::{Program, ProgramName, Transition};
use crate::state::route::{Route, RouteAction, RouteKey};

/// The system.
#[derive(Debug, Clone, Default)]
pub struct FakeSystem {
    /// What carries our mark.
    pub state: State,
    /// How many more steps go well before one fails; `None`: all do.
    pub fail_after: Option<usize>,
    /// How many fail then beside that one, those that take back included.
    pub fail_more: usize,
    /// Where routes of others stand.
    pub strangers: BTreeSet<RouteKey>,
    /// How many more steps are made before the process that makes them dies; `None`: it lives.
    pub die_after: Option<usize>,
}

/// Why a step was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FakeError {
    /// The test wanted it.
    #[error("told to fail")]
    Told,
    /// The process that asked is dead: nothing is made.
    #[error("the process has died")]
    Dead,
    /// Something of somebody else's stands there.
    #[error("File exists")]
    Taken,
    /// The kernel would refuse.
    #[error("the kernel would refuse: {0}")]
    Refused(&'static str),
}

impl FakeSystem {
    /// Makes a system in a state.
    pub fn new(state: State) -> Self {
        Self { state, ..Self::default() }
    }

    /// Makes a plan's steps, as the real one does.
    pub async fn apply(&mut self, plan: &Plan) -> Outcome {
        execute::execute(self, plan).await
    }

    /// Removes a device, and with it what the kernel drops with it.
    pub fn lose_device(&mut self, device: &LinkName) {
        self.state.links.remove(device);
        self.state.addresses.retain(|address| address.device != *device);
        self.state.settings.retain(|setting, _| setting.device() != Some(device));
        for route in self.state.routes.values_mut() {
            if let RouteAction::Unicast(unicast) = &mut route.action {
                unicast.next_hops.retain(|hop| hop.device != *device);
            }
        }
        self.lose_ways(device);
    }

    /// Takes a device's carrier away, and what the kernel drops with it.
    pub fn lose_ways(&mut self, device: &LinkName) {
        let over = |(id, object): (&NextHopId, &NextHop)| {
            object.way().filter(|way| way.device == *device).map(|_| *id)
        };
        let lost = self.state.next_hops.iter().filter_map(over).collect();
        self.drop_ways(&lost);
    }

    /// Takes ways out of all groups, and what the kernel drops with them.
    fn drop_ways(&mut self, lost: &BTreeSet<NextHopId>) {
        self.state.next_hops.retain(|id, object| match &mut object.target {
            NextHopTarget::Way(_) => !lost.contains(id),
            NextHopTarget::Group(group) => group.without(lost).map(|rest| *group = rest).is_some(),
        });
        let state = self.state.clone();
        self.state
            .routes
            .retain(|_, route| route.action == RouteAction::Unreachable || !state.hops(route).is_empty());
    }

    fn has_device(&self, device: &LinkName) -> bool {
        let mut running = self.state.programs.values().filter(|program| program.is_running);
        self.state.links.contains_key(device)
            || running.any(|program| program.device.as_ref() == Some(device))
    }

    /// A program that ends takes its device along.
    fn make_program(&mut self, edit: &Edit<ProgramName, Program>) -> Result<(), FakeError> {
        edit_map(&mut self.state.programs, edit)?;
        let transition = Transition::between(edit.from.as_ref(), edit.to.as_ref());
        if let (Transition::Stop | Transition::Restart, Some(from)) = (transition, &edit.from) {
            from.device.iter().for_each(|device| self.lose_device(device));
        }
        Ok(())
    }

    fn has_address(&self, address: std::net::IpAddr) -> bool {
        let on_links = self.state.links.values().flat_map(|link| &link.addresses).map(IpNet::addr);
        let others = self.state.addresses.iter().map(|address| address.address.addr());
        on_links.chain(others).any(|found| found == address)
    }

    fn count_down(&mut self) -> Result<(), FakeError> {
        match &mut self.die_after {
            Some(0) => return Err(FakeError::Dead),
            Some(left) => *left -= 1,
            None => {}
        }
        match &mut self.fail_after {
            Some(0) => {
                self.fail_after = self.fail_more.checked_sub(1).map(|_| 0);
                self.fail_more = self.fail_more.saturating_sub(1);
                Err(FakeError::Told)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn make_link(&mut self, change: &LinkChange) -> Result<(), FakeError> {
        match change {
            LinkChange::Create(link) => {
                refuse(self.state.links.contains_key(&link.name), "the device exists")?;
                let lacks_underlay =
                    underlay(link).is_some_and(|below| !self.state.links.contains_key(below));
                refuse(lacks_underlay, "the underlay is not there")?;
            }
            LinkChange::Remove(link) => {
                refuse(!self.state.links.contains_key(&link.name), "the device is not there")?;
                let is_underlay = |other: &Link| underlay(other) == Some(&link.name);
                refuse(self.state.links.values().any(is_underlay), "a device stands on it")?;
                self.lose_device(&link.name);
            }
            LinkChange::Alter { from, .. } => {
                refuse(self.state.links.get(&from.name) != Some(from), "the device is another")?;
            }
            LinkChange::SetEndpoint { device, .. } => {
                refuse(!self.state.links.contains_key(device), "the device is not there")?;
            }
        }
        change.apply_to(&mut self.state.links);
        Ok(())
    }

    fn make_route(&mut self, edit: &Edit<RouteKey, Route>) -> Result<(), FakeError> {
        self.count_down()?;
        if edit.from.is_none() && self.strangers.contains(&edit.key) {
            return Err(FakeError::Taken);
        }
        if let Some(route) = &edit.to
            && route.action != RouteAction::Unreachable
        {
            let hops = self.state.hops(route);
            refuse(hops.is_empty(), "a route without a way")?;
            let is_missing = |device: &LinkName| !self.has_device(device);
            refuse(hops.iter().any(|hop| is_missing(&hop.device)), "no such device")?;
            let source = route.action.source();
            refuse(source.is_some_and(|source| !self.has_address(source)), "the source is not ours")?;
        }
        // What is to be replaced and is not there is made.
        let is_missing = edit.to.is_some() && !self.state.routes.contains_key(&edit.key);
        let edit = Edit { from: edit.from.clone().filter(|_| !is_missing), ..edit.clone() };
        edit_map(&mut self.state.routes, &edit)
    }

    fn make_next_hop(&mut self, edit: &Edit<NextHopId, NextHop>) -> Result<(), FakeError> {
        match edit.to.as_ref().map(|object| &object.target) {
            Some(NextHopTarget::Way(way)) => {
                refuse(!self.state.links.contains_key(&way.device), "no such device")?;
            }
            Some(NextHopTarget::Group(group)) => {
                let is_way =
                    |id: NextHopId| self.state.next_hops.get(&id).is_some_and(|one| one.way().is_some());
                refuse(
                    group.ways.is_empty() || !group.members().all(is_way),
                    "a group of what is not there",
                )?;
                let stands = self.state.next_hops.get(&edit.key).and_then(NextHop::group);
                let is_other = stands.is_some_and(|stands| stands.buckets != group.buckets);
                refuse(is_other, "a group of another kind stands")?;
                refuse(group.buckets == 0 && !group.standbys.is_empty(), "a plain group has no standby")?;
            }
            None => {
                let lost = BTreeSet::from([edit.key]);
                let mut groups = self.state.next_hops.values().filter_map(NextHop::group);
                refuse(groups.any(|group| group.without(&lost).is_none()), "a group is made of it alone")?;
                let mut routes = self.state.routes.values();
                refuse(routes.any(|route| route.action.group() == Some(edit.key)), "a route leads by it")?;
                refuse(self.state.next_hops.get(&edit.key) != edit.from.as_ref(), "what stands is another")?;
                self.drop_ways(&lost);
                self.state.next_hops.remove(&edit.key);
                return Ok(());
            }
        }
        edit_map(&mut self.state.next_hops, edit)
    }
}

fn underlay(link: &Link) -> Option<&LinkName> {
    match &link.kind {
        LinkKind::WireGuard(_) => None,
        LinkKind::Vxlan(vxlan) => Some(&vxlan.underlay),
    }
}

fn refuse(is_wrong: bool, why: &'static str) -> Result<(), FakeError> {
    if is_wrong { Err(FakeError::Refused(why)) } else { Ok(()) }
}

fn edit_map<K: Ord + Clone, V: Clone + PartialEq>(
    map: &mut BTreeMap<K, V>,
    edit: &Edit<K, V>,
) -> Result<(), FakeError> {
    refuse(map.get(&edit.key) != edit.from.as_ref(), "what stands is another")?;
    match &edit.to {
        Some(to) => map.insert(edit.key.clone(), to.clone()),
        None => map.remove(&edit.key),
    };
    Ok(())
}

impl Executor for FakeSystem {
    type Error = FakeError;

    fn is_taken(error: &FakeError) -> bool {
        *error == FakeError::Taken
    }

    async fn check(&mut self, _change: &Change) -> Result<(), FakeError> {
        Ok(())
    }

    async fn make(&mut self, change: &Change) -> Result<(), FakeError> {
        self.count_down()?;
        match change {
            Change::Link(change) => self.make_link(change)?,
            Change::Address(Edit { key, to: Some(()), .. }) => {
                refuse(!self.state.addresses.insert(key.clone()), "the address is there")?;
            }
            Change::Address(Edit { key, to: None, .. }) => {
                refuse(!self.state.addresses.remove(key), "the address is not there")?;
            }
            Change::NextHop(edit) => self.make_next_hop(edit)?,
            Change::Route(edit) => self.make_route(edit)?,
            Change::Rule(Edit { key, to: Some(()), .. }) => {
                refuse(!self.state.rules.insert(key.clone()), "the rule is there")?;
            }
            Change::Rule(Edit { key, to: None, .. }) => {
                refuse(!self.state.rules.remove(key), "the rule is not there")?;
            }
            Change::Setting(edit) => {
                let device = edit.key.device().filter(|device| device.as_str().starts_with("dlan-"));
                let is_gone = device.is_some_and(|device| !self.state.links.contains_key(device));
                refuse(is_gone && edit.to.is_some(), "the setting's device is not there")?;
                edit_map(&mut self.state.settings, edit)?;
            }
            Change::Ruleset(edit) => {
                refuse(self.state.ruleset != edit.from, "what stands is another")?;
                self.state.ruleset.clone_from(&edit.to);
            }
            Change::File(edit) => edit_map(&mut self.state.files, edit)?,
            Change::Program(edit) => self.make_program(edit)?,
            Change::Uci(edit) => {
                refuse(self.state.uci != edit.from, "what stands is another")?;
                self.state.uci.clone_from(&edit.to);
            }
        }
        Ok(())
    }

    async fn make_routes(&mut self, edits: &[&Edit<RouteKey, Route>]) -> Vec<Result<(), FakeError>> {
        edits.iter().map(|edit| self.make_route(edit)).collect()
    }
}
