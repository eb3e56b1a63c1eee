"""What the documents show works as it stands there."""

import pathlib
import re
import unittest

import support
import yaml
from dlan_controller import checks

DOCS = support.HERE.parents[1] / "docs"


class Documents(unittest.TestCase):
    def test_the_inventory_shown_is_good(self):
        block = re.search(r"```yaml\n(.*?)```", (DOCS / "ansible.md").read_text(), re.S).group(1)
        shown = yaml.safe_load(re.sub(r"^   ", "", block, flags=re.M))["all"]
        hosts = {name: {**shown["vars"], **own} for name, own in shown["hosts"].items()}
        self.assertEqual(checks.read_mesh(hosts).problems, [])

    def test_every_playbook_that_is_named_is_there_and_the_other_way_round(self):
        text = "".join((DOCS / name).read_text() for name in ("ansible.md", "migration.md"))
        named = set(re.findall(r"([a-z]+\.yml)", text)) - {"hosts.yml"}
        there = {path.name for path in pathlib.Path(support.HERE.parent / "playbooks").iterdir()}
        self.assertEqual(named, there)


if __name__ == "__main__":
    unittest.main()
