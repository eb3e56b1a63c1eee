//! Would a configuration's filter keep the operator out who came by a WAN or a LAN? Pure.

use std::net::IpAddr;

use crate::caller::SessionEnds;
use crate::config::service::{self, Transport};
use crate::config::zone::{Protocol, WanInput};
use crate::config::{Config, LanConfig, WanConfig};
use crate::state::facts::Sides;
use crate::zones::{self, FarZones};

/// Returns what would keep the operator out of the router, in words; nothing when no reason is seen. A session that stands
/// would go on; the next one would not come about. Of an operator who comes through the mesh the filter asks nothing.
pub fn closes(before: &Config, after: &Config, sides: Sides<'_>, ends: SessionEnds) -> Option<String> {
    if let Some(lan) = lan_of(after, sides, ends.client) {
        let was = before.lans.iter().find(|was| was.name == lan.name);
        if is_reached(after, sides, lan, ends) || was.is_some_and(|was| !is_reached(before, sides, was, ends))
        {
            return None;
        }
        return Some(format!(
            "you came from the LAN {}, whose zone {} does not reach this router's port {}",
            lan.name, lan.zone, ends.port
        ));
    }
    let wan = after.wans.iter().find(|wan| is_on(sides, wan, ends.router))?;
    let was = before.wans.iter().find(|was| was.name == wan.name);
    if is_open(after, wan, ends) || was.is_some_and(|was| !is_open(before, was, ends)) {
        return None;
    }
    Some(format!(
        "you came by the WAN {}, which it closes for port {} (option ssh '{}' there keeps it open)",
        wan.name, ends.port, ends.port
    ))
}

/// Returns the LAN that an address is on.
fn lan_of<'a>(config: &'a Config, sides: Sides<'_>, address: IpAddr) -> Option<&'a LanConfig> {
    let holds =
        |lan: &&LanConfig| sides.lan_prefixes(lan).iter().any(|(_, prefix)| prefix.contains(&address));
    config.lans.iter().find(holds)
}

/// Returns whether an address is one of a WAN's networks.
fn is_on(sides: Sides<'_>, wan: &WanConfig, address: IpAddr) -> bool {
    let found = sides.wans.get(&wan.name);
    found.is_some_and(|found| found.prefixes.iter().any(|prefix| prefix.contains(&address)))
}

fn is_open(config: &Config, wan: &WanConfig, ends: SessionEnds) -> bool {
    let is_opened = |ports: &crate::config::zone::Ports| {
        ports.protocol == Protocol::Tcp && ports.range().contains(&ends.port)
    };
    let is_service = |opening: &service::Opening| {
        opening.transport == Transport::Tcp
            && opening.socket.port() == ends.port
            && (opening.socket.ip().is_unspecified() || opening.socket.ip() == ends.router)
    };
    wan.input == WanInput::Leave
        || wan.ssh == Some(ends.port)
        || wan.open.iter().any(is_opened)
        || service::openings(config).iter().any(is_service)
}

/// Returns whether the hosts of a LAN reach a port of this router.
fn is_reached(config: &Config, sides: Sides<'_>, lan: &LanConfig, ends: SessionEnds) -> bool {
    let Some(rules) = zones::rules(config, &lan.zone) else { return true };
    let is_allowed = rules.allow.iter().any(|allowed| {
        let ports = allowed.ports;
        allowed.net.contains(&ends.router)
            && ports.is_none_or(|ports| ports.protocol == Protocol::Tcp && ports.range().contains(&ends.port))
    });
    let members = zones::members(config, sides, [], &FarZones::default());
    let sets = zones::sets(&members, &zones::reached(config));
    let of_zone = |reach: &crate::config::zone::Reach| sets.get(&reach.to_string());
    let mut reached = rules.reach.iter().filter_map(of_zone).flatten();
    is_allowed || reached.any(|prefix| prefix.contains(&ends.router))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::config::{Source, parse};
    use crate::state::facts::WanFacts;

    const CONFIG: &str = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\nconfig wan 'wan0'\n\toption device 'eth0'\n\
        config lan 'lan0'\n\toption device 'br-lan'\n\toption ipv4 '10.2.1.1/24'\n\
        config lan 'lan1'\n\toption device 'br-two'\n\toption ipv4 '10.2.2.1/24'\n";

    fn told(before: &str, after: &str, client: &str, router: &str) -> Option<String> {
        let config = |text: &str| parse(Source { file: "test", text, hostname: "r1" }).unwrap().config;
        let prefixes = BTreeSet::from(["203.0.113.0/30".parse().unwrap()]);
        let wan = WanFacts { device: None, lives_by_ra: false, prefixes };
        let (wans, lans) = (BTreeMap::from([("wan0".to_owned(), wan)]), BTreeMap::new());
        let ends = SessionEnds { client: client.parse().unwrap(), router: router.parse().unwrap(), port: 22 };
        closes(&config(before), &config(after), Sides { wans: &wans, lans: &lans }, ends)
    }

    fn with_wan(options: &str) -> String {
        CONFIG.replace("option device 'eth0'\n", &format!("option device 'eth0'\n{options}"))
    }

    #[test]
    fn a_wan_that_is_closed_for_the_caller_s_port_is_named() {
        let closed = with_wan("\toption input 'drop'\n");
        assert!(told(CONFIG, &closed, "198.51.100.9", "203.0.113.2").unwrap().contains("the WAN wan0"));
        for options in ["\toption ssh '22'\n", "\tlist open 'tcp 20-30'\n"] {
            let open = with_wan(&format!("\toption input 'drop'\n{options}"));
            assert_eq!(told(CONFIG, &open, "198.51.100.9", "203.0.113.2"), None);
            assert!(told(&open, &closed, "198.51.100.9", "203.0.113.2").is_some());
        }
        // From a LAN or through the mesh the WAN's rules are nothing; and what was closed before is not closed by this.
        assert_eq!(told(CONFIG, &closed, "10.2.1.9", "203.0.113.2"), None);
        assert_eq!(told(CONFIG, &closed, "10.2.77.9", "10.1.1.1"), None);
        assert_eq!(told(&closed, &closed, "198.51.100.9", "203.0.113.2"), None);
    }

    #[test]
    fn a_lan_that_is_moved_where_it_does_not_reach_the_router_is_named() {
        let isolated =
            CONFIG.replace("option device 'br-lan'\n", "option device 'br-lan'\n\toption zone 'isolated'\n");
        assert!(told(CONFIG, &isolated, "10.2.1.9", "10.2.1.1").unwrap().contains("the LAN lan0"));
        assert_eq!(told(CONFIG, &isolated, "10.2.2.9", "10.2.2.1"), None);
        let allowed = format!("{isolated}config zone 'isolated'\n\tlist allow '10.2.1.1 tcp 22'\n");
        assert_eq!(told(CONFIG, &allowed, "10.2.1.9", "10.2.1.1"), None);
        let reaches = format!("{isolated}config zone 'isolated'\n\tlist reach 'internal'\n");
        assert_eq!(told(CONFIG, &reaches, "10.2.1.9", "10.1.1.1"), None);
        assert!(told(CONFIG, &reaches, "10.2.1.9", "10.2.1.1").is_some());
    }
}
