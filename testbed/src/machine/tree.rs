//! A root tree of OpenWrt's that somebody gives: a directory, or an archive or a file system in a file; which release it is, and by
//! what it installs packages.

use std::fs;
use std::hash::Hasher;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::error::LabError;
use crate::files::{failed, read_file};
use crate::tools;

/// Where the magic number of an ext4 file system is, and what it is.
const EXT4: (usize, [u8; 2]) = (1080, [0x53, 0xef]);
/// With what a squashfs file system begins.
const SQUASHFS: &[u8] = b"hsqs";
/// With what a file begins that is gzipped.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a root tree installs packages by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    /// OpenWrt up to 24.10.
    Opkg,
    /// OpenWrt from 25.12 on.
    Apk,
}

impl Packages {
    /// Returns how a file with a package ends.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Opkg => "ipk",
            Self::Apk => "apk",
        }
    }

    /// Returns the command that installs a package out of a file.
    pub fn install(self, file: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Opkg => &["opkg", "install", file],
            Self::Apk => &["apk", "add", "--no-network", "--allow-untrusted", file],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// A release of OpenWrt as its root tree describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name, such as `OpenWrt 22.03.4 r20123-38ccc47687`.
    pub name: String,
    /// The name of its processors' family, as its packages have it.
    pub architecture: String,
    /// What it installs packages by.
    pub packages: Packages,
}

/// Returns what a root tree is; refuses what is no OpenWrt, or none for this machine's processors.
pub fn release(tree: &Path) -> Result<Release, LabError> {
    let text = read_file(&tree.join("etc/openwrt_release")).unwrap_or_default();
    let has = |path: &str| fs::symlink_metadata(tree.join(path)).is_ok();
    let any = |paths: [&str; 3]| paths.iter().any(|path| has(path));
    let packages = if any(["usr/bin/apk", "sbin/apk", "bin/apk"]) {
        Some(Packages::Apk)
    } else {
        any(["bin/opkg", "usr/bin/opkg", "sbin/opkg"]).then_some(Packages::Opkg)
    };
    parse(&text, packages).map_err(|why| LabError::Asked(format!("{}: {why}", tree.display())))
}

fn parse(text: &str, packages: Option<Packages>) -> Result<Release, String> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches(['\'', '"']).to_owned()).filter(|value| !value.is_empty())
    };
    let name = value("DISTRIB_DESCRIPTION")
        .ok_or("this is no root tree of OpenWrt's: it has no etc/openwrt_release")?;
    let architecture = value("DISTRIB_ARCH").unwrap_or_default();
    if architecture != std::env::consts::ARCH {
        return Err(format!(
            "{name} is for {architecture}, and machines here are {}",
            std::env::consts::ARCH
        ));
    }
    let packages = packages.ok_or_else(|| format!("{name} has neither opkg nor apk"))?;
    Ok(Release { name, architecture, packages })
}

/// Takes in everything that a directory has, or a file: what tells whether it is still the same.
pub fn take_in(path: &Path, hasher: &mut impl Hasher) -> Result<(), LabError> {
    let about = fs::symlink_metadata(path).map_err(failed("read", path))?;
    if about.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).map_err(failed("read", path))?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            hasher.write(entry.file_name().as_encoded_bytes());
            take_in(&entry.path(), hasher)?;
        }
    } else if about.is_file() {
        hasher.write(&fs::read(path).map_err(failed("read", path))?);
    } else if about.is_symlink() {
        let target = fs::read_link(path).map_err(failed("read", path))?;
        hasher.write(target.as_os_str().as_encoded_bytes());
    }
    Ok(())
}

/// Unpacks a root tree into a directory that is not there yet, with everything in it root's.
pub fn unpack(path: &Path, to: &Path) -> Result<(), LabError> {
    fs::create_dir_all(to).map_err(failed("make", to))?;
    if path.is_dir() {
        command::run(Command::new("cp").arg("-a").arg(path.join(".")).arg(to), "")?;
    } else {
        unpack_file(path, to)?;
    }
    command::run(Command::new("chown").args(["-hR", "0:0"]).arg(to), "")?;
    Ok(())
}

fn unpack_file(path: &Path, to: &Path) -> Result<(), LabError> {
    let mut head = Vec::new();
    let file = fs::File::open(path).map_err(failed("open", path))?;
    file.take(4096).read_to_end(&mut head).map_err(failed("read", path))?;
    match kind(&head) {
        Kind::Squashfs => {
            let folder = tools::folder("squashfs")?;
            let mut command = Command::new(tools::program("squashfs", "usr/bin/unsquashfs")?);
            let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
            let libraries = ["usr/lib", "lib"].map(|path| folder.join(path).join(&machine));
            command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap_or_default());
            command::run(command.args(["-n", "-f", "-d"]).arg(to).arg(path), "")?;
        }
        Kind::Ext4 => {
            let mut command = Command::new("/sbin/debugfs");
            command.arg("-R").arg(format!("rdump / {}", to.display())).arg(path);
            command::run(&mut command, "")?;
        }
        Kind::Gzip => {
            let plain = to.with_extension("plain");
            let unzip = command::run(
                Command::new("sh").args(["-c", "gzip -dc \"$0\" > \"$1\""]).arg(path).arg(&plain),
                "",
            );
            let outcome = unzip.map_err(LabError::from).and_then(|_| unpack_file(&plain, to));
            fs::remove_file(&plain).map_err(failed("remove", &plain))?;
            outcome?;
        }
        Kind::Archive => {
            command::run(Command::new("tar").arg("-xf").arg(path).arg("-C").arg(to), "")?;
        }
    }
    Ok(())
}

/// What a file is, by its first octets.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Squashfs,
    Ext4,
    Gzip,
    /// What `tar` may make of it.
    Archive,
}

fn kind(head: &[u8]) -> Kind {
    let (at, magic) = EXT4;
    if head.starts_with(SQUASHFS) {
        Kind::Squashfs
    } else if head.get(at..).is_some_and(|rest| rest.starts_with(&magic)) {
        Kind::Ext4
    } else if head.starts_with(&GZIP) {
        Kind::Gzip
    } else {
        Kind::Archive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::DefaultHasher;

    const TEXT: &str =
        "DISTRIB_ID='OpenWrt'\nDISTRIB_ARCH='x86_64'\nDISTRIB_DESCRIPTION='OpenWrt 22.03.4 r20123'\n";

    #[test]
    fn a_release_is_known_by_its_file_and_by_what_installs_packages() {
        let text = TEXT.replace("x86_64", std::env::consts::ARCH);
        let release = parse(&text, Some(Packages::Opkg)).unwrap();
        assert_eq!((release.name.as_str(), release.packages), ("OpenWrt 22.03.4 r20123", Packages::Opkg));
        assert!(parse("", Some(Packages::Opkg)).unwrap_err().contains("no root tree of OpenWrt's"));
        let foreign = TEXT.replace("x86_64", "mips_24kc");
        assert!(parse(&foreign, Some(Packages::Opkg)).unwrap_err().contains("is for mips_24kc"));
        assert!(parse(&text, None).unwrap_err().contains("neither opkg nor apk"));
    }

    #[test]
    fn files_are_told_apart_by_their_first_octets() {
        let mut ext4 = vec![0; 2048];
        ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(kind(&ext4), Kind::Ext4);
        assert_eq!(kind(b"hsqs0000"), Kind::Squashfs);
        assert_eq!(kind(&[0x1f, 0x8b, 8]), Kind::Gzip);
        assert_eq!(kind(b"./\0\0"), Kind::Archive);
    }

    #[test]
    fn another_content_is_another_tree() {
        let root = std::env::temp_dir().join(format!("dlan-tree-{}", std::process::id()));
        fs::create_dir_all(root.join("etc")).unwrap();
        let number = |text: &str| {
            fs::write(root.join("etc/file"), text).unwrap();
            let mut hasher = DefaultHasher::new();
            take_in(&root, &mut hasher).unwrap();
            hasher.finish()
        };
        let (one, other, again) = (number("a"), number("b"), number("a"));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(one, again);
        assert_ne!(one, other);
    }
}
