"""The file of keys that may log in: the role has a block of its own in it, and leaves the rest alone."""

from __future__ import annotations

from typing import List

BEGIN = "# begin: ansible role dlan"
END = "# end: ansible role dlan"


def merge(text: str, keys: List[str]) -> str:
    """Returns the file with these keys as the role's block; keys that stand outside it are not repeated."""
    others, inside = [], False
    for line in text.splitlines():
        if line.strip() in (BEGIN, END):
            inside = line.strip() == BEGIN
        elif not inside:
            others.append(line)
    missing = [key for key in keys if key not in {line.strip() for line in others}]
    lines = others + ([BEGIN, *missing, END] if missing else [])
    return "".join(f"{line}\n" for line in lines)
