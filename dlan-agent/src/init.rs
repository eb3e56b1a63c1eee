//! A first configuration: from options, from what is on the machine, and from the answers of a person.

pub mod machine;
pub mod prefixes;

use std::io;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vxlan::link::LinkName;

use crate::cli::InitArgs;
use crate::config::dhcp::DhcpConfig;
use crate::config::template::Answers;
use crate::config::{DeviceSource, HOST_ID_LIMIT, HostId, LanAddress, LanConfig, name_from_hostname};
use crate::state::facts::is_private;
use machine::{Device, Machine};
use prefixes::PrefixError;

/// The zone of a LAN that says nothing else.
const ZONE_DEFAULT: &str = "internal";

/// Why there is no first configuration.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something must be known and was not said.
    #[error("{what} is not known: give {option}")]
    Missing {
        /// What.
        what: &'static str,
        /// The option that says it.
        option: &'static str,
    },
    /// An answer or an option that cannot be.
    #[error("{what} cannot be {value:?}: {reason}")]
    Bad {
        /// What.
        what: &'static str,
        /// What was said.
        value: String,
        /// Why it cannot be.
        reason: String,
    },
    /// The terminal went away.
    #[error("cannot read an answer")]
    Ask(#[from] io::Error),
}

/// Whoever answers questions.
pub trait Person {
    /// Asks, and returns the answer; an empty one takes the proposal.
    fn ask(&mut self, question: &str, proposal: Option<&str>) -> io::Result<String>;
}

/// Nobody: every question takes its proposal.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Person for Nobody {
    fn ask(&mut self, _question: &str, proposal: Option<&str>) -> io::Result<String> {
        Ok(proposal.unwrap_or_default().to_owned())
    }
}

/// Puts the answers together: an option counts most, then what the person says, then what was found. `random` makes the
/// mesh's IPv6 prefix unlike anybody else's (RFC 4193 section 3.2.2) when there is none.
pub fn answers(
    args: &InitArgs,
    machine: &Machine,
    person: &mut dyn Person,
    random: [u8; 5],
) -> Result<Answers, InitError> {
    let host_id = host_id(args, person)?;
    let name = name(args, machine, person)?;
    let wan = wan(args, machine, person)?;
    let lans = lans(args, machine, person, &wan)?;
    let on = |device: &LinkName| machine.devices.iter().find(|found| found.name == *device);
    let lacking = |(index, device): (usize, &LinkName)| {
        (index > 0 || args.lan_ipv6.is_none()) && lacks_ipv6(on(device))
    };
    let plan = match lans.iter().enumerate().any(lacking) {
        true => Some(site(args, host_id, person, random)?),
        false => None,
    };
    let lans = lans.into_iter().enumerate().map(|(index, device)| {
        let found = on(&device);
        let first = index == 0;
        let ipv4 = args.lan_ipv4.filter(|_| first).or_else(|| ipv4_proposal(found, host_id, index));
        let ipv6 = args.lan_ipv6.filter(|_| first).or_else(|| {
            let (_, site) = plan.filter(|_| lacks_ipv6(found))?;
            first_of(prefixes::lan(site, index)?)
        });
        LanConfig {
            name: format!("lan{index}"),
            device,
            zone: ZONE_DEFAULT.to_owned(),
            ipv4: ipv4.map(|net| LanAddress { address: net.addr(), prefix_len: net.prefix_len() }),
            ipv6: ipv6.map(|net| LanAddress { address: net.addr(), prefix_len: net.prefix_len() }),
            dns64: false,
            dhcp: DhcpConfig::default(),
        }
    });
    Ok(Answers {
        host_id,
        name,
        domain: None,
        ospf_secret_file: None,
        wg_psk_file: None,
        // OpenWrt finds the device of a network by itself, also when it is another one tomorrow.
        wans: vec![
            machine.networks.get(&wan).map_or(DeviceSource::Device(wan.clone()), |network| {
                DeviceSource::Interface(network.clone())
            }),
        ],
        listen_port: args.listen_port,
        lans: lans.collect(),
        links: Vec::new(),
        mesh_prefix: plan.map(|(mesh, _)| mesh),
    })
}

fn host_id(args: &InitArgs, person: &mut dyn Person) -> Result<HostId, InitError> {
    let what = "this router's host id";
    let text = match args.host_id {
        Some(number) => number.to_string(),
        None => {
            person.ask("This router's number in the mesh, unlike every other router's (1, 2, 3 ..)", None)?
        }
    };
    if text.is_empty() {
        return Err(InitError::Missing { what, option: "--host-id NUMBER" });
    }
    let number: Option<u16> = text.parse().ok().filter(|number| (1..=HOST_ID_LIMIT).contains(number));
    let reason = format!("it is a number from 1 to {HOST_ID_LIMIT}");
    number.map(HostId).ok_or(InitError::Bad { what, value: text, reason })
}

fn name(args: &InitArgs, machine: &Machine, person: &mut dyn Person) -> Result<String, InitError> {
    let what = "this router's name";
    let found = name_from_hostname(&machine.hostname);
    let text = match &args.name {
        Some(name) => name.clone(),
        None => answered(person, "This router's name", found.as_deref())?,
    };
    if text.is_empty() {
        return Err(InitError::Missing { what, option: "--name NAME" });
    }
    match name_from_hostname(&text) {
        Some(name) if name == text => Ok(name),
        _ => Err(InitError::Bad {
            what,
            value: text,
            reason: "it is made of lower-case letters, digits and hyphens, 63 at most".to_owned(),
        }),
    }
}

fn wan(args: &InitArgs, machine: &Machine, person: &mut dyn Person) -> Result<LinkName, InitError> {
    let what = "the device towards the internet";
    if let Some(device) = &args.wan {
        return Ok(device.clone());
    }
    let found = machine.default_device.as_ref().map(LinkName::as_str);
    let text = answered(person, "The device towards the internet", found)?;
    if text.is_empty() {
        return Err(InitError::Missing { what, option: "--wan DEVICE" });
    }
    device(what, &text)
}

fn lans(
    args: &InitArgs,
    machine: &Machine,
    person: &mut dyn Person,
    wan: &LinkName,
) -> Result<Vec<LinkName>, InitError> {
    if args.no_lan || !args.lan.is_empty() {
        return Ok(args.lan.clone());
    }
    let found: Vec<&str> =
        machine.devices.iter().filter(|found| is_lan(found, wan)).map(|found| found.name.as_str()).collect();
    let proposal = if found.is_empty() { "none".to_owned() } else { found.join(" ") };
    let text = answered(person, "The devices with hosts, or none", Some(&proposal))?;
    let words = text.split_whitespace().filter(|word| *word != "none");
    words.map(|word| device("a device with hosts", word)).collect()
}

/// A bridge, or any device with a private address, is a LAN, unless it is the WAN or a tunnel.
fn is_lan(device: &Device, wan: &LinkName) -> bool {
    let is_private = device.addresses.iter().any(is_private);
    let is_ours = device.name.as_str().starts_with("dlan-");
    device.name != *wan && !is_ours && !device.is_point_to_point && (device.is_bridge || is_private)
}

fn answered(person: &mut dyn Person, question: &str, proposal: Option<&str>) -> io::Result<String> {
    let answer = person.ask(question, proposal)?;
    let answer = answer.trim();
    Ok(if answer.is_empty() { proposal.unwrap_or_default().to_owned() } else { answer.to_owned() })
}

fn device(what: &'static str, text: &str) -> Result<LinkName, InitError> {
    LinkName::new(text).map_err(|error| InitError::Bad {
        what,
        value: text.to_owned(),
        reason: error.to_string(),
    })
}

/// Returns an address for a LAN that has none: each router and each LAN its own /24 of 10.0.0.0/8.
fn ipv4_proposal(found: Option<&Device>, host_id: HostId, index: usize) -> Option<Ipv4Net> {
    let has_one =
        |device: &Device| device.addresses.iter().any(|net| matches!(net, IpNet::V4(_)) && is_private(net));
    if found.is_some_and(has_one) {
        return None;
    }
    let second = u8::try_from(host_id.0.checked_add(1)?).ok()?;
    let third = u8::try_from(index).ok()?;
    Ipv4Net::new(Ipv4Addr::new(10, second, third, 1), 24).ok()
}

/// Returns the router's address in a LAN's prefix: the first.
fn first_of(prefix: Ipv6Net) -> Option<Ipv6Net> {
    let address = u128::from(prefix.network()).checked_add(1)?;
    Ipv6Net::new(address.into(), prefix.prefix_len()).ok()
}

/// Returns whether a LAN has no private IPv6 prefix and is to be given one.
fn lacks_ipv6(found: Option<&Device>) -> bool {
    let has_one =
        |device: &Device| device.addresses.iter().any(|net| matches!(net, IpNet::V6(_)) && is_private(net));
    !found.is_some_and(has_one)
}

/// Returns this router's prefix in the mesh's.
fn site(
    args: &InitArgs,
    host_id: HostId,
    person: &mut dyn Person,
    random: [u8; 5],
) -> Result<(Ipv6Net, Ipv6Net), InitError> {
    let what = "the mesh's IPv6 prefix";
    let mesh = match args.mesh_prefix {
        Some(prefix) => prefix.trunc(),
        None => {
            let proposal = prefixes::random(random).to_string();
            let question =
                "The mesh's IPv6 prefix, as the first router's init told it; this one for the first";
            let text = answered(person, question, Some(&proposal))?;
            let bad = |_| InitError::Bad {
                what,
                value: text.clone(),
                reason: "it is a network such as fd79:2de7:db86::/48".to_owned(),
            };
            text.parse::<Ipv6Net>().map_err(bad)?.trunc()
        }
    };
    let bad =
        |error: PrefixError| InitError::Bad { what, value: mesh.to_string(), reason: error.to_string() };
    Ok((mesh, prefixes::site(mesh, host_id).map_err(bad)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::template::template;
    use crate::config::{Source, parse};

    fn link_name(text: &str) -> LinkName {
        LinkName::new(text).unwrap()
    }

    fn found(name: &str, is_bridge: bool, addresses: &[&str]) -> Device {
        Device {
            name: link_name(name),
            is_bridge,
            is_point_to_point: false,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn machine() -> Machine {
        Machine {
            hostname: "R1.example.org".to_owned(),
            default_device: Some(link_name("eth0")),
            devices: vec![
                found("eth0", false, &["192.168.1.20/24"]),
                found("br-lan", true, &["10.7.0.1/24", "fd12::1/64"]),
                found("dlan-vx4", false, &["10.0.4.9/30"]),
                found("eth3", false, &["203.0.113.1/24"]),
            ],
            networks: BTreeMap::new(),
        }
    }

    fn args() -> InitArgs {
        InitArgs { host_id: Some(1), listen_port: 51820, ..InitArgs::default() }
    }

    struct Script(Vec<&'static str>);

    impl Person for Script {
        fn ask(&mut self, _question: &str, _proposal: Option<&str>) -> io::Result<String> {
            Ok(self.0.remove(0).to_owned())
        }
    }

    #[test]
    fn what_is_on_the_machine_is_proposed() {
        let answers = answers(&args(), &machine(), &mut Nobody, [1; 5]).unwrap();
        assert_eq!(answers.name, "r1");
        assert_eq!(answers.wans, [DeviceSource::Device(link_name("eth0"))]);
        assert_eq!(answers.lans.len(), 1);
        assert_eq!(answers.lans[0].device, link_name("br-lan"));
        assert_eq!((answers.lans[0].ipv4, answers.lans[0].ipv6), (None, None));
    }

    #[test]
    fn a_wan_that_openwrt_has_a_network_for_is_called_by_it() {
        let networks = BTreeMap::from([(link_name("eth0"), "wan".to_owned())]);
        let openwrt = Machine { networks, ..machine() };
        let answers = answers(&args(), &openwrt, &mut Nobody, [1; 5]).unwrap();
        assert_eq!(answers.wans, [DeviceSource::Interface("wan".to_owned())]);
    }

    #[test]
    fn a_lan_without_addresses_gets_some() {
        let args = InitArgs { lan: vec![link_name("br-x"), link_name("br-y")], ..args() };
        let answers = answers(&args, &machine(), &mut Nobody, [0xaa, 1, 2, 3, 4]).unwrap();
        let text: Vec<_> = answers
            .lans
            .iter()
            .map(|lan| (lan.ipv4.unwrap().to_string(), lan.ipv6.unwrap().to_string()))
            .collect();
        assert_eq!(text[0], ("10.2.0.1/24".to_owned(), "fdaa:102:304:100::1/64".to_owned()));
        assert_eq!(text[1], ("10.2.1.1/24".to_owned(), "fdaa:102:304:101::1/64".to_owned()));
        assert_eq!(answers.mesh_prefix, Some("fdaa:102:304::/48".parse().unwrap()));
    }

    #[test]
    fn a_person_says_what_options_do_not() {
        let args = InitArgs { host_id: None, ..args() };
        let mut person = Script(vec!["7", "", "ppp0", "none"]);
        let answers = answers(&args, &machine(), &mut person, [1; 5]).unwrap();
        assert_eq!((answers.host_id, answers.lans.len()), (HostId(7), 0));
        assert_eq!(answers.wans, [DeviceSource::Device(link_name("ppp0"))]);
    }

    #[test]
    fn routers_with_one_prefix_of_the_mesh_have_a_56_each() {
        let of = |host_id, prefix: &str| {
            let (lan, prefix) = (vec![link_name("br-x")], prefix.parse().ok());
            let args = InitArgs { host_id: Some(host_id), lan, mesh_prefix: prefix, ..args() };
            answers(&args, &machine(), &mut Nobody, [7; 5])
        };
        let ipv6 = |host_id| of(host_id, "fd79:2de7:db86::/48").unwrap().lans[0].ipv6.unwrap().to_string();
        assert_eq!(ipv6(2), "fd79:2de7:db86:200::1/64");
        assert_eq!(ipv6(255), "fd79:2de7:db86:ff00::1/64");
        let refused = of(300, "fd79:2de7:db86::/48").unwrap_err().to_string();
        assert!(refused.contains("needs a prefix that is shorter"), "{refused}");
        assert!(of(300, "fd79:2de7:db80::/44").is_ok());
    }

    #[test]
    fn a_person_says_the_prefix_that_the_first_router_told() {
        let args = InitArgs { host_id: Some(3), lan: vec![link_name("br-x")], ..args() };
        let mut person = Script(vec!["r3", "eth0", "fd12:3456:789a::/48"]);
        let answers = answers(&args, &machine(), &mut person, [7; 5]).unwrap();
        assert_eq!(answers.lans[0].ipv6.unwrap().to_string(), "fd12:3456:789a:300::1/64");
    }

    #[test]
    fn what_nobody_said_is_named_with_its_option() {
        let args = InitArgs { host_id: None, ..args() };
        let error = answers(&args, &machine(), &mut Nobody, [1; 5]).unwrap_err();
        assert!(error.to_string().contains("--host-id"), "{error}");
        let bad = InitArgs { host_id: Some(0), ..args };
        assert!(matches!(answers(&bad, &machine(), &mut Nobody, [1; 5]), Err(InitError::Bad { .. })));
    }

    #[test]
    fn the_first_configuration_is_accepted() {
        let answers = answers(&args(), &machine(), &mut Nobody, [1; 5]).unwrap();
        let text = template(&answers);
        let loaded = parse(Source { file: "dlan", text: &text, hostname: "r1" });
        assert!(loaded.is_ok(), "{loaded:?}\n{text}");
    }
}
