"""What is asked of OpenWrt is merged into its own configuration: what nobody asked for stays, and a second time nothing changes."""

import unittest

import support
from dlan_controller import authorized, checks, openwrt, uci

STOCK = {
    "network": """
config interface 'loopback'
	option device 'lo'
	option proto 'static'
	option ipaddr '127.0.0.1'
	option netmask '255.0.0.0'

config device
	option name 'br-lan'
	option type 'bridge'
	list ports 'eth1'
	list ports 'eth3'

config interface 'lan'
	option device 'br-lan'
	option proto 'static'
	option ipaddr '192.168.1.1'
	option netmask '255.255.255.0'
	option ip6assign '60'

config interface 'wan'
	option device 'eth0'
	option proto 'dhcp'

config interface 'wan6'
	option device 'eth0'
	option proto 'dhcpv6'
""",
    "firewall": """
config zone
	option name 'lan'
	list network 'lan'

config zone
	option name 'wan'
	list network 'wan'
	list network 'wan6'

config rule 'mine'
	option src 'wan'
	option dest_port '8080'
""",
    "dhcp": "config dnsmasq\n\toption domain 'lan'\n",
    "system": "config system\n\toption hostname 'OpenWrt'\n\toption zonename 'Europe/Berlin'\n",
    "dropbear": "config dropbear\n\toption PasswordAuth 'on'\n\toption Port '22'\n",
}


def router(name, change=None):
    variables = support.inventory("three")
    if change:
        change(variables)
    mesh = checks.read_mesh(variables)
    assert not mesh.problems, mesh.problems
    return mesh.routers[name]


def merged(name, texts=None, change=None):
    """All packages as they are after it, and the names of the networks."""
    before = dict(texts or STOCK)
    changed, networks = openwrt.merge(router(name, change), before)
    return {**before, **changed}, networks


class Merging(unittest.TestCase):
    maxDiff = None

    def test_a_stock_router_becomes_what_the_inventory_says(self):
        for name in ("r1", "home-2"):
            after, _ = merged(name)
            text = "".join(f"# {package}\n{after[package]}\n" for package in openwrt.PACKAGES)
            with self.subTest(router=name):
                self.assertEqual(text, support.golden(f"{name}.uci", text))

    def test_a_second_time_nothing_changes(self):
        for name in ("r1", "home-2", "r3"):
            after, _ = merged(name)
            changed, _ = openwrt.merge(router(name), after)
            self.assertEqual(changed, {})

    def test_networks_that_are_there_are_used_under_their_names(self):
        self.assertEqual(merged("r1")[1], {"eth0": "wan"})
        self.assertEqual(merged("home-2")[1], {"eth0": "wan", "eth2": "wan1"})

    def test_what_nobody_asked_for_stays(self):
        after, _ = merged("home-2")
        self.assertIn("config rule 'mine'", after["firewall"])
        self.assertIn("option zonename 'Europe/Berlin'", after["system"])
        self.assertIn("option ipaddr '192.168.1.1'", after["network"])

    def test_raw_sections_get_names_and_go_when_nobody_asks_for_them(self):
        after, _ = merged("home-2")
        names = [it.name for it in uci.parse(after["network"])]
        self.assertIn("dlan_x0", names)
        self.assertIn("guest", names)

        def without(variables):
            variables["home-2"]["dlan_uci_network_extras"] = ""

        later, _ = merged("home-2", after, without)
        names = [it.name for it in uci.parse(later["network"])]
        self.assertNotIn("dlan_x0", names)
        self.assertNotIn("guest", names)
        self.assertIn("wan1", names)

    def test_raw_sections_that_the_predecessor_pasted_are_not_there_twice_and_go_likewise(self):
        pasted = {**STOCK, "network": STOCK["network"] + support.inventory("three")["home-2"]["dlan_uci_network_extras"]}
        after, _ = merged("home-2", pasted)
        sections = uci.parse(after["network"])
        self.assertEqual([it.name for it in sections if it.kind == "switch"], ["dlan_x0"])
        self.assertEqual(len([it for it in sections if it.name == "guest"]), 1)

        def without(variables):
            variables["home-2"]["dlan_uci_network_extras"] = ""

        later, _ = merged("home-2", after, without)
        self.assertNotIn("switch0", later["network"])
        self.assertNotIn("guest", later["network"])

    def test_what_raw_sections_say_of_the_roles_own_networks_is_added_to_them(self):
        # home-2's are wan0, which is `wan` on a stock router, wan1 and lan0.
        raw = "".join(f"config interface '{name}'\n\toption metric '{number}'\n" for number, name in enumerate(("wan0", "wan1", "lan0"), 5))

        def change(variables):
            variables["home-2"]["dlan_uci_network_extras"] = raw

        after, _ = merged("home-2", None, change)
        networks = {it.name: it.options for it in uci.parse(after["network"]) if it.kind == "interface"}
        self.assertNotIn("wan0", networks)
        for name, device, metric in (("wan", "eth0", "5"), ("wan1", "eth2", "6"), ("lan0", "eth1", "7")):
            self.assertEqual((networks[name]["device"], networks[name]["metric"]), (device, metric))
        self.assertEqual(openwrt.merge(router("home-2", change), after)[0], {})

    def test_ssh_is_open_to_the_internet_only_as_long_as_it_is_asked_for(self):
        after, _ = merged("r1")
        self.assertIn("config rule 'dlan_ssh'", after["firewall"])

        def closed(variables):
            variables["r1"]["dlan_ssh_from_wan"] = False

        later, _ = merged("r1", after, closed)
        self.assertNotIn("dlan_ssh", later["firewall"])
        # As the predecessor wrote it.
        open_before = "config rule\n\toption name 'ssh'\n\toption src 'wan'\n\toption proto 'tcp'\n\toption dest_port '22'\n\toption target 'ACCEPT'\n"
        left, _ = merged("r1", {**STOCK, "firewall": STOCK["firewall"] + open_before}, closed)
        self.assertNotIn("'22'", left["firewall"])
        self.assertIn("config rule 'mine'", later["firewall"])

    def test_passwords_are_closed_only_where_there_are_keys(self):
        self.assertIn("option PasswordAuth 'off'", merged("r1")[0]["dropbear"])

        def keyless(variables):
            for host in variables.values():
                host["dlan_authorized_keys"] = []

        self.assertIn("option PasswordAuth 'on'", merged("r1", None, keyless)[0]["dropbear"])


class Texts(unittest.TestCase):
    def test_a_file_is_read_as_uci_reads_it(self):
        text = "config a 'x' # why\n\toption o \"it's\"\n\toption p 'it'\\''s'\n\tlist l one\n\tlist l 'two words'\n\toption e ''\n"
        section = uci.parse(text)[0]
        self.assertEqual(section.options, {"o": "it's", "p": "it's", "l": ["one", "two words"]})

    def test_what_is_written_reads_the_same(self):
        for text in (*STOCK.values(), "config a\n\toption o 'a'\\''b\nc'\n"):
            self.assertEqual(uci.parse(uci.render(uci.parse(text))), uci.parse(text))

    def test_what_is_no_uci_names_its_line(self):
        for text, line in (("option a 'b'\n", 1), ("config a\nfoo bar\n", 2), ("config a\n\toption 'x\n", 2), ("config\n", 1)):
            with self.assertRaisesRegex(uci.UciError, f"line {line}: "):
                uci.parse(text)

    def test_keys_come_and_go_and_those_of_others_stay(self):
        other, key = "ssh-ed25519 AAAA other", "ssh-ed25519 BBBB role"
        once = authorized.merge(f"{other}\n", [key, other])
        self.assertEqual(once, f"{other}\n{authorized.BEGIN}\n{key}\n{authorized.END}\n")
        self.assertEqual(authorized.merge(once, [key, other]), once)
        self.assertEqual(authorized.merge(once, []), f"{other}\n")


if __name__ == "__main__":
    unittest.main()
