"""What is done beside a deployment changes nothing in check mode, and foretells there what the run changes."""

import json
import unittest

import support  # noqa: F401
from dlan_controller import errands
from dlan_controller.router import NOT_FOUND, NOT_RUNNING, Router, RouterError, Said, Shell

SAID_DOWN = {True: "Removed: 12 steps. Configuration and keys stay.\n", False: "Nothing of dlan's was there.\n"}


class FakeShell(Shell):
    """A router with a package manager: what is asked is answered from what is there."""

    def __init__(self, version=None, package=False, running=False, manager="/usr/bin/apt-get"):
        self.version, self.package, self.running, self.manager = version, package, running, manager
        self.changes = []

    def run(self, command, stdin=b""):
        if command.startswith("command -v"):
            return Said(0, f"{self.manager}\n", "")
        if "dpkg-query" in command:
            return Said(0, "install ok installed\n" if self.package and " dlan " in command else "", "")
        if command.startswith("test -e /sys"):
            return Said(0 if self.running else 1, "", "")
        if self.version is None and command.startswith("/usr/bin/dlan"):
            return Said(NOT_FOUND, "", "not found")
        if command.endswith("--version"):
            return Said(0, f"dlan {self.version}\n", "")
        if command.endswith("--json window"):
            return Said(0, "null", "") if self.running else Said(NOT_RUNNING, "", "")
        self.changes.append(command)
        return Said(0, SAID_DOWN[self.running], "")


class AgentShell(Shell):
    """A router with an agent that has a history: applies with what each changed of the one before, or None where it came to nothing."""

    def __init__(self, diffs, window=None):
        self.window, self.steps, self.changes = window, 1, []
        self.history = [
            {"number": number, "in_force": diff is not None, "diff": "+z\n" if diff is None else diff}
            for number, diff in enumerate(diffs, 1)
        ]

    def run(self, command, stdin=b""):
        if command.endswith("--json window"):
            return Said(0, json.dumps(self.window), "")
        if command.endswith("--json history"):
            return Said(0, json.dumps(self.history), "")
        if command.startswith("for f in"):
            return Said(0, "", "")
        self.changes.append(command)
        return Said(0, json.dumps({"outcome": "The state before it is back.", "plan": {"steps": self.steps}}), "")


class CheckMode(unittest.TestCase):
    def test_a_rollback_is_foretold_and_not_done(self):
        for diffs, number, wanted in (
            (["+a\n", "+b\n"], None, True),
            (["+a\n", "+b\n"], 1, True),
            (["+a\n", "+b\n"], 2, False),
            (["+a\n", "+b\n", ""], 2, False),
            (["+a\n", "+b\n", None], 2, False),
        ):
            shell = AgentShell(diffs)
            with self.subTest(diffs=diffs, number=number):
                self.assertEqual(errands.rollback(Router(shell), number, check_mode=True)[1], wanted)
                self.assertEqual(shell.changes, [])
        for diffs, number in ((["+a\n"], None), (["+a\n", ""], None), (["+a\n", None], 2), (["+a\n"], 3)):
            with self.subTest(diffs=diffs, number=number), self.assertRaises(RouterError):
                errands.rollback(Router(AgentShell(diffs)), number, check_mode=True)
        self.assertTrue(errands.rollback(Router(AgentShell(["+a\n"], window={"text": "open"})), None, check_mode=True)[1])

    def test_a_rollback_to_what_is_there_changes_nothing(self):
        shell = AgentShell(["+a\n", "+b\n"])
        self.assertTrue(errands.rollback(Router(shell), 1, check_mode=False)[1])
        shell.steps = 0
        self.assertFalse(errands.rollback(Router(shell), 1, check_mode=False)[1])
        self.assertEqual(len(shell.changes), 2)

    def test_a_removal_is_foretold_and_not_done(self):
        for there in (
            {},
            {"version": "0.1.0"},
            {"version": "0.1.0", "running": True},
            {"version": "0.1.0", "package": True},
            {"version": "0.1.0", "package": True, "running": True},
            {"version": "0.1.0", "manager": "", "running": True},
        ):
            looked, done = FakeShell(**there), FakeShell(**there)
            with self.subTest(there=there):
                foretold = errands.remove(Router(looked), check_mode=True)
                self.assertEqual(foretold, errands.remove(Router(done), check_mode=False))
                self.assertEqual((looked.changes, bool(done.changes)), ([], "version" in there))

    def test_an_installation_is_foretold_and_not_done(self):
        package = errands.Package("dlan_0.2.0_amd64.deb", b"")
        for there, wanted in (({}, ["dlan"]), ({"version": "0.1.0"}, ["dlan"]), ({"version": "0.2.0"}, [])):
            looked, done = FakeShell(**there), FakeShell(**there)
            with self.subTest(there=there):
                foretold = errands.install(Router(looked), [], package, check_mode=True)
                self.assertEqual((foretold, looked.changes), (wanted, []))
                self.assertEqual(errands.install(Router(done), [], package, check_mode=False), wanted)

    def test_a_package_of_an_older_version_is_installed_too(self):
        shell = FakeShell(version="0.2.0")
        self.assertEqual(errands.upgrade(Router(shell), errands.Package("dlan_0.1.0_amd64.deb", b""), False), ["dlan"])
        self.assertTrue(any("--allow-downgrades" in command for command in shell.changes), shell.changes)

    def test_an_upgrade_without_a_package_of_a_version_says_so(self):
        with self.assertRaisesRegex(RouterError, "dlan_package is not set"):
            errands.upgrade(Router(FakeShell(version="0.1.0", package=True)), None, True)
        with self.assertRaisesRegex(RouterError, "'new.deb' does not tell its version"):
            errands.upgrade(Router(FakeShell(version="0.1.0", package=True)), errands.Package("new.deb", b""), True)

    def test_a_package_of_any_manager_tells_its_version_by_its_name(self):
        for name in ("dlan_0.2.0-1_mipsel_24kc.ipk", "dlan-0.2.0-r1_x86_64.apk", "dlan_0.2.0_amd64.deb"):
            self.assertEqual(errands.Package(name, b"").version(), "0.2.0", name)


if __name__ == "__main__":
    unittest.main()
