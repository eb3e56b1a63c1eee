"""The defaults that the role shows are those it works with."""

import unittest

import support
import yaml
from dlan_controller import reader


class Defaults(unittest.TestCase):
    def test_the_role_shows_the_defaults_it_works_with(self):
        shown = yaml.safe_load((support.ROLE / "defaults" / "main.yml").read_text())
        self.assertEqual(shown.pop("dlan_hostname"), "{{ inventory_hostname }}")
        for name, value in {**reader.DEFAULTS, **reader.OWN_DEFAULTS}.items():
            # The largest host id is the predecessor's internal constant, and the name is shown as what it comes to.
            if name not in ("dlan_hostname", "dlan_maxhosts"):
                self.assertEqual(shown.pop(name), value, name)
        self.assertEqual(sorted(shown), sorted(set(reader.TASK_VARIABLES) & set(shown)))

    def test_all_variables_of_the_predecessor_are_read(self):
        self.assertEqual(len(reader.DEFAULTS), 26)


if __name__ == "__main__":
    unittest.main()
