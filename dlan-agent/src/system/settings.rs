//! Kernel settings: read, set, and given back as they were.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use super::record::{Record, Remembered};
use crate::plan::change::Edit;
use crate::state::setting::{Setting, SettingValue};

/// Longer than any value, in octets.
const VALUE_MAX: usize = 32;

/// Why a setting could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// It could not be read.
    #[error("cannot read {setting}")]
    Read {
        /// The setting.
        setting: Setting,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {setting}")]
    Write {
        /// The setting.
        setting: Setting,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Returns the settings that are ours, as they are. Those of devices that are gone are gone.
pub fn observe(root: &Path, record: &Record) -> BTreeMap<Setting, SettingValue> {
    let ours = record.settings.keys();
    ours.filter_map(|setting| Some((setting.clone(), read(root, setting).ok()?))).collect()
}

/// Returns whether a setting has another value than was left. Those of devices that are gone are gone.
pub fn have_drifted(root: &Path, record: &Record) -> bool {
    let mut ours = record.settings.iter();
    ours.any(|(setting, remembered)| read(root, setting).is_ok_and(|value| value != remembered.left))
}

/// Makes the edit; the record learns of it first, for whatever happens then, the old value is known.
pub fn apply(
    root: &Path,
    record: &mut Record,
    edit: &Edit<Setting, SettingValue>,
    persist: impl FnOnce(&Record) -> io::Result<()>,
) -> Result<(), SettingError> {
    let setting = &edit.key;
    let write_error = |source| SettingError::Write { setting: setting.clone(), source };
    let Some(wanted) = edit.to else {
        let Some(remembered) = record.settings.remove(setting) else { return Ok(()) };
        // What somebody else has set since stays.
        if read(root, setting).is_ok_and(|value| value == remembered.left) {
            write(root, setting, remembered.before)?;
        }
        return persist(record).map_err(write_error);
    };
    let value =
        read(root, setting).map_err(|source| SettingError::Read { setting: setting.clone(), source })?;
    let left = if setting.is_met(value, wanted) { value } else { wanted };
    let before = record.settings.get(setting).map_or(value, |remembered| remembered.before);
    record.settings.insert(setting.clone(), Remembered { before, left });
    persist(record).map_err(write_error)?;
    if left == value { Ok(()) } else { write(root, setting, left) }
}

/// Reads a setting.
pub fn read(root: &Path, setting: &Setting) -> io::Result<SettingValue> {
    let mut text = [0; VALUE_MAX];
    // In one piece: the kernel gives it all at once, and there are many that are read every few seconds.
    let length = std::fs::File::open(path(root, setting))?.read(&mut text)?;
    let text = std::str::from_utf8(text.get(..length).unwrap_or_default()).map_err(io::Error::other)?;
    text.trim().parse().map(SettingValue).map_err(io::Error::other)
}

fn write(root: &Path, setting: &Setting, value: SettingValue) -> Result<(), SettingError> {
    std::fs::write(path(root, setting), value.to_string())
        .map_err(|source| SettingError::Write { setting: setting.clone(), source })
}

fn path(root: &Path, setting: &Setting) -> std::path::PathBuf {
    root.join("proc/sys").join(setting.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: Setting = Setting::MultipathHashIpv4;

    fn root_with(value: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let path = path(root.path(), &SETTING);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value).unwrap();
        root
    }

    fn set(root: &Path, record: &mut Record, to: Option<u32>) -> u32 {
        let edit = Edit { key: SETTING, from: None, to: to.map(SettingValue) };
        apply(root, record, &edit, |_| Ok(())).unwrap();
        read(root, &SETTING).unwrap().0
    }

    #[test]
    fn the_value_before_comes_back() {
        let (root, mut record) = (root_with("0\n"), Record::default());
        assert_eq!(set(root.path(), &mut record, Some(1)), 1);
        assert_eq!(set(root.path(), &mut record, None), 0);
        assert_eq!(record, Record::default());
    }

    #[test]
    fn more_than_what_is_needed_is_never_lowered() {
        let (root, mut record) = (root_with("2\n"), Record::default());
        assert_eq!(set(root.path(), &mut record, Some(1)), 2);
        assert_eq!(set(root.path(), &mut record, None), 2);
    }

    #[test]
    fn what_somebody_set_since_is_not_given_back() {
        let (root, mut record) = (root_with("0\n"), Record::default());
        set(root.path(), &mut record, Some(1));
        std::fs::write(path(root.path(), &SETTING), "3").unwrap();
        assert_eq!(set(root.path(), &mut record, None), 3);
    }

    #[test]
    fn setting_again_keeps_the_value_before_us() {
        let (root, mut record) = (root_with("0\n"), Record::default());
        set(root.path(), &mut record, Some(1));
        std::fs::write(path(root.path(), &SETTING), "0").unwrap();
        assert_eq!(observe(root.path(), &record).get(&SETTING), Some(&SettingValue(0)));
        set(root.path(), &mut record, Some(1));
        assert_eq!(set(root.path(), &mut record, None), 0);
    }
}
