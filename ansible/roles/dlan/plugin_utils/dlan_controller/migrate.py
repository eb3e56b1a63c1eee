"""Takes one router of a running mesh over from the predecessor, inside a window of its own.

The kernel has one VXLAN device for a number and one WireGuard device for a port, so the predecessor's become dlan's, with the
routes that BIRD left over them: packets pass meanwhile. What cannot be taken over goes before dlan's comes. A script on the
router does it, for the way to the router may be among it: unless it is confirmed in time, over a connection opened since and with
the neighbors there, it takes dlan away and starts the predecessor again. Nothing of the
predecessor's files changes before it is confirmed, and dlan's configuration is not in its place: a router that loses power in
the window boots as it was.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import List, Mapping

from . import deploy, model
from .router import CONFIG, File, Router, RouterError

DIRECTORY = "/run/dlan-migration"
# The number of a routing table, and the preference of the rule to it.
GUARD = 30200
# How long the script may take to do what it is told at the end.
END_SECONDS = 90

# A BIRD that is asked to end takes its routes along.
_STOP = """killall -9 bird 2>/dev/null
[ ! -x /etc/init.d/bird ] || /etc/init.d/bird stop"""
# OpenWrt's own nginx.conf has no stream block: one that has is the predecessor's, whose nginx holds the ports of the services.
_RELEASE = """for name in wg0 $(uci -q show network | sed -n 's/^network\\.\\(vx[0-9]*\\)=interface$/\\1/p'); do
	ifdown "$name" 2>/dev/null
	ip link del "$name" 2>/dev/null
done
! grep -q '^stream' /etc/nginx/nginx.conf 2>/dev/null || /etc/init.d/nginx stop"""
_START = """/etc/init.d/network restart
/etc/init.d/bird start
! grep -q '^stream' /etc/nginx/nginx.conf 2>/dev/null || /etc/init.d/nginx start"""
_REMOVE = """[ ! -x /etc/init.d/bird ] || /etc/init.d/bird disable
! grep -q '^stream' /etc/nginx/nginx.conf 2>/dev/null || /etc/init.d/nginx disable
for package in bird2c bird2; do ! opkg status $package | grep '^Status: .* installed' || opkg remove $package; done"""

SCRIPT = """#!/bin/sh
# Takes over from the predecessor, and goes back unless it is told in time to stay.
cd {directory} || exit 1
# Until the first routes are learned, nothing of the mesh's may leave by the WAN, where it would be translated for good.
guard() {{
{guard}
}}
guard add 2>/dev/null
trap 'guard del 2>/dev/null' EXIT
(
{stop}
)
{program} --config {directory}/dlan take-over
(
{release}
)
{program} --config {directory}/dlan agent >>agent.log 2>&1 &
agent=$!
left={seconds}
while [ "$left" -gt 0 ] && [ ! -e abort ]; do
	if [ -e confirmed ]; then
		kill "$agent"
		wait "$agent"
		mkdir -p {config_directory} && cp dlan {config} && ({start_agent}) && ({remove})
		touch "kept.$?"
		exit
	fi
	sleep 1
	left=$((left - 1))
done
{program} --config {directory}/dlan down
kill "$agent" 2>/dev/null
wait "$agent"
(
{start}
)
touch returned
"""


@dataclass
class Commands:
    """What ends the predecessor's routing on a router, has the system let go of its links, starts it again, and takes it away for
    good."""

    device: str = "wg0"
    stop: str = _STOP
    release: str = _RELEASE
    start: str = _START
    remove: str = _REMOVE
    # How long a router that was taken over is let be, in seconds.
    pause: int = 5


class Migration:
    """One run for one router."""

    def __init__(self, mesh: Mapping[str, model.Router], name: str, router: Router, orders: deploy.Orders, commands: Commands):
        self.pause = commands.pause
        self.mesh, self.me, self.router, self.orders, self.commands = mesh, mesh[name], router, orders, commands
        self.deployment = deploy.Deployment(mesh, name, router, orders)

    def run(self) -> deploy.Outcome:
        """Does it, or says in check mode that it would."""
        if self.router.shell.run(f"test -e /sys/class/net/{shlex.quote(self.commands.device)}").code != 0:
            return deploy.Outcome(False, "nothing of the predecessor's runs here", [])
        if self.router.is_running():
            raise RouterError(f"an agent runs beside the predecessor's {self.commands.device}; end one of them first")
        if not self.me.private_key:
            raise RouterError("dlan_wg_privkey is not set: the neighbors know this router by the key that it has")
        found = self.deployment.look()
        self.deployment.interface_ids = self._numbers()
        wanted = self.deployment.want(found)
        if self.orders.check_mode:
            return deploy.Outcome(True, "would be taken over from the predecessor", [])
        expected = self._reachable()
        self.router.keep_secrets(wanted.secrets)
        self._begin(wanted.config)
        # The way there may be another one now.
        self._quietly(self.router.shell.reset)
        self._finish(expected)
        # What was lost meanwhile is to come again before the next router's turn.
        time.sleep(self.pause)
        names = ", ".join(sorted(it.inventory_name for it in self.mesh.values() if it.host_id in expected)) or "nobody"
        return deploy.Outcome(True, f"taken over from the predecessor; neighbors: {names}", [])

    def _numbers(self) -> "dict[int, str]":
        """What BIRD calls the links: the numbers of their devices, vx0 that of the first neighbor of the inventory. A neighbor that
        hears another number takes the link for another one."""
        said = self.router.shell.run('cd /sys/class/net && for d in vx[0-9]*; do echo "$d $(cat "$d/ifindex")"; done').out
        numbers = dict(line.split() for line in said.splitlines() if len(line.split()) == 2)
        links = enumerate(self.me.links)
        found = {self.mesh[peer].host_id: numbers.get(f"vx{position}", "") for position, peer in links}
        return {host: number for host, number in found.items() if number.isdigit() and int(number) <= 65535}

    def _reachable(self) -> "set[int]":
        """The neighbors that answer through the predecessor's WireGuard."""
        found = set()
        for peer in self.me.links:
            other = self.mesh[peer]
            address = model.usable(other.wg_ipv4, other.host_id)
            if self.router.shell.run(f"ping -c 2 -W 2 {address}").code == 0:
                found.add(other.host_id)
        return found

    def _begin(self, config: str) -> None:
        far = [lan for name, other in self.mesh.items() if other is not self.me for lan in other.lans]
        prefixes = [prefix for lan in far for prefix in (lan.ipv4, lan.ipv6) if prefix is not None]
        script = script_text(self.router.program, self.commands, self.orders, prefixes)
        self._must(f"rm -rf {DIRECTORY}; umask 077; mkdir {DIRECTORY}")
        self.router.unpack({"dlan": File(config, 0o600), "take-over": File(script, 0o700)}, DIRECTORY)
        self._must(f"(trap '' HUP; {DIRECTORY}/take-over >{DIRECTORY}/log 2>&1 </dev/null &)")

    def _finish(self, expected: "set[int]") -> None:
        deadline = time.monotonic() + self.orders.confirm_seconds - deploy.LEFT_SECONDS
        failure = "the router could not be reached"
        while time.monotonic() < deadline:
            try:
                missing = expected - set(self.router.neighbors())
                if not missing:
                    self._must(f"touch {DIRECTORY}/confirmed")
                    self._end("kept")
                    return
                failure = "not all neighbors are back"
            except RouterError as error:
                failure = str(error)
            except Exception as error:  # pylint: disable=broad-except
                # What the connection raises has a type of ansible's own.
                failure = str(error)
                self._quietly(self.router.shell.reset)
            time.sleep(deploy.POLL_SECONDS)
        self._quietly(lambda: self._must(f"touch {DIRECTORY}/abort"))
        self._quietly(lambda: self._end("returned"))
        raise RouterError(f"not taken over, for {failure}; the predecessor is started again")

    def _end(self, word: str) -> None:
        """Waits until the script has done it; what it says of its success stands behind the word."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            said = self.router.shell.run(f"cd {DIRECTORY} && echo {word}*")
            if said.out.strip() in (word, f"{word}.0"):
                return
            if said.out.strip() != f"{word}*":
                log = self.router.shell.run(f"tail -n 20 {DIRECTORY}/log").out.strip()
                raise RouterError(f"dlan has taken over, and what comes last did not work: {log}")
            time.sleep(deploy.POLL_SECONDS)
        raise RouterError("what takes over does not come to its end")

    def _must(self, command: str) -> None:
        said = self.router.shell.run(command)
        if said.code != 0:
            raise RouterError(f"`{command}` failed: {said.err.strip() or said.out.strip()}")

    @staticmethod
    def _quietly(act) -> None:
        try:
            act()
        except Exception:  # pylint: disable=broad-except
            # It is tried for the better; the next command says what is wrong.
            pass


def script_text(
    program: str, commands: Commands, orders: deploy.Orders, prefixes=(), directory: str = DIRECTORY, config: str = CONFIG
) -> str:
    """The script that takes a router over; `prefixes` are those of the other routers' LANs."""
    # Behind dlan's own table, and before the default route of the main one.
    guard = [f"\tip -{version} rule $1 pref {GUARD} lookup {GUARD}" for version in (4, 6)]
    guard += [f"\tip -{it.version} route $1 unreachable {it} table {GUARD}" for it in prefixes]
    return SCRIPT.format(
        guard="\n".join(guard),
        directory=directory,
        program=shlex.quote(program),
        config=config,
        config_directory=config.rpartition("/")[0],
        stop=commands.stop,
        release=commands.release,
        start=commands.start,
        remove=commands.remove or "true",
        start_agent=orders.start_command or Router.START,
        seconds=orders.confirm_seconds,
    )


def commands_of(values: List[str], pause: int) -> Commands:
    """The commands with those replaced that are given."""
    usual = Commands()
    defaults = (usual.device, usual.stop, usual.release, usual.start, usual.remove)
    return Commands(*(given or default for given, default in zip(values, defaults)), pause)
