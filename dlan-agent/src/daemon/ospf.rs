//! What the main loop tells the OSPF task, and what it does with what it hears from there.

use std::collections::BTreeSet;
use std::time::Duration;

use ospf_lite::driver::{DriverEvent, Engines};
use ospf_lite::ids::Family;
use ospf_lite::io::Event;
use ospf_lite::ospf::neighbor::NeighborState;
use tracing::{error, info, warn};
use vxlan::link::LinkName;

use super::{AgentError, Daemon, Engine, engine_view, names, startup, work};
use crate::causes::with_causes;
use crate::plan::reroute::Loss;
use crate::router_information::RouterInformation;
use crate::routing::{self, InterfaceChange, InterfaceFeed};
use crate::zones::{self, announcement};

/// How soon after a neighbor changed state it is looked at more closely.
const LOOK_AFTER: Duration = Duration::from_millis(500);
/// How soon ends whose MTUs differ are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How soon after what routers tell of themselves changed it is read, if no route changes before: one event brings many.
const READ_TOLD_AFTER: Duration = Duration::from_millis(100);

impl Daemon {
    pub(super) async fn handle_driver(&mut self, event: DriverEvent) -> Result<(), AgentError> {
        let mut routes_due = self.note_driver_event(event);
        // Whatever waits already is part of the same change.
        while let Some(event) = self.engine.as_mut().and_then(|engine| engine.events.try_recv().ok()) {
            routes_due |= self.note_driver_event(event);
        }
        if routes_due {
            self.read_routes().await?;
        }
        Ok(())
    }

    /// Logs what a person may want to know, and returns whether the routes may be others.
    pub(super) fn note_driver_event(&mut self, event: DriverEvent) -> bool {
        match event {
            DriverEvent::Engine(_, Event::NeighborLost { interface }) => {
                let device = self.feed.device(interface).and_then(|name| LinkName::new(name).ok());
                if let Some(device) = device {
                    self.handle_lost(&device, Loss::Neighbor);
                }
                false
            }
            DriverEvent::Engine(_, Event::NeighborChanged { to, .. }) => {
                // A neighbor with another MTU stays there.
                if to == NeighborState::ExStart {
                    self.look_for_signs(LOOK_AFTER);
                }
                false
            }
            DriverEvent::Engine(_, Event::RoutesChanged) => true,
            DriverEvent::Engine(_, Event::OtherLsasChanged) => {
                self.read_at.get_or_insert(self.clock.now() + READ_TOLD_AFTER);
                false
            }
            DriverEvent::LeftAlone(interfaces) => {
                let names = interfaces.iter().filter_map(|id| LinkName::new(self.feed.device(*id)?).ok());
                self.unhurried.handle_left_alone(names.collect());
                self.hear_late();
                false
            }
            DriverEvent::SocketNotOpened(interface, error) => {
                warn!(
                    device = self.feed.device(interface),
                    error = with_causes(&error),
                    "no OSPF socket, tried again"
                );
                false
            }
            DriverEvent::SocketFailed(interface, error) => {
                warn!(device = self.feed.device(interface), %error, "OSPF socket failed, opened again");
                false
            }
        }
    }

    /// Moves what leads by a lost link, before anything else is done about it.
    pub(super) fn handle_lost(&mut self, device: &LinkName, loss: Loss) {
        self.reconciler.handle_lost(self.clock.now(), device, loss);
        if let Some(plan) = self.reconciler.poll_reroute() {
            work::reroute(&self.system, &self.done_in, plan);
        }
    }

    /// Lets the kernel's word of links that flap and are left alone wait, if these are others than before.
    pub(super) fn hear_late(&mut self) {
        if let Some(links) = self.unhurried.poll(self.clock.now()) {
            self.system.hear_late(self.feed.numbers(links));
        }
    }

    pub(super) async fn read_routes(&mut self) -> Result<(), AgentError> {
        self.read_at = None;
        let Some(engine) = &self.engine else { return Ok(()) };
        let read = |engines: &Engines| (engine_view::read_routes(engines), names::read(engines));
        let (routes, lsas) = engine.driver.inspect(read).await?;
        self.handle_names(&routes, lsas);
        self.reconciler.handle_routes(self.clock.now(), routing::routing_input(&routes, &self.feed));
        Ok(())
    }

    /// Looks for what keeps being refused, and for neighbors with a smaller MTU.
    pub(super) async fn read_engines(&mut self) -> Result<(), AgentError> {
        let Some(engine) = &self.engine else { return Ok(()) };
        let signs = engine.driver.inspect(engine_view::read_signs).await?;
        self.refusals.handle_counters(self.clock.now(), &signs.refusals);
        if self.mtus.handle_mismatches(self.clock.now(), &self.config, &signs.mtu_mismatches) {
            self.bring_about();
        } else if !signs.mtu_mismatches.is_empty() {
            self.look_for_signs(LOOK_AGAIN);
        }
        Ok(())
    }

    fn look_for_signs(&mut self, after: Duration) {
        let at = self.clock.now() + after;
        self.signs_at = Some(self.signs_at.map_or(at, |due| due.min(at)));
    }

    /// Tells the engines of interfaces that came, went or changed, and of carriers in the order in which they did.
    pub(super) async fn feed_engine(&mut self) -> Result<(), AgentError> {
        let mut changes: Vec<InterfaceChange> = Vec::new();
        for (device, up) in self.carriers.drain(..) {
            match self.feed.set_up(&device, up) {
                Some(of_device) => changes.extend(of_device),
                None => self.interfaces_due = true,
            }
        }
        if std::mem::take(&mut self.interfaces_due) {
            self.tell_interfaces(changes).await?;
            changes = self.diff_interfaces().await?;
        }
        self.tell_interfaces(changes).await
    }

    async fn tell_interfaces(&self, changes: Vec<InterfaceChange>) -> Result<(), AgentError> {
        let Some(engine) = &self.engine else { return Ok(()) };
        for change in changes {
            match change {
                InterfaceChange::Configure(interface) => engine.driver.configure(*interface).await?,
                InterfaceChange::Up(id) => engine.driver.up(id).await?,
                InterfaceChange::Down(id) => engine.driver.down(id).await?,
                InterfaceChange::Remove(id) => engine.driver.remove(id).await?,
            }
        }
        Ok(())
    }

    /// Sees to it that there are engines, and returns what interfaces they have to be told of.
    async fn diff_interfaces(&mut self) -> Result<Vec<InterfaceChange>, AgentError> {
        self.ensure_engine().await?;
        self.tell_names().await?;
        let (Some(engine), Some(facts), Some(_), Some(config)) =
            (&self.engine, self.reconciler.facts(), self.reconciler.known(), self.reconciler.config())
        else {
            return Ok(Vec::new());
        };
        let wanted = match routing::interfaces(&self.round_trips.effective(config), facts) {
            Ok(wanted) => wanted,
            Err(error) => {
                error!(%error, "interfaces cannot be addressed");
                return Ok(Vec::new());
            }
        };
        // The zone of a prefix is told before the prefix: until then it would pass for internal.
        let zones = announcement::encode(&zones::own(config, facts.sides()));
        if self.zones_told.as_ref() != Some(&zones) {
            for family in [Family::Ipv6, Family::Ipv4] {
                engine.driver.private(family, zones.clone()).await?;
            }
            self.zones_told = Some(zones);
        }
        let seen = work::devices(config, facts, &self.reconciler);
        Ok(self.feed.diff(&wanted, &seen))
    }

    /// Starts the OSPF task once the router is known, and again when it is to be another one: a Router ID is for life.
    async fn ensure_engine(&mut self) -> Result<(), AgentError> {
        let parts = (self.reconciler.config(), self.reconciler.facts(), self.reconciler.known());
        let (Some(config), Some(_), Some(_)) = parts else {
            return Ok(());
        };
        let config = &config.clone();
        let mut is_same_router = true;
        let wanted = |epoch| startup::engine(config, Family::Ipv6, epoch);
        match &self.engine {
            Some(engine) if engine.config == wanted(self.epoch) => return Ok(()),
            Some(engine) => {
                // Sequence numbers of the same Router ID must not be used twice.
                match self.system.advance_epoch() {
                    Ok(epoch) => self.epoch = epoch,
                    Err(error) => {
                        error!(error = with_causes(&error), "OSPF cannot start again, and goes on as it was");
                        return Ok(());
                    }
                }
                is_same_router = engine.config.router_id == wanted(self.epoch).router_id;
                info!(from = %engine.config.router_id, to = %wanted(self.epoch).router_id, "OSPF starts again");
            }
            None => {}
        }
        self.names.forget_told();
        self.unhurried.handle_left_alone(BTreeSet::new());
        self.hear_late();
        if self.engine.is_some() {
            self.feed = InterfaceFeed::default();
            self.reconciler.handle_routing_restarted(self.clock.now());
        }
        let has_adopted = |family| is_same_router && self.reconciler.has_adopted(family);
        self.zones_told = None;
        let (driver, events) = startup::driver(config, self.epoch, has_adopted);
        self.engine = Some(Engine { config: wanted(self.epoch), driver, events });
        if let Some(engine) = &self.engine {
            engine.driver.stub_router(self.is_drained).await?;
        }
        self.tell_router_information().await
    }

    pub(super) async fn tell_router_information(&self) -> Result<(), AgentError> {
        let Some(engine) = &self.engine else { return Ok(()) };
        for family in [Family::Ipv6, Family::Ipv4] {
            engine
                .driver
                .private(family, RouterInformation::new(&self.config, &self.round_trips.settled()).encode())
                .await?;
        }
        Ok(())
    }
}
