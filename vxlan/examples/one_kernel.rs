//! The first program of a machine with nothing else in it: runs an agent there, which makes a mesh with another such machine, and
//! compares what the kernel shows in `/proc` and `/sys`, and who answers, with what the agent was to tell the kernel by netlink.
//!
//! The word `router=1` or `router=2` of the kernel's command line says which of the two it is. Nothing of the netlink libraries is
//! used here. It is `nft` as well, under that name: one that remembers no more than whether there is a table.
#![allow(clippy::print_stdout, reason = "packaging/on-kernel reads it")]

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix::mount::{MsFlags, mount};
use x25519_dalek::{PublicKey, StaticSecret};

/// How long each claim may take to come true: an emulated processor on a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(500);
const PORT: u16 = 7777;
const AGENT: &str = "/usr/bin/dlan";
/// How the names of links' devices begin; without a link a network of the mesh is unreachable, by a route of its own.
const LINK: &str = "dlan-vx";
/// There while the stand-in for nftables has a table.
const TABLE: &str = "/run/table";
/// IFF_UP of linux/if.h.
const UP: u32 = 1;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name() == Some(OsStr::new("nft")) {
        return nft().unwrap_or(ExitCode::FAILURE);
    }
    match Witness::new().and_then(|witness| witness.run()) {
        Ok(()) => println!("witness: everything held"),
        Err(why) => println!("witness: FAILED: {why}"),
    }
    // The first program never ends: packaging/on-kernel switches the machine off.
    loop {
        thread::park();
    }
}

/// Answers as `nft` does: with a table after one was added, without after it was deleted.
fn nft() -> io::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "list") {
        if !Path::new(TABLE).exists() {
            io::stderr().write_all(b"Error: No such file or directory\n")?;
            return Ok(ExitCode::FAILURE);
        }
        println!(r#"{{"nftables": []}}"#);
        return Ok(ExitCode::SUCCESS);
    }
    let mut ruleset = String::new();
    io::stdin().read_to_string(&mut ruleset)?;
    if words.iter().any(|word| word == "-c") {
        return Ok(ExitCode::SUCCESS);
    }
    // A ruleset has chains; what takes the table away has none.
    if ruleset.contains("\"chain\"") {
        fs::write(TABLE, "")?;
    } else if Path::new(TABLE).exists() {
        fs::remove_file(TABLE)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// This machine's number, the other's, and what the other said.
struct Witness {
    own: u8,
    peer: u8,
    socket: UdpSocket,
    heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Witness {
    fn new() -> Result<Self, Box<dyn Error>> {
        for (kind, at) in
            [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"), ("tmpfs", "/tmp")]
        {
            fs::create_dir_all(at)?;
            mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)?;
        }
        let own: u8 = std::env::var("router")?.parse()?;
        let peer = 3 - own;
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
        Ok(Self { own, peer, socket, heard: Arc::default() })
    }

    fn run(&self) -> Outcome {
        println!("witness: router {} on {}", self.own, fs::read_to_string("/proc/version")?.trim());
        self.listen()?;
        self.write_configuration()?;
        set_up("lo", true)?;
        set_up("dummy0", true)?;
        let mut agent =
            Command::new(AGENT).arg("agent").env("PATH", "/usr/bin").stdin(Stdio::null()).spawn()?;
        claim("WireGuard's and VXLAN's devices are there", || Ok(ours()?.len() >= 2))?;
        claim("the LAN has its addresses", || {
            Ok(fs::read_to_string("/proc/net/if_inet6")?.contains(&hex(lan6(self.own))))
        })?;
        claim("the kernel has the route to the other LAN, IPv6", || self.has_route6())?;
        claim("the kernel has the route to the other LAN, IPv4", || self.has_route4())?;
        for address in [IpAddr::V6(lan6(self.peer)), IpAddr::V4(lan4(self.peer))] {
            claim(&format!("{address} answers"), || self.asks(address))?;
        }
        self.notices()?;
        println!("{}", said_by(&["status"])?);
        self.ends(&mut agent)
    }

    /// A device that somebody takes down is put up again: the kernel's own words are understood too.
    fn notices(&self) -> Outcome {
        let devices = ours()?;
        let device =
            devices.iter().find(|name| name.starts_with(LINK)).ok_or("there is no device of a link")?;
        set_up(device, false)?;
        claim(&format!("{device}, taken down, is up again"), || is_up(device))?;
        claim("the route is there again, IPv6", || self.has_route6())?;
        claim("the other answers again", || self.asks(IpAddr::V6(lan6(self.peer))))
    }

    /// The second ends when the first has seen everything, and leaves nothing; the first sees its routes go.
    fn ends(&self, agent: &mut std::process::Child) -> Outcome {
        let peer = IpAddr::V6(lan6(self.peer));
        if self.own == 1 {
            claim("the other has heard that all is well", || {
                self.say(peer, "done")?;
                Ok(!self.has_route6()? && !self.has_route4()?)
            })?;
        } else {
            claim("the other says that all is well", || Ok(self.has_heard("done")))?;
        }
        println!("{}", said_by(&["down"])?);
        agent.wait()?;
        claim("nothing of it is left", || {
            Ok(ours()?.is_empty() && !self.has_route6()? && !self.has_route4()?)
        })
    }

    fn write_configuration(&self) -> Outcome {
        let secret = |of: u8| StaticSecret::from([of; 32]);
        let public = BASE64.encode(PublicKey::from(&secret(self.peer)).as_bytes());
        let (own, peer) = (self.own, self.peer);
        fs::create_dir_all("/etc/config")?;
        fs::create_dir_all("/etc/dlan")?;
        fs::write("/etc/dlan/wg.key", BASE64.encode(secret(own).to_bytes()))?;
        fs::set_permissions("/etc/dlan/wg.key", fs::Permissions::from_mode(0o600))?;
        let text = format!(
            "config mesh 'mesh'\n\toption host_id '{own}'\n\toption name 'r{own}'\n\
             config wan 'wan0'\n\toption device 'eth0'\n\
             config lan 'lan0'\n\toption device 'dummy0'\n\toption ipv4 '{}/24'\n\toption ipv6 '{}/64'\n\
             config link 'r{peer}'\n\toption host_id '{peer}'\n\toption public_key '{public}'\n\
             \toption endpoint '192.0.2.{peer}:51820'\n",
            lan4(own),
            lan6(own)
        );
        fs::write("/etc/config/dlan", text)?;
        Ok(())
    }

    /// Answers whoever asks, and keeps what is said.
    fn listen(&self) -> Outcome {
        let (socket, heard) = (self.socket.try_clone()?, Arc::clone(&self.heard));
        thread::spawn(move || {
            let mut octets = [0; 64];
            while let Ok((count, from)) = socket.recv_from(&mut octets) {
                let words = String::from_utf8_lossy(octets.get(..count).unwrap_or_default()).into_owned();
                if let Some(whom) = words.strip_prefix("ask ") {
                    // Who asks will ask again.
                    let _ = socket.send_to(format!("answer {whom}").as_bytes(), from);
                }
                heard.lock().unwrap_or_else(PoisonError::into_inner).insert(words);
            }
        });
        Ok(())
    }

    /// The answer may come from another of the peer's addresses; that it was asked at this one is in the words.
    fn asks(&self, whom: IpAddr) -> Result<bool, Box<dyn Error>> {
        self.say(whom, &format!("ask {whom}"))?;
        thread::sleep(POLL);
        Ok(self.heard.lock().unwrap_or_else(PoisonError::into_inner).remove(&format!("answer {whom}")))
    }

    fn has_heard(&self, words: &str) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(words)
    }

    fn say(&self, whom: IpAddr, words: &str) -> Outcome {
        let to = match whom {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        // Without a route it cannot be sent: the claim says so in time.
        let _ = self.socket.send_to(words.as_bytes(), SocketAddr::new(to.into(), PORT));
        Ok(())
    }

    fn has_route6(&self) -> Result<bool, Box<dyn Error>> {
        let [a, b, c, d, ..] = lan6(self.peer).segments();
        let network = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
        let begin = format!("{} 40 ", hex(network));
        Ok(fs::read_to_string("/proc/net/ipv6_route")?
            .lines()
            .any(|line| line.starts_with(&begin) && line.contains(LINK)))
    }

    fn has_route4(&self) -> Result<bool, Box<dyn Error>> {
        let [a, b, c, _] = lan4(self.peer).octets();
        let leaf = format!("|-- {a}.{b}.{c}.0");
        // Unlike /proc/net/route it has every table. The lines behind an address say what is done with it.
        let trie = fs::read_to_string("/proc/net/fib_trie")?;
        let mut lines = trie.lines().map(str::trim).skip_while(|line| *line != leaf).skip(1);
        Ok(lines.by_ref().take_while(|line| line.starts_with('/')).any(|line| line.ends_with("UNICAST")))
    }
}

/// Waits until something holds.
fn claim(what: &str, mut holds: impl FnMut() -> Result<bool, Box<dyn Error>>) -> Outcome {
    let begun = Instant::now();
    while !holds()? {
        if begun.elapsed() > LIMIT {
            return Err(format!("not so: {what}").into());
        }
        thread::sleep(POLL);
    }
    println!("witness: {what}");
    Ok(())
}

fn lan4(router: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 2, router, 1)
}

fn lan6(router: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x2, router.into(), 0, 0, 0, 0, 1)
}

fn hex(address: Ipv6Addr) -> String {
    address.octets().map(|octet| format!("{octet:02x}")).concat()
}

/// Names of the agent's devices.
fn ours() -> io::Result<Vec<String>> {
    let names =
        fs::read_dir("/sys/class/net")?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names
        .filter(|name: &io::Result<String>| name.as_ref().map_or(true, |name| name.starts_with("dlan-")))
        .collect()
}

fn flags(device: &str) -> Result<u32, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/sys/class/net/{device}/flags"))?;
    Ok(u32::from_str_radix(text.trim().trim_start_matches("0x"), 16)?)
}

fn is_up(device: &str) -> Result<bool, Box<dyn Error>> {
    Ok(flags(device)? & UP != 0)
}

fn set_up(device: &str, up: bool) -> Outcome {
    let flags = if up { flags(device)? | UP } else { flags(device)? & !UP };
    fs::write(format!("/sys/class/net/{device}/flags"), format!("{flags:#x}"))?;
    Ok(())
}

fn said_by(words: &[&str]) -> io::Result<String> {
    let output = Command::new(AGENT).args(words).env("PATH", "/usr/bin").output()?;
    Ok([output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
}
