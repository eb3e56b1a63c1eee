//! The mesh as a picture: one self-contained SVG that follows the reader's light or dark theme.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipnet::IpNet;

use crate::control::report::{EdgeReport, RouterReport, Topology};
use crate::topology::dot::{cost_label, is_whole};
use crate::topology::layout::{Place, places};

/// Free space around the outermost routers, for their boxes.
const MARGIN: (f64, f64) = (110.0, 70.0);
/// A router's box.
const BOX: (f64, f64) = (150.0, 54.0);
/// How far apart the middles of two costs are, at least, where there is room.
const LABEL_ROOM: f64 = 24.0;
/// How many announced prefixes a box names before it only counts them.
const PREFIXES_SHOWN: usize = 1;

const STYLE: &str = "\
svg{color:#1c2733;background:#fbfcfd;font-family:system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\
text{fill:currentColor;text-anchor:middle}\
.link{stroke:#5b7a99;stroke-width:2.2;fill:none}\
.half{stroke:#c0562f;stroke-dasharray:6 5}\
.cost{font-size:12px;font-weight:600}\
.plate{fill:#fbfcfd;fill-opacity:.92}\
.router{fill:#e7f0f9;stroke:#2f6ea5;stroke-width:1.6}\
.root{fill:#2f6ea5}\
.root+text,.root+text+text{fill:#fff}\
.lost{fill:#f1f1f1;stroke:#9a9a9a;stroke-dasharray:5 4}\
.name{font-size:16px;font-weight:600}\
.net{font-size:11px}\
.foot{font-size:12px;text-anchor:start;opacity:.7}\
@media(prefers-color-scheme:dark){svg{color:#e4ebf2;background:#12181f}.plate{fill:#12181f}.link{stroke:#7f9fbf}\
.router{fill:#1d2c3b;stroke:#6aa5d8}.root{fill:#3f83bd}.lost{fill:#222;stroke:#777}.half{stroke:#ef8a62}}";

/// Returns the picture.
pub fn render(topology: &Topology) -> String {
    let index: BTreeMap<Ipv4Addr, usize> =
        topology.routers.iter().enumerate().map(|(at, router)| (router.router_id, at)).collect();
    let ends = |edge: &EdgeReport| Some((*index.get(&edge.a)?, *index.get(&edge.b)?));
    let linked: Vec<(usize, usize)> = topology.links.iter().filter_map(ends).collect();
    let (width, height) = size(topology.routers.len());
    let at: Vec<Place> = places(topology.routers.len(), &linked)
        .into_iter()
        .map(|place| Place {
            x: MARGIN.0 + place.x * (width - 2.0 * MARGIN.0),
            y: MARGIN.1 + place.y * (height - 2.0 * MARGIN.1),
        })
        .collect();

    let (mut lines, mut labels) = (String::new(), String::new());
    let mut taken = Vec::new();
    for edge in &topology.links {
        let Some((a, b)) = ends(edge) else { continue };
        if let (Some(from), Some(to)) = (at.get(a), at.get(b)) {
            link(edge, (*from, *to), &mut taken, (&mut lines, &mut labels));
        }
    }
    let mut boxes = String::new();
    for (router, place) in topology.routers.iter().zip(&at) {
        router_box(router, router.router_id == topology.root, *place, &mut boxes);
    }
    let foot = foot(topology);
    let base = height - 14.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{foot}\">\n<title>{foot}</title>\n<style>{STYLE}</style>\n\
         {lines}{labels}{boxes}<text class=\"foot\" x=\"14\" y=\"{base:.0}\">{foot}</text>\n</svg>\n"
    )
}

/// Returns a picture's size: room for every box, wider than high.
fn size(routers: usize) -> (f64, f64) {
    let side = (routers.max(1) as f64).sqrt();
    (2.0 * MARGIN.0 + (side * 270.0).max(380.0), 2.0 * MARGIN.1 + (side * 170.0).max(200.0))
}

fn link(
    edge: &EdgeReport,
    (from, to): (Place, Place),
    taken: &mut Vec<Place>,
    (lines, labels): (&mut String, &mut String),
) {
    let class = if is_whole(edge) { "link" } else { "link half" };
    // Writing to a String cannot fail.
    let _ = writeln!(
        lines,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.x, from.y, to.x, to.y
    );
    for (share, label) in cost_labels(edge) {
        let place =
            |share: f64| Place { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
        let free = |place: &Place| {
            taken.iter().all(|other| (place.x - other.x).hypot(place.y - other.y) > LABEL_ROOM)
        };
        let nudged = [0.0, 0.09, -0.09, 0.18, -0.18].map(|nudge| place(share + nudge));
        let at = nudged.into_iter().find(free).unwrap_or_else(|| place(share));
        taken.push(at);
        let half = 6.0 + 3.8 * label.len() as f64;
        let _ = writeln!(
            labels,
            "<rect class=\"plate\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" rx=\"9\"/>\
             <text class=\"cost\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            at.x - half,
            at.y - 9.0,
            half * 2.0,
            at.x,
            at.y + 4.0,
            escaped(&label)
        );
    }
}

/// Returns what is written along a link, and where between `a` (0) and `b` (1): one cost in the middle, or each end's own
/// cost near it where they differ.
fn cost_labels(edge: &EdgeReport) -> Vec<(f64, String)> {
    let label = cost_label(edge);
    match label.split_once('/') {
        Some((a, b)) => vec![(0.32, a.to_owned()), (0.68, b.to_owned())],
        None => vec![(0.5, label)],
    }
}

fn router_box(router: &RouterReport, is_root: bool, at: Place, boxes: &mut String) {
    let class = match (is_root, router.reachable.is_empty()) {
        (true, _) => "router root",
        (false, true) => "router lost",
        (false, false) => "router",
    };
    let nets = nets(router);
    let name_at = if nets.is_empty() { at.y + 5.5 } else { at.y - 3.0 };
    let _ = write!(
        boxes,
        "<g><rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"10\"/>\
         <text class=\"name\" x=\"{:.1}\" y=\"{name_at:.1}\">{}</text>",
        at.x - BOX.0 / 2.0,
        at.y - BOX.1 / 2.0,
        BOX.0,
        BOX.1,
        at.x,
        escaped(&router.label()),
    );
    if !nets.is_empty() {
        let _ = write!(
            boxes,
            "<text class=\"net\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            at.x,
            at.y + 15.0,
            escaped(&nets)
        );
    }
    let all: Vec<String> = router.prefixes.iter().map(|announced| announced.prefix.to_string()).collect();
    let _ = writeln!(boxes, "<title>{}: {}</title></g>", router.router_id, escaped(&all.join(", ")));
}

/// Returns the networks behind a router: its own addresses and the links' do not count.
fn nets(router: &RouterReport) -> String {
    let is_net = |prefix: &IpNet| match prefix {
        IpNet::V4(net) => net.prefix_len() < 30,
        IpNet::V6(net) => net.prefix_len() < 126,
    };
    let nets: Vec<String> = router
        .prefixes
        .iter()
        .map(|announced| announced.prefix)
        .filter(is_net)
        .map(|prefix| prefix.to_string())
        .collect();
    let shown = nets.iter().take(PREFIXES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match nets.len().saturating_sub(PREFIXES_SHOWN) {
        0 => shown,
        more => format!("{shown} +{more}"),
    }
}

fn foot(topology: &Topology) -> String {
    let root = topology.routers.iter().find(|router| router.router_id == topology.root);
    let root = root.map_or_else(|| topology.root.to_string(), RouterReport::label);
    let (routers, links) = (topology.routers.len(), topology.links.len());
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    escaped(&format!(
        "{routers} router{} and {links} link{}, as {root} sees them; numbers are costs",
        plural(routers),
        plural(links)
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::reference;

    #[test]
    fn the_reference_mesh_as_a_picture() {
        let mut topology = reference();
        topology.links[7].ipv6.b_to_a = None;
        topology.links[7].ipv4.b_to_a = None;
        topology.routers[4].reachable.clear();
        insta::assert_snapshot!(render(&topology));
    }

    #[test]
    fn a_name_cannot_leave_its_text() {
        let mut topology = reference();
        topology.routers[0].name = Some("<script>\"&".to_owned());
        let picture = render(&topology);
        assert!(picture.contains("&lt;script&gt;&quot;&amp;") && !picture.contains("<script>"));
    }

    #[test]
    fn a_mesh_of_one_router_has_a_picture() {
        let mut topology = reference();
        topology.routers.truncate(1);
        topology.links.clear();
        assert!(render(&topology).contains("1 router and 0 links"));
    }
}
