"""Brings one router to what the inventory says: everything is laid ready, applied in a window, and kept only by a login opened since."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from . import authorized, model, openwrt, uci
from .router import CONFIG, STAGE, File, Router, RouterError
from .translate import DIRECTORY, KEY_FILE, Target, secrets, translate

PRIVATE = 0o600
# How long an agent may take to answer after it was started.
START_SECONDS = 60
# What of the window is left to a rollback when the neighbors do not come back.
LEFT_SECONDS = 15
POLL_SECONDS = 1.0
UNKNOWN_KEY = "(made on the router by the first run)"


@dataclass
class Orders:
    """How a router is to be changed."""

    confirm_seconds: int = 120
    force: bool = False
    wait_for_neighbors: bool = True
    check_mode: bool = False
    start_command: str = ""
    authorized_keys_file: str = ""
    # Public keys by the routers' names in the inventory.
    keys: Mapping[str, str] = field(default_factory=dict)


class Outcome(NamedTuple):
    """What became of it: a difference for people is a list of what ansible shows with --diff."""

    changed: bool
    message: str
    differences: List[Dict[str, str]]
    plan: str = ""


@dataclass
class Found:
    """What is on the router."""

    is_openwrt: bool
    files: Dict[str, File]
    is_running: bool


@dataclass
class Wanted:
    """What is to be on the router: files that change, secrets that it does not have yet, and all the configuration's text."""

    config: str
    files: Dict[str, File]
    secrets: Dict[str, File]
    direct: Dict[str, File]


class Deployment:
    """One run for one router."""

    def __init__(self, mesh: Mapping[str, model.Router], name: str, router: Router, orders: Orders):
        self.mesh, self.me, self.router, self.orders = mesh, mesh[name], router, orders
        # What the predecessor called the links, by the neighbors' host ids.
        self.interface_ids: Mapping[int, str] = {}

    def run(self) -> Outcome:
        """Does it, or says in check mode what it would do."""
        found = self.look()
        if not found.is_running and self.router.has_devices("wg0", "vx0"):
            raise RouterError("the predecessor runs here: playbooks/migrate.yml takes it over")
        wanted = self.want(found)
        differences = self._differences(found, wanted)
        if self.orders.check_mode:
            return self._preview(found, wanted, differences)
        self._wait_for_no_window(found)
        if not wanted.files and not wanted.secrets and found.is_running and self._stands():
            return self._write_direct(wanted, Outcome(False, "nothing to do", differences))
        if not found.is_running:
            self._start(found, wanted)
        self.router.keep_secrets(wanted.secrets)
        plan = self._apply(wanted)
        return self._write_direct(wanted, Outcome(True, "applied and confirmed", differences, plan))

    # What is there, and what is to be

    def look(self) -> Found:
        """Reads everything that matters of the router."""
        is_openwrt = self.router.is_openwrt()
        paths = [CONFIG, self._authorized_keys(is_openwrt)]
        paths += [f"/etc/config/{package}" for package in openwrt.PACKAGES] if is_openwrt else []
        paths += [path for name in secrets(self.me, self.mesh) for path in _places(name)]
        return Found(is_openwrt, self.router.files(paths), self.router.is_running())

    def want(self, found: Found) -> Wanted:
        """Works out what differs from what the inventory says."""
        files: Dict[str, File] = {}
        networks: Dict[str, str] = {}
        if found.is_openwrt:
            there = {name: found.files.get(f"/etc/config/{name}") for name in openwrt.PACKAGES}
            texts = {name: file.text for name, file in there.items() if file}
            changed, networks = openwrt.merge(self.me, texts)
            for package, text in changed.items():
                before = there[package]
                files[f"/etc/config/{package}"] = File(text, before.mode if before else 0o644)
        paths, needed = self._place_secrets(found)
        numbers = self._interface_ids(found)
        target = Target(found.is_openwrt, networks, self._keys(found), paths, numbers)
        config = translate(self.me, self.mesh, target)
        before = found.files.get(CONFIG)
        if before is None or before.text != config:
            files[CONFIG] = File(config, before.mode if before else 0o644)
        path = self._authorized_keys(found.is_openwrt)
        keys = found.files.get(path, File("", PRIVATE))
        merged = authorized.merge(keys.text, self.me.authorized_keys)
        direct = {path: File(merged, keys.mode)} if merged != keys.text else {}
        if path.startswith("/etc/"):
            files.update(direct)
            direct = {}
        return Wanted(config, files, needed, direct)

    def _authorized_keys(self, is_openwrt: bool) -> str:
        usual = "/etc/dropbear/authorized_keys" if is_openwrt else "/root/.ssh/authorized_keys"
        return self.orders.authorized_keys_file or usual

    def _place_secrets(self, found: Found) -> "tuple[Dict[str, str], Dict[str, File]]":
        """Where each secret is, and those to be written. One that changes comes under its other name, so that what is
        undone finds the old one."""
        used = _used_paths(found.files.get(CONFIG))
        paths: Dict[str, str] = {}
        needed: Dict[str, File] = {}
        for name, text in secrets(self.me, self.mesh).items():
            first, second = _places(name)
            in_use = second if second in used else first
            held = found.files.get(in_use)
            if held is None or held.text.rstrip("\r\n") != text:
                in_use = in_use if held is None else (first if in_use == second else second)
                needed[in_use] = File(f"{text}\n", PRIVATE)
            paths[name] = in_use
        if not self.me.private_key:
            # The router's own key stays where it is, also behind one of the inventory's.
            paths["wg.key"] = key_file(found.files.get(CONFIG))
        return paths, needed

    def _interface_ids(self, found: Found) -> Dict[int, str]:
        """What OSPF calls the links: as it is, for another number is another link to the neighbor. One that is a link's own by its
        neighbor's host id is left to that."""
        numbers = {}
        before = found.files.get(CONFIG)
        for section in uci.parse(before.text) if before else []:
            if section.kind == "link" and section.text("interface_id") and section.text("host_id").isdigit():
                numbers[int(section.text("host_id"))] = section.text("interface_id")
        numbers.update(self.interface_ids)
        implied = {str(self.mesh[peer].host_id) for peer in self.me.links if self.mesh[peer].host_id not in numbers}
        return {host: number for host, number in numbers.items() if number not in implied}

    def _keys(self, found: Found) -> Dict[str, str]:
        """Public keys: the inventory's, what the routers said, or what this router has of a neighbor already."""
        held = {}
        before = found.files.get(CONFIG)
        for section in uci.parse(before.text) if before else []:
            if section.kind == "link":
                held[section.text("host_id")] = section.text("public_key")
        keys: Dict[str, str] = {}
        for peer in self.me.links:
            other = self.mesh[peer]
            key = other.public_key or self.orders.keys.get(peer) or held.get(str(other.host_id))
            if key:
                keys[peer] = key
            elif self.orders.check_mode:
                keys[peer] = UNKNOWN_KEY
            else:
                raise RouterError(
                    f"the public key of {peer} is not known: run without --limit once, so that it is asked for, "
                    f"or set dlan_wg_pubkey of {peer}"
                )
        return keys

    def _differences(self, found: Found, wanted: Wanted) -> List[Dict[str, str]]:
        shown = []
        for path, file in sorted({**wanted.files, **wanted.direct}.items()):
            before = found.files.get(path, File(""))
            shown.append({"before_header": path, "after_header": path, "before": before.text, "after": file.text})
        for path in sorted(wanted.secrets):
            shown.append({"prepared": f"{path}: a secret comes, which is not shown\n"})
        return shown

    # Changing it

    def _preview(self, found: Found, wanted: Wanted, differences: List[Dict[str, str]]) -> Outcome:
        changed = bool(wanted.files or wanted.secrets or wanted.direct or not found.is_running)
        if not changed and self._stands():
            return Outcome(False, "nothing to do", differences)
        if not changed:
            plan = plan_text(self.router.ask("plan"))
            return Outcome(True, "would apply again: the router is not what its configuration says", differences, plan)
        if UNKNOWN_KEY in wanted.config or not found.is_running:
            return Outcome(True, "would change; there is no plan before the first run", differences)
        # A plan reads the secrets, so they lie beside it for as long as it takes, and go with it.
        config = wanted.config
        ready = dict(wanted.files)
        for path, file in wanted.secrets.items():
            config = config.replace(f"'{path}'", f"'{STAGE}{path}'")
            ready[path] = file
        ready[CONFIG] = File(config)
        try:
            stage = self.router.stage(ready)
            plan = self.router.ask("plan", "--stage", stage)
        finally:
            self.router.unstage()
        return Outcome(True, "would change", differences, plan_text(plan))

    def _wait_for_no_window(self, found: Found) -> None:
        """An earlier run that was cut short is undone by itself when its window is over."""
        deadline = None
        while found.is_running:
            window = self.router.window()
            if window is None:
                break
            deadline = deadline or time.monotonic() + window["seconds_left"] + LEFT_SECONDS
            if time.monotonic() > deadline:
                raise RouterError(f"another apply is {window['text']}")
            time.sleep(POLL_SECONDS)
        if deadline is not None:
            # What came back may differ from what was read in the window.
            raise Returned()

    def _stands(self) -> bool:
        """Whether the router is what its configuration says; a moment of convergence does not count."""
        return self._wait(10, lambda: plan_is_empty(self.router.ask("plan")))

    def _start(self, found: Found, wanted: Wanted) -> None:
        """Starts an agent that has a state to return to: what the router is has no links yet, if it has no configuration."""
        before = found.files.get(CONFIG)
        if before is None or not any(it.kind == "mesh" for it in uci.parse(before.text)):
            self.router.keep_secrets(wanted.secrets)
            self.router.write(CONFIG, File(base_config(wanted.config)))
        self.router.start(self.orders.start_command)
        if not self._wait(START_SECONDS, self.router.is_running):
            raise RouterError("the agent was started and does not answer")
        self.router.ask("apply")

    def _apply(self, wanted: Wanted) -> str:
        before = set(self.router.neighbors())
        stage = self.router.stage(wanted.files)
        try:
            force = ["--force"] if self.orders.force else []
            seconds = self.orders.confirm_seconds
            report = self.router.ask("apply", "--confirm", f"{seconds}s", "--stage", stage, *force)
            began = time.monotonic()
        finally:
            self._unstage()
        # Who applied has proven nothing about coming in again.
        self.router.shell.reset()
        self._confirm(report["window"]["token"], began, before & {self.mesh[peer].host_id for peer in self.me.links})
        return plan_text(report["plan"])

    def _unstage(self) -> None:
        try:
            self.router.unstage()
        except Exception:  # pylint: disable=broad-except
            # The way to the router may just be gone; the next run takes it away.
            pass

    def _confirm(self, token: str, began: float, expected: "set[int]") -> None:
        left = self.orders.confirm_seconds - LEFT_SECONDS
        local = ["--local"] if self.router.shell.is_local else []
        failure = "the router could not be reached"
        while time.monotonic() - began < left:
            try:
                missing = expected - set(self.router.neighbors()) if self.orders.wait_for_neighbors else set()
                if not missing:
                    self.router.ask("confirm", token, *local)
                    return
                failure = "neighbors did not come back: " + ", ".join(
                    sorted(it.inventory_name for it in self.mesh.values() if it.host_id in missing)
                )
            except RouterError as error:
                failure = str(error)
            except Exception as error:  # pylint: disable=broad-except
                # What the connection raises has a type of ansible's own.
                failure = str(error)
                self._reset()
            time.sleep(POLL_SECONDS)
        try:
            self.router.ask("rollback")
            after = "it has returned to what was before"
        except Exception:  # pylint: disable=broad-except
            after = "it returns by itself to what was before when its window is over"
        raise RouterError(f"not confirmed, for {failure}; {after}")

    def _reset(self) -> None:
        try:
            self.router.shell.reset()
        except Exception:  # pylint: disable=broad-except
            # The next command says it better.
            pass

    def _write_direct(self, wanted: Wanted, outcome: Outcome) -> Outcome:
        """Writes what lies where no window reaches."""
        for path, file in wanted.direct.items():
            self.router.write(path, file)
        if wanted.direct and not outcome.changed:
            return outcome._replace(changed=True, message="wrote " + ", ".join(wanted.direct))
        return outcome

    @staticmethod
    def _wait(seconds: float, holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


class Returned(Exception):
    """A window was open and is over: what was read of the router may no longer hold."""


def run(mesh: Mapping[str, model.Router], name: str, router: Router, orders: Orders) -> Outcome:
    """Brings a router to what the inventory says."""
    deployment = Deployment(mesh, name, router, orders)
    try:
        return deployment.run()
    except Returned:
        return deployment.run()


def base_config(config: str) -> str:
    """What a router is before it has links: it listens, and knows nobody."""
    sections = []
    for section in uci.parse(config):
        if section.kind == "wan":
            kept = ("interface", "device", "listen_port")
            section.options = {name: value for name, value in section.options.items() if name in kept}
        if section.kind in ("mesh", "wan"):
            sections.append(section)
    return uci.render(sections)


def plan_is_empty(plan: Dict[str, Any]) -> bool:
    return plan["steps"] == 0 and not plan["ospf"]


def plan_text(plan: Dict[str, Any]) -> str:
    return plan["text"] + "".join(f"{line}\n" for line in plan["ospf"] if line not in plan["text"])


def key_file(config: Optional[File]) -> str:
    """Where a router's private key is by its configuration."""
    sections = uci.parse(config.text) if config else []
    return next((it.text("private_key_file", KEY_FILE) for it in sections if it.kind == "mesh"), KEY_FILE)


def _places(name: str) -> List[str]:
    return [f"{DIRECTORY}/{name}", f"{DIRECTORY}/{name}.2"]


def _used_paths(config: Optional[File]) -> "set[str]":
    sections = uci.parse(config.text) if config else []
    return {section.text(option) for section in sections for option in section.options if option.endswith("_file")}
