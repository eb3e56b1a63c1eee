//! A policy rule of ours as a value.

use std::fmt;

use ospf_lite::ids::Family;
use serde::{Deserialize, Serialize};

/// A policy rule: which packets look into which table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// The address family it is for.
    pub family: RuleFamily,
    /// Its preference; lower ones are asked first.
    pub preference: u32,
    /// The protocol number it carries.
    pub protocol: u8,
    /// The table to look into.
    pub table: u32,
    /// Packets with this mark do not match.
    pub unless_mark: Option<u32>,
    /// Routes with prefixes no longer than this do not count.
    pub suppress_prefix_length: Option<u32>,
}

/// The address family of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleFamily {
    /// IPv6.
    Ipv6,
    /// IPv4.
    Ipv4,
}

impl From<Family> for RuleFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv6 => Self::Ipv6,
            Family::Ipv4 => Self::Ipv4,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            RuleFamily::Ipv6 => "ipv6",
            RuleFamily::Ipv4 => "ipv4",
        };
        write!(f, "{family} {}:", self.preference)?;
        if let Some(mark) = self.unless_mark {
            write!(f, " not fwmark {mark:#x}")?;
        }
        write!(f, " lookup {}", self.table)?;
        self.suppress_prefix_length.map_or(Ok(()), |length| write!(f, " suppress_prefixlength {length}"))
    }
}
