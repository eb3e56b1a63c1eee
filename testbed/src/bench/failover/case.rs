//! A failure, and the timers that are to notice it.

use std::time::Duration;

use super::subject::Subject;
use crate::error::LabError;
use crate::foreign::Bfd;
use crate::lab::Lab;

/// A failure of the link between r1 and r2, with the timers that are set at every router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Case {
    /// Both ends lose the carrier; timers as shipped.
    Carrier,
    /// Packets are dropped both ways, the carrier stays; BFD 3 x 50 ms.
    Bfd50,
    /// The same with BFD 3 x 100 ms.
    Bfd100,
    /// The same with BFD 3 x 300 ms.
    Bfd300,
    /// Packets from r1 to r2 are dropped, those from r2 to r1 arrive; BFD 3 x 50 ms.
    OneWay,
    /// Packets are dropped both ways; HelloInterval 1 s, RouterDeadInterval 4 s, no BFD.
    Hello,
    /// Packets are dropped both ways; everything as shipped.
    Shipped,
}

/// The timers of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// HelloInterval and RouterDeadInterval in seconds.
    pub ospf: (u16, u16),
    /// BFD's.
    pub bfd: Bfds,
}

/// What a case says of BFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bfds {
    /// Nothing: as the daemon is shipped.
    Shipped,
    /// No BFD.
    Off,
    /// With these intervals.
    On(Bfd),
}

/// How exactly a failure is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is over within a second or two: to the millisecond, with the machine for itself.
    Fast,
    /// It takes many seconds: to a hundredth, while others are measured.
    Slow,
}

impl Pace {
    /// Returns the time between probes.
    pub const fn interval(self) -> Duration {
        match self {
            Self::Fast => Duration::from_millis(1),
            Self::Slow => Duration::from_millis(10),
        }
    }
}

/// How often that is measured which takes from four seconds to half a minute, at most.
const SLOW_RUNS_MAX: usize = 5;

impl Case {
    /// Returns how exactly it is watched.
    pub(super) const fn pace(self, subject: Subject) -> Pace {
        match (self, subject) {
            (Self::Hello, _) | (Self::Shipped, Subject::Bird | Subject::Frr) => Pace::Slow,
            _ => Pace::Fast,
        }
    }

    /// Returns how often it is measured where `asked` times are asked for: what takes long, less often.
    pub fn runs(self, subject: Subject, asked: usize) -> usize {
        match (self, subject) {
            (Self::Shipped, Subject::Bird | Subject::Frr) | (Self::Hello, _) => asked.min(SLOW_RUNS_MAX),
            _ => asked,
        }
    }

    /// Returns what it is called in tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Carrier => "carrier lost, as shipped",
            Self::Bfd50 => "silent, BFD 3 x 50 ms",
            Self::Bfd100 => "silent, BFD 3 x 100 ms",
            Self::Bfd300 => "silent, BFD 3 x 300 ms",
            Self::OneWay => "one way, BFD 3 x 50 ms",
            Self::Hello => "silent, hello 1 s, dead 4 s",
            Self::Shipped => "silent, as shipped",
        }
    }

    /// Returns its timers.
    pub fn timers(self) -> Timers {
        // Which Hellos there are decides only how soon adjacencies come about.
        let bfd = |interval_ms| Timers { ospf: (1, 4), bfd: Bfds::On(Bfd { interval_ms, multiplier: 3 }) };
        match self {
            Self::Carrier | Self::Shipped => Timers { ospf: (10, 40), bfd: Bfds::Shipped },
            Self::Bfd50 | Self::OneWay => bfd(50),
            Self::Bfd100 => bfd(100),
            Self::Bfd300 => bfd(300),
            Self::Hello => Timers { ospf: (1, 4), bfd: Bfds::Off },
        }
    }

    /// Lets the link fail.
    pub fn fail(self, lab: &Lab) -> Result<(), LabError> {
        self.set(lab, true)
    }

    /// Lets the link come back.
    pub fn heal(self, lab: &Lab) -> Result<(), LabError> {
        self.set(lab, false)
    }

    fn set(self, lab: &Lab, failed: bool) -> Result<(), LabError> {
        match self {
            Self::Carrier => {
                let word = if failed { "on" } else { "off" };
                lab.node("r1")?.run("ip", &["link", "set", "dlan-vx2", "protodown", word])?;
                lab.node("r2")?.run("ip", &["link", "set", "dlan-vx1", "protodown", word])?;
                Ok(())
            }
            Self::OneWay => lab.set_cut_one_way("r1", "r2", failed),
            Self::Bfd50 | Self::Bfd100 | Self::Bfd300 | Self::Hello | Self::Shipped => {
                lab.set_cut("r1", "r2", failed).map(drop)
            }
        }
    }
}
