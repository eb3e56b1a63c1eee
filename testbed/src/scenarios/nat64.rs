//! Hosts without IPv4 reach those without IPv6, and the other way round.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::advertisement::{self, Advertisement};
use crate::capture::{Capture, Seen};
use crate::dhcp::Guest;
use crate::error::LabError;
use crate::lab::Lab;
use crate::scenarios::hosts::{put_back, serve};
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "nat64",
    claim: "A host without IPv4 reaches an IPv4 server by its name through its router, one behind another router by the same \
            translator, and an IPv4 client an IPv6-only host by a service; hosts hear of the prefix in router advertisements that \
            say nothing else than dnsmasq's; a killed tayga comes back, and all goes with its section.",
    topology: "reference",
    run: nat64,
}];

const LIMIT: Duration = Duration::from_secs(60);
/// Where s3 serves: at its IPv4 address alone.
const OLD: &str = "10.2.2.13:8000";
/// The same as hosts without IPv4 see it.
const OLD_TRANSLATED: &str = "fd64:64:64::a02:20d";
/// A machine of the internet, as hosts without IPv4 see it: the WAN of r5.
const INTERNET_TRANSLATED: &str = "fd64:64:64::cb00:7106";
const LAN: &str = "\toption ra '1'\n\toption dhcpv6 '1'\n\toption dns64 '1'\n";
const PREFIX: &str = "\nconfig names 'names'\n\toption dns64_prefix 'fd64:64:64::/96'\n";
const SECTION: &str = "\nconfig nat64 'nat64'\n";
/// The network of the prefix.
const PREFIX_NETWORK: &str = "fd64:64:64::";
/// Router Advertisements, as tcpdump's filters say it.
const ADVERTISEMENTS: &str = "icmp6 and ip6[40] = 134";
const RECORD: &str = "\nconfig record 'old'\n\toption name 'old.lan'\n\tlist address '10.2.2.13'\n";
const DEVICE: &str = "nat64-dlan";

/// A server that tells each client as whom it sees it, until it is dropped.
struct Mirror {
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Mirror {
    fn start(lab: &Lab, host: &str, at: SocketAddr) -> Result<Self, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("server on {host} at {at}: {why}"));
        let listener = lab.node(host)?.inside(|| TcpListener::bind(at))?.map_err(broken)?;
        listener.set_nonblocking(true).map_err(broken)?;
        let end = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                match listener.accept() {
                    // A client that is gone needs no answer.
                    Ok((mut stream, from)) => drop(stream.write_all(from.ip().to_string().as_bytes())),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Returns as whom a server sees a host.
fn seen_as(lab: &Lab, host: &str, server: SocketAddr) -> Result<String, String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(3))?;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let node = lab.node(host).map_err(|error| error.to_string())?;
    node.inside(ask).map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn socket(text: &str) -> Result<SocketAddr, LabError> {
    text.parse().map_err(|_| LabError::Asked(format!("{text} is no socket")))
}

fn tayga(lab: &Lab) -> Result<Vec<i32>, LabError> {
    let is_it = |arguments: &[String]| arguments.first().is_some_and(|it| it.ends_with("/tayga"));
    Ok(lab.node("r4")?.processes(is_it))
}

fn nat64(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let before = (serve(lab, "r4", LAN)?, lab.read_config("r2")?);
    lab.write_config("r2", &format!("{}{RECORD}", before.1))?;
    lab.dlan("r2", &["apply"])?;
    let service = "\nconfig service 'six'\n\toption protocol 'tcp'\n\tlist listen '0.0.0.0:8080'\n\tlist upstream '[fd79:2de7:db86:4::16]:8000'\n";
    let with = format!("{}{PREFIX}{SECTION}{service}", lab.read_config("r4")?);
    lab.write_config("r4", &with)?;
    lab.dlan("r4", &["apply"])?;
    let guest = Guest::unplug(lab, "s6")?;
    guest.plug()?;
    let heard = Capture::start(lab, "s6", "eth0", ADVERTISEMENTS)?;
    wait::until(LIMIT, "an IPv6 address and a name server", || match guest.ask_ipv6()? {
        found if found.len() >= 2 => Ok(found),
        found => Err(format!("{found:?}")),
    })?;
    let ipv4 = lab.node("s6")?.run("ip", &["-4", "-o", "addr", "show", "dev", "eth0"])?;
    claim(ipv4.trim().is_empty(), || format!("s6 has IPv4: {ipv4}"))?;

    names(lab)?;
    advertised(&heard)?;
    let begun = Instant::now();
    let server = Mirror::start(lab, "s3", socket(OLD)?)?;
    let old = socket(&format!("[{OLD_TRANSLATED}]:8000"))?;
    let seen = wait::until(LIMIT, "s6 to reach the IPv4 server", || seen_as(lab, "s6", old))?;
    let first = begun.elapsed();
    claim(seen == "10.1.1.4", || format!("s6 is {seen} to the server, not its router's identity"))?;
    let reached = lab.node("s6")?.succeeds("ping", &["-c", "1", "-W", "5", INTERNET_TRANSLATED]);
    claim(reached, || "s6 does not reach the IPv4 internet".to_owned())?;
    // s1 is behind a router that translates nothing.
    let far = wait::until(LIMIT, "s1 to reach it by r4", || seen_as(lab, "s1", old))?;
    claim(far == "10.1.1.4", || format!("s1 is {far} to the server"))?;

    killed(lab, old)?;
    four_to_six(lab)?;
    drop(server);
    // Hosts of a zone that reaches nothing ask their router for names all the same.
    let isolated = format!("{LAN}\toption zone 'isolated'\n");
    lab.write_config("r4", &with.replace(SECTION, "").replace(LAN, &isolated))?;
    lab.dlan("r4", &["apply"])?;
    taken_back(heard)?;
    names(lab)?;
    guest.restore()?;
    put_back(lab, "r4", &before.0)?;
    lab.write_config("r2", &before.1)?;
    lab.dlan("r2", &["apply"])?;
    claim(tayga(lab)?.is_empty(), || "r4 has a tayga that nobody asks for".to_owned())?;
    claim(!lab.node("r4")?.succeeds("ip", &["link", "show", "dev", DEVICE]), || format!("{DEVICE} stays"))?;
    wait::until(LIMIT, "r1 to forget the prefix", || match lab.kernel_routes("r1") {
        Ok(routes) if !routes.iter().any(|route| route.starts_with("fd64:")) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    stage.saw(format!(
        "an IPv4 server answers a host without IPv4 {:.1} s after the name did",
        first.as_secs_f64()
    ));
    Ok(())
}

/// Returns the advertisements that s6 has heard.
fn advertisements(seen: &Seen) -> Vec<Advertisement> {
    seen.records().filter_map(|(_, frame)| advertisement::read(frame)).collect()
}

/// s6 hears of the prefix, from the router that it hears of everything else, and on the same terms.
fn advertised(heard: &Capture) -> Result<(), LabError> {
    let told = wait::until(LIMIT, "s6 to hear of the prefix for IPv4", || {
        let all = advertisements(&heard.so_far().map_err(|error| error.with_causes())?);
        let one = |holds: fn(&Advertisement) -> bool| all.iter().find(|it| holds(it)).cloned();
        one(|it| !it.pref64.is_empty()).zip(one(|it| it.has_prefixes)).ok_or(format!("{all:?}"))
    })?;
    let (own, dnsmasq) = told;
    claim(own.pref64 == [(prefix()?, 1800)], || format!("s6 hears of {:?}", own.pref64))?;
    claim((own.source, own.terms) == (dnsmasq.source, dnsmasq.terms), || {
        format!("two advertisements contradict each other: {own:?} and dnsmasq's {dnsmasq:?}")
    })?;
    claim(!own.has_prefixes, || format!("dlan advertises what dnsmasq does: {own:?}"))
}

/// The prefix that nobody translates any more is taken back.
fn taken_back(heard: Capture) -> Result<(), LabError> {
    let gone = [(prefix()?, 0)];
    wait::until(LIMIT, "the prefix for IPv4 to be taken back", || {
        let all = advertisements(&heard.so_far().map_err(|error| error.with_causes())?);
        let last = all.into_iter().rfind(|it| !it.pref64.is_empty()).map(|it| it.pref64).unwrap_or_default();
        if last == gone { Ok(()) } else { Err(format!("the last was {last:?}")) }
    })?;
    heard.stop().map(drop)
}

fn prefix() -> Result<Ipv6Addr, LabError> {
    PREFIX_NETWORK.parse().map_err(|_| LabError::Asked(format!("{PREFIX_NETWORK} is no address")))
}

/// What s6 is told of the server by names.
fn names(lab: &Lab) -> Result<(), LabError> {
    let at = "@fd79:2de7:db86:4::1";
    let found = wait::until(LIMIT, "an IPv6 address for a name that has none", || {
        match lab.dig("s6", &[at, "old.lan", "AAAA"]).map_err(|error| error.to_string())?.data("AAAA") {
            found if found.is_empty() => Err("none".to_owned()),
            found => Ok(found),
        }
    })?;
    claim(found == [OLD_TRANSLATED], || format!("old.lan is {found:?}"))?;
    let by_tcp = lab.dig("s6", &[at, "+tcp", "old.lan", "AAAA"])?.data("AAAA");
    claim(by_tcp == [OLD_TRANSLATED], || format!("old.lan is {by_tcp:?} over TCP"))?;
    let unchanged = lab.dig("s6", &[at, "+cd", "old.lan", "AAAA"])?;
    claim(unchanged.status == "NOERROR" && unchanged.data("AAAA").is_empty(), || {
        format!("who checks signatures itself is told {unchanged:?}")
    })
}

/// A tayga that is killed comes back with its device and routes.
fn killed(lab: &Lab, old: SocketAddr) -> Result<(), LabError> {
    let processes = tayga(lab)?;
    let [process] = processes.as_slice() else {
        return Err(LabError::Claim(format!("r4 has these tayga: {processes:?}")));
    };
    let status = lab.dlan("r4", &["status"])?;
    claim(status.contains("NAT64: fd64:64:64::/96"), || format!("status does not tell:\n{status}"))?;
    lab.node("r4")?.kill(*process);
    wait::until(LIMIT, "another tayga", || match tayga(lab) {
        Ok(found) if found.len() == 1 && !found.contains(process) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    wait::until(LIMIT, "s6 to reach the IPv4 server again", || seen_as(lab, "s6", old))?;
    wait::until(LIMIT, "the agent to be settled", || match lab.plans_nothing("r4") {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

/// A stranger that has IPv4 alone reaches s6, which has none.
fn four_to_six(lab: &Lab) -> Result<(), LabError> {
    let node = lab.node("s6")?;
    node.ip(&["addr add fd79:2de7:db86:4::16/64 dev eth0 nodad".to_owned()])?;
    let server = Mirror::start(lab, "s6", socket("[fd79:2de7:db86:4::16]:8000")?)?;
    let at = socket("203.0.113.2:8080")?;
    let seen = wait::until(LIMIT, "a stranger with IPv4 to reach s6", || match seen_as(lab, "x1", at)? {
        seen if seen.is_empty() => Err("closed without an answer".to_owned()),
        seen => Ok(seen),
    })?;
    claim(seen.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()), || format!("x1 is {seen} to s6"))?;
    drop(server);
    Ok(())
}
