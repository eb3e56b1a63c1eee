//! Who routes while a failure is measured: its start with given timers, its end, and what it uses.

use std::time::Duration;

use super::case::{Bfds, Case};
use crate::agent_config::with_mesh_option;
use crate::bench::cpu::processor_time;
use crate::error::LabError;
use crate::foreign::{Maker, Plan};
use crate::lab::Lab;

/// Who routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Subject {
    /// The agent, OSPFv3 in both families.
    Dlan,
    /// BIRD, OSPFv3 in both families.
    Bird,
    /// FRR: ospf6d for IPv6, ospfd (OSPFv2) for IPv4.
    Frr,
}

impl Subject {
    /// Returns its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dlan => "dlan",
            Self::Bird => "BIRD ospf v3",
            Self::Frr => "FRR ospf6d, ospfd",
        }
    }

    /// Returns its name in names of labs.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Dlan => "dlan",
            Self::Bird => "bird",
            Self::Frr => "frr",
        }
    }

    /// Returns what routes each family, as columns of a table are headed.
    pub const fn columns(self) -> [&'static str; 2] {
        match self {
            Self::Dlan => ["dlan IPv6", "dlan IPv4"],
            Self::Bird => ["BIRD ospf v3 IPv6", "BIRD ospf v3 IPv4"],
            Self::Frr => ["FRR ospf6d IPv6", "FRR ospfd IPv4 (OSPFv2)"],
        }
    }

    /// Returns whether it can be told of an IPv4 prefix by BIRD's `ospf v3`.
    pub const fn has_ipv4_over_ospfv3(self) -> bool {
        !matches!(self, Self::Frr)
    }

    const fn maker(self) -> Option<Maker> {
        match self {
            Self::Dlan => None,
            Self::Bird => Some(Maker::Bird),
            Self::Frr => Some(Maker::Frr),
        }
    }

    /// Starts it in routers, with the timers of a case.
    pub fn start(self, lab: &mut Lab, case: Case, routers: &[String]) -> Result<(), LabError> {
        for router in routers {
            match self.maker() {
                None => {
                    let text = configuration(&lab.read_config(router)?, case);
                    lab.write_config(router, &text)?;
                    lab.start_agent(router)?;
                }
                Some(maker) => {
                    let plan = self.plan(lab, case, router)?;
                    maker.start(lab.node(router)?, &plan)?;
                }
            }
        }
        Ok(())
    }

    /// Returns what a daemon of others is told, with the timers of a case.
    pub fn plan(self, lab: &mut Lab, case: Case, router: &str) -> Result<Plan, LabError> {
        let timers = case.timers();
        (lab.topology.mesh.hello_interval, lab.topology.mesh.dead_interval) = timers.ospf;
        let mut plan = lab.foreign_plan(router)?;
        plan.bfd = match timers.bfd {
            Bfds::Shipped | Bfds::Off => None,
            Bfds::On(bfd) => Some(bfd),
        };
        plan.ospfv2 = true;
        Ok(plan)
    }

    /// Ends it in routers and takes its routes along; the links stay.
    pub fn stop(self, lab: &Lab, routers: &[String]) -> Result<(), LabError> {
        for router in routers {
            match self.maker() {
                None => {
                    lab.kill_agent(router)?;
                    lab.flush_routes(router)?;
                }
                Some(maker) => maker.stop(lab.node(router)?)?,
            }
        }
        Ok(())
    }

    /// Returns the processor time that it has used in a router.
    pub fn processor_time(self, lab: &Lab, router: &str) -> Result<Duration, LabError> {
        let pids = match self.maker() {
            None => lab.agents(router)?,
            Some(maker) => maker.processes(lab.node(router)?),
        };
        let mut sum = Duration::ZERO;
        for pid in pids {
            sum += processor_time(pid)
                .map_err(|error| LabError::Node { node: router.to_owned(), why: error.to_string() })?;
        }
        Ok(sum)
    }
}

/// Returns an agent's configuration with the timers of a case.
fn configuration(text: &str, case: Case) -> String {
    let timers = case.timers();
    let (hello, dead) = timers.ospf;
    let (bfd, interval, multiplier) = match timers.bfd {
        Bfds::Shipped => (None, None, None),
        Bfds::Off => (Some("0".to_owned()), None, None),
        Bfds::On(bfd) => {
            (Some("1".to_owned()), Some(bfd.interval_ms.to_string()), Some(bfd.multiplier.to_string()))
        }
    };
    [
        ("hello_interval", Some(hello.to_string())),
        ("dead_interval", Some(dead.to_string())),
        ("bfd", bfd),
        ("bfd_interval", interval),
        ("bfd_multiplier", multiplier),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (name, value)| with_mesh_option(&text, name, value.as_deref()))
}
