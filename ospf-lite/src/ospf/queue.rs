//! A queue of vertices, the closest first, for where nothing comes closer than what was taken last: a radix heap.
//!
//! A vertex lies in the bucket of the highest bit in which its distance differs from the last one taken. Those of the
//! lowest bucket that has any are spread over the ones below it when their turn comes: each is moved so often as a distance
//! has bits at most, and neighboring ones lie close together.

use crate::ids::Distance;
use crate::ospf::graph::VertexIndex;

/// A vertex at a distance.
type Entry = (Distance, VertexIndex);

/// Vertices that wait, by distance.
#[derive(Debug, Default)]
pub struct Queue {
    /// The distance that was taken last; nothing in the queue is closer.
    last: Distance,
    buckets: Vec<Vec<Entry>>,
    /// A bit for each bucket that has any.
    filled: u64,
}

impl Queue {
    /// Makes an empty one.
    pub const fn new() -> Self {
        Self { last: Distance::ZERO, buckets: Vec::new(), filled: 0 }
    }

    /// Adds a vertex. What is closer than the last one taken counts as that close.
    pub fn push(&mut self, distance: Distance, vertex: VertexIndex) {
        let differing = distance.max(self.last).0 ^ self.last.0;
        let bucket = (u32::BITS - differing.leading_zeros()) as usize;
        if self.buckets.len() <= bucket {
            self.buckets.resize_with(bucket + 1, Vec::new);
        }
        if let Some(entries) = self.buckets.get_mut(bucket) {
            entries.push((distance, vertex));
            self.filled |= 1 << bucket;
        }
    }

    /// Takes a vertex than which none is closer.
    pub fn pop(&mut self) -> Option<Entry> {
        let bucket = self.filled.trailing_zeros();
        let at = bucket as usize;
        let entries = self.buckets.get_mut(at)?;
        if at == 0 || entries.len() == 1 {
            let taken = entries.pop();
            if entries.is_empty() {
                self.filled &= !(1 << bucket);
            }
            self.last = taken.map_or(self.last, |(distance, _)| distance.max(self.last));
            return taken;
        }
        let mut spread = std::mem::take(entries);
        self.filled &= !(1 << bucket);
        self.last = spread.iter().map(|(distance, _)| *distance).min().unwrap_or(self.last);
        spread.drain(..).for_each(|(distance, vertex)| self.push(distance, vertex));
        if let Some(entries) = self.buckets.get_mut(at) {
            *entries = spread;
        }
        self.pop()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{Family, LinkStateId, RouterId};
    use crate::ospf::graph::{Graph, VertexId};
    use crate::ospf::lsa::{LsType, Lsa, LsaBody, LsaKey, RouterLsa, SequenceNumber};
    use crate::ospf::packet::Options;

    fn any_vertex() -> VertexIndex {
        let key = LsaKey {
            ls_type: LsType::ROUTER,
            link_state_id: LinkStateId(0),
            advertising_router: RouterId(1),
        };
        let router = RouterLsa {
            border: false,
            external: false,
            virtual_endpoint: false,
            options: Options::V6,
            links: Vec::new(),
        };
        let lsa = Lsa::originate(key, SequenceNumber::INITIAL, 0, LsaBody::Router(router));
        Graph::from_lsas([&lsa], Family::Ipv6).find(VertexId::Router(RouterId(1))).unwrap()
    }

    proptest! {
        #[test]
        fn the_closest_comes_first_whatever_is_added_meanwhile(
            steps in proptest::collection::vec(proptest::option::of(0..70_000_u32), 0..300),
        ) {
            let vertex = any_vertex();
            let (mut queue, mut model, mut last) = (Queue::new(), Vec::new(), Distance::ZERO);
            for step in steps.into_iter().chain([None; 300]) {
                match step {
                    Some(more) => {
                        queue.push(last.plus(more), vertex);
                        model.push(last.plus(more));
                    }
                    None => {
                        model.sort_unstable_by(|one, other| other.cmp(one));
                        let closest = model.pop();
                        prop_assert_eq!(queue.pop().map(|(distance, _)| distance), closest);
                        last = closest.unwrap_or(last);
                    }
                }
            }
            prop_assert!(model.is_empty());
        }
    }
}
