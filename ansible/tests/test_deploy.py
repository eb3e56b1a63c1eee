"""A router is changed in a window, and kept only by a login opened since that found its neighbors again."""

import unittest
from unittest import mock

import support
from dlan_controller import checks, deploy
from dlan_controller.router import CONFIG, File, RouterError, _read_files

KEYS = {"r1": "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=", "home-2": "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ="}
TOKEN = "abcd-efgh"


class FakeRouter:
    """A router in memory, with what was asked of it in order."""

    is_local = False

    def __init__(self):
        self.shell, self.there, self.staged, self.log = self, {}, {}, []
        self.running, self.windows, self.heard = True, [], [[2, 3]]
        # Steps from what the router is to what its configuration says.
        self.drift = 0

    def reset(self):
        self.log.append("reset")

    def is_openwrt(self):
        return False

    def has_devices(self, *names):
        return False

    def is_running(self):
        return self.running

    def files(self, paths):
        return {path: self.there[path] for path in paths if path in self.there}

    def neighbors(self):
        return self.heard.pop(0) if len(self.heard) > 1 else self.heard[0]

    def window(self):
        return self.windows.pop(0) if self.windows else None

    def start(self, command):
        self.log.append("start")
        self.running = True

    def stage(self, files):
        self.staged = dict(files)
        return "/run/dlan-stage"

    def unstage(self):
        pass

    def write(self, path, file):
        self.log.append(f"write {path}")
        self.there[path] = file

    def keep_secrets(self, files):
        self.log += [f"secret {path}" for path in files]
        self.there.update(files)

    def ask(self, *words):
        self.log.append(" ".join(words))
        plan = {"steps": self.drift, "text": "", "ospf": []}
        if words[0] == "apply":
            self.there.update(self.staged)
            return {"plan": plan, "window": {"token": TOKEN}}
        return plan


def run(router, name="r1", change=None, **orders):
    variables = support.inventory("three")
    for host in variables.values():
        host["dlan_authorized_keys"] = []
    if change:
        change(variables)
    routers = checks.read_mesh(variables).routers
    with mock.patch.object(deploy.time, "sleep"):
        return deploy.run(routers, name, router, deploy.Orders(**{"keys": KEYS, **orders}))


def with_another_psk(variables):
    for host in variables.values():
        host["dlan_wg_psk"] = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="


class Deploying(unittest.TestCase):
    def test_it_is_confirmed_by_a_connection_opened_since(self):
        router = FakeRouter()
        self.assertTrue(run(router).changed)
        applied = next(at for at, line in enumerate(router.log) if line.startswith("apply --confirm 120s --stage"))
        self.assertEqual(router.log[applied + 1 :], ["reset", f"confirm {TOKEN}"])

    def test_a_second_run_changes_nothing(self):
        router = FakeRouter()
        run(router)
        del router.log[:]
        self.assertEqual(run(router)[:2], (False, "nothing to do"))
        self.assertEqual(router.log, ["plan"])

    def test_check_mode_writes_nothing(self):
        router = FakeRouter()
        outcome = run(router, check_mode=True)
        self.assertTrue(outcome.changed)
        self.assertEqual((router.there, router.log), ({}, ["plan --stage /run/dlan-stage"]))
        # A plan reads the secrets, which are not in their places yet.
        self.assertIn("'/run/dlan-stage/etc/dlan/wg.psk'", router.staged[CONFIG].text)

    def test_check_mode_foretells_that_a_router_with_drift_is_applied_again(self):
        router = FakeRouter()
        run(router)
        router.drift = 1
        with mock.patch.object(deploy.time, "monotonic", side_effect=range(0, 10000, 10)):
            foretold = run(router, check_mode=True).changed
        before = list(router.log)
        with mock.patch.object(deploy.time, "monotonic", side_effect=range(0, 10000, 10)):
            self.assertEqual((foretold, run(router).changed), (True, True))
        self.assertTrue(any(line.startswith("apply") for line in router.log[len(before) :]))

    def test_a_secret_is_not_in_what_is_shown(self):
        shown = str(run(FakeRouter(), name="r3").differences)
        for secret in ("battery", "BwcHBw", "cAdtXAot"):
            self.assertNotIn(secret, shown)

    def test_without_its_neighbors_a_router_goes_back(self):
        router = FakeRouter()
        router.heard = [[2, 3], [2]]
        with mock.patch.object(deploy.time, "monotonic", side_effect=range(0, 10000, 10)):
            with self.assertRaisesRegex(RouterError, "neighbors did not come back: r3; it has returned"):
                run(router)
        self.assertEqual(router.log[-1], "rollback")
        self.assertNotIn(f"confirm {TOKEN}", router.log)

    def test_a_changed_secret_leaves_the_old_one_for_the_way_back(self):
        router = FakeRouter()
        run(router)
        before = router.there["/etc/dlan/wg.psk"]
        run(router, change=with_another_psk)
        self.assertEqual(router.there["/etc/dlan/wg.psk"], before)
        self.assertIn("option wg_psk_file '/etc/dlan/wg.psk.2'", router.there[CONFIG].text)
        run(router)
        self.assertIn("option wg_psk_file '/etc/dlan/wg.psk'", router.there[CONFIG].text)

    def test_a_fresh_router_has_a_state_to_return_to(self):
        router = FakeRouter()
        router.running = False
        run(router)
        at = router.log.index(f"write {CONFIG}")
        self.assertEqual(router.log[at : at + 3], [f"write {CONFIG}", "start", "apply"])
        base = deploy.base_config(router.there[CONFIG].text)
        self.assertNotIn("config link", base)
        self.assertNotIn("option input", base)

    def test_an_earlier_run_that_was_cut_off_is_waited_for_and_everything_read_again(self):
        router = FakeRouter()
        router.windows = [{"seconds_left": 5, "text": "unconfirmed"}, {"seconds_left": 4, "text": "unconfirmed"}]
        self.assertTrue(run(router).changed)

    def test_a_neighbor_whose_key_nobody_knows_is_named(self):
        with self.assertRaisesRegex(RouterError, "public key of home-2 is not known"):
            run(FakeRouter(), keys={})

    def test_a_neighbor_out_of_reach_keeps_the_key_it_had(self):
        router = FakeRouter()
        run(router)
        self.assertFalse(run(router, keys={}).changed)

    def test_keys_outside_etc_are_written_when_all_else_is_confirmed(self):
        def keys(variables):
            variables["r1"]["dlan_authorized_keys"] = ["ssh-ed25519 AAAA operator"]

        router = FakeRouter()
        run(router, change=keys)
        self.assertEqual(router.log[-2:], [f"confirm {TOKEN}", "write /root/.ssh/authorized_keys"])
        self.assertFalse(run(router, change=keys).changed)


class Reading(unittest.TestCase):
    def test_files_are_told_apart_by_their_length(self):
        said = b"4 rw-r--r-- /etc/a\nx\ny\n\n0 rw------- /etc/b c\n\n"
        self.assertEqual(dict(_read_files(said)), {"/etc/a": File("x\ny\n"), "/etc/b c": File("", 0o600)})


class InterfaceIds(unittest.TestCase):
    def there(self, router):
        return router.there[CONFIG].text

    def test_what_a_link_is_called_stays(self):
        router = FakeRouter()
        run(router)
        self.assertNotIn("interface_id", self.there(router))
        router.there[CONFIG] = File(self.there(router).replace("\toption host_id '3'\n", "\toption host_id '3'\n\toption interface_id '9'\n"))
        run(router, change=lambda variables: variables["r1"].update(dlan_domain="elsewhere"))
        self.assertEqual(self.there(router).count("option interface_id '9'"), 1)

    def test_a_number_that_another_link_has_by_its_neighbor_is_left_to_that(self):
        router = FakeRouter()
        run(router)
        router.there[CONFIG] = File(self.there(router).replace("\toption host_id '3'\n", "\toption host_id '3'\n\toption interface_id '2'\n"))
        run(router, change=lambda variables: variables["r1"].update(dlan_domain="elsewhere"))
        self.assertNotIn("interface_id", self.there(router))


if __name__ == "__main__":
    unittest.main()
