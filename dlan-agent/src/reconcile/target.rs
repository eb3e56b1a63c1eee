//! What is wanted, worked out whole, or as little of it as has changed.

use std::collections::BTreeSet;

use ipnet::IpNet;
use tracing::debug;
use vxlan::link::LinkName;

use super::standing::{Moved, Standing};
use super::{Action, Reconciler, Scope, WorkError};
use crate::addressing;
use crate::desired::{self, desired};
use crate::next_hops::{self, Make};
use crate::plan::Plan;
use crate::plan::change::{Change, Edit};
use crate::state::State;
use crate::state::route::{Route, RouteKey};
use crate::zones;

/// What is wanted.
#[derive(Debug)]
pub(super) struct Target {
    /// All of it; nothing where only learned prefixes come to lead other ways.
    pub state: Option<Box<State>>,
    /// How the learned prefixes stand in it.
    pub standing: Option<Standing>,
}

/// Everything that is wanted, and how the learned prefixes stand in it.
type Whole = (Box<State>, Option<Standing>);

impl Reconciler {
    /// Works out what is wanted, with routes over these devices only.
    pub(super) fn target(
        &mut self,
        is_there: impl Fn(&State, &LinkName) -> bool,
    ) -> Option<Result<Whole, WorkError>> {
        let (config, facts, known) = (self.config.as_ref()?, self.facts.as_ref()?, self.known.as_ref()?);
        let mut routing = self.adoption.routing();
        self.failover.amend(&mut routing.routes, known);
        routing.routes.replace_ways(|ways| next_hops::reduced(ways, |device| is_there(known, device)));
        let mut state = match desired(config, facts, &routing, known) {
            Ok(state) => Box::new(state),
            Err(error) => return Some(Err(error.into())),
        };
        state.without_carrier.clone_from(&known.without_carrier);
        self.targets += 1;
        self.failover.handle_target(&state, &routing);
        self.programs.amend(&mut state, known);
        self.occupied.amend(&mut state, known);
        let standing = Standing::of(&routing.routes, &routing.zones, &state, config.mesh.route_table);
        Some(Ok((state, standing)))
    }

    /// Returns the steps after which the routes lead where the routing protocol says, if these are few: it costs the same,
    /// whatever the number of routes.
    fn moved(&self) -> Option<(Plan, Moved)> {
        let (config, facts, known) = (self.config.as_ref()?, self.facts.as_ref()?, self.known.as_ref()?);
        let (standing, engine) = (self.standing.as_ref()?, self.adoption.engine()?);
        let mut routes = engine.routes.clone();
        self.failover.amend(&mut routes, known);
        let wanted = config.links.iter().filter_map(|link| addressing::link_device(link.host_id));
        let wanted: BTreeSet<LinkName> = wanted.collect();
        let is_there = |device: &LinkName| known.links.contains_key(device) && wanted.contains(device);
        routes.replace_ways(|ways| next_hops::reduced(ways, is_there));
        let make = Make { protocol: config.mesh.route_protocol, has_standbys: facts.has_standbys };
        let moved = standing.moved(&routes, &engine.zones, make, known)?;
        let guards = self.guards(&moved)?;
        let routes = desired::learned_routes(&config.mesh, moved.changed.iter().copied()).ok()?;
        // What the kernel is about to drop with a lost device may be there still: it is replaced.
        let dropped = |key: &RouteKey, to: &Option<Route>| to.clone().filter(|_| standing.leads(key));
        let edits = routes.chain(guards).map(|(key, to)| Edit {
            key,
            from: known.routes.get(&key).cloned().or_else(|| dropped(&key, &to)),
            to,
        });
        let plan = Plan::moves((&known.next_hops, &moved.objects), edits.map(Change::Route));
        Some((plan, moved))
    }

    /// Returns the unreachable routes that come or go with these prefixes; nothing where that is not all, but the filter or a
    /// zone has another prefix by them too.
    fn guards(&self, moved: &Moved) -> Option<Vec<(RouteKey, Option<Route>)>> {
        let (config, facts, known) = (self.config.as_ref()?, self.facts.as_ref()?, self.known.as_ref()?);
        let has_zones = || !zones::reached(config).is_empty();
        let mut guards = Vec::new();
        let (mut came, mut gone) = (Vec::new(), Vec::new());
        for (key, group) in &moved.changed {
            match (known.routes.contains_key(key), group) {
                (false, Some(_)) => came.push(key.prefix),
                (true, None) => gone.push(key.prefix),
                (true, Some(_)) | (false, None) => {}
            }
        }
        if came.is_empty() && gone.is_empty() {
            return Some(guards);
        }
        // What lies in a larger prefix that is guarded is in the filter by that.
        let larger = desired::guarded_anyway(config, facts.sides());
        let is_covered =
            |prefix: &IpNet| larger.iter().any(|larger| larger != prefix && larger.contains(prefix));
        for (prefix, is_wanted) in
            came.iter().map(|came| (came, true)).chain(gone.iter().map(|gone| (gone, false)))
        {
            let (key, guard) = desired::unreachable_route(&config.mesh, *prefix);
            let is_kept = is_wanted || self.adoption.has_learned(prefix);
            if known.routes.contains_key(&key) == is_kept {
                continue;
            }
            if !is_covered(prefix) {
                return None;
            }
            guards.push((key, is_kept.then_some(guard)));
        }
        Some(guards).filter(|_| !has_zones())
    }

    /// Brings about routes over the devices that stand, at once and without looking first.
    pub(super) fn poll_routes(&mut self) -> Option<Action> {
        if !self.routes_due {
            return None;
        }
        let moved = self.moved().filter(|_| self.occupied.is_empty());
        let is_moved = moved.is_some();
        let (plan, standing) = match moved {
            Some((plan, Moved { alternates, standing, .. })) => {
                self.failover.handle_alternates(alternates);
                (plan, Some(standing))
            }
            None => {
                // What cannot be worked out is told when the whole is compared.
                let (state, standing) =
                    self.target(|known, device| known.links.contains_key(device))?.ok()?;
                let known = self.known.as_ref()?;
                self.compare_due |= state.ruleset != known.ruleset;
                (Plan::routes(known, &state), standing)
            }
        };
        self.routes_due = false;
        debug!(changes = plan.steps().len(), is_moved, "routes");
        if plan.is_empty() {
            self.note_installed();
            self.standing = standing;
            return None;
        }
        self.apply(Scope::Routes, plan, Target { state: None, standing })
    }
}
