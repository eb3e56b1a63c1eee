"""What is done on a router beside a deployment: the program installed and removed, the key asked for, status and rollback."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import deploy, model
from .router import CONFIG, STAGE, File, Router, RouterError

# How long the neighbors may take to be back after an upgrade.
BACK_SECONDS = 120
# opkg's and dpkg's files are dlan_0.1.0-1_.., apk's are dlan-0.1.0-r1_..
_VERSION = re.compile(r"dlan[_-]([0-9][^_-]*)")
# By the manager's name: what lists, installs and removes packages.
_MANAGERS = {
    "apk": ("apk info -e {}", "apk update >/dev/null && apk add {}", "apk add --allow-untrusted {}", "apk del dlan"),
    "opkg": (
        "opkg status {} | grep '^Status: .* installed'",
        "opkg update >/dev/null && opkg install {}",
        "opkg install --force-downgrade {}",
        "opkg remove dlan",
    ),
    "apt-get": (
        "dpkg-query -W -f '${{Status}}' {} 2>/dev/null | grep '^install ok installed'",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y {}",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --allow-downgrades {}",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq remove -y dlan",
    ),
}


class Package(NamedTuple):
    """A package file of the controller."""

    name: str
    octets: bytes

    def version(self) -> Optional[str]:
        found = _VERSION.search(self.name)
        return found.group(1) if found else None


def install(router: Router, packages: List[str], package: Optional[Package], check_mode: bool) -> List[str]:
    """Installs the program, if it is missing or the package is of another version, and further packages. Returns what
    was, or would be, installed."""
    there = router.version()
    wants_dlan = there is None or (package is not None and package.version() not in (None, there))
    missing = [] if not packages else _missing(router, packages)
    done = (["dlan"] if wants_dlan else []) + missing
    if check_mode or not done:
        return done
    manager = _manager(router)
    _, by_name, by_file, _ = _MANAGERS[manager]
    if wants_dlan and package:
        # apt-get takes a file by its whole path.
        path = f"{STAGE}/{package.name}"
        router.stage({})
        _must(router, f"cat > {shlex.quote(path)}", package.octets)
        _must(router, by_file.format(shlex.quote(path)))
        router.unstage()
    elif wants_dlan:
        missing = ["dlan", *missing]
    if missing:
        _must(router, by_name.format(" ".join(map(shlex.quote, missing))))
    return done


def upgrade(router: Router, package: Optional[Package], check_mode: bool) -> List[str]:
    """Installs another version, and waits until the neighbors that were there are back."""
    if package is None:
        raise RouterError("dlan_package is not set: it names the file that is to be installed")
    if package.version() is None:
        raise RouterError(f"'{package.name}' does not tell its version; a package is called dlan_VERSION.. or dlan-VERSION..")
    before = set(router.neighbors()) if router.is_running() else set()
    done = install(router, [], package, check_mode)
    deadline = time.monotonic() + BACK_SECONDS
    while done and not check_mode and before and not _are_back(router, before):
        if time.monotonic() > deadline:
            raise RouterError("the neighbors are not all back after the upgrade")
        time.sleep(deploy.POLL_SECONDS)
    return done


def _are_back(router: Router, before: "set[int]") -> bool:
    try:
        return before <= set(router.neighbors())
    except RouterError:
        # The agent is starting.
        return False


def remove(router: Router, check_mode: bool) -> bool:
    """Takes dlan away, with its package where it came by one. Configuration and keys stay."""
    if router.version() is None:
        return False
    manager = _manager(router, needed=False)
    has_package = manager is not None and not _missing(router, ["dlan"])
    if check_mode:
        return has_package or router.is_running() or router.has_devices("dlan-wg")
    if manager and has_package:
        _must(router, _MANAGERS[manager][3])
        return True
    return _must(router, f"{shlex.quote(router.program)} down").out.startswith("Removed")


def public_key(router: Router, me: model.Router, check_mode: bool) -> "tuple[Optional[str], bool]":
    """The router's public key, and whether it is made for it. What the inventory has needs no asking."""
    if me.public_key:
        return me.public_key, False
    config = router.files([CONFIG]).get(CONFIG)
    path = deploy.key_file(config)
    is_there = router.shell.run(f"test -s {shlex.quote(path)}").code == 0
    if not is_there and check_mode:
        return None, True
    # A configuration that may be wrong, or that is not there yet, has no word on the key but where it is.
    text = (
        f"config mesh 'mesh'\n\toption host_id '{me.host_id}'\n\toption name '{me.hostname}'\n"
        f"\toption private_key_file '{path}'\nconfig wan 'wan0'\n\toption device 'lo'\n"
    )
    try:
        stage = router.stage({"/key": File(text)})
        return router.ask("--config", f"{stage}/key", "key")["public_key"], not is_there
    finally:
        router.unstage()


def status(router: Router) -> Dict[str, Any]:
    """What the router says of itself, for people and for programs."""
    report = router.tell("status")
    shown = router.shell.run(f"{shlex.quote(router.program)} status")
    if shown.code not in (0, 4):
        raise RouterError(shown.err.strip() or report.out.strip())
    return {"text": shown.out, "is_running": shown.code == 0}


def rollback(router: Router, number: Optional[int], check_mode: bool) -> "tuple[str, bool]":
    """Undoes the open window, or returns to an earlier configuration. Returns what is to be said, and whether it changes something."""
    if check_mode:
        return _foretell_rollback(router, number)
    config = router.files([CONFIG])
    has_window = router.window() is not None
    report = router.ask("rollback", *([str(number)] if number is not None else []))
    changed = has_window or report["plan"]["steps"] > 0 or router.files([CONFIG]) != config
    return report["outcome"], changed


def _foretell_rollback(router: Router, number: Optional[int]) -> "tuple[str, bool]":
    if router.window() is not None:
        return "would undo the open window", True
    applies = [entry for entry in router.ask("history") if entry["in_force"]]
    if number is None:
        # What the first apply of all changed, it changed of nothing.
        if not any(entry["diff"] for entry in applies[1:]):
            raise RouterError("the history has no other configuration to return to")
        return "would return to the configuration before the present one", True
    if number not in [entry["number"] for entry in applies]:
        raise RouterError(f"there is no apply {number} in the history that was in force")
    changed = any(entry["diff"] for entry in applies if entry["number"] > number)
    return (f"would return to apply {number}" if changed else f"it is what apply {number} brought"), changed


def _manager(router: Router, needed: bool = True) -> Optional[str]:
    said = router.shell.run("command -v apk || command -v opkg || command -v apt-get")
    name = said.out.strip().rpartition("/")[2]
    if name in _MANAGERS:
        return name
    if needed:
        raise RouterError("there is no apk, opkg or apt-get on it")
    return None


def _missing(router: Router, packages: List[str]) -> List[str]:
    manager = _manager(router)
    listed = _MANAGERS[manager or ""][0]
    return [name for name in packages if not router.shell.run(listed.format(shlex.quote(name))).out.strip()]


def _must(router: Router, command: str, stdin: bytes = b"") -> Any:
    said = router.shell.run(command, stdin)
    if said.code != 0:
        raise RouterError(f"`{command}` failed: {said.err.strip() or said.out.strip()}")
    return said
