"""The targets are the same wherever they are listed."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Targets(unittest.TestCase):
    def setUp(self):
        lines = (ROOT / "packaging/targets").read_text().splitlines()
        self.rows = [line.split() for line in lines if line and not line.startswith("#")]

    def test_users_of_cross_have_those_of_the_packages(self):
        listed = re.findall(r"^\[target\.([\w-]+)\]$", (ROOT / "Cross.toml").read_text(), re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(row[1] for row in self.rows))

    def test_every_architecture_has_names_on_openwrt_and_no_name_is_given_twice(self):
        names = [name for row in self.rows for name in row[4:]]
        self.assertTrue(all(row[4:] for row in self.rows))
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
