//! From a Link State Update that arrives to the route in the kernel.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::case::Case;
use super::failure::{Flow, Sample};
use super::lane::{Desk, Finding, Purpose};
use super::subject::Subject;
use super::{Orders, prefixes};
use crate::capture::{Capture, Seen};
use crate::error::LabError;
use crate::foreign::bird;
use crate::lab::Lab;

/// How long nothing happens before a change: longer than any back-off that the one before has left.
const QUIET: Duration = Duration::from_secs(7);
/// How long a change may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How long after the change the capture may take to have it in its file.
const WRITTEN: Duration = Duration::from_millis(100);
/// What r1 hears of r2, BIRD.
const FILTER: &str = "ip6 proto 89 and src host fe80::2:1";

/// Has r2 take a prefix back and announce it again, and measures how soon r1's kernel knows.
pub(super) fn measure(
    lab: &mut Lab,
    subject: Subject,
    (orders, desk): (&Orders, &Desk),
) -> Result<(), LabError> {
    desk.undisturbed(|| {
        prefixes::start_announcer(lab, (1, Case::Carrier))?;
        subject.start(lab, Case::Carrier, &["r1".to_owned()])
    })?;
    prefixes::wait_for_all(lab, "r1", (subject, 1))?;
    let mut samples = Vec::new();
    for number in 0..orders.changes {
        let verb = if number % 2 == 0 { "disable" } else { "enable" };
        let mut sample = Sample::default();
        for flow in prefixes::flows(subject, 1) {
            sleep(QUIET);
            let _turn = desk.floor.take();
            let took = change_once(lab, verb, &flow)?;
            let [ipv6, ipv4] = &mut sample.away;
            *if flow.address.is_ipv6() { ipv6 } else { ipv4 } = Some(took);
        }
        samples.push(sample);
    }
    desk.file(Finding { purpose: Purpose::Changes, case: Case::Carrier, prefixes: 0, subject, samples });
    Ok(())
}

/// Has r2 change one prefix and returns the time from the Update at r1's device to its kernel's word of the route.
fn change_once(lab: &Lab, verb: &str, flow: &Flow) -> Result<Duration, LabError> {
    let capture = Capture::start(lab, "r1", "dlan-vx2", FILTER)?;
    let (mut monitor, told) = watch_routes(lab, &flow.prefix)?;
    let family = if flow.address.is_ipv6() { "ipv6" } else { "ipv4" };
    bird::command(lab.node("r2")?, &[verb, &format!("externals_{family}")])?;
    let at = told.recv_timeout(LIMIT);
    // It does not end by itself.
    let _ = monitor.kill();
    let _ = monitor.wait();
    sleep(WRITTEN);
    let seen = capture.stop()?;
    let at = at.map_err(|_| LabError::Asked(format!("r1's kernel never told of {}", flow.prefix)))?;
    let update = last_update(&seen, at)
        .ok_or_else(|| LabError::Asked(format!("{} changed without an Update", flow.prefix)))?;
    Ok(at.saturating_sub(update))
}

/// Starts a monitor of r1's routes; it tells when the kernel first names a prefix, as time since the epoch.
fn watch_routes(lab: &Lab, prefix: &str) -> Result<(Child, Receiver<Duration>), LabError> {
    let broken = |source: std::io::Error| LabError::Asked(format!("cannot watch r1's routes: {source}"));
    let mut command = lab.node("r1")?.command("ip", &["monitor", "route"]);
    let mut monitor =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(broken)?;
    let (say, hear) = channel();
    let (lines, prefix) = (monitor.stdout.take(), prefix.to_owned());
    std::thread::spawn(move || {
        for line in lines.into_iter().flat_map(|lines| BufReader::new(lines).lines()).map_while(Result::ok) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            if line.split_whitespace().any(|word| word == prefix) && say.send(now).is_err() {
                return;
            }
        }
    });
    // It says nothing when it listens.
    sleep(Duration::from_millis(200));
    Ok((monitor, hear))
}

/// Returns when the last Link State Update before a moment was seen.
fn last_update(seen: &Seen, before: Duration) -> Option<Duration> {
    // Ethernet, IPv6, then version 3 and the packet's type: 4 is an Update.
    let is_update = |octets: &[u8]| octets.get(54..56) == Some(&[3, 4]);
    let updates = seen.records().filter(|(at, octets)| is_update(octets) && *at <= before);
    updates.map(|(at, _)| at).last()
}
