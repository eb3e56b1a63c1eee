//! How the rest of a program speaks with a running driver: commands in, events out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::bfd::Sessions;
use super::device::{Device, DeviceInterface, SocketCounters};
use super::ospf_socket::OpenError;
use super::sessions::SessionFeed;
use crate::bfd::fsm::SessionState;
use crate::bfd::io::SessionView;
use crate::engine::Engine;
use crate::ids::{Family, InterfaceId};
use crate::io::{Event, Leaving, PrivateContent};
use crate::time::Instant;

/// How long the far ends may take to be told that BFD ends.
const DISABLE_PATIENCE: Duration = Duration::from_millis(200);
/// How long the neighbors may take to acknowledge that this router is about to stop.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const LEAVE_POLL: Duration = Duration::from_millis(10);

/// The driver has ended: its runtime is being shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the OSPF driver has ended")]
pub struct DriverEnded;

/// Something the owner of a driver may want to look at; a hint, the truth is in [`DriverHandle::inspect`].
#[derive(Debug)]
pub enum DriverEvent {
    /// An engine's own event.
    Engine(Family, Event),
    /// The interfaces of the links that flap and are left alone by both engines, all of them: nobody hurries to hear of these.
    LeftAlone(BTreeSet<InterfaceId>),
    /// A device's socket could not be opened; the driver tries again.
    SocketNotOpened(InterfaceId, OpenError),
    /// A device's socket failed; the driver opens another one.
    SocketFailed(InterfaceId, io::Error),
}

/// What a driver owns, for reading.
#[derive(Debug)]
pub struct Engines {
    /// The engine of the IPv6 family.
    pub ipv6: Engine,
    /// The engine of the IPv4 family.
    pub ipv4: Engine,
    /// The moment of reading.
    pub now: Instant,
    pub(super) devices: BTreeMap<InterfaceId, Device>,
    /// Nothing when there is no BFD thread.
    pub(super) bfd: Option<SessionFeed>,
}

impl Engines {
    /// Returns a family's engine.
    pub fn of(&self, family: Family) -> &Engine {
        match family {
            Family::Ipv6 => &self.ipv6,
            Family::Ipv4 => &self.ipv4,
        }
    }

    pub(super) fn of_mut(&mut self, family: Family) -> &mut Engine {
        match family {
            Family::Ipv6 => &mut self.ipv6,
            Family::Ipv4 => &mut self.ipv4,
        }
    }

    /// Returns a device's configuration and packet counters.
    pub fn device(&self, id: InterfaceId) -> Option<(&DeviceInterface, SocketCounters)> {
        self.devices.get(&id).map(|device| (&device.interface, device.counters))
    }

    /// Returns the BFD sessions; their counters are up to a second old.
    pub fn sessions(&self) -> BTreeMap<InterfaceId, SessionView> {
        self.bfd.as_ref().map(SessionFeed::sessions).unwrap_or_default()
    }
}

type Inspection = Box<dyn FnOnce(&Engines) + Send>;

/// What a handle asks of its driver.
pub(super) enum Command {
    Configure(Box<DeviceInterface>),
    Remove(InterfaceId),
    Up(InterfaceId),
    Down(InterfaceId),
    Private(Family, PrivateContent),
    StubRouter(bool),
    DisableBfd,
    Installed,
    Leave(Leaving),
    Inspect(Inspection),
}

impl Command {
    /// Returns whether other BFD sessions may follow from it.
    pub const fn is_about_devices(&self) -> bool {
        match self {
            Self::Configure(_) | Self::Remove(_) | Self::Up(_) | Self::Down(_) | Self::DisableBfd => true,
            Self::Private(..) | Self::StubRouter(_) | Self::Installed | Self::Leave(_) | Self::Inspect(_) => {
                false
            }
        }
    }
}

/// A way to speak with a running driver. The driver ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct DriverHandle {
    commands: mpsc::Sender<Command>,
    sessions: Option<watch::Receiver<Sessions>>,
}

impl DriverHandle {
    pub(super) fn new(commands: mpsc::Sender<Command>, sessions: Option<watch::Receiver<Sessions>>) -> Self {
        Self { commands, sessions }
    }

    /// Adds a device, or changes it with as little disturbance as possible. A device it did not know is down.
    pub async fn configure(&self, interface: DeviceInterface) -> Result<(), DriverEnded> {
        self.command(Command::Configure(Box::new(interface))).await
    }

    /// Forgets a device.
    pub async fn remove(&self, id: InterfaceId) -> Result<(), DriverEnded> {
        self.command(Command::Remove(id)).await
    }

    /// Says that a device can carry packets. Said again, it opens a socket that has failed without waiting.
    pub async fn up(&self, id: InterfaceId) -> Result<(), DriverEnded> {
        self.command(Command::Up(id)).await
    }

    /// Says that a device cannot carry packets.
    pub async fn down(&self, id: InterfaceId) -> Result<(), DriverEnded> {
        self.command(Command::Down(id)).await
    }

    /// Originates content that the engine itself does not know.
    pub async fn private(&self, family: Family, content: PrivateContent) -> Result<(), DriverEnded> {
        self.command(Command::Private(family, content)).await
    }

    /// Says, in both families, whether other routers' traffic is to keep away from this router (RFC 6987).
    pub async fn stub_router(&self, is_stub: bool) -> Result<(), DriverEnded> {
        self.command(Command::StubRouter(is_stub)).await
    }

    /// Takes every BFD session down on purpose, for good, and returns when the far ends have been told: before an end that
    /// is no failure (RFC 5880 section 6.8.16).
    pub async fn disable_bfd(&self) -> Result<(), DriverEnded> {
        self.command(Command::DisableBfd).await?;
        if let Some(mut sessions) = self.sessions.clone() {
            let is_over = |sessions: &Sessions| {
                sessions.values().all(|session| session.state == SessionState::AdminDown)
            };
            // A thread that is late or gone must not keep the router from ending.
            let _ = timeout(DISABLE_PATIENCE, sessions.wait_for(is_over)).await;
        }
        Ok(())
    }

    /// Says, in both families, that the routes are in use.
    pub async fn installed(&self) -> Result<(), DriverEnded> {
        self.command(Command::Installed).await
    }

    /// Tells the neighbors in both families how this router is about to stop, and returns whether all of them have
    /// acknowledged it; those who do not are not waited for.
    pub async fn leave(&self, leaving: Leaving) -> Result<bool, DriverEnded> {
        self.command(Command::Leave(leaving)).await?;
        let acknowledged = async {
            while !self
                .inspect(|engines| engines.ipv6.is_acknowledged() && engines.ipv4.is_acknowledged())
                .await?
            {
                sleep(LEAVE_POLL).await;
            }
            Ok(true)
        };
        timeout(LEAVE_PATIENCE, acknowledged).await.unwrap_or(Ok(false))
    }

    /// Runs a question in the driver's task and returns the answer. All earlier commands of this handle have taken
    /// effect before; the question must not take long, packets wait meanwhile.
    pub async fn inspect<R, F>(&self, question: F) -> Result<R, DriverEnded>
    where
        R: Send + 'static,
        F: FnOnce(&Engines) -> R + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let inspection = move |engines: &Engines| {
            // The asker may have gone away meanwhile; then nobody wants the answer.
            let _ = answer.send(question(engines));
        };
        self.command(Command::Inspect(Box::new(inspection))).await?;
        answered.await.map_err(|_| DriverEnded)
    }

    async fn command(&self, command: Command) -> Result<(), DriverEnded> {
        self.commands.send(command).await.map_err(|_| DriverEnded)
    }
}
