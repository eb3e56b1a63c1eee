//! The demo: a mesh comes up, is looked at, loses a router in the middle of a transfer, and heals.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Lab, write_file};
use crate::layout::Role;
use crate::node::own_program;
use crate::observe::COLD_START_LIMIT;
use crate::picture::{self, Shown};
use crate::scenarios::{connected_pairs, in_parallel};
use crate::signals;
use crate::topology::Topology;
use crate::transfer::Transfer;
use crate::wait;

/// Between two looks at the running transfer.
const LOOK: Duration = Duration::from_millis(250);
/// How long the transfer runs before and after what happens to it.
const SCENE: Duration = Duration::from_secs(4);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Bars of a rate, from nothing to the most seen.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Runs the demo and returns the exit code; `once` ends it without a prompt.
pub fn run(console: Console, once: bool, svg: &Path) -> Result<u8, LabError> {
    let topology = Topology::find(Path::new("reference"))?;
    let name = topology.name.clone();
    if !signals::is_working_process()? {
        return signals::supervise(&[name]);
    }
    if Lab::down(&name)? > 0 {
        console.line("A lab of that name was up: it is taken down first.");
    }
    let shown = show(console, topology, svg);
    let asks = !once && std::io::stdin().is_terminal() && console.is_terminal();
    let ended = match &shown {
        Ok(lab) if asks => prompt(console, lab),
        Ok(_) | Err(_) => Ok(()),
    };
    Lab::down(&name)?;
    console.line("The mesh is down, and nothing of it is left.");
    shown?;
    ended.map(|()| 0)
}

fn show(console: Console, topology: Topology, svg: &Path) -> Result<Lab, LabError> {
    let mut lab = bring_up(console, topology)?;
    draw(console, &lab, svg)?;
    look_around(console, &lab)?;
    lose_a_router(console, &mut lab, svg)?;
    ask_everyone(console, &lab)?;
    Ok(lab)
}

fn bring_up(console: Console, topology: Topology) -> Result<Lab, LabError> {
    console
        .heading("1. A mesh of five routers, two homes behind NAT, seven hosts: all in network namespaces");
    let begun = Instant::now();
    let lab = Lab::up(topology, &|step| console.replace(format!("   {step}")))?;
    let count = |role| lab.layout.nodes.values().filter(|plan| plan.role == role).count();
    console.replace("");
    console.line(format!(
        "   {} routers, {} homes, {} hosts, {} cables: {:.1} s",
        count(Role::Router),
        count(Role::Home),
        count(Role::Host),
        lab.layout.cables.len(),
        begun.elapsed().as_secs_f64()
    ));
    let begun = Instant::now();
    lab.start_mesh(&|step| console.replace(format!("   {step}")))?;
    console.replace("   the agents call each other, learn the mesh and set their routes");
    lab.wait_for_routes(COLD_START_LIMIT)?;
    lab.wait_for_adjacencies(COLD_START_LIMIT)?;
    wait::until(LIMIT, "the cheapest way to carry the traffic", || match lab.way("r1", "r2") {
        Ok(way) if way == ["r1", "r4", "r2"] => Ok(()),
        Ok(way) => Err(way.join(" - ")),
        Err(error) => Err(error.with_causes()),
    })?;
    console.replace("");
    let seconds = begun.elapsed().as_secs_f64();
    console.line(format!(
        "   every router has made its key, joined, and knows the way to every LAN: {seconds:.1} s"
    ));
    Ok(lab)
}

fn draw(console: Console, lab: &Lab, svg: &Path) -> Result<(), LabError> {
    let way = lab.way("r1", "r2")?;
    let shown = Shown::of(lab).with_way(way.clone());
    console.line("");
    console.line(picture::text::draw(&lab.topology, &shown, console));
    console.line(format!("   From r1 to r2 traffic goes {}.", console.way(&way.join(" - "))));
    if let Some(directory) = svg.parent() {
        // Where it cannot be made, writing says so.
        let _ = std::fs::create_dir_all(directory);
    }
    write_file(svg, &picture::svg::draw(&lab.topology, &shown))?;
    hand_over(svg);
    console.line(console.faint(&format!("   The same as SVG: {}", svg.display())));
    if lab.lacks_delays() {
        console.line(
            console
                .faint("   This machine's kernel has no netem: the links are faster than the picture says."),
        );
    }
    Ok(())
}

/// Gives a file to the person who called for root.
fn hand_over(path: &Path) {
    let id = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if let (Some(user), Some(group)) = (id("SUDO_UID"), id("SUDO_GID")) {
        // A file that stays root's can be read all the same.
        let _ = std::os::unix::fs::chown(path, Some(user), Some(group));
    }
}

fn look_around(console: Console, lab: &Lab) -> Result<(), LabError> {
    console.heading("2. Hosts reach each other, encrypted on every link, by IPv6 and IPv4");
    for to in ["s3", "s5", "s6", "s7"] {
        let times: Vec<String> = [true, false]
            .into_iter()
            .map(|is_ipv6| {
                let answer = lab.round_trip("s1", to, is_ipv6)?;
                let address = lab.address_of(to, is_ipv6)?.to_string();
                let answer = answer.map_or("no answer".to_owned(), |millis| format!("{millis:>5.1} ms"));
                Ok(format!("{address:<24} {answer}"))
            })
            .collect::<Result<_, LabError>>()?;
        console.line(format!("   s1 -> {to}   {}", times.join("      ")));
    }
    console.heading("3. What r1 says: `dlan status`");
    for line in lab.dlan("r1", &["status"])?.lines() {
        console.line(format!("   {line}"));
    }
    Ok(())
}

fn lose_a_router(console: Console, lab: &mut Lab, svg: &Path) -> Result<(), LabError> {
    console.heading("4. A transfer from s1 to s3 runs by r4; r4 loses power");
    let transfer = Transfer::start(lab, "s1", "s3", true, u64::MAX)?;
    let mut rates = Vec::new();
    watch(console, &transfer, &mut rates, "by r4", |elapsed, _| elapsed >= SCENE);
    console.line(format!("   {}", console.bad("r4 is off")));
    lab.power_off("r4")?;
    let (off, before) = (Instant::now(), transfer.received());
    // More than any buffer on the way holds must come before it counts as going on.
    let goes_on = |elapsed: Duration, received: u64| {
        received > before + 8_000_000 && elapsed >= SCENE || elapsed >= LIMIT
    };
    let mut resumed = None;
    watch(console, &transfer, &mut rates, "r4 is off", |elapsed, received| {
        if resumed.is_none() && received > before + 2_000_000 {
            resumed = Some(off.elapsed());
        }
        goes_on(elapsed, received)
    });
    let Some(resumed) = resumed else {
        return Err(LabError::Claim("the transfer did not go on without r4".to_owned()));
    };
    let way = lab.way("r1", "r2")?;
    console.line(format!(
        "   it goes on {} after {:.1} s",
        console.way(&way.join(" - ")),
        resumed.as_secs_f64()
    ));
    let shown = Shown::of(lab).with_way(way);
    console.line("");
    console.line(picture::text::draw(&lab.topology, &shown, console));
    let failed = svg.with_file_name("demo-r4-off.svg");
    write_file(&failed, &picture::svg::draw(&lab.topology, &shown))?;
    hand_over(&failed);
    console.line(format!("   {}", console.good("r4 is on again")));
    lab.power_on("r4")?;
    lab.start_agent("r4")?;
    let here = &*lab;
    watch(console, &transfer, &mut rates, "r4 is on", |elapsed, _| {
        let back = here.way("r1", "r2").is_ok_and(|way| way.iter().any(|router| router == "r4"));
        elapsed >= SCENE && back || elapsed >= LIMIT
    });
    let done = transfer.stop()?;
    let way = lab.way("r1", "r2")?;
    console.line(format!(
        "   {} MB arrived as they were sent; traffic goes {} again",
        done.octets / 1_000_000,
        console.way(&way.join(" - "))
    ));
    Ok(())
}

/// Shows a transfer until `is_over`, given the time since the call and the octets received.
fn watch(
    console: Console,
    transfer: &Transfer,
    rates: &mut Vec<u64>,
    caption: &str,
    mut is_over: impl FnMut(Duration, u64) -> bool,
) {
    let begun = Instant::now();
    let mut last = (Instant::now(), transfer.received());
    loop {
        std::thread::sleep(LOOK);
        let received = transfer.received();
        let micros = u64::try_from(last.0.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        rates.push((received - last.1).saturating_mul(8) / micros);
        last = (Instant::now(), received);
        let rate = rates.last().copied().unwrap_or(0);
        let line =
            format!("   {caption:<10} {} {rate:>4} Mbit/s {:>5} MB", chart(rates), received / 1_000_000);
        console.replace(&line);
        if is_over(begun.elapsed(), received) || transfer.has_ended() {
            console.replace("");
            console.line(line);
            return;
        }
    }
}

/// Returns the rates as bars, the latest at the right; `·` where nothing came.
fn chart(rates: &[u64]) -> String {
    let most = rates.iter().copied().max().unwrap_or(0).max(1);
    let latest = rates.len().saturating_sub(64);
    let bar = |rate: &u64| match rate {
        0 => '·',
        rate => {
            let height = usize::try_from(rate * 7 / most).unwrap_or(7);
            BARS.get(height).copied().unwrap_or('█')
        }
    };
    rates.iter().skip(latest).map(bar).collect()
}

fn ask_everyone(console: Console, lab: &Lab) -> Result<(), LabError> {
    console.heading("5. Everyone still reaches everyone");
    lab.wait_for_adjacencies(LIMIT)?;
    lab.wait_for_routes(LIMIT)?;
    let pairs = connected_pairs(lab);
    let count = pairs.len();
    let failures = in_parallel(pairs, 8, |(from, to, is_ipv6)| {
        wait::until(LIMIT, "an answer", || match lab.pings(from, to, *is_ipv6) {
            Ok(true) => Ok(()),
            _ => Err(format!("{from} -> {to}")),
        })
        .map_err(|error| error.with_causes())
    });
    if !failures.is_empty() {
        return Err(LabError::Claim(failures.join(", ")));
    }
    console
        .line(format!("   {count} pings between 7 hosts, IPv6 and IPv4: {}", console.good("all answered")));
    Ok(())
}

fn prompt(console: Console, lab: &Lab) -> Result<(), LabError> {
    let program = own_program()?;
    let program = program.display();
    let rc = lab.file("bashrc");
    let functions = format!(
        "unset DLAN_LAB_SUPERVISED\nexport DLAN_LAB={name}\nPS1='\\[\\e[32;1m\\]dlan mesh\\[\\e[0m\\] \\$ '\n\
         lab() {{ {program} \"$@\"; }}\n\
         on() {{ local node=$1; shift; {program} exec \"$node\" -- \"$@\"; }}\n\
         cut-link() {{ {program} cut \"$@\"; }}\nheal-link() {{ {program} heal \"$@\"; }}\n\
         draw() {{ {program} draw \"$@\"; }}\n",
        name = lab.topology.name
    );
    write_file(&rc, &functions)?;
    console.heading("The mesh is yours. Three commands to try:");
    for (command, what) in [
        ("on r2 dlan status", "what r2 knows"),
        ("cut-link r1-r4; draw", "then `on s1 ping 10.2.2.13`, and `heal-link r1-r4`"),
        ("on r1 dlan path 10.2.3.15", "how a packet gets there"),
    ] {
        console.line(format!("   {}  {what}", console.bold(&format!("{command:<26}"))));
    }
    console.line(console.faint("   `lab --help` shows the rest. `exit` takes the mesh down.\n"));
    let mut shell = Command::new("bash");
    shell.args(["--noprofile", "--rcfile"]).arg(&rc).arg("-i");
    // What the last command in it came to is nobody's business here.
    let _ = shell.status().map_err(|source| LabError::Asked(format!("cannot start a shell: {source}")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_nothing_as_nothing_and_the_most_as_full() {
        assert_eq!(chart(&[0, 100, 50]), "·█▄");
    }
}
