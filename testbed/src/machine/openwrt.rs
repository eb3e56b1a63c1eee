//! Machines that boot a root tree of OpenWrt's: what is added to it, and the disk that each machine has of it. Its own init starts its
//! own services; this project's package is installed by its own package manager.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::LabError;
use crate::files::{failed, read_file, write_file};
use crate::layout::{LAN, WAN};
use crate::machine::cpio::{Archive, Entry};
use crate::machine::image::{self, Image, Kernel, MODULES};
use crate::machine::plan::Boot;
use crate::machine::tree::{self, Packages, Release};
use crate::machine::{LAN_PORT, disk};
use crate::node::own_program;
use crate::tools;

/// The modules that are there before the tree's own init.
const FIRST_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "virtio_net"];
/// The modules that the tree's own start-up loads: what its kernel has built in, or its packages of modules would bring.
const LOADED: &str = "bridge\n8021q\nwireguard\nvxlan\ndummy\n";
/// The packages of modules that ours needs: the modules come with the kernel that is booted.
const GIVEN: [&str; 2] = ["kmod-wireguard", "kmod-vxlan"];
/// Where a kernel would be that the tree brings along.
const KERNEL: &str = "boot/vmlinuz";
/// Where the lab's own things are in the tree.
const LAB: &str = "usr/lib/lab";
/// A machine's disk is larger than what lies on it by so much, in MiB.
const ROOM: u64 = 48;
/// What a machine is told of the network beside its own devices.
const NETWORK: &str = "config interface 'loopback'
	option device 'lo'
	option proto 'static'
	option ipaddr '127.0.0.1'
	option netmask '255.0.0.0'
";

/// The root tree that an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWrt {
    /// What it is.
    pub release: Release,
    /// Where in a machine the package lies that is to be installed.
    pub package: String,
}

/// Returns the image of a root tree, made anew if the tree, our package or anything that is added differs from before.
pub fn make(given: &Path) -> Result<Image, LabError> {
    if !given.exists() {
        return Err(LabError::Asked(format!("there is no {}", given.display())));
    }
    let directory = tools::folder("machines")?;
    fs::create_dir_all(&directory).map_err(failed("make", &directory))?;
    let mut hasher = DefaultHasher::new();
    tree::take_in(given, &mut hasher)?;
    let unpacked = directory.join(format!("{:016x}.unpacked", hasher.finish()));
    if !unpacked.exists() {
        forget(&directory, "unpacked")?;
        let part = unpacked.with_extension("unpacking");
        // Those that were interrupted, or were no tree, leave this.
        forget(&directory, "unpacking")?;
        tree::unpack(given, &part)?;
        tree::release(&part)?;
        fs::rename(&part, &unpacked).map_err(failed("name", &unpacked))?;
    }
    let release = tree::release(&unpacked)?;
    let kernel = kernel(&unpacked)?;
    let package = package(&release)?;
    let first = image::first(&kernel, include_bytes!("../../machine/init-openwrt"), FIRST_MODULES)?;
    let added = added(&kernel, &package)?;
    hasher.write(&first.octets());
    hasher.write(&added.octets());
    let path = |kind: &str| directory.join(format!("{:016x}.{kind}", hasher.finish()));
    let image = Image {
        kernel: kernel.file,
        version: kernel.version,
        first: path("init"),
        system: path("root"),
        tree: Some(OpenWrt {
            package: format!("/{LAB}/dlan.{}", release.packages.extension()),
            release: release.clone(),
        }),
    };
    if !image.system.exists() {
        forget(&directory, "root")?;
        forget(&directory, "init")?;
        fs::write(&image.first, first.octets()).map_err(failed("write", &image.first))?;
        let part = image.system.with_extension("adding");
        let _ = fs::remove_dir_all(&part);
        command::run(Command::new("cp").args(["-al"]).arg(&unpacked).arg(&part), "")?;
        for directory in ["proc", "sys", "dev", "tmp", "overlay", "mnt", "root"] {
            fs::create_dir_all(part.join(directory)).map_err(failed("make", &part))?;
        }
        added.lay_out(&part)?;
        give_modules(&part, &release, &image.version)?;
        fs::rename(&part, &image.system).map_err(failed("name", &image.system))?;
    }
    Ok(image)
}

/// Removes what was made of other trees.
fn forget(directory: &Path, kind: &str) -> Result<(), LabError> {
    for old in fs::read_dir(directory).map_err(failed("read", directory))?.flatten() {
        if old.path().extension().is_some_and(|end| end == kind) {
            command::run(Command::new("rm").arg("-rf").arg(old.path()), "")?;
        }
    }
    Ok(())
}

/// Returns the kernel that the tree brings along, with its modules in the tree, or Debian's.
fn kernel(tree: &Path) -> Result<Kernel, LabError> {
    let file = tree.join(KERNEL);
    let modules = fs::read_dir(tree.join("lib/modules")).into_iter().flatten().flatten().next();
    match modules {
        Some(modules) if file.exists() => {
            let version = modules.file_name().to_string_lossy().into_owned();
            Ok(Kernel { file, modules: modules.path(), version })
        }
        _ => image::debian_kernel(),
    }
}

/// Returns our package for a release: what the environment's `DLAN_PACKAGE` says, else what `make package` left.
fn package(release: &Release) -> Result<PathBuf, LabError> {
    if let Some(named) = std::env::var_os("DLAN_PACKAGE") {
        return Ok(PathBuf::from(named));
    }
    let extension = release.packages.extension();
    let end = format!("_{}.{extension}", release.architecture);
    let above = own_program()?.parent().map(|directory| directory.join("../packages")).unwrap_or_default();
    let packages = fs::read_dir(&above).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| {
            name.to_string_lossy().starts_with("dlan") && name.to_string_lossy().ends_with(&end)
        })
    };
    packages.filter(is_ours).max().ok_or_else(|| {
        LabError::Asked(format!(
            "{} installs our package: `make package ARCH={}` makes it, DLAN_PACKAGE names one",
            release.name, release.architecture
        ))
    })
}

/// Returns what is added to a tree: modules of the kernel, the lab's own line into the machine, and our package.
fn added(kernel: &Kernel, package: &Path) -> Result<Archive, LabError> {
    let mut archive = Archive::default();
    if !kernel.file.ends_with(KERNEL) {
        image::add_modules(&mut archive, kernel, MODULES)?;
    }
    archive.add("etc/modules.d/00-lab", Entry::File(LOADED.as_bytes().to_vec()));
    archive.add("etc/init.d/lab", Entry::Program(include_bytes!("../../machine/lab-openwrt").to_vec()));
    archive.add("etc/rc.d/S96lab", Entry::Link("../init.d/lab".to_owned()));
    // Where programs of other systems keep what OpenWrt keeps below /var.
    archive.add("run", Entry::Link("var/run".to_owned()));
    for (name, program) in [("dlan-lab", own_program()?), ("ip", image::of_this_system("ip")?)] {
        archive.add(&format!("{LAB}/programs/{name}"), Entry::Program(image::stripped(&program)?));
        image::add_libraries(&mut archive, &format!("{LAB}/libraries"), &program, None)?;
        let run = format!(
            "#!/bin/sh\nexec /{LAB}/libraries/ld-linux-x86-64.so.2 --library-path /{LAB}/libraries /{LAB}/programs/{name} \"$@\"\n"
        );
        archive.add(&format!("{LAB}/bin/{name}"), Entry::Program(run.into_bytes()));
    }
    let extension = package.extension().unwrap_or_default().to_string_lossy();
    archive.add(&format!("{LAB}/dlan.{extension}"), Entry::File(image::read(package)?));
    Ok(archive)
}

/// Has the tree's package manager know that the modules are there that our package needs.
fn give_modules(tree: &Path, release: &Release, version: &str) -> Result<(), LabError> {
    let version: String = version.split('-').take(2).collect::<Vec<_>>().join("-");
    let architecture = &release.architecture;
    let (file, mut text) = match release.packages {
        Packages::Opkg => ("usr/lib/opkg/status", String::new()),
        Packages::Apk => ("lib/apk/db/installed", String::new()),
    };
    for name in GIVEN {
        if release.packages == Packages::Opkg {
            // It reads what files each has.
            replace(&tree.join(format!("usr/lib/opkg/info/{name}.list")), "")?;
        }
        // Writing to a String cannot fail.
        let _ = match release.packages {
            Packages::Opkg => writeln!(
                text,
                "\nPackage: {name}\nVersion: {version}\nDepends: libc\nStatus: install user installed\nArchitecture: {architecture}"
            ),
            Packages::Apk => writeln!(
                text,
                "P:{name}\nV:{}\nA:{architecture}\nT:it comes with the kernel\n",
                version.replace('-', "-r")
            ),
        };
    }
    let file = tree.join(file);
    let before = read_file(&file)?;
    replace(&file, &format!("{}\n{text}", before.trim_end()))
}

/// Replaces a file that others may have a hard link to.
fn replace(file: &Path, text: &str) -> Result<(), LabError> {
    // One that is not there needs no removal.
    let _ = fs::remove_file(file);
    write_file(file, text)
}

/// Makes the disk of a machine out of an image's tree; `key` is the public key that may log in.
pub fn make_disk(disk: &Path, tree: &Path, (name, boot): (&str, &Boot), key: &str) -> Result<(), LabError> {
    let root = disk.with_extension("files");
    let _ = fs::remove_dir_all(&root);
    command::run(Command::new("cp").arg("-al").arg(tree).arg(&root), "")?;
    let system = format!(
        "config system\n\toption hostname '{name}'\n\toption timezone 'UTC'\n\toption log_size '256'\n"
    );
    for (path, text, mode) in [
        ("etc/config/network", network(boot), 0o644),
        ("etc/config/system", system, 0o644),
        ("etc/hosts", boot.hosts.clone(), 0o644),
        ("etc/dropbear/authorized_keys", key.to_owned(), 0o600),
    ] {
        let file = root.join(path);
        if let Some(above) = file.parent() {
            fs::create_dir_all(above).map_err(failed("make", above))?;
        }
        replace(&file, &text)?;
        let set = fs::set_permissions(&file, fs::Permissions::from_mode(mode));
        set.map_err(failed("protect", &file))?;
    }
    let said = command::run(Command::new("du").args(["-sm", "--apparent-size"]).arg(&root), "")?;
    let used: u64 = said.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default();
    disk::format(disk, &root, used + used / 8 + ROOM)?;
    command::run(Command::new("rm").arg("-rf").arg(&root), "").map(drop).map_err(LabError::from)
}

/// Returns `/etc/config/network` for what a machine would otherwise set up by `ip`.
fn network(boot: &Boot) -> String {
    let mut text = NETWORK.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nconfig device\n\toption name '{LAN}'\n\toption type 'bridge'\n\tlist ports '{LAN_PORT}'\n"
    );
    let words: Vec<Vec<&str>> = boot.ip.iter().map(|line| line.split_whitespace().collect()).collect();
    for (interface, device) in [("lan", LAN), ("wan", WAN)] {
        let _ = write!(
            text,
            "\nconfig interface '{interface}'\n\toption device '{device}'\n\toption proto 'static'\n"
        );
        let mut lines = BTreeSet::new();
        for line in &words {
            match line.as_slice() {
                ["addr", "add", address, "dev", at, ..] if *at == device => {
                    let option = if address.contains(':') { "ip6addr" } else { "ipaddr" };
                    lines.insert(format!("\tlist {option} '{address}'\n"));
                }
                ["route", "add", "default", "via", gateway, "dev", at, ..] if *at == device => {
                    let option = if gateway.contains(':') { "ip6gw" } else { "gateway" };
                    lines.insert(format!("\toption {option} '{gateway}'\n"));
                }
                _ => {}
            }
        }
        text.extend(lines);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use crate::machine::plan;
    use crate::topology::Topology;

    #[test]
    fn a_machine_is_told_of_the_same_network_in_openwrts_words() {
        let topology =
            Topology::parse(include_str!("../../topologies/triangle.toml"), "triangle.toml").unwrap();
        let boots = plan::split(&mut Layout::new(&topology));
        let text = network(&boots["r2"]);
        for line in [
            "config interface 'lan'\n\toption device 'br-lan'\n\toption proto 'static'\n\tlist ip6addr 'fd79:2de7:db86:2::1/64'\n\tlist ipaddr '10.2.2.1/24'\n",
            "\toption gateway '203.0.113.1'\n\toption ip6gw '2001:db8:f2::1'\n",
            "\tlist ports 'lan0'\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
