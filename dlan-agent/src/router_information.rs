//! What a dlan router tells the mesh about itself in an LSA of its own: it marks the router as one of ours.

use std::collections::BTreeMap;

use ospf_lite::io::PrivateContent;
use ospf_lite::ospf::lsa::{LsType, Lsa, LsaBody};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::round_trips::Settled;

/// LS type of the router information: area scope, U-bit set so that strangers pass it on, a function code of the
/// experimentation range (RFC 4940 section 2).
pub const ROUTER_INFORMATION: LsType = LsType::from_bits(0xbff0);

/// The octets of one LSA's content, at most.
const PART_MAX: usize = 1080;

/// What a router tells about itself. Fields that a reader does not know are passed over, so that later versions can add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterInformation {
    /// The router's name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Its number.
    pub host_id: u16,
    /// The numbers of the neighbors it has a link configured to; none when there is no room for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<u16>>,
    /// The round-trip times to its neighbors in microseconds, by their numbers: those that its automatic costs follow,
    /// which change only when a link lastingly does; none when there is no room for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub round_trips: BTreeMap<u16, u64>,
}

impl RouterInformation {
    /// Returns what a router with this configuration, and these round-trip times, tells.
    pub fn new(config: &Config, round_trips: &Settled) -> Self {
        Self {
            name: config.mesh.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host_id: config.mesh.host_id.0,
            links: Some(config.links.iter().map(|link| link.host_id.0).collect()),
            round_trips: round_trips.iter().map(|(id, micros)| (id.0, *micros)).collect(),
        }
    }

    /// Returns the content to originate: one part. The round-trip times of more than some sixty links do not fit in it and
    /// are left out, and more than about two hundred links as well.
    pub fn encode(&self) -> PrivateContent {
        let untimed = Self { round_trips: BTreeMap::new(), ..self.clone() };
        let short = Self { links: None, ..untimed.clone() };
        let fits = |octets: &Vec<u8>| octets.len() <= PART_MAX;
        let part =
            [self, &untimed].into_iter().map(to_octets).find(fits).unwrap_or_else(|| to_octets(&short));
        PrivateContent { ls_type: ROUTER_INFORMATION, parts: vec![part] }
    }

    /// Reads the information from an LSA; nothing when it is another LSA, or not what a dlan router writes.
    pub fn decode(lsa: &Lsa) -> Option<Self> {
        match lsa.body() {
            LsaBody::Unknown(octets) if lsa.header().key.ls_type == ROUTER_INFORMATION => {
                Self::from_octets(&octets)
            }
            _ => None,
        }
    }

    /// Reads the information from an LSA's content, padding included. The name is refused when it could spoil a terminal.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let information: Self = serde_json::from_slice(octets.get(..end)?).ok()?;
        let plain = |text: &str| text.len() <= 63 && text.chars().all(|c| c.is_ascii_graphic());
        (plain(&information.name) && plain(&information.version)).then_some(information)
    }
}

fn to_octets(information: &RouterInformation) -> Vec<u8> {
    // Strings and numbers only: there is nothing in it that JSON could refuse.
    let mut octets = serde_json::to_vec(information).unwrap_or_default();
    // LSA bodies are whole 32-bit words.
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn information(links: u16) -> RouterInformation {
        RouterInformation {
            name: "r1".to_owned(),
            version: "0.1.0".to_owned(),
            host_id: 1,
            links: Some((1..=links).collect()),
            round_trips: (1..=links).map(|id| (id, 12_345)).collect(),
        }
    }

    #[test]
    fn what_is_told_is_read() {
        let told = information(50);
        let content = told.encode();
        assert_eq!(content.parts.len(), 1);
        assert_eq!(content.parts[0].len() % 4, 0);
        assert_eq!(RouterInformation::from_octets(&content.parts[0]), Some(told));
    }

    #[test]
    fn round_trip_times_that_do_not_fit_are_left_out_before_the_links() {
        let content = information(100).encode();
        let read = RouterInformation::from_octets(&content.parts[0]).unwrap();
        assert_eq!((read.links.unwrap().len(), read.round_trips.len()), (100, 0));
    }

    #[test]
    fn links_that_do_not_fit_are_left_out_whole() {
        let content = information(2000).encode();
        assert!(content.parts[0].len() <= PART_MAX);
        assert_eq!(RouterInformation::from_octets(&content.parts[0]).unwrap().links, None);
    }

    #[test]
    fn a_name_that_could_spoil_a_terminal_is_refused() {
        let told = RouterInformation { name: "r\u{1b}[2J".to_owned(), ..information(1) };
        assert_eq!(RouterInformation::from_octets(&to_octets(&told)), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = RouterInformation::from_octets(&octets);
        }
    }
}
