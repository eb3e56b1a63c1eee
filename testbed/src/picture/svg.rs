//! The picture as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Look, Shown, hosts, label, rows};
use crate::topology::Topology;

const BOX: (i32, i32) = (170, 74);
const STEP: (i32, i32) = (310, 260);
const MARGIN: i32 = 50;

/// Returns the mesh as an SVG document.
pub fn draw(topology: &Topology, shown: &Shown) -> String {
    let rows = rows(topology);
    let widest = rows.iter().map(Vec::len).max().unwrap_or(1);
    let width = 2 * MARGIN + STEP.0 * whole(widest - 1) + BOX.0;
    let height = 2 * MARGIN + STEP.1 * whole(rows.len() - 1) + BOX.1;
    let mut centres = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let left = (width - STEP.0 * whole(row.len() - 1)) / 2;
        for (column, router) in row.iter().enumerate() {
            let y = MARGIN + BOX.1 / 2 + STEP.1 * whole(number);
            centres.insert(router.name.as_str(), (left + STEP.0 * whole(column), y));
        }
    }
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>The mesh '{}'</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        topology.name
    );
    let names = draw_homes(&mut svg, topology, &centres);
    draw_links(&mut svg, topology, shown, &centres);
    svg.push_str(&names);
    draw_routers(&mut svg, topology, shown, &centres);
    svg.push_str("</svg>\n");
    svg
}

fn whole(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(0)
}

/// Draws the homes and returns their names, which come over the links that cross them.
fn draw_homes(svg: &mut String, topology: &Topology, centres: &BTreeMap<&str, (i32, i32)>) -> String {
    let mut names = String::new();
    for home in &topology.homes {
        let inside: Vec<_> = topology
            .routers
            .iter()
            .filter(|router| router.home.as_ref() == Some(&home.name))
            .filter_map(|router| centres.get(router.name.as_str()))
            .collect();
        let (Some(left), Some(right)) =
            (inside.iter().map(|at| at.0).min(), inside.iter().map(|at| at.0).max())
        else {
            continue;
        };
        let (Some(top), Some(bottom)) =
            (inside.iter().map(|at| at.1).min(), inside.iter().map(|at| at.1).max())
        else {
            continue;
        };
        let (x, y) = (left - BOX.0 / 2 - 18, top - BOX.1 / 2 - 18);
        let (width, height) = (right - left + BOX.0 + 36, bottom - top + BOX.1 + 48);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"14\" fill=\"#f4f1ea\" stroke=\"#b9ad94\" stroke-dasharray=\"6 4\"/>"
        );
        let words = format!("home {}, behind NAT", home.name);
        let _ = writeln!(
            names,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\" fill=\"#f4f1ea\"/>\n<text x=\"{}\" y=\"{}\" fill=\"#7a6c4f\">{words}</text>",
            x + 12,
            y + height - 23,
            whole(words.chars().count()) * 7 + 4,
            x + 14,
            y + height - 9,
        );
    }
    names
}

fn draw_links(svg: &mut String, topology: &Topology, shown: &Shown, centres: &BTreeMap<&str, (i32, i32)>) {
    let mut labels = String::new();
    for (number, link) in topology.links.iter().enumerate() {
        let (Some(a), Some(b)) = (centres.get(link.between.0.as_str()), centres.get(link.between.1.as_str()))
        else {
            continue;
        };
        let (colour, width, dashes) = match shown.look_of(link) {
            Look::Dead => ("#c0392b", 2, " stroke-dasharray=\"3 6\""),
            Look::Way => ("#1e8449", 4, ""),
            Look::Plain | Look::Around => ("#5d6d7e", 2, ""),
        };
        let _ = writeln!(
            svg,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
            a.0, a.1, b.0, b.1
        );
        // Labels of links that cross stay apart: each at another height.
        let hundredths = if a.1 == b.1 { 50 } else { 30 + 13 * whole(number % 4) };
        let (x, y) = (a.0 + (b.0 - a.0) * hundredths / 100, a.1 + (b.1 - a.1) * hundredths / 100);
        let half = whole(label(link).chars().count()) * 7 / 2 + 5;
        let _ = writeln!(
            labels,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\" rx=\"4\" fill=\"#ffffff\" fill-opacity=\"0.9\"/>\n\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"{colour}\">{}</text>",
            x - half,
            y - 12,
            2 * half,
            y + 2,
            label(link)
        );
    }
    svg.push_str(&labels);
}

fn draw_routers(svg: &mut String, topology: &Topology, shown: &Shown, centres: &BTreeMap<&str, (i32, i32)>) {
    for router in &topology.routers {
        let Some((x, y)) = centres.get(router.name.as_str()) else { continue };
        let (fill, stroke) = if shown.off.contains(&router.name) {
            ("#f5d6d2", "#c0392b")
        } else if shown.way.contains(&router.name) {
            ("#d5f0df", "#1e8449")
        } else {
            ("#e3edf7", "#2e5f8a")
        };
        let (left, top) = (x - BOX.0 / 2, y - BOX.1 / 2);
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"2\"/>",
            BOX.0, BOX.1
        );
        let state = if shown.off.contains(&router.name) { ": off" } else { "" };
        let lines = [
            (format!("{}{state}", router.name), "bold", 24),
            (router.lan_ipv4.trunc().to_string(), "normal", 44),
            (hosts(topology, router), "normal", 62),
        ];
        for (text, weight, down) in lines {
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"{weight}\" fill=\"#1b2631\">{text}</text>",
                top + down
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_shows_every_router_and_what_is_dead() {
        let topology =
            Topology::parse(include_str!("../../topologies/reference.toml"), "reference.toml").unwrap();
        let whole = draw(&topology, &Shown::default());
        assert!(topology.routers.iter().all(|router| whole.contains(&format!(">{}<", router.name))));
        assert!(!whole.contains("stroke-dasharray=\"3 6\""));
        let shown = Shown { cut: ["r1-r4".to_owned()].into(), ..Shown::default() };
        assert_eq!(draw(&topology, &shown).matches("stroke-dasharray=\"3 6\"").count(), 1);
    }
}
