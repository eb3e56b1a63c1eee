//! What a router of the role has and a node of the lab has not: a package manager, a service manager, a user who is not root.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::operator::start_command;
use crate::agent::HOLD;
use crate::error::LabError;
use crate::lab::{read_file, write_file};
use crate::machine::image;
use crate::node::Node;
use crate::{ssh, tools};

/// Where the package puts the program.
const PROGRAM: &str = "/usr/bin/dlan";
/// The scripts of dlan's own package for Debian.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/debian");
/// Where a router keeps what it has instead of the host's; what a package's scripts take for systemd's mark.
const OWN: &str = "/run/own";
/// The same where the router is a machine.
const OWN_OF_MACHINES: &str = "/run/lab";
/// Who manages routers and is not root.
pub(super) const USER: &str = "keeper";
/// The host's programs, over which a router has its own.
const OVER: &str = "set -e
mkdir -p /run/own/usr /run/own/work
mount -t overlay -o lowerdir=/usr,upperdir=/run/own/usr,workdir=/run/own/work lab /usr
for at in /var/cache /var/log; do mount -t tmpfs lab $at; done";
/// What Debian's package manager knows: the few packages that are asked for.
const DATABASE: &str = "set -e
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/apt/lists/partial /var/cache/apt/archives/partial /var/log/apt
for name in nftables tcpdump; do
    printf 'Package: %s\nStatus: install ok installed\nMaintainer: lab\nArchitecture: all\nVersion: 1\nDescription: there\n\n' $name
    touch /var/lib/dpkg/info/$name.list
done > /var/lib/dpkg/status";
const CLOSE: &str = "umount -l /usr /var/cache /var/log
rm -rf /run/own /var/lib/dpkg /var/lib/apt
for file in sudoers doas.conf; do
    rm -f /etc/$file; if [ -e /run/host-etc/$file ]; then ln -s /run/host-etc/$file /etc/$file; fi
done
if [ -e /etc/pam.d/.lab ]; then umount -l /etc/pam.d; fi";
/// Where that is by which packages start and stop what they bring.
const MANAGER_PATH: &str = "/usr/bin/systemctl";
/// Stands in for systemd: the agent is all that it knows.
const MANAGER: &str = "#!/bin/sh
running() { read -r pid < /run/dlan/agent.lock && kill -0 \"$pid\"; } 2>/dev/null
stop() { HOLD; if running; then kill \"$pid\"; while running; do sleep 0.1; done; fi; }
start() { running || START; }
case \" $* \" in
*' stop '*) stop ;;
*' try-restart '*) if running; then stop; start; fi ;;
*' restart '*) stop; start ;;
*' start '*) start ;;
esac
exit 0
";
/// Lets a user become root without a password, and nobody else.
const RIGHTS: &str = "Defaults env_reset\nDefaults secure_path=\"/usr/sbin:/usr/bin:/sbin:/bin\"\nUSER ALL=(ALL:ALL) NOPASSWD: ALL\n";

/// Gives a router package manager and service manager.
pub(in crate::scenarios) fn open(router: &Node) -> Result<(), LabError> {
    // A machine's own start-up starts the agent as the package's unit has it, and again whenever it ends, unless it is held.
    let (hold, start) = if router.is_machine {
        (format!("touch {HOLD}"), format!("rm -f {HOLD}"))
    } else {
        router.run("sh", &["-c", OVER])?;
        (":".to_owned(), start_command(Path::new(PROGRAM))?)
    };
    router.run("sh", &["-c", DATABASE])?;
    router.write(MANAGER_PATH, &MANAGER.replace("HOLD", &hold).replace("START", &start))?;
    router.run("chmod", &["755", MANAGER_PATH])?;
    Ok(())
}

/// Takes them away again.
pub(super) fn close(router: &Node) -> Result<(), LabError> {
    router.run("sh", &["-c", CLOSE]).map(drop).map_err(LabError::from)
}

/// Makes a package of a program under a version, in the operator's node, and returns where.
pub(super) fn package(operator: &Node, version: &str, program: &Path) -> Result<String, LabError> {
    let tree = format!("/run/ansible/dlan_{version}_all");
    let at = |path: &str| operator.path(&format!("{tree}{path}"));
    for directory in ["/DEBIAN", "/usr/bin", "/etc/config"] {
        let path = at(directory);
        fs::create_dir_all(&path).map_err(|source| failed("make", &path, source))?;
    }
    let link = at(PROGRAM);
    symlink(program, &link).map_err(|source| failed("make", &link, source))?;
    write_file(&at("/etc/config/dlan"), "# dlan does nothing until it is told who this router is\n")?;
    write_file(&at("/DEBIAN/conffiles"), "/etc/config/dlan\n")?;
    let about = "Architecture: all\nMaintainer: the lab <lab@example.org>\nDescription: dlan in the lab\n";
    write_file(&at("/DEBIAN/control"), &format!("Package: dlan\nVersion: {version}\n{about}"))?;
    build(operator, &tree, OWN)
}

/// Makes this project's own package of a program under a version, for a machine, and returns where it is in the operator's node.
pub(in crate::scenarios) fn own_package(
    operator: &Node,
    version: &str,
    program: &Path,
) -> Result<String, LabError> {
    let tree = format!("/run/ansible/dlan_{version}_all");
    operator.run("dpkg-deb", &["--raw-extract", &image::package()?.to_string_lossy(), &tree])?;
    let path = operator.path(&format!("{tree}{PROGRAM}"));
    fs::write(&path, image::stripped(program)?).map_err(|source| failed("write", &path, source))?;
    let control = operator.path(&format!("{tree}/DEBIAN/control"));
    let lines = read_file(&control)?;
    let lines = lines.lines().map(|line| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}\n"),
        None => format!("{line}\n"),
    });
    write_file(&control, &lines.collect::<String>())?;
    build(operator, &tree, OWN_OF_MACHINES)
}

/// Gives a package its scripts, and makes its file.
fn build(operator: &Node, tree: &str, mark: &str) -> Result<String, LabError> {
    for script in ["postinst", "prerm", "postrm"] {
        // The agent is not to start its programs as units of a systemd that is not there.
        let text = read_file(&Path::new(SCRIPTS).join(script))?.replace("/run/systemd/system", mark);
        write_program(&operator.path(&format!("{tree}/DEBIAN/{script}")), &text)?;
    }
    let file = format!("{tree}.deb");
    operator.run("dpkg-deb", &["--root-owner-group", "-Znone", "--build", tree, &file])?;
    Ok(file)
}

/// Makes a user who may log in with the operator's key, and become root by sudo or by doas.
pub(super) fn add_user(router: &Node) -> Result<(), LabError> {
    let (sudo, doas) = (tools::program("sudo", "usr/bin/sudo")?, tools::program("doas", "usr/bin/doas")?);
    let libraries = tools::folder("sudo")?.join("usr/libexec/sudo");
    let libraries = libraries.canonicalize().map_err(|source| failed("find", &libraries, source))?;
    // Whoever unpacked them, a router's are root's.
    let copy = format!(
        "set -e; cp {sudo} {doas} /usr/bin/; cp -r {} /usr/libexec/\nchown -R 0:0 /usr/bin/sudo /usr/bin/doas /usr/libexec/sudo\n\
         chmod 4755 /usr/bin/sudo /usr/bin/doas\nmount -t tmpfs lab /etc/pam.d\ntouch /etc/pam.d/.lab\n\
         for kind in auth account session; do echo \"$kind required pam_permit.so\" | tee -a /etc/pam.d/sudo >> /etc/pam.d/doas; done\n\
         rm -f /etc/sudoers /etc/doas.conf; cat > /etc/sudoers; echo permit nopass {USER} > /etc/doas.conf\nchmod 440 /etc/sudoers /etc/doas.conf",
        libraries.display()
    );
    router.feed("sh", &["-c", &copy], &RIGHTS.replace("USER", USER))?;
    ssh::add_user(router, USER)
}

fn write_program(path: &Path, text: &str) -> Result<(), LabError> {
    write_file(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|source| failed("mark", path, source))
}

fn failed(act: &'static str, path: &Path, source: std::io::Error) -> LabError {
    LabError::File { act, path: path.to_owned(), source }
}
