//! Reading and writing files with errors that name them.

use std::path::Path;

use crate::error::LabError;

/// Writes a file; the error names it.
pub fn write_file(path: &Path, text: &str) -> Result<(), LabError> {
    std::fs::write(path, text).map_err(failed("write", path))
}

/// Reads a file; the error names it.
pub fn read_file(path: &Path) -> Result<String, LabError> {
    std::fs::read_to_string(path).map_err(failed("read", path))
}

/// Returns what makes an error of what the system says of an act upon a file.
pub fn failed(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LabError + use<> {
    let path = path.to_owned();
    move |source| LabError::File { act, path, source }
}
