"""An inventory of the predecessor becomes, router by router, the configuration it stands for."""

import dataclasses
import json
import pathlib
import tempfile
import unittest

import support
from dlan_controller import checks, keys, reader, translate

KEYS = {
    "r1": "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
    "home-2": "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=",
}


def mesh(change=None):
    variables = support.inventory("three")
    if change:
        change(variables)
    read = checks.read_mesh(variables)
    assert not read.problems, read.problems
    return read


def text_of(name, is_openwrt=False, change=None):
    routers = mesh(change).routers
    known = {**KEYS, "r3": routers["r3"].public_key}
    target = translate.Target(is_openwrt=is_openwrt, networks={"eth0": "wan", "wan": "wan"}, keys=known)
    return translate.translate(routers[name], routers, target)


class Translation(unittest.TestCase):
    maxDiff = None

    def test_each_router_gets_the_expected_configuration(self):
        for name in support.inventory("three"):
            for is_openwrt in (False, True):
                text = text_of(name, is_openwrt)
                system = "openwrt" if is_openwrt else "debian"
                with self.subTest(router=name, system=system):
                    self.assertEqual(text, support.golden(f"{name}.{system}", text))

    def test_the_program_takes_every_configuration(self):
        for name in support.inventory("three"):
            for is_openwrt in (False, True):
                with self.subTest(router=name, is_openwrt=is_openwrt), tempfile.NamedTemporaryFile("w") as file:
                    file.write(text_of(name, is_openwrt))
                    file.flush()
                    said = support.dlan("config", "check", file.name)
                    self.assertEqual(said.returncode, 0, said.stderr)

    def test_what_the_predecessor_took_in_another_form_is_written_as_the_program_takes_it(self):
        def change(variables):
            for host in variables.values():
                host["dlan_wg_psk"] += "\n"
            r1 = variables["r1"]
            r1["dlan_hostname"] = "Home-1"
            r1["dlan_lan_interfaces_configuration"]["eth1"]["leases"] = {"52:54:00:5A:BF:0B": "2, NAS"}
            r1["dlan_host_records"] = {"10.2.0.2": ["a.example.com", "a.example.com"]}
            r1["dlan_upstream_dns_servers"] = ["9.9.9.9", "9.9.9.9"]
            r1["dlan_authorized_keys"] = ["# two of them\nssh-rsa AAAA one\nssh-rsa BBBB two\n", ""]
            r1["dlan_nginx_status_port"] = ""
            upstreams = ["10.2.0.7:80", "10.2.0.7:80", "10.2.0.8:80  max_fails=2 fail_timeout=1m"]
            r1["dlan_proxy"] = [{"name": "web", "listen": [80], "upstreams": upstreams, "use_proxy_protocol": None}]

        text = text_of("r1", change=change)
        for line in ("option name 'home-1'", "list lease '52:54:00:5A:BF:0B 2 nas'", "list upstream '10.2.0.8:80 max_fails=2 fail_timeout=60'"):
            self.assertIn(f"\t{line}\n", text)
        self.assertEqual(mesh(change).routers["r1"].authorized_keys, ["ssh-rsa AAAA one", "ssh-rsa BBBB two"])
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            said = support.dlan("config", "check", file.name)
        self.assertEqual(said.returncode, 0, said.stderr)

    def test_the_addresses_on_the_wire_are_those_of_the_predecessor(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text_of("r1"))
            file.flush()
            said = support.dlan("--config", file.name, "firewall")
        self.assertEqual(said.returncode, 0, said.stderr)
        # The VNIs of the links 1-2 and 1-3 are 256 x 1 + 2 and + 3; packets come from the second and third WireGuard address.
        for word in ("10.1.0.2", "10.1.0.3", "fd00:0:1::"):
            self.assertIn(word, said.stdout)

    def test_the_same_inventory_gives_the_same_text(self):
        self.assertEqual(text_of("home-2"), text_of("home-2"))

    def test_one_changed_variable_changes_one_line(self):
        def change(variables):
            variables["home-2"]["dlan_links"]["r1"]["cost"] = 77

        before, after = text_of("home-2"), text_of("home-2", change=change)
        changed = [pair for pair in zip(before.splitlines(), after.splitlines()) if pair[0] != pair[1]]
        self.assertEqual(changed, [("\toption cost '10'", "\toption cost '77'")])
        for other in ("r1", "r3"):
            self.assertEqual(text_of(other), text_of(other, change=change))

    def test_a_private_key_of_the_inventory_gives_its_public_one(self):
        private = support.inventory("three")["r3"]["dlan_wg_privkey"]
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, "wg.key")
            file.write_text(private)
            file.chmod(0o600)
            text = translate.translate(mesh().routers["r3"], mesh().routers, translate.Target(paths={"wg.key": str(file)}))
            config = pathlib.Path(directory, "dlan")
            config.write_text(text)
            said = support.dlan("--json", "--config", str(config), "key")
        self.assertEqual(json.loads(said.stdout)["public_key"], keys.public_key(private))

    def test_each_link_has_a_key_of_its_own_if_asked_for(self):
        def change(variables):
            for host in variables.values():
                host["dlan_wg_psk_per_link"] = True

        routers = mesh(change).routers
        found = {name: translate.secrets(router, routers) for name, router in routers.items()}
        self.assertEqual(found["r1"]["wg-3.psk"], found["r3"]["wg-1.psk"])
        self.assertNotEqual(found["r1"]["wg-3.psk"], found["r1"]["wg-2.psk"])
        self.assertNotIn(routers["r1"].wg_psk, {text for secrets in found.values() for text in secrets.values()})
        for text in found["r1"].values():
            if text != routers["r1"].ospf_psk:
                keys.decode(text)
        self.assertIn("option wg_psk_file '/etc/dlan/wg-3.psk'", text_of("r1", change=change))

    def test_options_of_the_mesh_stand_in_its_section_as_they_are_named(self):
        def change(variables):
            variables["r1"]["dlan_mesh_options"] = {"bfd_interval": 2000, "graceful_restart": False, "inside": ["10.2.0.0/16", "10.3.0.0/16"]}

        before, after = text_of("r1").splitlines(), text_of("r1", change=change).splitlines()
        added = ["\toption bfd_interval '2000'", "\toption graceful_restart '0'", "\tlist inside '10.2.0.0/16'", "\tlist inside '10.3.0.0/16'"]
        self.assertEqual([line for line in after if line not in before], added)
        self.assertLess(after.index(added[-1]), after.index("", after.index("config mesh 'mesh'")))

    def test_an_option_that_the_role_writes_itself_has_a_variable_to_be_set_by(self):
        routers = mesh().routers
        paths = {name: f"/run/{name}" for name in ("wg.key", "wg.psk", "ospf.secret")}
        router = dataclasses.replace(
            routers["r1"], max_hosts=9, loopback_ipv4="a", loopback_ipv6="b", wg_ipv4="c", wg_ipv6="d", link_pool="e"
        )
        text = translate._mesh(router, paths.get).options
        self.assertEqual(set(text), set(reader.MESH_VARIABLES))

    def test_what_is_worth_a_warning_is_said_with_its_host_and_variable(self):
        said = {(it.host, it.variable) for it in mesh().warnings}
        for expected in (
            ("r1", "dlan_wg_psk"),
            ("r1", "dlan_ssh_from_wan"),
            ("r3", "dlan_wg_privkey"),
            ("r1", "dlan_links[home-2].port"),
            ("r1", "dlan_proxy[0].listen"),
            ("r1", "dlan_lan_interfaces_configuration[eth1].leases[00030001525400aabb01]"),
        ):
            self.assertIn(expected, said)


if __name__ == "__main__":
    unittest.main()
