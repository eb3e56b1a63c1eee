//! One screen about this router: problems first, then links, LANs and routes.

use std::fmt::Write as _;

use super::lists::link_row;
use super::table::{Table, duration};
use crate::control::report::{LanReport, Problem, Status};

/// Returns the screen. Lines are broken at `width` columns where they can be.
pub fn status(status: &Status, width: usize) -> String {
    let mut text = heading(status);
    text.push('\n');
    text.push_str(&problems(&status.problems, width));
    if !status.links.is_empty() {
        text.push_str("\nLinks\n");
        text.push_str(&links(status));
    }
    if !status.lans.is_empty() {
        text.push_str("\nLANs\n");
        text.push_str(&lans(&status.lans));
    }
    // Writing to a String cannot fail.
    if let Some(nat64) = &status.nat64 {
        let state = if nat64.running { "translated" } else { "NOT translated" };
        let _ = writeln!(text, "\nNAT64: {} is {state} to IPv4, by way of {}", nat64.prefix, nat64.pool);
    }
    let _ = writeln!(
        text,
        "\nRoutes: {} IPv6, {} IPv4 in the kernel (`dlan routes`)",
        status.routes_ipv6, status.routes_ipv4
    );
    text
}

/// Returns the problems, each with its next step.
pub fn problems(problems: &[Problem], width: usize) -> String {
    if problems.is_empty() {
        return "No problems.\n".to_owned();
    }
    let mut text = String::from("Problems\n");
    for problem in problems {
        wrap(&mut text, &format!("  {:8}", problem.severity), &problem.what, width);
        wrap(&mut text, "          -> ", &problem.next_step, width);
    }
    text
}

fn heading(status: &Status) -> String {
    let drained = if status.drained {
        "DRAINED: traffic between other routers is kept away from this one. End it with `dlan undrain`.\n"
    } else {
        ""
    };
    let mut text = format!("{drained}{}.{} (host id {})", status.name, status.domain, status.host_id);
    for address in &status.loopbacks {
        let _ = write!(text, "  {address}");
    }
    text.push('\n');
    if let Some(left) = status.restart_seconds_left {
        let _ = writeln!(
            text,
            "routing restarts: the routes of before are kept until its neighbors are back, {} at most",
            duration(left)
        );
    }
    if status.agent_running {
        let uptime = status.uptime_seconds.map_or_else(String::new, |s| format!(" for {}", duration(s)));
        let _ = writeln!(
            text,
            "agent {} runs{uptime}, WireGuard: {}, {} of {} routers reachable",
            status.version, status.wireguard, status.routers_reachable, status.routers
        );
    } else {
        let _ = writeln!(
            text,
            "The agent is not running. This is what the kernel still does (WireGuard: {}):",
            status.wireguard
        );
    }
    text
}

fn links(status: &Status) -> String {
    let mut table = Table::new(&[
        "NEIGHBOR",
        "IPV6",
        "IPV4",
        "BFD",
        ">COST",
        ">MTU",
        ">RTT",
        ">LOSS",
        "HANDSHAKE",
        "ENDPOINT",
    ]);
    for link in &status.links {
        table.row(link_row(link));
    }
    table.render(2)
}

fn lans(lans: &[LanReport]) -> String {
    let mut table = Table::new(&["NAME", "DEVICE", "PREFIXES"]);
    for lan in lans {
        let prefixes: Vec<String> = lan.prefixes.iter().map(ToString::to_string).collect();
        let prefixes = match (lan.present, prefixes.is_empty()) {
            (false, _) => "device is not there".to_owned(),
            (true, true) => "no private prefix".to_owned(),
            (true, false) => prefixes.join("  "),
        };
        table.row([lan.name.clone(), lan.device.clone(), prefixes]);
    }
    table.render(2)
}

/// Writes words behind a lead, in lines of `width` columns at most unless a word is longer.
fn wrap(text: &mut String, lead: &str, words: &str, width: usize) {
    let indent = " ".repeat(lead.chars().count());
    let mut line = lead.to_owned();
    let mut is_first = true;
    for word in words.split_whitespace() {
        if !is_first && line.chars().count() + 1 + word.chars().count() > width {
            text.push_str(line.trim_end());
            text.push('\n');
            line.clone_from(&indent);
            is_first = true;
        }
        if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
