"""An inventory that would not work is refused before any router is touched, by the host's and the variable's name."""

import unittest

import support
from dlan_controller import checks

LAN = "dlan_lan_interfaces_configuration"
WAN = "dlan_wan_interfaces_configuration"


def put(host, *path):
    """Returns what sets a variable, or a part of one: the last word is the value."""

    def change(variables):
        *way, last, value = path
        place = variables[host]
        for step in way:
            place = place[step]
        place[last] = value

    return change


def take(host, *path):
    """Returns what takes a variable out, or a part of one."""

    def change(variables):
        *way, last = path
        place = variables[host]
        for step in way:
            place = place[step]
        del place[last]

    return change


def everywhere(variable, value):
    def change(variables):
        for host in variables.values():
            host[variable] = value

    return change


def lease(client, text):
    return put("r1", LAN, "eth1", "leases", client, text)


def both(*changes):
    def change(variables):
        for one in changes:
            one(variables)

    return change


# What is done to a good inventory, and whose variable is to be named with which words.
BAD = [
    # The five checks that the predecessor's author listed and never wrote.
    (put("home-2", "dlan_host_id", 1), None, "home-2", "dlan_host_id", "the same as that of r1: 1"),
    (put("home-2", "dlan_host_id", 0), None, "home-2", "dlan_host_id", "from 1 to 256"),
    (put("home-2", "dlan_host_id", 257), None, "home-2", "dlan_host_id", "from 1 to 256"),
    (put("home-2", "dlan_host_id", "two"), None, "home-2", "dlan_host_id", "'two' is not a whole number"),
    (take("home-2", "dlan_host_id"), None, "home-2", "dlan_host_id", "is not set"),
    (put("home-2", "dlan_host_id", 255), None, "home-2", "dlan_loopback_subnet_ipv4", "no address for host id 255"),
    (lease("52:54:00:5a:bf:0b", "1,nas"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5a:bf:0b]", "router's own address"),
    (take("r3", "dlan_links", "r1"), None, "r1", "dlan_links[r3]", "has no counterpart"),
    (put("r1", "dlan_proxy", 0, "protocol", "sctp"), None, "r1", "dlan_proxy[0].protocol", "neither tcp nor udp"),
    # Links.
    (put("r1", "dlan_links", "r9", {}), None, "r1", "dlan_links[r9]", "there is no router r9"),
    (put("r1", "dlan_links", "r1", {}), None, "r1", "dlan_links[r1]", "no link to itself"),
    (take("r1", "dlan_links", "r3", "host"), None, "r1", "dlan_links[r3].host", "nobody can call the other"),
    (put("r1", "dlan_links", "r3", "cost", 0), None, "r1", "dlan_links[r3].cost", "from 1 to 65535"),
    (put("r1", "dlan_links", "r3", "port", 70000), None, "r1", "dlan_links[r3].port", "from 1 to 65535"),
    (put("r1", "dlan_links", "r3", "host", "a..b"), None, "r1", "dlan_links[r3].host", "neither an address nor a name"),
    (put("r1", "dlan_links", "r3", "host", "203.0.113.999"), None, "r1", "dlan_links[r3].host", "neither an address"),
    (put("r1", "dlan_links", ["r3"]), None, "r1", "dlan_links", "is not a map"),
    # What the mesh has in common.
    (put("r3", "dlan_domain", "example.org"), None, "r3", "dlan_domain", "not the same as that of r1"),
    (put("r3", "dlan_ospf_psk", "another"), None, "r3", "dlan_ospf_psk", "not the same as that of r1"),
    (put("r3", "dlan_wg_psk", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="), None, "r3", "dlan_wg_psk", "not the same"),
    (put("r3", "dlan_wg_subnet_ipv4", "10.9.0.0/24"), None, "r3", "dlan_wg_subnet_ipv4", "10.9.0.0/24 here, 10.1.0.0/24 there"),
    (everywhere("dlan_loopback_subnet_ipv4", "10.1.0.0/16"), None, "r1", "dlan_wg_subnet_ipv4", "overlaps with 10.1.0.0/16"),
    (everywhere("dlan_loopback_subnet_ipv6", "10.1.0.0/16"), None, "r1", "dlan_loopback_subnet_ipv6", "not an IPv6 network"),
    (everywhere("dlan_domain", "my_lan"), None, "r1", "dlan_domain", "is not a domain"),
    (put("r3", "dlan_hostname", "r1"), None, "r3", "dlan_hostname", "the same as that of r1"),
    (put("r3", "dlan_hostname", "r_3"), None, "r3", "dlan_hostname", "is not a host name"),
    # Keys.
    (put("r3", "dlan_wg_privkey", "secret"), None, "r3", "dlan_wg_privkey", "is not a WireGuard key"),
    (put("r3", "dlan_wg_pubkey", "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="), None, "r3", "dlan_wg_pubkey", "does not belong"),
    (put("r3", "dlan_wg_psk", "c2hvcnQ="), None, "r3", "dlan_wg_psk", "has 5 octets"),
    (everywhere("dlan_ospf_psk", "two\nlines"), None, "r1", "dlan_ospf_psk", "is not one line"),
    # LANs and leases.
    (put("home-2", LAN, "eth1", "subnet_ipv4", "10.2.0.128/25"), None, "home-2", f"{LAN}[eth1].subnet_ipv4", "overlaps with 10.2.0.0/24, eth1 of r1"),
    (put("home-2", LAN, "eth1", "subnet_ipv4", "10.1.0.0/24"), None, "home-2", f"{LAN}[eth1].subnet_ipv4", "dlan_wg_subnet_ipv4"),
    (put("home-2", LAN, "eth1", "subnet_ipv4", "10.2.1.0"), None, "home-2", f"{LAN}[eth1].subnet_ipv4", "is not an IPv4 network"),
    (put("home-2", LAN, "eth0", {"subnet_ipv4": "10.2.7.0/24"}), None, "home-2", f"{LAN}[eth0]", f"is in {WAN} too"),
    (put("home-2", LAN, "eth1", {}), None, "home-2", f"{LAN}[eth1]", "neither subnet_ipv4 nor subnet_ipv6"),
    (lease("52:54:00:5a:bf:0b", "300"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5a:bf:0b]", "300 is not in 10.2.0.0/24"),
    (lease("52:54:00:5a:bf", "3"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5a:bf]", "neither a MAC address nor a DUID"),
    (lease("52:54:00:5a:bf:0c", "2"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5a:bf:0c]", "the same address as of the lease"),
    (lease("52:54:00:5A:BF:0B", "3"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5A:BF:0B]", "the same client as of the lease"),
    (lease("52:54:00:5a:bf:0c", "3,nas"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5a:bf:0c]", "the name nas is that of number 2"),
    (lease("52:54:00:5a:bf:0c", "3,my nas"), None, "r1", f"{LAN}[eth1].leases[52:54:00:5a:bf:0c]", "is not a host name"),
    # WANs.
    (put("r1", WAN, {}), None, "r1", WAN, "names no interface"),
    (put("r1", WAN, "an interface with a name", {}), None, "r1", f"{WAN}[an interface with a name]", "is not a device name"),
    (put("home-2", WAN, "eth0", "gateway_ipv4", "203.0.113.77"), None, "home-2", f"{WAN}[eth0].gateway_ipv4", "is not in 203.0.113.8/30"),
    (put("home-2", WAN, "eth0", "gateway_ipv4", "203.0.113.10"), None, "home-2", f"{WAN}[eth0].gateway_ipv4", "the router's own address"),
    (take("home-2", WAN, "eth0", "subnet_ipv6"), None, "home-2", f"{WAN}[eth0].gateway_ipv6", "stands without subnet_ipv6"),
    (put("home-2", WAN, "eth0", "macaddr", "52:54"), None, "home-2", f"{WAN}[eth0].macaddr", "is not a MAC address"),
    (put("r1", "dlan_wg_port", 0), None, "r1", "dlan_wg_port", "from 1 to 65535"),
    # Services, names and the rest.
    (put("r1", "dlan_proxy", 1, "listen", ["443"]), put("r1", "dlan_proxy", 1, "protocol", "tcp"), "r1", "dlan_proxy[1].listen", "where web listens already"),
    (put("r1", "dlan_proxy", 1, "listen", ["51820"]), None, "r1", "dlan_proxy[1].listen", "that of WireGuard"),
    (put("r1", "dlan_proxy", 1, "use_proxy_protocol", True), None, "r1", "dlan_proxy[1].use_proxy_protocol", "none over udp"),
    (put("r1", "dlan_proxy", 1, "name", "web"), None, "r1", "dlan_proxy[1].name", "of another service too"),
    (put("r1", "dlan_proxy", 0, "upstreams", ["nas.r1.lan"]), None, "r1", "dlan_proxy[0].upstreams[0]", "is not a host with a port"),
    (put("r1", "dlan_proxy", 0, "upstreams", []), None, "r1", "dlan_proxy[0].upstreams", "at least one entry"),
    (put("r1", "dlan_proxy", 0, "listen", ["nas:443"]), None, "r1", "dlan_proxy[0].listen[0]", "is not an IPv4 address"),
    (put("r1", "dlan_host_records", {"10.2.0.999": ["x"]}), None, "r1", "dlan_host_records[10.2.0.999]", "is not an IP address"),
    (put("r1", "dlan_host_records", {"10.2.0.9": ["x y"]}), None, "r1", "dlan_host_records[10.2.0.9]", "is not a name"),
    (put("r1", "dlan_upstream_dns_servers", ["dns.example.org"]), None, "r1", "dlan_upstream_dns_servers[0]", "is not an IP address"),
    (put("r1", "dlan_authorized_keys", ["my key"]), None, "r1", "dlan_authorized_keys[0]", "is not a line of authorized_keys"),
    (put("r1", "dlan_opkg_install", ["two words"]), None, "r1", "dlan_opkg_install[0]", "is not the name of a package"),
    (put("r1", "dlan_uci_network_extras", "option x 'y'"), None, "r1", "dlan_uci_network_extras", "before any section"),
    (put("r1", "dlan_uci_system_extras", "config 'x"), None, "r1", "dlan_uci_system_extras", "is not closed"),
    # What only the program on the router would refuse.
    (put("home-2", LAN, "eth1", "subnet_ipv6", "fd79:2de7:db86:8000::/120"), None, "home-2", f"{LAN}[eth1].subnet_ipv6", "is not a /64"),
    (lease("000300", "3"), None, "r1", f"{LAN}[eth1].leases[000300]", "neither a MAC address nor a DUID"),
    (put("r1", "dlan_wg_port", 4789), None, "r1", "dlan_wg_port", "is the port of VXLAN"),
    (put("r1", "dlan_links", "r3", "host", "fe80::3%eth0"), None, "r1", "dlan_links[r3].host", "no router's address"),
    (put("r1", "dlan_links", "r3", "host", "0.0.0.0"), None, "r1", "dlan_links[r3].host", "no router's address"),
    (put("r1", "dlan_upstream_dns_servers", ["fe80::1%eth0"]), None, "r1", "dlan_upstream_dns_servers[0]", "no server's address"),
    (put("r1", "dlan_host_records", {"0.0.0.0": ["ads.example.com"]}), None, "r1", "dlan_host_records[0.0.0.0]", "no name can stand"),
    (put("r1", "dlan_proxy", 0, "upstreams", ["10.2.0.7:443 backup"]), None, "r1", "dlan_proxy[0].upstreams", "are all backup or down"),
    (put("r1", "dlan_proxy", 0, "upstreams", ["10.2.0.7:443 resolve"]), None, "r1", "dlan_proxy[0].upstreams[0]", "'resolve' is none of"),
    (put("r1", "dlan_proxy", 0, "upstreams", ["fd00::7:443"]), None, "r1", "dlan_proxy[0].upstreams[0]", "is not an IPv4 address"),
    (put("r1", "dlan_mesh_options", "bfd"), None, "r1", "dlan_mesh_options", "is not a map"),
    (put("r1", "dlan_mesh_options", {"BFD": 1}), None, "r1", "dlan_mesh_options[BFD]", "not the name of an option"),
    (put("r1", "dlan_mesh_options", {"host_id": 9}), None, "r1", "dlan_mesh_options[host_id]", "is what dlan_host_id is for"),
    (put("r1", "dlan_mesh_options", {"bfd": "1\n2"}), None, "r1", "dlan_mesh_options[bfd]", "or a line of text"),
    (put("r1", "dlan_ssh_from_wan", "perhaps"), None, "r1", "dlan_ssh_from_wan", "neither true nor false"),
    (put("r1", "dlan_nginx_status_port", 99999), None, "r1", "dlan_nginx_status_port", "from 1 to 65535"),
]


class Refusals(unittest.TestCase):
    def test_the_inventory_itself_is_good(self):
        self.assertEqual(checks.read_mesh(support.inventory("three")).problems, [])

    def test_a_bad_inventory_is_refused_by_host_and_variable(self):
        self.assertGreaterEqual(len(BAD), 20)
        for change, more, host, variable, message in BAD:
            variables = support.inventory("three")
            change(variables)
            if more:
                more(variables)
            problems = checks.read_mesh(variables).problems
            with self.subTest(host=host, variable=variable, message=message):
                named = [it for it in problems if (it.host, it.variable) == (host, variable)]
                self.assertTrue(named, f"not refused, or not so: {[str(it) for it in problems]}")
                self.assertTrue(any(message in it.message for it in named), [str(it) for it in named])

    def test_a_pair_outside_the_pool_is_told_the_size_it_needs(self):
        variables = support.inventory("three")
        variables["r1"]["dlan_host_id"] = 64
        variables["home-2"]["dlan_host_id"] = 65
        problems = [str(it) for it in checks.read_mesh(variables).problems]
        # 64 x 256 + 65 is 16449, one past the 16384 /30s of a /16.
        self.assertTrue(any("64-65, number 16449: that takes a /15" in it for it in problems), problems)
        for host in variables.values():
            host["dlan_ospf_subnet_pool_ipv4"] = "10.128.0.0/15"
        self.assertEqual(checks.read_mesh(variables).problems, [])

    def test_all_problems_are_told_at_once(self):
        variables = support.inventory("three")
        variables["r1"]["dlan_wg_port"] = "x"
        variables["r3"]["dlan_domain"] = "-"
        hosts = {it.host for it in checks.read_mesh(variables).problems}
        self.assertEqual(hosts, {"r1", "r3"})

    def test_a_secret_is_never_repeated(self):
        variables = support.inventory("three")
        variables["r1"]["dlan_wg_psk"] = variables["r3"]["dlan_wg_privkey"] = "hunter2"
        variables["home-2"]["dlan_ospf_psk"] = "hunter2"
        for it in checks.read_mesh(variables).problems:
            self.assertNotIn("hunter2", str(it))
        variables = support.inventory("three")
        variables["home-2"]["dlan_ospf_psk"] = "hunter2"
        problems = checks.read_mesh(variables).problems
        self.assertTrue(problems)
        for it in problems:
            self.assertNotIn("hunter2", str(it))
            self.assertNotIn("battery", str(it))

    def test_a_mistyped_variable_is_pointed_out(self):
        variables = support.inventory("three")
        variables["r1"]["dlan_host_record"] = {}
        variables["r1"]["dlan_links"]["r3"]["hots"] = "x"
        said = [str(it) for it in checks.read_mesh(variables).warnings]
        self.assertTrue(any("did you mean dlan_host_records?" in it for it in said), said)
        self.assertTrue(any("dlan_links[r3].hots" in it and "did you mean host?" in it for it in said), said)


if __name__ == "__main__":
    unittest.main()
