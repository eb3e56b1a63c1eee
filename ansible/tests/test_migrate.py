"""A router of the predecessor is taken over when its neighbors are found again, and else is what it was."""

import os
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

import support
from dlan_controller import checks, deploy, migrate, openwrt, uci
from dlan_controller.router import Router, Said

PREDECESSOR = """
config interface 'loopback'
	option device 'lo'
	option proto 'static'
	option ipaddr '127.0.0.1'
	option netmask '255.0.0.0'

config interface 'lo_identity'
	option device '@loopback'
	option proto 'static'
	option ipaddr '10.1.1.1'
	option ip6addr 'fd00:0:1:1::1'

config interface 'wan0'
	option ifname 'eth0'
	option proto 'dhcp'

config interface 'wg0'
	option proto 'wireguard'
	option listen_port '51820'

config wireguard_wg0
	option public_key 'BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ='

config interface 'vx0'
	option proto 'vxlan'
	option tunlink 'wg0'
	option vid '258'

config interface 'vx0_ipv4'
	option ifname '@vx0'
	option proto 'static'
	option ipaddr '10.0.4.9'
"""
# A program that says what it is told, and as an agent stays until it is ended.
PROGRAM = """#!/bin/sh
echo "$*" >> {log}
case "$*" in *agent) trap 'echo ended >> {log}; exit 0' TERM; while :; do sleep 0.05; done ;; esac
"""


class Script(unittest.TestCase):
    def run_script(self, signal, remove="echo removed"):
        """Runs what runs on a router, and returns what it did, in order."""
        with tempfile.TemporaryDirectory() as root:
            log, program = pathlib.Path(root, "log"), pathlib.Path(root, "dlan-program")
            program.write_text(PROGRAM.format(log=log))
            program.chmod(0o755)
            directory = pathlib.Path(root, "run")
            directory.mkdir()
            (directory / "dlan").write_text("the configuration\n")
            says = lambda text: f"echo {text} >> {log}"  # noqa: E731
            commands = migrate.Commands("wg0", says("stopped"), says("released"), says("started again"), f"{remove} >> {log}")
            orders = deploy.Orders(confirm_seconds=2, start_command=says("service"))
            config = pathlib.Path(root, "etc/config/dlan")
            text = migrate.script_text(str(program), commands, orders, (), str(directory), str(config))
            if signal:
                (directory / signal).touch()
            # What it does to routes is no business of this machine.
            text = "ip() { :; }\n" + text
            subprocess.run(["sh", "-c", text], check=True, timeout=60, env=os.environ)
            left = sorted(path.name for path in directory.iterdir())
            return log.read_text().replace(root, "").splitlines(), config.exists(), left

    def test_confirmed_the_service_takes_over_and_the_predecessor_goes(self):
        said, has_config, left = self.run_script("confirmed")
        # Devices and routes are taken over between the end of BIRD and what lets go of the rest.
        self.assertEqual(said[:3], ["stopped", "--config /run/dlan take-over", "released"])
        self.assertEqual(said[-2:], ["service", "removed"])
        self.assertTrue(has_config)
        self.assertIn("kept.0", left)

    def test_what_does_not_work_at_the_end_is_told(self):
        _, _, left = self.run_script("confirmed", remove="false")
        self.assertIn("kept.1", left)

    def test_unconfirmed_or_aborted_the_predecessor_comes_back_and_nothing_stays(self):
        for signal in (None, "abort"):
            said, has_config, left = self.run_script(signal)
            with self.subTest(signal=signal):
                self.assertEqual(said[0], "stopped")
                self.assertIn("--config /run/dlan down", said)
                self.assertEqual(said[-1], "started again")
                self.assertFalse(has_config)
                self.assertIn("returned", left)


class Nginx(unittest.TestCase):
    def run_steps(self, config):
        """Runs what lets go of the predecessor, what starts it again and what removes it; returns what nginx's script was told."""
        with tempfile.TemporaryDirectory() as root:
            for name in ("nginx", "init.d"):
                pathlib.Path(root, name).mkdir()
            pathlib.Path(root, "nginx/nginx.conf").write_text(config)
            for name in ("nginx", "network", "bird"):
                service = pathlib.Path(root, "init.d", name)
                service.write_text('#!/bin/sh\necho "${0##*/} $1"\n')
                service.chmod(0o755)
            usual = migrate.Commands()
            others = "".join(f"{name}() {{ :; }}\n" for name in ("uci", "opkg", "ip", "ifdown"))
            said = ""
            for step in (usual.release, usual.start, usual.remove):
                text = others + step.replace("/etc/", f"{root}/")
                said += subprocess.run(["sh", "-c", text], check=True, capture_output=True, text=True).stdout
            return [line for line in said.splitlines() if line.startswith("nginx")]

    def test_that_of_the_predecessor_leaves_its_ports_to_dlans(self):
        self.assertEqual(self.run_steps("user nobody;\nstream {\n}\n"), ["nginx stop", "nginx start", "nginx disable"])

    def test_another_one_is_left_alone(self):
        self.assertEqual(self.run_steps("http {\n}\n"), [])


class Numbers(unittest.TestCase):
    def test_links_are_called_as_bird_called_them_by_their_place_in_the_inventory(self):
        routers = checks.read_mesh(support.inventory("three")).routers
        neighbors = [routers[name].host_id for name in routers["r1"].links]
        for said, expected in (
            ("vx0 12\nvx1 9\n", dict(zip(neighbors, ("12", "9")))),
            ("vx0 70000\nvx1 9\n", {neighbors[1]: "9"}),
            ("", {}),
        ):
            shell = mock.Mock()
            shell.run.return_value = Said(0, said, "")
            router = Router(shell)
            migration = migrate.Migration(routers, "r1", router, deploy.Orders(), migrate.Commands())
            with self.subTest(said=said):
                self.assertEqual(migration._numbers(), expected)


class LeftBehind(unittest.TestCase):
    def test_the_predecessors_links_leave_the_routers_own_configuration(self):
        firewall = "config zone\n\toption name 'lan'\n\tlist network 'wg0'\n\tlist network 'vx0'\n\tlist device 'vx0'\n\tlist network 'guest'\n"
        variables = support.inventory("three")
        router = checks.read_mesh(variables).routers["r1"]
        changed, networks = openwrt.merge(router, {"network": PREDECESSOR, "firewall": firewall})
        names = [it.name for it in uci.parse(changed["network"]) if it.kind == "interface"]
        self.assertEqual(names, ["loopback", "wan0", "wan0_ipv6", "lan0"])
        self.assertNotIn("wireguard_wg0", changed["network"])
        self.assertEqual(uci.parse(changed["firewall"])[0].options["network"], ["guest", "lan0"])
        self.assertEqual(networks, {"eth0": "wan0"})


if __name__ == "__main__":
    unittest.main()
