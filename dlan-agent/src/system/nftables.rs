//! The table `inet dlan` in nftables: looked at, checked, and replaced whole in one transaction.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::command::{self, CommandError};
use super::nft_generation;
use super::record::AppliedRuleset;
use crate::state::ruleset::{Ruleset, TABLE_FAMILY, TABLE_NAME};

/// Why nftables could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum NftablesError {
    /// The program `nft` failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It said something that is not what it should say.
    #[error("nft -j did not answer in JSON")]
    NotJson(#[source] serde_json::Error),
}

/// When the table was last seen to be as it was given: the number of nftables' last change before that look.
#[derive(Debug, Default)]
pub struct SeenAsGiven(Option<u32>);

/// Returns what stands in the table. What is as it was shown right after we gave it counts as what we gave; if it was that
/// before and nothing in nftables has changed since, it is not listed again.
pub async fn observe(
    applied: Option<&AppliedRuleset>,
    seen: &mut SeenAsGiven,
) -> Result<Option<Ruleset>, NftablesError> {
    // Without the number every look lists.
    let generation = nft_generation::read().ok();
    if let Some(applied) = applied.filter(|_| generation.is_some() && seen.0 == generation) {
        return Ok(Some(applied.given.clone()));
    }
    seen.0 = None;
    let Some(objects) = list().await? else { return Ok(None) };
    let shown = normalise(objects);
    Ok(Some(match applied {
        Some(applied) if applied.shown == shown => {
            seen.0 = generation;
            applied.given.clone()
        }
        Some(_) | None => shown,
    }))
}

/// Lets nftables check a ruleset without taking it.
pub async fn check(ruleset: &Ruleset) -> Result<(), NftablesError> {
    let input = replacement(Some(ruleset), &BTreeMap::new());
    command::run("nft", &["-j", "-c", "-f", "-"], input.to_string().as_bytes()).await?;
    Ok(())
}

/// Puts a ruleset in place unless the table stands, and returns whether it did.
pub async fn load(ruleset: &Ruleset) -> Result<bool, NftablesError> {
    if list().await?.is_some() {
        return Ok(false);
    }
    apply(Some(ruleset)).await?;
    Ok(true)
}

/// Puts a ruleset in the table's place, or takes the table away. Counters that stay keep their counts.
pub async fn apply(ruleset: Option<&Ruleset>) -> Result<Option<AppliedRuleset>, NftablesError> {
    let counts = list().await?.map(|objects| counts(&objects)).unwrap_or_default();
    let input = replacement(ruleset, &counts);
    command::run("nft", &["-j", "-f", "-"], input.to_string().as_bytes()).await?;
    let Some(given) = ruleset else { return Ok(None) };
    let shown = normalise(list().await?.unwrap_or_default());
    Ok(Some(AppliedRuleset { given: given.clone(), shown }))
}

/// Returns the counts of the table's counters, by name: packets.
pub async fn counters() -> Result<BTreeMap<String, u64>, NftablesError> {
    let objects = list().await?.unwrap_or_default();
    Ok(counts(&objects).into_iter().map(|(name, (packets, _))| (name, packets)).collect())
}

/// Returns the table's objects, or nothing when there is no such table.
async fn list() -> Result<Option<Vec<Value>>, NftablesError> {
    let listing = ["-j", "list", "table", TABLE_FAMILY, TABLE_NAME];
    let text = match command::run("nft", &listing, b"").await {
        Ok(text) => text,
        Err(CommandError::Failed { words, .. }) if words.contains("No such file or directory") => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    decode(&text).map(Some)
}

fn decode(listing: &[u8]) -> Result<Vec<Value>, NftablesError> {
    let mut listing: Value = serde_json::from_slice(listing).map_err(NftablesError::NotJson)?;
    let objects = listing.get_mut("nftables").and_then(Value::as_array_mut).map(std::mem::take);
    Ok(objects.unwrap_or_default())
}

fn counts(objects: &[Value]) -> BTreeMap<String, (u64, u64)> {
    let counters = objects.iter().filter_map(|object| {
        let counter = object.get("counter")?;
        let number = |key| counter.get(key).and_then(Value::as_u64).unwrap_or_default();
        Some((counter.get("name")?.as_str()?.to_owned(), (number("packets"), number("bytes"))))
    });
    counters.collect()
}

/// Takes from a listing what differs without anybody having changed anything.
fn normalise(objects: Vec<Value>) -> Ruleset {
    let objects = objects.into_iter().filter(|object| object.get("metainfo").is_none());
    Ruleset::from(objects.map(strip).collect::<Vec<_>>())
}

fn strip(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            map.remove("handle");
            for (key, inner) in map.iter_mut() {
                let is_count = (key == "packets" || key == "bytes") && inner.is_u64();
                *inner = if is_count { json!(0) } else { strip(inner.take()) };
            }
        }
        Value::Array(list) => {
            for inner in list.iter_mut() {
                *inner = strip(inner.take());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// Makes the transaction, for `nft -j -f -`: the table must be there to be deleted.
pub fn replacement(ruleset: Option<&Ruleset>, counts: &BTreeMap<String, (u64, u64)>) -> Value {
    let table = json!({"table": {"family": TABLE_FAMILY, "name": TABLE_NAME}});
    let mut commands = vec![json!({"add": table}), json!({"delete": table})];
    for object in ruleset.iter().flat_map(|ruleset| ruleset.objects.iter()) {
        let mut object = object.clone();
        if let Some(counter) = object.get_mut("counter").and_then(Value::as_object_mut)
            && let Some((packets, bytes)) =
                counter.get("name").and_then(Value::as_str).and_then(|name| counts.get(name)).copied()
        {
            counter.insert("packets".to_owned(), json!(packets));
            counter.insert("bytes".to_owned(), json!(bytes));
        }
        commands.push(json!({"add": object}));
    }
    json!({"nftables": commands})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// JSON with the words of a listing in any places.
    fn any_json() -> impl Strategy<Value = Value> {
        let word =
            || prop::sample::select(vec!["nftables", "counter", "name", "packets", "handle", "rule", "x"]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<u64>().prop_map(Value::from),
            word().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((word().prop_map(str::to_owned), inner), 0..6)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_listing_is_taken_or_refused(listing in any_json(), cut in any::<prop::sample::Index>()) {
            let text = listing.to_string();
            let _ = decode(&text.as_bytes()[..cut.index(text.len())]);
            let objects = decode(text.as_bytes()).unwrap();
            let _ = counts(&objects);
            let shown = normalise(objects);
            prop_assert_eq!(normalise(shown.objects.to_vec()), shown);
        }

        #[test]
        fn any_octets_are_taken_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&octets);
        }
    }

    #[test]
    fn handles_and_counts_are_no_difference() {
        let listing = |handle: u64, packets: u64| {
            normalise(vec![
                json!({"metainfo": {"version": "1"}}),
                json!({"counter": {"name": "a", "handle": handle, "packets": packets, "bytes": 9 * packets}}),
                json!({"rule": {"handle": handle, "expr": [{"counter": {"packets": packets, "bytes": 1}}]}}),
            ])
        };
        assert_eq!(listing(1, 0), listing(7, 12));
        assert_eq!(listing(1, 0).objects.len(), 2);
    }

    #[test]
    fn counts_outlive_a_replacement() {
        let ruleset = Ruleset::from(vec![json!({"counter": {"name": "a", "packets": 0, "bytes": 0}})]);
        let transaction = replacement(Some(&ruleset), &BTreeMap::from([("a".to_owned(), (3, 300))]));
        assert_eq!(transaction["nftables"][2]["add"]["counter"]["packets"], json!(3));
        assert_eq!(transaction["nftables"][2]["add"]["counter"]["bytes"], json!(300));
    }

    #[test]
    fn the_table_is_deleted_and_made_in_one_transaction() {
        let transaction = replacement(None, &BTreeMap::new());
        assert!(transaction["nftables"][0].get("add").is_some());
        assert!(transaction["nftables"][1].get("delete").is_some());
    }
}
