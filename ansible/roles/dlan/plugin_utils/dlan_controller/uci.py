"""OpenWrt's configuration files (UCI) as values: read, changed section by section, and written as `uci commit` writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Union

Value = Union[str, List[str]]


class UciError(ValueError):
    """A text that is no UCI file; the message names the line."""


@dataclass
class Section:
    """A section: its kind, its name if it has one, and its options in order."""

    kind: str
    name: Optional[str] = None
    options: Dict[str, Value] = field(default_factory=dict)

    def words(self, option: str) -> List[str]:
        """The values of a list, also of one that is written as words in one option."""
        value = self.options.get(option, [])
        return value.split() if isinstance(value, str) else list(value)

    def text(self, option: str, default: str = "") -> str:
        """The value of an option."""
        value = self.options.get(option, default)
        return value if isinstance(value, str) else " ".join(value)


def parse(text: str) -> List[Section]:
    """Reads a file's sections."""
    sections: List[Section] = []
    for number, words in _lines(text):
        keyword = words[0]
        if keyword == "package" and len(words) == 2:
            continue
        if keyword == "config" and len(words) in (2, 3):
            sections.append(Section(words[1], words[2] if len(words) == 3 and words[2] else None))
        elif keyword in ("option", "list") and len(words) in (2, 3):
            if not sections:
                raise UciError(f"line {number}: {keyword} '{words[1]}' stands before any section")
            _put(sections[-1], keyword, words[1], words[2] if len(words) == 3 else "")
        else:
            raise UciError(f"line {number}: '{' '.join(words)}' is neither config, option nor list")
    return sections


def _put(section: Section, keyword: str, option: str, value: str) -> None:
    if keyword == "option":
        # An empty value is the same as no option.
        section.options.pop(option, None)
        if value:
            section.options[option] = value
        return
    before = section.options.get(option, [])
    section.options[option] = ([before] if isinstance(before, str) else before) + [value]


def _lines(text: str):
    """Yields each line's number and words; a quoted word may go on over line ends."""
    words: List[str] = []
    word: Optional[List[str]] = None
    quote, number, begun, position = "", 1, 1, 0
    while position < len(text):
        character = text[position]
        position += 1
        number += character == "\n"
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"' and position < len(text):
                word.append(text[position])
                position += 1
            else:
                word.append(character)
        elif character in "'\"":
            quote, word = character, word if word is not None else []
        elif character == "\\" and position < len(text):
            word = (word if word is not None else []) + [text[position]]
            position += 1
        elif character in " \t\r\n;" or character == "#":
            if word is not None:
                words.append("".join(word))
                word = None
            if character == "#":
                end = text.find("\n", position)
                position = len(text) if end < 0 else end
            if character in "\n;":
                if words:
                    yield begun, words
                words, begun = [], number
        else:
            word = (word if word is not None else []) + [character]
    if quote:
        raise UciError(f"line {begun}: a quoted value is not closed")
    if word is not None:
        words.append("".join(word))
    if words:
        yield begun, words


def quote(value: str) -> str:
    """Returns a value as it stands in a file."""
    return "'" + value.replace("'", "'\\''") + "'"


def render(sections: List[Section]) -> str:
    """Returns the text of a file with these sections."""
    blocks = []
    for section in sections:
        name = f" {quote(section.name)}" if section.name else ""
        lines = [f"config {section.kind}{name}"]
        for option, value in section.options.items():
            if isinstance(value, str):
                lines.append(f"\toption {option} {quote(value)}")
            else:
                lines.extend(f"\tlist {option} {quote(item)}" for item in value)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)
