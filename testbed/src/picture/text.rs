//! The picture in a terminal: boxes for routers, frames for homes, lines with corners for links.

use std::collections::{BTreeMap, BTreeSet};

use super::canvas::Canvas;
use super::{Look, Shown, hosts, label, rows};
use crate::console::Console;
use crate::topology::{Link, Router, Topology};

/// Width of a router's box.
const BOX: usize = 20;
/// Height of a router's box.
const TALL: usize = 4;
/// Columns between boxes, wide enough for a label.
const GAP: usize = 16;
/// Columns left of everything.
const MARGIN: usize = 3;

/// Where everything goes.
struct Plan<'a> {
    /// Upper left corner of each router's box.
    boxes: BTreeMap<&'a str, (usize, usize)>,
    width: usize,
    height: usize,
}

/// Returns the mesh as lines of text.
pub fn draw(topology: &Topology, shown: &Shown, console: Console) -> String {
    let plan = place(topology);
    let mut canvas = Canvas::new(plan.width, plan.height);
    for home in &topology.homes {
        draw_home(&mut canvas, topology, &plan, &home.name);
    }
    let mut tracks: BTreeMap<usize, usize> = BTreeMap::new();
    let ports = ports(topology, &plan);
    let mut labels = Vec::new();
    for link in &topology.links {
        labels.extend(draw_link(&mut canvas, &plan, &ports, (link, shown.look_of(link)), &mut tracks));
    }
    for (y, (from, to), text, look) in labels {
        write_label(&mut canvas, y, (from, to), &text, look);
    }
    for router in &topology.routers {
        draw_router(&mut canvas, topology, &plan, router, shown);
    }
    canvas.render(console)
}

fn place(topology: &Topology) -> Plan<'_> {
    let rows = rows(topology);
    let widest = rows.iter().map(Vec::len).max().unwrap_or(1);
    let inner = widest * BOX + (widest - 1) * GAP;
    let mut boxes = BTreeMap::new();
    let mut y = 1;
    for (number, row) in rows.iter().enumerate() {
        let used = row.len() * BOX + (row.len() - 1) * GAP;
        let left = MARGIN + (inner - used) / 2;
        for (column, router) in row.iter().enumerate() {
            boxes.insert(router.name.as_str(), (left + column * (BOX + GAP), y));
        }
        let below: BTreeSet<&str> = row.iter().map(|router| router.name.as_str()).collect();
        let crossing = topology.links.iter().filter(|link| {
            below.contains(link.between.0.as_str()) != below.contains(link.between.1.as_str())
        });
        // A row of its own for each link that goes down from here, and room for a home's frame.
        y += TALL + if number + 1 < rows.len() { crossing.count() * 2 + 2 } else { 2 };
    }
    Plan { boxes, width: inner + 2 * MARGIN, height: y }
}

fn draw_home(canvas: &mut Canvas, topology: &Topology, plan: &Plan<'_>, home: &str) {
    let inside: Vec<_> = topology
        .routers
        .iter()
        .filter(|router| router.home.as_deref() == Some(home))
        .filter_map(|router| plan.boxes.get(router.name.as_str()))
        .collect();
    let (Some(left), Some(right)) = (inside.iter().map(|at| at.0).min(), inside.iter().map(|at| at.0).max())
    else {
        return;
    };
    let (Some(top), Some(bottom)) = (inside.iter().map(|at| at.1).min(), inside.iter().map(|at| at.1).max())
    else {
        return;
    };
    let corner = (left.saturating_sub(2), top.saturating_sub(1));
    canvas.frame(corner, (right + BOX + 4 - left, bottom + TALL + 2 - top), Look::Around);
    canvas.write((corner.0 + 2, bottom + TALL), &format!(" home {home}, behind NAT "), Look::Around);
}

fn draw_router(canvas: &mut Canvas, topology: &Topology, plan: &Plan<'_>, router: &Router, shown: &Shown) {
    let Some(&(x, y)) = plan.boxes.get(router.name.as_str()) else { return };
    let off = shown.off.contains(&router.name);
    let look = if off {
        Look::Dead
    } else if shown.way.contains(&router.name) {
        Look::Way
    } else {
        Look::Plain
    };
    for row in y + 1..y + TALL - 1 {
        canvas.write((x + 1, row), &" ".repeat(BOX - 2), look);
    }
    let title = if off { format!(" {}: off ", router.name) } else { format!(" {} ", router.name) };
    canvas.horizontal(y, (x, x + BOX - 1), look);
    canvas.frame((x, y), (BOX, TALL), look);
    canvas.write((x + 2, y), &title, look);
    canvas.write((x + 2, y + 1), &router.lan_ipv4.trunc().to_string(), look);
    canvas.write((x + 2, y + 2), &hosts(topology, router), look);
}

/// Returns the column at which each link that changes rows leaves its upper and its lower router.
fn ports(topology: &Topology, plan: &Plan<'_>) -> BTreeMap<(String, String), usize> {
    let mut ports = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for router in &topology.routers {
        let Some(&(x, y)) = plan.boxes.get(router.name.as_str()) else { continue };
        for above in [true, false] {
            let mut ends: Vec<(usize, &Link)> = topology
                .links
                .iter()
                .filter_map(|link| {
                    let far = plan.boxes.get(link.other_end(&router.name)?)?;
                    (far.1 != y && (far.1 < y) == above).then_some((far.0, link))
                })
                .collect();
            ends.sort_by_key(|(column, _)| *column);
            let count = ends.len();
            for (number, (_, link)) in ends.into_iter().enumerate() {
                let mut column = x + BOX * (number + 1) / (count + 1);
                while !taken.insert(column) {
                    column += 1;
                }
                ports.insert((link.name(), router.name.clone()), column);
            }
        }
    }
    ports
}

/// Where a label goes: its row, the columns it may use, its text, its look.
type Label = (usize, (usize, usize), String, Look);

fn draw_link(
    canvas: &mut Canvas,
    plan: &Plan<'_>,
    ports: &BTreeMap<(String, String), usize>,
    (link, look): (&Link, Look),
    tracks: &mut BTreeMap<usize, usize>,
) -> Option<Label> {
    let (a, b) = (link.between.0.as_str(), link.between.1.as_str());
    let (first, second) = (plan.boxes.get(a)?, plan.boxes.get(b)?);
    let ((upper, at), (lower, below)) =
        if first.1 <= second.1 { ((a, first), (b, second)) } else { ((b, second), (a, first)) };
    if at.1 == below.1 {
        let (left, right) = (at.0.min(below.0) + BOX, at.0.max(below.0) - 1);
        canvas.horizontal(at.1 + 1, (left, right), look);
        return Some((at.1 + 1, (left, right), label(link), look));
    }
    let start = *ports.get(&(link.name(), upper.to_owned()))?;
    let end = *ports.get(&(link.name(), lower.to_owned()))?;
    let track = tracks.entry(at.1).or_insert(at.1 + TALL + 1);
    let y = *track;
    *track += 2;
    canvas.vertical(start, (at.1 + TALL, y), look);
    canvas.horizontal(y, (start, end), look);
    canvas.vertical(end, (y, below.1), look);
    Some((y, (start.min(end) + 1, start.max(end)), label(link), look))
}

/// Writes a label where it hides no crossing, near the middle if it can.
fn write_label(canvas: &mut Canvas, y: usize, (from, to): (usize, usize), text: &str, look: Look) {
    let text = format!(" {text} ");
    let length = text.chars().count();
    let last = to.saturating_sub(length);
    let middle = (from + last) / 2;
    let mut places: Vec<usize> = (from..=last).collect();
    places.sort_by_key(|x| x.abs_diff(middle));
    // Where the line is too short, beside its end.
    places.push(to + 1);
    if let Some(place) = places.iter().find(|x| canvas.is_free((**x, y), length)) {
        canvas.write((*place, y), &text, look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_router_host_and_label_is_in_the_picture() {
        let topology =
            Topology::parse(include_str!("../../topologies/reference.toml"), "reference.toml").unwrap();
        let picture = draw(&topology, &Shown::default(), Console::default());
        for word in
            ["r1", "r2", "r3", "r4", "r5", "s1 s2", "s7", "home h2", "cost 20, 12 ms", "cost 15, 2 ms"]
        {
            assert!(picture.contains(word), "{word} is missing in\n{picture}");
        }
        assert!(picture.lines().all(|line| line.chars().count() <= 110), "{picture}");
    }

    #[test]
    fn a_router_that_is_off_says_so() {
        let topology =
            Topology::parse(include_str!("../../topologies/reference.toml"), "reference.toml").unwrap();
        let shown = Shown { off: BTreeSet::from(["r4".to_owned()]), ..Shown::default() };
        assert!(draw(&topology, &shown, Console::default()).contains("r4: off"));
    }
}
