//! A host that is plugged in knowing nothing: it makes addresses by router advertisements, as the kernel does, and asks for
//! others with ISC's DHCP client.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::command;
use crate::error::LabError;
use crate::lab::{Lab, write_file};
use crate::node::Node;
use crate::tools;

/// The host's device.
const DEVICE: &str = "eth0";
/// What the client asks for, and calls itself.
const ORDERS: &str = "send host-name = gethostname();
send fqdn.fqdn = concat(gethostname(), \".\");
request subnet-mask, routers, domain-name-servers, domain-search, interface-mtu;
also request dhcp6.name-servers, dhcp6.domain-search;
";

/// A host without addresses of its own.
#[derive(Debug)]
pub struct Guest<'a> {
    node: &'a Node,
    /// What its device was set to before.
    before: Vec<String>,
}

impl<'a> Guest<'a> {
    /// Takes everything from a host that the lab set, and unplugs it.
    pub fn unplug(lab: &'a Lab, host: &str) -> Result<Self, LabError> {
        let node = lab.node(host)?;
        let plugs = lab.layout.cables.iter().flat_map(|cable| [&cable.0, &cable.1]);
        let before = plugs.filter(|plug| plug.node == host).flat_map(|plug| plug.ip.clone()).collect();
        let guest = Self { node, before };
        guest.clear()?;
        Ok(guest)
    }

    /// Takes the plug out again: the host forgets its addresses.
    pub fn plug_out(&self) -> Result<(), LabError> {
        self.clear()
    }

    fn clear(&self) -> Result<(), LabError> {
        for client in self.node.processes(|arguments| arguments.iter().any(|it| it.ends_with("/dhclient"))) {
            crate::node::end_process(client);
        }
        let lines = ["link set eth0 down", "addr flush dev eth0", "route flush dev eth0"];
        self.node.ip(&lines.map(str::to_owned))?;
        // Which end with the addresses; what is left are those of the kernel.
        let _ = self.node.run("ip", &["-6", "route", "flush", "dev", DEVICE]);
        write_file(&self.node.path("/etc/resolv.conf"), "")
    }

    /// Plugs it in: the kernel makes addresses of what routers advertise.
    pub fn plug(&self) -> Result<(), LabError> {
        for (setting, value) in [("accept_ra", "1"), ("autoconf", "1"), ("addr_gen_mode", "0")] {
            let path = format!("/proc/sys/net/ipv6/conf/{DEVICE}/{setting}");
            self.node.inside(|| write_file(path.as_ref(), value))??;
        }
        self.node.ip(&[format!("link set {DEVICE} up")])?;
        Ok(())
    }

    /// Asks for an IPv4 address and returns it, with the client's words when it gets none.
    pub fn ask_ipv4(&self) -> Result<Ipv4Addr, String> {
        self.ask("-4")?;
        self.addresses("-4", "global")?
            .into_iter()
            .find_map(|text| text.parse().ok())
            .ok_or("no address".to_owned())
    }

    /// Asks for an IPv6 address, and returns those there are.
    pub fn ask_ipv6(&self) -> Result<Vec<Ipv6Addr>, String> {
        self.ask("-6")?;
        self.ipv6()
    }

    /// Returns the host's IPv6 addresses, whoever they are from.
    pub fn ipv6(&self) -> Result<Vec<Ipv6Addr>, String> {
        Ok(self.addresses("-6", "global")?.into_iter().filter_map(|text| text.parse().ok()).collect())
    }

    /// Asks for an IPv4 address as firmware of an architecture does (RFC 4578), and returns the lease as the client keeps it.
    pub fn ask_as_firmware(&self, architecture: u16) -> Result<String, String> {
        let says = format!(
            "option client-arch code 93 = unsigned integer 16;\nsend client-arch {architecture};\nalso request ntp-servers;\n"
        );
        self.ask_saying("-4", &says)?;
        let leases = crate::lab::read_file(&self.node.path("/run/dhclient-4.leases"));
        let leases = leases.map_err(|error| error.with_causes())?;
        Ok(leases.rsplit("lease {").next().unwrap_or_default().to_owned())
    }

    /// Gives the host a DUID of its own, which does not follow from its hardware address.
    pub fn set_duid(&self, octets: &[u8]) -> Result<(), LabError> {
        let octets: String = octets.iter().map(|octet| format!("\\{octet:03o}")).collect();
        write_file(&self.node.path("/run/dhclient-6.leases"), &format!("default-duid \"{octets}\";\n"))
    }

    fn ask(&self, family: &str) -> Result<(), String> {
        self.ask_saying(family, "")
    }

    fn ask_saying(&self, family: &str, further: &str) -> Result<(), String> {
        let words = |error: LabError| error.with_causes();
        let orders = "/run/dhclient.conf";
        write_file(&self.node.path(orders), &format!("{ORDERS}{further}")).map_err(words)?;
        let client = tools::program("dhclient", "sbin/dhclient").map_err(words)?;
        let script = tools::program("dhclient", "sbin/dhclient-script").map_err(words)?;
        let (leases, pid) = (format!("/run/dhclient{family}.leases"), format!("/run/dhclient{family}.pid"));
        let mut arguments = vec![family, "-1", "-cf", orders, "-lf", &leases, "-pf", &pid, "-sf", &script];
        if family == "-6" {
            arguments.extend(["-D", "LL"]);
        }
        arguments.push(DEVICE);
        command::run(&mut self.node.command(&client, &arguments), "")
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn addresses(&self, family: &str, scope: &str) -> Result<Vec<String>, String> {
        let said = self.node.run("ip", &["-json", family, "addr", "show", "dev", DEVICE, "scope", scope]);
        let said: serde_json::Value =
            serde_json::from_str(&said.map_err(|error| error.to_string())?).unwrap_or_default();
        let found =
            said.as_array().into_iter().flatten().filter_map(|device| device.get("addr_info")?.as_array());
        Ok(found
            .flatten()
            .filter(|at| at.get("tentative").is_none())
            .filter_map(|at| Some(at.get("local")?.as_str()?.to_owned()))
            .collect())
    }

    /// Returns the addresses that a name has for a program on the host.
    pub fn resolve(&self, name: &str) -> Vec<String> {
        let said = self.node.run("getent", &["ahosts", name]).unwrap_or_default();
        let mut found: Vec<String> =
            said.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Returns the name that an address has for a program on the host.
    pub fn name_of(&self, address: &str) -> String {
        let said = self.node.run("getent", &["hosts", address]).unwrap_or_default();
        said.split_whitespace().nth(1).unwrap_or_default().to_owned()
    }

    /// Returns the hardware address of the host.
    pub fn mac(&self) -> Result<String, LabError> {
        let path = self.node.path(&format!("/sys/class/net/{DEVICE}/address"));
        Ok(crate::lab::read_file(&path)?.trim().to_owned())
    }

    /// Gives the host back what the lab had set.
    pub fn restore(&self) -> Result<(), LabError> {
        self.clear()?;
        let path = format!("/proc/sys/net/ipv6/conf/{DEVICE}/accept_ra");
        self.node.inside(|| write_file(path.as_ref(), "0"))??;
        Ok(self.node.ip(&self.before)?)
    }
}
