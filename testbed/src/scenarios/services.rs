//! What runs inside is reached through routers' addresses outside, by an nginx of dlan's own.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::error::LabError;
use crate::lab::Lab;
use crate::scenarios::{Scenario, Stage, claim};
use crate::serving::{Line, Server, any};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "services",
        claim: "A host's service answers strangers through two routers' WAN addresses in both families, and hears who they are.",
        topology: "reference",
        run: exposed,
    },
    Scenario {
        name: "service-health",
        claim: "An upstream that dies is taken out by its check: then no client sees an error, and TCP and UDP go on over the other.",
        topology: "reference",
        run: health,
    },
    Scenario {
        name: "service-names",
        claim: "Two TLS sites answer behind one port, each with its own certificate, by the name that clients ask for.",
        topology: "reference",
        run: sites,
    },
    Scenario {
        name: "service-changes",
        claim: "A transfer through the proxy lives through ten applies; addresses widen and narrow in place; a killed nginx comes back.",
        topology: "reference",
        run: changes,
    },
];

pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// The routers that expose, with their WAN addresses.
pub(super) const OUTSIDE: [(&str, [&str; 2]); 2] =
    [("r4", ["203.0.113.2", "2001:db8:f4::2"]), ("r5", ["203.0.113.6", "2001:db8:f5::2"])];
/// Whom a stranger in the home h1 is seen as: the home's router translates IPv4.
const STRANGER_SEEN: [&str; 2] = ["198.51.100.2", "2001:db8:1::66"];
/// Adds services to a router's configuration, has it applied, and returns the configuration of before.
pub(super) fn expose(lab: &Lab, router: &str, services: &str) -> Result<String, LabError> {
    let before = lab.read_config(router)?;
    lab.write_config(router, &format!("{before}\n{services}"))?;
    lab.dlan(router, &["apply"])?;
    Ok(before)
}

/// Gives a router its configuration back.
pub(super) fn restore(lab: &Lab, router: &str, text: &str) -> Result<(), LabError> {
    lab.write_config(router, text)?;
    lab.dlan(router, &["apply"]).map(drop)
}

/// Asks by HTTP from a node, and returns what is answered.
pub(super) fn get(lab: &Lab, node: &str, address: &str, port: u16) -> Result<String, String> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let url = format!("http://{host}:{port}/");
    let said = lab
        .node(node)
        .map_err(|error| error.with_causes())?
        .run("curl", &["--silent", "--show-error", "--max-time", "10", "--noproxy", "*", &url]);
    said.map(|said| said.trim().to_owned()).map_err(|error| error.to_string())
}

/// Waits until a question is answered with something that has these words in it.
pub(super) fn wait_for(
    lab: &Lab,
    node: &str,
    (address, port): (&str, u16),
    words: &str,
) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{words:?} from {address} port {port}"), || {
        match get(lab, node, address, port) {
            Ok(said) if said.contains(words) => Ok(()),
            Ok(said) => Err(said),
            Err(error) => Err(error),
        }
    })
}

fn exposed(stage: &mut Stage) -> Result<(), LabError> {
    let _server = Server::tcp(&stage.lab, "s1", any(8080))?;
    let (ipv4, ipv6) = (stage.lab.address_of("s1", false)?, stage.lab.address_of("s1", true)?);
    let mut before = Vec::new();
    for (router, _) in OUTSIDE {
        let services = format!(
            "config service 'web'\n\toption proxy_protocol '1'\n\tlist listen '*:80'\n\tlist upstream '{ipv4}:8080'\n\n\
             config service 'only6'\n\tlist listen '0.0.0.0:81'\n\tlist upstream '[{ipv6}]:8080'\n"
        );
        before.push((router, expose(&stage.lab, router, &services)?));
    }
    for (router, addresses) in OUTSIDE {
        for (address, seen) in addresses.into_iter().zip(STRANGER_SEEN) {
            let words =
                format!("s1 hears PROXY TCP{} {seen} {address} ", if seen.contains(':') { 6 } else { 4 });
            wait_for(&stage.lab, "x1", (address, 80), &words)?;
            stage.saw(format!("a stranger at {router}'s {address}: s1 hears that it is {seen}"));
        }
    }
    let [address, _] = OUTSIDE[0].1;
    wait_for(&stage.lab, "x1", (address, 81), "s1 hears GET / HTTP/1.1")?;
    stage.saw("a stranger by IPv4 reaches a host by its IPv6 address");
    for (router, _) in OUTSIDE {
        claim(stage.lab.plans_nothing(router)?, || format!("{router} is not as it shall be"))?;
    }
    before.iter().try_for_each(|(router, text)| restore(&stage.lab, router, text))?;
    let gone = get(&stage.lab, "x1", address, 80);
    claim(gone.is_err(), || format!("the service is gone, and answers: {gone:?}"))
}

/// Returns the state of an upstream as `dlan services` says it.
fn upstream_state(lab: &Lab, router: &str, upstream: &str) -> Result<String, LabError> {
    let report = lab.dlan_json(router, &["services"])?;
    let services = report.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
    let upstreams = services.iter().filter_map(|service| service.get("upstreams")?.as_array()).flatten();
    let found = upstreams.filter(|it| it.get("upstream").and_then(Value::as_str) == Some(upstream));
    let state = found.filter_map(|it| it.get("state")?.as_str()).next();
    Ok(state.unwrap_or("unknown").to_owned())
}

fn wait_for_state(lab: &Lab, router: &str, upstream: &str, state: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("upstream {upstream} of {router} to be {state}"), || {
        match upstream_state(lab, router, upstream) {
            Ok(found) if found == state => Ok(()),
            Ok(found) => Err(found),
            Err(error) => Err(error.with_causes()),
        }
    })
}

/// How many clients come while an upstream is dead.
const CLIENTS: usize = 40;

fn health(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let (one, two) = (lab.address_of("s1", false)?, lab.address_of("s3", false)?);
    let web = [Server::tcp(lab, "s1", any(8080))?, Server::tcp(lab, "s3", any(8080))?];
    let echo = [Server::udp(lab, "s1", any(7))?, Server::udp(lab, "s3", any(7))?];
    let services = format!(
        "config service 'web'\n\tlist listen '*:80'\n\tlist upstream '{one}:8080'\n\tlist upstream '{two}:8080'\n\
         \toption health 'connect'\n\toption health_interval '1'\n\n\
         config service 'echo'\n\toption protocol 'udp'\n\tlist listen '*:7'\n\tlist upstream '{one}:7'\n\
         \tlist upstream '{two}:7'\n\toption health 'udp'\n\toption health_send 'ping'\n\toption health_expect 's'\n\
         \toption health_interval '1'\n"
    );
    let before = expose(lab, "r4", &services)?;
    let [address, _] = OUTSIDE[0].1;
    for (upstream, words) in [(one, "s1"), (two, "s3")] {
        for port in [8080, 7] {
            wait_for_state(lab, "r4", &format!("{upstream}:{port}"), "up")?;
        }
        wait_for(lab, "x1", (address, 80), words)?;
    }
    let both = wait_for_echoes(lab, address, &["s1", "s3"])?;
    // The host is there and the service is not; then both are as if the host were gone.
    let begun = Instant::now();
    let [web_one, web_two] = web;
    let [echo_one, echo_two] = echo;
    drop((web_one, echo_one));
    wait_for_state(lab, "r4", &format!("{one}:8080"), "down")?;
    wait_for_state(lab, "r4", &format!("{one}:7"), "down")?;
    let out = begun.elapsed().as_secs_f64();
    let failed: Vec<String> = (0..CLIENTS).filter_map(|_| get(lab, "x1", address, 80).err()).collect();
    claim(failed.is_empty(), || {
        format!("{} of {CLIENTS} clients saw an error: {}", failed.len(), failed.join("; "))
    })?;
    wait_for_echoes(lab, address, &["s3"])?;
    let status = lab.dlan("r4", &["status"])?;
    claim(status.contains("does not work"), || format!("`dlan status` does not tell of it:\n{status}"))?;
    drop((web_two, echo_two));
    wait_for_state(lab, "r4", &format!("{two}:8080"), "down")?;
    let refused = get(lab, "x1", address, 80);
    claim(refused.is_err(), || format!("without an upstream it answers: {refused:?}"))?;
    let _back = Server::tcp(lab, "s1", any(8080))?;
    wait_for_state(lab, "r4", &format!("{one}:8080"), "up")?;
    wait_for(lab, "x1", (address, 80), "s1")?;
    restore(lab, "r4", &before)?;
    stage.saw(format!("UDP from {both} sockets is answered by both upstreams in turn"));
    stage.saw(format!(
        "an upstream dies: out after {out:.1} s, then {CLIENTS} clients of {CLIENTS} are answered"
    ));
    stage.saw("with none left connections are refused; one that comes back is taken in");
    Ok(())
}

/// Sends packets from ever other sockets until these upstreams, and no others, have answered; returns how many sockets.
fn wait_for_echoes(lab: &Lab, address: &str, upstreams: &[&str]) -> Result<usize, LabError> {
    let to: SocketAddr = format!("{address}:7").parse().map_err(|_| LabError::Asked(address.to_owned()))?;
    let ask = || -> std::io::Result<String> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.send_to(b"hello", to)?;
        let mut packet = [0; 64];
        let length = socket.recv(&mut packet)?;
        Ok(String::from_utf8_lossy(packet.get(..length).unwrap_or_default()).into_owned())
    };
    wait::until(LIMIT, &format!("UDP echoes from {upstreams:?}"), || {
        let heard = lab.node("x1").and_then(|node| node.inside(|| (0..8).map(|_| ask()).collect::<Vec<_>>()));
        let heard = heard.map_err(|error| error.with_causes())?;
        let words: Vec<String> =
            heard.into_iter().map(|said| said.unwrap_or_else(|error| error.to_string())).collect();
        let expected = |said: &String| upstreams.iter().any(|name| *said == format!("{name} hello"));
        let all = upstreams.iter().all(|name| words.contains(&format!("{name} hello")));
        if all && words.iter().all(expected) { Ok(words.len()) } else { Err(words.join(", ")) }
    })
}

fn sites(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let node = lab.node("s1")?;
    let mut servers = Vec::new();
    for (name, port) in [("one.example.test", "8441"), ("two.example.test", "8442")] {
        let (key, certificate) = (format!("/run/{name}.key"), format!("/run/{name}.pem"));
        let subject = format!("/CN={name}");
        node.run(
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
        )?;
        let mut command = node.command(
            "openssl",
            &["s_server", "-quiet", "-accept", port, "-cert", &certificate, "-key", &key],
        );
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        servers
            .push(Child(command.spawn().map_err(|why| LabError::Asked(format!("openssl s_server: {why}")))?));
    }
    let address = lab.address_of("s1", true)?;
    let service = |name: &str, port: &str, sni: &str| {
        format!(
            "config service '{name}'\n\tlist listen '*:443'\n\tlist upstream '[{address}]:{port}'\n{sni}\
             \toption health 'tls'\n\toption health_interval '1'\n\n"
        )
    };
    let sni = |name: &str| format!("\tlist sni '{name}.example.test'\n");
    let services = service("one", "8441", &sni("one")) + &service("two", "8442", &sni("two"));
    let before = expose(lab, "r4", &services)?;
    for port in [8441, 8442] {
        wait_for_state(lab, "r4", &format!("[{address}]:{port}"), "up")?;
    }
    for outside in OUTSIDE[0].1 {
        for name in ["one.example.test", "two.example.test"] {
            wait::until(LIMIT, &format!("{name}'s certificate at {outside}"), || {
                match certificate(lab, outside, name) {
                    Ok(said) if said.contains(name) => Ok(()),
                    Ok(said) => Err(said),
                    Err(error) => Err(error.with_causes()),
                }
            })?;
        }
        let stranger = certificate(lab, outside, "other.example.test")?;
        claim(!stranger.contains("CN"), || format!("a name that is nobody's is answered: {stranger}"))?;
    }
    restore(lab, "r4", &before)?;
    drop(servers);
    stage.saw("each of two names gets its own site's certificate, in both families; a third is refused");
    Ok(())
}

/// A process that ends with the scenario.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks for a name by TLS, and returns the line with the subject of the certificate that is shown.
fn certificate(lab: &Lab, address: &str, name: &str) -> Result<String, LabError> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let at = format!("{host}:443");
    let mut command = lab.node("x1")?.command("openssl", &["s_client", "-connect", &at, "-servername", name]);
    let said = crate::command::output(&mut command, "")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(text.lines().find(|line| line.starts_with("subject=")).unwrap_or("no certificate").to_owned())
}

/// A megabyte, in blocks of a line.
const MEGABYTE: u8 = 64;

fn changes(stage: &mut Stage) -> Result<(), LabError> {
    let _server = Server::tcp(&stage.lab, "s1", any(8080))?;
    let upstream = stage.lab.address_of("s1", false)?;
    let [address, _] = OUTSIDE[0].1;
    let service = |listen: &str, timeout: usize| {
        format!(
            "config service 'web'\n\tlist listen '{listen}:80'\n\tlist upstream '{upstream}:8080'\n\
             \toption connect_timeout '{timeout}'\n"
        )
    };
    let before = expose(&stage.lab, "r4", &service("*", 1))?;
    wait_for(&stage.lab, "x1", (address, 80), "s1")?;
    let master = nginx(&stage.lab, "r4")?;
    let mut line = Line::open(&stage.lab, "x1", (address, 80))?;
    for round in 1..=10 {
        // Each has nginx read its configuration again, and every other moves the listening socket.
        let listen = if round % 2 == 0 { "*" } else { address };
        stage.lab.write_config("r4", &format!("{before}\n{}", service(listen, 1 + round)))?;
        stage.lab.dlan("r4", &["apply"])?;
        wait_for(&stage.lab, "x1", (address, 80), "s1")?;
        line.exchange(MEGABYTE)?;
        claim(stage.lab.plans_nothing("r4")?, || format!("apply {round} leaves something to do"))?;
    }
    claim(nginx(&stage.lab, "r4")? == master, || "nginx was started again".to_owned())?;
    stage.saw(format!(
        "ten applies, between all addresses and one: one nginx, one connection with {} octets there and back",
        line.octets
    ));
    for pid in &master {
        kill(Pid::from_raw(*pid), Signal::SIGKILL)
            .map_err(|error| LabError::Asked(format!("kill nginx: {error}")))?;
    }
    let begun = Instant::now();
    wait::until(LIMIT, "another nginx", || match nginx(&stage.lab, "r4") {
        Ok(found) if !found.is_empty() && found.iter().all(|pid| !master.contains(pid)) => Ok(()),
        Ok(_) => Err("there is none".to_owned()),
        Err(error) => Err(error.with_causes()),
    })?;
    wait_for(&stage.lab, "x1", (address, 80), "s1")?;
    stage.saw(format!("nginx killed: another one answers after {:.1} s", begun.elapsed().as_secs_f64()));
    line.exchange(MEGABYTE)?;
    stage.saw("the connection through the killed one lives, until there are no services");
    restore(&stage.lab, "r4", &before)?;
    let left =
        stage.lab.node("r4")?.processes(|line| line.first().is_some_and(|name| name.starts_with("nginx:")));
    claim(left.is_empty(), || format!("without services {} processes of nginx run", left.len()))
}

/// Returns the process ids of a router's nginx: its first process, without workers.
fn nginx(lab: &Lab, router: &str) -> Result<Vec<i32>, LabError> {
    Ok(lab.node(router)?.processes(|line| line.first().is_some_and(|name| name.starts_with("nginx: master"))))
}
