"""What the tests of the role have in common."""

import copy
import os
import pathlib
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROLE = HERE.parent / "roles" / "dlan"
sys.path.insert(0, str(ROLE / "plugin_utils"))


def inventory(name):
    """The variables of every host of an inventory, as ansible would merge them."""
    hosts = {}

    def walk(group, inherited):
        variables = {**inherited, **group.get("vars", {})}
        for host, own in (group.get("hosts") or {}).items():
            hosts[host] = {**variables, **(own or {})}
        for child in (group.get("children") or {}).values():
            walk(child or {}, variables)

    walk(yaml.safe_load((HERE / "inventories" / f"{name}.yml").read_text())["all"], {})
    return copy.deepcopy(hosts)


def dlan(*arguments):
    """Runs the program; where it is says the environment's DLAN."""
    program = os.environ["DLAN"]
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def golden(name, text):
    """Returns the text that is expected; with DLAN_UPDATE=1 takes this one as such."""
    path = HERE / "golden" / name
    if os.environ.get("DLAN_UPDATE") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path.read_text()
