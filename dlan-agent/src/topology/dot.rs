//! The mesh as a graph for Graphviz.

use std::fmt::Write as _;

use crate::control::report::{AddressFamily, EdgeReport, Topology};

/// Returns the graph in the DOT language.
pub fn render(topology: &Topology) -> String {
    let mut text = String::from("graph dlan {\n  node [shape=box, style=rounded];\n");
    for router in &topology.routers {
        let mark = if router.router_id == topology.root { ", penwidth=2" } else { "" };
        let gone = if router.reachable.is_empty() { ", style=dashed" } else { "" };
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "  \"{}\" [label=\"{}\"{mark}{gone}];", router.router_id, quoted(&router.label()));
    }
    for edge in &topology.links {
        let style = if is_whole(edge) { "" } else { ", style=dashed" };
        let label = cost_label(edge);
        let _ = writeln!(text, "  \"{}\" -- \"{}\" [label=\"{label}\"{style}];", edge.a, edge.b);
    }
    text.push_str("}\n");
    text
}

/// Returns whether the link carries at least one family.
pub(crate) fn is_whole(edge: &EdgeReport) -> bool {
    AddressFamily::BOTH.iter().any(|family| edge.costs(*family).is_whole())
}

/// Returns the link's costs in few characters: `10`, `10/20` where the directions differ, `10/-` where one end is silent.
pub(crate) fn cost_label(edge: &EdgeReport) -> String {
    let costs = if edge.ipv6.is_whole() || !edge.ipv4.is_whole() { edge.ipv6 } else { edge.ipv4 };
    let one = |cost: Option<u16>| cost.map_or_else(|| "-".to_owned(), |cost| cost.to_string());
    if costs.a_to_b == costs.b_to_a {
        one(costs.a_to_b)
    } else {
        format!("{}/{}", one(costs.a_to_b), one(costs.b_to_a))
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::reference;

    #[test]
    fn the_reference_mesh_as_dot() {
        let mut topology = reference();
        topology.links[0].ipv6.b_to_a = None;
        topology.links[0].ipv4.b_to_a = None;
        insta::assert_snapshot!(render(&topology));
    }
}
