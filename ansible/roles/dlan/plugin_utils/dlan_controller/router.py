"""The conversation with one router over a shell: nothing is needed there but `sh`, `tar` and the program `dlan`."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

CONFIG = "/etc/config/dlan"
STAGE = "/run/dlan-stage"
# The exit code of `dlan` where no agent runs.
NOT_RUNNING = 4
# What `sh` says of a command that is not there.
NOT_FOUND = 127


class RouterError(Exception):
    """Something did not work on a router; the message is for people."""


class Said(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


class Shell:
    """Runs commands on a router. What does so over ansible's connection is in the action plugin."""

    # Whether it runs on the router itself, by no network.
    is_local = False

    def run(self, command: str, stdin: bytes = b"") -> Said:
        raise NotImplementedError

    def reset(self) -> None:
        """Has the next command come by a connection of its own."""
        raise NotImplementedError


@dataclass(frozen=True)
class File:
    """A file of a router: its text and its permissions."""

    text: str
    mode: int = 0o644


class Router:
    """One router."""

    # What starts the agent, with the system's own means.
    START = (
        "if [ -e /etc/openwrt_release ]; then /etc/init.d/dlan enable; /etc/init.d/dlan restart; "
        "else systemctl enable --quiet dlan.service && systemctl restart dlan.service; fi"
    )

    def __init__(self, shell: Shell, program: str = "/usr/bin/dlan"):
        self.shell, self.program = shell, program

    # What is there

    def is_openwrt(self) -> bool:
        return self.shell.run("test -e /etc/openwrt_release").code == 0

    def version(self) -> Optional[str]:
        """The version of the program; none where it is not installed."""
        said = self.shell.run(f"{shlex.quote(self.program)} --version")
        return said.out.split()[-1] if said.code == 0 and said.out.split() else None

    def files(self, paths: Iterable[str]) -> Dict[str, File]:
        """Those of these files that are there."""
        names = " ".join(shlex.quote(path) for path in paths)
        script = (
            f"for f in {names}; do [ -f \"$f\" ] || continue; "
            'echo "$(wc -c < "$f") $(ls -ln "$f" | cut -c 2-10) $f"; cat "$f"; echo; done'
        )
        said = self.shell.run(script, b"\n")
        if said.code != 0:
            raise RouterError(f"cannot read the router's files: {said.err.strip() or said.out.strip()}")
        return dict(_read_files(said.out.encode("utf-8", "surrogateescape")))

    def window(self) -> Optional[Dict[str, Any]]:
        """The apply that waits to be confirmed."""
        return self.ask("window")

    def has_devices(self, *names: str) -> bool:
        """Whether all of these network devices are there."""
        return self.shell.run(" && ".join(f"test -e /sys/class/net/{name}" for name in names)).code == 0

    def is_running(self) -> bool:
        return self.shell.run(f"{shlex.quote(self.program)} --json window").code not in (NOT_RUNNING, NOT_FOUND)

    def neighbors(self) -> List[int]:
        """The host ids of the neighbors with which every family is Full."""
        states: Dict[int, List[str]] = {}
        for neighbor in self.ask("neighbors")["neighbors"]:
            last = neighbor["router_id"].split(".")
            number = int(last[2]) * 256 + int(last[3])
            states.setdefault(number, []).append(neighbor["state"])
        return sorted(number for number, found in states.items() if all(state == "Full" for state in found))

    # What is asked of the program

    def ask(self, *arguments: str) -> Any:
        """Runs the program for its JSON answer; what it refuses is an error in its own words."""
        said = self.tell(*arguments)
        try:
            answer = json.loads(said.out) if said.out.strip() else None
        except ValueError:
            answer = None
        if said.code != 0:
            raise RouterError(_words(answer) or said.err.strip() or said.out.strip() or f"it ended with {said.code}")
        return answer

    def tell(self, *arguments: str) -> Said:
        words = [self.program, "--json", *arguments]
        return self.shell.run(" ".join(shlex.quote(word) for word in words))

    # What is changed

    def unpack(self, files: Dict[str, File], directory: str) -> None:
        """Puts files below a directory, each under its whole path."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path, file in sorted(files.items()):
                octets = file.text.encode("utf-8", "surrogateescape")
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(octets), file.mode
                tar.addfile(entry, io.BytesIO(octets))
        at = shlex.quote(directory)
        # The files' own permissions are in the archive; a directory made for them is for root alone.
        self._must(f"(umask 077; mkdir -p {at}) && umask 022 && tar -x -f - -C {at}", packed.getvalue())

    def stage(self, files: Dict[str, File]) -> str:
        """Lays files ready, and returns the directory. What an earlier run that was cut short has left goes."""
        self._must(f"rm -rf {STAGE}; umask 077; mkdir {STAGE}")
        if files:
            self.unpack(files, STAGE)
        return STAGE

    def unstage(self) -> None:
        self.shell.run(f"rm -rf {STAGE}")

    def keep_secrets(self, files: Dict[str, File]) -> None:
        """Writes secrets under names that nothing uses yet."""
        if files:
            self._must("mkdir -p /etc/dlan && chmod 700 /etc/dlan")
            self.unpack(files, "/")

    def write(self, path: str, file: File) -> None:
        """Writes one file at once."""
        directory = shlex.quote(path.rpartition("/")[0] or "/")
        self._must(f"umask 077; mkdir -p {directory}")
        self.unpack({path: file}, "/")

    def start(self, command: str) -> None:
        """Starts the agent, by a command or by the system's service manager."""
        self._must(command or self.START)

    def _must(self, command: str, stdin: bytes = b"") -> Said:
        said = self.shell.run(command, stdin)
        if said.code != 0:
            raise RouterError(said.err.strip() or said.out.strip() or f"`{command}` ended with {said.code}")
        return said


def _words(answer: Any) -> str:
    """An answer that something did not work, in words."""
    if isinstance(answer, dict) and isinstance(answer.get("outcome"), str):
        return answer["outcome"]
    if isinstance(answer, dict) and "error" in answer:
        hint = answer.get("hint")
        return f"{answer['error']} ({hint})" if hint else str(answer["error"])
    return json.dumps(answer) if answer else ""


def _read_files(octets: bytes) -> Iterable[Tuple[str, File]]:
    while octets:
        head, _, rest = octets.partition(b"\n")
        size, mode, path = head.decode("utf-8", "surrogateescape").split(None, 2)
        text = rest[: int(size)].decode("utf-8", "surrogateescape")
        yield path, File(text, _mode(mode))
        octets = rest[int(size) + 1 :]


def _mode(text: str) -> int:
    """Permissions from how `ls` shows them, such as rw-r--r--."""
    mode = 0
    for character in text:
        mode = mode << 1 | (character not in "-ST")
    return mode
