//! Would a configuration close the path by which the operator came? Pure: two configurations and the ends of a session.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::addressing;
use crate::caller::SessionEnds;
use crate::config::{Config, HostId};

/// Returns what would close the operator's path, in words; nothing when no reason is seen. `first_hop` is the neighbor towards
/// the operator, for an operator who comes through the mesh.
pub fn closes(
    before: &Config,
    after: &Config,
    ends: SessionEnds,
    first_hop: Option<HostId>,
) -> Option<String> {
    if own_addresses(before).contains(&ends.router) && !own_addresses(after).contains(&ends.router) {
        return Some(format!("this router would no longer have {}, the address you called", ends.router));
    }
    let neighbor = first_hop?;
    let of = |config: &Config| config.links.iter().find(|link| link.host_id == neighbor).cloned();
    let was = of(before)?;
    let Some(will_be) = of(after) else {
        return Some(format!("the link to {}, by which you came, would go", was.name));
    };
    let (mesh, other) = (&before.mesh, &after.mesh);
    let what = if mesh.host_id != other.host_id {
        "this router's host id changes, and with it every link"
    } else if was.public_key != will_be.public_key {
        "the public key of the link's far end changes"
    } else if (&was.wg_psk_file, &mesh.wg_psk_file) != (&will_be.wg_psk_file, &other.wg_psk_file) {
        "the link's pre-shared key changes"
    } else if mesh.private_key_file != other.private_key_file {
        "this router's private key changes"
    } else if (mesh.wg_ipv4, mesh.wg_ipv6, mesh.max_hosts, mesh.vxlan_port)
        != (other.wg_ipv4, other.wg_ipv6, other.max_hosts, other.vxlan_port)
    {
        "the numbers that both ends of every link must agree on change"
    } else {
        return None;
    };
    Some(format!("you came by the link to {}, and {what}", was.name))
}

/// Returns the addresses that this router has by its configuration.
fn own_addresses(config: &Config) -> BTreeSet<IpAddr> {
    let mesh = &config.mesh;
    let pools = [addressing::loopback(mesh, mesh.host_id), addressing::wireguard(mesh, mesh.host_id)];
    let of_pools = pools.into_iter().flatten().flat_map(|at| [IpAddr::V4(at.ipv4), IpAddr::V6(at.ipv6)]);
    let of_links = config.links.iter().filter_map(|link| addressing::link(mesh, link.host_id).ok()?.ipv4);
    let of_lans = config.lans.iter().flat_map(|lan| {
        let ipv4 = lan.ipv4.as_ref().map(|at| IpAddr::V4(at.address));
        [ipv4, lan.ipv6.as_ref().map(|at| IpAddr::V6(at.address))].into_iter().flatten()
    });
    of_pools.chain(of_links.map(|net| IpAddr::V4(net.addr()))).chain(of_lans).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    const CONFIG: &str = "config mesh 'mesh'\n\toption host_id '1'\n\toption name 'r1'\nconfig wan 'wan0'\n\toption device 'eth0'\n\
        config lan 'lan0'\n\toption device 'br-lan'\n\toption ipv4 '10.2.1.1/24'\n\
        config link 'r4'\n\toption host_id '4'\n\toption public_key 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='\n\
        config link 'r5'\n\toption host_id '5'\n\toption public_key 'TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0='\n";

    fn config(text: &str) -> Config {
        parse(Source { file: "test", text, hostname: "r1" }).unwrap().config
    }

    fn told(after: &str, router: &str, first_hop: Option<u16>) -> Option<String> {
        let ends =
            SessionEnds { client: "10.2.3.33".parse().unwrap(), router: router.parse().unwrap(), port: 22 };
        closes(&config(CONFIG), &config(after), ends, first_hop.map(HostId))
    }

    #[test]
    fn what_changes_elsewhere_closes_nothing() {
        let cost = CONFIG.replace("host_id '4'", "host_id '4'\n\toption cost '100'");
        for router in ["10.2.1.1", "192.0.2.1"] {
            assert_eq!(told(CONFIG, router, Some(4)), None);
            assert_eq!(told(&cost, router, Some(4)), None);
        }
        let without_r5 = CONFIG.split("config link 'r5'").next().unwrap();
        assert_eq!(told(without_r5, "10.2.1.1", Some(4)), None);
        assert_eq!(told(without_r5, "10.2.1.1", None), None);
    }

    #[test]
    fn what_the_operator_stands_on_is_named() {
        let without_r5 = CONFIG.split("config link 'r5'").next().unwrap();
        assert!(told(without_r5, "10.2.1.1", Some(5)).unwrap().contains("the link to r5"));
        let other_address = CONFIG.replace("10.2.1.1", "10.2.9.1");
        assert!(told(&other_address, "10.2.1.1", None).unwrap().contains("10.2.1.1"));
        assert_eq!(told(&other_address, "192.0.2.1", Some(4)), None);
        let other_key = CONFIG.replace(
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
            "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
        );
        assert!(told(&other_key, "10.2.1.1", Some(4)).unwrap().contains("public key"));
        assert_eq!(told(&other_key, "10.2.1.1", Some(5)), None);
        let other_id = CONFIG.replace("option host_id '1'", "option host_id '9'");
        assert!(told(&other_id, "10.2.1.1", Some(5)).unwrap().contains("host id"));
        let psk =
            CONFIG.replace("option name 'r1'", "option name 'r1'\n\toption wg_psk_file '/etc/dlan/wg.psk'");
        assert!(told(&psk, "10.2.1.1", Some(5)).unwrap().contains("pre-shared"));
    }
}
