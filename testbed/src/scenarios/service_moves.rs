//! What services do while hosts move, names change and configurations are applied: the clients go on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::services::{LIMIT, OUTSIDE, expose, restore, wait_for};
use crate::dhcp::Guest;
use crate::error::LabError;
use crate::lab::Lab;
use crate::scenarios::hosts::{put_back, serve};
use crate::scenarios::{Scenario, Stage, claim};
use crate::serving::{Server, any, octet};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "service-moves",
        claim: "A service follows its host to another address that DHCP gives it, at a router far away, by the host's name alone.",
        topology: "reference",
        run: moves,
    },
    Scenario {
        name: "service-transfer",
        claim: "One long transfer through the proxy lives through ten applies, each of which has nginx read its configuration again, without an octet lost.",
        topology: "reference",
        run: transfer,
    },
];

fn moves(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let guest = Guest::unplug(lab, "s1")?;
    let leased = |address: &str| -> Result<String, LabError> {
        Ok(format!("\toption dhcp '1'\n\tlist lease '{} {address} s1'\n", guest.mac()?))
    };
    let of_r1 = serve(lab, "r1", &leased("77")?)?;
    guest.plug()?;
    wait::until(LIMIT, "an IPv4 address by DHCP", || guest.ask_ipv4())?;
    let _server = Server::tcp(lab, "s1", any(8080))?;
    let service = "config service 'web'\n\tlist listen '*:80'\n\tlist upstream 's1.r1.lan:8080'\n\toption health 'connect'\n\
                   \toption health_interval '1'\n";
    let of_r4 = expose(lab, "r4", service)?;
    let [address, _] = OUTSIDE[0].1;
    wait_for(lab, "x1", (address, 80), "s1")?;
    wait_for_address(lab, "10.2.1.77:8080")?;
    lab.write_config("r1", &of_r1.replace(SECTION, &format!("{SECTION}{}", leased("78")?)))?;
    lab.dlan("r1", &["apply"])?;
    guest.plug_out()?;
    guest.plug()?;
    let begun = Instant::now();
    let moved = wait::until(LIMIT, "the other address", || match guest.ask_ipv4()?.to_string() {
        moved if moved == "10.2.1.78" => Ok(moved),
        other => Err(other),
    })?;
    let given = begun.elapsed();
    wait_for_address(lab, "10.2.1.78:8080")?;
    wait_for(lab, "x1", (address, 80), "s1")?;
    let followed = begun.elapsed();
    restore(lab, "r4", &of_r4)?;
    guest.restore()?;
    put_back(lab, "r1", &of_r1)?;
    stage.saw(format!(
        "s1 has {moved} after {:.1} s, and r4's service uses it and answers after {:.1} s",
        given.as_secs_f64(),
        followed.as_secs_f64()
    ));
    Ok(())
}

/// The section of the LAN in every router's configuration.
const SECTION: &str = "config lan 'lan0'\n\toption device 'br-lan'\n";

/// Waits until r4's service has this IPv4 upstream, working, and no other.
fn wait_for_address(lab: &Lab, address: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("{address} to be the upstream"), || {
        let report = lab.dlan_json("r4", &["services"]).map_err(|error| error.with_causes())?;
        let upstreams = report.pointer("/services/0/upstreams").and_then(serde_json::Value::as_array);
        let of = |upstream: &serde_json::Value| {
            let text = |key| upstream.get(key).and_then(serde_json::Value::as_str).unwrap_or("-").to_owned();
            (text("address"), text("state"))
        };
        let all: Vec<(String, String)> = upstreams.into_iter().flatten().map(of).collect();
        let ipv4: Vec<_> = all.iter().filter(|(at, _)| !at.starts_with('[')).collect();
        match ipv4.as_slice() {
            [(at, state)] if at == address && state == "up" => Ok(()),
            _ => Err(format!("{all:?}")),
        }
    })
}

/// How many octets go through, in millions; `DLAN_TRANSFER_MB` asks for more.
const MEGABYTES: u64 = 200;
/// How many applies there are meanwhile.
const APPLIES: u64 = 10;

fn transfer(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let _server = Server::tcp(lab, "s1", any(8080))?;
    let upstream = lab.address_of("s1", false)?;
    let service = |timeout: u64| {
        format!(
            "config service 'web'\n\tlist listen '*:80'\n\tlist upstream '{upstream}:8080'\n\toption connect_timeout '{timeout}'\n"
        )
    };
    let before = expose(lab, "r4", &service(1))?;
    let [address, _] = OUTSIDE[0].1;
    wait_for(lab, "x1", (address, 80), "s1")?;
    let asked = std::env::var("DLAN_TRANSFER_MB").ok().and_then(|text| text.parse().ok());
    let octets: u64 = asked.unwrap_or(MEGABYTES) * 1_000_000;
    let begun = Instant::now();
    let mut line = Download::begin(lab, (address, 80), octets)?;
    for round in 1..=APPLIES {
        // What is read while the apply goes on is sent on by workers that are replaced.
        let goes_on = line.read_beside(octets / (APPLIES + 1), || {
            lab.write_config("r4", &format!("{before}\n{}", service(1 + round)))?;
            lab.dlan("r4", &["apply"])
        })?;
        goes_on?;
        claim(line.read < octets, || format!("the transfer was over before apply {round}"))?;
    }
    line.read(octets - line.read)?;
    let took = begun.elapsed();
    let reloads = lab.dlan_json("r4", &["services"])?.get("reloads").and_then(serde_json::Value::as_u64);
    claim(reloads.is_some_and(|reloads| reloads >= APPLIES), || format!("nginx has read {reloads:?} times"))?;
    drop(line);
    restore(lab, "r4", &before)?;
    stage.saw(format!(
        "{} MB on one connection in {:.1} s, over {APPLIES} applies, every octet as it was sent",
        octets / 1_000_000,
        took.as_secs_f64()
    ));
    Ok(())
}

/// A transfer from a host through the proxy to a stranger.
struct Download {
    from: BufReader<TcpStream>,
    read: u64,
}

impl Download {
    fn begin(lab: &Lab, (address, port): (&str, u16), octets: u64) -> Result<Self, LabError> {
        let broken = |why: std::io::Error| LabError::Asked(format!("connection to {address}: {why}"));
        let mut stream = lab.node("x1")?.inside(|| TcpStream::connect((address, port)))?.map_err(broken)?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(broken)?;
        stream.write_all(format!("give {octets}\n").as_bytes()).map_err(broken)?;
        Ok(Self { from: BufReader::with_capacity(256 * 1024, stream), read: 0 })
    }

    /// Reads on, and compares with what was sent.
    fn read(&mut self, octets: u64) -> Result<(), LabError> {
        let end = self.read + octets;
        while self.read < end {
            let broken = |why: std::io::Error| LabError::Claim(format!("the transfer broke: {why}"));
            let heard = self.from.fill_buf().map_err(broken)?;
            let length = u64::try_from(heard.len()).unwrap_or_default().min(end - self.read);
            claim(length > 0, || format!("the transfer ended after {} octets", self.read))?;
            let used = usize::try_from(length).unwrap_or_default();
            let expected = (self.read..).map(octet);
            let is_same = heard.iter().take(used).copied().zip(expected).all(|(one, other)| one == other);
            claim(is_same, || format!("after octet {} something else came", self.read))?;
            self.from.consume(used);
            self.read += length;
        }
        Ok(())
    }

    /// Reads on while something else is done.
    fn read_beside<T: Send>(&mut self, octets: u64, other: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        std::thread::scope(|scope| {
            let other = scope.spawn(other);
            self.read(octets)?;
            other.join().map_err(|_| LabError::Asked("the apply ended in a panic".to_owned()))
        })
    }
}
