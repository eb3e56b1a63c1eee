//! A machine's disk: `/etc`, `/var` and root's home, on ext4, so that what was not written to it is gone after a power cut.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::error::LabError;
use crate::files::{failed, read_file, write_file};
use crate::machine::plan::Boot;

/// A disk's size, in MiB.
const SIZE: u64 = 48;

const INITTAB: &str = "::sysinit:/etc/init.d/rcS
::respawn:/usr/bin/dlan-lab machine-control
::respawn:/usr/lib/lab/agent
::respawn:/usr/sbin/dropbear -F -R -s
ttyS0::askfirst:-/bin/bash
";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash
www-data:x:33:33::/var/www:/bin/false
_apt:x:42:65534::/nonexistent:/bin/false
nobody:x:65534:65534::/:/bin/false
";
const GROUP: &str = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n";

/// Makes the disk of a machine; `key` is the public key that may log in.
pub fn make(disk: &Path, name: &str, boot: &Boot, key: &str) -> Result<(), LabError> {
    let root = disk.with_extension("files");
    for directory in [
        "etc/config",
        "etc/dlan",
        "etc/lab",
        "etc/dropbear",
        "etc/init.d",
        "etc/iproute2",
        "etc/sysctl.d",
        "var/lib/misc",
        "var/log",
        "root/.ssh",
    ] {
        let path = root.join(directory);
        fs::create_dir_all(&path).map_err(failed("make", &path))?;
    }
    let settings: String = boot.settings.iter().map(|(path, value)| format!("{path} {value}\n")).collect();
    for (path, text) in [
        ("etc/inittab", INITTAB),
        ("etc/passwd", PASSWD),
        ("etc/group", GROUP),
        ("etc/hostname", &format!("{name}\n")),
        ("etc/hosts", &boot.hosts),
        ("etc/resolv.conf", ""),
        // A name may have several addresses there, as Debian has it.
        ("etc/host.conf", "multi on\n"),
        ("etc/shells", "/bin/sh\n/bin/bash\n"),
        ("etc/lab/settings", &settings),
        ("etc/lab/network", &format!("{}\n", boot.ip.join("\n"))),
        ("etc/iproute2/rt_tables", &read_file(Path::new("/etc/iproute2/rt_tables")).unwrap_or_default()),
        ("etc/init.d/rcS", include_str!("../../machine/rcS")),
        ("root/.ssh/authorized_keys", key),
    ] {
        write_file(&root.join(path), text)?;
    }
    for (path, mode) in
        [("etc/init.d/rcS", 0o755), ("etc/dlan", 0o700), ("root", 0o700), ("root/.ssh", 0o700)]
    {
        let path = root.join(path);
        let set = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        set.map_err(failed("protect", &path))?;
    }
    format(disk, &root, SIZE)?;
    fs::remove_dir_all(&root).map_err(failed("remove", &root))
}

/// Makes a file of `size` MiB that is a disk with everything that lies below a directory.
pub fn format(disk: &Path, root: &Path, size: u64) -> Result<(), LabError> {
    fs::File::create(disk).and_then(|file| file.set_len(size << 20)).map_err(failed("make", disk))?;
    let mut command = Command::new("/sbin/mke2fs");
    // No time is lost on blocks that are never used.
    command.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "1024",
        "-E",
        "lazy_itable_init=1,lazy_journal_init=1",
        "-d",
    ]);
    command::run(command.arg(root).arg(disk), "").map(drop).map_err(LabError::from)
}
