//! Draining: keeps other routers' traffic away, and answers when the neighbors have been told.

use std::collections::BTreeMap;
use std::time::Duration;

use ospf_lite::driver::{DriverEnded, DriverHandle, Engines};
use ospf_lite::ids::RouterId;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::info;

use super::requests::refused;
use super::{Daemon, engine_view, snapshot};
use crate::causes::with_causes;
use crate::control::apply_report::DrainReport;
use crate::control::protocol::{RefusalKind, Reply};
use crate::drain;
use crate::topology::parted;

/// How long the neighbors may take to acknowledge: MinLSInterval, and RxmtInterval for an Update that was lost.
const ACKNOWLEDGE_DEADLINE: Duration = Duration::from_secs(12);
/// How often it is looked whether they have.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

impl Daemon {
    /// Keeps other routers' traffic away from this router, or lets it come back.
    pub(super) fn drain(&mut self, is_drained: bool, answer: oneshot::Sender<Reply>) {
        if let Err(error) = drain::write(&self.paths.drained, is_drained) {
            let _ = answer.send(refused(RefusalKind::Failed, with_causes(&error)));
            return;
        }
        info!(is_drained, "drain");
        self.is_drained = is_drained;
        let names = snapshot::names(&self.config);
        let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
        tokio::spawn(async move {
            let reply = match driver {
                Some(driver) => tell(&driver, is_drained, names).await,
                None => Ok(DrainReport { drained: is_drained, acknowledged: false, parted: Vec::new() }),
            };
            let ended = |DriverEnded| refused(RefusalKind::Failed, "the OSPF task has ended");
            // A client that has gone away wants no answer.
            let _ = answer.send(reply.map_or_else(ended, Reply::Drain));
        });
    }
}

async fn tell(
    driver: &DriverHandle,
    is_drained: bool,
    names: BTreeMap<RouterId, String>,
) -> Result<DrainReport, DriverEnded> {
    driver.stub_router(is_drained).await?;
    let until = Instant::now() + ACKNOWLEDGE_DEADLINE;
    let is_acknowledged =
        |engines: &Engines| engines.ipv6.is_acknowledged() && engines.ipv4.is_acknowledged();
    let mut acknowledged = driver.inspect(is_acknowledged).await?;
    while !acknowledged && Instant::now() < until {
        tokio::time::sleep(LOOK_INTERVAL).await;
        acknowledged = driver.inspect(is_acknowledged).await?;
    }
    let parted = if is_drained {
        driver.inspect(move |engines| parted::parts(&engine_view::read(engines, &names).topology)).await?
    } else {
        Vec::new()
    };
    Ok(DrainReport { drained: is_drained, acknowledged, parted })
}
