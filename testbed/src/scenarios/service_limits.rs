//! What services keep back, count and write down, and what becomes of a port that is taken.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::services::{LIMIT, OUTSIDE, expose, get, restore, wait_for};
use crate::error::LabError;
use crate::lab::{Lab, write_file};
use crate::scenarios::{Scenario, Stage, claim};
use crate::serving::{HOLD, Server, any};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "service-limits",
        claim: "Connections beyond a service's limits are refused and those within go on; a rate holds each connection back; only sources that are allowed get in.",
        topology: "reference",
        run: limits,
    },
    Scenario {
        name: "service-counts",
        claim: "`dlan services` counts connections and octets of each socket, over reloads and another agent; with an access log each connection is a line of the system's log.",
        topology: "reference",
        run: counts,
    },
    Scenario {
        name: "service-port-taken",
        claim: "An apply that needs a port of another program fails and says so, and the services go on as before; when the port is free it goes through.",
        topology: "reference",
        run: port_taken,
    },
];

/// A stranger that holds a connection through the proxy; it has been answered.
struct Held(TcpStream);

impl Held {
    /// Connects from a node; `None` when the service ends the connection without an answer.
    fn open(lab: &Lab, node: &str, at: (&str, u16)) -> Result<Option<Self>, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("connection to {at:?}: {why}"));
        let address: SocketAddr =
            SocketAddr::new(at.0.parse().map_err(|_| LabError::Asked(at.0.to_owned()))?, at.1);
        let mut stream = lab.node(node)?.inside(|| TcpStream::connect(address))?.map_err(broken)?;
        stream.set_read_timeout(Some(LIMIT)).map_err(broken)?;
        // A connection that is refused may be reset before its first words are out.
        let said = stream.write_all(format!("{HOLD}\nhere").as_bytes());
        let mut heard = [0; 4];
        match said.and_then(|()| stream.read_exact(&mut heard)) {
            Ok(()) => Ok(Some(Self(stream))),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(broken(error)),
            Err(_) => Ok(None),
        }
    }

    /// Sends octets there and waits until all are back.
    fn echo(&mut self, octets: usize) -> Result<Duration, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("the connection broke: {why}"));
        let begun = Instant::now();
        let mut out = self.0.try_clone().map_err(broken)?;
        let sender = std::thread::spawn(move || out.write_all(&vec![7; octets]));
        let mut back = vec![0; octets];
        self.0.read_exact(&mut back).map_err(broken)?;
        let _ = sender.join();
        claim(back.iter().all(|octet| *octet == 7), || "what came back is something else".to_owned())?;
        Ok(begun.elapsed())
    }
}

fn limits(stage: &mut Stage) -> Result<(), LabError> {
    let Stage { lab, evidence, .. } = stage;
    let lab: &Lab = lab;
    let _server = Server::tcp(lab, "s1", any(8080))?;
    let upstream = lab.address_of("s1", false)?;
    let service = |name: &str, port: u16, options: &str| {
        format!(
            "config service '{name}'\n\tlist listen '*:{port}'\n\tlist upstream '{upstream}:8080'\n{options}\n"
        )
    };
    let services = service("few", 80, "\toption connections '3'\n\toption connections_per_source '2'\n")
        + &service("slow", 81, "\toption rate '800'\n")
        + &service("some", 82, "\tlist allow '2001:db8:1::/48'\n\tlist allow '198.51.100.6'\n");
    let before = expose(lab, "r4", &services)?;
    let [ipv4, ipv6] = OUTSIDE[0].1;
    for port in [80, 81] {
        wait_for(lab, "x1", (ipv4, port), "s1")?;
    }
    few(lab, (ipv4, ipv6))?;
    evidence.push(
        "two connections of one source, three in all; a fourth is refused, and taken when one has ended"
            .to_owned(),
    );
    let mut slow =
        Held::open(lab, "x1", (ipv4, 81))?.ok_or_else(|| LabError::Claim("81 is closed".to_owned()))?;
    let took = slow.echo(400_000)?;
    // 100 kB a second after those of the first second.
    claim(took > Duration::from_millis(2_500), || format!("400 kB at 100 kB/s took {took:?} only"))?;
    evidence.push(format!("400 kB at 800 kbit/s took {:.1} s", took.as_secs_f64()));
    for (node, address, is_let_in) in
        [("x1", ipv4, false), ("x1", ipv6, true), ("x2", ipv4, true), ("x2", ipv6, false)]
    {
        let held = Held::open(lab, node, (address, 82))?;
        claim(held.is_some() == is_let_in, || format!("{node} at {address}: let in: {}", held.is_some()))?;
    }
    evidence.push("of four sources the two that are allowed get in".to_owned());
    restore(lab, "r4", &before)
}

fn few(lab: &Lab, (ipv4, ipv6): (&str, &str)) -> Result<(), LabError> {
    let refused = |node: &str, address: &str, why: &str| -> Result<(), LabError> {
        claim(Held::open(lab, node, (address, 80))?.is_none(), || format!("{node} is let in: {why}"))
    };
    let let_in = |node: &str, address: &str| -> Result<Held, LabError> {
        // nginx hears of a connection's end a moment after the client.
        wait::until(LIMIT, "a connection within the limits", || match Held::open(lab, node, (address, 80)) {
            Ok(Some(held)) => Ok(held),
            Ok(None) => Err("refused".to_owned()),
            Err(error) => Err(error.with_causes()),
        })
    };
    let mut first = let_in("x1", ipv4)?;
    let second = let_in("x1", ipv4)?;
    refused("x1", ipv4, "two of its connections are open")?;
    let third = let_in("x2", ipv4)?;
    refused("x2", ipv6, "three connections are open")?;
    first.echo(1000)?;
    drop((second, third));
    let_in("x2", ipv6)?;
    first.echo(1000).map(drop)
}

/// Returns a number of the only socket of a service with this address.
fn traffic(lab: &Lab, socket: &str, what: &str) -> Result<u64, LabError> {
    let report = lab.dlan_json("r4", &["services"])?;
    let services = report.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
    let listens = services.iter().filter_map(|service| service.get("listen")?.as_array()).flatten();
    let mut of_socket = listens.filter(|listen| listen.get("socket").and_then(Value::as_str) == Some(socket));
    let found = of_socket.find_map(|listen| listen.get("traffic")?.get(what)?.as_u64());
    found.ok_or_else(|| LabError::Claim(format!("no {what} of {socket}: {report}")))
}

fn counts(stage: &mut Stage) -> Result<(), LabError> {
    let log = SystemLog::of(&stage.lab, "r4")?;
    let lab = &stage.lab;
    let _server = Server::tcp(lab, "s1", any(8080))?;
    let upstream = lab.address_of("s1", false)?;
    let service = |timeout: usize| {
        format!(
            "config service 'web'\n\tlist listen '*:80'\n\tlist upstream '{upstream}:8080'\n\toption access_log '1'\n\
             \toption connect_timeout '{timeout}'\n"
        )
    };
    let before = expose(lab, "r4", &service(1))?;
    let [ipv4, ipv6] = OUTSIDE[0].1;
    wait_for(lab, "x1", (ipv4, 80), "s1")?;
    let begun = traffic(lab, "0.0.0.0:80", "connections")?;
    let mut line =
        Held::open(lab, "x1", (ipv4, 80))?.ok_or_else(|| LabError::Claim("80 is closed".to_owned()))?;
    line.echo(1_000_000)?;
    // A lost packet of a beginning is sent again, and counted again.
    claim(traffic(lab, "0.0.0.0:80", "connections")? > begun, || "a connection was not counted".to_owned())?;
    for what in ["received", "sent"] {
        let octets = traffic(lab, "0.0.0.0:80", what)?;
        claim(octets > 1_000_000, || format!("a megabyte each way, and {octets} octets {what}"))?;
    }
    claim(traffic(lab, "[::]:80", "connections")? == 0, || "IPv4 counts for IPv6".to_owned())?;
    get(lab, "x1", ipv6, 80).map_err(LabError::Claim)?;
    claim(traffic(lab, "[::]:80", "connections")? > 0, || "IPv6 does not count".to_owned())?;
    let words = lab.dlan("r4", &["services"])?;
    claim(words.contains("CONNECTIONS") && words.contains("MB"), || {
        format!("`dlan services` says\n{words}")
    })?;
    let counted = traffic(lab, "0.0.0.0:80", "received")?;
    lab.write_config("r4", &format!("{before}\n{}", service(2)))?;
    lab.dlan("r4", &["apply"])?;
    stage.lab.kill_agent("r4")?;
    stage.lab.start_agent("r4")?;
    let lab = &stage.lab;
    wait::until(LIMIT, "the counts of before", || match traffic(lab, "0.0.0.0:80", "received") {
        Ok(now) if now >= counted => Ok(()),
        Ok(now) => Err(format!("{now} after {counted}")),
        Err(error) => Err(error.with_causes()),
    })?;
    stage.saw(format!("{counted} octets counted, and no fewer after a reload and another agent"));
    drop(line);
    let told = log.wait_for(" octets from the client")?;
    claim(told.contains("web: TCP 198.51.100.2:"), || format!("the system's log has {told:?}"))?;
    stage.saw(format!("the system's log: {}", told.split("web: ").last().unwrap_or_default()));
    restore(&stage.lab, "r4", &before)
}

/// The socket of the system's log in a node, read by the scenario.
struct SystemLog {
    socket: UnixDatagram,
    /// What was made outside the node to put the socket in its place.
    made: Option<PathBuf>,
}

impl SystemLog {
    fn of(lab: &Lab, node: &str) -> Result<Self, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("/dev/log of {node}: {why}"));
        let node = lab.node(node)?;
        let own = node.path("/run/log.socket");
        let socket = UnixDatagram::bind(&own).map_err(broken)?;
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o666)).map_err(broken)?;
        socket.set_read_timeout(Some(LIMIT)).map_err(broken)?;
        // Nodes have the host's /dev. A link that leads into /run leads into the node's own.
        let place = std::path::Path::new("/dev/log");
        let made = match std::fs::read_link(place) {
            Ok(target) => {
                let target = std::path::Path::new("/dev").join(target);
                let inside = node.path(&target.display().to_string());
                if let Some(directory) = inside.parent() {
                    std::fs::create_dir_all(directory).map_err(broken)?;
                }
                write_file(&inside, "")?;
                None
            }
            Err(_) if place.exists() => None,
            Err(_) => {
                write_file(place, "")?;
                Some(place.to_owned())
            }
        };
        let log = Self { socket, made };
        node.run("mount", &["--bind", "/run/log.socket", "/dev/log"])?;
        Ok(log)
    }

    /// Waits for a line with these words.
    fn wait_for(&self, words: &str) -> Result<String, LabError> {
        let mut line = [0; 4096];
        loop {
            let length = self.socket.recv(&mut line).map_err(|why| {
                LabError::Claim(format!("the system's log has no line with {words:?}: {why}"))
            })?;
            let said = String::from_utf8_lossy(line.get(..length).unwrap_or_default()).into_owned();
            if said.contains(words) {
                return Ok(said);
            }
        }
    }
}

impl Drop for SystemLog {
    fn drop(&mut self) {
        let _ = self.made.take().map(std::fs::remove_file);
    }
}

fn port_taken(stage: &mut Stage) -> Result<(), LabError> {
    let Stage { lab, evidence, .. } = stage;
    let lab: &Lab = lab;
    let _server = Server::tcp(lab, "s1", any(8080))?;
    let upstream = lab.address_of("s1", false)?;
    let service = |name: &str, port: u16| {
        format!("config service '{name}'\n\tlist listen '*:{port}'\n\tlist upstream '{upstream}:8080'\n\n")
    };
    let before = expose(lab, "r4", &service("web", 80))?;
    let [address, _] = OUTSIDE[0].1;
    wait_for(lab, "x1", (address, 80), "s1")?;
    let taken = lab.node("r4")?.inside(|| TcpListener::bind("0.0.0.0:83"))?;
    let taken = taken.map_err(|why| LabError::Asked(format!("port 83 of r4: {why}")))?;
    lab.write_config("r4", &format!("{before}\n{}{}", service("web", 80), service("more", 83)))?;
    let begun = Instant::now();
    let said = match lab.dlan("r4", &["apply"]) {
        Ok(said) => return Err(LabError::Claim(format!("the apply goes through:\n{said}"))),
        Err(error) => error.with_causes(),
    };
    claim(said.contains("83") && said.contains("in use"), || format!("the apply does not say why:\n{said}"))?;
    evidence
        .push(format!("port 83 is taken: the apply has failed after {:.1} s", begun.elapsed().as_secs_f64()));
    wait_for(lab, "x1", (address, 80), "s1")?;
    drop(taken);
    lab.dlan("r4", &["apply"])?;
    wait_for(lab, "x1", (address, 83), "s1")?;
    evidence.push("when it is free the same apply goes through".to_owned());
    restore(lab, "r4", &before)
}
