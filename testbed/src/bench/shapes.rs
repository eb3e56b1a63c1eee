//! Topologies that measurements make up: every router at the internet, with a LAN of its own.

use std::fmt::Write as _;

/// Returns a topology file; routers are numbered from 1, and a host is behind each of those named.
pub fn topology(name: &str, mesh: &str, links: &[(usize, usize)], hosts: &[usize]) -> String {
    let routers = links.iter().map(|(a, b)| *a.max(b)).max().unwrap_or_default();
    let mut text = format!("name = \"{name}\"\n[mesh]\n{mesh}");
    for n in 1..=routers {
        let public = 4 * n + 2;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "[[router]]\nname = \"r{n}\"\nhost_id = {n}\nwan_ipv4 = \"203.0.113.{public}/30\"\nwan_ipv6 = \
             \"2001:db8:{n:x}::2/64\"\nlan_ipv4 = \"10.3.{n}.1/24\"\nlan_ipv6 = \"fd79:2de7:db87:{n:x}::1/64\"\n"
        );
    }
    for n in hosts {
        let _ = write!(text, "[[host]]\nname = \"s{n}\"\nrouter = \"r{n}\"\nnumber = 10\n");
    }
    for (a, b) in links {
        let _ = write!(text, "[[link]]\nbetween = [\"r{a}\", \"r{b}\"]\n");
    }
    text
}

/// Returns the links of routers in a ring, each also linked with the one `chord` further on, if there is one.
pub fn ring(routers: usize, chord: Option<usize>) -> Vec<(usize, usize)> {
    let steps = [Some(1), chord];
    (0..routers)
        .flat_map(|n| steps.into_iter().flatten().map(move |step| (n + 1, (n + step) % routers + 1)))
        .collect()
}

/// Returns the links of routers that are each linked with every other.
pub fn full_mesh(routers: usize) -> Vec<(usize, usize)> {
    (1..=routers).flat_map(|a| (a + 1..=routers).map(move |b| (a, b))).collect()
}
