//! An ordered map whose copies share what has not been changed since.
//!
//! The entries lie in chunks; a copy takes the chunks over and makes one its own when it changes something in it. Alone it
//! is an ordinary map: nothing is copied then.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

/// How many entries a chunk has at most.
const CHUNK: usize = 32;
/// For how many more entries a chunk makes room when it is full: more would stay empty in most of them.
const GROWTH: usize = 8;

/// An ordered map.
#[derive(Debug, Clone)]
pub struct SharedMap<K, V> {
    /// None is empty; each has smaller keys than the next.
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K: Ord + Clone, V: Clone> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Makes an empty one.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    /// Returns how many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the chunk where a key is, or belongs.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let is_before = |(first, _): &(K, V)| first.borrow() <= key;
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(is_before));
        after.saturating_sub(1)
    }

    /// Returns the value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let place = chunk.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        chunk.get(place).map(|(_, value)| value)
    }

    /// Returns the value of a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        Arc::make_mut(chunk).get_mut(place).map(|(_, value)| value)
    }

    /// Enters a value; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(&key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            let mut entries = Vec::with_capacity(GROWTH);
            entries.push((key, value));
            self.chunks.push(Arc::new(entries));
            self.len += 1;
            return None;
        };
        let search = chunk.binary_search_by(|(known, _)| known.cmp(&key));
        let entries = Arc::make_mut(chunk);
        match search {
            Ok(place) => entries.get_mut(place).map(|(_, old)| std::mem::replace(old, value)),
            Err(place) => {
                self.len += 1;
                if entries.len() < CHUNK {
                    insert(entries, place, (key, value));
                } else {
                    // What is entered in order leaves full chunks behind.
                    let kept = if place == CHUNK { CHUNK } else { CHUNK / 2 };
                    let mut rest = entries.split_off(kept);
                    // Nothing more may come into this half.
                    entries.shrink_to_fit();
                    match place.checked_sub(kept) {
                        Some(place) => insert(&mut rest, place, (key, value)),
                        None => insert(entries, place, (key, value)),
                    }
                    self.chunks.insert(at + 1, Arc::new(rest));
                }
                None
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        let entries = Arc::make_mut(chunk);
        let (_, value) = entries.remove(place);
        self.len -= 1;
        if entries.is_empty() {
            self.chunks.remove(at);
        }
        Some(value)
    }

    /// Returns the first entry.
    pub fn first(&self) -> Option<(&K, &V)> {
        self.chunks.first()?.first().map(|(key, value)| (key, value))
    }

    /// Returns all entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// Returns the keys that have another value in the other map, or are in one of both only: without a look at what the two
    /// share.
    pub fn apart<'a>(&'a self, other: &'a Self) -> Vec<&'a K>
    where
        V: PartialEq,
    {
        let (mut ones, mut others) = (Cursor::new(&self.chunks), Cursor::new(&other.chunks));
        let mut apart = Vec::new();
        loop {
            match (ones.chunk(), others.chunk()) {
                (Some(one), Some(other)) if Arc::ptr_eq(one, other) => {
                    ones.next_chunk();
                    others.next_chunk();
                    continue;
                }
                _ => {}
            }
            let order = match (ones.entry(), others.entry()) {
                (None, None) => return apart,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let (one, other) = (ones.entry(), others.entry());
            if one != other {
                let first = if order == Ordering::Greater { other } else { one };
                apart.extend(first.map(|(key, _)| key));
            }
            if order != Ordering::Greater {
                ones.next();
            }
            if order != Ordering::Less {
                others.next();
            }
        }
    }

    /// Returns the entries from a key on, in order.
    pub fn from<'a>(&'a self, key: &K) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let at = self.chunk_of(key);
        let first = self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(|(known, _)| known < key));
        let chunks = self.chunks.get(at..).unwrap_or_default().iter();
        chunks.flat_map(|chunk| chunk.iter()).skip(first).map(|(key, value)| (key, value))
    }
}

/// Enters something into a chunk, which grows by little.
fn insert<T>(entries: &mut Vec<T>, place: usize, entry: T) {
    if entries.len() == entries.capacity() {
        entries.reserve_exact(GROWTH);
    }
    entries.insert(place, entry);
}

/// A place in a list of chunks.
struct Cursor<'a, K, V> {
    chunks: &'a [Arc<Vec<(K, V)>>],
    at: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new(chunks: &'a [Arc<Vec<(K, V)>>]) -> Self {
        Self { chunks, at: 0 }
    }

    /// Returns the chunk that begins here.
    fn chunk(&self) -> Option<&'a Arc<Vec<(K, V)>>> {
        self.chunks.first().filter(|_| self.at == 0)
    }

    fn entry(&self) -> Option<&'a (K, V)> {
        self.chunks.first()?.get(self.at)
    }

    fn next(&mut self) {
        self.at += 1;
        if self.chunks.first().is_some_and(|chunk| self.at == chunk.len()) {
            self.next_chunk();
        }
    }

    fn next_chunk(&mut self) {
        self.chunks = self.chunks.get(1..).unwrap_or_default();
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_an_ordinary_map_holds(
            steps in proptest::collection::vec((0..400_u16, proptest::option::weighted(0.7, any::<u8>())), 1..900),
            copied_at in 0..900_usize,
        ) {
            let (mut map, mut model) = (SharedMap::new(), BTreeMap::new());
            let mut copies = None;
            for (at, (key, value)) in steps.into_iter().enumerate() {
                if at == copied_at {
                    copies = Some((map.clone(), model.clone()));
                }
                match value {
                    Some(value) if value < 20 => {
                        let (found, wanted) = (map.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(found.as_deref(), wanted.as_deref());
                        found.into_iter().chain(wanted).for_each(|slot| *slot = value);
                    }
                    Some(value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                    None => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.is_empty(), model.is_empty());
                prop_assert_eq!(map.first(), model.first_key_value());
                prop_assert!(map.from(&key).eq(model.range(key..)));
            }
            prop_assert!(map.iter().eq(model.iter()));
            if let Some((copy, before)) = copies {
                prop_assert!(copy.iter().eq(before.iter()), "a copy stays as it is");
                let keys: BTreeSet<&u16> = before.keys().chain(model.keys()).collect();
                let apart: Vec<&u16> = keys.into_iter().filter(|key| before.get(key) != model.get(key)).collect();
                prop_assert_eq!(&copy.apart(&map), &apart);
                prop_assert_eq!(&map.apart(&copy), &apart);
            }
        }
    }

    #[test]
    fn a_copy_shares_all_but_what_is_changed() {
        let mut map = SharedMap::new();
        (0..1_000_u32).for_each(|key| _ = map.insert(key, key));
        let mut copy = map.clone();
        copy.insert(500, 0);
        let shared = map.chunks.iter().zip(&copy.chunks).filter(|(one, other)| Arc::ptr_eq(one, other));
        assert_eq!(shared.count(), map.chunks.len() - 1);
        assert_eq!((map.get(&500), copy.get(&500)), (Some(&500), Some(&0)));
        assert_eq!(map.chunks.len(), 1_000_usize.div_ceil(CHUNK), "entered in order, chunks are full");
        assert!(map.chunks.iter().all(|chunk| chunk.capacity() <= CHUNK), "and keep no more space than that");
    }

    #[test]
    fn in_whatever_order_it_is_filled_little_space_is_empty() {
        let mut map = SharedMap::new();
        (0..10_000_u32).for_each(|step| _ = map.insert(step * 7_919 % 10_007, step));
        let room: usize = map.chunks.iter().map(|chunk| chunk.capacity()).sum();
        assert!(room * 4 < map.len() * 5, "room for {room}, {} used", map.len());
    }
}
