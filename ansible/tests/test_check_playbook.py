"""What ansible itself makes of an inventory before the role sees it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import support

CHECK = ["-e", "dlan_hosts=mesh", str(support.HERE.parent / "playbooks/check.yml")]


def check(inventory):
    """Runs check.yml for the group `mesh`, and returns what it says."""
    with tempfile.TemporaryDirectory() as top:
        hosts = pathlib.Path(top, "hosts.yml")
        hosts.write_text(json.dumps(inventory))
        program = pathlib.Path(sys.executable).parent / "ansible-playbook"
        environment = {**os.environ, "ANSIBLE_CONFIG": str(support.HERE.parent / "ansible.cfg"), "HOME": top}
        return subprocess.run([program, "-i", hosts, *CHECK], env=environment, capture_output=True, text=True, check=False)


class Inventory(unittest.TestCase):
    def test_a_variable_that_is_the_operators_own_need_not_mean_anything(self):
        wan = {"dlan_wan_interfaces_configuration": {"eth0": {}}}
        said = check({
            "mesh": {
                "vars": {**wan, "dlan_site_note": "{{ nothing_is_called_so }}"},
                "hosts": {
                    "r1": {"dlan_host_id": 1, "dlan_links": {"r2": {"host": "192.0.2.2"}}},
                    "r2": {"dlan_host_id": "{{ 1 + 1 }}", "dlan_links": {"r1": None}},
                },
            },
            "others": {"hosts": {"printer": {}}},
        })
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        self.assertNotIn("is no variable of this role", said.stdout + said.stderr)


if __name__ == "__main__":
    unittest.main()
