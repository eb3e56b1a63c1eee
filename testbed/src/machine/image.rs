//! The image that every machine boots unless a root tree is given: a kernel of Debian's as it is, and a disk with its modules, a few
//! programs of this system, and this project's Debian package. Made when its content differs from what was made before.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::agent::dlan_program;
use crate::command;
use crate::error::LabError;
use crate::files::failed;
use crate::machine::cpio::{Archive, Entry};
use crate::machine::openwrt::OpenWrt;
use crate::machine::{disk, modules, package_manager};
use crate::node::own_program;
use crate::tools;

/// The modules that a machine of Debian's has; `tun` is not among them, so that there is no WireGuard but the kernel's.
pub const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "wireguard",
    "vxlan",
    "bridge",
    "dummy",
    "8021q",
    "ppp_generic",
    "pppoe",
    "nf_tables",
    "nft_*",
    "nf_conntrack*",
    "nf_nat*",
    "nf_log*",
    "nf_reject*",
    "sch_netem",
    "sch_fq_codel",
    "inet_diag",
    "tcp_diag",
    "udp_diag",
];
/// The modules by which a machine finds its disks, and writes where only the one that all read has something.
const DISK_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "overlay"];
/// The size of the disk that all machines read, in MiB.
const SYSTEM_SIZE: u64 = 128;
/// Programs that setup unpacked: tool, and path in it.
const TOOLS: &[(&str, &str)] = &[
    ("dnsmasq", "usr/sbin/dnsmasq"),
    ("nginx", "usr/sbin/nginx"),
    ("dropbear", "usr/sbin/dropbear"),
    ("dropbear", "usr/bin/dropbearkey"),
    ("bird", "usr/sbin/bird"),
    ("dig", "usr/bin/dig"),
    ("wireguard", "usr/bin/wg"),
];
/// This project's Debian package, beside the lab's own program.
const PACKAGE: &str = "dlan.deb";
/// Where nginx looks for its modules.
const NGINX_MODULES: &str = "usr/lib/nginx/modules";

/// What a machine boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The kernel.
    pub kernel: PathBuf,
    /// The kernel's version.
    pub version: String,
    /// The first file system, an archive: only what finds the disks.
    pub first: PathBuf,
    /// What has everything else: a disk that all machines read and none writes, or a tree that each has a disk of its own of.
    pub system: PathBuf,
    /// The tree's system, where the image is made of one.
    pub tree: Option<OpenWrt>,
}

/// A kernel: its file and the directory of its modules, where it has some, and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its file.
    pub file: PathBuf,
    /// The directory of its modules.
    pub modules: PathBuf,
    /// Its version.
    pub version: String,
}

/// Returns the kernel that Debian makes for virtual machines.
pub fn debian_kernel() -> Result<Kernel, LabError> {
    let folder = tools::folder("kernel")?;
    let modules = folder.join("lib/modules");
    let version = fs::read_dir(&modules)
        .ok()
        .and_then(|entries| entries.flatten().next())
        .and_then(|entry| entry.file_name().into_string().ok())
        .ok_or_else(|| {
            LabError::Asked(format!(
                "there is no kernel in {}: `testbed/setup --machines` unpacks one",
                folder.display()
            ))
        })?;
    let file = folder.join(format!("boot/vmlinuz-{version}"));
    Ok(Kernel { file, modules: modules.join(&version), version })
}

/// Returns the image, made anew if anything in it is another than before.
pub fn make() -> Result<Image, LabError> {
    let kernel = debian_kernel()?;
    let (first, system) =
        (first(&kernel, include_bytes!("../../machine/init"), DISK_MODULES)?, system(&kernel)?);
    let mut hasher = DefaultHasher::new();
    hasher.write(&first.octets());
    hasher.write(&system.octets());
    let directory = tools::folder("machines")?;
    let path = |kind: &str| directory.join(format!("{:016x}.{kind}", hasher.finish()));
    let image = Image {
        kernel: kernel.file,
        version: kernel.version,
        first: path("first"),
        system: path("system"),
        tree: None,
    };
    if !image.system.exists() {
        write(&directory, &image, (&first, &system))?;
    }
    Ok(image)
}

/// Writes an image in the place of those before, as their directory's owner.
fn write(directory: &Path, image: &Image, (first, system): (&Archive, &Archive)) -> Result<(), LabError> {
    fs::create_dir_all(directory).map_err(failed("make", directory))?;
    for old in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = old.path();
        if path.extension().is_some_and(|kind| kind == "first" || kind == "system") {
            // One that a running lab still uses is open there.
            let _ = fs::remove_file(path);
        }
    }
    fs::write(&image.first, first.octets()).map_err(failed("write", &image.first))?;
    let tree = image.system.with_extension("files");
    let part = image.system.with_extension("part");
    // One that was interrupted leaves these.
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree).map_err(failed("make", &tree))?;
    system.lay_out(&tree)?;
    disk::format(&part, &tree, SYSTEM_SIZE)?;
    fs::remove_dir_all(&tree).map_err(failed("remove", &tree))?;
    if let Some(owner) = directory.parent().and_then(|above| fs::metadata(above).ok()) {
        for made in [directory, &image.first, &part] {
            // Only root can give files away, and only root needs to.
            let _ = chown(made, Some(owner.uid()), Some(owner.gid()));
        }
    }
    fs::rename(&part, &image.system).map_err(failed("name", &image.system))
}

/// Returns what a machine has before it has a disk: its first program, and modules.
pub fn first(kernel: &Kernel, init: &[u8], modules: &[&str]) -> Result<Archive, LabError> {
    let mut archive = Archive::default();
    for directory in ["proc", "sys", "dev", "system"] {
        archive.add(directory, Entry::Directory);
    }
    archive.add("init", Entry::Program(init.to_vec()));
    add_modules(&mut archive, kernel, modules)?;
    add_busybox(&mut archive)?;
    Ok(archive)
}

/// Returns what lies on the disk that all machines read.
fn system(kernel: &Kernel) -> Result<Archive, LabError> {
    let mut archive = Archive::default();
    for directory in ["proc", "sys", "dev", "run", "tmp", "disk", "etc", "var", "root"] {
        archive.add(directory, Entry::Directory);
    }
    archive.add("usr/lib/lab/agent", Entry::Program(include_bytes!("../../machine/agent").to_vec()));
    add_modules(&mut archive, kernel, MODULES)?;
    add_package(&mut archive)?;
    let lab = own_program()?;
    archive.add("usr/bin/dlan-lab", Entry::Program(stripped(&lab)?));
    add_libraries(&mut archive, "", &lab, None)?;
    // BusyBox's shell would take its own programs for those of that name.
    for (to, from) in [("bin/sh", "/bin/dash"), ("bin/bash", "/bin/bash")] {
        add_program(&mut archive, to, Path::new(from), None)?;
    }
    add_program(&mut archive, "usr/bin/setpriv", Path::new("/usr/bin/setpriv"), None)?;
    for name in ["ip", "nft"] {
        add_program(&mut archive, &format!("usr/sbin/{name}"), &of_this_system(name)?, None)?;
    }
    package_manager::add(&mut archive)?;
    for (tool, path) in TOOLS {
        let folder = tools::folder(tool)?;
        add_program(&mut archive, path, Path::new(&tools::program(tool, path)?), Some(&folder))?;
    }
    for module in fs::read_dir(tools::folder("nginx")?.join(NGINX_MODULES)).into_iter().flatten().flatten() {
        let to = format!("{NGINX_MODULES}/{}", module.file_name().to_string_lossy());
        add_program(&mut archive, &to, &module.path(), None)?;
    }
    add_busybox(&mut archive)?;
    Ok(archive)
}

/// Returns where a program of this system is.
pub fn of_this_system(name: &str) -> Result<PathBuf, LabError> {
    let look = "PATH=$PATH:/usr/sbin:/sbin command -v \"$0\"";
    Ok(command::run(Command::new("sh").args(["-c", look, name]), "")?.trim().into())
}

/// Returns where this project's Debian package is: beside this program, unless the environment's `DLAN_DEB` says otherwise.
pub fn package() -> Result<PathBuf, LabError> {
    let beside = own_program()?.with_file_name(PACKAGE);
    let package = std::env::var_os("DLAN_DEB").map_or(beside, PathBuf::from);
    if package.exists() {
        return Ok(package);
    }
    Err(LabError::Asked(format!(
        "there is no {}: `testbed/run --machines` makes it, as does `packaging/deb --program {} x86_64`",
        package.display(),
        dlan_program()?.display()
    )))
}

/// Adds what this project's Debian package has, and what its program is linked with; what lies in `/etc` comes to each machine's disk
/// from there.
fn add_package(archive: &mut Archive) -> Result<(), LabError> {
    let package = package()?;
    let tree = std::env::temp_dir().join(format!("dlan-lab-package-{}", std::process::id()));
    let outcome = command::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&tree), "")
        .map_err(LabError::from)
        .and_then(|_| add_tree(archive, &tree, ""))
        .and_then(|()| add_libraries(archive, "", &tree.join("usr/bin/dlan"), None));
    // Where nothing was unpacked there is nothing to take away.
    let _ = fs::remove_dir_all(&tree);
    outcome
}

/// Adds everything below a directory.
fn add_tree(archive: &mut Archive, directory: &Path, to: &str) -> Result<(), LabError> {
    let mut entries: Vec<_> = fs::read_dir(directory).map_err(failed("read", directory))?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, to) = (entry.path(), format!("{to}/{}", entry.file_name().to_string_lossy()));
        let about = fs::symlink_metadata(&path).map_err(failed("read", &path))?;
        if about.is_dir() {
            archive.add(&to, Entry::Directory);
            add_tree(archive, &path, &to)?;
        } else if about.permissions().mode() & 0o100 != 0 {
            archive.add(&to, Entry::Program(stripped(&path)?));
        } else {
            archive.add(&to, Entry::File(read(&path)?));
        }
    }
    Ok(())
}

/// Adds those of a kernel's modules that are wanted, and the lists by which `modprobe` finds them.
pub fn add_modules(archive: &mut Archive, kernel: &Kernel, wanted: &[&str]) -> Result<(), LabError> {
    let chosen = modules::choose(&kernel.modules, wanted)?;
    let to = format!("lib/modules/{}", kernel.version);
    for (name, module) in &chosen {
        archive.add(&format!("{to}/{name}.ko"), Entry::File(read(&module.file)?));
    }
    let (dependencies, aliases) = modules::indexes(&chosen);
    archive.add(&format!("{to}/modules.dep"), Entry::File(dependencies.into_bytes()));
    archive.add(&format!("{to}/modules.alias"), Entry::File(aliases.into_bytes()));
    archive.add(&format!("{to}/modules.symbols"), Entry::File(Vec::new()));
    Ok(())
}

/// Adds BusyBox, under each of its names that no program has already.
fn add_busybox(archive: &mut Archive) -> Result<(), LabError> {
    let program = tools::program("busybox", "bin/busybox")?;
    archive.add("bin/busybox", Entry::Program(read(Path::new(&program))?));
    for name in command::run(Command::new(&program).arg("--list"), "")?.lines() {
        let has = ["usr/sbin", "usr/bin"].iter().any(|directory| archive.has(&format!("{directory}/{name}")));
        if !has {
            archive.add(&format!("bin/{name}"), Entry::Link("busybox".to_owned()));
        }
    }
    // Where the kernel looks for it.
    archive.add("sbin/modprobe", Entry::Link("../bin/busybox".to_owned()));
    Ok(())
}

fn add_program(archive: &mut Archive, to: &str, from: &Path, folder: Option<&Path>) -> Result<(), LabError> {
    archive.add(to, Entry::Program(read(from)?));
    add_libraries(archive, "", from, folder)
}

/// Adds the libraries that a program is linked with: into the directory `to`, the loader with them, or, where that is empty, where the
/// loader looks for them by itself.
pub fn add_libraries(
    archive: &mut Archive,
    to: &str,
    program: &Path,
    folder: Option<&Path>,
) -> Result<(), LabError> {
    let machine = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new("ldd");
    command.arg(program);
    if let Some(folder) = folder {
        command.env(
            "LD_LIBRARY_PATH",
            format!("{}/usr/{machine}:{}/{machine}", folder.display(), folder.display()),
        );
    }
    let listed = String::from_utf8_lossy(&command::output(&mut command, "")?.stdout).into_owned();
    for path in libraries(&listed) {
        let from = Path::new(&path);
        let name = from.file_name().unwrap_or_default().to_string_lossy();
        let at = match to {
            // The loader's own place stands in each program.
            "" if name.starts_with("ld-linux") => path.clone(),
            "" => format!("{machine}/{name}"),
            to => format!("{to}/{name}"),
        };
        archive.add(&at, Entry::Program(read(from)?));
    }
    Ok(())
}

/// Returns the files that `ldd` names.
fn libraries(listed: &str) -> BTreeSet<String> {
    let file = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    listed.lines().filter_map(file).collect()
}

/// Returns a program without what only a debugger reads; as it is where there is no `strip`.
pub fn stripped(program: &Path) -> Result<Vec<u8>, LabError> {
    let copy = std::env::temp_dir().join(format!("dlan-lab-strip-{}", std::process::id()));
    let outcome = command::run(Command::new("strip").arg("-o").arg(&copy).arg(program), "");
    let octets = read(if outcome.is_ok() { &copy } else { program });
    // Where nothing was made there is nothing to take away.
    let _ = fs::remove_file(&copy);
    octets
}

/// Returns what a file has.
pub fn read(path: &Path) -> Result<Vec<u8>, LabError> {
    fs::read(path).map_err(failed("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<_> = libraries(listed).into_iter().collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
