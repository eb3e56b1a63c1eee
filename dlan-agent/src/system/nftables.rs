//! The table `inet dlan` in nftables: looked at, checked, and replaced whole in one transaction.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::command::{self, CommandError};
use super::nft_generation;
use super::record::AppliedRuleset;
use crate::state::ruleset::{Counted, Ruleset, TABLE_FAMILY, TABLE_NAME};

/// Where `nft` reads what it is given: for `-` it opens `/dev/stdin`, which a router whose start-up makes only what the kernel names does
/// not have.
const INPUT: &str = "/proc/self/fd/0";

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
    let input = replacement(Some(ruleset), &[]);
    command::run("nft", &["-j", "-c", "-f", INPUT], input.to_string().as_bytes()).await?;
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

/// Puts a ruleset in the table's place, or takes the table away. Counters that stay go on counting.
pub async fn apply(ruleset: Option<&Ruleset>) -> Result<Option<AppliedRuleset>, NftablesError> {
    let standing = list().await?.unwrap_or_default();
    let input = replacement(ruleset, &standing);
    command::run("nft", &["-j", "-f", INPUT], input.to_string().as_bytes()).await?;
    let Some(given) = ruleset else { return Ok(None) };
    let shown = normalise(list().await?.unwrap_or_default());
    Ok(Some(AppliedRuleset { given: given.clone(), shown }))
}

/// Returns the counts of the table's counters, by name.
pub async fn counters() -> Result<BTreeMap<String, Counted>, NftablesError> {
    let objects = list().await?.unwrap_or_default();
    Ok(counts(&objects))
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

fn counts(objects: &[Value]) -> BTreeMap<String, Counted> {
    let counters = objects.iter().filter_map(|object| {
        let counter = object.get("counter")?;
        let number = |key| counter.get(key).and_then(Value::as_u64).unwrap_or_default();
        let counted = Counted { packets: number("packets"), octets: number("bytes") };
        Some((counter.get("name")?.as_str()?.to_owned(), counted))
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

/// Makes the transaction, for `nft -j -f -`, that puts a ruleset in the place of what stands in the table. All of that goes but
/// the counters that stay: what they count meanwhile is not lost.
pub fn replacement(ruleset: Option<&Ruleset>, standing: &[Value]) -> Value {
    let table = json!({"table": {"family": TABLE_FAMILY, "name": TABLE_NAME}});
    let mut commands = vec![json!({"add": table})];
    match ruleset.filter(|_| is_emptied_with_ease(standing)) {
        Some(ruleset) => {
            commands.push(json!({"flush": table}));
            commands.extend(removals(ruleset, standing));
        }
        // The table must be there to be deleted.
        None => commands.push(json!({"delete": table})),
    }
    let objects = || ruleset.iter().flat_map(|ruleset| ruleset.objects.iter());
    let is_rule = |object: &&Value| object.get("rule").is_some();
    // What nft 1.0.2 lists has rules before the chains that they lead to.
    let ordered = objects().filter(|object| !is_rule(object)).chain(objects().filter(is_rule));
    commands.extend(ordered.map(|object| json!({"add": object})));
    json!({"nftables": commands})
}

/// Returns whether a table stands that is one of ours but for what is in it: others may have given it flags, or made maps.
fn is_emptied_with_ease(standing: &[Value]) -> bool {
    let is_plain = |object: &Value| match object.get("table") {
        Some(table) => table.get("flags").is_none(),
        None => ["metainfo", "rule", "chain", "set", "counter"].iter().any(|kind| object.get(kind).is_some()),
    };
    standing.iter().any(|object| object.get("table").is_some()) && standing.iter().all(is_plain)
}

/// Takes away what stands in a table without rules, but for counters that stay.
fn removals(ruleset: &Ruleset, standing: &[Value]) -> Vec<Value> {
    let name_of = |kind: &str, object: &Value| object.get(kind)?.get("name")?.as_str().map(str::to_owned);
    let stays = |name: &String| {
        ruleset.objects.iter().any(|object| name_of("counter", object).as_ref() == Some(name))
    };
    let of_kind = |kind: &'static str| {
        let names = standing.iter().filter_map(move |object| name_of(kind, object));
        names.filter(move |name| kind != "counter" || !stays(name)).map(move |name| {
            json!({"delete": {kind: {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name}}})
        })
    };
    ["chain", "set", "counter"].into_iter().flat_map(of_kind).collect()
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

    fn counter(name: &str) -> Value {
        json!({"counter": {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name, "packets": 0, "bytes": 0}})
    }

    /// What a table is listed with that has these objects.
    fn standing(objects: &[Value]) -> Vec<Value> {
        let table = json!({"table": {"family": TABLE_FAMILY, "name": TABLE_NAME, "handle": 1}});
        [&[json!({"metainfo": {}}), table], objects].concat()
    }

    #[test]
    fn everything_goes_in_one_transaction_but_the_counters_that_stay() {
        let ruleset = Ruleset::from(vec![counter("a")]);
        let named = |kind: &str, name: &str| json!({kind: {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name}});
        let stands = standing(&[counter("a"), counter("b"), named("chain", "x"), named("set", "s")]);
        let transaction = replacement(Some(&ruleset), &stands);
        let commands = transaction["nftables"].as_array().unwrap();
        let deleted: Vec<&Value> = commands.iter().filter_map(|command| command.get("delete")).collect();
        assert_eq!(deleted, [&named("chain", "x"), &named("set", "s"), &named("counter", "b")]);
        assert_eq!(commands[1]["flush"]["table"]["name"], json!(TABLE_NAME));
        assert_eq!(commands.last().unwrap()["add"], counter("a"));
    }

    #[test]
    fn a_rule_comes_behind_the_chain_that_it_leads_to_whatever_the_order_of_the_listing() {
        let named = |kind: &str, name: &str| json!({kind: {"family": TABLE_FAMILY, "table": TABLE_NAME, "name": name}});
        let rule = json!({"rule": {"chain": "a", "expr": [{"jump": {"target": "b"}}]}});
        let listed = Ruleset::from(vec![named("chain", "a"), rule.clone(), named("chain", "b")]);
        let transaction = replacement(Some(&listed), &[]);
        let commands = transaction["nftables"].as_array().unwrap();
        let added: Vec<&Value> = commands.iter().filter_map(|command| command.get("add")).collect();
        assert_eq!(added[1..], [&named("chain", "a"), &named("chain", "b"), &rule]);
    }

    #[test]
    fn a_table_that_others_have_changed_beyond_that_is_deleted_and_made() {
        let ruleset = Ruleset::from(vec![counter("a")]);
        let foreign = standing(&[counter("a"), json!({"map": {"name": "m"}})]);
        let dormant = vec![json!({"table": {"name": TABLE_NAME, "flags": ["dormant"]}})];
        for (ruleset, stands) in [
            (Some(&ruleset), foreign),
            (Some(&ruleset), dormant),
            (Some(&ruleset), vec![]),
            (None, standing(&[])),
        ] {
            let transaction = replacement(ruleset, &stands);
            assert!(transaction["nftables"][0].get("add").is_some());
            assert_eq!(transaction["nftables"][1]["delete"]["table"]["name"], json!(TABLE_NAME));
        }
    }
}
