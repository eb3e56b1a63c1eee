//! What installs packages on a machine of Debian's: this system's own programs, and what they read.

use std::fs;
use std::path::Path;

use crate::error::LabError;
use crate::files::failed;
use crate::machine::cpio::{Archive, Entry};
use crate::machine::image::{add_libraries, of_this_system, read};

/// The programs.
const PROGRAMS: [&str; 6] = ["apt-get", "dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "tar"];
/// How they come by a package that is a file.
const METHODS: [&str; 3] = ["copy", "file", "store"];
const METHODS_AT: &str = "usr/lib/apt/methods";
/// Where the tables are by which they know architectures.
const TABLES_AT: &str = "usr/share/dpkg";
/// Directories of `/etc` that they look into.
const DIRECTORIES: [&str; 3] = ["apt.conf.d", "preferences.d", "sources.list.d"];

/// Adds it to a machine's system; there is nowhere to get packages from but files.
pub fn add(archive: &mut Archive) -> Result<(), LabError> {
    for name in PROGRAMS {
        add_program(archive, &format!("usr/bin/{name}"), &of_this_system(name)?)?;
    }
    add_program(archive, "usr/sbin/ldconfig", &of_this_system("ldconfig")?)?;
    for name in METHODS {
        let path = format!("{METHODS_AT}/{name}");
        add_program(archive, &path, &Path::new("/").join(&path))?;
    }
    let tables = Path::new("/").join(TABLES_AT);
    for table in fs::read_dir(&tables).map_err(failed("read", &tables))?.flatten() {
        let name = table.file_name().to_string_lossy().into_owned();
        if name.ends_with("table") {
            archive.add(&format!("{TABLES_AT}/{name}"), Entry::File(read(&table.path())?));
        }
    }
    for name in DIRECTORIES {
        archive.add(&format!("etc/apt/{name}"), Entry::Directory);
    }
    archive.add("etc/apt/sources.list", Entry::File(Vec::new()));
    Ok(())
}

fn add_program(archive: &mut Archive, to: &str, from: &Path) -> Result<(), LabError> {
    archive.add(to, Entry::Program(read(from)?));
    add_libraries(archive, "", from, None)
}
