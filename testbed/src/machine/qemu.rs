//! Starting and ending machines: the emulator's command line, and whether the processor's own virtualization works here.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::command;
use crate::error::LabError;
use crate::files::{failed, read_file, write_file};
use crate::machine::image::{self, Image};
use crate::machine::{MEMORY, PORTS, Port, openwrt};
use crate::node::{Node, end_process};
use crate::{tools, wait};

/// How long the first answer of a booting machine may take: five boot at once on two slow cores, whose system may start much.
const BOOT_LIMIT: Duration = Duration::from_secs(600);
/// How long a machine that only says that it runs may take, in seconds.
const PROBE_LIMIT: &str = "20";
/// The file that says which root tree machines boot.
const TREE: &str = "tree";
const PROGRAM: &str = "qemu-system-x86_64";

/// What moves a machine's processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// A translator.
    Tcg,
}

impl Accelerator {
    /// Returns what the emulator calls it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            // The translator's store of code would otherwise grow with this machine's memory.
            Self::Tcg => "tcg,tb-size=64",
        }
    }
}

/// What differs from one start of a machine to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// Words for the kernel's command line: `lab.hold` keeps the agent from starting, `lab.without=MODULE` hides a module.
    pub words: Vec<String>,
    /// What the machine's clock says at power-on, in UTC; the present time where there is none.
    pub clock: Option<String>,
    /// A state of its memory to go on from, instead of booting.
    pub resume: Option<PathBuf>,
}

/// Where the files of a lab's machines are, and what they boot.
#[derive(Debug, Default)]
pub struct Fleet {
    directory: PathBuf,
    /// The root tree that they boot, where one is given.
    tree: Option<PathBuf>,
    boots: OnceLock<(Image, Accelerator)>,
}

impl Fleet {
    /// Returns the machines whose files are in a directory.
    pub fn new(directory: PathBuf) -> Self {
        let tree = read_file(&directory.join(TREE)).ok().map(PathBuf::from);
        Self { directory, tree, boots: OnceLock::new() }
    }

    /// Begins with machines whose files will be in a directory, and which boot a root tree if one is given.
    pub fn begin(directory: PathBuf, tree: Option<&Path>) -> Result<Self, LabError> {
        fs::create_dir_all(&directory).map_err(failed("make", &directory))?;
        if let Some(tree) = tree {
            let tree = tree.canonicalize().map_err(failed("find", tree))?;
            write_file(&directory.join(TREE), &tree.to_string_lossy())?;
        }
        Ok(Self::new(directory))
    }

    /// Returns a machine's file, such as its disk.
    pub fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("{name}.{kind}"))
    }

    /// Makes the image and finds out how machines run here, unless that was done before.
    pub fn prepare(&self) -> Result<&(Image, Accelerator), LabError> {
        if let Some(boots) = self.boots.get() {
            return Ok(boots);
        }
        let image = match &self.tree {
            Some(tree) => openwrt::make(tree)?,
            None => image::make()?,
        };
        let accelerator = accelerator(&image)?;
        Ok(self.boots.get_or_init(|| (image, accelerator)))
    }

    /// Switches the machine of a cabinet on; it logs what its serial console says to `log`.
    pub fn start(&self, cabinet: &Node, host_id: u16, log: &Path, start: &Start) -> Result<(), LabError> {
        let (image, accelerator) = self.prepare()?;
        let name = &cabinet.name;
        let file = |kind| self.file(name, kind).display().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &cabinet.pid.to_string(), "-n", "-p", "--"]);
        common(&mut command, image, *accelerator, &start.words.join(" "))?;
        command.args(["-name", name, "-daemonize"]);
        if let Some(clock) = &start.clock {
            command.args(["-rtc", &format!("base={clock}")]);
        }
        if let Some(state) = &start.resume {
            command.args(["-incoming", &format!("exec:cat {}", state.display())]);
        }
        let system = format!("{},readonly=on", image.system.display());
        // A root tree is on the machine's own disk.
        let system = image.tree.is_none().then_some(("system", system));
        for (id, what) in [("disk", file("disk"))].into_iter().chain(system) {
            command.args(["-drive", &format!("file={what},if=none,id={id},format=raw")]);
            command.args(["-device", &format!("virtio-blk-pci,drive={id}")]);
        }
        for port in PORTS {
            command.args(["-netdev", &tap(port)]);
            command.args(["-device", &interface(host_id, port)]);
        }
        for (what, extra) in
            [("console", format!(",logfile={},logappend=on", log.display())), ("monitor", String::new())]
        {
            command.args([
                "-chardev",
                &format!("socket,id={what},path={},server=on,wait=off{extra}", file(what)),
            ]);
        }
        command.args(["-serial", "chardev:console", "-mon", "chardev=monitor,mode=readline"]);
        command::run(&mut command, "").map(drop).map_err(LabError::from)
    }

    /// Cuts the power of the machine of a cabinet; what it had not written to its disk is gone.
    pub fn cut_power(&self, cabinet: &Node) {
        for pid in emulators(cabinet) {
            end_process(pid);
        }
    }

    /// Pulls an interface out of a machine that runs; its port stays.
    pub fn unplug(&self, name: &str, port: Port) -> Result<(), LabError> {
        tell_monitor(&self.file(name, "monitor"), &format!("device_del i{}", port.number)).map(drop)
    }

    /// Plugs an interface into the port of a machine that runs; refused while the machine has not let go of the one before.
    pub fn plug(&self, name: &str, host_id: u16, port: Port) -> Result<(), LabError> {
        self.order(name, &format!("device_add {}", interface(host_id, port)))
    }

    /// Gives a machine that runs a further port, whose tap device is in its cabinet, and plugs an interface into it.
    pub fn add_port(&self, name: &str, host_id: u16, port: Port) -> Result<(), LabError> {
        self.order(name, &format!("netdev_add {}", tap(port)))?;
        self.plug(name, host_id, port)
    }

    /// Takes a further port away from a machine that has let go of its interface.
    pub fn remove_port(&self, name: &str, port: Port) -> Result<(), LabError> {
        self.order(name, &format!("netdev_del {}", port.tap))
    }

    /// Has a machine's monitor carry out a line, which says nothing unless it is refused.
    fn order(&self, name: &str, line: &str) -> Result<(), LabError> {
        let said = tell_monitor(&self.file(name, "monitor"), line)?;
        match said.lines().find(|line| line.starts_with("Error:")) {
            Some(error) => Err(LabError::Asked(error.to_owned())),
            None => Ok(()),
        }
    }

    /// Waits until the machine of a cabinet has booted.
    pub fn wait(&self, machine: &Node, log: &Path) -> Result<(), LabError> {
        wait::until(BOOT_LIMIT, &format!("{} to boot", machine.name), || {
            let runs = !emulators(&machine.cabinet()).is_empty();
            if machine.succeeds("true", &[]) {
                return Ok(());
            }
            let said = read_file(log).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(3).collect();
            let state = if runs { "it runs" } else { "it does not run" };
            Err(format!(
                "{state}; its console says: {}",
                last.into_iter().rev().collect::<Vec<_>>().join(" / ")
            ))
        })
    }
}

/// Returns what the emulator is told of a machine's interface.
fn interface(host_id: u16, port: Port) -> String {
    let (tap, number) = (port.tap, port.number);
    let [high, low] = host_id.to_be_bytes();
    format!(
        "virtio-net-pci,id=i{number},netdev={tap},mac=52:54:00:{high:02x}:{low:02x}:{number:02x},romfile="
    )
}

/// Returns what the emulator is told of the cabinet's end of a port.
fn tap(port: Port) -> String {
    format!("tap,id={0},ifname={0},script=no,downscript=no", port.tap)
}

/// Returns the host's process ids of a cabinet's emulator: none or one.
pub fn emulators(cabinet: &Node) -> Vec<i32> {
    cabinet.processes(|arguments| arguments.first().is_some_and(|program| program.ends_with(PROGRAM)))
}

/// Puts the emulator and what every machine has behind a command.
fn common(
    command: &mut Command,
    image: &Image,
    accelerator: Accelerator,
    words: &str,
) -> Result<(), LabError> {
    let folder = tools::folder("qemu")?;
    let share = |name: &str| folder.join("usr/share").join(name).display().to_string();
    let libraries = ["usr/lib", "lib"].map(|path| folder.join(format!("{path}/x86_64-linux-gnu")));
    command
        .arg(tools::program("qemu", &format!("usr/bin/{PROGRAM}"))?)
        .env("LD_LIBRARY_PATH", std::env::join_paths(&libraries).unwrap_or_default())
        .env("QEMU_MODULE_DIR", folder.join("usr/lib/x86_64-linux-gnu/qemu"))
        .args(["-L", &share("qemu"), "-L", &share("seabios")])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-cpu", "max"])
        .args(["-accel", accelerator.option(), "-m", &MEMORY.to_string(), "-smp", "1"])
        .arg("-kernel")
        .arg(&image.kernel)
        .arg("-initrd")
        .arg(&image.first)
        .args(["-append", &format!("console=ttyS0 quiet panic=1 net.ifnames=0 {words}")]);
    Ok(())
}

/// Returns what moves machines here: the processor itself, if a machine runs that way, which is tried once in a boot of this machine.
fn accelerator(image: &Image) -> Result<Accelerator, LabError> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(Accelerator::Tcg);
    }
    let boot = read_file(Path::new("/proc/sys/kernel/random/boot_id"))?;
    let note = tools::folder("machines")?.join("accelerator");
    let known = read_file(&note).unwrap_or_default();
    let works = match known.strip_prefix(boot.trim()) {
        Some(verdict) => verdict.trim() == "kvm",
        None => probe(image)?,
    };
    if !known.starts_with(boot.trim()) {
        write_file(&note, &format!("{} {}\n", boot.trim(), if works { "kvm" } else { "tcg" }))?;
    }
    Ok(if works { Accelerator::Kvm } else { Accelerator::Tcg })
}

/// Boots a machine on the processor itself and returns whether it said that it runs.
fn probe(image: &Image) -> Result<bool, LabError> {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", PROBE_LIMIT]);
    common(&mut command, image, Accelerator::Kvm, "lab.probe")?;
    command.args(["-serial", "stdio", "-no-reboot"]).stdin(Stdio::null());
    let said = command::output(&mut command, "")?;
    Ok(String::from_utf8_lossy(&said.stdout).contains("lab: a machine runs"))
}

/// Has a machine's monitor carry out a line and returns what it said.
pub fn tell_monitor(socket: &Path, line: &str) -> Result<String, LabError> {
    let failed = |source| LabError::File { act: "speak to", path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(BOOT_LIMIT)).map_err(failed)?;
    let mut said = String::new();
    // A prompt before the line, and one when it has been carried out.
    for (prompts, line) in [(1, format!("{line}\n")), (2, String::new())] {
        while said.matches("(qemu) ").count() < prompts {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                return Err(failed(std::io::Error::other("it broke off")));
            }
            said.push_str(&String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()));
        }
        stream.write_all(line.as_bytes()).map_err(failed)?;
    }
    Ok(said)
}

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result<(), LabError> {
    fs::copy(from, to).map(drop).map_err(failed("copy", from))
}
