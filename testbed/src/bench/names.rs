//! Names answered in a second: by the agent's name server, and by dnsmasq alone with the same records.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::load::{self, Load};
use crate::console::Console;
use crate::error::LabError;
use crate::lab::Lab;
use crate::observe::COLD_START_LIMIT;
use crate::{tools, wait};

/// How many clients ask at one time.
const CLIENTS: usize = 16;
/// How many names there are.
const NAMES: usize = 500;
/// How often everything is measured; the median counts.
const RUNS: usize = 3;
/// Where dnsmasq is asked.
const DNSMASQ_PORT: u16 = 5399;
/// Where the agent is asked.
const AGENT_PORT: u16 = 5354;
const ROUTER: &str = "r1";
const LIMIT: Duration = Duration::from_secs(60);

/// Measures both, each on one processor, with the clients on another.
pub fn measure(console: Console, window: Duration) -> Result<(), LabError> {
    super::on_two_routers(console, "bench-names", |lab| measure_in(console, lab, window))
}

fn measure_in(console: Console, lab: &Lab, window: Duration) -> Result<(), LabError> {
    lab.start_mesh(&|step| console.replace(step))?;
    lab.wait_for_adjacencies(COLD_START_LIMIT)?;
    let records: String = (0..NAMES)
        .map(|number| {
            format!(
                "config record 'h{number}'\n\toption name 'h{number}.lan'\n\tlist address '{}'\n",
                address(number)
            )
        })
        .collect();
    lab.write_config(ROUTER, &format!("{}\n{records}", lab.read_config(ROUTER)?))?;
    lab.dlan(ROUTER, &["apply"])?;
    let mut dnsmasq = start_dnsmasq(lab)?;
    ask_all(lab, DNSMASQ_PORT, Duration::ZERO)?;
    let port = format!("--port={DNSMASQ_PORT}");
    let alone = lab.node(ROUTER)?.processes(|line| line.contains(&port));
    let pids = lab.agents(ROUTER)?.into_iter().chain(alone);
    let result = pids.into_iter().try_for_each(load::pin_server).and_then(|()| rows(console, lab, window));
    let _ = dnsmasq.kill();
    let _ = dnsmasq.wait();
    result
}

fn rows(console: Console, lab: &Lab, window: Duration) -> Result<(), LabError> {
    console.replace("");
    console.line(format!(
        "\nNames answered on one processor: {CLIENTS} clients, {NAMES} records, {} s each, median of {RUNS}",
        window.as_secs()
    ));
    for (name, port) in [("dlan's name server", AGENT_PORT), ("dnsmasq alone", DNSMASQ_PORT)] {
        let mut loads = Vec::new();
        for _ in 0..RUNS {
            loads.push(ask_all(lab, port, window)?);
        }
        loads.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
        let Some(load) = loads.get(RUNS / 2) else { continue };
        console.line(format!(
            "  {name:<20} {:>8.0} a second, 99 of 100 within {:>5.2} ms, {} without an answer",
            load.per_second,
            load.percentile.as_secs_f64() * 1000.0,
            load.missed
        ));
    }
    Ok(())
}

fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    Ipv4Addr::new(10, 99, high, low)
}

fn start_dnsmasq(lab: &Lab) -> Result<std::process::Child, LabError> {
    let program = tools::program("dnsmasq", "usr/sbin/dnsmasq")?;
    let port = format!("--port={DNSMASQ_PORT}");
    let fixed = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file",
    ];
    let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
    arguments.extend([port, "--listen-address=127.0.0.1".to_owned(), "--bind-interfaces".to_owned()]);
    arguments.extend((0..NAMES).map(|number| format!("--host-record=h{number}.lan,{}", address(number))));
    let mut command = lab.node(ROUTER)?.command(&program, &arguments);
    command.envs(tools::environment()?);
    command.spawn().map_err(|why| LabError::Asked(format!("dnsmasq: {why}")))
}

fn ask_all(lab: &Lab, port: u16, window: Duration) -> Result<Load, LabError> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let node = lab.node(ROUTER)?;
    wait::until(LIMIT, "the first answer", || {
        let answered = node.inside(|| connect(server).and_then(|mut socket| ask(&mut socket, 0, 0)));
        match answered.map_err(|error| error.with_causes())? {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    node.inside(|| {
        load::run(
            CLIENTS,
            window,
            |_| connect(server),
            |socket, round| {
                let number = round % NAMES;
                ask(socket, number, u16::try_from(round % 0xffff).unwrap_or_default())
            },
        )
    })?
}

fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(server)?;
    Ok(socket)
}

/// Asks for an address (RFC 1035 section 4), and returns whether the answer has one.
fn ask(socket: &mut UdpSocket, number: usize, id: u16) -> io::Result<bool> {
    let name = format!("h{number}");
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [name.as_str(), "lan", ""] {
        query.push(u8::try_from(label.len()).unwrap_or_default());
        query.extend(label.as_bytes());
    }
    query.extend([0, 1, 0, 1]);
    socket.send(&query)?;
    let mut answer = [0; 512];
    loop {
        let length = socket.recv(&mut answer)?;
        if answer.get(..2) == query.get(..2) {
            // Of a response without an error: one answer, which ends in the address.
            let is_answer =
                answer.get(3).is_some_and(|flags| flags & 0xf == 0) && answer.get(6..8) == Some(&[0, 1]);
            let ends = answer.get(..length).is_some_and(|answer| contains(answer, &address(number).octets()));
            return Ok(is_answer && ends);
        }
    }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}
