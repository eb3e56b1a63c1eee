//! Links of which nobody hurries to hear whether they can carry packets: those that flap and are left alone. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ospf_lite::ospf::returns::CALM;
use ospf_lite::time::Instant;
use vxlan::link::LinkName;

/// For how long after a loss: while the link is left alone for its sake in any case.
const UNHURRIED: Duration = Duration::from_secs(5);
/// How long what is told may wait at most. Before the link is taken up again it is known what became of it.
pub const WAIT_MAX: Duration = Duration::from_secs(4);
const _: () = assert!(UNHURRIED.as_secs() + WAIT_MAX.as_secs() < CALM.as_secs());

/// Which links flap, and which of them were lost of late.
#[derive(Debug, Default)]
pub struct Unhurried {
    left_alone: BTreeSet<LinkName>,
    /// When links were lost, for as long as that counts.
    lost: BTreeMap<LinkName, Instant>,
    /// What was said last.
    said: BTreeSet<LinkName>,
}

impl Unhurried {
    /// Takes which links are left alone, all of them.
    pub fn handle_left_alone(&mut self, links: BTreeSet<LinkName>) {
        self.left_alone = links;
    }

    /// Takes that a link was lost.
    pub fn handle_lost(&mut self, now: Instant, link: &LinkName) {
        self.lost.insert(link.clone(), now);
    }

    /// Returns the links, if they are others than when they were returned last.
    pub fn poll(&mut self, now: Instant) -> Option<&BTreeSet<LinkName>> {
        self.lost.retain(|_, at| now < *at + UNHURRIED);
        let is_same = self.said.iter().eq(self.links());
        if !is_same {
            self.said = self.links().cloned().collect();
        }
        (!is_same).then_some(&self.said)
    }

    fn links(&self) -> impl Iterator<Item = &LinkName> {
        self.left_alone.iter().filter(|link| self.lost.contains_key(*link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(numbers: &[u8]) -> BTreeSet<LinkName> {
        numbers.iter().map(|number| LinkName::new(&format!("dlan-vx{number}")).unwrap()).collect()
    }

    #[test]
    fn links_that_are_left_alone_are_heard_of_late_for_a_while_after_each_loss() {
        let start = Instant::from_micros(0);
        let at = |tenths: u64| start + Duration::from_millis(100 * tenths);
        let mut unhurried = Unhurried::default();
        let lose = |unhurried: &mut Unhurried, tenths: u64, numbers: &[u8]| {
            links(numbers).iter().for_each(|link| unhurried.handle_lost(at(tenths), link));
            unhurried.poll(at(tenths)).cloned()
        };
        assert_eq!(lose(&mut unhurried, 0, &[2, 3]), None, "a loss is heard of at once");
        unhurried.handle_left_alone(links(&[3, 4]));
        assert_eq!(unhurried.poll(at(1)), Some(&links(&[3])), "what may be about to be calm as well");
        assert_eq!(unhurried.poll(at(2)), None, "they are the same");
        assert_eq!(lose(&mut unhurried, 40, &[3]), None);
        assert_eq!(unhurried.poll(at(89)), None, "the last loss counts");
        assert_eq!(unhurried.poll(at(90)), Some(&links(&[])));
        assert_eq!(lose(&mut unhurried, 95, &[3, 4]), Some(links(&[3, 4])));
        unhurried.handle_left_alone(links(&[4]));
        assert_eq!(unhurried.poll(at(96)), Some(&links(&[4])), "it is taken up");
    }
}
