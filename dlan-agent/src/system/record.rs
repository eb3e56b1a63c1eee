//! What must be remembered to tell ours from others', and to give back what was: a file that lives as long as the
//! kernel's own state does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file;
use super::process::Process;
use crate::state::DeviceAddress;
use crate::state::marks::Marks;
use crate::state::program::{Program, ProgramName};
use crate::state::ruleset::Ruleset;
use crate::state::setting::{Setting, SettingValue};

/// The format that this version writes; it reads no later one. Earlier ones lack what came since, or the number.
const FORMAT: u32 = 1;
/// The record's file in the run directory.
const FILE_NAME: &str = "record.json";
/// The ruleset's: it may have half a megabyte, and is not to be written again with each setting of a plan.
const RULESET_FILE_NAME: &str = "ruleset.json";

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The format that was read; what is written says its own.
    #[serde(skip_serializing)]
    format: u32,
    /// Every mark under which something was made.
    pub marks: BTreeSet<Marks>,
    /// The settings that are ours.
    #[serde(with = "pairs")]
    pub settings: BTreeMap<Setting, Remembered>,
    /// The addresses that we set.
    pub addresses: BTreeSet<DeviceAddress>,
    /// What stands in nftables; in a file of its own, and in this one as earlier versions wrote it.
    #[serde(skip_serializing)]
    pub ruleset: Option<AppliedRuleset>,
    /// The programs that were started.
    pub programs: BTreeMap<ProgramName, Recorded>,
}

/// A program as it was given, and its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// As it was given.
    pub given: Program,
    /// Its process; none while it is ended or started.
    pub process: Option<Process>,
    /// What an earlier process left behind when it was killed: it finishes what it had begun, and ends with the program.
    #[serde(default)]
    pub left: BTreeSet<Process>,
}

/// A setting's value before us, and the one we left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Before us.
    pub before: SettingValue,
    /// After us.
    pub left: SettingValue,
}

/// A ruleset as we gave it, and as nftables showed it right after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRuleset {
    /// As we gave it.
    pub given: Ruleset,
    /// As nftables showed it.
    pub shown: Ruleset,
}

/// A record that a later version wrote: without what it says, things of ours could not be told from others'.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} was written by a later version of dlan (format {format}, this one reads up to {FORMAT}): start that version, or restart \
     the router",
    path.display()
)]
pub struct LaterRecord {
    path: PathBuf,
    format: u32,
}

/// The record as it is written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    format: u32,
    #[serde(flatten)]
    record: &'a Record,
}

/// What every format has.
#[derive(Debug, Deserialize)]
struct Numbered {
    #[serde(default)]
    format: u32,
}

impl Record {
    /// Reads the record of a run directory; without a readable one there is nothing to remember.
    pub fn read(run_dir: &Path) -> Result<Self, LaterRecord> {
        let path = run_dir.join(FILE_NAME);
        let Ok(text) = std::fs::read(&path) else { return Ok(Self::default()) };
        let format = serde_json::from_slice(&text).map_or(0, |numbered: Numbered| numbered.format);
        if format > FORMAT {
            return Err(LaterRecord { path, format });
        }
        let record = serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(%error, "the record of what was changed is not readable: starting a fresh one");
            Self::default()
        });
        let mut record = Self { format: 0, ..record };
        match std::fs::read(run_dir.join(RULESET_FILE_NAME)) {
            Ok(text) => record.ruleset = serde_json::from_slice(&text).ok(),
            Err(_) if record.ruleset.is_none() => {}
            Err(_) => {
                if let Err(error) = record.write_ruleset(run_dir) {
                    tracing::warn!(%error, "the ruleset is set afresh by the next start");
                }
            }
        }
        Ok(record)
    }

    /// Writes the record, but for the ruleset; the directory goes with `down` and comes with the first thing to remember.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        write(run_dir, FILE_NAME, &Written { format: FORMAT, record: self })
    }

    /// Writes what stands in nftables.
    pub fn write_ruleset(&self, run_dir: &Path) -> io::Result<()> {
        write(run_dir, RULESET_FILE_NAME, &self.ruleset)
    }

    /// Removes the record.
    pub fn remove(run_dir: &Path) -> io::Result<()> {
        file::remove(&run_dir.join(FILE_NAME))?;
        file::remove(&run_dir.join(RULESET_FILE_NAME))
    }
}

fn write(run_dir: &Path, name: &str, what: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(what).map_err(io::Error::other)?;
    if !run_dir.exists() {
        file::make_private_directory(run_dir)?;
    }
    file::write_volatile(&run_dir.join(name), &text, file::PRIVATE)
}

/// JSON wants text as the keys of a map, so that this one is a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use vxlan::link::LinkName;

    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = Record::default();
        let device = LinkName::new("dlan-vx2").unwrap();
        let remembered = Remembered { before: SettingValue(0), left: SettingValue(2) };
        record.settings.insert(Setting::RpFilter(device), remembered);
        record.settings.insert(Setting::ForwardingIpv4, remembered);
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), record);
    }

    #[test]
    fn a_ruleset_is_written_by_itself_and_read_where_earlier_versions_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let ruleset = AppliedRuleset { given: Vec::new().into(), shown: Vec::new().into() };
        let record = Record { ruleset: Some(ruleset), ..Record::default() };
        let whole = serde_json::json!({"format": FORMAT, "ruleset": record.ruleset});
        std::fs::write(dir.path().join(FILE_NAME), whole.to_string()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), record, "from the record of an earlier version");
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), record, "kept when the record is written anew");
        Record::default().write_ruleset(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), Record::default());
        record.write_ruleset(dir.path()).unwrap();
        Record::remove(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_broken_record_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), "{\"marks\": 7").unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), Record::default());
    }

    #[test]
    fn a_record_without_a_number_is_read_and_one_of_a_later_version_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = Record::default();
        let device = LinkName::new("lan0").unwrap();
        record.addresses.insert(DeviceAddress { device, address: "10.2.1.1/24".parse().unwrap() });
        let write = |text: &str| std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        write("{\"addresses\":[{\"device\":\"lan0\",\"address\":\"10.2.1.1/24\"}],\"directories\":[]}");
        assert_eq!(Record::read(dir.path()).unwrap(), record);
        write("{\"format\":2,\"addresses\":{\"other\":\"shape\"}}");
        let error = Record::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("later version"), "{error}");
        assert!(dir.path().join(FILE_NAME).exists());
    }
}
